//! Imports onto disks that fail, and with every budget.

use crate::crash::disk::{Disk, Fault, FaultKind, Survival};
use crate::support::contents::Contents;
use crate::support::random::Random;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{Import, Options, Value, VectorDb, attrs};

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
