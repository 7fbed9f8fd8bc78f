//! Bulk loads in any order, with any number of duplicates and any memory budget, and compaction of what they make.

use crate::crash::disk::{Disk, Fault, FaultKind};
use crate::support::order::{Ordered, compare};
use crate::support::random::Random;
use crate::support::values::{Flavor, key};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{BulkLoader, CompactOptions, Error, Key, Options, Slot, Value, ValueBuf, ValueRef, VectorDb};

/// From one that nothing fits in to one that everything does.
const BUDGETS: [usize; 3] = [1, 400_000, 256 << 20];

type Record = (Value, Vec<(String, Value)>);
type Points = BTreeMap<Ordered<Arc<Value>>, (u32, BTreeMap<String, Value>)>;

fn load(path: &Path, budget: usize, records: &[Record]) -> (VectorDb, u64) {
    let mut loader = BulkLoader::create(path).unwrap().memory_budget(budget);
    for (key, attributes) in records {
        let values: Vec<ValueBuf> =
            attributes.iter().map(|(_, value)| ValueBuf::try_from(value.clone()).unwrap()).collect();
        let refs = attributes.iter().zip(&values).map(|((name, _), value)| (&**name, value.as_ref()));
        loader.push(&Key::try_from(key.clone()).unwrap(), refs).unwrap();
    }
    let report = loader.finish().unwrap();
    assert_eq!(report.points + report.merged, records.len() as u64);
    (VectorDb::open(path).unwrap(), report.merged)
}

/// First slot, last value of each attribute.
fn plain(records: &[Record]) -> Points {
    let mut points = Points::new();
    for (key, attributes) in records {
        let next = points.len() as u32;
        let (_, point) = points.entry(Ordered(Arc::new(key.clone()))).or_insert((next, BTreeMap::new()));
        point.extend(attributes.iter().cloned());
    }
    points
}

fn check(db: &VectorDb, points: &Points) {
    let snapshot = db.snapshot();
    assert_eq!(snapshot.len(), points.len() as u64);
    for (key, (slot, attributes)) in points {
        let key = Key::try_from((*key.0).clone()).unwrap();
        assert_eq!(snapshot.slot(&key).unwrap(), Some(Slot(*slot)), "{key:?}");
        let point = snapshot.point_at(Slot(*slot)).unwrap().expect("a point");
        assert!(compare(&point.key().to_value(), &key.to_value()).is_eq());
        let mut count = 0;
        for attribute in point.attributes() {
            let (name, value) = attribute;
            assert!(
                compare(value, &attributes[name]).is_eq(),
                "{key:?}, {name}: {value:?} instead of {:?}",
                attributes[name]
            );
            count += 1;
        }
        assert_eq!(count, attributes.len(), "attributes of {key:?}");
    }
    for name in snapshot.dimensions() {
        let values: Vec<&Value> = points.values().filter_map(|(_, attributes)| attributes.get(name)).collect();
        let mut distinct: Vec<Ordered<&Value>> = values.iter().map(|value| Ordered(*value)).collect();
        distinct.sort();
        distinct.dedup();
        let dimension = snapshot.dimension(name).unwrap();
        assert_eq!(dimension.point_count().unwrap(), values.len() as u64, "points of {name}");
        assert_eq!(dimension.distinct_count().unwrap(), distinct.len() as u64, "distinct values of {name}");
        let stats = db.stats().unwrap();
        let details = stats.dimension_details.iter().find(|details| details.name == name).unwrap();
        assert_eq!((details.distinct_values, details.distinct_exact), (distinct.len() as u64, true), "{name} in stats");
    }
    assert!(db.verify().unwrap().is_sound());
}

/// Records with keys in random order, each of which comes again with a chance of one in `again`.
fn records(random: &mut Random, count: usize, again: usize) -> Vec<Record> {
    let flavors = [
        ("few", Flavor::Below(300)),
        ("signed", Flavor::Signed),
        ("unsigned", Flavor::Unsigned),
        ("both ends", Flavor::BothEnds),
        ("floats", Flavor::Floats),
        ("texts", Flavor::Texts),
        ("any", Flavor::Any),
        ("long", Flavor::Long),
    ];
    let mut records: Vec<Record> = Vec::new();
    for _ in 0..count {
        let key =
            if !records.is_empty() && random.one_in(again) { random.pick(&records).0.clone() } else { key(random, 0) };
        let mut attributes = Vec::new();
        for (name, flavor) in &flavors {
            if !random.one_in(3) {
                attributes.push(((*name).to_owned(), flavor.value(random)));
            }
        }
        if random.one_in(50) {
            attributes.push(("few".to_owned(), Value::from("said twice")));
        }
        records.push((key, attributes));
    }
    records
}

#[test]
fn records_in_random_order_with_duplicates_are_a_plain_map_whatever_the_budget() {
    let seed = crate::support::environment("VECTOR_TEST_SEED").unwrap_or(3);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for (count, again) in [(0, 1), (1, 1), (2000, 2), (3000, 20), (1500, 1 << 40)] {
        let records = records(&mut random, count, again);
        let points = plain(&records);
        for budget in BUDGETS {
            let directory = tempfile::tempdir().unwrap();
            let (db, merged) = load(&directory.path().join("a.vdb"), budget, &records);
            assert_eq!(merged, (records.len() - points.len()) as u64);
            check(&db, &points);
            db.close().unwrap();
        }
    }
}

/// What the last bucket of an index passes on goes to the first one; with few keys that is common.
#[test]
fn every_key_of_a_small_index_is_found() {
    for count in (1..130).chain([500, 1000, 3000]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.vdb");
        let budget = if count % 3 == 0 { 256 << 20 } else { count % 3 * 1000 };
        let mut loader = BulkLoader::create(&path).unwrap().memory_budget(budget);
        for n in 0..count as u64 {
            loader.push(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), [("n", n as i64)]).unwrap();
        }
        loader.finish().unwrap();
        let db = VectorDb::open(&path).unwrap();
        for n in 0..count as u64 {
            let key = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            assert_eq!(db.lookup(key, "n").unwrap(), Some(Value::from(n)), "{n} of {count}");
            assert!(!db.contains(key ^ 1).unwrap());
        }
    }
}

#[test]
fn thousands_of_sparse_dimensions_fit_in_a_small_budget() {
    const DIMENSIONS: usize = 3000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    let names: Vec<String> = (0..DIMENSIONS).map(|n| format!("dimension {n}")).collect();
    let mut loader = BulkLoader::create(&path).unwrap().memory_budget(1 << 20);
    for n in 0..12_000usize {
        // Each third key came before; four dimensions to a record.
        let key = if n % 3 == 2 { n / 2 } else { n } ^ 0x5555;
        let attributes = (0..4).map(|k| (&*names[(n * 7 + k * 701) % DIMENSIONS], ValueRef::Int(n as i128)));
        loader.push(key as u64, attributes).unwrap();
    }
    loader.finish().unwrap();
    let mut expected: BTreeMap<(u64, usize), i128> = BTreeMap::new();
    for n in 0..12_000usize {
        let key = if n % 3 == 2 { n / 2 } else { n } ^ 0x5555;
        expected.extend((0..4).map(|k| ((key as u64, (n * 7 + k * 701) % DIMENSIONS), n as i128)));
    }
    let db = VectorDb::open(&path).unwrap();
    let snapshot = db.snapshot();
    let mut count = 0;
    for (&(key, dimension), &value) in &expected {
        let read = snapshot.dimension(&names[dimension]).unwrap().lookup(key).unwrap();
        assert_eq!(read, Some(ValueRef::Int(value)), "{key} in {dimension}");
        count += 1;
    }
    let stored: u64 = names.iter().map(|name| snapshot.dimension(name).unwrap().point_count().unwrap()).sum();
    assert_eq!(stored, count);
}

/// The files of a database with changes over its base after a compaction with so much memory.
fn compacted(storage: &MemoryStorage, budget: usize) -> BTreeMap<String, Vec<u8>> {
    let storage = storage.snapshot();
    let options = Options::new().memory_budget(budget);
    let db = options.open_in(Arc::new(storage.clone())).unwrap();
    db.compact(&CompactOptions::default()).unwrap();
    db.close().unwrap();
    storage.files()
}

#[test]
fn compaction_writes_the_same_files_whatever_the_budget() {
    let mut random = Random::new(8);
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
    let records = records(&mut random, 2500, 10);
    for (number, part) in records.chunks(900).enumerate() {
        for (key, attributes) in part {
            let attributes = attributes.iter().map(|(name, value)| (&**name, value.clone()));
            db.upsert(Key::try_from(key.clone()).unwrap(), attributes).unwrap();
        }
        for (key, _) in part.iter().step_by(7) {
            db.delete(&Key::try_from(key.clone()).unwrap()).unwrap();
        }
        if number < 2 {
            db.save().unwrap();
        }
    }
    db.close().unwrap();
    let whole = compacted(&storage, 256 << 20);
    assert!(whole.len() > 9, "{:?}", whole.keys());
    for budget in [1, 400_000] {
        let bounded = compacted(&storage, budget);
        assert!(bounded.keys().eq(whole.keys()), "{budget}: {:?}", bounded.keys());
        for (name, bytes) in &bounded {
            assert!(*bytes == whole[name], "{name} is another one with a budget of {budget}");
        }
    }
}

/// Some segments are as the files have them, and some are not; several threads build the files.
#[test]
fn compaction_keeps_every_value_of_segments_that_changed_and_of_those_that_did_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    for n in 0..300_000u64 {
        let (name, few) = (format!("name {}", n * 7919 % 80_000), format!("{}", n % 300));
        let values = [
            ("same", ValueRef::Bool(true)),
            ("few", ValueRef::Text(&few)),
            ("name", ValueRef::Text(&name)),
            ("number", ValueRef::Int((n * n).into())),
            ("large", ValueRef::Int((u64::MAX - n % 100_000).into())),
            ("float", ValueRef::Float(n as f64 / 7.0)),
            ("sparse", ValueRef::Int(n.into())),
        ];
        loader.push(n * 3, values.into_iter().take(if n % 100 == 0 { 7 } else { 6 })).unwrap();
    }
    loader.finish().unwrap();
    for threads in [1, 3] {
        let db = Options::new().threads(threads).open(&path).unwrap();
        for n in 0..50 {
            db.upsert((70_000 + n) * 3, [("name", Value::from("changed")), ("float", Value::from(n))]).unwrap();
        }
        if threads == 3 {
            db.delete(200_000 * 3).unwrap();
            db.upsert("another key", [("few", 1)]).unwrap();
        }
        let all = || -> Vec<(Key, Vec<(String, Value)>)> {
            let snapshot = db.snapshot();
            let points = snapshot.iter().map(Result::unwrap).map(|point| {
                let attributes = point.attributes().map(|attribute| {
                    let (name, value) = attribute.unwrap();
                    (name.to_owned(), value.to_value().unwrap())
                });
                (point.key().to_key(), attributes.collect())
            });
            points.collect()
        };
        let before = all();
        assert_eq!(before.len(), 300_000);
        db.compact(&CompactOptions::default()).unwrap();
        assert!(all() == before, "with {threads} threads");
        assert!(db.verify().unwrap().is_sound());
        db.close().unwrap();
    }
}

/// At whichever write, most of which are those of spills.
#[test]
fn compaction_without_space_for_what_it_spills_leaves_everything_as_it_was() {
    let disk = Disk::default();
    let options = Options::new().memory_budget(1);
    let db = options.create_in(Arc::new(disk.clone())).unwrap();
    let records: Vec<Record> = (0..10_000u64)
        .map(|n| (Value::from(n * n), vec![("text".to_owned(), Value::from(format!("{n} and so on")))]))
        .collect();
    let batch = records.iter().map(|(key, attributes)| {
        let attributes = attributes.iter().map(|(name, value)| (&**name, value.clone()));
        (Key::try_from(key.clone()).unwrap(), attributes.collect::<Vec<_>>())
    });
    db.batch_upsert(batch).unwrap();
    db.save().unwrap();
    let points = plain(&records);
    let before = disk.operations();
    db.compact(&CompactOptions::default()).unwrap();
    let operations = disk.operations() - before;
    assert!(operations > 100, "{operations} operations: nothing was spilled");
    for from in (0..operations).step_by(11) {
        disk.set_fault(Some(Fault { from, count: 1, kind: FaultKind::NoSpace }));
        if let Err(error) = db.compact(&CompactOptions::default()) {
            assert!(error.is_no_space(), "{error}");
        }
        disk.set_fault(None);
    }
    check(&db, &points);
    db.compact(&CompactOptions::default()).unwrap();
    check(&db, &points);
}

#[test]
fn a_load_that_spilled_and_was_cancelled_at_any_report_leaves_nothing() {
    for limit in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.vdb");
        let mut loader = BulkLoader::create(&path).unwrap().memory_budget(1);
        for n in 0..300u64 {
            let text = n.to_string();
            loader.push(n * n % 257, [("x", ValueRef::Int(n.into())), ("y", ValueRef::Text(&text))]).unwrap();
        }
        let mut count = 0;
        let result = loader.finish_with(&mut |_| {
            count += 1;
            if count > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if result.is_ok() {
            // Once for the axis, and once for each column.
            assert!(limit >= 3, "{limit} reports");
            return;
        }
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
