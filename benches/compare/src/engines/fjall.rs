//! fjall: a log-structured merge tree. Blocks of 4 KiB without compression, as the rows hardly compress; a block cache that holds the
//! whole database; reads are in one snapshot.

use crate::engine::{Engine, Outcome, RowReader, Rows};
use crate::engines::{BytesKey, sorted_rows};
use crate::records::{Order, Record, Records};
use crate::row;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::path::Path;

const CACHE_SIZE: u64 = 8 << 30;

/// An open database and its one keyspace.
pub(crate) struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

/// A snapshot and the keyspace.
#[derive(Clone, Copy)]
pub(crate) struct FjallReader {
    snapshot: &'static Snapshot,
    keyspace: &'static Keyspace,
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
}

impl Fjall {
    fn at(path: &Path) -> Outcome<Self> {
        let database = Database::builder(path).cache_size(CACHE_SIZE).open()?;
        let keyspace = database.keyspace("records", options)?;
        Ok(Self { database, keyspace })
    }
}

impl<K: BytesKey> Engine<K> for Fjall {
    type Reader = Rows<FjallReader>;

    /// Rows are ingested in the order of keys: they are written to tables at once, without journal and memtable.
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        let fjall = Self::at(path)?;
        let mut ingestion = fjall.keyspace.start_ingestion()?;
        sorted_rows(records, order, |key: K, row| Ok(ingestion.write(key.bytes().as_ref(), row)?))?;
        ingestion.finish()?;
        Ok(fjall.database.persist(PersistMode::SyncAll)?)
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        Self::at(path)
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        let snapshot = Box::leak(Box::new(self.database.snapshot()));
        Ok(Rows(FjallReader { snapshot, keyspace: &self.keyspace }))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let mut row = Vec::new();
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (number, record) in changes {
            row::encode(record, &mut row);
            batch.insert(&self.keyspace, K::of(*number).bytes().as_ref(), &*row);
        }
        Ok(batch.commit()?)
    }
}

impl<K: BytesKey> RowReader<K> for FjallReader {
    #[inline]
    fn row<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.snapshot.get(self.keyspace, key.bytes())?.map(|row| see(&row)))
    }

    fn each_row(&self, mut see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        self.snapshot.iter(self.keyspace).try_for_each(|row| see(&row.value()?))
    }
}
