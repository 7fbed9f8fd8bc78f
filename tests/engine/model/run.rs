//! A run: random operations on a database and on the model, compared at each step.

use super::canonical::check_file;
use super::compare::{Held, check_owned, check_point, check_samples, check_snapshot, check_stats};
use super::place::Place;
use super::plain::{Moment, Plain, PlainKey};
use super::profile::{Kind, Profile};
use crate::support::random::Random;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use vector_datalib::{
    CompactOptions, Error, NAME_LEN_MAX, NESTING_MAX, Options, Progress, Result, Slot, Value, VectorDb,
};

/// Held snapshots, and open readers, at a time.
const HELD_MAX: usize = 4;

/// Dimensions of a run, at most.
const DIMENSIONS_MAX: usize = 20;

/// A read-only handle and what it shows until it is refreshed.
#[derive(Debug)]
struct Reader {
    db: VectorDb,
    contents: Arc<Moment>,
}

#[derive(Debug)]
pub(crate) struct Run {
    random: Random,
    profile: Profile,
    place: Place,
    db: VectorDb,
    plain: Plain,
    held: Vec<Held>,
    readers: Vec<Reader>,
    /// The commits that the last checkpoint covers; `None` when a cancelled one leaves that open.
    checkpointed: Option<u64>,
    /// Whether a checkpoint was cancelled and not made up for.
    pending: bool,
    /// The commits at the last orderly close.
    sealed: u64,
    created_at: String,
    /// The time of the last commit, as it was given for so many commits.
    last_modified: (u64, String),
    /// One of so many changes is a deletion, for a while.
    deletion: usize,
    trace: bool,
    /// The operation that is under way, counted from 1.
    step: usize,
}

/// The attributes of a record.
type Attributes = Vec<(Arc<str>, Value)>;

impl Run {
    pub(crate) fn new(random: Random, profile: Profile, place: Place) -> Self {
        let db = place.create(&Options::new().durability(profile.durability)).unwrap();
        assert!(db.open_report().records_replayed == 0 && !db.open_report().unclean_close);
        Self::resume(random, profile, place, db, Plain::default())
    }

    /// Goes on with a database that holds what the model says, all of it in base files.
    pub(crate) fn resume(random: Random, profile: Profile, place: Place, db: VectorDb, plain: Plain) -> Self {
        let sequence = plain.contents.sequence;
        let metadata = db.stats().unwrap().metadata;
        let trace = std::env::var_os("VECTOR_TRACE").is_some();
        Self {
            random,
            profile,
            place,
            db,
            plain,
            held: Vec::new(),
            readers: Vec::new(),
            checkpointed: Some(sequence),
            pending: false,
            sealed: 0,
            created_at: metadata.created_at,
            last_modified: (sequence, metadata.last_modified),
            deletion: 3,
            trace,
            step: 0,
        }
    }

    /// Random operations; `step` is the number of the one that is under way.
    pub(crate) fn operations(&mut self, count: usize, step: &Cell<usize>) {
        for _ in 0..count {
            let kind = self.profile.kind(&mut self.random);
            self.operation(kind, step);
        }
    }

    /// Compares everything once more.
    pub(crate) fn finish(mut self) {
        self.check();
        self.held.iter().for_each(Held::check);
        self.reopen();
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:6} {}", self.step, super::compare::shorten(&text()));
        }
    }

    pub(crate) fn operation(&mut self, kind: Kind, step: &Cell<usize>) {
        self.step += 1;
        step.set(self.step);
        if kind != Kind::Change && kind != Kind::Read {
            self.trace(|| format!("{kind:?}"));
        }
        match kind {
            Kind::Change => self.change(),
            Kind::Read => self.read(),
            Kind::Refused => self.refused(),
            Kind::Hold => self.hold(),
            Kind::CheckHeld => self.check_held(),
            Kind::Reader => self.open_reader(),
            Kind::Refresh => self.refresh(),
            Kind::Full => self.check(),
            Kind::Save => self.save(),
            Kind::Compact => self.compact(),
            Kind::Pack => self.pack(),
            Kind::Position => self.position(),
            Kind::Reopen => self.reopen(),
            Kind::Crash => self.crash(),
            Kind::Export => self.export(),
        }
    }

    // Choosing.

    fn key(&mut self) -> PlainKey {
        let slots = &self.plain.contents.slots;
        if !slots.is_empty() && self.random.one_in(3) {
            let slot = self.random.below(slots.len());
            if let Some(point) = &slots[slot] {
                return point.key.clone();
            }
        }
        if let Some(first) = self.profile.dense
            && self.random.one_in(2)
        {
            let slot = self.plain.lowest_free();
            return PlainKey::new(Value::Int(i128::from(first) + i128::from(slot)));
        }
        self.random.pick(&self.profile.keys).clone()
    }

    fn name(&mut self) -> Arc<str> {
        if self.random.one_in(30) {
            return "nobody uses this one".into();
        }
        Arc::clone(&self.random.pick(&self.profile.dimensions).name)
    }

    fn attributes(&mut self) -> Attributes {
        let random = &mut self.random;
        let mut attributes = Attributes::new();
        if random.one_in(12) {
            return attributes;
        }
        let dimensions = &self.profile.dimensions;
        let first = random.below(dimensions.len());
        for dimension in dimensions[first..].iter().chain(&dimensions[..first]) {
            if random.one_in(dimension.sparsity) {
                attributes.push((Arc::clone(&dimension.name), dimension.value(random)));
            }
        }
        if random.one_in(10) {
            // A name that comes twice: the last value counts.
            let dimension = random.pick(dimensions);
            attributes.push((Arc::clone(&dimension.name), dimension.value(random)));
        }
        let known = self.plain.contents.dimensions.len();
        if known < DIMENSIONS_MAX && random.one_in(40 * (known + 1)) {
            attributes.push((format!("new {known}").into(), self.profile.dimensions[0].value(random)));
        }
        attributes
    }

    // Changing.

    fn change(&mut self) {
        if self.random.one_in(60) {
            self.deletion = *self.random.pick(&[1, 2, 2, 3, 5, 20]);
        }
        let deletes =
            self.deletion == 1 && !self.random.one_in(8) || self.deletion > 1 && self.random.one_in(self.deletion);
        match (deletes, self.random.below(8)) {
            (true, 0..=1) => self.remove_attribute(),
            (true, 2..=3) => self.batch_delete(),
            (true, _) => self.delete(),
            (false, 0..=1) => self.batch_upsert(),
            (false, _) => self.upsert(),
        }
        self.check_progress();
    }

    /// What every operation must leave right, cheap enough to be asked each time.
    fn check_progress(&mut self) {
        let contents = &self.plain.contents;
        assert_eq!(self.db.len(), self.plain.point_count(), "number of points");
        let snapshot = self.db.snapshot();
        assert_eq!(snapshot.slot_count(), contents.slots.len() as u64, "number of slots");
        assert_eq!(snapshot.sequence(), contents.sequence, "commits");
    }

    fn upsert(&mut self) {
        let (key, attributes) = (self.key(), self.attributes());
        self.trace(|| format!("upsert {:?} {attributes:?}", key.key));
        let slot = self.db.upsert(key.key.clone(), attributes.clone()).unwrap();
        let expected = self.plain.upsert(&key, None, &attributes);
        self.plain.contents.sequence += 1;
        assert_eq!(slot, Slot(expected), "slot of {:?}", key.key);
        self.check_key(&key);
    }

    fn batch_upsert(&mut self) {
        let count = self.random.below(self.profile.batch_max + 1);
        let records = self.records(count);
        self.trace(|| format!("batch_upsert {records:?}"));
        let batch = records.iter().map(|(key, attributes)| (key.key.clone(), attributes.clone()));
        let slots = self.db.batch_upsert(batch).unwrap();
        let expected = records.iter().map(|(key, attributes)| Slot(self.plain.upsert(key, None, attributes)));
        assert_eq!(slots, expected.collect::<Vec<_>>(), "slots of a batch");
        self.plain.contents.sequence += u64::from(!records.is_empty());
    }

    /// Records for a batch, in which keys come again.
    fn records(&mut self, count: usize) -> Vec<(PlainKey, Attributes)> {
        let mut records: Vec<(PlainKey, Attributes)> = Vec::new();
        for _ in 0..count {
            let again = !records.is_empty() && self.random.one_in(4);
            let key = if again { self.random.pick(&records).0.clone() } else { self.key() };
            let attributes = self.attributes();
            records.push((key, attributes));
        }
        records
    }

    fn remove_attribute(&mut self) {
        let (key, name) = (self.key(), self.name());
        self.trace(|| format!("remove_attribute {:?} {name:?}", key.key));
        let removed = self.db.remove_attribute(&key.key, &name).unwrap();
        assert_eq!(removed, self.plain.remove_attribute(&key, &name), "whether there was {name:?} of {:?}", key.key);
        self.plain.contents.sequence += u64::from(removed);
        self.check_key(&key);
    }

    fn delete(&mut self) {
        let key = self.key();
        self.trace(|| format!("delete {:?}", key.key));
        let deleted = self.db.delete(&key.key).unwrap();
        assert_eq!(deleted, self.plain.delete(&key), "whether there was {:?}", key.key);
        self.plain.contents.sequence += u64::from(deleted);
        self.check_key(&key);
    }

    fn batch_delete(&mut self) {
        let keys: Vec<_> = (0..self.random.below(self.profile.batch_max + 1)).map(|_| self.key()).collect();
        self.trace(|| format!("batch_delete {keys:?}"));
        let deleted = self.db.batch_delete(keys.iter().map(|key| &key.key)).unwrap();
        let expected = keys.iter().filter(|key| self.plain.delete(key)).count() as u64;
        assert_eq!(deleted, expected, "keys that were there");
        self.plain.contents.sequence += u64::from(deleted > 0);
    }

    /// Inserts at positions, one or a batch.
    fn position(&mut self) {
        let count = if self.random.one_in(2) { 1 } else { self.random.below(self.profile.batch_max.min(20) + 1) };
        let mut batch = Vec::new();
        // The batch is tried on a copy, which gives the positions that there are when a record's turn comes.
        let mut plain = self.plain.clone();
        for (key, attributes) in self.records(count) {
            let position = match self.random.below(5) {
                0 if count > 1 => None,
                1 => Some(0),
                2 => Some(plain.contents.slots.len() as u32),
                // For a key that is there the position does not matter.
                3 if plain.place(&key).is_some() => Some(u32::MAX),
                _ => Some(self.random.below(plain.contents.slots.len() + 1) as u32),
            };
            plain.upsert(&key, position, &attributes);
            batch.push((key, position, attributes));
        }
        self.trace(|| format!("insert at {batch:?}"));
        let slots = match batch.as_slice() {
            [(key, Some(position), attributes)] if self.random.one_in(2) => {
                vec![self.db.insert_at(key.key.clone(), *position, attributes.clone()).unwrap()]
            }
            _ => {
                let records =
                    batch.iter().map(|(key, position, attributes)| (key.key.clone(), *position, attributes.clone()));
                self.db.batch_insert_at(records).unwrap()
            }
        };
        let expected = batch.iter().map(|(key, ..)| Slot(plain.place(key).expect("it was just put there")));
        assert_eq!(slots, expected.collect::<Vec<_>>(), "slots after the whole batch");
        plain.contents.sequence += u64::from(!batch.is_empty());
        self.plain = plain;
        if batch.iter().any(|(_, position, _)| position.is_some()) {
            self.rewritten();
        }
        self.check();
    }

    /// Every commit is in base files now.
    fn rewritten(&mut self) {
        self.checkpointed = Some(self.plain.contents.sequence);
        self.pending = false;
    }

    /// Calls that are refused and change nothing.
    fn refused(&mut self) {
        let (key, attributes) = (self.key(), self.attributes());
        let error = match self.random.below(4) {
            0 => {
                let mut deep = Value::Null;
                for _ in 0..=NESTING_MAX {
                    deep = Value::Array(vec![deep]);
                }
                let bad = vec![("deep".into(), deep)];
                self.db.batch_upsert([(key.key.clone(), attributes), (key.key, bad)]).unwrap_err()
            }
            1 => self.db.upsert(key.key, [("n".repeat(NAME_LEN_MAX + 1), 1)]).unwrap_err(),
            2 => {
                let Some(reader) = self.readers.first() else { return };
                let error = reader.db.upsert(key.key, attributes).unwrap_err();
                assert!(error.is_read_only(), "{error}");
                return self.check_progress();
            }
            _ => {
                let count = self.random.below(3);
                let batch = self.records(count).into_iter().map(|(key, attributes)| (key.key, Some(0), attributes));
                let past_the_end = self.plain.contents.slots.len() as u32 + count as u32 + 1;
                let new = PlainKey::new(Value::from("nobody uses this one"));
                let last = (new.key, Some(past_the_end), vec![("nobody uses this one".into(), Value::Null)]);
                let error = self.db.batch_insert_at(batch.chain([last])).unwrap_err();
                // The checkpoint that comes before the inserts was made.
                self.rewritten();
                error
            }
        };
        assert!(error.is_invalid_argument(), "{error}");
        assert!(!self.plain.contents.dimensions.iter().any(|name| &**name == "deep"));
        assert!(self.db.snapshot().dimensions().eq(self.plain.contents.dimensions.iter().map(|name| &**name)));
        self.check_progress();
    }

    // Reading.

    fn read(&mut self) {
        if self.random.one_in(4) {
            return check_samples(&self.db, &self.plain.contents, &mut self.random);
        }
        let key = self.key();
        self.check_key(&key);
    }

    fn check_key(&mut self, key: &PlainKey) {
        let place = self.plain.place(key);
        assert_eq!(self.db.contains(&key.key).unwrap(), place.is_some(), "whether {:?} is there", key.key);
        let name = self.name();
        check_owned(self.db.lookup(&key.key, &name).unwrap().as_ref(), self.plain.lookup(key, &name));
        if self.random.one_in(4) {
            let point = self.db.point(&key.key).unwrap();
            assert_eq!(point.is_some(), place.is_some(), "the point of {:?}", key.key);
            if let (Some(point), Some(slot)) = (point, place) {
                check_point(&point, slot as usize, &self.plain.contents);
            }
        }
    }

    fn hold(&mut self) {
        let held = Held { snapshot: self.db.snapshot(), contents: self.plain.moment() };
        self.keep(held);
    }

    fn keep(&mut self, held: Held) {
        if self.held.len() < HELD_MAX {
            self.held.push(held);
        } else {
            let place = self.random.below(HELD_MAX);
            self.held[place].check();
            self.held[place] = held;
        }
    }

    fn check_held(&mut self) {
        if !self.held.is_empty() {
            self.random.pick(&self.held).check();
        }
    }

    fn open_reader(&mut self) {
        let db = self.place.open_read_only().unwrap();
        if let Some(checkpointed) = self.checkpointed {
            assert_eq!(db.open_report().records_replayed, self.plain.contents.sequence - checkpointed);
        }
        let reader = Reader { db, contents: self.plain.moment() };
        check_snapshot(&reader.db.snapshot(), &reader.contents);
        if self.readers.len() < HELD_MAX {
            self.readers.push(reader);
        } else {
            let place = self.random.below(HELD_MAX);
            self.readers[place] = reader;
        }
    }

    fn refresh(&mut self) {
        let current = self.plain.moment();
        let Self { readers, random, held, .. } = self;
        if readers.is_empty() {
            return;
        }
        let place = random.below(readers.len());
        let reader = &mut readers[place];
        check_snapshot(&reader.db.snapshot(), &reader.contents);
        if random.one_in(4) {
            held.push(Held { snapshot: reader.db.snapshot(), contents: Arc::clone(&reader.contents) });
            if held.len() > HELD_MAX {
                held.remove(0).check();
            }
        }
        let changed = reader.db.refresh().unwrap();
        assert_eq!(changed, reader.contents.sequence != current.sequence, "whether there were new commits");
        reader.contents = current;
        check_snapshot(&reader.db.snapshot(), &reader.contents);
        check_samples(&reader.db, &reader.contents, random);
        assert!(!reader.db.refresh().unwrap());
    }

    /// Compares everything.
    fn check(&mut self) {
        let contents = &*self.plain.moment();
        check_snapshot(&self.db.snapshot(), contents);
        check_samples(&self.db, contents, &mut self.random);
        assert!(self.db.dimensions().iter().map(String::as_str).eq(contents.dimensions.iter().map(|name| &**name)));
        let stats = self.db.stats().unwrap();
        let settled = self.checkpointed == Some(contents.sequence) && !self.pending;
        check_stats(&stats, contents, settled);
        assert!(!settled || stats.wal_bytes == 0, "a log of {} bytes after a checkpoint", stats.wal_bytes);
        assert_eq!(stats.file_size_bytes, self.place.files_len(), "files that nothing names, or that are missing");
        assert_eq!(stats.metadata.created_at, self.created_at);
        let (sequence, last_modified) =
            std::mem::replace(&mut self.last_modified, (contents.sequence, stats.metadata.last_modified));
        assert!(sequence != contents.sequence || self.last_modified.1 == last_modified, "nothing was committed");
    }

    fn check_sound(&mut self) {
        self.check();
        self.check_held();
        let report = self.db.verify().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    }

    // Replacing files.

    /// Runs a checkpoint or a compaction, during which there may be commits, or which may be cancelled. Returns whether it
    /// was made.
    fn fold(
        &mut self,
        busy: bool,
        work: impl FnOnce(&VectorDb, &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<()>,
    ) -> bool {
        let before = self.plain.contents.sequence;
        let db = self.db.clone();
        let cancel_at = self.random.one_in(5).then(|| self.random.below(4));
        let (busy, mut calls, mut cancelled) = (busy && self.random.one_in(2), 0, false);
        let result = work(&db, &mut |progress| {
            assert!(progress.total.is_none_or(|total| progress.done <= total), "{progress:?}");
            if cancel_at == Some(calls) {
                cancelled = true;
                return ControlFlow::Break(());
            }
            calls += 1;
            for _ in 0..if busy { self.random.below(4) } else { 0 } {
                self.change();
            }
            if busy && self.random.one_in(4 + self.plain.contents.slots.len() / 1000) {
                self.hold();
                self.check_held();
                check_stats(&self.db.stats().unwrap(), &self.plain.moment(), false);
            }
            ControlFlow::Continue(())
        });
        // Whether what came meanwhile was written depends on whether an older checkpoint was to be made up for.
        let meanwhile = self.pending && self.plain.contents.sequence != before;
        match result {
            Ok(()) => {
                assert!(!cancelled, "it was cancelled and made all the same");
                self.checkpointed = (!meanwhile).then_some(before);
                self.pending = false;
            }
            Err(Error::Cancelled) => {
                assert!(cancelled, "it was not cancelled");
                if self.pending {
                    self.checkpointed = None;
                }
                self.pending = true;
            }
            Err(error) => panic!("{error}"),
        }
        !cancelled
    }

    fn save(&mut self) {
        self.fold(true, |db, progress| db.save_with(progress));
        self.check_sound();
    }

    fn compact(&mut self) {
        self.fold(true, |db, progress| db.compact_with(&CompactOptions::new(), progress));
        self.check_sound();
    }

    fn pack(&mut self) {
        let options = CompactOptions::new().reassign_slots(true);
        if self.fold(false, |db, progress| db.compact_with(&options, progress)) {
            self.plain.pack();
        } else {
            // It may have been cancelled after its checkpoint.
            self.checkpointed = None;
        }
        self.check_sound();
    }

    // Opening.

    fn options(&self) -> Options {
        Options::new().durability(self.profile.durability)
    }

    /// Closes the database, or only drops its handle, and opens it again.
    fn reopen(&mut self) {
        self.check();
        assert!(self.place.open(&self.options()).unwrap_err().is_locked());
        if self.random.one_in(2) {
            let clone = self.db.clone();
            clone.close().unwrap();
            let (key, attributes) = (self.key(), self.attributes());
            assert!(self.db.upsert(key.key.clone(), attributes).unwrap_err().is_closed());
            self.check_key(&key);
            if self.random.one_in(2) {
                self.refresh();
                self.open_reader();
            }
            self.db = self.place.open(&self.options()).unwrap();
        } else {
            // The last handle has to be gone before the next can be opened; a reader takes its place meanwhile.
            self.db = self.place.open_read_only().unwrap();
            self.db = self.place.open(&self.options()).unwrap();
        }
        self.sealed = self.plain.contents.sequence;
        self.check_opened();
    }

    fn check_opened(&mut self) {
        let report = self.db.open_report();
        let sequence = self.plain.contents.sequence;
        if let Some(checkpointed) = self.checkpointed {
            assert_eq!(report.records_replayed, sequence - checkpointed, "commits in the log");
            assert_eq!(report.unclean_close, sequence != checkpointed && sequence != self.sealed);
        }
        assert_eq!(report.bytes_dropped, 0);
        self.pending = false;
        self.checkpointed = Some(sequence - report.records_replayed);
        self.check_sound();
    }

    /// Opens a copy of the files that was made while the writer was at work; sometimes goes on with the copy.
    fn crash(&mut self) {
        self.check();
        let copy = self.place.copy();
        let db = copy.open(&self.options()).unwrap();
        check_snapshot(&db.snapshot(), &self.plain.moment());
        check_samples(&db, &self.plain.contents, &mut self.random);
        if self.random.one_in(2) {
            self.readers.clear();
            self.db = db;
            self.place = copy;
            self.check_opened();
        }
    }

    fn export(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.db");
        self.db.export(&path).unwrap();
        check_file(&path, &self.plain.contents);
    }
}
