//! LMDB, through heed: a row of all fields for each key, a transaction for each operation.

use super::records::{Field, Fields, Key};
use super::{Durability, Store, each_field, with_field};
use crate::engine::Outcome;
use crate::engines::heed::{Table, create_table, open_environment, open_table};
use crate::records::TextKey;
use heed::{Env, EnvFlags, PutFlags};
use std::fs;
use std::path::Path;

/// An open environment and its one table, whose keys are compared as text.
pub(super) struct Heed {
    env: &'static Env,
    table: Table<TextKey>,
}

impl Store for Heed {
    /// Appended in one transaction.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let env = open_environment(path, EnvFlags::empty())?;
        let table = create_table::<TextKey>(env)?;
        let mut transaction = env.write_txn()?;
        for (key, fields) in records {
            table.put_with_flags(&mut transaction, PutFlags::APPEND, key.as_bytes(), fields.as_flattened())?;
        }
        Ok(transaction.commit()?)
    }

    /// `MDB_NOSYNC` is the way to do without syncs: the system writes pages when it likes to.
    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let flags = if durability == Durability::Relaxed { EnvFlags::NO_SYNC } else { EnvFlags::empty() };
        let env = open_environment(path, flags)?;
        Ok(Self { env, table: open_table::<TextKey>(env)? })
    }

    #[inline]
    fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool> {
        let transaction = self.env.read_txn()?;
        Ok(each_field(self.table.get(&transaction, key.as_bytes())?, see))
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        let row = with_field(self.table.get(&transaction, key.as_bytes())?, field, value)?;
        self.table.put(&mut transaction, key.as_bytes(), &row)?;
        Ok(transaction.commit()?)
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        self.table.put(&mut transaction, key.as_bytes(), fields.as_flattened())?;
        Ok(transaction.commit()?)
    }
}
