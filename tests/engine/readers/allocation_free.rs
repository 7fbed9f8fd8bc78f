//! Lookups through a `Snapshot` and a `Dimension` allocate nothing, whatever the types and wherever the answer is.

use super::allocations::count;
use std::hint::black_box;
use vector_datalib::{Key, KeyRef, Slot, Snapshot, Timestamp, Value, ValueRef, VectorDb};

const POINTS: u64 = 3000;
const DIMENSIONS: [&str; 9] =
    ["dictionary", "constant", "plain", "float", "text", "bytes", "nested", "sparse", "mixed"];

/// Keys of five types in turn, all in one axis.
fn key(n: u64) -> Key {
    let composite = |n: u64| Value::Array(vec![n.into(), format!("part {n}").into(), Value::from(n as f64)]);
    match n % 5 {
        0 => Key::from(n * 7919),
        1 => Key::from(format!("key number {n}")),
        2 => Key::try_from(composite(n)).unwrap(),
        3 => Key::from(&n.to_be_bytes()[..]),
        _ => Key::from(n as f64 + 0.5),
    }
}

fn value(dimension: &str, n: u64, round: u64) -> Option<Value> {
    let n = n + round * 1_000_000;
    Some(match dimension {
        "dictionary" => format!("city {}", n % 50).into(),
        "constant" => true.into(),
        "plain" => n.wrapping_mul(0x9E37_79B9_7F4A_7C15).into(),
        "float" => (n as f64).sqrt().into(),
        "text" => format!("the text of number {n}, {}", "x".repeat((n % 300) as usize)).into(),
        "bytes" => vec![n as u8; (n % 40) as usize + 1].into_iter().chain(n.to_le_bytes()).collect::<Vec<u8>>().into(),
        "nested" => Value::Array(vec![n.into(), "inside".into()]),
        "sparse" if !n.is_multiple_of(100) => return None,
        "sparse" => n.into(),
        "mixed" => match n % 4 {
            0 => Value::Null,
            1 => n.into(),
            2 => format!("mixed {n}").into(),
            _ => Timestamp::new(n as i64, 5).map_or(Value::Null, Value::from),
        },
        _ => return None,
    })
}

fn attributes(n: u64, round: u64) -> Vec<(&'static str, Value)> {
    DIMENSIONS.iter().filter_map(|&name| Some((name, value(name, n, round)?))).collect()
}

/// Reads everything in every way that promises not to allocate; returns the number of values found.
fn read_all(snapshot: &Snapshot, keys: &[Key], missing: &[Key]) -> u64 {
    let mut found = 0;
    let mut see = |value: Option<ValueRef<'_>>| found += u64::from(black_box(value).is_some());
    for name in DIMENSIONS {
        let dimension = snapshot.dimension(name).unwrap();
        for key in keys.iter().chain(missing) {
            see(dimension.lookup(key).unwrap());
            see(snapshot.lookup(key, name).unwrap());
        }
        for slot in 0..snapshot.slot_count() as u32 + 10 {
            see(dimension.get(Slot(slot)).unwrap());
        }
    }
    assert!(snapshot.dimension("no such dimension").is_none());
    for key in keys {
        assert!(snapshot.contains(key).unwrap());
        let slot = snapshot.slot(key).unwrap().unwrap();
        assert!(snapshot.key(slot).unwrap() == Some(KeyRef::from(key)));
    }
    for key in missing {
        assert!(!snapshot.contains(key).unwrap());
    }
    assert!(snapshot.len() == keys.len() as u64 && snapshot.sequence() > 0);
    found
}

fn assert_allocation_free(snapshot: &Snapshot, keys: &[Key], missing: &[Key], state: &str) {
    let first = read_all(snapshot, keys, missing);
    let mut again = 0;
    let allocations = count(|| again = read_all(snapshot, keys, missing));
    assert_eq!(allocations, 0, "{state}: a full read after the first allocated");
    assert_eq!(first, again, "{state}");
    assert!(first > 20 * POINTS, "{state}: only {first} values were found");
}

fn keys(ids: impl IntoIterator<Item = u64>) -> Vec<Key> {
    ids.into_iter().map(key).collect()
}

#[test]
fn lookups_allocate_nothing_after_the_first_touch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let db = VectorDb::create(&path).unwrap();
    let missing = keys(1_000_000..1_000_500);

    db.batch_upsert((0..POINTS).map(|n| (key(n), attributes(n, 0)))).unwrap();
    assert_allocation_free(&db.snapshot(), &keys(0..POINTS), &missing, "all in the overlay");

    db.save().unwrap();
    assert_allocation_free(&db.snapshot(), &keys(0..POINTS), &missing, "all in the base");

    // Changed, added, deleted, reused and removed over a base.
    db.batch_upsert((0..POINTS / 3).map(|n| (key(n), attributes(n, 1)))).unwrap();
    db.batch_delete(&keys(0..100)).unwrap();
    db.batch_upsert((POINTS..POINTS + 50).map(|n| (key(n), attributes(n, 0)))).unwrap();
    for n in 100..150 {
        assert!(db.remove_attribute(&key(n), "plain").unwrap());
    }
    let live = keys(100..POINTS + 50);
    let gone: Vec<Key> = missing.iter().cloned().chain(keys(0..100)).collect();
    let over_base = db.snapshot();
    assert_allocation_free(&over_base, &live, &gone, "an overlay over a base");

    db.save().unwrap();
    assert_allocation_free(&db.snapshot(), &live, &gone, "a base with tombstones");
    assert_allocation_free(&over_base, &live, &gone, "a snapshot from before the save");
    drop(over_base);
    db.close().unwrap();

    let reader = VectorDb::open_read_only(&path).unwrap();
    assert_allocation_free(&reader.snapshot(), &live, &gone, "opened read-only");
    let in_memory = vector_datalib::Options::new().mmap(false).open_read_only(&path).unwrap();
    assert_allocation_free(&in_memory.snapshot(), &live, &gone, "read to memory");
}

/// Keys that are consecutive integers have no index, and keys of one type have an axis of that type.
#[test]
fn lookups_by_each_kind_of_axis_allocate_nothing() {
    type MakeKey = fn(u64) -> Key;
    let kinds: [(&str, MakeKey); 5] = [
        ("dense", |n| Key::from(n + 10)),
        ("int64", |n| Key::from((n as i64 - 500) * 31)),
        ("uint64", |n| Key::from(u64::MAX - n * n)),
        ("float64", |n| Key::from(n as f64 / 3.0)),
        ("text", |n| Key::from(format!("https://example.org/{n}"))),
    ];
    for (kind, make) in kinds {
        let dir = tempfile::tempdir().unwrap();
        let db = VectorDb::create(dir.path().join("a.vdb")).unwrap();
        db.batch_upsert((0..2000).map(|n| (make(n), [("v", n)]))).unwrap();
        db.save().unwrap();
        let snapshot = db.snapshot();
        let all: Vec<Key> = (0..2500).map(make).collect();
        let read = || {
            let dimension = snapshot.dimension("v").unwrap();
            all.iter().filter(|key| black_box(dimension.lookup(*key).unwrap()).is_some()).count()
        };
        assert_eq!(read(), 2000, "{kind}");
        assert_eq!(count(|| assert_eq!(read(), 2000)), 0, "{kind}");
    }
}
