//! A directory whose fsyncs a test can watch, slow down and hold up.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock};

/// Where a hook is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    AfterCreate,
    BeforeSync,
    AfterSync,
    BeforeRename,
}

/// Called with the name of the file.
pub(crate) type Hook = dyn Fn(Moment, &str) + Send + Sync;

/// Any storage, with a hook.
pub(crate) struct HookedStorage {
    inner: Arc<dyn Storage>,
    hook: Arc<Hook>,
}

impl HookedStorage {
    pub(crate) fn new(inner: Arc<dyn Storage>, hook: impl Fn(Moment, &str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { inner, hook: Arc::new(hook) })
    }

    fn file(&self, name: &str, inner: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(HookedFile { name: name.to_owned(), inner, hook: Arc::clone(&self.hook) })
    }
}

impl fmt::Debug for HookedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedStorage").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Storage for HookedStorage {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let file = self.file(name, self.inner.create(name)?);
        (self.hook)(Moment::AfterCreate, name);
        Ok(file)
    }

    fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        Ok(self.file(name, self.inner.open_write(name)?))
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
        (self.hook)(Moment::BeforeRename, to);
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        self.inner.sync_directory()
    }

    fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        self.inner.lock()
    }
}

struct HookedFile {
    name: String,
    inner: Box<dyn StorageFile>,
    hook: Arc<Hook>,
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedFile").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl StorageFile for HookedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.inner.read_at(offset, buffer)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        (self.hook)(Moment::BeforeSync, &self.name);
        let result = self.inner.sync_data();
        (self.hook)(Moment::AfterSync, &self.name);
        result
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }
}
