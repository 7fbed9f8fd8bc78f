//! Closing, dropping, opening again, opening copies, and the canonical file.

use super::Run;
use crate::model::canonical::check_file;
use crate::model::compare::{check_samples, check_snapshot};
use vector_datalib::Options;

impl Run {
    pub(super) fn options(&self) -> Options {
        // So little that most files are built from what was spilled.
        let budget = self.profile.batch_max * 1000;
        let profile = &self.profile;
        // In the foreground, so that a seed does the same every time; and none starts by itself.
        let options = Options::new().durability(profile.durability).background(false).auto_checkpoint(None);
        options.merge_fraction(profile.merge_fraction).memory_budget(budget)
    }

    /// Closes the database, or only drops its handle, and opens it again.
    pub(super) fn reopen(&mut self) {
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

    pub(super) fn check_opened(&mut self) {
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
    pub(super) fn crash(&mut self) {
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

    pub(super) fn export(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.db");
        self.db.export(&path).unwrap();
        check_file(&path, &self.plain.contents);
    }
}
