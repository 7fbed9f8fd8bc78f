//! A database that appears at its path when it is whole.

use crate::error::{Error, Result};
use crate::format::manifest::MANIFEST_NAME;
use crate::options::check_new;
use crate::storage::{DiskStorage, MapMode, StagedDirectory, Storage, StorageError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory being filled. Dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct NewDatabase {
    staged: StagedDirectory,
    /// What the caller calls it.
    target: PathBuf,
}

impl NewDatabase {
    /// Starts a database that will be at `path`, making the folders above it, after removing what a killed process has left of one.
    pub(crate) fn create(path: &Path) -> Result<(Self, Arc<dyn Storage>)> {
        let target = path.to_owned();
        let place = place(&target);
        StagedDirectory::remove_left_overs(&place);
        check_vacant(&target)?;
        check_replaceable(&target, &place)?;
        let staged = StagedDirectory::create(&place).map_err(|error| called(&target, &place, error))?;
        // Messages call its files what they will be called.
        let storage: Arc<dyn Storage> = Arc::new(DiskStorage::open_at(staged.path(), &target, MapMode::Mmap)?);
        Ok((Self { staged, target }, storage))
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts it in place, and makes that durable.
    pub(crate) fn commit(self) -> Result<()> {
        self.staged.commit().map_err(|error| {
            let kind = error.io_error().kind();
            let exists = [std::io::ErrorKind::DirectoryNotEmpty, std::io::ErrorKind::NotADirectory].contains(&kind);
            match check_vacant(&self.target) {
                Err(taken) if exists => taken,
                _ => called(&self.target, &place(&self.target), error),
            }
        })
    }
}

/// Where the directory is: a link is followed, since it is what it leads to that is replaced.
fn place(target: &Path) -> PathBuf {
    let directory = if target.is_dir() { target.canonicalize().ok() } else { None };
    directory.unwrap_or_else(|| target.to_owned())
}

/// An error that has the path that the caller gave, where it has that of the place.
fn called(target: &Path, place: &Path, error: StorageError) -> Error {
    let (path, operation, source) = error.into_parts();
    let path = if path == place { target } else { &path };
    StorageError::new(path, operation, source).into()
}

/// Refuses an empty directory that no other one can take the place of, before the work rather than behind it.
fn check_replaceable(target: &Path, place: &Path) -> Result<()> {
    let (Ok(directory), Some(Ok(above))) = (place.metadata(), place.parent().map(Path::metadata)) else {
        return Ok(());
    };
    let is_current = std::env::current_dir().is_ok_and(|current| current == place);
    let reason = if directory.dev() != above.dev() {
        "is where a file system is mounted; choose a directory inside of it"
    } else if is_current {
        "is the current directory, which a new database cannot take the place of; choose a directory inside of it"
    } else {
        return Ok(());
    };
    Err(Error::invalid_argument(format!("{} {reason}", target.display())))
}

/// Refuses a path where something is that the new database would take the place of.
fn check_vacant(target: &Path) -> Result<()> {
    check_new(target)?;
    let Some(entry) = target.read_dir().ok().and_then(|mut entries| entries.next()) else { return Ok(()) };
    if target.join(MANIFEST_NAME).is_file() {
        return Err(Error::AlreadyExists { path: target.to_owned() });
    }
    let name = entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Err(Error::not_empty(target, name.as_deref().unwrap_or("something")))
}
