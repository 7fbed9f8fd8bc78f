//! Reads: by the writer, through held snapshots, by read-only handles.

use super::{HELD_MAX, Reader, Run};
use crate::model::compare::{Held, check_owned, check_point, check_samples, check_snapshot, check_stats};
use crate::model::plain::PlainKey;
use std::sync::Arc;
use vector_datalib::VectorDb;

impl Run {
    pub(super) fn read(&mut self) {
        if self.random.one_in(4) {
            return check_samples(&self.db, &self.plain.contents, &mut self.random);
        }
        let key = self.key();
        self.check_key(&key);
    }

    pub(super) fn check_key(&mut self, key: &PlainKey) {
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

    pub(super) fn hold(&mut self) {
        let held = Held { snapshot: self.db.snapshot(), contents: self.plain.moment() };
        self.keep(held);
    }

    pub(super) fn keep(&mut self, held: Held) {
        if self.held.len() < HELD_MAX {
            self.held.push(held);
        } else {
            let place = self.random.below(HELD_MAX);
            self.held[place].check();
            self.held[place] = held;
        }
    }

    pub(super) fn check_held(&mut self) {
        if !self.held.is_empty() {
            self.random.pick(&self.held).check();
        }
    }

    pub(super) fn open_reader(&mut self) {
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

    pub(super) fn refresh(&mut self) {
        let current = self.plain.moment();
        let Self { db, readers, random, held, .. } = self;
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
        let generation = |db: &VectorDb| db.stats().unwrap().generation;
        let replaced = generation(&reader.db) != generation(db);
        let changed = reader.db.refresh().unwrap();
        assert_eq!(changed, replaced || reader.contents.sequence != current.sequence, "whether there was news");
        assert_eq!(generation(&reader.db), generation(db));
        reader.contents = current;
        check_snapshot(&reader.db.snapshot(), &reader.contents);
        check_samples(&reader.db, &reader.contents, random);
        assert!(!reader.db.refresh().unwrap());
    }

    /// Compares everything.
    pub(super) fn check(&mut self) {
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

    pub(super) fn check_sound(&mut self) {
        self.check();
        self.check_held();
        let report = self.db.verify().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}
