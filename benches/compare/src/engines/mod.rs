//! The engines, and what several of them need.

pub(crate) mod buckets;
pub(crate) mod fjall;
pub(crate) mod hashbrown;
pub(crate) mod heed;
pub(crate) mod python;
pub(crate) mod redb;
pub(crate) mod rocksdb;
pub(crate) mod sqlite;
pub(crate) mod vector;

use crate::arguments::Setting;
use crate::engine::{Outcome, Unsupported};
use crate::records::{Key, KeyKind, Order, Records, TextKey};
use crate::row;
use crate::wide::Shape;
use crate::workloads::{Context, Figure, Workload};
use crate::ycsb;

/// The names of all engines, in the order of the table.
pub(crate) const ENGINES: &[&str] = &[
    "vector",
    "vector-frozen",
    "vector-by-key",
    "heed",
    "redb",
    "fjall",
    "sqlite",
    "rocksdb",
    "hashbrown",
    "hashbrown-batched",
    "duckdb",
    "arrow",
    "polars",
];

/// Whether an engine is this project's, in one of its layouts.
pub(crate) fn is_ours(engine: &str) -> bool {
    engine.starts_with("vector")
}

/// Whether an engine has no files.
pub(crate) fn is_in_memory(engine: &str) -> bool {
    engine.starts_with("hashbrown")
}

/// Whether an engine is one for Python.
pub(crate) fn is_pythons(engine: &str) -> bool {
    python::ENGINES.contains(&engine)
}

/// An error that tells why an engine cannot be used on this machine. Of engines for Python, the version.
pub(crate) fn check(engine: &str, setting: &Setting) -> Outcome<Option<String>> {
    match engine {
        "rocksdb" => rocksdb::library::check().map(|()| None),
        _ if is_pythons(engine) => python::version(&setting.python, engine).map(Some),
        _ => Ok(None),
    }
}

/// Runs a workload for an engine in this process.
pub(crate) fn run(engine: &str, workload: &Workload, context: &Context) -> Outcome<Vec<Figure>> {
    if is_pythons(engine) {
        return python::run(engine, workload, context);
    }
    if workload.shape == Shape::Ycsb {
        return ycsb::run(engine, workload.task, context);
    }
    match (engine, workload.keys) {
        ("vector", KeyKind::Integer) => workload.run::<u64, vector::Vector>(context),
        ("vector", KeyKind::Text) => workload.run::<TextKey, vector::Vector>(context),
        ("vector-frozen", KeyKind::Integer) => workload.run::<u64, vector::Vector<vector::Frozen>>(context),
        ("vector-frozen", KeyKind::Text) => workload.run::<TextKey, vector::Vector<vector::Frozen>>(context),
        ("vector-by-key", KeyKind::Integer) => workload.run::<u64, vector::Vector<vector::ByKey>>(context),
        ("vector-by-key", KeyKind::Text) => workload.run::<TextKey, vector::Vector<vector::ByKey>>(context),
        ("heed", KeyKind::Integer) => workload.run::<u64, heed::Heed<u64>>(context),
        ("heed", KeyKind::Text) => workload.run::<TextKey, heed::Heed<TextKey>>(context),
        ("redb", KeyKind::Integer) => workload.run::<u64, redb::Redb>(context),
        ("redb", KeyKind::Text) => workload.run::<TextKey, redb::Redb>(context),
        ("fjall", KeyKind::Integer) => workload.run::<u64, fjall::Fjall>(context),
        ("fjall", KeyKind::Text) => workload.run::<TextKey, fjall::Fjall>(context),
        ("sqlite", KeyKind::Integer) => workload.run::<u64, sqlite::Sqlite>(context),
        ("sqlite", KeyKind::Text) => workload.run::<TextKey, sqlite::Sqlite>(context),
        ("rocksdb", KeyKind::Integer) => workload.run::<u64, rocksdb::Rocksdb>(context),
        ("rocksdb", KeyKind::Text) => workload.run::<TextKey, rocksdb::Rocksdb>(context),
        ("hashbrown-batched", KeyKind::Integer) => workload.run::<u64, buckets::Buckets>(context),
        ("hashbrown-batched", KeyKind::Text) => Err(Unsupported("its table has integer keys only").into()),
        ("hashbrown", KeyKind::Integer) => workload.run::<u64, hashbrown::Hashbrown<u64>>(context),
        ("hashbrown", KeyKind::Text) => workload.run::<TextKey, hashbrown::Hashbrown<TextKey>>(context),
        _ => Err(Unsupported("there is no such engine").into()),
    }
}

/// A key for engines that take bytes and order them as such.
pub(crate) trait BytesKey: Key + Ord {
    /// The bytes.
    type Bytes: AsRef<[u8]>;

    /// Those of a key.
    fn bytes(&self) -> Self::Bytes;
}

impl BytesKey for u64 {
    type Bytes = [u8; 8];

    #[inline]
    fn bytes(&self) -> [u8; 8] {
        self.to_be_bytes()
    }
}

impl BytesKey for TextKey {
    type Bytes = [u8; 20];

    #[inline]
    fn bytes(&self) -> [u8; 20] {
        *self.as_bytes()
    }
}

/// Hands out all rows in the order of keys. Of records that come in another order, the rows are kept in memory and sorted.
pub(crate) fn sorted_rows<K: Key + Ord>(
    records: Records,
    order: Order,
    mut put: impl FnMut(K, &[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut row = Vec::new();
    if order == Order::Sorted {
        return (0..records.count).try_for_each(|number| {
            row::encode_all(records, number, &mut row);
            put(K::of(number), &row)
        });
    }
    let mut rows: Vec<u8> = Vec::new();
    let mut places: Vec<(K, u64)> = Vec::with_capacity(records.count as usize);
    for number in order.numbers(records.count) {
        row::encode_all(records, number, &mut row);
        places.push((K::of(number), (rows.len() as u64) << 16 | row.len() as u64));
        rows.extend_from_slice(&row);
    }
    places.sort_unstable_by_key(|&(key, _)| key);
    places.iter().try_for_each(|&(key, place)| put(key, &rows[(place >> 16) as usize..][..(place & 0xFFFF) as usize]))
}
