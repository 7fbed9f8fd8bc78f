//! How a database is opened.

use crate::VectorDb;
use crate::engine::{AutoCheckpoint, Database, Durability, EngineOptions};
use crate::error::{Error, Result};
use crate::place::check_outside;
use crate::storage::{DiskStorage, MapMode, StagedDirectory, Storage};
use std::io::ErrorKind;
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
#[derive(Clone, Debug)]
pub struct Options {
    durability: Durability,
    heap: bool,
    merge_fraction: f64,
    auto_checkpoint: AutoCheckpoint,
    value_cache: usize,
    memory_budget: usize,
    threads: Option<usize>,
}

/// The memory that building files takes unless it is told otherwise.
pub(crate) const MEMORY_BUDGET: usize = 256 << 20;

/// A log of this length replays in some tenths of a second, and its commits take about 100 MB in memory.
const AUTO_CHECKPOINT: AutoCheckpoint = AutoCheckpoint { log_len: Some(32 << 20), in_background: true };

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            heap: false,
            merge_fraction: 0.5,
            auto_checkpoint: AUTO_CHECKPOINT,
            value_cache: 0,
            memory_budget: MEMORY_BUDGET,
            threads: None,
        }
    }
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

    /// The length of the log, in bytes, at which a checkpoint starts by itself; `None` for never, so that only
    /// [`save`](VectorDb::save) and [`compact`](VectorDb::compact) make them. The default is 32 MiB. A longer log makes checkpoints
    /// rarer, opening after a crash slower, and takes more memory: some three times its length. Any number but 0 is valid; a small one
    /// makes a checkpoint after each commit.
    ///
    /// While such checkpoints fail (the disk is full, say), commits go on until four times this length of log waits to be written
    /// down. From there on each one tries a checkpoint first, and is refused with that one's error where it fails: with
    /// [`Error::NoSpace`] on a full disk. Nothing of a refused commit is kept, reads go on, and commits are taken again once a
    /// checkpoint succeeds, be it by [`save`](VectorDb::save). At most half of the time goes to trying: in between, commits are
    /// refused at once. Without a limit nothing is refused, and the log grows for as long as nothing is saved.
    #[must_use]
    pub const fn auto_checkpoint(mut self, log_len: Option<u64>) -> Self {
        self.auto_checkpoint.log_len = log_len;
        self
    }

    /// Whether checkpoints that start by themselves, and merges of patches, run on threads of their own (the default), or in the call
    /// that makes them due, a commit or [`save`](VectorDb::save), which then takes as long. One that fails is told by
    /// [`Stats::checkpoint_failure`](crate::Stats::checkpoint_failure), and in time by commits: see
    /// [`auto_checkpoint`](Self::auto_checkpoint). Where commits fill the log again while one is made on a thread of its own, each of them
    /// waits a little, so that it keeps up; only when they fill the log twice over meanwhile do they wait for its end.
    #[must_use]
    pub const fn background(mut self, in_background: bool) -> Self {
        self.auto_checkpoint.in_background = in_background;
        self
    }

    /// When a checkpoint merges what was changed into the axis and column files, instead of writing one more patch: when
    /// all patches together would hold more than this fraction of the cells of those files. The default is 0.5. Less makes reads of
    /// changed data faster and the database smaller, more makes writing cheaper; 0 merges at every checkpoint, and writes
    /// again every dimension that changed. Any finite number from 0 on is valid; a large one, such as 1e9, merges almost never.
    /// Where no key came or went since, that is done after the checkpoint, [in the background](Self::background).
    #[must_use]
    pub const fn merge_fraction(mut self, fraction: f64) -> Self {
        self.merge_fraction = fraction;
        self
    }

    /// Bytes of memory for decoded arrays and maps that [`VectorDb::lookup_shared`] has read and shares; 0, the default, for
    /// none. [`Stats`](crate::Stats) counts hits and misses. A hit costs a small part of decoding; a miss, once the cache
    /// is full, up to twice as much as without one, so make it as large as what is read often. Other reads do not use it: copying a
    /// decoded value takes as long as decoding it. Any number is valid.
    #[must_use]
    pub const fn value_cache(mut self, capacity: usize) -> Self {
        self.value_cache = capacity;
        self
    }

    /// The memory that compaction, a checkpoint, a merge of patches and an [`export`](VectorDb::export) may take to build files, in bytes, each; a merge may run beside a
    /// checkpoint. What does not fit is put aside in temporary files without a name (or one that they lose at once, where the file
    /// system needs it) in the database's directory (an export: beside the file that it makes), of up to a few times the size of the largest file. The default is 256 MiB. Axis
    /// and column files do not depend on it; patches may hold a text more than once where it is small. Beside it there are some 8 MB
    /// of buffers, a bit for each slot up to
    /// the last one that is free or changed, 4 bytes for each slot where slots move (5 where keys are frozen), and whatever the largest single value takes; mapped
    /// files are the page cache's. Any number but 0 is valid; less than a few megabytes saves nothing and costs time.
    #[must_use]
    pub const fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// The most threads that compaction, and a checkpoint that writes the files anew, build files with; the default is as many as the
    /// system runs at a time. Each has its share of the [`memory_budget`](Self::memory_budget). A thread takes at least a million
    /// keys and values. The files do not depend on it. Any number is valid; 0 is as good as 1.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Makes a new database in a directory, which is created if need be, as are the folders above it.
    ///
    /// # Durability
    /// When this returns, the empty database and its name survive a loss of power.
    ///
    /// # Errors
    /// - [`Error::AlreadyExists`]: a database is there.
    /// - [`Error::InvalidArgument`]: an option makes no sense; a file is there, or a directory that holds other files; or the path lies
    ///   inside of a database.
    /// - [`Error::Locked`]: it is just being made elsewhere.
    /// - [`Error::NoSpace`], [`Error::Io`]: the system refused.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        let path = path.as_ref();
        self.check()?;
        StagedDirectory::remove_left_overs(path);
        check_new(path)?;
        let storage = DiskStorage::create(path, self.map_mode())?;
        self.create_in(Arc::new(storage))
    }

    /// Opens a database for reading and writing.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: there is none.
    /// - [`Error::InvalidArgument`]: an option makes no sense, or the path leads to a file.
    /// - [`Error::Locked`]: another writer has it, in this process or another one.
    /// - [`Error::Corrupt`]: the manifest, a header or the log is damaged, or a file is missing.
    /// - [`Error::Unsupported`]: a newer version of this library wrote it.
    /// - [`Error::NoSpace`], [`Error::Io`]: the system refused.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        self.open_in(Arc::new(self.existing(path.as_ref())?))
    }

    /// Opens a database for reading. Needs no write permission, takes no lock and writes nothing; a writer may be at work in
    /// this process or another one. [`VectorDb::refresh`] sees what it commits.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: there is none.
    /// - [`Error::InvalidArgument`]: an option makes no sense, or the path leads to a file.
    /// - [`Error::Corrupt`]: the manifest, a header or the log is damaged, or a file is missing.
    /// - [`Error::Unsupported`]: a newer version of this library wrote it.
    /// - [`Error::Io`]: the system refused, or the writer replaced its files faster than they could be opened.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<VectorDb> {
        self.open_read_only_in(Arc::new(self.existing(path.as_ref())?))
    }

    /// Refuses what makes no sense. Each option says what is valid.
    fn check(&self) -> Result<()> {
        let Self { merge_fraction, auto_checkpoint, memory_budget, .. } = self;
        if !merge_fraction.is_finite() || *merge_fraction < 0.0 {
            let reason = format!("merge_fraction is {merge_fraction}; it must be a finite number, 0 or more");
            return Err(Error::invalid_argument(reason));
        }
        if auto_checkpoint.log_len == Some(0) {
            return Err(Error::invalid_argument("auto_checkpoint is 0 bytes; `None` makes no checkpoints by itself"));
        }
        check_memory_budget(*memory_budget)
    }

    const fn map_mode(&self) -> MapMode {
        if self.heap { MapMode::Heap } else { MapMode::Mmap }
    }

    fn existing(&self, path: &Path) -> Result<DiskStorage> {
        DiskStorage::open(path, self.map_mode()).map_err(|error| match check_no_file(path) {
            Err(refused) => refused,
            Ok(()) if error.is_not_found() => Error::NotFound { path: path.to_owned() },
            Ok(()) => error.into(),
        })
    }

    fn engine(&self) -> Result<EngineOptions> {
        self.check()?;
        Ok(EngineOptions {
            durability: self.durability,
            merge_fraction: self.merge_fraction,
            auto_checkpoint: self.auto_checkpoint,
            memory_budget: self.memory_budget,
            threads: self.threads,
        })
    }

    /// [`create`](Self::create) in any storage.
    #[doc(hidden)]
    pub fn create_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::create(storage, self.engine()?).map(|database| VectorDb::new(database, self.value_cache))
    }

    /// [`open`](Self::open) in any storage.
    #[doc(hidden)]
    pub fn open_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::open(storage, self.engine()?).map(|database| VectorDb::new(database, self.value_cache))
    }

    /// [`open_read_only`](Self::open_read_only) in any storage.
    #[doc(hidden)]
    pub fn open_read_only_in(&self, storage: Arc<dyn Storage>) -> Result<VectorDb> {
        Database::open_read_only(storage, self.engine()?).map(|database| VectorDb::new(database, self.value_cache))
    }
}

pub(crate) fn check_memory_budget(bytes: usize) -> Result<()> {
    if bytes == 0 { Err(Error::invalid_argument("memory_budget is 0 bytes; it must be more")) } else { Ok(()) }
}

/// Refuses a path that leads to something other than a directory, or nowhere at all.
fn check_no_file(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Err(Error::invalid_argument("the path of a database is empty"));
    }
    let is_other = path.metadata().is_ok_and(|found| !found.is_dir());
    let reason = || format!("{} is a file, not the directory of a database", path.display());
    if is_other { Err(Error::invalid_argument(reason())) } else { Ok(()) }
}

/// Refuses a path where no database can be made.
pub(crate) fn check_new(path: &Path) -> Result<()> {
    check_no_file(path)?;
    let is_missing = path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let leads_nowhere = is_missing && path.is_symlink();
    let reason = || format!("{} is a link that leads nowhere", path.display());
    if leads_nowhere { Err(Error::invalid_argument(reason())) } else { check_outside(path) }
}
