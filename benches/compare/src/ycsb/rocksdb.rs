//! RocksDB 7.8, through its C interface: a row of all fields for each key, set up for lookups as in the other workloads.

use super::records::{Field, Fields, Key};
use super::{Durability, Store, each_field, with_field};
use crate::engine::Outcome;
use crate::engines::rocksdb::library::{Database, TableWriter, View};
use std::fs;
use std::iter::once;
use std::path::Path;

const CACHE_SIZE: u64 = 8 << 30;

/// An open database.
pub(super) struct Rocksdb {
    database: &'static Database,
    view: View<'static>,
}

impl Store for Rocksdb {
    /// A table file is written and taken in as it is, without log and memtable.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let table = path.join("ingested.sst");
        let mut writer = TableWriter::create(&table)?;
        for (key, fields) in records {
            writer.put(key.as_bytes(), fields.as_flattened())?;
        }
        writer.finish()?;
        Database::open(path, CACHE_SIZE)?.ingest(&table)
    }

    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let mut database = Database::open(path, CACHE_SIZE)?;
        database.sync_writes(durability == Durability::Durable);
        let database: &'static Database = Box::leak(Box::new(database));
        Ok(Self { database, view: database.latest() })
    }

    #[inline]
    fn read(&mut self, key: &Key, mut see: impl FnMut(&[u8])) -> Outcome<bool> {
        let found = self.view.get(key.as_bytes(), |row| each_field(Some(row), &mut see))?;
        Ok(found.unwrap_or(false))
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        let row =
            self.view.get(key.as_bytes(), |row| with_field(Some(row), field, value))?.ok_or("no such record")??;
        self.database.write(once((key.as_bytes(), &*row)))
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        self.database.write(once((key.as_bytes(), fields.as_flattened())))
    }
}
