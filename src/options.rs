//! How a database is opened.

use crate::VectorDb;
use crate::engine::{Database, Durability, EngineOptions};
use crate::error::{Error, Result};
use crate::storage::{DiskStorage, MapMode, Storage};
use std::path::Path;
use std::sync::Arc;

/// Options for creating and opening databases.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use vector_datalib::{Durability, Options};
/// let db = Options::new().durability(Durability::Eventual).create(dir.path().join("points.vdb"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    durability: Durability,
    heap: bool,
}

impl Options {
    /// The defaults: [`Durability::Immediate`], files mapped to memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a write that returned survives.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether files are mapped (the default) or read to memory as a whole when the database is opened. Mapped files open
    /// at once and share memory with other processes; but a mapped file that another program cuts short, or a medium that fails
    /// under a mapped page, ends the process with SIGBUS.
    #[must_use]
    pub const fn mmap(mut self, mmap: bool) -> Self {
        self.heap = !mmap;
        self
    }

    /// Makes a new database in a directory, which is created if need be.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when a database is there; [`Error::Locked`] when it is just being made;
    /// [`Error::InvalidArgument`] when the directory holds other files.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        let storage = DiskStorage::create(&path, self.map_mode())?;
        self.create_in(Arc::new(storage))
    }

    /// Opens a database for reading and writing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Locked`] when another writer has it; [`Error::Corrupt`] when
    /// the manifest, a header or the log is damaged.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        self.open_in(Arc::new(self.existing(path.as_ref())?))
    }

    /// Opens a database for reading. Needs no write permission, takes no lock and writes nothing; a writer may be at work in
    /// this process or another one. [`VectorDb::refresh`] sees what it commits.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Corrupt`] when the manifest, a header or the log is damaged.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        self.open_read_only_in(Arc::new(self.existing(path.as_ref())?))
    }

    const fn map_mode(&self) -> MapMode {
        if self.heap { MapMode::Heap } else { MapMode::Mmap }
    }

    fn existing(&self, path: &Path) -> Result<DiskStorage> {
        if path.is_file() {
            return Err(Error::invalid_argument(format!(
                "{} is a file, not the directory of a database",
                path.display()
            )));
        }
        DiskStorage::open(path, self.map_mode()).map_err(|error| {
            if error.is_not_found() { Error::NotFound { path: path.to_owned() } } else { error.into() }
        })
    }

    const fn engine(&self) -> EngineOptions {
        EngineOptions { durability: self.durability }
    }

    /// [`create`](Self::create) in any storage.
    #[doc(hidden)]
    pub fn create_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::create(storage, self.engine()).map(VectorDb::new)
    }

    /// [`open`](Self::open) in any storage.
    #[doc(hidden)]
    pub fn open_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::open(storage, self.engine()).map(VectorDb::new)
    }

    /// [`open_read_only`](Self::open_read_only) in any storage.
    #[doc(hidden)]
    pub fn open_read_only_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::open_read_only(storage, self.engine()).map(VectorDb::new)
    }
}
