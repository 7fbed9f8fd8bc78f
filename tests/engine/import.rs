//! Imports onto disks that fail.

use crate::crash::disk::{Disk, Fault, FaultKind, Survival};
use crate::support::contents::Contents;
use crate::support::random::Random;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{Import, Options, Value, VectorDb};

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
