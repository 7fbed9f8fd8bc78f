//! Compactions that lay out points anew: packed, by key, frozen.

use crate::support::random::Random;
use crate::support::values;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    CompactOptions, Error, Key, Layout, Options, Slot, Value, VectorDb, attrs, inspect::inspect_database,
};

/// The number that each key has as its attribute.
type Points = BTreeMap<Key, u64>;

fn options() -> Options {
    // Patches stay patches.
    Options::new().merge_fraction(1e9).background(false).auto_checkpoint(None)
}

fn create(options: &Options, points: &Points) -> (VectorDb, MemoryStorage) {
    let storage = MemoryStorage::new();
    let db = options.create_in(Arc::new(storage.clone())).unwrap();
    // Not in the order of keys.
    let mut records: Vec<_> = points.iter().map(|(key, n)| (key.clone(), attrs! { "n" => *n })).collect();
    let middle = records.len() / 3;
    records.rotate_left(middle);
    db.batch_upsert(records).unwrap();
    (db, storage)
}

fn lay_out(db: &VectorDb, layout: Layout) {
    db.compact(&CompactOptions::new().layout(layout)).unwrap();
}

fn axis(db: &VectorDb) -> &'static str {
    db.stats().unwrap().axis_encoding
}

/// Every key leads to its point and back, and no other key is there.
#[track_caller]
fn check(db: &VectorDb, points: &Points) {
    let snapshot = db.snapshot();
    assert_eq!(snapshot.len(), points.len() as u64);
    for (key, n) in points {
        assert_eq!(db.lookup(key, "n").unwrap(), Some(Value::from(*n)), "{key}");
        let slot = snapshot.slot(key).unwrap().unwrap();
        assert_eq!(snapshot.key(slot).unwrap(), Some(key.as_ref()));
    }
    for n in 0..1000u64 {
        let missing = Key::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        assert_eq!(snapshot.slot(&missing).unwrap().is_some(), points.contains_key(&missing));
        assert_eq!(db.lookup(format!("missing {n}").as_str(), "n").unwrap(), None);
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

fn integers(count: u64) -> Points {
    (0..count).map(|n| (Key::from(n.wrapping_mul(0xD6E8_FEB8_6659_FD93)), n)).collect()
}

fn texts(count: u64) -> Points {
    (0..count).map(|n| (Key::from(format!("key {n}")), n)).collect()
}

fn mixed(count: u64) -> Points {
    let seed = 11;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut points = Points::new();
    while (points.len() as u64) < count {
        points.insert(Key::try_from(values::key(&mut random, 0)).unwrap(), random.next() >> 1);
    }
    points
}

#[test]
fn a_frozen_database_finds_each_key_and_no_other() {
    let sizes = [2, 10, 1000, 65_536, 65_537].map(integers);
    for points in sizes.into_iter().chain([1, 5, 3000].map(texts)).chain([mixed(700)]) {
        let (db, storage) = create(&options(), &points);
        lay_out(&db, Layout::Frozen);
        assert_eq!(axis(&db), "frozen", "{} keys", points.len());
        assert_eq!(db.snapshot().slot_count(), points.len() as u64, "slots without gaps");
        check(&db, &points);
        db.close().unwrap();
        let db = options().open_read_only_in(Arc::new(storage)).unwrap();
        check(&db, &points);
    }
    for (points, expected) in [(Points::new(), "none"), (Points::from([(Key::from(7), 1)]), "dense")] {
        let (db, _) = create(&options(), &points);
        lay_out(&db, Layout::Frozen);
        assert_eq!(axis(&db), expected);
        check(&db, &points);
    }
}

#[test]
fn what_changes_over_a_frozen_base_is_found_like_anything_else() {
    for mut points in [integers(3000), texts(3000), mixed(500)] {
        let (db, storage) = create(&options(), &points);
        lay_out(&db, Layout::Frozen);
        let keys: Vec<Key> = points.keys().cloned().collect();
        for round in 0..3u64 {
            for key in keys.iter().skip(round as usize).step_by(7) {
                if points.contains_key(key) {
                    db.upsert(key.clone(), attrs! { "n" => round + 10 }).unwrap();
                    points.insert(key.clone(), round + 10);
                }
            }
            for key in keys.iter().skip(round as usize).step_by(11) {
                assert_eq!(db.delete(key).unwrap(), points.remove(key).is_some());
            }
            for n in 0..100 {
                let key = Key::from(format!("new {round} {n}"));
                db.upsert(key.clone(), attrs! { "n" => n }).unwrap();
                points.insert(key, n);
            }
            // A key that was deleted comes back at another slot.
            db.upsert(keys[0].clone(), attrs! { "n" => 99 }).unwrap();
            points.insert(keys[0].clone(), 99);
            check(&db, &points);
            db.save().unwrap();
            check(&db, &points);
        }
        assert_eq!(db.stats().unwrap().patches, 3);
        assert_eq!(axis(&db), "frozen");
        db.close().unwrap();
        let db = options().open_in(Arc::new(storage)).unwrap();
        check(&db, &points);
        // Keys came and went: they are indexed again, where they are.
        let slots: Vec<_> = points.keys().map(|key| db.snapshot().slot(key).unwrap()).collect();
        lay_out(&db, Layout::Keep);
        assert_ne!(axis(&db), "frozen");
        assert!(points.keys().map(|key| db.snapshot().slot(key).unwrap()).eq(slots));
        check(&db, &points);
        lay_out(&db, Layout::Frozen);
        assert_eq!(axis(&db), "frozen");
        check(&db, &points);
    }
}

#[test]
fn a_frozen_axis_stays_frozen_while_no_key_comes_or_goes() {
    let points = texts(1000);
    let (db, _) = create(&options(), &points);
    lay_out(&db, Layout::Frozen);
    let slots = || points.keys().map(|key| db.snapshot().slot(key).unwrap().unwrap()).collect::<Vec<Slot>>();
    let before = slots();
    let mut points = points.clone();
    for key in points.clone().keys().step_by(3) {
        db.upsert(key.clone(), attrs! { "n" => 5, "other" => "new" }).unwrap();
        points.insert(key.clone(), 5);
    }
    db.save().unwrap();
    for layout in [Layout::Keep, Layout::Packed, Layout::Frozen] {
        lay_out(&db, layout);
        assert_eq!(axis(&db), "frozen", "{layout:?}");
        assert_eq!(slots(), before, "{layout:?}");
        check(&db, &points);
    }
    lay_out(&db, Layout::ByKey);
    assert_eq!(axis(&db), "text32");
    assert_eq!(slots(), (0..1000).map(Slot).collect::<Vec<_>>());
    check(&db, &points);
}

#[test]
fn points_by_key_have_the_coordinates_that_their_keys_have_in_order() {
    for points in [integers(5000), texts(5000), mixed(1000), Points::new()] {
        for budget in [1, 100_000, 256 << 20] {
            let (db, _) = create(&options().memory_budget(budget), &points);
            db.upsert("to be deleted", attrs! { "n" => 1 }).unwrap();
            db.save().unwrap();
            db.delete("to be deleted").unwrap();
            lay_out(&db, Layout::ByKey);
            let snapshot = db.snapshot();
            assert_eq!(snapshot.slot_count(), points.len() as u64);
            for (slot, key) in (0..).map(Slot).zip(points.keys()) {
                assert_eq!(snapshot.key(slot).unwrap(), Some(key.as_ref()));
            }
            check(&db, &points);
        }
    }
}

#[test]
fn consecutive_integers_need_no_function() {
    // Of one hundred, from all slots but the first to the first one.
    let points: Points = (50..150u64).map(|n| (Key::from(n), n)).collect();
    for layout in [Layout::ByKey, Layout::Frozen] {
        let (db, _) = create(&options(), &points);
        db.save().unwrap();
        assert_ne!(axis(&db), "dense");
        lay_out(&db, layout);
        assert_eq!(axis(&db), "dense", "{layout:?}");
        check(&db, &points);
    }
    // With gaps: each key is the first one and its coordinate, and stays where it is.
    let storage = MemoryStorage::new();
    let db = options().create_in(Arc::new(storage)).unwrap();
    db.batch_upsert((0..100u64).map(|n| (n + 7, attrs! { "n" => n }))).unwrap();
    db.batch_delete([10u64, 11, 50]).unwrap();
    lay_out(&db, Layout::Frozen);
    assert_eq!((axis(&db), db.snapshot().slot_count()), ("dense", 100));
    assert_eq!(db.snapshot().slot(60u64).unwrap(), Some(Slot(53)));
    lay_out(&db, Layout::Packed);
    assert_eq!((axis(&db), db.snapshot().slot_count()), ("plain_i64", 97));
    lay_out(&db, Layout::Frozen);
    assert_eq!((axis(&db), db.snapshot().slot_count()), ("frozen", 97));
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn files_do_not_depend_on_the_memory_budget() {
    let points: Points = integers(40_000).into_iter().chain(texts(3000)).collect();
    let storage = MemoryStorage::new();
    let db = options().create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert(points.iter().map(|(key, n)| (key.clone(), attrs! { "n" => *n }))).unwrap();
    db.close().unwrap();
    for layout in [Layout::ByKey, Layout::Frozen] {
        let files = [1, 200_000, 256 << 20].map(|budget| {
            let storage = storage.snapshot();
            let db = options().memory_budget(budget).open_in(Arc::new(storage.clone())).unwrap();
            lay_out(&db, layout);
            check(&db, &points);
            db.close().unwrap();
            let mut files = storage.files();
            files.retain(|name, _| name.starts_with("axis-") || name.starts_with("dim-"));
            files
        });
        assert!(files[0] == files[1] && files[1] == files[2] && files[0].len() == 2, "{layout:?}");
    }
}

#[test]
fn a_compaction_that_is_stopped_moves_nothing() {
    let points: Points = texts(20_000).into_iter().chain(integers(100)).collect();
    let (db, _) = create(&options(), &points);
    db.save().unwrap();
    let order = || db.snapshot().iter().map(|point| point.unwrap().key().to_key()).collect::<Vec<_>>();
    let before = order();
    for layout in [Layout::Packed, Layout::ByKey, Layout::Frozen] {
        let mut phases = Vec::new();
        lay_out(&db, Layout::Keep);
        let result = db.compact_with(&CompactOptions::new().layout(layout), &mut |progress| {
            assert!(progress.total.is_none_or(|total| progress.done <= total), "{progress:?}");
            phases.push(progress.phase);
            if phases.len() > 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{layout:?}: {phases:?}");
        assert!(order() == before, "{layout:?}");
        check(&db, &points);
    }
}

#[test]
fn snapshots_keep_the_coordinates_that_they_have() {
    let points = texts(500);
    let (db, _) = create(&options(), &points);
    let snapshot = db.snapshot();
    let slots: Vec<_> = points.keys().map(|key| snapshot.slot(key).unwrap()).collect();
    lay_out(&db, Layout::Frozen);
    assert!(points.keys().map(|key| snapshot.slot(key).unwrap()).eq(slots.iter().copied()));
    assert!(!points.keys().map(|key| db.snapshot().slot(key).unwrap()).eq(slots));
}

#[test]
fn an_export_of_a_frozen_database_is_imported_as_it_is() {
    let points: Points = texts(2000).into_iter().chain(integers(50)).collect();
    let (db, _) = create(&options(), &points);
    lay_out(&db, Layout::Frozen);
    let directory = tempfile::tempdir().unwrap();
    let (file, path) = (directory.path().join("a.db"), directory.path().join("a.vdb"));
    db.export(&file).unwrap();
    VectorDb::import(&file, &path).unwrap();
    let imported = VectorDb::open(&path).unwrap();
    check(&imported, &points);
    for key in points.keys() {
        assert_eq!(imported.snapshot().slot(key).unwrap(), db.snapshot().slot(key).unwrap());
    }
}

fn frozen_on_disk(path: &Path, points: &Points) {
    let db = options().create(path).unwrap();
    db.batch_upsert(points.iter().map(|(key, n)| (key.clone(), attrs! { "n" => *n }))).unwrap();
    lay_out(&db, Layout::Frozen);
    db.close().unwrap();
}

#[test]
fn inspection_shows_the_parts_of_a_frozen_axis() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    frozen_on_disk(&path, &integers(70_000));
    let tree = inspect_database(&path, 10).unwrap();
    assert!(tree.is_sound(), "{:?}", tree.all_problems());
    let axis = tree.children.iter().find(|file| file.name.starts_with("axis-")).unwrap();
    let descriptor = axis.child("axis").unwrap();
    assert_eq!(descriptor.get("layout"), Some(&2.into()));
    assert_eq!(descriptor.get("part_count"), Some(&2.into()));
    let perfect_hash = axis.child("perfect_hash").unwrap();
    assert_eq!(perfect_hash.get("pilots"), descriptor.get("bucket_count"));
    // Two parts and the record behind them.
    let slots: Vec<_> = perfect_hash.children.iter().map(|part| part.get("first_slot").cloned().unwrap()).collect();
    assert_eq!((slots.len(), &slots[0], &slots[2]), (3, &Value::from(0), &Value::from(70_000)));
}
