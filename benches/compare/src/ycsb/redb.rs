//! redb: a row of all fields for each key, a transaction for each operation, and a cache that holds the whole database.

use super::records::{Field, Fields, Key};
use super::{Durability, Store, each_field, with_field};
use crate::engine::Outcome;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::fs;
use std::path::Path;

const CACHE_SIZE: usize = 8 << 30;

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// Nothing is written until a durable commit follows, so one of so many is durable.
const DURABLE_INTERVAL: u64 = 1000;

/// An open database.
pub(super) struct Redb {
    database: Database,
    durability: Durability,
    commits: u64,
}

impl Redb {
    #[inline]
    fn commit(&mut self, change: impl FnOnce(&mut Table<'_, &[u8], &[u8]>) -> Outcome<()>) -> Outcome<()> {
        let mut transaction = self.database.begin_write()?;
        self.commits += 1;
        if self.durability == Durability::Relaxed && !self.commits.is_multiple_of(DURABLE_INTERVAL) {
            transaction.set_durability(redb::Durability::None)?;
        }
        change(&mut transaction.open_table(TABLE)?)?;
        Ok(transaction.commit()?)
    }
}

impl Store for Redb {
    /// One transaction.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let database = Database::builder().set_cache_size(CACHE_SIZE).create(path.join("records.redb"))?;
        let mut store = Self { database, durability: Durability::Durable, commits: 0 };
        store.commit(|table| {
            for (key, fields) in records {
                table.insert(key.as_bytes(), fields.as_flattened())?;
            }
            Ok(())
        })
    }

    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let database = Database::builder().set_cache_size(CACHE_SIZE).open(path.join("records.redb"))?;
        Ok(Self { database, durability, commits: 0 })
    }

    #[inline]
    fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let row = table.get(key.as_bytes())?;
        Ok(each_field(row.as_ref().map(|row| row.value()), see))
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        self.commit(|table| {
            let row = with_field(table.get(key.as_bytes())?.as_ref().map(|row| row.value()), field, value)?;
            table.insert(key.as_bytes(), &*row)?;
            Ok(())
        })
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        self.commit(|table| {
            table.insert(key.as_bytes(), fields.as_flattened())?;
            Ok(())
        })
    }
}
