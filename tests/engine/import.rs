//! Imports onto disks that fail, and with every budget.

use crate::crash::disk::{Disk, Fault, FaultKind, Survival};
use crate::support::contents::Contents;
use crate::support::random::Random;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{CompactOptions, Import, Options, Value, VectorDb, attrs};

/// More dimensions than files wait to be made durable at once.
const DIMENSION_COUNT: usize = 300;

fn database() -> VectorDb {
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    for key in 0..20i64 {
        let names = (0..DIMENSION_COUNT).filter(|n| n % 20 >= key as usize).map(|n| format!("dimension {n}"));
        db.upsert(key * key, names.map(|name| (name, Value::from(key % 3)))).unwrap();
    }
    db.delete(25).unwrap();
    db
}

fn exported(db: &VectorDb) -> SourceFile {
    let mut file = Cursor::new(Vec::new());
    db.export_to(&mut file, 1 << 20).unwrap();
    SourceFile::in_memory(Path::new("source.db"), file.into_inner())
}

#[test]
fn an_import_that_returned_survives_a_loss_of_power() {
    let db = database();
    let disk = Disk::default();
    Import::new().run_in(&exported(&db), Arc::new(disk.clone())).unwrap();
    let mut random = Random::new(7);
    for survival in Survival::ALL {
        let disk = disk.after_power_loss(survival, &mut random);
        let again = Options::new().open_in(Arc::new(disk)).unwrap();
        assert_eq!(Contents::of(&again).difference(&Contents::of(&db)), None, "{survival:?}");
        assert!(again.verify().unwrap().is_sound(), "{survival:?}");
    }
}

#[test]
fn an_import_that_the_disk_fails_is_an_error_and_makes_no_database() {
    let source = exported(&database());
    let disk = Disk::default();
    Import::new().run_in(&source, Arc::new(disk.clone())).unwrap();
    let count = disk.operations();
    for operation in (0..count).step_by(7) {
        let disk = Disk::default();
        disk.set_fault(Some(Fault { from: operation, count: u64::MAX, kind: FaultKind::Broken }));
        let result = Import::new().run_in(&source, Arc::new(disk.clone()));
        disk.set_fault(None);
        assert!(result.is_err(), "operation {operation} of {count}");
        assert!(Options::new().open_in(Arc::new(disk)).is_err(), "operation {operation} of {count}");
    }
}

/// With one byte, everything takes the way of what does not fit in memory.
#[test]
fn whatever_fits_in_memory_an_import_gives_the_same_database() {
    let db = Options::new().create_in(Arc::new(Disk::default())).unwrap();
    let value = |n: i64| match n % 8 {
        0 => Value::from(n),
        1 => Value::from(-n),
        2 => Value::from(n as f64 / 3.0),
        3 => Value::from(u64::MAX - n as u64),
        4 => Value::from(n.to_le_bytes().to_vec()),
        5 => Value::from(i128::MAX - i128::from(n)),
        6 => Value::Null,
        _ => Value::from(format!("value {n}")),
    };
    let points = (0..30_000i64).map(|n| {
        let again = n * 7919 % 11_000;
        (
            n * 31 % 30_011,
            attrs! { "mixed" => value(again), "int" => -again, "float" => again as f64, "text" => format!("{again}") },
        )
    });
    db.batch_upsert(points).unwrap();
    assert_eq!(db.batch_delete((0..30_011).step_by(17)).unwrap(), 1766);
    let source = exported(&db);
    let expected = Contents::of(&db);
    for budget in [1, 256 << 20] {
        let disk = Disk::default();
        let report = Import::new().memory_budget(budget).run_in(&source, Arc::new(disk.clone())).unwrap();
        assert!(report.repairs.is_empty(), "{:?}", report.repairs);
        let again = Options::new().open_in(Arc::new(disk)).unwrap();
        assert_eq!(Contents::of(&again).difference(&expected), None, "budget {budget}");
        assert!(again.verify().unwrap().is_sound(), "budget {budget}");
    }
}

/// The name of a dimension, how many values of it are distinct, and these.
type Shape = (&'static str, i64, fn(i64) -> Value);

/// Each encoding, and both sides of each choice between them.
fn shapes() -> Vec<Shape> {
    let text = |n: i64| Value::from(format!("value {n}"));
    let mixed = |n: i64| match n % 7 {
        0 => Value::from(n),
        1 => Value::from(u64::MAX - n as u64),
        2 => Value::from(n as f64 / 3.0),
        3 => Value::Null,
        4 => Value::from(vec![n as u8; 9]),
        5 => Value::from(i128::MAX - i128::from(n)),
        _ => Value::from(format!("value {n}")),
    };
    vec![
        ("constant", 1, text),
        ("nulls", 1, |_| Value::Null),
        ("two", 2, |n| if n == 0 { Value::Null } else { Value::from(f64::NAN) }),
        ("256 texts", 256, text),
        ("257 texts", 257, text),
        ("many texts", 9_000, text),
        ("256 integers", 256, |n| Value::from(-n)),
        ("1000 integers", 1000, |n| Value::from(-n)),
        ("many integers", 9_000, |n| Value::from(-n)),
        ("many unsigned", 9_000, |n| if n % 2 == 0 { Value::from(n) } else { Value::from(u64::MAX - n as u64) }),
        (
            "integers of both kinds",
            9_000,
            |n| if n % 2 == 0 { Value::from(-n) } else { Value::from(u64::MAX - n as u64) },
        ),
        ("many floats", 9_000, |n| Value::from(n as f64 / 7.0)),
        ("few floats", 40, |n| Value::from(-(n as f64) * 0.0)),
        ("integers and floats", 9_000, |n| if n % 2 == 0 { Value::from(n) } else { Value::from(n as f64) }),
        ("mixed", 9_000, mixed),
        ("few mixed", 30, mixed),
        ("long texts", 12, |n| Value::from("x".repeat(500 + n as usize))),
    ]
}

/// An import numbers values before cells, a compaction the cells: the files come out the same.
#[test]
fn an_import_stores_each_dimension_as_a_compaction_does() {
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    let points = (0..10_000i64).map(|key| {
        let n = key * 7919 % 10_007;
        let values = shapes().into_iter().enumerate().filter(move |(index, _)| n % (*index as i64 % 5 + 1) != 3);
        (key, values.map(move |(_, (name, distinct, value))| (name, value(n % distinct))).collect::<Vec<_>>())
    });
    db.batch_upsert(points).unwrap();
    // Slots that are used again: ids no longer follow the slots.
    db.batch_delete((0..9_000i64).step_by(3)).unwrap();
    let again = shapes().into_iter().map(|(name, distinct, value)| (name, value(distinct - 1))).collect::<Vec<_>>();
    db.batch_upsert((20_000..22_000i64).map(|key| (key, again.clone()))).unwrap();
    let details = |db: &VectorDb| -> BTreeMap<_, _> {
        db.stats().unwrap().dimension_details.into_iter().map(|details| (details.name.clone(), details)).collect()
    };
    let source = exported(&db);
    db.compact(&CompactOptions::default()).unwrap();
    let compacted = details(&db);
    let encodings: std::collections::BTreeSet<_> = compacted.values().map(|details| details.encoding).collect();
    assert!(encodings.len() >= 7, "{encodings:?}");
    for budget in [1, 256 << 20] {
        let storage = Arc::new(MemoryStorage::new());
        Import::new().memory_budget(budget).run_in(&source, Arc::clone(&storage) as _).unwrap();
        let imported = details(&Options::new().open_in(storage).unwrap());
        assert_eq!(imported, compacted, "budget {budget}");
    }
}
