//! SQLite, through rusqlite: a strict table of five columns, mapped to memory, prepared statements, one transaction around all reads,
//! a write-ahead log that is synced at each commit.

use crate::engine::{CityCounts, Engine, Outcome, Reader, fold_text};
use crate::engines::sorted_rows;
use crate::records::{Key, Order, Record, Records, TextKey};
use crate::row;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What the engine takes for a key.
pub(crate) trait SqliteKey: Key + Ord {
    /// The definition of the table: a text key is the primary key of a table without row numbers, an integer one is the row number.
    const TABLE: &'static str;

    /// The key as a parameter.
    fn parameter(&self) -> impl ToSql;
}

impl SqliteKey for u64 {
    const TABLE: &'static str = "CREATE TABLE records (key INTEGER PRIMARY KEY, age INTEGER NOT NULL, score REAL NOT NULL, \
         city TEXT NOT NULL, name TEXT NOT NULL) STRICT";

    #[inline]
    fn parameter(&self) -> impl ToSql {
        // Keys are below 2^63.
        *self as i64
    }
}

impl SqliteKey for TextKey {
    const TABLE: &'static str = "CREATE TABLE records (key TEXT PRIMARY KEY NOT NULL, age INTEGER NOT NULL, \
         score REAL NOT NULL, city TEXT NOT NULL, name TEXT NOT NULL) STRICT, WITHOUT ROWID";

    #[inline]
    fn parameter(&self) -> impl ToSql {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }
}

const PUT: &str = "INSERT OR REPLACE INTO records (key, age, score, city, name) VALUES (?1, ?2, ?3, ?4, ?5)";

fn connect(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path.join("records.sqlite"))?;
    connection.execute_batch("PRAGMA mmap_size = 8589934592; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536")?;
    Ok(connection)
}

fn put<K: SqliteKey>(statement: &mut CachedStatement<'_>, key: &K, row: &[u8]) -> Outcome<()> {
    let text = |bytes| ToSqlOutput::Borrowed(ValueRef::Text(bytes));
    statement.raw_bind_parameter(1, key.parameter())?;
    statement.raw_bind_parameter(2, row::age(row)? as i64)?;
    statement.raw_bind_parameter(3, row::score(row)?)?;
    statement.raw_bind_parameter(4, text(row::city(row)?))?;
    statement.raw_bind_parameter(5, text(row::name(row)?))?;
    statement.raw_execute()?;
    Ok(())
}

/// An open database.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// The connection that was opened first. Writers share it, as only one can write at a time.
    connection: Mutex<Connection>,
}

/// The statements of a connection with an open transaction.
pub(crate) struct Statements {
    connection: &'static Connection,
    score: RefCell<CachedStatement<'static>>,
    age: RefCell<CachedStatement<'static>>,
    city: RefCell<CachedStatement<'static>>,
    name: RefCell<CachedStatement<'static>>,
    point: RefCell<CachedStatement<'static>>,
}

impl<K: SqliteKey> Engine<K> for Sqlite {
    type Reader = &'static Statements;

    /// One transaction without a journal, in the order of keys. The file is synced at the end.
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let connection = connect(path)?;
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN")?;
        connection.execute_batch(K::TABLE)?;
        let mut statement = connection.prepare_cached(PUT)?;
        sorted_rows(records, order, |key: K, row| put(&mut statement, &key, row))?;
        drop(statement);
        // So that those who open it write to a log.
        connection.execute_batch("COMMIT; PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL")?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connect(path)?) })
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        // A connection belongs to one thread, so each reader has its own.
        let connection: &'static Connection = Box::leak(Box::new(connect(&self.path)?));
        connection.execute_batch("BEGIN")?;
        let statement = |columns| {
            let statement = connection.prepare_cached(&format!("SELECT {columns} FROM records WHERE key = ?1"));
            statement.map(RefCell::new)
        };
        Ok(Box::leak(Box::new(Statements {
            connection,
            score: statement("score")?,
            age: statement("age")?,
            city: statement("city")?,
            name: statement("name")?,
            point: statement("score, age, city, name")?,
        })))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let mut encoded = Vec::new();
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
        let mut statement = connection.prepare_cached(PUT)?;
        for (number, record) in changes {
            row::encode(record, &mut encoded);
            put(&mut statement, &K::of(*number), &encoded)?;
        }
        connection.prepare_cached("COMMIT")?.raw_execute()?;
        Ok(())
    }
}

/// Runs a statement for a key and lends the row that it finds.
#[inline]
fn select<K: SqliteKey, T>(
    statement: &RefCell<CachedStatement<'static>>,
    key: &K,
    see: impl FnOnce(&rusqlite::Row<'_>) -> Outcome<T>,
) -> Outcome<Option<T>> {
    let mut statement = statement.borrow_mut();
    statement.raw_bind_parameter(1, key.parameter())?;
    let mut rows = statement.raw_query();
    rows.next()?.map(see).transpose()
}

#[inline]
fn text<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Outcome<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Text(text) => Ok(text),
        _ => Err("a column is not text".into()),
    }
}

#[inline]
fn age(row: &rusqlite::Row<'_>, column: usize) -> Outcome<u64> {
    Ok(row.get_ref(column)?.as_i64()? as u64)
}

#[inline]
fn score(row: &rusqlite::Row<'_>) -> Outcome<f64> {
    Ok(row.get_ref(0)?.as_f64()?)
}

impl<K: SqliteKey> Reader<K> for &'static Statements {
    #[inline]
    fn score(&self, key: &K) -> Outcome<Option<f64>> {
        select(&self.score, key, score)
    }

    #[inline]
    fn age(&self, key: &K) -> Outcome<Option<u64>> {
        select(&self.age, key, |row| age(row, 0))
    }

    #[inline]
    fn city<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        select(&self.city, key, |row| Ok(see(text(row, 0)?)))
    }

    #[inline]
    fn name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        select(&self.name, key, |row| Ok(see(text(row, 0)?)))
    }

    #[inline]
    fn point(&self, key: &K) -> Outcome<Option<u64>> {
        select(&self.point, key, |row| {
            let numbers = score(row)?.to_bits() ^ age(row, 1)?;
            Ok(numbers ^ fold_text(text(row, 2)?) ^ fold_text(text(row, 3)?))
        })
    }

    fn sum(&self) -> Outcome<f64> {
        Ok(self.connection.query_one("SELECT sum(score) FROM records", (), |row| row.get(0))?)
    }

    fn city_counts(&self) -> Outcome<CityCounts> {
        let mut statement = self.connection.prepare("SELECT city, count(*) FROM records GROUP BY city")?;
        let mut rows = statement.query(())?;
        let mut counts = CityCounts::new();
        while let Some(row) = rows.next()? {
            counts.insert(text(row, 0)?.to_vec(), age(row, 1)?);
        }
        Ok(counts)
    }
}
