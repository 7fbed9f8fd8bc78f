//! Files of other times: an older copy of a file, a file of one generation under the name of the next, an older
//! manifest.

use super::answers::Answers;
use super::fixture::{Files, Fixture, one_of_each};
use super::log;
use super::mutation::Mutation;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Options, VectorDb, attrs};

/// The directory as it was at one time.
struct Time {
    what: &'static str,
    files: Files,
    sequence: u64,
    unclean: bool,
}

struct Story {
    storage: MemoryStorage,
    db: Option<VectorDb>,
    times: Vec<Time>,
    history: Vec<Answers>,
}

impl Story {
    fn db(&self) -> &VectorDb {
        self.db.as_ref().unwrap()
    }

    /// Writes down every answer after a commit.
    fn committed(&mut self) {
        self.history.push(Answers::of_snapshot(&self.db().snapshot(), 1));
    }

    fn now(&mut self, what: &'static str, unclean: bool) {
        let mut files = self.storage.files();
        log::trim(&mut files);
        let sequence = self.history.last().unwrap().sequence;
        self.times.push(Time { what, files, sequence, unclean });
    }

    fn commit(&mut self, n: i64) {
        self.db().upsert(n, attrs! { "a" => n, "b" => format!("value {n}"), "c" => one_of_each(n as usize) }).unwrap();
        self.committed();
        self.db().upsert(0, attrs! { "a" => -n, "b" => "changed" }).unwrap();
        self.committed();
    }

    fn reopen(&mut self) {
        self.db = None;
        self.db = Some(Options::new().open_in(Arc::new(self.storage.clone())).unwrap());
    }

    fn tell() -> Self {
        let storage = MemoryStorage::new();
        let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
        let mut story = Self { storage, db: Some(db), times: Vec::new(), history: Vec::new() };
        story.committed();
        story.now("new", false);
        story.commit(1);
        story.now("first log", true);
        story.db().save().unwrap();
        story.now("first checkpoint", false);
        story.commit(2);
        story.now("second log", true);
        story.commit(3);
        story.now("longer second log", true);
        story.db().save().unwrap();
        story.now("second checkpoint", false);
        story.commit(4);
        story.db.take().unwrap().close().unwrap();
        story.now("closed", false);
        story.reopen();
        story.commit(5);
        story.now("log after a closed log", true);
        story.db().delete(2).unwrap();
        story.committed();
        story.reopen();
        story.commit(6);
        story.now("two closed logs", true);
        story.db().compact(&CompactOptions::new()).unwrap();
        story.now("compacted", false);
        story.commit(7);
        story.db.take().unwrap().close().unwrap();
        story.now("closed again", false);
        story
    }
}

/// `axis-3` and `axis-4` are of one kind, as are the files of a dimension, and the logs.
fn kind(name: &str) -> &str {
    name.rfind('-').map_or(name, |at| &name[..at])
}

/// Each directory with each file replaced by each older file of its kind.
pub(crate) fn fixtures() -> Vec<(Fixture, Vec<Mutation>)> {
    let Story { times, history, .. } = Story::tell();
    let mut all = Vec::new();
    for (index, time) in times.iter().enumerate() {
        let mut mutations = Vec::new();
        for (name, content) in time.files.iter().filter(|(name, _)| *name != "LOCK") {
            for earlier in &times[..index] {
                for (other, bytes) in &earlier.files {
                    let of_its_kind = kind(other) == kind(name);
                    // A directory that goes back as a whole is no damage; nor is what goes back to the same bytes.
                    if of_its_kind && bytes != content {
                        let by = format!("{other} of \"{}\"", earlier.what);
                        mutations.push(Mutation::Replace { file: name.clone(), by, bytes: bytes.clone() });
                    }
                }
            }
        }
        let until = history.iter().position(|answers| answers.sequence == time.sequence).unwrap();
        let history = history[..=until].to_vec();
        let fixture =
            Fixture { name: time.what, files: time.files.clone(), history, unclean: time.unclean, whole_every: 1 };
        all.push((fixture, mutations));
    }
    all
}
