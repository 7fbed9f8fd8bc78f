//! Target `operations`: any sequence of what a program can do with a database, against a plain list.
//!
//! Input: flags, then operations and their arguments.

use super::input::Input;
use super::model::{Attributes, Model};
use super::probe;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Durability, Key, Options, Slot, Snapshot, VectorDb};

/// Commits do not wait for an fsync.
pub const FLAG_EVENTUAL: u8 = 1;

/// Longer inputs say nothing new.
const OPERATION_COUNT_MAX: usize = 200;
const SNAPSHOT_COUNT_MAX: usize = 4;

const SOUND: &str = "nothing is wrong with the storage";

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let durability = match input.u8() & FLAG_EVENTUAL {
        0 => Durability::Immediate,
        _ => Durability::Eventual,
    };
    let options = Options::new().durability(durability);
    let storage = MemoryStorage::new();
    let db = options.create_in(Arc::new(storage.clone())).expect("an empty directory");
    let mut run = Run { options, storage, db: Some(db), reader: None, model: Model::default(), snapshots: Vec::new() };
    let mut count = 0;
    while !input.is_empty() && count < OPERATION_COUNT_MAX {
        run.operation(&mut input);
        count += 1;
    }
    run.finish();
}

struct Run {
    options: Options,
    storage: MemoryStorage,
    /// `None` only while it is being opened again.
    db: Option<VectorDb>,
    reader: Option<VectorDb>,
    model: Model,
    snapshots: Vec<(Snapshot, Model)>,
}

impl Run {
    fn db(&self) -> &VectorDb {
        self.db.as_ref().expect("it is open")
    }

    fn operation(&mut self, input: &mut Input<'_>) {
        match input.u8() % 24 {
            0..=5 => self.upsert(input),
            6 | 7 => {
                let key = input.key();
                assert_eq!(self.db().delete(&key).expect(SOUND), self.model.delete(&key));
            }
            8 | 9 => {
                let (key, name) = (input.key(), input.name());
                assert_eq!(self.db().remove_attribute(&key, name).expect(SOUND), self.model.remove(&key, name));
            }
            10 | 11 => self.batch_upsert(input),
            12 => {
                let keys: Vec<Key> = (0..input.below(6)).map(|_| input.key()).collect();
                let count = keys.iter().filter(|key| self.model.delete(key)).count();
                assert_eq!(self.db().batch_delete(&keys).expect(SOUND), count as u64);
            }
            13 => self.batch_insert_at(input),
            14 | 15 => {
                self.db().save().expect(SOUND);
                self.model.check_database(self.db());
            }
            16 => {
                self.db().compact(&CompactOptions::new()).expect(SOUND);
                self.model.check_database(self.db());
            }
            17 => {
                self.db().compact(&CompactOptions::new().reassign_slots(true)).expect(SOUND);
                self.model.pack();
                self.model.check_database(self.db());
            }
            18 => self.reopen(input),
            19 if self.snapshots.len() < SNAPSHOT_COUNT_MAX => {
                self.snapshots.push((self.db().snapshot(), self.model.clone()));
            }
            20 => {
                if !self.snapshots.is_empty() {
                    let (snapshot, model) = self.snapshots.remove(input.below(self.snapshots.len()));
                    model.check(&snapshot);
                }
            }
            21 => self.read_elsewhere(),
            _ => self.lookups(input),
        }
    }

    fn upsert(&mut self, input: &mut Input<'_>) {
        let (key, attributes) = (input.key(), attributes(input));
        let slot = self.db().upsert(key.clone(), attributes.clone()).expect(SOUND);
        self.model.upsert(&key, None, attributes);
        assert_eq!(Some(slot.index()), self.model.slot_of(&key));
    }

    fn batch_upsert(&mut self, input: &mut Input<'_>) {
        let records: Vec<(Key, Attributes)> = (0..input.below(6)).map(|_| (input.key(), attributes(input))).collect();
        let slots = self.db().batch_upsert(records.clone()).expect(SOUND);
        for (key, attributes) in &records {
            self.model.upsert(key, None, attributes.clone());
        }
        let expected = records.iter().map(|(key, _)| self.model.slot_of(key));
        assert!(slots.iter().map(|slot| Some(slot.index())).eq(expected));
    }

    fn batch_insert_at(&mut self, input: &mut Input<'_>) {
        let mut records: Vec<(Key, Option<u32>, Attributes)> = Vec::new();
        for _ in 0..=input.below(3) {
            let position = (!input.one_in(4)).then(|| input.below(self.model.slots.len() + 2) as u32);
            records.push((input.key(), position, attributes(input)));
        }
        let mut model = self.model.clone();
        let fits = records.iter().all(|(key, position, attributes)| {
            model.upsert(key, position.map(|position| position as usize), attributes.clone())
        });
        match self.db().batch_insert_at(records.clone()) {
            Ok(slots) => {
                assert!(fits, "a position past the end");
                let expected = records.iter().map(|(key, ..)| model.slot_of(key));
                assert!(slots.iter().map(|slot| Some(slot.index())).eq(expected));
                self.model = model;
            }
            Err(error) => assert!(!fits && error.is_invalid_argument(), "{error}"),
        }
        self.model.check_database(self.db());
    }

    fn reopen(&mut self, input: &mut Input<'_>) {
        let db = self.db.take().expect("it is open");
        match input.u8() % 3 {
            0 => db.close().expect(SOUND),
            1 => drop(db),
            _ => {
                // A kill: what is on the disk goes on in another directory.
                self.reader = None;
                self.storage = self.storage.snapshot();
            }
        }
        self.db = Some(self.options.open_in(Arc::new(self.storage.clone())).expect(SOUND));
        self.model.check_database(self.db());
    }

    fn read_elsewhere(&mut self) {
        let open = || self.options.open_read_only_in(Arc::new(self.storage.clone())).expect(SOUND);
        let reader = self.reader.take().unwrap_or_else(open);
        reader.refresh().expect(SOUND);
        self.model.check_database(&reader);
        assert!(reader.upsert(1, [("y", 1)]).is_err_and(|error| error.is_read_only()));
        self.reader = Some(reader);
    }

    fn lookups(&self, input: &mut Input<'_>) {
        let (key, name) = (input.key(), input.name());
        let slot = self.model.slot_of(&key);
        let point = slot.and_then(|slot| self.model.slots[slot].as_ref());
        let expected = point.and_then(|point| point.attributes.get(name));
        assert_eq!(self.db().lookup(&key, name).expect(SOUND).as_ref(), expected);
        assert_eq!(self.db().contains(&key).expect(SOUND), point.is_some());
        let found = self.db().point(&key).expect(SOUND);
        assert_eq!(found.as_ref().map(|point| point.coordinate()), slot.map(|slot| Slot(slot as u32)));
        assert_eq!(found.as_ref().and_then(|point| point.get(name)), expected);
    }

    fn finish(mut self) {
        self.model.check_database(self.db());
        for (snapshot, model) in &self.snapshots {
            model.check(snapshot);
        }
        assert!(probe::verify(self.db()), "a sound database");
        let mut input = Input::new(&[]);
        self.reopen(&mut input);
        assert!(!self.db().open_report().unclean_close);
    }
}

fn attributes(input: &mut Input<'_>) -> Attributes {
    let mut attributes = Attributes::new();
    for _ in 0..input.below(4) {
        attributes.push((input.name(), input.value()));
    }
    attributes
}
