//! Where the database of a run is: in memory, or in a directory on disk.

use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use vector_datalib::internals::{DiskStorage, LOCK_NAME, MapMode, MemoryStorage, Storage};
use vector_datalib::{Options, Result, VectorDb};

#[derive(Debug)]
pub(crate) enum Place {
    Memory(MemoryStorage),
    Disk { directory: TempDir, mmap: bool },
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryStorage::new())
    }

    pub(crate) fn disk(mmap: bool) -> Self {
        Self::Disk { directory: tempfile::tempdir().unwrap(), mmap }
    }

    /// The path of the database on disk.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Memory(_) => None,
            Self::Disk { directory, .. } => Some(directory.path().join("model.vdb")),
        }
    }

    fn with<T>(
        &self,
        options: &Options,
        memory: impl FnOnce(&Options, Arc<dyn Storage>) -> Result<T>,
        disk: impl FnOnce(&Options, PathBuf) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Memory(storage) => memory(options, Arc::new(storage.clone())),
            Self::Disk { directory, mmap } => disk(&options.clone().mmap(*mmap), directory.path().join("model.vdb")),
        }
    }

    pub(crate) fn create(&self, options: &Options) -> Result<VectorDb> {
        self.with(options, Options::create_in, Options::create)
    }

    pub(crate) fn open(&self, options: &Options) -> Result<VectorDb> {
        self.with(options, Options::open_in, Options::open)
    }

    pub(crate) fn open_read_only(&self) -> Result<VectorDb> {
        self.with(&Options::new(), Options::open_read_only_in, Options::open_read_only)
    }

    /// A copy of the files as they are, with the writer at work: what a loss of power would leave when all writes had
    /// reached the disk.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Memory(storage) => Self::Memory(storage.snapshot()),
            Self::Disk { directory, mmap } => {
                let copy = Self::disk(*mmap);
                let to = copy.path().expect("on disk");
                std::fs::create_dir(&to).unwrap();
                for entry in directory.path().join("model.vdb").read_dir().unwrap() {
                    let entry = entry.unwrap();
                    std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
                copy
            }
        }
    }

    /// Bytes of all files but the lock.
    pub(crate) fn files_len(&self) -> u64 {
        let storage: Box<dyn Storage> = match self {
            Self::Memory(storage) => Box::new(storage.clone()),
            Self::Disk { .. } => Box::new(DiskStorage::open(self.path().expect("on disk"), MapMode::Heap).unwrap()),
        };
        let names = storage.list().unwrap();
        names.iter().filter(|name| *name != LOCK_NAME).map(|name| storage.len(name).unwrap().unwrap_or(0)).sum()
    }
}
