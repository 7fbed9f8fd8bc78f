//! Columns and axes of more than a segment, in every form in which values wait for their file, through bulk loads and compactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{BulkLoader, CompactOptions, Key, Layout, Options, Value, ValueRef, VectorDb};

const POINTS: u64 = 170_000;
const SEGMENT: u64 = 65_536;

type Contents = BTreeMap<Key, Vec<(String, Value)>>;

fn options() -> Options {
    // Patches stay patches.
    Options::new().merge_fraction(1e9).background(false).auto_checkpoint(None)
}

fn contents(db: &VectorDb) -> Contents {
    let snapshot = db.snapshot();
    let points = snapshot.iter().map(|point| {
        let point = point.unwrap();
        let attributes = point.attributes().map(|attribute| {
            let (name, value) = attribute.unwrap();
            (name.to_owned(), value.to_value().unwrap())
        });
        (point.key().to_key(), attributes.collect())
    });
    points.collect()
}

fn mixed(n: u64) -> u64 {
    (n ^ n >> 7).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Values of every form: dictionaries, one of which takes more room than what it stands for, plain cells, texts, and what has no form.
fn attributes(n: u64) -> Vec<(&'static str, Value)> {
    let bits = mixed(n);
    let mut values = vec![
        ("few", if bits.is_multiple_of(11) { Value::Null } else { Value::from(bits % 300) }),
        ("thousands", Value::from(bits % 20_000)),
        ("signed", Value::from(bits.cast_signed())),
        ("unsigned", Value::from(u64::MAX - n % 100_000)),
        ("both ends", if n.is_multiple_of(2) { Value::from(-n.cast_signed()) } else { Value::from(u64::MAX - n) }),
        ("text", Value::from(if n % 20_000 == 7 { "ä".repeat(50_000) } else { format!("{}", bits % 90_000) })),
        ("late", if n < POINTS / 2 { Value::from(bits.cast_signed()) } else { Value::from("text") }),
    ];
    values.push((
        "float",
        match bits % 9 {
            0 => Value::from(-0.0),
            1 => Value::from(f64::from_bits(0xFFF8_0000_0000_0000 | n)),
            _ => Value::from(n as f64 / 7.0),
        },
    ));
    if n.is_multiple_of(2) {
        values.push(("many", Value::from(format!("{}", bits % 60_000))));
    }
    if n % 1000 == 3 {
        values.push(("sparse", Value::Array(vec![Value::from(n)])));
        values.push(("gone", Value::from(n)));
    }
    values
}

/// Points over which there are a patch and an overlay: a segment and the end are free, values changed their types, keys came back.
fn changed(key: impl Fn(u64) -> Key) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let db = options().create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..POINTS).map(|n| (key(n), attributes(n)))).unwrap();
    db.compact(&CompactOptions::new()).unwrap();
    let free: Vec<Key> = (SEGMENT..2 * SEGMENT).chain(POINTS - 5000..POINTS).map(&key).collect();
    db.batch_delete(&free).unwrap();
    db.batch_upsert(
        (0..SEGMENT).step_by(97).map(|n| (key(n), [("signed", Value::from("text")), ("text", Value::from(n))])),
    )
    .unwrap();
    db.save().unwrap();
    db.batch_upsert((0..500).map(|n| (key(SEGMENT + n), attributes(n + 5)))).unwrap();
    db.batch_upsert((0..100).map(|n| (Key::from(format!("new {n}").as_str()), [("float", f64::NAN)]))).unwrap();
    for n in (0..POINTS).filter(|n| n % 1000 == 3) {
        db.remove_attribute(&key(n), "gone").unwrap();
    }
    db.close().unwrap();
    storage
}

fn check_compactions(storage: &MemoryStorage, layouts: &[Layout]) {
    let before = contents(&options().open_in(Arc::new(storage.snapshot())).unwrap());
    for &layout in layouts {
        let files = [(2 << 20, 1), (256 << 20, 1), (256 << 20, 3)].map(|(budget, threads)| {
            let storage = storage.snapshot();
            let options = options().memory_budget(budget).threads(threads);
            let db = options.open_in(Arc::new(storage.clone())).unwrap();
            db.compact(&CompactOptions::new().layout(layout)).unwrap();
            let after = contents(&db);
            assert!(after.keys().eq(before.keys()), "{layout:?}");
            for (key, attributes) in &before {
                assert_eq!(&after[key], attributes, "{layout:?}, {budget}, {key}");
            }
            let report = db.verify().unwrap();
            assert!(report.is_sound(), "{layout:?}: {:?}", report.problems);
            db.close().unwrap();
            let mut files = storage.files();
            files.retain(|name, _| name.starts_with("axis-") || name.starts_with("dim-"));
            files
        });
        for other in &files[1..] {
            assert!(files[0].keys().eq(other.keys()), "{layout:?}: {:?}", other.keys());
            for (name, bytes) in other {
                assert!(*bytes == files[0][name], "{layout:?}: {name} is another one");
            }
        }
    }
}

#[test]
fn compactions_of_integer_keys_with_free_segments_write_the_same_whatever_the_budget() {
    let storage = changed(|n| Key::from(mixed(n).cast_signed()));
    check_compactions(&storage, &[Layout::Keep, Layout::Frozen]);
}

#[test]
fn compactions_of_keys_of_all_types_with_free_segments_write_the_same_whatever_the_budget() {
    let storage = changed(|n| match n % 5 {
        0 => Key::from(n as f64 * -0.5),
        1 => Key::from(f64::from_bits(0xFFF8_0000_0000_0000 | n)),
        2 => Key::from(format!("key {n}").as_str()),
        3 => Key::from(u64::MAX - n),
        _ => Key::from(-n.cast_signed()),
    });
    check_compactions(&storage, &[Layout::ByKey, Layout::Packed]);
}

/// A load with keys of which all but the last ascend, and with columns that begin as numbers.
fn check_load(last: Key) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    // Enough that chunks are written to the files before the last record comes.
    let count = 400_000u64;
    let mut loader = BulkLoader::create(&path).unwrap();
    let values = |n: u64| [("a", ValueRef::Int(mixed(n).cast_signed().into())), ("b", ValueRef::Float(n as f64 / 3.0))];
    for n in 0..count {
        loader.push(n * 3, values(n)).unwrap();
    }
    loader.push(&last, [("a", ValueRef::Text("text")), ("b", ValueRef::Int(1))]).unwrap();
    let is_new = match last.as_ref().value() {
        ValueRef::Int(int) => int < 0 || int % 3 != 0 || int >= i128::from(count * 3),
        _ => true,
    };
    let report = loader.finish().unwrap();
    assert_eq!((report.points, report.merged), (count + u64::from(is_new), u64::from(!is_new)), "{last}");
    let db = VectorDb::open(&path).unwrap();
    assert_eq!(db.lookup(&last, "a").unwrap(), Some(Value::from("text")), "{last}");
    assert_eq!(db.lookup(&last, "b").unwrap(), Some(Value::from(1)), "{last}");
    let snapshot = db.snapshot();
    for n in (0..count).filter(|&n| Key::from(n * 3) != last) {
        let [(_, a), (_, b)] = values(n);
        let is_there =
            |name: &str, value: ValueRef<'_>| snapshot.lookup(n * 3, name).unwrap().is_some_and(|found| found == value);
        assert!(is_there("a", a) && is_there("b", b), "{n}, {last}");
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{last}: {:?}", report.problems);
    assert_eq!(db.stats().unwrap().garbage_bytes, 0, "{last}");
}

#[test]
fn the_last_record_of_a_load_may_change_what_its_files_were_begun_as() {
    for last in [
        Key::from("text"),
        Key::from(-1),
        Key::from(u64::MAX),
        Key::from(300_000),
        Key::from(400_000 * 3),
        Key::from(0.5),
    ] {
        check_load(last);
    }
}

#[test]
fn a_budget_that_shrinks_while_files_are_begun_is_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    for n in 0..300_000u64 {
        if n == 150_000 {
            loader = loader.memory_budget(4 << 20);
        }
        loader.push(mixed(n), [("a", mixed(n + 1)), ("b", n), ("c", n % 3)]).unwrap();
    }
    loader.finish().unwrap();
    let db = VectorDb::open(&path).unwrap();
    for n in 0..300_000u64 {
        assert_eq!(db.lookup(mixed(n), "a").unwrap(), Some(Value::from(mixed(n + 1))));
    }
    assert!(db.verify().unwrap().is_sound());
}
