//! RocksDB 7.8, through its C interface: a log-structured merge tree, set up for lookups of single keys as its own function for that
//! does it (bloom filters, a hash index in each block), without compression, with a cache that holds the whole database.

pub(crate) mod library;

use crate::engine::{Engine, Outcome, RowReader, Rows};
use crate::engines::{BytesKey, sorted_rows};
use crate::records::{Order, Record, Records};
use crate::row;
use library::{Database, TableWriter, View};
use std::fs;
use std::path::Path;

const CACHE_SIZE: u64 = 8 << 30;

/// An open database.
pub(crate) struct Rocksdb(Database);

impl<K: BytesKey> Engine<K> for Rocksdb {
    type Reader = Rows<View<'static>>;

    /// A table file is written in the order of keys and taken in as it is, without log and memtable.
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let table = path.join("ingested.sst");
        let mut writer = TableWriter::create(&table)?;
        sorted_rows(records, order, |key: K, row| writer.put(key.bytes().as_ref(), row))?;
        writer.finish()?;
        Database::open(path, CACHE_SIZE)?.ingest(&table)
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        Ok(Self(Database::open(path, CACHE_SIZE)?))
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        Ok(Rows(self.0.snapshot()))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let rows: Vec<(K::Bytes, Vec<u8>)> = changes
            .iter()
            .map(|(number, record)| {
                let mut row = Vec::new();
                row::encode(record, &mut row);
                (K::of(*number).bytes(), row)
            })
            .collect();
        self.0.write(rows.iter().map(|(key, row)| (key.as_ref(), row.as_slice())))
    }
}

impl<K: BytesKey> RowReader<K> for View<'static> {
    #[inline]
    fn row<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        self.get(key.bytes().as_ref(), see)
    }

    fn each_row(&self, see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        self.each(see)
    }
}
