//! Opening for async code.

use super::{AsyncVectorDb, PendingWork};
#[cfg(doc)]
use crate::db::VectorDb;
use crate::options::Options;
use std::path::PathBuf;

impl AsyncVectorDb {
    /// [`VectorDb::create`]: makes a new database with the default [`Options`].
    ///
    /// # Errors
    /// Those of [`Options::create_async`].
    pub fn create(path: impl Into<PathBuf>) -> PendingWork<Self> {
        Options::new().create_async(path)
    }

    /// [`VectorDb::open`]: opens a database with the default [`Options`].
    ///
    /// # Errors
    /// Those of [`Options::open_async`].
    pub fn open(path: impl Into<PathBuf>) -> PendingWork<Self> {
        Options::new().open_async(path)
    }

    /// [`VectorDb::open_read_only`]: opens a database for reading with the default [`Options`].
    ///
    /// # Errors
    /// Those of [`Options::open_read_only_async`].
    pub fn open_read_only(path: impl Into<PathBuf>) -> PendingWork<Self> {
        Options::new().open_read_only_async(path)
    }
}

/// For [`AsyncVectorDb`]; feature `tokio`.
impl Options {
    /// [`create`](Self::create) for async code.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_async(&self, path: impl Into<PathBuf>) -> PendingWork<AsyncVectorDb> {
        let (options, path) = (self.clone(), path.into());
        PendingWork::new(move |_| AsyncVectorDb::new(options.create(path)?))
    }

    /// [`open`](Self::open) for async code.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_async(&self, path: impl Into<PathBuf>) -> PendingWork<AsyncVectorDb> {
        let (options, path) = (self.clone(), path.into());
        PendingWork::new(move |_| AsyncVectorDb::new(options.open(path)?))
    }

    /// [`open_read_only`](Self::open_read_only) for async code.
    ///
    /// # Errors
    /// Those of [`open_read_only`](Self::open_read_only).
    pub fn open_read_only_async(&self, path: impl Into<PathBuf>) -> PendingWork<AsyncVectorDb> {
        let (options, path) = (self.clone(), path.into());
        PendingWork::new(move |_| AsyncVectorDb::new(options.open_read_only(path)?))
    }
}
