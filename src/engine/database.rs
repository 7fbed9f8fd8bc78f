//! An open database: its tiers, its writer, and how it is opened, refreshed and closed.

use super::background::AutoCheckpoint;
use super::backlog::Backlog;
use super::block_file::OpenError;
use super::generation::Generation;
use super::group_sync::GroupSync;
use super::log_reader::{LogReader, LogReport};
use super::log_writer::LogEnd;
use super::maintenance::Maintenance;
use super::merging::Merging;
use super::overlay::Overlay;
use super::plan::Allocation;
use super::replay::Replay;
use super::view::{Moment, View};
use super::writer::{Writer, now};
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::manifest::{MANIFEST_NAME, MANIFEST_TEMPORARY, Manifest, NO_COMMIT_TIME, Seal, is_data_name};
use crate::format::wal::{wal_name, wal_number};
use crate::model::FreeSlots;
use crate::storage::{ReplaceError, Storage, StorageLock, is_scratch_name};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What a write that returned survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Everything: a kill of the process, a crash of the system, a loss of power. Each commit waits for an fsync, which
    /// concurrent commits share. The default.
    #[default]
    Immediate,
    /// A kill of the process. After a crash of the system or a loss of power the database is as it was after some earlier
    /// commit, no earlier than the last [`save`](crate::VectorDb::save) or [`close`](crate::VectorDb::close).
    Eventual,
}

/// What the engine needs of the options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineOptions {
    pub(crate) durability: Durability,
    /// Patches with more than this fraction of the cells of the other files are merged into them.
    pub(crate) merge_fraction: f64,
    pub(crate) auto_checkpoint: AutoCheckpoint,
    /// Memory that checkpoints and compaction may take to build files, in bytes.
    pub(crate) memory_budget: usize,
    pub(crate) threads: Option<usize>,
}

/// How a database was found when it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct OpenReport {
    /// Commits that were replayed from the log.
    pub records_replayed: u64,
    /// Bytes at the end of the log that are no record: a write that a crash cut short, and that was never acknowledged.
    pub bytes_dropped: u64,
    /// Whether the last writer did not close the database (or, for a reader, has not closed it yet).
    pub unclean_close: bool,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) options: EngineOptions,
    pub(super) view: ArcSwap<View>,
    /// The last commit that snapshots see.
    pub(super) published: AtomicU64,
    /// The last commit that was logged.
    pub(super) appended: AtomicU64,
    pub(super) writer: Option<Mutex<Writer>>,
    pub(super) sync: GroupSync,
    pub(super) backlog: Backlog,
    pub(super) maintenance: Maintenance,
    pub(super) merging: Merging,
    /// Generations that were replaced, and that snapshots may still hold.
    replaced: Mutex<Vec<Weak<Generation>>>,
    /// Where a reader goes on in the log.
    reader: Mutex<Option<Reader>>,
    report: OpenReport,
}

/// What a read-only handle remembers between refreshes.
#[derive(Debug)]
struct Reader {
    log: LogReader,
    allocation: Allocation,
    stamp: u64,
}

/// A consistent state to read from.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(super) view: Arc<View>,
    pub(super) moment: Moment,
}

/// So many logs of earlier opens make a checkpoint due.
const LOG_COUNT_MAX: u64 = 64;

/// Times that a reader starts again because the writer replaced the files under it.
const REOPEN_TRIES: u32 = 1000;

/// A number that nobody can predict; for ids and salts.
pub(super) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

impl Database {
    /// Makes an empty database in a directory that holds none.
    pub(crate) fn create(storage: Arc<dyn Storage>, options: EngineOptions) -> Result<Self> {
        Self::create_with(storage, options, Vec::new())
    }

    /// The same, with properties (a MessagePack map; empty for none).
    pub(crate) fn create_with(storage: Arc<dyn Storage>, options: EngineOptions, properties: Vec<u8>) -> Result<Self> {
        // Look before locking: a directory of something else is not given a LOCK.
        check_vacant(&*storage)?;
        let Some(lock) = storage.lock()? else { return Err(Error::Locked { path: storage.path().to_owned() }) };
        check_vacant(&*storage)?;
        let manifest = new_manifest(properties);
        replace_manifest(&*storage, &manifest).map_err(ReplaceError::into_storage_error)?;
        Self::open_locked(storage, options, lock)
    }

    /// Opens a database for writing.
    pub(crate) fn open(storage: Arc<dyn Storage>, options: EngineOptions) -> Result<Self> {
        // Look before locking: a directory that is no database is not given a LOCK.
        if storage.len(MANIFEST_NAME)?.is_none() {
            return Err(no_manifest(&*storage)?);
        }
        let Some(lock) = storage.lock()? else { return Err(Error::Locked { path: storage.path().to_owned() }) };
        Self::open_locked(storage, options, lock)
    }

    fn open_locked(storage: Arc<dyn Storage>, options: EngineOptions, lock: Box<dyn StorageLock>) -> Result<Self> {
        let Some(manifest) = Generation::read_manifest(&*storage)? else { return Err(no_manifest(&*storage)?) };
        let wal_first = manifest.wal_first;
        let opened = open_state(&*storage, manifest, None, false).map_err(OpenError::into_error)?;
        let end = opened.log.end();
        if opened.report.unclean {
            make_durable(&*storage, end)?;
        }
        remove_left_overs(&*storage, &opened.view.generation, &opened.log)?;
        let writer = Writer {
            lock: Some(lock),
            allocation: opened.allocation.clone(),
            sequence: opened.log.sequence(),
            stamp: opened.stamp,
            log: None,
            log_end: end,
            active_wal_first: wal_first,
            poisoned: None,
        };
        Ok(Self::new(storage, options, opened, Some(writer)))
    }

    /// Opens a database for reading: takes no lock, writes nothing.
    pub(crate) fn open_read_only(storage: Arc<dyn Storage>, options: EngineOptions) -> Result<Self> {
        let opened = open_current(&*storage, None)?;
        Ok(Self::new(storage, options, opened, None))
    }

    fn new(storage: Arc<dyn Storage>, options: EngineOptions, opened: Opened, writer: Option<Writer>) -> Self {
        let sequence = opened.log.sequence();
        // A log takes a file whatever is in it: many short ones are worth a checkpoint, too.
        let log_count = (opened.log.end().number + 1).saturating_sub(opened.view.generation.manifest.wal_first);
        let logs_len = options.auto_checkpoint.log_len.map_or(0, |len| log_count.saturating_mul(len / LOG_COUNT_MAX));
        let report = OpenReport {
            records_replayed: opened.report.records,
            bytes_dropped: opened.report.bytes_dropped,
            unclean_close: opened.report.unclean,
        };
        let reader =
            writer.is_none().then_some(Reader { log: opened.log, allocation: opened.allocation, stamp: opened.stamp });
        Self {
            storage,
            options,
            view: ArcSwap::from_pointee(opened.view),
            published: AtomicU64::new(sequence),
            appended: AtomicU64::new(sequence),
            writer: writer.map(Mutex::new),
            sync: GroupSync::new(sequence),
            backlog: Backlog::new(opened.report.records_len.saturating_add(logs_len)),
            maintenance: Maintenance::new(),
            merging: Merging::new(),
            replaced: Mutex::default(),
            reader: Mutex::new(reader),
            report,
        }
    }

    /// Bytes of log since the last checkpoint started, or was last tried.
    pub(crate) fn log_len(&self) -> u64 {
        self.backlog.since_try()
    }

    /// Bytes of memory that building a file may take.
    pub(crate) fn memory_budget(&self) -> usize {
        self.options.memory_budget
    }

    /// Whether it was opened for reading only.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_read_only(&self) -> bool {
        self.writer.is_none()
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Bytes of all files, and of the logs among them.
    pub(crate) fn sizes(&self, state: &State) -> Result<(u64, u64)> {
        let generation = &state.view.generation;
        let manifest_len = generation.manifest.encode().len() as u64;
        let files: u64 = generation.files().iter().map(|(_, len)| len).sum();
        let mut logs = 0;
        for name in self.storage.list()?.iter().filter(|name| wal_number(name).is_some()) {
            logs += self.storage.len(name)?.unwrap_or(0);
        }
        Ok((manifest_len + files + logs, logs))
    }

    /// Remembers a generation that another one takes the place of.
    pub(super) fn replace(&self, generation: &Arc<Generation>) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.retain(|generation| generation.strong_count() > 0);
        replaced.push(Arc::downgrade(generation));
    }

    /// Bytes of files that are no longer part of the database, and are kept by snapshots of this process.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        let current: HashSet<String> = self.view.load().generation.files().into_iter().map(|(name, _)| name).collect();
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let held = replaced.iter().filter_map(Weak::upgrade);
        let files: BTreeMap<String, u64> = held.flat_map(|generation| generation.files()).collect();
        files.into_iter().filter(|(name, _)| !current.contains(name)).map(|(_, len)| len).sum()
    }

    pub(crate) fn report(&self) -> OpenReport {
        self.report
    }

    pub(super) fn hash_seed(&self) -> u64 {
        self.view.load().generation.manifest.hash_seed
    }

    /// The state after the last published commit.
    pub(crate) fn state(&self) -> State {
        // The view first: a newer sequence number is then cut down to what the view knows, an older one never occurs with a
        // view that has forgotten it.
        let view = self.view.load_full();
        let moment = view.moment(self.published.load(Ordering::Acquire));
        State { view, moment }
    }

    /// Sees what other processes have committed. False when nothing was.
    pub(crate) fn refresh(&self) -> Result<bool> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reader) = reader.as_mut() else { return Ok(false) };
        let before = self.published.load(Ordering::Acquire);
        let view = self.view.load_full();
        let replaced = !self.read_tail(reader, &view)?;
        if replaced {
            let opened = open_current(&*self.storage, Some(&view.generation))?;
            if opened.view.generation.manifest.database_id != view.generation.manifest.database_id {
                // Another database was made in the place of this one.
                return Err(Error::NotFound { path: self.storage.path().to_owned() });
            }
            self.replace(&view.generation);
            *reader = Reader { log: opened.log, allocation: opened.allocation, stamp: opened.stamp };
            self.view.store(Arc::new(opened.view));
        }
        self.published.store(reader.log.sequence(), Ordering::Release);
        Ok(replaced || reader.log.sequence() != before)
    }

    /// Reads what was logged since; false when the files were replaced, so that all must be opened again.
    fn read_tail(&self, reader: &mut Reader, view: &View) -> Result<bool> {
        let current = &view.generation.manifest;
        let same = |manifest: &Manifest| {
            (manifest.database_id, manifest.generation, manifest.wal_first)
                == (current.database_id, current.generation, current.wal_first)
        };
        if !Generation::read_manifest(&*self.storage)?.is_some_and(|manifest| same(&manifest)) {
            return Ok(false);
        }
        let mut replay = Replay::new(view, &mut reader.allocation, reader.stamp);
        let result = reader.log.read(&*self.storage, true, &mut |record| replay.apply(record));
        reader.stamp = replay.stamp();
        if Generation::read_manifest(&*self.storage)?.is_some_and(|manifest| same(&manifest)) {
            return result.map(|_| true);
        }
        Ok(false)
    }

    /// Makes everything durable, records where the log ends, and lets go of the lock. Later calls do nothing.
    pub(crate) fn close(&self) -> Result<()> {
        // The lock of the directory is held while any file is being written.
        let _no_merge = self.no_merge()?;
        let _maintenance = self.maintenance.enter()?;
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        match self.check(&mut writer) {
            Err(Error::Closed) => return Ok(()),
            // Nothing is marked as clean; whoever opens the database next recovers.
            Err(error) => {
                writer.lock = None;
                return Err(error);
            }
            Ok(()) => {}
        }
        let result = self.seal(&mut writer);
        if let Err(error) = &result {
            self.poison(&mut writer, error);
        }
        writer.lock = None;
        result
    }

    fn seal(&self, writer: &mut Writer) -> Result<()> {
        self.sync_all(writer)?;
        self.publish(writer.sequence);
        if let Some(log) = &mut writer.log {
            log.trim()?;
            writer.log_end = log.end();
            writer.log = None;
        }
        let mut manifest = self.view.load().generation.manifest.clone();
        let end = writer.log_end;
        let seal = Seal { number: end.number, len: end.len, sequence: writer.sequence };
        let has_logs = end.number >= manifest.wal_first;
        if !has_logs || manifest.seal == Some(seal) {
            return Ok(());
        }
        manifest.seal = Some(seal);
        replace_manifest(&*self.storage, &manifest).map_err(|error| error.into_storage_error().into())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`. A poisoned writer is left as it is, so that the next open recovers.
        let _unreported = self.close();
    }
}

/// Refuses a directory that holds a database, or anything else.
fn check_vacant(storage: &dyn Storage) -> Result<()> {
    let names = storage.list()?;
    if names.iter().any(|name| name == MANIFEST_NAME) {
        return Err(Error::AlreadyExists { path: storage.path().to_owned() });
    }
    // What a crash while creating leaves. Base files and logs without a manifest are what is left of a database.
    let ours = |name: &String| name == crate::storage::LOCK_NAME || name == MANIFEST_TEMPORARY;
    match names.iter().find(|name| !ours(name)) {
        Some(other) => Err(Error::not_empty(storage.path(), other)),
        None => Ok(()),
    }
}

/// The manifest of an empty database.
pub(super) fn new_manifest(properties: Vec<u8>) -> Manifest {
    let mut database_id = [0; 16];
    let bytes = random().to_le_bytes().into_iter().chain(random().to_le_bytes());
    for (to, from) in database_id.iter_mut().zip(bytes) {
        *to = from;
    }
    Manifest {
        database_id,
        generation: 0,
        last_sequence: 0,
        last_commit_time: NO_COMMIT_TIME,
        created_at: now(),
        wal_first: 1,
        seal: None,
        next_file_id: 1,
        next_dimension_id: 0,
        slot_count: 0,
        point_count: 0,
        hash_seed: random(),
        axis: None,
        dimensions: Vec::new(),
        patches: Vec::new(),
        properties,
    }
}

/// Puts a manifest in place.
pub(super) fn replace_manifest(storage: &dyn Storage, manifest: &Manifest) -> Result<(), ReplaceError> {
    storage.replace(MANIFEST_NAME, MANIFEST_TEMPORARY, &manifest.encode())
}

/// What it means that there is no manifest: no database, or one that has lost it.
fn no_manifest(storage: &dyn Storage) -> Result<Error> {
    let names = match storage.list() {
        Ok(names) => names,
        // The directory is gone, too.
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(if names.iter().any(|name| is_data_name(name) || wal_number(name).is_some()) {
        let invalid = Invalid::new(0, "file", "it is missing, and files that it should name are there");
        Error::corrupt(&storage.path().join(MANIFEST_NAME), invalid)
    } else {
        Error::NotFound { path: storage.path().to_owned() }
    })
}

/// A database as it was found.
struct Opened {
    view: View,
    log: LogReader,
    report: LogReport,
    allocation: Allocation,
    stamp: u64,
}

/// Opens the files of a manifest and replays the log.
fn open_state(
    storage: &dyn Storage,
    manifest: Manifest,
    previous: Option<&Generation>,
    live: bool,
) -> Result<Opened, OpenError> {
    let next_dimension = u32::try_from(manifest.next_dimension_id).unwrap_or(u32::MAX - 1);
    let mut allocation = Allocation::new(FreeSlots::new(manifest.slot_count), manifest.point_count, next_dimension);
    let mut log = LogReader::new(&manifest);
    let overlay = Overlay::new(manifest.last_sequence, manifest.hash_seed, manifest.slot_count);
    let generation = Arc::new(Generation::open(storage, manifest, previous)?);
    let view = View { generation, frozen: None, active: Arc::new(overlay) };
    let mut replay = Replay::new(&view, &mut allocation, 0);
    let report = log.read(storage, live, &mut |record| replay.apply(record))?;
    let stamp = replay.stamp();
    Ok(Opened { view, log, report, allocation, stamp })
}

/// Opens what `MANIFEST` names now, starting again while a writer replaces it.
fn open_current(storage: &dyn Storage, previous: Option<&Generation>) -> Result<Opened> {
    for _ in 0..REOPEN_TRIES {
        let Some(manifest) = Generation::read_manifest(storage)? else { return Err(no_manifest(storage)?) };
        let opened = open_state(storage, manifest.clone(), previous, true);
        // A log may have been removed while it was read: only an unchanged manifest makes what was read whole.
        let unchanged = Generation::read_manifest(storage)?
            .is_some_and(|now| now.generation == manifest.generation && now.wal_first == manifest.wal_first);
        match opened {
            Ok(opened) if unchanged => return Ok(opened),
            Err(error) if unchanged => return Err(error.into_error()),
            _ => {}
        }
    }
    Err(Error::Io {
        path: storage.path().to_owned(),
        operation: "keep up with the writer of",
        source: std::io::ErrorKind::TimedOut.into(),
    })
}

/// Makes the good part of a log durable: what was found there is about to be shown and built upon, and must not be lost any
/// more. It is written again in its place, since after a failed fsync the kernel may hold it in memory, take it for clean, and
/// have nothing to do when asked to sync.
fn make_durable(storage: &dyn Storage, end: LogEnd) -> Result<()> {
    if end.len > 0 {
        let name = wal_name(end.number);
        let bytes = storage.read(&name)?.unwrap_or_default();
        let file = storage.open_write(&name)?;
        file.write_at(0, bytes.get(..end.len as usize).unwrap_or(&bytes))?;
        file.sync_data()?;
    }
    Ok(storage.sync_directory()?)
}

/// Removes what a crash left: files of ours that nothing names.
fn remove_left_overs(storage: &dyn Storage, generation: &Generation, log: &LogReader) -> Result<()> {
    let files: HashSet<String> = generation.files().into_iter().map(|(name, _)| name).collect();
    let names = storage.list()?;
    if names.iter().filter_map(|name| wal_number(name)).any(|number| number > log.end().number) {
        let invalid = Invalid::new(0, "log", "the file is missing, and later logs are there");
        return Err(Error::corrupt(&storage.path().join(wal_name(log.end().number + 1)), invalid));
    }
    let first = generation.manifest.wal_first;
    let stray = |name: &&String| {
        *name == MANIFEST_TEMPORARY
            || is_scratch_name(name)
            || (is_data_name(name) && !files.contains(*name))
            || wal_number(name).is_some_and(|number| number < first)
    };
    let strays: Vec<&String> = names.iter().filter(stray).collect();
    if strays.is_empty() {
        return Ok(());
    }
    // The manifest that was read may not be the durable one yet: its predecessor must not be robbed of its files.
    storage.sync_directory()?;
    for name in strays {
        storage.remove(name)?;
    }
    Ok(())
}
