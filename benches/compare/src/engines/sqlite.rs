//! SQLite, through rusqlite: a strict table of five columns, mapped to memory, prepared statements, one transaction around all reads,
//! a write-ahead log that is synced at each commit.

use crate::engine::{CityCounts, Engine, Outcome, Reader, fold_text};
use crate::engines::sorted_rows;
use crate::records::{Key, Order, Record, Records, TextKey};
use crate::row;
use crate::wide::{FLOATS, INTEGERS, Shape, TEXTS, fold_more};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What the engine takes for a key.
pub(crate) trait SqliteKey: Key + Ord {
    /// The definition of its column.
    const COLUMN: &'static str;

    /// Of the table: a text key is the primary key of a table without row numbers, an integer one is the row number.
    const OPTIONS: &'static str;

    /// The key as a parameter.
    fn parameter(&self) -> impl ToSql;
}

impl SqliteKey for u64 {
    const COLUMN: &'static str = "INTEGER PRIMARY KEY";
    const OPTIONS: &'static str = "STRICT";

    #[inline]
    fn parameter(&self) -> impl ToSql {
        // Keys are below 2^63.
        *self as i64
    }
}

impl SqliteKey for TextKey {
    const COLUMN: &'static str = "TEXT PRIMARY KEY NOT NULL";
    const OPTIONS: &'static str = "STRICT, WITHOUT ROWID";

    #[inline]
    fn parameter(&self) -> impl ToSql {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }
}

/// The columns besides the key, with their types.
fn columns(shape: Shape) -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![("age", "INTEGER"), ("score", "REAL"), ("city", "TEXT"), ("name", "TEXT")];
    if shape == Shape::Nineteen {
        columns.extend(INTEGERS.map(|name| (name, "INTEGER")));
        columns.extend(FLOATS.map(|name| (name, "REAL")));
        columns.extend(TEXTS.map(|name| (name, "TEXT")));
    }
    columns
}

/// The names of the columns besides the key.
fn names(shape: Shape) -> String {
    columns(shape).into_iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn create<K: SqliteKey>(shape: Shape) -> String {
    let columns = columns(shape).into_iter().map(|(name, kind)| format!(", \"{name}\" {kind} NOT NULL"));
    format!("CREATE TABLE records (key {}{}) {}", K::COLUMN, columns.collect::<String>(), K::OPTIONS)
}

fn put_statement(shape: Shape) -> String {
    let places = ", ?".repeat(columns(shape).len());
    format!("INSERT OR REPLACE INTO records (key, {}) VALUES (?{places})", names(shape))
}

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
    let mut column = 5;
    row::each_more(row, |cell| {
        column += 1;
        match cell {
            row::Cell::Integer(integer) => statement.raw_bind_parameter(column, i64::from(integer))?,
            row::Cell::Float(float) => statement.raw_bind_parameter(column, float)?,
            row::Cell::Text(bytes) => statement.raw_bind_parameter(column, text(bytes))?,
        }
        Ok(())
    })?;
    statement.raw_execute()?;
    Ok(())
}

/// An open database.
pub(crate) struct Sqlite {
    path: PathBuf,
    shape: Shape,
    put: String,
    /// The connection that was opened first. Writers share it, as only one can write at a time.
    connection: Mutex<Connection>,
}

/// The statements of a connection with an open transaction.
pub(crate) struct Statements {
    connection: &'static Connection,
    /// Besides the key.
    columns: usize,
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
        connection.execute_batch(&create::<K>(records.shape))?;
        let mut statement = connection.prepare_cached(&put_statement(records.shape))?;
        sorted_rows(records, order, |key: K, row| put(&mut statement, &key, row))?;
        drop(statement);
        // So that those who open it write to a log.
        connection.execute_batch("COMMIT; PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL")?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    fn open(path: &Path, records: Records, _order: Order) -> Outcome<Self> {
        let (shape, put) = (records.shape, put_statement(records.shape));
        Ok(Self { path: path.to_owned(), shape, put, connection: Mutex::new(connect(path)?) })
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        // A connection belongs to one thread, so each reader has its own.
        let connection: &'static Connection = Box::leak(Box::new(connect(&self.path)?));
        connection.execute_batch("BEGIN")?;
        let statement = |columns: &str| {
            let statement = connection.prepare_cached(&format!("SELECT {columns} FROM records WHERE key = ?1"));
            statement.map(RefCell::new)
        };
        Ok(Box::leak(Box::new(Statements {
            connection,
            columns: columns(self.shape).len(),
            score: statement("score")?,
            age: statement("age")?,
            city: statement("city")?,
            name: statement("name")?,
            point: statement(&names(self.shape))?,
        })))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let mut encoded = Vec::new();
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
        let mut statement = connection.prepare_cached(&self.put)?;
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
            let numbers = age(row, 0)? ^ row.get_ref(1)?.as_f64()?.to_bits();
            let four = numbers ^ fold_text(text(row, 2)?) ^ fold_text(text(row, 3)?);
            let mut more = 0u64;
            for column in 4..self.columns {
                more = more.wrapping_add(fold_more(match row.get_ref(column)? {
                    ValueRef::Integer(integer) => integer as u64,
                    ValueRef::Real(float) => float.to_bits(),
                    ValueRef::Text(text) => fold_text(text),
                    _ => return Err("a column is not what was stored".into()),
                }));
            }
            Ok(four.wrapping_add(more))
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
