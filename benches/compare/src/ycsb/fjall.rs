//! fjall: a row of all fields for each key, without compression, and a block cache that holds the whole database.

use super::records::{Field, Fields, Key};
use super::{Durability, Store, each_field, with_field};
use crate::engine::Outcome;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

const CACHE_SIZE: u64 = 8 << 30;

/// An open database and its one keyspace.
pub(super) struct Fjall {
    database: Database,
    keyspace: Keyspace,
    /// What a commit waits for: that the disk has it, or that the system has it.
    mode: PersistMode,
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
}

impl Fjall {
    #[inline]
    fn put(&self, key: &Key, row: &[u8]) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        batch.insert(&self.keyspace, key.as_bytes(), row);
        Ok(batch.commit()?)
    }
}

impl Store for Fjall {
    /// Rows are ingested: they are written to tables at once, without journal and memtable.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        let fjall = Self::open(path, Durability::Durable)?;
        let mut ingestion = fjall.keyspace.start_ingestion()?;
        for (key, fields) in records {
            ingestion.write(key.as_bytes(), fields.as_flattened())?;
        }
        ingestion.finish()?;
        Ok(fjall.database.persist(PersistMode::SyncAll)?)
    }

    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let database = Database::builder(path).cache_size(CACHE_SIZE).open()?;
        let keyspace = database.keyspace("records", options)?;
        let mode = if durability == Durability::Durable { PersistMode::SyncData } else { PersistMode::Buffer };
        Ok(Self { database, keyspace, mode })
    }

    #[inline]
    fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool> {
        Ok(each_field(self.keyspace.get(key.as_bytes())?.as_deref(), see))
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        let row = with_field(self.keyspace.get(key.as_bytes())?.as_deref(), field, value)?;
        self.put(key, &row)
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        self.put(key, fields.as_flattened())
    }
}
