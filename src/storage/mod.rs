//! Files: the only part of the crate that touches the file system or maps memory.
//!
//! The live form of a database is one directory of plain files. Everything above reaches it through
//! the object-safe [`Storage`] trait, mapping included, so that a test can put faults, crashes or
//! plain memory in its place. [`DiskStorage`] is the real thing, [`MemoryStorage`] a whole directory
//! in memory.
//!
//! Invariants:
//!
//! - A name is one plain file name inside the directory. Anything that could lead out of it (a
//!   separator, `.`, `..`, a NUL, nothing at all) is refused, not resolved.
//! - Reading and mapping need no write permission and write nothing.
//! - What is mapped is immutable: the layers above map only files that are never written again, and
//!   read the others ([`Storage::read`], [`Storage::read_range`]).
//! - Nothing is durable before [`StorageFile::sync_data`] (content) and [`Storage::sync_directory`]
//!   (names) returned without an error. A failed sync is never retried here: the kernel may have
//!   dropped the data and would report success the second time.
//! - Nothing here knows what the bytes mean.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is the layer they are kept to")]

mod disk;
mod error;
mod lock;
mod memory;
mod region;
mod scratch;
mod source;
mod staged;

pub use disk::{DiskStorage, MapMode};
pub use error::{ReplaceError, StorageError};
pub use memory::MemoryStorage;
pub use region::Region;
pub(crate) use region::prefetch;
pub(crate) use scratch::is_scratch_name;
pub use scratch::{MemoryScratch, ScratchFile};
pub use source::SourceFile;
pub(crate) use staged::resolved_parent;
pub use staged::{StagedDirectory, StagedFile};

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file whose kernel lock makes its holder the only writer. It is empty and never deleted.
pub const LOCK_NAME: &str = "LOCK";

/// One database directory.
///
/// `name` is always a plain file name inside the directory.
pub trait Storage: Send + Sync + Debug + 'static {
    /// Where the directory is, for messages only.
    fn path(&self) -> &Path;

    /// The names of the regular files, sorted. Names that are not UTF-8 are not ours and are left
    /// out.
    fn list(&self) -> Result<Vec<String>, StorageError>;

    /// Creates a file that must not exist yet and opens it for writing.
    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError>;

    /// Opens a file that must exist for writing. Its content stays.
    fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError>;

    /// The whole file, or `None` when there is none.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Up to `len` bytes of the file from `offset` on (none where it ends before), or `None` when there is no file.
    fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError>;

    /// The length of a file, or `None` when there is none.
    fn len(&self, name: &str) -> Result<Option<u64>, StorageError>;

    /// A new file without a name, on the medium that the directory is on.
    fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError>;

    /// The whole file as an immutable region, or `None` when there is none.
    ///
    /// Only for files that are never written again (see the module's invariants). The region stays
    /// valid after the file is renamed or removed.
    fn map(&self, name: &str) -> Result<Option<Region>, StorageError>;

    /// Renames a file, replacing atomically what has the name `to`.
    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Removes a file. One that is already gone is no error.
    fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// Makes the creations, renames and removals so far durable.
    fn sync_directory(&self) -> Result<(), StorageError>;

    /// Takes the writer's lock, without waiting. `None`: somebody holds it, maybe this process.
    fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError>;

    /// Whether a path of the file system, which need not exist, lies in the directory, at any depth.
    fn encloses(&self, _path: &Path) -> bool {
        false
    }

    /// Replaces the content of `name` atomically and durably, by way of the file `temporary`.
    ///
    /// Whatever the error, `name` holds one whole content. A leftover `temporary` of a crash is
    /// removed first.
    fn replace(&self, name: &str, temporary: &str, bytes: &[u8]) -> Result<(), ReplaceError> {
        let written = self.remove(temporary).and_then(|()| {
            let file = self.create(temporary)?;
            file.write_at(0, bytes)?;
            file.sync_data()
        });
        if let Err(error) = written {
            // Best effort: the error to report is the first one, and the next call tries again.
            let _ = self.remove(temporary);
            return Err(ReplaceError::Before(error));
        }
        self.rename(temporary, name).and_then(|()| self.sync_directory()).map_err(ReplaceError::Unknown)
    }
}

/// A file open for writing. It stays writable when it is renamed or removed.
#[expect(
    clippy::len_without_is_empty,
    reason = "a length that has to be asked of the system, and whose being zero means nothing special"
)]
pub trait StorageFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`, growing the file with zeros when it ends before.
    ///
    /// After an error, any part of the range may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Fills `buffer` with the bytes from `offset` on, which must be there.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError>;

    /// Cuts the file, or grows it with zeros that need not occupy space yet.
    fn set_len(&self, len: u64) -> Result<(), StorageError>;

    /// Makes content and length durable. A new file's name needs [`Storage::sync_directory`] too.
    fn sync_data(&self) -> Result<(), StorageError>;

    /// The length in bytes.
    fn len(&self) -> Result<u64, StorageError>;
}

/// The writer's lock, released when dropped.
pub trait StorageLock: Send + Sync + Debug {
    /// Whether this process took the lock. A child that was forked without exec has a copy that is not its own.
    fn is_ours(&self) -> bool {
        true
    }
}

/// The path of `name` in `directory`, if `name` is a plain file name.
fn file_path(directory: &Path, name: &str, operation: &'static str) -> Result<PathBuf, StorageError> {
    let path = directory.join(name);
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let cause = io::Error::new(ErrorKind::InvalidInput, "not a plain file name");
        return Err(StorageError::new(path, operation, cause));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    //! One battery of behaviour for every implementation, and what [`Storage::replace`] promises
    //! when a step of it fails.

    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn battery(storage: Arc<dyn Storage>) {
        missing_files(&*storage);
        content(&*storage);
        mappings(&*storage);
        names(&*storage);
        unlinked_files(&*storage);
        locking(&*storage);
        replacing(&*storage);
        refused_names(&*storage);
        scratch_files(&*storage);
    }

    #[test]
    fn disk_storage_mapping_memory() {
        let directory = tempfile::tempdir().unwrap();
        battery(Arc::new(DiskStorage::open(directory.path(), MapMode::Mmap).unwrap()));
    }

    #[test]
    fn disk_storage_reading_to_the_heap() {
        let directory = tempfile::tempdir().unwrap();
        battery(Arc::new(DiskStorage::open(directory.path(), MapMode::Heap).unwrap()));
    }

    #[test]
    fn memory_storage() {
        battery(Arc::new(MemoryStorage::new()));
    }

    fn missing_files(storage: &dyn Storage) {
        assert!(storage.list().unwrap().is_empty());
        assert!(storage.read("none").unwrap().is_none());
        assert!(storage.read_range("none", 7, u64::MAX).unwrap().is_none());
        assert!(storage.map("none").unwrap().is_none());
        assert!(storage.open_write("none").unwrap_err().is_not_found());
        assert!(storage.rename("none", "other").unwrap_err().is_not_found());
        storage.remove("none").unwrap();
        assert!(storage.list().unwrap().is_empty());
    }

    fn content(storage: &dyn Storage) {
        let file = storage.create("a").unwrap();
        assert_eq!(file.len().unwrap(), 0);
        assert_eq!(storage.read("a").unwrap().unwrap(), b"");
        assert_eq!(storage.read_range("a", 0, u64::MAX).unwrap().unwrap(), b"");
        assert_eq!(storage.read_range("a", u64::MAX, u64::MAX).unwrap().unwrap(), b"");

        file.write_at(0, b"hello").unwrap();
        file.write_at(1, b"EL").unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"hELlo");

        file.write_at(8, b"z").unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"hELlo\0\0\0z");
        file.write_at(4, b"").unwrap();
        assert_eq!(file.len().unwrap(), 9);

        assert_eq!(storage.read_range("a", 4, u64::MAX).unwrap().unwrap(), b"o\0\0\0z");
        assert_eq!(storage.read_range("a", 1, 3).unwrap().unwrap(), b"ELl");
        assert_eq!(storage.read_range("a", 7, 3).unwrap().unwrap(), b"\0z");
        assert_eq!(storage.read_range("a", 1, 0).unwrap().unwrap(), b"");
        assert_eq!(storage.read_range("a", 9, u64::MAX).unwrap().unwrap(), b"");
        assert_eq!(storage.read_range("a", 10, u64::MAX).unwrap().unwrap(), b"");

        let mut middle = [0; 4];
        file.read_at(3, &mut middle).unwrap();
        assert_eq!(&middle, b"lo\0\0");
        assert_eq!(file.read_at(6, &mut middle).unwrap_err().io_error().kind(), ErrorKind::UnexpectedEof);

        file.set_len(3).unwrap();
        file.set_len(5).unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"hEL\0\0");
        file.sync_data().unwrap();

        // A second handle keeps the content, and both see the same file.
        let second = storage.open_write("a").unwrap();
        second.write_at(5, b"!").unwrap();
        assert_eq!(file.len().unwrap(), 6);
        assert_eq!(storage.read("a").unwrap().unwrap(), b"hEL\0\0!");

        assert!(file.write_at(u64::MAX, b"x").is_err());
        assert!(file.set_len(u64::MAX).is_err());
        assert_eq!(file.len().unwrap(), 6);

        let error = storage.create("a").unwrap_err();
        assert_eq!(error.io_error().kind(), ErrorKind::AlreadyExists);
        assert_eq!(storage.read("a").unwrap().unwrap().len(), 6);
        storage.remove("a").unwrap();
    }

    fn mappings(storage: &dyn Storage) {
        drop(storage.create("empty").unwrap());
        let empty = storage.map("empty").unwrap().unwrap();
        assert!(empty.is_empty());
        assert_eq!(empty.as_ptr().addr() % Region::ALIGNMENT, 0);

        for len in [1_usize, 63, 64, 65, 4096, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
            let file = storage.create("m").unwrap();
            file.write_at(0, &bytes).unwrap();
            drop(file);
            let region = storage.map("m").unwrap().unwrap();
            assert_eq!(region.as_ptr().addr() % Region::ALIGNMENT, 0);
            assert_eq!(&*region, bytes);

            // The region outlives the file, and a new file of that name is another file.
            storage.remove("m").unwrap();
            assert_eq!(region.as_bytes(), bytes);
            storage.create("m").unwrap().write_at(0, b"other content").unwrap();
            assert_eq!(region.as_bytes(), bytes);
            storage.remove("m").unwrap();
        }
        storage.remove("empty").unwrap();
    }

    fn names(storage: &dyn Storage) {
        for name in ["b", "a", "c"] {
            storage.create(name).unwrap().write_at(0, name.as_bytes()).unwrap();
        }
        storage.sync_directory().unwrap();
        assert_eq!(storage.list().unwrap(), ["a", "b", "c"]);

        storage.rename("c", "a").unwrap();
        assert_eq!(storage.list().unwrap(), ["a", "b"]);
        assert_eq!(storage.read("a").unwrap().unwrap(), b"c");
        storage.rename("a", "a").unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"c");

        storage.remove("a").unwrap();
        storage.remove("a").unwrap();
        storage.remove("b").unwrap();
        assert!(storage.list().unwrap().is_empty());
    }

    fn unlinked_files(storage: &dyn Storage) {
        let file = storage.create("moving").unwrap();
        storage.rename("moving", "moved").unwrap();
        file.write_at(0, b"one").unwrap();
        assert_eq!(storage.read("moved").unwrap().unwrap(), b"one");

        storage.remove("moved").unwrap();
        file.write_at(3, b"two").unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 6);
        assert!(storage.list().unwrap().is_empty());
    }

    fn locking(storage: &dyn Storage) {
        let held = storage.lock().unwrap();
        assert!(held.is_some());
        assert!(storage.lock().unwrap().is_none());
        assert!(storage.lock().unwrap().is_none());
        drop(held);
        assert!(storage.lock().unwrap().is_some());
        assert_eq!(storage.list().unwrap(), [LOCK_NAME]);
        assert_eq!(storage.read(LOCK_NAME).unwrap().unwrap(), b"");
        storage.remove(LOCK_NAME).unwrap();
    }

    fn replacing(storage: &dyn Storage) {
        storage.replace("M", "M.new", b"first").unwrap();
        assert_eq!(storage.read("M").unwrap().unwrap(), b"first");

        // What a crash left behind, longer than the new content, must not shine through.
        storage.create("M.new").unwrap().write_at(0, b"a torn leftover").unwrap();
        storage.replace("M", "M.new", b"second").unwrap();
        assert_eq!(storage.read("M").unwrap().unwrap(), b"second");
        assert_eq!(storage.list().unwrap(), ["M"]);
        storage.remove("M").unwrap();
    }

    fn refused_names(storage: &dyn Storage) {
        for name in ["", ".", "..", "../x", "/x", "x/y", "x/", "x\0y"] {
            let kinds = [
                storage.create(name).map(drop).unwrap_err(),
                storage.open_write(name).map(drop).unwrap_err(),
                storage.read(name).map(drop).unwrap_err(),
                storage.read_range(name, 0, u64::MAX).map(drop).unwrap_err(),
                storage.map(name).map(drop).unwrap_err(),
                storage.rename(name, "x").unwrap_err(),
                storage.rename("x", name).unwrap_err(),
                storage.remove(name).unwrap_err(),
            ];
            for error in kinds {
                assert_eq!(error.io_error().kind(), ErrorKind::InvalidInput, "{name:?}");
            }
        }
        assert!(storage.list().unwrap().is_empty());
    }

    fn scratch_files(storage: &dyn Storage) {
        let (first, second) = (storage.scratch().unwrap(), storage.scratch().unwrap());
        assert!(storage.list().unwrap().is_empty());
        first.write_at(3, b"abc").unwrap();
        second.write_at(0, b"other").unwrap();
        let mut bytes = [7; 6];
        first.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"\0\0\0abc");
        assert!(first.read_at(1, &mut bytes).is_err());
    }

    /// Fails one kind of operation, as a full disk or a dying one would.
    #[derive(Debug)]
    struct FailingStorage {
        inner: MemoryStorage,
        fails: &'static str,
        rename_attempted: AtomicBool,
    }

    #[derive(Debug)]
    struct FailingFile(Box<dyn StorageFile>, &'static str);

    fn fail(wanted: &str, operation: &'static str) -> Result<(), StorageError> {
        if wanted == operation {
            let cause = io::Error::from(ErrorKind::StorageFull);
            return Err(StorageError::new("injected", operation, cause));
        }
        Ok(())
    }

    impl StorageFile for FailingFile {
        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
            self.0.write_at(offset, &bytes[..bytes.len() / 2])?;
            fail(self.1, "write")?;
            self.0.write_at(offset, bytes)
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
            self.0.read_at(offset, buffer)
        }
        fn set_len(&self, len: u64) -> Result<(), StorageError> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> Result<(), StorageError> {
            fail(self.1, "sync")
        }
        fn len(&self) -> Result<u64, StorageError> {
            self.0.len()
        }
    }

    impl Storage for FailingStorage {
        fn path(&self) -> &Path {
            self.inner.path()
        }
        fn list(&self) -> Result<Vec<String>, StorageError> {
            self.inner.list()
        }
        fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
            fail(self.fails, "create")?;
            Ok(Box::new(FailingFile(self.inner.create(name)?, self.fails)))
        }
        fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
            self.inner.open_write(name)
        }
        fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
            self.inner.read(name)
        }
        fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError> {
            self.inner.read_range(name, offset, len)
        }
        fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
            self.inner.scratch()
        }

        fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
            self.inner.len(name)
        }
        fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
            self.inner.map(name)
        }
        fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
            self.rename_attempted.store(true, Ordering::Relaxed);
            fail(self.fails, "rename")?;
            self.inner.rename(from, to)
        }
        fn remove(&self, name: &str) -> Result<(), StorageError> {
            fail(self.fails, "remove")?;
            self.inner.remove(name)
        }
        fn sync_directory(&self) -> Result<(), StorageError> {
            fail(self.fails, "sync the directory of")?;
            self.inner.sync_directory()
        }
        fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
            self.inner.lock()
        }
    }

    fn failing(fails: &'static str) -> FailingStorage {
        let old = BTreeMap::from([("M".to_owned(), b"old".to_vec())]);
        FailingStorage { inner: MemoryStorage::from_files(old), fails, rename_attempted: AtomicBool::new(false) }
    }

    #[test]
    fn replace_that_fails_before_the_rename_leaves_the_old_content_and_no_temporary_file() {
        for step in ["remove", "create", "write", "sync"] {
            let storage = failing(step);
            let error = storage.replace("M", "M.new", b"new").unwrap_err();
            assert!(matches!(error, ReplaceError::Before(_)), "{step}");
            assert_eq!(error.storage_error().operation(), step);
            assert!(!storage.rename_attempted.load(Ordering::Relaxed));
            let old = BTreeMap::from([("M".to_owned(), b"old".to_vec())]);
            assert_eq!(storage.inner.files(), old, "{step}");
        }
    }

    #[test]
    fn replace_that_fails_from_the_rename_on_says_so() {
        for step in ["rename", "sync the directory of"] {
            let storage = failing(step);
            let error = storage.replace("M", "M.new", b"new").unwrap_err();
            assert!(matches!(error, ReplaceError::Unknown(_)), "{step}");
            let content = storage.read("M").unwrap().unwrap();
            assert!(content == b"old" || content == b"new");
        }
    }
}
