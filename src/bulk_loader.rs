//! Making a database from many records at once.

use crate::engine::Loader;
use crate::error::Result;
use crate::model::{AnyValue, KeyRef};
use crate::new_database::NewDatabase;
use crate::options::{MEMORY_BUDGET, check_memory_budget};
use crate::progress::{self, ProgressFn};
use std::fmt;
use std::path::Path;

/// Builds a new database from records, without the log: the fast way in.
///
/// Everything is made in a temporary directory beside the target and renamed when it is whole, so a load that fails, or is dropped,
/// leaves nothing, nor the folders above it that it made. What a process that was killed leaves, `.NAME.*.loading`, is removed when the
/// same database is made again. Records of a key that came before are merged into its point (first slot, last value of each attribute).
/// Keys that are consecutive integers in order need no index.
///
/// Memory is bounded by [`memory_budget`](Self::memory_budget), 256 MiB unless told otherwise, whatever the number of points, their order
/// and how many keys and values are distinct. What does not fit is put aside in temporary files without a name, of up to a few times the
/// size of the finished database while it is built. Records and values are written and read in order a fixed number of times; those that
/// do not fit are also dealt out by hash, log64(size / budget) times. The files that result do not depend on the budget.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{BulkLoader, VectorDb};
/// let path = dir.path().join("squares.vdb");
/// let mut loader = BulkLoader::create(&path)?;
/// for n in 0..1000i64 {
///     loader.push(n, [("squared", n * n)])?;
/// }
/// assert_eq!(loader.finish()?.points, 1000);
/// assert_eq!(VectorDb::open(&path)?.lookup(30, "squared")?, Some(900.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BulkLoader {
    loader: Loader,
    new: NewDatabase,
    pushed: u64,
}

impl fmt::Debug for BulkLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkLoader")
            .field("target", &self.new.target())
            .field("len", &self.pushed)
            .finish_non_exhaustive()
    }
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
    /// Starts a database that will be at `path`, making the folders above it. An empty directory may be there: the new one takes
    /// its place, with its mode and, as far as the process may give them away, its owner and group, but not its access control lists.
    ///
    /// # Errors
    /// - [`Error::AlreadyExists`](crate::Error::AlreadyExists): a database is there.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): a file is there, a directory that is not empty, is the current one, or has a file system mounted on it; or the path
    ///   lies inside of a database.
    /// - [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io): the system refused.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let (new, storage) = NewDatabase::create(path.as_ref())?;
        Ok(Self { loader: Loader::new(storage, MEMORY_BUDGET), new, pushed: 0 })
    }

    /// The memory that loading may take, in bytes; the default is 256 MiB. Beside it there are some 8 MB of buffers, a few hundred bytes
    /// for each dimension, and whatever the largest single value takes. So less than a few megabytes saves nothing and costs time. It must
    /// not be 0, else [`push`](Self::push) and [`finish`](Self::finish) fail with [`Error::InvalidArgument`](crate::Error::InvalidArgument). To be
    /// said before the first record, as what is in memory by then may stay.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::BulkLoader;
    /// let mut loader = BulkLoader::create(dir.path().join("points.vdb"))?.memory_budget(64 << 20);
    /// loader.push("a", [("x", 1)])?;
    /// loader.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.loader.set_memory_budget(bytes);
        self
    }

    /// The most threads that load; the default is as many as the system runs at a time. If they are more than one, [`push`](Self::push)
    /// hands records over to a thread, some thousand at a time, which takes them apart while the caller makes more.
    /// [`finish`](Self::finish) builds files with all of them, each with its share of the [`memory_budget`](Self::memory_budget); there a
    /// thread takes at least a million keys and values, so a small database is built by the caller's. The files do not depend on it. Any
    /// number is valid; 0 is as good as 1.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::BulkLoader;
    /// let mut loader = BulkLoader::create(dir.path().join("points.vdb"))?.threads(1);
    /// loader.push("a", [("x", 1)])?;
    /// loader.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.loader.set_threads(threads);
        self
    }

    /// Makes a dimension before any record uses it. Dimensions are in the order of their first use; this settles it for sparse
    /// ones, and keeps those that no record uses.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument): the name is longer than [`NAME_LEN_MAX`](crate::NAME_LEN_MAX).
    pub fn dimension(&mut self, name: &str) -> Result<()> {
        self.loader.dimension(name)
    }

    /// Adds a record: names, and values in any form, lent or owned (see [`AnyValue`]). Of a name that comes twice, the last
    /// value counts. O(size of the record).
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): the key or a value is longer than [`VALUE_LEN_MAX`](crate::VALUE_LEN_MAX) or nests deeper than
    ///   [`NESTING_MAX`](crate::NESTING_MAX), or a name is longer than [`NAME_LEN_MAX`](crate::NAME_LEN_MAX). The reason says
    ///   which record it is, counted from 0 as [`len`](Self::len) does. The record was not added, and loading can go on.
    /// - [`Error::TooManyPoints`](crate::Error::TooManyPoints): there are as many records as there can be slots.
    /// - [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io): the system refused, maybe records before this one, or
    ///   this one only later on: records are put aside many at a time. The load cannot go on; nor can it after `attributes` has panicked.
    pub fn push<'k, 'v, N: AsRef<str>, V: Into<AnyValue<'v>>>(
        &mut self,
        key: impl Into<KeyRef<'k>>,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Result<()> {
        self.check_options()?;
        let attributes = attributes.into_iter().map(|(name, value)| (name, value.into()));
        let pushed = self.loader.push(key.into(), attributes);
        pushed.map_err(|error| error.in_record(self.pushed))?;
        self.pushed += 1;
        Ok(())
    }

    fn check_options(&self) -> Result<()> {
        check_memory_budget(self.loader.memory_budget())
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
    /// After any of them nothing is left.
    /// - [`Error::AlreadyExists`](crate::Error::AlreadyExists), [`Error::InvalidArgument`](crate::Error::InvalidArgument): something has come to be at the path since.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): the [`memory_budget`](Self::memory_budget) is 0.
    /// - [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io): the system refused.
    pub fn finish(self) -> Result<LoadReport> {
        self.finish_with(&mut progress::ignore)
    }

    /// [`finish`](Self::finish), telling how far it is.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish), and [`Error::Cancelled`](crate::Error::Cancelled) when `progress` asks to stop.
    pub fn finish_with(self, progress: &mut ProgressFn<'_>) -> Result<LoadReport> {
        self.check_options()?;
        let (points, merged) = self.loader.finish(progress)?;
        self.new.commit()?;
        Ok(LoadReport { points, merged })
    }
}
