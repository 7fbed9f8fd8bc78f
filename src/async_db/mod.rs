//! The handle of an open database for programs on tokio.
//!
//! Reads are those of [`VectorDb`]. Writes go through a queue to one thread (`queue`), long work to the runtime's threads for
//! blocking work (`pending`).

mod import;
mod open;
mod pending;
mod queue;

pub use pending::{PendingWork, PendingWrite};

use crate::db::{CompactOptions, VectorDb, slot, upsert, upserts};
use crate::engine::{self, Outcome, Step};
use crate::engine::{OpenReport, VerifyReport};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::model::{Key, KeyRef, Slot, Value};
#[cfg(doc)]
use crate::options::Options;
use crate::point::VectorPoint;
use crate::progress::{self, Progress};
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use pending::Cancelled;
use queue::Queue;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open database for programs on tokio: [`VectorDb`] with futures. Cheap to clone; all clones are the same handle. Feature `tokio`.
///
/// **Reads** are plain functions: they take no lock and wait for nobody, so there is nothing to await. A read of bytes
/// that are not in memory yet waits for the disk like any use of a mapped page, and a long scan takes its time: give what reads
/// much from a cold disk a [`Snapshot`] on a thread of its own (`spawn_blocking`).
///
/// **Writes** are futures ([`PendingWrite`]): each is one commit, and those that wait at the same time share one fsync. They wait
/// in a queue of 1,024 for the one thread that writes; when it is full, further writes wait for a place, which holds back
/// those who write faster than the disk takes. They need no particular runtime.
///
/// **Long work** (opening, checkpoints, compaction, export, verification, statistics) runs on threads where blocking is allowed, and
/// stops when its future is dropped ([`PendingWork`]). It needs a tokio runtime of either kind; awaited elsewhere, it fails with
/// [`Error::InvalidArgument`], which says so, and does nothing. [`new`](Self::new), reads and writes need none.
///
/// Await [`close`](Self::close) at the end. Without it, the writer's thread still makes the writes that wait when the last handle and
/// the last write are dropped, and then closes the database, so that the lock is let go a little later; failures are not
/// reported, and a process that ends before leaves an unclean end of the log, which the next opening replays.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use vector_datalib::{AsyncVectorDb, attrs};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let db = AsyncVectorDb::create(dir.path().join("people.vdb")).await?;
/// let (alice, bob) = tokio::join!( // two commits, one fsync
///     db.upsert(101, attrs! { "name" => "Alice", "age" => 25 }),
///     db.upsert(102, attrs! { "name" => "Bob" }),
/// );
/// assert_eq!((alice?.0, bob?.0), (0, 1));
/// assert_eq!(db.lookup(101, "age")?, Some(25.into()));
/// db.close().await
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AsyncVectorDb {
    // Dropped before the queue, so that the last handle's database is closed by the writer's thread, which may wait for the disk.
    db: VectorDb,
    /// `None` for what was opened read-only.
    queue: Option<Queue>,
}

impl fmt::Debug for AsyncVectorDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncVectorDb").field(&self.db).finish()
    }
}

impl AsyncVectorDb {
    /// An open database, for async code. Clones of `db` can be used beside it.
    ///
    /// # Errors
    /// [`Error::Io`]: no thread could be started.
    pub fn new(db: VectorDb) -> Result<Self> {
        let writable = !db.database.is_read_only();
        let queue = writable.then(|| Queue::start(db.database.clone())).transpose()?;
        Ok(Self { db, queue })
    }

    /// The same database for code that may block, such as threads of its own. What blocks must not be called from async code.
    #[must_use]
    pub const fn blocking(&self) -> &VectorDb {
        &self.db
    }

    /// How the database was found when it was opened.
    #[must_use]
    pub fn open_report(&self) -> OpenReport {
        self.db.open_report()
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    /// [`VectorDb::upsert`].
    ///
    /// # Errors
    /// Those of [`VectorDb::upsert`].
    pub fn upsert<N: AsRef<str>, V: Into<Value>>(
        &self,
        key: impl Into<Key>,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> PendingWrite<Slot> {
        let step = upsert(key.into(), attributes, None);
        self.write(step.map(|step| vec![step]), |found| one(found).unwrap_or(Slot::MAX))
    }

    /// [`VectorDb::insert_at`]. Rewrites the whole database, while other writes wait.
    ///
    /// # Errors
    /// Those of [`VectorDb::insert_at`].
    pub fn insert_at<N: AsRef<str>, V: Into<Value>>(
        &self,
        key: impl Into<Key>,
        position: impl Into<Slot>,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> PendingWrite<Slot> {
        let step = upsert(key.into(), attributes, Some(position.into()));
        self.write(step.map(|step| vec![step]), |found| one(found).unwrap_or(Slot::MAX))
    }

    /// [`VectorDb::batch_upsert`]. Converting the records, O(records), is done at once, by the caller.
    ///
    /// # Errors
    /// Those of [`VectorDb::batch_upsert`].
    pub fn batch_upsert<K, A, N, V>(&self, records: impl IntoIterator<Item = (K, A)>) -> PendingWrite<Vec<Slot>>
    where
        K: Into<Key>,
        A: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<Value>,
    {
        self.batch_insert_at(records.into_iter().map(|(key, attributes)| (key, None::<Slot>, attributes)))
    }

    /// [`VectorDb::batch_insert_at`]. Rewrites the whole database, while other writes wait, if there is any position.
    ///
    /// # Errors
    /// Those of [`VectorDb::batch_insert_at`].
    pub fn batch_insert_at<K, P, A, N, V>(
        &self,
        records: impl IntoIterator<Item = (K, Option<P>, A)>,
    ) -> PendingWrite<Vec<Slot>>
    where
        K: Into<Key>,
        P: Into<Slot>,
        A: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<Value>,
    {
        self.write(upserts(records), |outcomes| outcomes.into_iter().filter_map(slot).collect())
    }

    /// [`VectorDb::remove_attribute`].
    ///
    /// # Errors
    /// Those of [`VectorDb::remove_attribute`].
    pub fn remove_attribute<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> PendingWrite<bool> {
        let key = key.into().to_key();
        let attributes = engine::attributes([(dimension, None)]);
        let steps = attributes.map(|attributes| vec![Step::Remove { key, attributes }]);
        self.write(steps, |found| one(found).is_some())
    }

    /// [`VectorDb::delete`].
    ///
    /// # Errors
    /// Those of [`VectorDb::delete`].
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> PendingWrite<bool> {
        self.write(Ok(vec![Step::Delete { key: key.into().to_key() }]), |found| one(found).is_some())
    }

    /// [`VectorDb::batch_delete`].
    ///
    /// # Errors
    /// Those of [`VectorDb::batch_delete`].
    pub fn batch_delete<'k, K: Into<KeyRef<'k>>>(&self, keys: impl IntoIterator<Item = K>) -> PendingWrite<u64> {
        let steps = keys.into_iter().map(|key| Step::Delete { key: key.into().to_key() }).collect();
        self.write(Ok(steps), |outcomes| outcomes.into_iter().filter_map(slot).count() as u64)
    }

    /// A consistent view of the last commit, which works without the handle.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// [`VectorDb::lookup`].
    ///
    /// # Errors
    /// Those of [`VectorDb::lookup`].
    pub fn lookup<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<Option<Value>> {
        self.db.lookup(key, dimension)
    }

    /// [`VectorDb::lookup_shared`].
    ///
    /// # Errors
    /// Those of [`VectorDb::lookup_shared`].
    pub fn lookup_shared<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<Option<Arc<Value>>> {
        self.db.lookup_shared(key, dimension)
    }

    /// [`VectorDb::batch_lookup`].
    ///
    /// # Errors
    /// Those of [`VectorDb::batch_lookup`].
    pub fn batch_lookup<'k, K: Into<KeyRef<'k>>, N: AsRef<str>>(
        &self,
        queries: impl IntoIterator<Item = (K, N)>,
    ) -> Result<Vec<Option<Value>>> {
        self.db.batch_lookup(queries)
    }

    /// [`VectorDb::point`].
    ///
    /// # Errors
    /// Those of [`VectorDb::point`].
    pub fn point<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<VectorPoint>> {
        self.db.point(key)
    }

    /// [`VectorDb::contains`].
    ///
    /// # Errors
    /// Those of [`VectorDb::contains`].
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        self.db.contains(key)
    }

    /// The number of points.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.db.len()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// The names of all dimensions, in the order of their first use.
    #[must_use]
    pub fn dimensions(&self) -> Vec<String> {
        self.db.dimensions()
    }

    /// [`VectorDb::refresh`], for handles that were opened read-only.
    ///
    /// # Errors
    /// Those of [`VectorDb::refresh`].
    pub fn refresh(&self) -> PendingWork<bool> {
        self.work(|db, _| db.refresh())
    }

    /// [`VectorDb::save`]: a checkpoint.
    ///
    /// # Errors
    /// Those of [`VectorDb::save`].
    pub fn save(&self) -> PendingWork<()> {
        self.save_with(progress::ignore)
    }

    /// [`save`](Self::save), telling how far it is.
    ///
    /// # Errors
    /// Those of [`VectorDb::save_with`].
    pub fn save_with(&self, progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static) -> PendingWork<()> {
        self.work(|db, cancelled| db.save_with(&mut cancelled.or(progress)))
    }

    /// [`VectorDb::compact`].
    ///
    /// # Errors
    /// Those of [`VectorDb::compact`].
    pub fn compact(&self, options: &CompactOptions) -> PendingWork<()> {
        self.compact_with(options, progress::ignore)
    }

    /// [`compact`](Self::compact), telling how far it is.
    ///
    /// # Errors
    /// Those of [`VectorDb::compact_with`].
    pub fn compact_with(
        &self,
        options: &CompactOptions,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> PendingWork<()> {
        let options = *options;
        self.work(move |db, cancelled| db.compact_with(&options, &mut cancelled.or(progress)))
    }

    /// [`VectorDb::export`].
    ///
    /// # Errors
    /// Those of [`VectorDb::export`].
    pub fn export(&self, path: impl Into<PathBuf>) -> PendingWork<()> {
        self.export_with(path, progress::ignore)
    }

    /// [`export`](Self::export), telling how far it is.
    ///
    /// # Errors
    /// Those of [`VectorDb::export_with`].
    pub fn export_with(
        &self,
        path: impl Into<PathBuf>,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> PendingWork<()> {
        let path = path.into();
        self.work(move |db, cancelled| db.export_with(path, &mut cancelled.or(progress)))
    }

    /// [`VectorDb::stats`].
    ///
    /// # Errors
    /// Those of [`VectorDb::stats`].
    pub fn stats(&self) -> PendingWork<Stats> {
        self.work(|db, _| db.stats())
    }

    /// [`VectorDb::verify`].
    ///
    /// # Errors
    /// None: what is bad is in the report.
    pub fn verify(&self) -> PendingWork<VerifyReport> {
        self.verify_with(progress::ignore)
    }

    /// [`verify`](Self::verify), telling how far it is.
    ///
    /// # Errors
    /// Those of [`VectorDb::verify_with`].
    pub fn verify_with(
        &self,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> PendingWork<VerifyReport> {
        self.work(|db, cancelled| db.verify_with(&mut cancelled.or(progress)))
    }

    /// Makes the writes that wait, and closes the database as [`VectorDb::close`] does. Other clones can read on; their
    /// writes fail with [`Error::Closed`]. Waits for a compaction or checkpoint that is being made.
    ///
    /// Once it was polled and has its place in the queue, the database is closed even if this is dropped.
    ///
    /// # Durability
    /// When this returns, every commit survives a loss of power, whatever [`Options::durability`] says.
    ///
    /// # Errors
    /// Those of [`VectorDb::close`]. The handle is closed all the same.
    pub async fn close(self) -> Result<()> {
        let Self { db, queue } = self;
        match queue {
            Some(queue) => queue.close().await,
            None => db.close(),
        }
    }

    fn write<T>(&self, steps: Result<Vec<Step>>, answer: fn(Vec<Outcome>) -> T) -> PendingWrite<T> {
        PendingWrite::new(self.queue.as_ref(), steps, answer)
    }

    /// Runs on a thread where blocking is allowed. The whole handle goes there, for the reason above.
    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&VectorDb, Cancelled) -> Result<T> + Send + 'static,
    ) -> PendingWork<T> {
        let this = self.clone();
        PendingWork::new(move |cancelled| work(&this.db, cancelled))
    }
}

/// The slot that the one step of a batch found.
fn one(outcomes: Vec<Outcome>) -> Option<Slot> {
    outcomes.into_iter().find_map(slot)
}
