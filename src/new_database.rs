//! A database that appears at its path when it is whole.

use crate::error::{Error, Result};
use crate::format::manifest::MANIFEST_NAME;
use crate::options::check_new;
use crate::storage::{DiskStorage, MapMode, StagedDirectory, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory being filled. Dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct NewDatabase {
    staged: StagedDirectory,
    target: PathBuf,
}

impl NewDatabase {
    /// Starts a database that will be at `path`, making the folders above it, after removing what a killed process has left of one.
    pub(crate) fn create(path: &Path) -> Result<(Self, Arc<dyn Storage>)> {
        let target = path.to_owned();
        StagedDirectory::remove_left_overs(&target);
        check_vacant(&target)?;
        let staged = StagedDirectory::create(&target)?;
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
                _ => error.into(),
            }
        })
    }
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
