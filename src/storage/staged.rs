//! Files and directories that appear under their name only when they are whole.

use super::StorageError;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 1 << 20;

/// The folder that a path lies in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The start of a temporary name that says what it will become.
fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether a path leads to a file directly inside of a directory, as far as can be told.
pub fn is_inside(path: &Path, directory: &Path) -> bool {
    match (parent(path).canonicalize(), directory.canonicalize()) {
        (Ok(parent), Ok(directory)) => parent == directory,
        _ => false,
    }
}

/// A file being written beside the one that it will replace. Dropped before [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
pub struct StagedFile {
    writer: BufWriter<NamedTempFile>,
    target: PathBuf,
}

impl StagedFile {
    /// Starts a file that will be at `target`.
    pub fn create(target: &Path) -> Result<Self, StorageError> {
        let file = Builder::new()
            .prefix(&prefix(target))
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent(target))
            .map_err(|source| StorageError::new(target, "create", source))?;
        Ok(Self { writer: BufWriter::with_capacity(BUFFER_LEN, file), target: target.to_owned() })
    }

    /// Makes the file durable and puts it in place of what has its name.
    pub fn commit(self) -> Result<(), StorageError> {
        let Self { writer, target } = self;
        let error = |operation: &'static str| {
            let target = target.clone();
            move |source: io::Error| StorageError::new(target, operation, source)
        };
        let file = writer.into_inner().map_err(|failed| error("write")(failed.into_error()))?;
        file.as_file().sync_all().map_err(error("sync"))?;
        file.persist(&target).map_err(|failed| error("replace")(failed.error))?;
        sync_directory(&parent(&target)).map_err(error("sync the folder of"))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A directory being filled beside the one that it will become. Dropped before [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
pub struct StagedDirectory {
    directory: TempDir,
    target: PathBuf,
}

impl StagedDirectory {
    /// Starts a directory that will be at `target`, making the folders above it.
    pub fn create(target: &Path) -> Result<Self, StorageError> {
        let error = |source| StorageError::new(target, "create", source);
        let above = std::path::absolute(parent(target)).map_err(error)?;
        super::disk::create_directories(&above)?;
        let directory = Builder::new()
            .prefix(&prefix(target))
            .suffix(".loading")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent(target))
            .map_err(error)?;
        Ok(Self { directory, target: target.to_owned() })
    }

    /// Where the directory is until it is whole.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts the directory, whose contents are durable, in place. Fails if something other than an empty directory is there.
    pub fn commit(self) -> Result<(), StorageError> {
        let Self { mut directory, target } = self;
        let error = |operation| move |source| (operation, source);
        let renamed = std::fs::rename(directory.path(), &target).map_err(error("create")).and_then(|()| {
            directory.disable_cleanup(true);
            sync_directory(&parent(&target)).map_err(error("sync the folder of"))
        });
        renamed.map_err(|(operation, source)| StorageError::new(&target, operation, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.db");
        std::fs::write(&target, "old").unwrap();
        let mut staged = StagedFile::create(&target).unwrap();
        staged.write_all(b"new").unwrap();
        drop(staged);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut staged = StagedFile::create(&target).unwrap();
        staged.write_all(b"new").unwrap();
        staged.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/er/a.vdb");
        let staged = StagedDirectory::create(&target).unwrap();
        std::fs::write(staged.path().join("x"), "x").unwrap();
        drop(staged);
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 0);
        let staged = StagedDirectory::create(&target).unwrap();
        std::fs::write(staged.path().join("x"), "x").unwrap();
        staged.commit().unwrap();
        assert!(target.join("x").exists());
        let second = StagedDirectory::create(&target).unwrap();
        assert!(second.commit().is_err(), "a directory that is not empty is not replaced");
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }
}
