//! The small databases that are damaged: together they have every encoding, every presence, every kind of axis and log.

use super::answers::Answers;
use super::log;
use std::collections::BTreeMap;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Durability, Key, Layout, Options, Timestamp, Value, VectorDb, attrs};

/// The files of a directory.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A database to damage.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
    /// Its answers; of an unclean one, those after each commit that only the log has, the oldest first.
    pub(crate) history: Vec<Answers>,
    /// Whether the log was not closed.
    pub(crate) unclean: bool,
    /// Of so many mutations one asks for the points one after the other, statistics and a verification.
    pub(crate) whole_every: usize,
}

impl Fixture {
    pub(crate) fn last(&self) -> &Answers {
        self.history.last().unwrap()
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    fn closed(name: &'static str, db: VectorDb, storage: &MemoryStorage, stride: usize, whole_every: usize) -> Self {
        db.close().unwrap();
        let files = storage.files();
        let db = Options::new().open_in(Arc::new(storage.snapshot())).unwrap();
        let history = vec![Answers::of_database(&db, stride)];
        Self { name, files, history, unclean: false, whole_every }
    }
}

pub(crate) fn all() -> Vec<Fixture> {
    vec![
        mixed(),
        dense(),
        many_values(),
        long_values(),
        many_slots(),
        patched(),
        patched_bitmaps(),
        frozen(),
        unclean("unclean log", true, Durability::Immediate),
        unclean("unclean log without marks at its end", true, Durability::Eventual),
        unclean("unclean log without a base", false, Durability::Eventual),
    ]
}

fn create(durability: Durability) -> (MemoryStorage, VectorDb) {
    let storage = MemoryStorage::new();
    let db = Options::new().durability(durability).create_in(Arc::new(storage.clone())).unwrap();
    (storage, db)
}

/// One of every type.
pub(crate) fn one_of_each(n: usize) -> Value {
    let time = Timestamp::new(1_700_000_000 + n as i64, n as u32).unwrap();
    match n % 13 {
        0 => Value::Null,
        1 => Value::from(n.is_multiple_of(2)),
        2 => Value::from(-(n as i64)),
        3 => Value::from(u64::MAX - n as u64),
        4 => Value::big_int(true, &[n as u8 + 1; 9]),
        5 => Value::from(n as f64 / 3.0),
        6 => Value::from(format!("text {n} äöü 😀")),
        7 => Value::from(&[n as u8; 5][..]),
        8 => Value::from(time),
        9 => Value::ext(7, vec![1, 2, n as u8]),
        10 => Value::from(vec![Value::from(n as i64), Value::Null, Value::from("in an array")]),
        11 => Value::Map(vec![(Value::from("k"), Value::from(n as i64)), (Value::from(2), Value::from(f64::NAN))]),
        _ => Value::from(""),
    }
}

fn mixed_key(n: usize) -> Key {
    let key = |value: Value| Key::try_from(value).unwrap();
    match n % 9 {
        0 => Key::from(n as i64 * 1_000_003),
        1 => Key::from(format!("key {n}")),
        2 => key(Value::from(n as f64 + 0.5)),
        3 => key(Value::from(&[n as u8, 0, 255][..])),
        4 => key(Value::from(Timestamp::new(n as i64, 5).unwrap())),
        5 => key(Value::ext(3, vec![n as u8])),
        6 => key(Value::from(vec![Value::from(n as i64), Value::from("x")])),
        7 => key(Value::from(u64::MAX - n as u64)),
        _ if n == 8 => key(Value::from(true)),
        _ => Key::from(format!("ein längerer Schlüssel, Nummer {n}")),
    }
}

/// Keys of every type, tombstones, all encodings of few slots, and commits in a log that was closed.
fn mixed() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let records = (0..70usize).map(|n| {
        let mut attributes: Vec<(&str, Value)> = vec![
            ("constant", Value::from("always the same text")),
            ("dictionary8", Value::from(["red", "green", "blue", "ultraviolet"][n % 4])),
            ("integers", Value::from(n as i64 * 7_919 - 100)),
            ("unsigned", Value::from(u64::MAX - n as u64 * 3)),
            ("floats", Value::from(n as f64 * 0.37)),
            ("text", Value::from(format!("a text of its own, number {n}"))),
            ("mixed", one_of_each(n)),
            ("types", one_of_each(n % 13)),
        ];
        if n % 3 == 0 {
            attributes.push(("bitmap", Value::from(n as i64 % 5)));
            attributes.push(("bitmap of text", Value::from(format!("{}", n * n))));
        }
        if n % 17 == 4 {
            attributes.push(("sorted", Value::from(n as f64)));
            attributes.push(("sorted constant", Value::Null));
        }
        if n == 69 {
            attributes.push(("../a/name that is\0no file", Value::from(true)));
        }
        (mixed_key(n), attributes)
    });
    db.batch_upsert(records).unwrap();
    let deleted: Vec<Key> = [0, 1, 13, 14, 40, 66].map(mixed_key).into();
    db.batch_delete(&deleted).unwrap();
    db.save().unwrap();
    db.upsert("after the checkpoint", attrs! { "text" => "logged", "new" => 5 }).unwrap();
    db.upsert(mixed_key(10), attrs! { "integers" => 12 }).unwrap();
    db.remove_attribute(&mixed_key(11), "text").unwrap();
    db.delete(&mixed_key(12)).unwrap();
    Fixture::closed("mixed", db, &storage, 1, 1)
}

/// Consecutive integers as keys, some deleted; nothing in the log.
fn dense() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let records = (0..130_i64).map(|n| (1000 + n, attrs! { "n" => n * n, "parity" => n % 2 == 0 }));
    db.batch_upsert(records).unwrap();
    db.batch_delete([1003, 1064, 1065, 1100]).unwrap();
    db.save().unwrap();
    Fixture::closed("dense", db, &storage, 1, 1)
}

/// Keys whose slots are worked out from their hashes, and a patch over them.
fn frozen() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    db.batch_upsert((0..60_i64).map(|n| (format!("key {n}"), attrs! { "n" => n * n }))).unwrap();
    db.compact(&CompactOptions::new().layout(Layout::Frozen)).unwrap();
    db.batch_delete(["key 3", "key 40"]).unwrap();
    db.upsert("new", attrs! { "n" => 1 }).unwrap();
    db.save().unwrap();
    assert_eq!(db.stats().unwrap().patches, 1);
    Fixture::closed("frozen", db, &storage, 1, 1)
}

/// More values than one byte numbers.
fn many_values() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let records = (0..1700_i64).map(|n| (n, attrs! { "dictionary16" => 1_000_000 + n % 260 }));
    db.batch_upsert(records).unwrap();
    db.save().unwrap();
    Fixture::closed("many values", db, &storage, 13, 8)
}

/// Values longer than a block, in heaps of text and of other values, and in a dictionary.
fn long_values() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let long = |len: usize, seed: u32| -> String {
        (0..).map(|n: u32| char::from(b'a' + (n.wrapping_mul(seed) >> 13) as u8 % 26)).take(len).collect()
    };
    db.batch_upsert([
        ("one", attrs! { "text" => format!("{}äöü", long(65_533, 77_773)), "value" => 1 }),
        ("two", attrs! { "text" => "short", "value" => long(66_000, 99_991).into_bytes() }),
        ("three", attrs! { "text" => long(3, 55_557), "value" => vec![Value::from("nested"), Value::Null] }),
    ])
    .unwrap();
    db.save().unwrap();
    Fixture::closed("long values", db, &storage, 1, 16)
}

/// More than one segment, some of them empty.
fn many_slots() -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let records = (0..65_600_i64).map(|n| {
        let mut attributes: Vec<(&str, Value)> = Vec::new();
        if n >= 65_536 && n % 3 == 0 {
            attributes.push(("second segment", Value::from(n % 4)));
        }
        if n == 65_599 || n == 97 {
            attributes.push(("both segments", Value::from(n)));
        }
        (n, attributes)
    });
    db.batch_upsert(records).unwrap();
    db.save().unwrap();
    Fixture::closed("many slots", db, &storage, 97, 64)
}

/// Patches over a base: all their encodings, touched slots as list and as bitmap, removed attributes, tombstones, reborn
/// slots, new dimensions, changed counts; and commits in a log that was closed.
fn patched() -> Fixture {
    let storage = MemoryStorage::new();
    let db = Options::new().merge_fraction(1e9).background(false).create_in(Arc::new(storage.clone())).unwrap();
    let record = |n: usize| {
        let mut attributes: Vec<(&str, Value)> = vec![
            ("dictionary8", Value::from(["red", "green", "blue", "ultraviolet"][n % 4])),
            ("integers", Value::from(n as i64 * 7_919 - 100)),
            ("text", Value::from(format!("a text of its own, number {n}"))),
            ("mixed", one_of_each(n)),
        ];
        if n.is_multiple_of(5) {
            attributes.push(("sparse", Value::from(n as f64)));
        }
        (mixed_key(n), attributes)
    };
    db.batch_upsert((0..60).map(record)).unwrap();
    db.batch_delete(&[mixed_key(3), mixed_key(8), mixed_key(30)]).unwrap();
    db.save().unwrap();
    db.batch_upsert((60..64).map(record)).unwrap();
    db.batch_upsert(
        (10..20).map(|n| (mixed_key(n), attrs! { "dictionary8" => "infrared", "mixed" => one_of_each(n + 5) })),
    )
    .unwrap();
    db.batch_delete(&[mixed_key(20), mixed_key(21), mixed_key(63)]).unwrap();
    db.remove_attribute(&mixed_key(12), "text").unwrap();
    db.save().unwrap();
    db.batch_upsert(
        (70..72).map(|n| (mixed_key(n), attrs! { "new" => Value::from(u64::MAX - n as u64), "integers" => 1.5 })),
    )
    .unwrap();
    db.upsert(mixed_key(12), attrs! { "text" => "again" }).unwrap();
    db.remove_attribute(&mixed_key(13), "dictionary8").unwrap();
    db.remove_attribute(&mixed_key(25), "sparse").unwrap();
    db.delete(&mixed_key(61)).unwrap();
    db.save().unwrap();
    assert_eq!(db.stats().unwrap().patches, 2);
    db.upsert(mixed_key(14), attrs! { "text" => "logged" }).unwrap();
    db.delete(&mixed_key(15)).unwrap();
    Fixture::closed("patched", db, &storage, 1, 1)
}

/// A patch with so many touched slots, and so many of them removed, that bitmaps say which.
fn patched_bitmaps() -> Fixture {
    let storage = MemoryStorage::new();
    let db = Options::new().merge_fraction(1e9).background(false).create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..1300_i64).map(|n| (n, attrs! { "n" => n % 300 }))).unwrap();
    db.save().unwrap();
    db.batch_delete((0..1160_i64).filter(|n| n % 2 == 0)).unwrap();
    db.batch_upsert((0..560_i64).map(|n| (5000 + n, attrs! { "n" => n % 301, "m" => n % 3 }))).unwrap();
    db.save().unwrap();
    assert_eq!(db.stats().unwrap().patches, 1);
    Fixture::closed("patched with bitmaps", db, &storage, 13, 16)
}

/// A log that was not closed, of four files, some with marks and some without.
fn unclean(name: &'static str, saved: bool, end: Durability) -> Fixture {
    let (storage, db) = create(Durability::Immediate);
    let base = (0..6_i64).map(|n| (n * 10, attrs! { "a" => n, "b" => format!("base {n}") }));
    let mut history = vec![Answers::of_snapshot(&db.snapshot(), 1)];
    db.batch_upsert(base).unwrap();
    history.push(Answers::of_snapshot(&db.snapshot(), 1));
    if saved {
        db.save().unwrap();
        history.remove(0);
    }
    let mut step = |db: &VectorDb, n: usize| {
        match n % 5 {
            0 => drop(db.upsert(format!("logged {n}"), attrs! { "a" => n as i64, "c" => "ä" }).unwrap()),
            1 => {
                drop(db.batch_upsert([(10, attrs! { "b" => "x" }), (1000 + n as i64, attrs! { "b" => "y" })]).unwrap())
            }
            2 => assert!(db.delete(n as i64 / 5 * 10 + 20).unwrap()),
            3 => assert!(db.remove_attribute(n as i64 / 5 * 10 + 30, "a").unwrap()),
            _ => drop(db.upsert(0, attrs! { "a" => one_of_each(n) }).unwrap()),
        }
        history.push(Answers::of_snapshot(&db.snapshot(), 1));
    };
    (0..5).for_each(|n| step(&db, n));
    let second = storage.snapshot();
    drop(db);
    let db = Options::new().durability(Durability::Eventual).open_in(Arc::new(second.clone())).unwrap();
    (5..8).for_each(|n| step(&db, n));
    let third = second.snapshot();
    drop(db);
    let db = Options::new().open_in(Arc::new(third.clone())).unwrap();
    (8..11).for_each(|n| step(&db, n));
    let fourth = third.snapshot();
    drop(db);
    let db = Options::new().durability(end).open_in(Arc::new(fourth.clone())).unwrap();
    (11..14).for_each(|n| step(&db, n));
    let mut files = fourth.files();
    // A log grows by 64 KiB of zeros: a few of them show as much.
    log::trim(&mut files);
    Fixture { name, files, history, unclean: true, whole_every: 1 }
}
