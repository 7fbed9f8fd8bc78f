//! Building a new database from records, without the log, in bounded memory.
//!
//! Records are gathered in batches. A thread takes these apart into streams by row (`record_streams.rs`) while the caller makes more.
//! When all are there, rows get their slots: keys are numbered as the contents of a heap are, so that a key that came before leads to
//! the slot of its first row. Then the files are built (`load_files.rs`).

use super::database::{new_manifest, replace_manifest};
use super::load_files::Rows;
use super::load_pipeline::{LoadPipeline, broken};
use super::meter::Meter;
use super::record_batch::{LongValues, RecordBatch};
use super::record_streams::{Origin, RecordStreams};
use super::value_streams::GENERATION;
use super::workers::thread_limit;
use super::writer::now;
use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::format::value;
use crate::model::{AnyValue, KeyRef, NAME_LEN_MAX, Slot, VALUE_LEN_MAX, ValueRef, ValueTooLarge};
use crate::progress::ProgressFn;
use crate::storage::{ReplaceError, Storage};
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Bytes of a batch, where the memory budget is not small.
const BATCH_LEN: usize = 512 << 10;
/// The shortest batch that is worth handing over to a thread.
const BESIDE_LEN_MIN: usize = 64 << 10;

/// Gathers records. What files it writes mean something only once [`finish`](Self::finish) is done.
#[derive(Debug)]
pub(crate) struct Loader {
    manifest: Manifest,
    memory_budget: usize,
    /// The most that take records and build files; `None` for as many as the system runs at a time.
    threads: Option<usize>,
    pipeline: LoadPipeline,
    /// Records that are not in the streams yet.
    batch: RecordBatch,
    batch_len: usize,
    row_count: u32,
    dimensions: Vec<Dimension>,
    by_name: HashMap<Box<str>, usize>,
    /// The dimension after the one that was found last: records mostly name the same ones in the same order.
    guess: usize,
    /// Numbers the records, refused ones included.
    record: u64,
    /// A record could be written in part only.
    is_broken: bool,
}

#[derive(Debug)]
struct Dimension {
    name: Box<str>,
    /// The last record that names it.
    record: u64,
}

impl Loader {
    pub(crate) fn new(storage: Arc<dyn Storage>, memory_budget: usize) -> Self {
        Self {
            manifest: new_manifest(Vec::new()),
            memory_budget,
            threads: None,
            pipeline: LoadPipeline::new(RecordStreams::new(storage, memory_budget)),
            batch: RecordBatch::default(),
            batch_len: batch_len(memory_budget),
            row_count: 0,
            dimensions: Vec::new(),
            by_name: HashMap::new(),
            guess: 0,
            record: 0,
            is_broken: false,
        }
    }

    pub(crate) const fn memory_budget(&self) -> usize {
        self.memory_budget
    }

    /// At most so many threads take records and build files.
    pub(crate) const fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    /// Changes how much memory may be used from here on.
    pub(crate) fn set_memory_budget(&mut self, memory_budget: usize) {
        self.memory_budget = memory_budget;
        self.batch_len = batch_len(memory_budget);
        match self.pipeline.streams() {
            Ok(streams) => streams.set_memory_budget(memory_budget),
            // The next call says so.
            Err(_) => self.is_broken = true,
        }
    }

    /// Adds a record. One whose key came before changes that point.
    pub(crate) fn push<'v, N: AsRef<str>>(
        &mut self,
        key: KeyRef<'_>,
        attributes: impl Iterator<Item = (N, AnyValue<'v>)>,
    ) -> Result<()> {
        self.check_whole()?;
        check_len(key.value())?;
        if self.row_count > Slot::MAX.0 {
            return Err(Error::TooManyPoints);
        }
        self.record += 1;
        let dimension_count = self.dimensions.len();
        let mut long = Vec::new();
        // Until all attributes are there: if what the caller gives panics, the record stays begun.
        self.is_broken = true;
        let gathered = self.gather(attributes, &mut long);
        self.is_broken = false;
        if let Err(error) = gathered {
            self.batch.take_back_all(dimension_count);
            self.undefine(dimension_count);
            return Err(error);
        }
        self.batch.end(key.value());
        self.row_count += 1;
        if long.is_empty() && self.batch.len() < self.batch_len { Ok(()) } else { self.hand_over(&long) }
    }

    /// Adds the attributes of a record to the batch.
    #[inline]
    fn gather<'v, N: AsRef<str>>(
        &mut self,
        attributes: impl Iterator<Item = (N, AnyValue<'v>)>,
        long: &mut LongValues<'v>,
    ) -> Result<()> {
        for (name, value) in attributes {
            let value = value.stored()?;
            let index = self.index_of(name.as_ref())?;
            let Some(dimension) = self.dimensions.get_mut(index) else { continue };
            // Of a name that comes twice, the last value counts.
            if std::mem::replace(&mut dimension.record, self.record) == self.record {
                self.batch.take_back(index, long);
            }
            let canonical = value.as_ref().canonical();
            if !self.batch.add(index, canonical) {
                check_len(canonical)?;
                long.push((index, value));
            }
        }
        Ok(())
    }

    /// Hands the batch over to the streams, with the long values of its last record.
    #[cold]
    fn hand_over(&mut self, long: &LongValues<'_>) -> Result<()> {
        // Of long keys there is one at a time.
        let is_usual = self.batch.len() < 2 * self.batch_len;
        let beside = is_usual && self.batch_len >= BESIDE_LEN_MIN && thread_limit(self.threads) > 1;
        let Manifest { database_id, hash_seed, .. } = self.manifest;
        let taken = self.pipeline.take(&mut self.batch, long, (Origin { database_id, hash_seed }, beside));
        self.is_broken |= taken.is_err();
        taken
    }

    /// Takes back the dimensions from an index on, which have no value.
    fn undefine(&mut self, from: usize) {
        for dimension in self.dimensions.drain(from..) {
            self.by_name.remove(&dimension.name);
        }
        self.guess = 0;
    }

    fn check_whole(&self) -> Result<()> {
        if self.is_broken { Err(broken()) } else { Ok(()) }
    }

    /// Makes a dimension before it is used, so that it has its place among the others.
    pub(crate) fn dimension(&mut self, name: &str) -> Result<()> {
        self.index_of(name).map(|_| ())
    }

    #[inline]
    fn index_of(&mut self, name: &str) -> Result<usize> {
        let index = match self.dimensions.get(self.guess) {
            Some(dimension) if are_same(dimension.name.as_bytes(), name.as_bytes()) => self.guess,
            _ => self.look_up(name)?,
        };
        self.guess = if index + 1 < self.dimensions.len() { index + 1 } else { 0 };
        Ok(index)
    }

    #[cold]
    fn look_up(&mut self, name: &str) -> Result<usize> {
        match self.by_name.get(name) {
            Some(&index) => Ok(index),
            None => self.define(name),
        }
    }

    fn define(&mut self, name: &str) -> Result<usize> {
        check_name(name)?;
        let index = self.dimensions.len();
        self.dimensions.push(Dimension { name: name.into(), record: 0 });
        self.by_name.insert(name.into(), index);
        Ok(index)
    }

    /// Writes the database into its empty directory. Returns the number of points and of records that were merged.
    pub(crate) fn finish(mut self, progress: &mut ProgressFn<'_>) -> Result<(u64, u64)> {
        self.check_whole()?;
        if self.batch.record_count() > 0 {
            self.hand_over(&Vec::new())?;
        }
        let Self { mut manifest, memory_budget, threads, pipeline, row_count, dimensions, .. } = self;
        let mut streams = pipeline.finish()?;
        streams.define(dimensions.len());
        let storage = Arc::clone(streams.spill.storage());
        manifest.generation = GENERATION;
        if row_count > 0 {
            manifest.last_sequence = 1;
            manifest.last_commit_time = now();
        }
        let files = dimensions.len() as u64 + 1;
        let mut meter = Meter::new(progress, "writing columns", files * u64::from(row_count));
        let mut rows = Rows::new(&streams, row_count, memory_budget);
        if streams.keys.may_repeat() {
            rows.merge(manifest.hash_seed, (threads, &mut meter))?;
            meter.set_total(files * u64::from(rows.slot_count));
        }
        rows.write_files(&mut manifest, (threads, &mut meter))?;
        let (slot_count, unsynced, is_large) = (rows.slot_count, std::mem::take(&mut rows.unsynced), rows.threads > 1);
        drop(rows);
        free_beside(streams, is_large, || unsynced.sync())?;
        for (index, (entry, dimension)) in manifest.dimensions.iter_mut().zip(dimensions).enumerate() {
            entry.id = index as u32;
            entry.name = dimension.name.into();
        }
        manifest.next_dimension_id = manifest.dimensions.len() as u64;
        storage.sync_directory()?;
        replace_manifest(&*storage, &manifest).map_err(ReplaceError::into_storage_error)?;
        let points = u64::from(slot_count);
        Ok((points, u64::from(row_count) - points))
    }
}

/// Does something while large streams are freed by a thread of their own: their temporary file takes a while to remove.
fn free_beside(streams: RecordStreams, are_large: bool, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if !are_large {
        drop(streams);
        return work();
    }
    // Where there can be no thread they are freed at once.
    let thread = thread::Builder::new().spawn(move || drop(streams));
    let done = work();
    if let Ok(Err(panic)) = thread.map(JoinHandle::join) {
        resume_unwind(panic);
    }
    done
}

/// Whether two names are the same, without a call where they are short.
#[inline]
fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The first and the last bytes, which overlap.
    match one.len() {
        4..=8 => (one.first_chunk::<4>(), one.last_chunk::<4>()) == (other.first_chunk(), other.last_chunk()),
        9..=16 => (one.first_chunk::<8>(), one.last_chunk::<8>()) == (other.first_chunk(), other.last_chunk()),
        2 | 3 => (one.first_chunk::<2>(), one.last_chunk::<2>()) == (other.first_chunk(), other.last_chunk()),
        _ => one == other,
    }
}

/// Bytes of a batch; two are there at a time.
fn batch_len(memory_budget: usize) -> usize {
    BATCH_LEN.min(memory_budget / 32)
}

fn check_len(value: ValueRef<'_>) -> Result<()> {
    match value {
        // Most keys.
        ValueRef::Int(_) => Ok(()),
        value if value::payload_len(value) > VALUE_LEN_MAX => Err(ValueTooLarge.into()),
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.len() <= NAME_LEN_MAX {
        return Ok(());
    }
    let len = name.len();
    Err(Error::invalid_argument(format!(
        "the name of a dimension has at most {NAME_LEN_MAX} bytes, this one has {len}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::workers::thread_count;
    use crate::storage::MemoryStorage;
    use std::collections::BTreeMap;

    /// The files that a load with so much memory writes, but for the manifest, which has the time.
    fn load(budget: usize, duplicates: bool) -> BTreeMap<String, Vec<u8>> {
        let storage = MemoryStorage::new();
        let mut loader = Loader::new(Arc::new(storage.clone()), budget);
        loader.manifest.database_id = [7; 16];
        loader.manifest.hash_seed = 9;
        let mut state = 5u64;
        let mut random = move || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            state >> 16
        };
        for n in 0..30_000u64 {
            let key = if duplicates { random() % 20_000 } else { random() << 20 | n };
            let bits = random();
            let (name, city) = (format!("{bits:x}"), format!("City {}", bits % 20_000));
            let tag = if bits % 2 == 0 { ValueRef::Int(bits.into()) } else { ValueRef::Text(&city) };
            let values = [
                ("age", ValueRef::Int((bits % 100).into())),
                ("name", ValueRef::Text(&name)),
                ("city", ValueRef::Text(&city)),
                ("score", ValueRef::Float(f64::from_bits(bits))),
                ("mixed", tag),
                ("large", ValueRef::Int(bits.into())),
            ];
            let values = values.into_iter().enumerate().filter(|(index, _)| bits >> (8 + index) & 3 != 0);
            let values = values.map(|(_, (name, value))| (name, value.into()));
            loader.push(KeyRef::from(key), values).unwrap();
        }
        let (points, merged) = loader.finish(&mut crate::progress::ignore).unwrap();
        assert_eq!(points + merged, 30_000);
        assert_eq!(merged > 0, duplicates);
        let mut files = storage.files();
        files.remove(crate::format::manifest::MANIFEST_NAME).unwrap();
        files
    }

    /// What is in the files is settled by the records: no change of how they are built may change it.
    #[test]
    fn the_files_are_those_that_the_first_loader_wrote() {
        let checksums = |duplicates| -> Vec<u32> {
            load(1 << 30, duplicates).into_values().map(|bytes| crc32fast::hash(&bytes)).collect()
        };
        let without = [1654075705, 2149246784, 1091229579, 853913033, 1507311129, 3985533583, 4243789494];
        let with = [1823979254, 193540646, 2592354430, 1615913639, 1860850885, 2029761937, 1105903269];
        assert_eq!(checksums(false), without);
        assert_eq!(checksums(true), with);
    }

    #[test]
    fn the_files_do_not_depend_on_the_number_of_threads() {
        let all = |threads, (keys, budget): (u64, usize)| {
            let storage = MemoryStorage::new();
            let mut loader = Loader::new(Arc::new(storage.clone()), budget);
            (loader.manifest.database_id, loader.manifest.hash_seed) = ([7; 16], 9);
            loader.set_threads(threads);
            for n in 0..900_000u64 {
                let bits = n.wrapping_mul(0x5851_F42D_4C95_7F2D) >> 20;
                let (name, key) = (format!("{:x}", bits % 90_000), KeyRef::from(n % keys * 3));
                let values = [("few", (bits % 9).into()), ("name", AnyValue::from(&*name)), ("number", bits.into())];
                loader.push(key, values.into_iter().take(1 + (bits % 4) as usize)).unwrap();
            }
            let mut reports = 0;
            let mut count = |progress: crate::progress::Progress| {
                reports += u64::from(progress.done > 0);
                std::ops::ControlFlow::Continue(())
            };
            let (points, merged) = loader.finish(&mut count).unwrap();
            assert_eq!((reports > 0, merged), (true, 900_000 - keys));
            assert_eq!(thread_count(Some(threads), points * 4), threads.max(1));
            let mut files = storage.files();
            files.remove(crate::format::manifest::MANIFEST_NAME).unwrap();
            files
        };
        // With more memory, and if no key repeats, names are dealt out, and numbered by all threads.
        for case in [(820_000, 8 << 20), (900_000, 128 << 20)] {
            let one = all(1, case);
            assert_eq!(one.len(), 4);
            for threads in [0, 3] {
                assert!(all(threads, case) == one, "with {threads} threads, keys and memory {case:?}");
            }
        }
    }

    /// With much memory values are kept in one form or another as they come, and a thread takes them; with little they are not.
    #[test]
    fn the_files_do_not_depend_on_how_values_are_kept_until_they_are_written() {
        const ROWS: u64 = 150_000;
        type KeyOf = fn(u64, u64) -> u64;
        let all = |budget: usize, threads, (keys, repeats): (KeyOf, bool)| {
            let storage = MemoryStorage::new();
            let mut loader = Loader::new(Arc::new(storage.clone()), budget);
            (loader.manifest.database_id, loader.manifest.hash_seed) = ([7; 16], 9);
            loader.set_threads(threads);
            for n in 0..ROWS {
                let bits = n.wrapping_mul(0x5851_F42D_4C95_7F2D);
                let key = keys(n, bits);
                let (name, long) = (format!("{}", bits >> 47), "y".repeat(5000 + (n % 3) as usize));
                let early = if n < 100_000 { ValueRef::Int(n.into()) } else { ValueRef::Text(&name) };
                let values = [
                    ("name", ValueRef::Text(&name)),
                    ("score", ValueRef::Float(bits as f64)),
                    ("sparse name", ValueRef::Text(&name)),
                    ("sparse number", ValueRef::Int((bits >> 3).into())),
                    ("few", ValueRef::Bool(n % 3 == 0)),
                    ("early", early),
                    ("large", ValueRef::Int((bits | 1 << 63).into())),
                    ("long", ValueRef::Text(&long)),
                ];
                let is_sparse = |name: &str| name.starts_with("sparse");
                let values = values.into_iter().filter(|(name, _)| {
                    let is_there = *name != "long" || n % 10_000 == 0;
                    is_there && (!is_sparse(name) || bits >> 60 == 0 || n / 20_000 == 3)
                });
                loader.push(KeyRef::from(key), values.map(|(name, value)| (name, value.into()))).unwrap();
            }
            let (points, merged) = loader.finish(&mut crate::progress::ignore).unwrap();
            assert_eq!((points + merged, merged > 0), (ROWS, repeats));
            let mut files = storage.files();
            files.remove(crate::format::manifest::MANIFEST_NAME).unwrap();
            files
        };
        // Also those that ascend, to the end or nearly.
        let cases: [(&str, KeyOf, bool); 4] = [
            ("scattered", |_, bits| bits, false),
            ("repeated", |_, bits| (bits >> 40) % 140_000, true),
            ("ascending", |n, _| n * 3, false),
            ("nearly ascending", |n, _| if n < ROWS - 1 { n * 3 } else { 60_000 }, true),
        ];
        for (case, keys, repeats) in cases {
            let plain = all(1 << 20, 1, (keys, repeats));
            assert_eq!(plain.len(), 9);
            for (budget, threads) in [(16 << 20, 2), (256 << 20, 1), (256 << 20, 3)] {
                for (name, bytes) in all(budget, threads, (keys, repeats)) {
                    let is_same = bytes == plain[&name];
                    assert!(is_same, "{name} is another one with {budget} bytes, {threads} threads, {case} keys");
                }
            }
        }
    }

    #[test]
    fn the_files_do_not_depend_on_the_budget() {
        for duplicates in [false, true] {
            let whole = load(1 << 30, duplicates);
            assert_eq!(whole.len(), 7);
            for budget in [0, 1 << 20] {
                let bounded = load(budget, duplicates);
                assert!(bounded.keys().eq(whole.keys()));
                for (name, bytes) in &bounded {
                    assert!(*bytes == whole[name], "{name} is another one with a budget of {budget}");
                }
            }
        }
    }
}
