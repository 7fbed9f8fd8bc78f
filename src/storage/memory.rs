//! A whole database directory in memory, for tests and fuzzing of the layers above.
//!
//! It behaves like a directory on a disk that never fails: an open file is the file, not its name,
//! so it stays writable when it is renamed or removed. A test can take the files out, flip a byte or
//! cut an end, and open what it made of them.
//!
//! Invariant: every operation, writing to an open file included, holds the directory's mutex, so
//! that [`MemoryStorage::files`] and [`MemoryStorage::snapshot`] are one point in time.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    LOCK_NAME, MemoryScratch, Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock, file_path,
};

/// What messages call the directory.
const DIRECTORY_PATH: &str = "memory:";

/// The longest file: a length computed from hostile bytes should fail a test, not the machine.
const FILE_LEN_MAX: u64 = 1 << 30;

/// The content of one file: its name leads to it, and so does every open handle.
type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Debug, Default)]
struct Directory {
    files: BTreeMap<String, Content>,
    is_locked: bool,
}

/// A handle to a directory in memory. Clones share the directory.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    path: PathBuf,
    directory: Arc<Mutex<Directory>>,
}

impl MemoryStorage {
    /// An empty directory.
    pub fn new() -> Self {
        Self::from_files(BTreeMap::new())
    }

    /// A directory of these files, not locked.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (name, Arc::new(Mutex::new(bytes)))).collect();
        let directory = Directory { files, is_locked: false };
        Self { path: PathBuf::from(DIRECTORY_PATH), directory: Arc::new(Mutex::new(directory)) }
    }

    /// A copy of all files as they are now, by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let directory = guard(&self.directory);
        directory.files.iter().map(|(name, content)| (name.clone(), guard(content).clone())).collect()
    }

    /// A directory of its own with a copy of all files as they are now, not locked: what another
    /// machine would find if this one lost power with every write on the disk.
    pub fn snapshot(&self) -> Self {
        Self::from_files(self.files())
    }

    fn open(&self, path: PathBuf, content: Content) -> Box<dyn StorageFile> {
        Box::new(MemoryFile { path, directory: Arc::clone(&self.directory), content })
    }

    /// What `read` makes of the content of `name`, or `None` when there is no such file.
    fn with_content<T>(
        &self,
        name: &str,
        operation: &'static str,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StorageError> {
        file_path(&self.path, name, operation)?;
        let directory = guard(&self.directory);
        Ok(directory.files.get(name).map(|content| read(&guard(content))))
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for MemoryStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(guard(&self.directory).files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let path = file_path(&self.path, name, "create")?;
        let mut directory = guard(&self.directory);
        if directory.files.contains_key(name) {
            let cause = ErrorKind::AlreadyExists.into();
            return Err(StorageError::new(path, "create", cause));
        }
        let content = Content::default();
        directory.files.insert(name.to_owned(), Arc::clone(&content));
        Ok(self.open(path, content))
    }

    fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let path = file_path(&self.path, name, "open to write")?;
        match guard(&self.directory).files.get(name) {
            Some(content) => Ok(self.open(path, Arc::clone(content))),
            None => Err(StorageError::new(path, "open to write", ErrorKind::NotFound.into())),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_content(name, "read", <[u8]>::to_vec)
    }

    fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_content(name, "read", |bytes| {
            let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
            rest.unwrap_or_default().iter().copied().take(usize::try_from(len).unwrap_or(usize::MAX)).collect()
        })
    }

    fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
        Ok(Box::new(MemoryScratch::default()))
    }

    fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.with_content(name, "read", |bytes| bytes.len() as u64)
    }

    fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
        self.with_content(name, "map", Region::from_bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let path = file_path(&self.path, from, "rename")?;
        file_path(&self.path, to, "rename")?;
        let mut directory = guard(&self.directory);
        let Some(content) = directory.files.remove(from) else {
            return Err(StorageError::new(path, "rename", ErrorKind::NotFound.into()));
        };
        directory.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        file_path(&self.path, name, "remove")?;
        guard(&self.directory).files.remove(name);
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        let mut directory = guard(&self.directory);
        if directory.is_locked {
            return Ok(None);
        }
        directory.is_locked = true;
        directory.files.entry(LOCK_NAME.to_owned()).or_default();
        Ok(Some(Box::new(MemoryLock { directory: Arc::clone(&self.directory) })))
    }
}

/// An open file: the content itself, whatever its name is by now.
#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    directory: Arc<Mutex<Directory>>,
    content: Content,
}

impl MemoryFile {
    fn with_content<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Vec<u8>) -> io::Result<T>,
    ) -> Result<T, StorageError> {
        let _directory = guard(&self.directory);
        change(&mut guard(&self.content)).map_err(|cause| StorageError::new(&self.path, operation, cause))
    }
}

impl StorageFile for MemoryFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.is_empty() {
            // As on Unix: writing nothing beyond the end does not grow a file.
            return Ok(());
        }
        self.with_content("write", |content| {
            let end = checked_len(offset.saturating_add(bytes.len() as u64))?;
            if content.len() < end {
                resize(content, end)?;
            }
            if let Some(range) = content.get_mut(end - bytes.len()..end) {
                range.copy_from_slice(bytes);
            }
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.with_content("read", |content| {
            let bytes = usize::try_from(offset).ok().and_then(|start| content.get(start..)?.get(..buffer.len()));
            buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.with_content("set the length of", |content| resize(content, checked_len(len)?))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.with_content("get the length of", |content| Ok(content.len() as u64))
    }
}

/// The lock of the directory, held.
#[derive(Debug)]
struct MemoryLock {
    directory: Arc<Mutex<Directory>>,
}

impl StorageLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        guard(&self.directory).is_locked = false;
    }
}

/// Locks a mutex. A thread that panicked with it leaves nothing half done that matters to a test.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn checked_len(len: u64) -> io::Result<usize> {
    if len > FILE_LEN_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge.into())
}

fn resize(content: &mut Vec<u8>, len: usize) -> io::Result<()> {
    content.try_reserve(len.saturating_sub(content.len()))?;
    content.resize(len, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_file(bytes: &[u8]) -> MemoryStorage {
        MemoryStorage::from_files(BTreeMap::from([("f".to_owned(), bytes.to_vec())]))
    }

    #[test]
    fn clones_share_the_directory_and_its_lock() {
        let storage = MemoryStorage::default();
        let clone = storage.clone();
        let held = storage.lock().unwrap();
        assert!(held.is_some());
        assert!(clone.lock().unwrap().is_none());
        drop(storage.create("f").unwrap());
        assert_eq!(clone.list().unwrap(), [LOCK_NAME, "f"]);
        drop(held);
        assert!(clone.lock().unwrap().is_some());
    }

    #[test]
    fn snapshot_is_independent_and_not_locked() {
        let storage = one_file(b"before");
        let _held = storage.lock().unwrap();
        let snapshot = storage.snapshot();
        let file = storage.open_write("f").unwrap();
        file.write_at(0, b"AFTER").unwrap();
        assert_eq!(snapshot.read("f").unwrap().unwrap(), b"before");
        assert_eq!(storage.read("f").unwrap().unwrap(), b"AFTERe");
        assert!(snapshot.lock().unwrap().is_some());
    }

    #[test]
    fn files_can_be_taken_out_damaged_and_put_back() {
        let mut files = one_file(b"bytes").files();
        for bytes in files.values_mut() {
            bytes[0] ^= 1;
            bytes.truncate(3);
        }
        let damaged = MemoryStorage::from_files(files);
        assert_eq!(damaged.read("f").unwrap().unwrap(), b"cyt");
    }

    #[test]
    fn region_is_the_content_of_the_time_of_mapping() {
        let storage = one_file(b"now");
        let region = storage.map("f").unwrap().unwrap();
        let file = storage.open_write("f").unwrap();
        file.set_len(0).unwrap();
        assert_eq!(&*region, b"now");
    }

    #[test]
    fn a_file_that_was_replaced_is_not_the_one_that_replaced_it() {
        let storage = one_file(b"old");
        let old = storage.open_write("f").unwrap();
        storage.replace("f", "f.new", b"new").unwrap();
        old.write_at(0, b"OLD").unwrap();
        assert_eq!(storage.read("f").unwrap().unwrap(), b"new");
    }

    #[test]
    fn too_long_a_file_is_refused_like_by_a_full_disk() {
        let storage = one_file(b"");
        let file = storage.open_write("f").unwrap();
        assert!(file.set_len(FILE_LEN_MAX + 1).unwrap_err().is_no_space());
        assert!(file.write_at(FILE_LEN_MAX, b"x").unwrap_err().is_no_space());
        assert!(file.write_at(u64::MAX, b"xy").is_err());
        assert_eq!(file.len().unwrap(), 0);
    }
}
