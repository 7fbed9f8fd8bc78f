//! redb, with a cache that holds the whole database; reads are in one transaction.

use crate::engine::{Engine, Outcome, RowReader, Rows};
use crate::engines::sorted_rows;
use crate::records::{Key, Order, Record, Records, TextKey};
use crate::row;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use std::fs;
use std::path::Path;

const CACHE_SIZE: usize = 8 << 30;

/// What the engine takes for a key.
pub(crate) trait RedbKey: Key + Ord {
    /// Its type.
    type Stored: redb::Key + 'static;

    /// The key as that type.
    fn stored(&self) -> <Self::Stored as redb::Value>::SelfType<'_>;
}

impl RedbKey for u64 {
    type Stored = u64;

    #[inline]
    fn stored(&self) -> u64 {
        *self
    }
}

impl RedbKey for TextKey {
    type Stored = &'static [u8];

    #[inline]
    fn stored(&self) -> &[u8] {
        self.as_bytes()
    }
}

const fn definition<K: RedbKey>() -> TableDefinition<'static, K::Stored, &'static [u8]> {
    TableDefinition::new("records")
}

/// An open database.
pub(crate) struct Redb(Database);

/// A table in a read transaction.
pub(crate) struct RedbReader<K: RedbKey>(&'static ReadOnlyTable<K::Stored, &'static [u8]>);

impl<K: RedbKey> Clone for RedbReader<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: RedbKey> Copy for RedbReader<K> {}

impl<K: RedbKey> Engine<K> for Redb {
    type Reader = Rows<RedbReader<K>>;

    /// One transaction, in the order of keys: records that come in another order are sorted in memory first (see the README).
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let database = Database::builder().set_cache_size(CACHE_SIZE).create(path.join("records.redb"))?;
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(definition::<K>())?;
            sorted_rows(records, order, |key: K, row| {
                table.insert(key.stored(), row)?;
                Ok(())
            })?;
        }
        Ok(transaction.commit()?)
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        Ok(Self(Database::builder().set_cache_size(CACHE_SIZE).open(path.join("records.redb"))?))
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        let transaction = self.0.begin_read()?;
        Ok(Rows(RedbReader(Box::leak(Box::new(transaction.open_table(definition::<K>())?)))))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let mut row = Vec::new();
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(definition::<K>())?;
            for (number, record) in changes {
                row::encode(record, &mut row);
                table.insert(K::of(*number).stored(), &*row)?;
            }
        }
        Ok(transaction.commit()?)
    }
}

impl<K: RedbKey> RowReader<K> for RedbReader<K> {
    #[inline]
    fn row<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.0.get(key.stored())?.map(|row| see(row.value())))
    }

    fn each_row(&self, mut see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        self.0.iter()?.try_for_each(|entry| see(entry?.1.value()))
    }
}
