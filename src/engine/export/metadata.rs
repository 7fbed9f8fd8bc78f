//! What a database says of itself as a whole.

use crate::engine::database::State;
use crate::format::canonical::{self, isoformat, structure};
use crate::format::manifest::NO_COMMIT_TIME;
use crate::model::{Value, nested};

/// The sequence number of a database that was imported and not changed since.
const IMPORT_SEQUENCE: u64 = 1;

/// What a database says of itself as a whole, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// When the database was made: UTC, ISO 8601 without a zone. Of one that was imported, what the file said, as it stood there.
    pub created_at: String,
    /// When it was last changed, in the same form; when it was made, if it never was. Of one that was imported and not changed
    /// since, what the file said, as it stood there.
    pub last_modified: String,
    /// The version that the canonical file states.
    pub version: String,
}

impl State {
    /// What the database says of itself.
    pub(crate) fn metadata(&self) -> Metadata {
        let properties = self.text_properties();
        let property = |name: &str| properties.iter().find(|(key, _)| key == name).map(|(_, text)| text.clone());
        let created_at = property("created_at").unwrap_or_else(|| isoformat(self.created_at()));
        let unchanged = if self.sequence() == IMPORT_SEQUENCE { property("last_modified") } else { None };
        let last_modified = unchanged.unwrap_or_else(|| match self.commit_time() {
            NO_COMMIT_TIME => created_at.clone(),
            time => isoformat(time),
        });
        let version = property("version").unwrap_or_else(|| canonical::VERSION.to_owned());
        Metadata { created_at, last_modified, version }
    }

    /// The same, as the canonical file has it.
    pub(super) fn canonical_metadata(&self) -> structure::Metadata {
        let Metadata { created_at, last_modified, version } = self.metadata();
        structure::Metadata { version, created_at, last_modified }
    }

    /// The properties that are text.
    fn text_properties(&self) -> Vec<(String, String)> {
        let Ok(Value::Map(pairs)) = nested::decode(self.properties()) else { return Vec::new() };
        let text = |(key, value): (Value, Value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()));
        pairs.into_iter().filter_map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{AutoCheckpoint, Database, Durability, EngineOptions, Handle, Layout, Step};
    use crate::model::Key;
    use crate::progress;
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    const OPTIONS: EngineOptions = EngineOptions {
        durability: Durability::Immediate,
        merge_fraction: 1e9,
        auto_checkpoint: AutoCheckpoint { log_len: None, in_background: false },
        memory_budget: 1 << 20,
        threads: None,
    };

    fn upsert(key: i64, position: Option<u32>) -> Vec<Step> {
        let attributes = crate::engine::attributes([("n", Some(Value::from(key)))]).unwrap();
        vec![Step::Upsert { key: Key::from(key), attributes, position }]
    }

    /// As an import makes it: properties, and one commit.
    fn imported(storage: &Arc<MemoryStorage>, names: &[&str]) -> Handle {
        let pairs = names.iter().map(|&name| (Value::from(name), Value::from(format!("{name} of the file"))));
        let properties = nested::encode(&Value::Map(pairs.collect())).unwrap();
        let database = Database::create_with(Arc::clone(storage) as _, OPTIONS, properties).unwrap();
        let handle = Handle::new(database);
        handle.commit(upsert(1, None)).unwrap();
        handle
    }

    fn reopened(storage: &Arc<MemoryStorage>, handle: Handle) -> Handle {
        handle.close().unwrap();
        Handle::new(Database::open(Arc::clone(storage) as _, OPTIONS).unwrap())
    }

    #[test]
    fn an_import_keeps_what_its_file_said_until_the_next_commit() {
        let ignore = &mut progress::ignore;
        let of_file = |name: &str| format!("{name} of the file");
        for position in [None, Some(0)] {
            let storage = Arc::new(MemoryStorage::new());
            let mut handle = imported(&storage, &["version", "created_at", "last_modified", "other"]);
            let kept = handle.state().metadata();
            assert_eq!(kept.version, of_file("version"));
            assert_eq!(kept.created_at, of_file("created_at"));
            assert_eq!(kept.last_modified, of_file("last_modified"));
            for step in 0..5 {
                match step {
                    0 => handle.checkpoint(ignore).unwrap(),
                    1 => handle.compact(Layout::Keep, ignore).unwrap(),
                    2 => handle.compact(Layout::Packed, ignore).unwrap(),
                    3 => handle = reopened(&storage, handle),
                    // A deletion that finds nothing is no commit.
                    _ => drop(handle.commit(vec![Step::Delete { key: Key::from(77) }]).unwrap()),
                }
                assert_eq!(handle.state().metadata(), kept, "{step}");
            }
            handle.commit(upsert(2, position)).unwrap();
            for step in 0..4 {
                let metadata = handle.state().metadata();
                assert_eq!(metadata.last_modified, isoformat(handle.state().commit_time()), "{step}");
                assert_eq!((metadata.version, metadata.created_at), (kept.version.clone(), kept.created_at.clone()));
                match step {
                    0 => handle.checkpoint(ignore).unwrap(),
                    1 => handle.compact(Layout::Keep, ignore).unwrap(),
                    _ => handle = reopened(&storage, handle),
                }
            }
        }
    }

    #[test]
    fn what_a_file_did_not_say_is_as_in_a_new_database() {
        let storage = Arc::new(MemoryStorage::new());
        let handle = imported(&storage, &[]);
        let state = handle.state();
        let metadata = state.metadata();
        assert_eq!(metadata.version, canonical::VERSION);
        assert_eq!(metadata.created_at, isoformat(state.created_at()));
        assert_eq!(metadata.last_modified, isoformat(state.commit_time()));
    }
}
