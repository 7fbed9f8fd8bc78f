//! The core workloads of YCSB A, B, C, D and F, by one thread: each operation is a transaction of its own that sees all those before it.

mod fjall;
mod hashbrown;
mod heed;
mod operations;
mod records;
mod redb;
mod rocksdb;
mod sqlite;
mod vector;

use crate::engine::{Outcome, Unsupported};
use crate::files;
use crate::workloads::{Context, Figure, Task, size};
pub(crate) use operations::Mix;
use operations::{Action, Model, Operation, Operations};
use records::{FIELD_LEN, Field, Fields, Key, append, field, fields, fold_field};
use std::path::Path;
use std::time::{Duration, Instant};

/// Operations that are drawn at a time, while the clock stands still.
const GROUP: usize = 256;

/// Of the records that operations came to, so many are read again at the end.
const CHECKED: usize = 10_000;

/// What an update or insert that returned survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// A loss of power.
    Durable,
    /// Less, by whatever way the engine documents to do without an fsync for each commit.
    Relaxed,
}

/// An engine that keeps records of YCSB.
trait Store: Sized {
    /// Whether the database is not on disk: [`open`](Self::open) is then followed by an insert of each record.
    const IN_MEMORY: bool = false;

    /// Makes a database of the records, which come in the order of keys, at a path where nothing is. When it returns, the database
    /// survives a loss of power.
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()>;

    /// Opens what was loaded, for reading and writing.
    fn open(path: &Path, durability: Durability) -> Outcome<Self>;

    /// Lends the fields of a record as it is, in their order. Whether there is such a record.
    fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool>;

    /// Puts a value in place of a field of a record, in one commit.
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()>;

    /// Adds a record, in one commit.
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()>;
}

/// Lends the fields of a row, if there is one. Whether there is.
#[inline]
fn each_field(row: Option<&[u8]>, see: impl FnMut(&[u8])) -> bool {
    row.into_iter().flat_map(|row| row.chunks(FIELD_LEN)).for_each(see);
    row.is_some()
}

/// A copy of a row with a value in place of one of its fields.
#[inline]
fn with_field(row: Option<&[u8]>, field: usize, value: &Field) -> Outcome<Vec<u8>> {
    let mut row = row.ok_or("there is no such record")?.to_vec();
    row.get_mut(field * FIELD_LEN..)
        .and_then(|rest| rest.first_chunk_mut())
        .map(|place| *place = *value)
        .ok_or("a row is too short")?;
    Ok(row)
}

/// Runs a workload for an engine in this process.
pub(crate) fn run(engine: &str, task: Task, context: &Context) -> Outcome<Vec<Figure>> {
    match engine {
        "vector" => run_in::<vector::Vector>(task, context),
        "heed" => run_in::<heed::Heed>(task, context),
        "redb" => run_in::<redb::Redb>(task, context),
        "fjall" => run_in::<fjall::Fjall>(task, context),
        "sqlite" => run_in::<sqlite::Sqlite>(task, context),
        "rocksdb" => run_in::<rocksdb::Rocksdb>(task, context),
        "hashbrown" => run_in::<hashbrown::Hashbrown>(task, context),
        "hashbrown-batched" => Err(Unsupported("its table has integer keys only").into()),
        _ => Err(Unsupported("it is not made for single reads and changes").into()),
    }
}

fn run_in<S: Store>(task: Task, context: &Context) -> Outcome<Vec<Figure>> {
    match task {
        Task::Load => load::<S>(&context.path, context.records.count),
        Task::Size if S::IN_MEMORY => Err(Unsupported("it has no files").into()),
        Task::Size => size::of(&context.path),
        Task::Ycsb(mix, durability) => measure::<S>(context, mix, durability),
        _ => Err(Unsupported("it is not done with records of YCSB").into()),
    }
}

/// Seconds until the database would survive a loss of power.
fn load<S: Store>(path: &Path, count: u64) -> Outcome<Vec<Figure>> {
    let keys = records::in_order_of_keys(count);
    rustix::fs::sync();
    let start = Instant::now();
    S::load(path, keys.iter().map(|&(key, number)| (key, fields(number))))?;
    Ok(vec![Figure::new("s", start.elapsed().as_secs_f64())])
}

/// Operations a second, sustained.
fn measure<S: Store>(context: &Context, mix: Mix, durability: Durability) -> Outcome<Vec<Figure>> {
    let count = context.records.count;
    let path = if S::IN_MEMORY { context.path.clone() } else { files::copy_beside(&context.path)? };
    let mut store = open::<S>(&path, count, durability)?;
    rustix::fs::sync();
    let time = Duration::from_secs_f64(context.setting.seconds);
    let done = operate(&mut store, Operations::new(mix, count), |_, elapsed| elapsed >= time)?;
    check(&mut store, Operations::new(mix, count), &done)?;
    // As everywhere in this program, the engine stays open until the process ends.
    std::mem::forget(store);
    if !S::IN_MEMORY {
        files::remove(&path)?;
    }
    Ok(vec![Figure::new("operations/s", done.operations as f64 / done.elapsed.as_secs_f64())])
}

/// Opens a database and reads every record once, which must be as it was loaded.
fn open<S: Store>(path: &Path, count: u64, durability: Durability) -> Outcome<S> {
    let mut store = S::open(path, durability)?;
    if S::IN_MEMORY {
        (0..count).try_for_each(|number| store.insert(&Key::of(number), &fields(number)))?;
    }
    for number in 0..count {
        let expected = records::fold_fields(fields(number).iter().map(|value| fold_field(value)));
        check_record(read(&mut store, &Key::of(number))?, expected)?;
    }
    Ok(store)
}

/// Reads a record and every byte of it.
#[inline]
fn read<S: Store>(store: &mut S, key: &Key) -> Outcome<u64> {
    let mut sum = 0;
    if store.read(key, |value| sum = append(sum, fold_field(value)))? {
        Ok(sum)
    } else {
        Err(format!("wrong answers: {} is not found", key.as_str()).into())
    }
}

fn check_record(found: u64, expected: u64) -> Outcome<()> {
    if found == expected { Ok(()) } else { Err("wrong answers: a record is not what was written".into()) }
}

/// What was done to a database.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Done {
    operations: usize,
    /// Drawing the operations is not part of it.
    elapsed: Duration,
    /// Of all that was read.
    checksum: u64,
}

/// Does operations until it is enough, which is asked once in a while with how many and how long.
fn operate<S: Store>(
    store: &mut S,
    mut operations: Operations,
    is_enough: impl Fn(usize, Duration) -> bool,
) -> Outcome<Done> {
    let mut done = Done { operations: 0, elapsed: Duration::ZERO, checksum: 0 };
    while !is_enough(done.operations, done.elapsed) {
        let group: Vec<Operation> = operations.by_ref().take(GROUP).collect();
        let start = Instant::now();
        for operation in &group {
            if let Some(read) = execute(store, operation)? {
                done.checksum = append(done.checksum, read);
            }
        }
        done.elapsed += start.elapsed();
        done.operations += group.len();
    }
    Ok(done)
}

/// Does an operation. What it read, if it did.
#[inline]
fn execute<S: Store>(store: &mut S, operation: &Operation) -> Outcome<Option<u64>> {
    let &Operation { action, number, ref key, field: index, version } = operation;
    let seen = match action {
        Action::Read | Action::ReadModifyWrite => Some(read(store, key)?),
        Action::Update | Action::Insert => None,
    };
    match action {
        Action::Read => {}
        Action::Update | Action::ReadModifyWrite => store.update(key, index, &field(number, index, version))?,
        Action::Insert => store.insert(key, &fields(number))?,
    }
    Ok(seen)
}

/// An error unless everything that was read is what had to be there, and is there now.
fn check<S: Store>(store: &mut S, operations: Operations, done: &Done) -> Outcome<()> {
    let mut model = Model::default();
    if model.apply_all(operations.take(done.operations)) != done.checksum {
        return Err("wrong answers: what was read is not what was written last".into());
    }
    for (number, expected) in model.records().take(CHECKED) {
        check_record(read(store, &Key::of(number))?, expected)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 300;
    const OPERATIONS: usize = 512;

    fn directory(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("compare-{}-{name}", std::process::id()))
    }

    /// Runs all workloads.
    fn run_all<S: Store>(name: &str) {
        for (durability, mixes) in [
            (Durability::Durable, vec![Mix::A, Mix::D]),
            (Durability::Relaxed, vec![Mix::A, Mix::B, Mix::C, Mix::D, Mix::F]),
        ] {
            for mix in mixes {
                let path = directory(&format!("{name}-{mix:?}-{durability:?}"));
                files::remove(&path).unwrap();
                load::<S>(&path, COUNT).unwrap();
                // Some engines are open until the process ends, and open no directory twice.
                let used = if S::IN_MEMORY { path.clone() } else { files::copy_beside(&path).unwrap() };
                let mut store = open::<S>(&used, COUNT, durability).unwrap();
                let done = operate(&mut store, Operations::new(mix, COUNT), |done, _| done >= OPERATIONS).unwrap();
                assert_eq!(done.operations, OPERATIONS);
                check(&mut store, Operations::new(mix, COUNT), &done).unwrap();
                assert!(!store.read(&Key::of(1 << 40), |_| ()).unwrap());
                // Reading other things is noticed.
                let other = Done { checksum: done.checksum ^ 1, ..done };
                assert!(check(&mut store, Operations::new(mix, COUNT), &other).is_err());
                if !S::IN_MEMORY {
                    // What was written is in the files.
                    drop(store);
                    let moved = directory(&format!("{name}-{mix:?}-{durability:?}-moved"));
                    files::remove(&moved).unwrap();
                    std::fs::rename(&used, &moved).unwrap();
                    let copy = files::copy_beside(&moved).unwrap();
                    let mut store = S::open(&copy, durability).unwrap();
                    check(&mut store, Operations::new(mix, COUNT), &done).unwrap();
                    drop(store);
                    [path, moved, copy].iter().for_each(|path| files::remove(path).unwrap());
                }
            }
        }
    }

    #[test]
    fn vector_gives_back_what_was_written() {
        run_all::<vector::Vector>("vector");
    }

    #[test]
    fn heed_gives_back_what_was_written() {
        run_all::<heed::Heed>("heed");
    }

    #[test]
    fn redb_gives_back_what_was_written() {
        run_all::<redb::Redb>("redb");
    }

    #[test]
    fn fjall_gives_back_what_was_written() {
        run_all::<fjall::Fjall>("fjall");
    }

    #[test]
    fn sqlite_gives_back_what_was_written() {
        run_all::<sqlite::Sqlite>("sqlite");
    }

    #[test]
    fn hashbrown_gives_back_what_was_written() {
        run_all::<hashbrown::Hashbrown>("hashbrown");
    }

    /// A store that loses an update.
    struct Forgetful(hashbrown::Hashbrown, u32);

    impl Store for Forgetful {
        const IN_MEMORY: bool = true;

        fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
            hashbrown::Hashbrown::load(path, records)
        }

        fn open(path: &Path, durability: Durability) -> Outcome<Self> {
            Ok(Self(Store::open(path, durability)?, 0))
        }

        fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool> {
            self.0.read(key, see)
        }

        fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
            self.1 += 1;
            if self.1 == 100 { Ok(()) } else { self.0.update(key, field, value) }
        }

        fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
            self.0.insert(key, fields)
        }
    }

    #[test]
    fn an_update_that_is_lost_is_noticed() {
        let mut store = open::<Forgetful>(Path::new(""), COUNT, Durability::Durable).unwrap();
        let done = operate(&mut store, Operations::new(Mix::A, COUNT), |done, _| done >= OPERATIONS).unwrap();
        assert!(check(&mut store, Operations::new(Mix::A, COUNT), &done).is_err());
    }

    #[test]
    fn a_record_that_is_not_there_is_noticed() {
        let mut store = hashbrown::Hashbrown::open(Path::new(""), Durability::Durable).unwrap();
        assert!(read(&mut store, &Key::of(1)).is_err());
    }
}
