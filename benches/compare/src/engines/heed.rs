//! LMDB, through heed. Integer keys are native ones (`MDB_INTEGERKEY`), which compare faster than bytes; reads are in one transaction.

use crate::engine::{Engine, Outcome, RowReader, Rows};
use crate::engines::sorted_rows;
use crate::records::{Key, Order, Record, Records, TextKey};
use crate::row;
use heed::types::Bytes;
use heed::{CommitOrAbort, Comparator, Database, DefaultComparator, Env, EnvFlags, EnvOpenOptions, IntegerComparator};
use heed::{PutFlags, RoTxn, WithTls};
use std::fs;
use std::path::Path;

/// Address space, not memory or disk: more than any load of this program needs.
const MAP_SIZE: usize = 64 << 30;

/// What the engine takes for a key.
pub(crate) trait HeedKey: Key + Ord {
    /// How keys are compared.
    type Comparator: Comparator + Send + Sync + 'static;

    /// The bytes that are stored.
    type Stored: AsRef<[u8]>;

    /// Those of a key.
    fn stored(&self) -> Self::Stored;
}

impl HeedKey for u64 {
    type Comparator = IntegerComparator;
    type Stored = [u8; 8];

    #[inline]
    fn stored(&self) -> [u8; 8] {
        self.to_ne_bytes()
    }
}

impl HeedKey for TextKey {
    type Comparator = DefaultComparator;
    type Stored = [u8; 20];

    #[inline]
    fn stored(&self) -> [u8; 20] {
        *self.as_bytes()
    }
}

/// The one table of an environment, which stays open until the process ends.
pub(crate) type Table<K> = Database<'static, Bytes, Bytes, <K as HeedKey>::Comparator>;

/// An open environment and its one table.
pub(crate) struct Heed<K: HeedKey> {
    env: &'static Env,
    table: Table<K>,
}

/// A read transaction and the table.
pub(crate) struct HeedReader<K: HeedKey> {
    transaction: &'static RoTxn<'static, WithTls>,
    table: Table<K>,
}

impl<K: HeedKey> Clone for HeedReader<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: HeedKey> Copy for HeedReader<K> {}

/// Opens an environment, and makes one where there is none.
pub(crate) fn open_environment(path: &Path, flags: EnvFlags) -> Outcome<&'static Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_SIZE);
    // SAFETY: the files are in a directory that this program made and that nothing else changes. Flags are none, or have commits not
    // wait for the disk; what a loss of power leaves then is not opened again.
    let env = unsafe { options.flags(flags).open(path)? };
    Ok(Box::leak(Box::new(env)))
}

/// Makes the table.
pub(crate) fn create_table<K: HeedKey>(env: &'static Env) -> Outcome<Table<K>> {
    let table = env.create_databases_and_commit(env.write_txn()?, |opener, transaction| {
        let options = opener.database_options().types::<Bytes, Bytes>().key_comparator::<K::Comparator>();
        options.create(transaction).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    match table {
        CommitOrAbort::Commit(table) => Ok(table),
        CommitOrAbort::Abort(()) => Err("the transaction was aborted".into()),
    }
}

/// Opens the table.
pub(crate) fn open_table<K: HeedKey>(env: &'static Env) -> Outcome<Table<K>> {
    let table = env.open_databases_and_commit(env.read_txn()?, |opener, transaction| {
        let options = opener.database_options().types::<Bytes, Bytes>().key_comparator::<K::Comparator>();
        match options.open(transaction) {
            Ok(Some(table)) => Ok(CommitOrAbort::Commit(table)),
            Ok(None) => Ok(CommitOrAbort::Abort(())),
            Err(error) => Err(error),
        }
    })?;
    match table {
        CommitOrAbort::Commit(table) => Ok(table),
        CommitOrAbort::Abort(()) => Err("there is no table".into()),
    }
}

impl<K: HeedKey> Engine<K> for Heed<K> {
    type Reader = Rows<HeedReader<K>>;

    /// Rows are appended in the order of keys (`MDB_APPEND`), in one transaction: pages are filled and written once. Records that come in
    /// another order are sorted in memory first (see the README).
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        fs::create_dir_all(path)?;
        let env = open_environment(path, EnvFlags::empty())?;
        let table = create_table::<K>(env)?;
        let mut transaction = env.write_txn()?;
        sorted_rows(records, order, |key: K, row| {
            Ok(table.put_with_flags(&mut transaction, PutFlags::APPEND, key.stored().as_ref(), row)?)
        })?;
        Ok(transaction.commit()?)
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        let env = open_environment(path, EnvFlags::empty())?;
        Ok(Self { env, table: open_table::<K>(env)? })
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        let transaction: &'static RoTxn<'static, WithTls> = Box::leak(Box::new(self.env.read_txn()?));
        Ok(Rows(HeedReader { transaction, table: self.table }))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        let mut row = Vec::new();
        let mut transaction = self.env.write_txn()?;
        for (number, record) in changes {
            row::encode(record, &mut row);
            self.table.put(&mut transaction, K::of(*number).stored().as_ref(), &row)?;
        }
        Ok(transaction.commit()?)
    }
}

impl<K: HeedKey> RowReader<K> for HeedReader<K> {
    #[inline]
    fn row<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.table.get(self.transaction, key.stored().as_ref())?.map(see))
    }

    fn each_row(&self, mut see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        self.table.iter(self.transaction)?.try_for_each(|entry| see(entry?.1))
    }
}
