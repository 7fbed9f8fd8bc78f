//! Making a database from many records at once.

use crate::engine::Loader;
use crate::error::{Error, Result};
use crate::model::{KeyRef, ValueRef};
use crate::progress::{self, ProgressFn};
use crate::storage::{DiskStorage, MapMode, StagedDirectory, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Builds a new database from records, without the log: the fast way in.
///
/// Everything is made in a temporary directory beside the target and renamed when it is whole, so a load that fails, or is dropped,
/// leaves nothing but the folders above it. Records of a key that came before are merged into its point (first slot, last value of each attribute).
/// Keys that are consecutive integers in order need no index.
///
/// This version keeps what it gathers in memory until [`finish`](Self::finish): about the size of the finished database, and for keys
/// that are not ascending integers 5 bytes a key.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{BulkLoader, ValueRef, VectorDb};
/// let path = dir.path().join("squares.vdb");
/// let mut loader = BulkLoader::create(&path)?;
/// for n in 0..1000i64 {
///     loader.push(n, [("squared", ValueRef::Int((n * n).into()))])?;
/// }
/// assert_eq!(loader.finish()?.points, 1000);
/// assert_eq!(VectorDb::open(&path)?.lookup(30, "squared")?, Some(900.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BulkLoader {
    loader: Loader,
    staged: StagedDirectory,
    target: PathBuf,
    pushed: u64,
}

/// What a load did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// Points of the new database.
    pub points: u64,
    /// Records whose key came before, and which changed that key's point.
    pub merged: u64,
}

impl BulkLoader {
    /// Starts a database that will be at `path`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when something is there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let target = path.as_ref().to_owned();
        let taken = match target.read_dir() {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => target.symlink_metadata().is_ok(),
        };
        if taken {
            return Err(Error::AlreadyExists { path: target });
        }
        let staged = StagedDirectory::create(&target)?;
        Ok(Self { loader: Loader::new(), staged, target, pushed: 0 })
    }

    /// Makes a dimension before any record uses it. Dimensions are in the order of their first use; this settles it for sparse
    /// ones, and keeps those that no record uses.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is too long.
    pub fn dimension(&mut self, name: &str) -> Result<()> {
        self.loader.dimension(name)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is too long, [`Error::TooManyPoints`] when all slots are taken.
    pub fn push<'k, 'v>(
        &mut self,
        key: impl Into<KeyRef<'k>>,
        attributes: impl IntoIterator<Item = (&'v str, ValueRef<'v>)>,
    ) -> Result<()> {
        self.loader.push(key.into(), attributes)?;
        self.pushed += 1;
        Ok(())
    }

    /// Records added so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.pushed
    }

    /// Whether no record was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Writes the database and puts it in place.
    ///
    /// # Durability
    /// When this returns, the database and its name survive a loss of power.
    ///
    /// # Errors
    /// [`Error::NoSpace`] and other failures of the file system; nothing is left then.
    pub fn finish(self) -> Result<LoadReport> {
        self.finish_with(&mut progress::ignore)
    }

    /// [`finish`](Self::finish), telling how far it is.
    ///
    /// # Errors
    /// Also [`Error::Cancelled`].
    pub fn finish_with(self, progress: &mut ProgressFn<'_>) -> Result<LoadReport> {
        let storage: Arc<dyn Storage> = Arc::new(DiskStorage::open(self.staged.path(), MapMode::Mmap)?);
        let (points, merged) = self.loader.finish(&storage, progress)?;
        self.staged.commit().map_err(|error| {
            let kind = error.io_error().kind();
            let exists = [std::io::ErrorKind::DirectoryNotEmpty, std::io::ErrorKind::NotADirectory].contains(&kind);
            if exists { Error::AlreadyExists { path: self.target.clone() } } else { error.into() }
        })?;
        Ok(LoadReport { points, merged })
    }
}
