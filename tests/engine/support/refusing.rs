//! A directory that refuses to make or to map data files for a while, and takes everything else: the log goes on where checkpoints fail.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vector_datalib::internals::{MemoryStorage, Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock};

/// What is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// New files, for want of space.
    Create,
    /// Mappings.
    Map,
}

/// A directory in memory; clones share it.
#[derive(Clone, Default, Debug)]
pub(crate) struct RefusingStorage {
    inner: MemoryStorage,
    refused: Arc<Mutex<Option<Refused>>>,
    /// How long it takes to refuse, and how often that was done.
    refusals: Arc<Mutex<(Duration, u64)>>,
    created: Arc<Mutex<Vec<String>>>,
    scratch_written: Arc<AtomicU64>,
    scratch_read: Arc<AtomicU64>,
}

/// A scratch file of which the bytes that are written and read are counted.
#[derive(Debug)]
struct CountedScratch {
    inner: Box<dyn ScratchFile>,
    written: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
}

impl ScratchFile for CountedScratch {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.written.fetch_add(bytes.len() as u64, Relaxed);
        self.inner.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.read.fetch_add(buffer.len() as u64, Relaxed);
        self.inner.read_at(offset, buffer)
    }
}

fn is_data(name: &str) -> bool {
    ["axis-", "dim-", "patch-"].iter().any(|prefix| name.starts_with(prefix))
}

impl RefusingStorage {
    pub(crate) fn refuse(&self, refused: Option<Refused>) {
        *self.refused.lock().unwrap() = refused;
    }

    /// Refusing takes so long from here on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.refusals.lock().unwrap().0 = delay;
    }

    pub(crate) fn refusal_count(&self) -> u64 {
        self.refusals.lock().unwrap().1
    }

    /// The names of the data files that were made since this was last asked, in order.
    pub(crate) fn created(&self) -> Vec<String> {
        std::mem::take(&mut *self.created.lock().unwrap())
    }

    /// Bytes that were read from temporary files.
    pub(crate) fn scratch_read(&self) -> u64 {
        self.scratch_read.load(Relaxed)
    }

    /// Bytes that were written to temporary files.
    pub(crate) fn scratch_written(&self) -> u64 {
        self.scratch_written.load(Relaxed)
    }

    /// The names of the data files that are there.
    pub(crate) fn data_files(&self) -> Vec<String> {
        self.inner.list().unwrap().into_iter().filter(|name| is_data(name)).collect()
    }

    fn check(&self, name: &str, operation: Refused, cause: ErrorKind) -> Result<(), StorageError> {
        if is_data(name) && *self.refused.lock().unwrap() == Some(operation) {
            let mut refusals = self.refusals.lock().unwrap();
            refusals.1 += 1;
            std::thread::sleep(refusals.0);
            return Err(StorageError::new(self.path().join(name), "create or map", cause.into()));
        }
        Ok(())
    }
}

impl Storage for RefusingStorage {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        self.check(name, Refused::Create, ErrorKind::StorageFull)?;
        if is_data(name) {
            self.created.lock().unwrap().push(name.to_owned());
        }
        self.inner.create(name)
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

    fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.inner.len(name)
    }

    fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
        let (written, read) = (Arc::clone(&self.scratch_written), Arc::clone(&self.scratch_read));
        Ok(Box::new(CountedScratch { inner: self.inner.scratch()?, written, read }))
    }

    fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
        self.check(name, Refused::Map, ErrorKind::OutOfMemory)?;
        self.inner.map(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
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
