//! SQLite, through rusqlite: a strict table of eleven columns, mapped to memory, a prepared statement for each operation, each of which
//! is a transaction; a write-ahead log that is synced at each commit.

use super::records::{FIELDS, Field, Fields, Key, NAMES};
use super::{Durability, Store};
use crate::engine::Outcome;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};
use std::fs;
use std::path::Path;

/// An open database.
pub(super) struct Sqlite {
    read: CachedStatement<'static>,
    /// By field.
    update: Vec<CachedStatement<'static>>,
    insert: CachedStatement<'static>,
}

/// `synchronous=NORMAL` is the way to do without a sync at each commit in this mode of the log.
fn connect(path: &Path, durability: Durability) -> Outcome<Connection> {
    let connection = Connection::open(path.join("records.sqlite"))?;
    connection.execute_batch("PRAGMA mmap_size = 8589934592; PRAGMA cache_size = -65536")?;
    connection.execute_batch(match durability {
        Durability::Durable => "PRAGMA synchronous = FULL",
        Durability::Relaxed => "PRAGMA synchronous = NORMAL",
    })?;
    Ok(connection)
}

fn insert_statement() -> String {
    format!("INSERT INTO records (key, {}) VALUES (?{})", NAMES.join(", "), ", ?".repeat(FIELDS))
}

fn text(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(bytes))
}

#[inline]
fn insert(statement: &mut CachedStatement<'_>, key: &Key, fields: &Fields) -> Outcome<()> {
    statement.raw_bind_parameter(1, text(key.as_bytes()))?;
    for (column, field) in fields.iter().enumerate() {
        statement.raw_bind_parameter(column + 2, text(field))?;
    }
    statement.raw_execute()?;
    Ok(())
}

impl Store for Sqlite {
    /// One transaction without a journal; the file is synced at the end. Rows are too long for a table without row numbers, whose pages
    /// would have few of them, so the key has an index of its own.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let connection = connect(path, Durability::Durable)?;
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN")?;
        let columns = NAMES.map(|name| format!(", {name} TEXT NOT NULL")).concat();
        connection.execute_batch(&format!("CREATE TABLE records (key TEXT PRIMARY KEY NOT NULL{columns}) STRICT"))?;
        let mut statement = connection.prepare_cached(&insert_statement())?;
        for (key, fields) in records {
            insert(&mut statement, &key, &fields)?;
        }
        drop(statement);
        // So that those who open it write to a log.
        connection.execute_batch("COMMIT; PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL")?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let connection: &'static Connection = Box::leak(Box::new(connect(path, durability)?));
        let update = |name| connection.prepare_cached(&format!("UPDATE records SET {name} = ?2 WHERE key = ?1"));
        Ok(Self {
            read: connection.prepare_cached(&format!("SELECT {} FROM records WHERE key = ?1", NAMES.join(", ")))?,
            update: NAMES.into_iter().map(update).collect::<Result<_, _>>()?,
            insert: connection.prepare_cached(&insert_statement())?,
        })
    }

    #[inline]
    fn read(&mut self, key: &Key, mut see: impl FnMut(&[u8])) -> Outcome<bool> {
        self.read.raw_bind_parameter(1, text(key.as_bytes()))?;
        let mut rows = self.read.raw_query();
        let Some(row) = rows.next()? else { return Ok(false) };
        for column in 0..FIELDS {
            match row.get_ref(column)? {
                ValueRef::Text(text) => see(text),
                _ => return Err("a column is not text".into()),
            }
        }
        Ok(true)
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        let statement = &mut self.update[field];
        statement.raw_bind_parameter(1, text(key.as_bytes()))?;
        statement.raw_bind_parameter(2, text(value))?;
        if statement.raw_execute()? == 1 { Ok(()) } else { Err("no such record".into()) }
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        insert(&mut self.insert, key, fields)
    }
}
