//! The handle of an open database.

use crate::engine::{self, Database, Handle, Layout, Names, Outcome, Scratch, State, Step};
use crate::engine::{OpenReport, VerifyReport};
use crate::error::{Error, Result};
use crate::model::{Key, KeyRef, Slot, Value};
use crate::options::Options;
use crate::place::check_outside;
use crate::point::VectorPoint;
use crate::progress::{self, ProgressFn};
use crate::snapshot::Snapshot;
use crate::stats::{self, Stats};
use crate::storage::{DiskStorage, MapMode, MemoryStorage, StagedFile};
use crate::value_cache::ValueCache;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An open database. Cheap to clone; all clones are the same handle, and any number of threads may use it.
///
/// Writes are commits: each call is one, all of it or nothing, and when it returns the commit is as durable as
/// [`Options::durability`] says. Reads here are of the last commit and return owned values; [`snapshot`](Self::snapshot) gives a
/// consistent view whose reads borrow.
///
/// **Names** of dimensions are any text of up to [`NAME_LEN_MAX`](crate::NAME_LEN_MAX) bytes, the empty one and such with NUL or `/`
/// included. Of a name that comes twice in the attributes of one record, the last value counts.
///
/// **Errors**, where several apply: attributes are checked before anything else, so that a name or value that cannot be stored is an
/// [`Error::InvalidArgument`] on a handle that was opened read-only, too. After that comes the state of the handle
/// ([`Error::ReadOnly`], [`Error::Poisoned`], [`Error::Closed`]), then what is wrong with keys and positions.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use vector_datalib::{VectorDb, attrs};
///
/// let db = VectorDb::create(dir.path().join("people.vdb"))?;
/// db.upsert(101, attrs! { "name" => "Alice", "age" => 25 })?;
/// db.upsert(101, attrs! { "age" => 26 })?; // attributes that are not named stay
/// assert_eq!(db.lookup(101, "name")?, Some("Alice".into()));
/// assert_eq!(db.lookup(101, "age")?, Some(26.into()));
/// assert!(db.delete(101)?);
/// db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct VectorDb {
    pub(crate) database: Arc<Handle>,
    value_cache: Option<Arc<ValueCache>>,
}

impl fmt::Debug for VectorDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("VectorDb")
            .field("path", &self.path())
            .field("sequence", &state.sequence())
            .field("len", &state.point_count())
            .finish_non_exhaustive()
    }
}

/// What a compaction does beyond rewriting every file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CompactOptions {
    layout: Layout,
}

impl CompactOptions {
    /// The defaults: coordinates stay as they are.
    #[must_use]
    pub const fn new() -> Self {
        Self { layout: Layout::Keep }
    }

    /// How points are laid out: which coordinates they get, and how keys are found.
    #[must_use]
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Whether free slots are closed up: [`Layout::Packed`] if so, else [`Layout::Keep`].
    #[must_use]
    pub const fn reassign_slots(self, reassign: bool) -> Self {
        self.layout(if reassign { Layout::Packed } else { Layout::Keep })
    }
}

impl VectorDb {
    pub(crate) fn new(database: Database, value_cache: usize) -> Self {
        let value_cache = (value_cache > 0).then(|| Arc::new(ValueCache::new(value_cache)));
        Self { database: Arc::new(Handle::new(database)), value_cache }
    }

    /// Makes a new database with the default [`Options`].
    ///
    /// # Errors
    /// Those of [`Options::create`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().create(path)
    }

    /// Opens a database with the default [`Options`]. Reads only what was committed after the last checkpoint.
    ///
    /// # Errors
    /// Those of [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// Opens a database for reading with the default [`Options`].
    ///
    /// # Errors
    /// Those of [`Options::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open_read_only(path)
    }

    /// How the database was found when it was opened.
    #[must_use]
    pub fn open_report(&self) -> OpenReport {
        self.database.report()
    }

    /// The directory, called what it was when the database was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.database.storage().path()
    }

    /// Inserts a point, or changes the attributes that are named; others keep their values. Returns the coordinate. A new key
    /// takes the lowest free slot.
    ///
    /// # Durability
    /// As [`Options::durability`] says.
    ///
    /// # Errors
    /// After any but the last, nothing has changed.
    /// - [`Error::InvalidArgument`]: the key or a value is longer than [`VALUE_LEN_MAX`](crate::VALUE_LEN_MAX) or nests deeper than
    ///   [`NESTING_MAX`](crate::NESTING_MAX), a name is longer than [`NAME_LEN_MAX`](crate::NAME_LEN_MAX), all of it takes more than
    ///   4 GiB, or too much has changed since the last [`save`](Self::save).
    /// - [`Error::TooManyPoints`]: all slots are in use.
    /// - [`Error::ReadOnly`], [`Error::Closed`]: the handle was opened read-only, or was closed.
    /// - [`Error::Corrupt`]: the bytes that tell where the key is are damaged.
    /// - [`Error::NoSpace`], [`Error::Io`]: the log could not be written.
    /// - [`Error::Poisoned`]: an fsync failed, now or earlier. Whether a write that returns this is durable is unknown.
    pub fn upsert<N: AsRef<str>, V: Into<Value>>(
        &self,
        key: impl Into<Key>,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Slot> {
        self.one(upsert(key.into(), attributes, None)?).map(|slot| slot.unwrap_or(Slot::MAX))
    }

    /// Puts a new key at a coordinate, a [`Slot`] or `u32`; the point that is there and every later one move up by one with all their
    /// values, and free coordinates with them. A key that is there already is changed where it is, and the position is ignored.
    ///
    /// Rewrites the whole database, O(points × dimensions), while other writes wait.
    ///
    /// # Durability
    /// When this returns, the commit survives a loss of power, whatever [`Options::durability`] says.
    ///
    /// # Errors
    /// Those of [`upsert`](Self::upsert); also
    /// - [`Error::InvalidArgument`]: the position is above the number of slots.
    /// - [`Error::Corrupt`]: any byte of the database is damaged, since all are read.
    /// - [`Error::NoSpace`], [`Error::Io`]: the new files could not be written.
    pub fn insert_at<N: AsRef<str>, V: Into<Value>>(
        &self,
        key: impl Into<Key>,
        position: impl Into<Slot>,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Slot> {
        self.one(upsert(key.into(), attributes, Some(position.into()))?).map(|slot| slot.unwrap_or(Slot::MAX))
    }

    /// Upserts many points in one commit: all or nothing. Returns their coordinates, in order.
    ///
    /// # Durability
    /// As [`Options::durability`] says, for the batch as a whole.
    ///
    /// # Errors
    /// Those of [`upsert`](Self::upsert). Where a record is at fault, the reason names it, counted from 0.
    pub fn batch_upsert<K, A, N, V>(&self, records: impl IntoIterator<Item = (K, A)>) -> Result<Vec<Slot>>
    where
        K: Into<Key>,
        A: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<Value>,
    {
        let records = records.into_iter().map(|(key, attributes)| (key, None::<Slot>, attributes));
        let outcomes = self.database.commit(upserts(records)?)?;
        Ok(outcomes.into_iter().filter_map(slot).collect())
    }

    /// Upserts many points in one commit, each at a position or (with `None`) where [`upsert`](Self::upsert) would put it.
    /// Positions count as the batch goes: each after the records before it. Returns their coordinates after the whole batch. Rewrites
    /// the database once; see [`insert_at`](Self::insert_at).
    ///
    /// # Errors
    /// Those of [`insert_at`](Self::insert_at). Where a record is at fault, the reason names it, counted from 0.
    pub fn batch_insert_at<K, P, A, N, V>(
        &self,
        records: impl IntoIterator<Item = (K, Option<P>, A)>,
    ) -> Result<Vec<Slot>>
    where
        K: Into<Key>,
        P: Into<Slot>,
        A: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<Value>,
    {
        let outcomes = self.database.commit(upserts(records)?)?;
        Ok(outcomes.into_iter().filter_map(slot).collect())
    }

    /// Removes one attribute of a point. False when there was none.
    ///
    /// # Durability
    /// As [`Options::durability`] says.
    ///
    /// # Errors
    /// Those of [`upsert`](Self::upsert), but for [`Error::TooManyPoints`].
    pub fn remove_attribute<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<bool> {
        let attributes = engine::attributes([(dimension, None)])?;
        Ok(self.one(Step::Remove { key: key.into().to_key(), attributes })?.is_some())
    }

    /// Deletes a point. False when there was none. Its slot is free for the next new key.
    ///
    /// # Durability
    /// As [`Options::durability`] says.
    ///
    /// # Errors
    /// Those of [`upsert`](Self::upsert), but for [`Error::TooManyPoints`].
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        Ok(self.one(Step::Delete { key: key.into().to_key() })?.is_some())
    }

    /// Deletes many points in one commit. Returns how many there were.
    ///
    /// # Durability
    /// As [`Options::durability`] says, for the batch as a whole.
    ///
    /// # Errors
    /// Those of [`upsert`](Self::upsert), but for [`Error::TooManyPoints`].
    pub fn batch_delete<'k, K: Into<KeyRef<'k>>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        let steps = keys.into_iter().map(|key| Step::Delete { key: key.into().to_key() }).collect();
        let outcomes = self.database.commit(steps)?;
        Ok(outcomes.into_iter().filter_map(slot).count() as u64)
    }

    fn one(&self, step: Step) -> Result<Option<Slot>> {
        Ok(self.database.commit(vec![step])?.into_iter().find_map(slot))
    }

    fn state(&self) -> State {
        self.database.state()
    }

    /// A consistent view of the last commit.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.state())
    }

    /// The value of a key in a dimension; `None` when there is no such key, or it has no such attribute.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the bytes that hold the answer are damaged.
    pub fn lookup<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<Option<Value>> {
        let state = self.state();
        let Some(view) = state.dimension(dimension) else { return Ok(None) };
        view.lookup(key.into())?.map(|value| state.to_value(value)).transpose()
    }

    /// [`lookup`](Self::lookup) for arrays and maps that are read again and again: decoded once, and shared from then on by
    /// way of [`Options::value_cache`]. O(length of the encoded value) if it is there, else as `lookup`. Other values are
    /// copied, as by `lookup`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{Options, Value, attrs};
    /// # use std::sync::Arc;
    /// let db = Options::new().value_cache(64 << 20).create(dir.path().join("orders.vdb"))?;
    /// db.upsert(1, attrs! { "lines" => Value::Array(vec!["bread".into(), "salt".into()]) })?;
    /// let (first, again) = (db.lookup_shared(1, "lines")?.unwrap(), db.lookup_shared(1, "lines")?.unwrap());
    /// assert!(Arc::ptr_eq(&first, &again));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the bytes that hold the answer are damaged.
    pub fn lookup_shared<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<Option<Arc<Value>>> {
        let state = self.state();
        let Some(view) = state.dimension(dimension) else { return Ok(None) };
        let Some(value) = view.lookup(key.into())? else { return Ok(None) };
        match &self.value_cache {
            Some(cache) => cache.share(value, |value| state.to_value(value)).map(Some),
            None => state.to_value(value).map(|value| Some(Arc::new(value))),
        }
    }

    /// The values of many pairs of key and dimension, all as of one commit.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the bytes that hold an answer are damaged.
    pub fn batch_lookup<'k, K: Into<KeyRef<'k>>, N: AsRef<str>>(
        &self,
        queries: impl IntoIterator<Item = (K, N)>,
    ) -> Result<Vec<Option<Value>>> {
        let snapshot = self.snapshot();
        let values = snapshot.batch_lookup(queries)?.into_iter();
        values.map(|value| value.map(|value| snapshot.state().to_value(value)).transpose()).collect()
    }

    /// A point with all its attributes. O(dimensions).
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the bytes that hold the answer are damaged.
    pub fn point<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<VectorPoint>> {
        self.snapshot().point(key)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the bytes that hold the answer are damaged.
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        Ok(self.state().axis().slot_of(key.into())?.is_some())
    }

    /// The number of points.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state().point_count().into()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all dimensions, in the order of their first use.
    #[must_use]
    pub fn dimensions(&self) -> Vec<String> {
        self.state().dimensions().into_iter().map(|view| view.name().to_owned()).collect()
    }

    /// For handles that were opened read-only: sees what other processes have committed since, and the files that they have
    /// written. False when nothing has changed. The handle that writes always sees everything.
    ///
    /// A commit may be seen before its writer's fsync has returned.
    ///
    /// # Errors
    /// Those of [`Options::open_read_only`], [`Error::NotFound`] where the database was removed, or another one is in its place. What is read stays as it was, or goes on
    /// to a later commit than before.
    pub fn refresh(&self) -> Result<bool> {
        self.database.refresh()
    }

    /// Checkpoint: writes what was committed since the last one into a patch file, or merges it into the column files
    /// ([`Options::merge_fraction`]), and starts a new log. Reads and writes go on meanwhile. Where many patch files have come together,
    /// they are merged into one afterwards, and where they only changed values, into the column files: in the background, or by this call where
    /// [`Options::background`] is off.
    ///
    /// # Durability
    /// When this returns, every commit before it survives a loss of power, whatever [`Options::durability`] says.
    ///
    /// # Errors
    /// After any but the last, the log still has what was to be written, and the next call tries again.
    /// - [`Error::ReadOnly`], [`Error::Closed`]: the handle was opened read-only, or was closed.
    /// - [`Error::Corrupt`]: a file that has to be rewritten is damaged.
    /// - [`Error::NoSpace`], [`Error::Io`]: the new files could not be written.
    /// - [`Error::Poisoned`]: an fsync of the log, or the replacing of the manifest, failed, now or earlier.
    pub fn save(&self) -> Result<()> {
        self.save_with(&mut progress::ignore)
    }

    /// [`save`](Self::save), telling how far it is. `progress` may read and write; in it another `save` or `compact`, which would wait for
    /// this one, is an [`Error::InvalidArgument`].
    ///
    /// # Errors
    /// Those of [`save`](Self::save), and [`Error::Cancelled`] when `progress` asks to stop.
    pub fn save_with(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.database.checkpoint(progress)
    }

    /// Rewrites every file into its smallest form. Reads go on meanwhile; writes too, unless coordinates are reassigned ([`Layout`]).
    ///
    /// # Durability
    /// As [`save`](Self::save).
    ///
    /// # Errors
    /// Those of [`save`](Self::save); every file has to be rewritten here. After any but [`Error::Poisoned`], no point has moved.
    pub fn compact(&self, options: &CompactOptions) -> Result<()> {
        self.compact_with(options, &mut progress::ignore)
    }

    /// [`compact`](Self::compact), telling how far it is. What `progress` may do is as with [`save_with`](Self::save_with), but that writes
    /// are an [`Error::InvalidArgument`], too, where slots are reassigned.
    ///
    /// # Errors
    /// Those of [`compact`](Self::compact), and [`Error::Cancelled`] when `progress` asks to stop.
    pub fn compact_with(&self, options: &CompactOptions, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.database.compact(options.layout, progress)
    }

    /// Whether a path, which need not exist, lies inside of the database's directory, at any depth or by way of a link: nothing else may
    /// be written there. [`enclosing_database`](crate::inspect::enclosing_database) asks so of every database.
    #[must_use]
    pub fn owns_path(&self, path: impl AsRef<Path>) -> bool {
        self.database.storage().encloses(path.as_ref())
    }

    /// Writes the canonical `.db` file of the last commit, which the Python package `vector_datalib` 1.4.0b0 opens. A file
    /// that is there, or that the path is a link to, is replaced when the new one is whole, and has its mode; a pipe or a device is refused. The same
    /// state gives the same bytes. What an export that was killed leaves beside it, `.NAME.*.exporting`, is removed by the next one to the same path.
    ///
    /// O(points × dimensions), in [`Options::memory_budget`] whatever the number of distinct values. Beside the new file, temporary files
    /// without a name in its folder take up to 4 bytes a cell and, for one dimension at a time, a few times what its values take. Dimensions
    /// whose values all differ, or that are stored by a dictionary, need none of that as long as nothing was changed in them since they were
    /// written (by [`compact`](Self::compact), say).
    ///
    /// # Durability
    /// When this returns, the file and its name survive a loss of power.
    ///
    /// # Errors
    /// What was at the path stays.
    /// - [`Error::InvalidArgument`]: the path lies inside of a database, this one or another.
    /// - [`Error::Corrupt`]: any byte of the database is damaged, since all are read.
    /// - [`Error::NoSpace`], [`Error::Io`]: the file could not be written.
    pub fn export(&self, path: impl AsRef<Path>) -> Result<()> {
        self.export_with(path, &mut progress::ignore)
    }

    /// [`export`](Self::export), telling how far it is.
    ///
    /// # Errors
    /// Those of [`export`](Self::export), and [`Error::Cancelled`] when `progress` asks to stop.
    pub fn export_with(&self, path: impl AsRef<Path>, progress: &mut ProgressFn<'_>) -> Result<()> {
        let path = path.as_ref();
        if self.owns_path(path) {
            return Err(Error::inside_database(path, self.path()));
        }
        check_outside(path)?;
        let mut file = StagedFile::create(path)?;
        let storage = Arc::new(DiskStorage::containing(path, MapMode::default())?);
        let scratch = Scratch { storage, memory_budget: self.database.memory_budget() };
        self.state().export(&mut file, path, &scratch, progress)?;
        Ok(file.commit()?)
    }

    /// Writes the canonical file to any writer, with a memory budget in bytes, beyond which it takes more memory: for tests and fuzzing.
    ///
    /// # Errors
    /// Those of [`export`](Self::export).
    #[doc(hidden)]
    pub fn export_to(&self, out: impl std::io::Write + std::io::Seek + Send, memory_budget: usize) -> Result<()> {
        let scratch = Scratch { storage: Arc::new(MemoryStorage::new()), memory_budget };
        self.state().export(out, self.path(), &scratch, &mut progress::ignore)
    }

    /// Numbers about the database and each dimension. O(dimensions), and what was changed since the last checkpoint.
    ///
    /// # Errors
    /// - [`Error::Corrupt`]: what describes a column or the axis, or a value that was changed since the last checkpoint, is damaged.
    /// - [`Error::Io`]: the lengths of the logs could not be had.
    pub fn stats(&self) -> Result<Stats> {
        let cache = self.value_cache.as_ref().map(|cache| cache.counts()).unwrap_or_default();
        stats::stats(&self.database, &self.state(), cache)
    }

    /// Reads and checks everything: every block's checksum, every key, index entry, value and count. What is bad is listed in the
    /// report, not returned as an error.
    ///
    /// # Errors
    /// None: what is bad is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(&mut progress::ignore)
    }

    /// [`verify`](Self::verify), telling how far it is.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` asks to stop.
    pub fn verify_with(&self, progress: &mut ProgressFn<'_>) -> Result<VerifyReport> {
        self.state().verify(progress)
    }

    /// Closes the database: makes everything durable, records a clean end of the log and lets go of the lock. Other clones of
    /// the handle can read on, and no longer write. Dropping the last clone does the same, but cannot report a failure.
    ///
    /// # Durability
    /// When this returns, every commit survives a loss of power, whatever [`Options::durability`] says.
    ///
    /// # Errors
    /// The handle is closed all the same, and opening the database again recovers what is durable. Closing what was opened read-only, or
    /// was closed, is no error.
    /// - [`Error::Poisoned`]: an fsync of the log failed, now or earlier.
    /// - [`Error::NoSpace`], [`Error::Io`]: the log could not be cut, or the manifest not be replaced.
    pub fn close(self) -> Result<()> {
        self.database.close()
    }
}

pub(crate) fn slot(outcome: Outcome) -> Option<Slot> {
    match outcome {
        Outcome::At(slot) => Some(Slot(slot)),
        Outcome::Missing => None,
    }
}

pub(crate) fn upsert<N: AsRef<str>, V: Into<Value>>(
    key: Key,
    attributes: impl IntoIterator<Item = (N, V)>,
    position: Option<Slot>,
) -> Result<Step> {
    shared_upsert(key, attributes, position, &mut Names::default())
}

fn shared_upsert<N: AsRef<str>, V: Into<Value>>(
    key: Key,
    attributes: impl IntoIterator<Item = (N, V)>,
    position: Option<Slot>,
    names: &mut Names,
) -> Result<Step> {
    let pairs = attributes.into_iter().map(|(name, value)| (name, Some(value.into())));
    let attributes = engine::shared_attributes(pairs, names)?;
    Ok(Step::Upsert { key, attributes, position: position.map(|slot| slot.0) })
}

/// A step for each record, with its position; an error says which record it was.
pub(crate) fn upserts<K, P, A, N, V>(records: impl IntoIterator<Item = (K, Option<P>, A)>) -> Result<Vec<Step>>
where
    K: Into<Key>,
    P: Into<Slot>,
    A: IntoIterator<Item = (N, V)>,
    N: AsRef<str>,
    V: Into<Value>,
{
    let mut names = Names::default();
    let step = |(index, (key, position, attributes)): (u64, (K, Option<P>, A))| {
        let step = shared_upsert(key.into(), attributes, position.map(Into::into), &mut names);
        step.map_err(|error| error.in_record(index))
    };
    (0..).zip(records).map(step).collect()
}
