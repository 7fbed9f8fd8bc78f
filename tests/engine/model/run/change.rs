//! Commits, and calls that are refused.

use super::{Attributes, Run};
use crate::model::plain::PlainKey;
use vector_datalib::{NAME_LEN_MAX, NESTING_MAX, Slot, Value};

impl Run {
    pub(super) fn change(&mut self) {
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
    pub(super) fn check_progress(&mut self) {
        let contents = &self.plain.contents;
        assert_eq!(self.db.len(), self.plain.point_count(), "number of points");
        let snapshot = self.db.snapshot();
        assert_eq!(snapshot.slot_count(), contents.slots.len() as u64, "number of slots");
        assert_eq!(snapshot.sequence(), contents.sequence, "commits");
    }

    pub(super) fn upsert(&mut self) {
        let (key, attributes) = (self.key(), self.attributes());
        self.trace(|| format!("upsert {:?} {attributes:?}", key.key));
        let slot = self.db.upsert(key.key.clone(), attributes.clone()).unwrap();
        let expected = self.plain.upsert(&key, None, &attributes);
        self.plain.contents.sequence += 1;
        assert_eq!(slot, Slot(expected), "slot of {:?}", key.key);
        self.check_key(&key);
    }

    pub(super) fn batch_upsert(&mut self) {
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
    pub(super) fn records(&mut self, count: usize) -> Vec<(PlainKey, Attributes)> {
        let mut records: Vec<(PlainKey, Attributes)> = Vec::new();
        for _ in 0..count {
            let again = !records.is_empty() && self.random.one_in(4);
            let key = if again { self.random.pick(&records).0.clone() } else { self.key() };
            let attributes = self.attributes();
            records.push((key, attributes));
        }
        records
    }

    pub(super) fn remove_attribute(&mut self) {
        let (key, name) = (self.key(), self.name());
        self.trace(|| format!("remove_attribute {:?} {name:?}", key.key));
        let removed = self.db.remove_attribute(&key.key, &name).unwrap();
        assert_eq!(removed, self.plain.remove_attribute(&key, &name), "whether there was {name:?} of {:?}", key.key);
        self.plain.contents.sequence += u64::from(removed);
        self.check_key(&key);
    }

    pub(super) fn delete(&mut self) {
        let key = self.key();
        self.trace(|| format!("delete {:?}", key.key));
        let deleted = self.db.delete(&key.key).unwrap();
        assert_eq!(deleted, self.plain.delete(&key), "whether there was {:?}", key.key);
        self.plain.contents.sequence += u64::from(deleted);
        self.check_key(&key);
    }

    pub(super) fn batch_delete(&mut self) {
        let keys: Vec<_> = (0..self.random.below(self.profile.batch_max + 1)).map(|_| self.key()).collect();
        self.trace(|| format!("batch_delete {keys:?}"));
        let deleted = self.db.batch_delete(keys.iter().map(|key| &key.key)).unwrap();
        let expected = keys.iter().filter(|key| self.plain.delete(key)).count() as u64;
        assert_eq!(deleted, expected, "keys that were there");
        self.plain.contents.sequence += u64::from(deleted > 0);
    }

    /// Inserts at positions, one or a batch.
    pub(super) fn position(&mut self) {
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
    pub(super) fn rewritten(&mut self) {
        self.checkpointed = Some(self.plain.contents.sequence);
        self.pending = false;
    }

    /// Calls that are refused and change nothing.
    pub(super) fn refused(&mut self) {
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
}
