//! Odd but legal use of the public face, each once a bug.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    BulkLoader, Error, ExtRef, Key, Options, Slot, Timestamp, Value, ValueRef, VectorDb, attrs, internals,
};

/// An ext value that is a timestamp, made by hand, once went into the log as it was: the database did not open any more.
#[test]
fn a_timestamp_in_disguise_is_stored_in_its_one_form() {
    let disguised = || ValueRef::Ext(ExtRef { code: -1, data: &[0, 0, 0, 5] });
    let timestamp = Value::from(Timestamp::new(5, 0).unwrap());
    assert_eq!(disguised().to_value().unwrap(), timestamp);
    let storage = internals::MemoryStorage::new();
    let open =
        |storage: &internals::MemoryStorage| Options::new().open_in(std::sync::Arc::new(storage.clone())).unwrap();
    let db = Options::new().create_in(std::sync::Arc::new(storage.clone())).unwrap();
    db.upsert(1, attrs! { "a" => disguised().to_value().unwrap() }).unwrap();
    db.upsert(Key::try_from(disguised().to_value().unwrap()).unwrap(), attrs! { "a" => 2 }).unwrap();
    db.close().unwrap();
    let db = open(&storage);
    assert_eq!(db.lookup(1, "a").unwrap(), Some(timestamp.clone()));
    assert_eq!(db.lookup(&Key::try_from(timestamp.clone()).unwrap(), "a").unwrap(), Some(2.into()));
    db.save().unwrap();
    assert_eq!(db.lookup(1, "a").unwrap(), Some(timestamp));
    assert!(db.verify().unwrap().is_sound());
}

/// An export to a file of the database itself would destroy it.
#[test]
fn an_export_into_the_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("a.vdb")).unwrap();
    let error: Error = db.export(db.path().join("MANIFEST")).unwrap_err();
    assert!(error.is_invalid_argument(), "{error}");
    assert!(db.export(dir.path().join("a.vdb/../a.db")).is_ok());
    db.close().unwrap();
    assert!(VectorDb::open(dir.path().join("a.vdb")).is_ok());
}

/// Slots can move without a commit: a reader is told.
#[test]
fn refresh_tells_when_only_the_files_changed() {
    let storage = std::sync::Arc::new(internals::MemoryStorage::new());
    let db = Options::new().create_in(storage.clone()).unwrap();
    db.batch_upsert((0..5).map(|n| (n, attrs! { "n" => n }))).unwrap();
    db.delete(2).unwrap();
    let reader = Options::new().open_read_only_in(storage).unwrap();
    assert!(!reader.refresh().unwrap());
    assert_eq!(reader.snapshot().slot(4).unwrap(), Some(Slot(4)));
    db.compact(&vector_datalib::CompactOptions::new().reassign_slots(true)).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.snapshot().slot(4).unwrap(), Some(Slot(3)));
    assert!(!reader.refresh().unwrap());
}

/// A database that has lost files says which, and is not taken for an empty directory.
#[test]
fn a_missing_file_is_named_and_a_lost_manifest_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let db = VectorDb::create(&path).unwrap();
    db.upsert(1, attrs! { "a" => 1 }).unwrap();
    db.save().unwrap();
    db.close().unwrap();
    for name in ["dim-0-1.col", "MANIFEST"] {
        std::fs::rename(path.join(name), dir.path().join(name)).unwrap();
        for result in [VectorDb::open(&path), VectorDb::open_read_only(&path)] {
            let error = result.unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains(name), "{error}");
        }
        std::fs::rename(dir.path().join(name), path.join(name)).unwrap();
    }
    assert_eq!(VectorDb::open(&path).unwrap().lookup(1, "a").unwrap(), Some(1.into()));
    let nothing = dir.path().join("nothing.vdb");
    std::fs::create_dir(&nothing).unwrap();
    assert!(VectorDb::open(&nothing).unwrap_err().is_not_found());
}

/// A log that a clean close sealed and that is gone was once taken for one that never was: its commits were lost without a word.
#[test]
fn a_missing_log_of_a_clean_close_is_corruption() {
    let storage = internals::MemoryStorage::new();
    let options = Options::new();
    drop(options.create_in(std::sync::Arc::new(storage.clone())).unwrap());
    for n in 1..4 {
        let db = options.open_in(std::sync::Arc::new(storage.clone())).unwrap();
        db.upsert("k", attrs! { "v" => n }).unwrap();
        db.close().unwrap();
    }
    let logs: Vec<String> = storage.files().into_keys().filter(|name| name.starts_with("wal-")).collect();
    assert_eq!(logs.len(), 3);
    for missing in 1_usize..8 {
        let mut files = storage.files();
        let gone = |at: usize| missing & (1 << at) != 0;
        logs.iter().enumerate().filter(|(at, _)| gone(*at)).for_each(|(_, name)| drop(files.remove(name)));
        let damaged = std::sync::Arc::new(internals::MemoryStorage::from_files(files));
        for result in [options.open_in(damaged.clone()), options.open_read_only_in(damaged.clone())] {
            assert!(result.unwrap_err().is_corrupt(), "without {missing:03b}");
        }
    }
}

/// A reader never goes on with a database that is not the one it opened.
#[test]
fn refresh_tells_that_the_database_is_gone_or_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let create = |n: i32| {
        let db = VectorDb::create(&path).unwrap();
        db.upsert(1, attrs! { "n" => n }).unwrap();
        db.close().unwrap();
    };
    create(1);
    let reader = VectorDb::open_read_only(&path).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    assert!(reader.refresh().unwrap_err().is_not_found());
    create(2);
    assert!(reader.refresh().unwrap_err().is_not_found());
    assert_eq!(reader.lookup(1, "n").unwrap(), Some(1.into()));
}

/// Else the first attributes of the record would be taken for those of the next one.
#[test]
fn a_load_does_not_go_on_after_attributes_that_panicked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push(1, [("a", 1), ("b", 1)]).unwrap();
    let attributes = (0..2).map(|n| if n == 0 { ("a", 2) } else { panic!("no more attributes") });
    assert!(catch_unwind(AssertUnwindSafe(|| loader.push(2, attributes))).is_err());
    assert!(matches!(loader.push(3, [("a", 3)]), Err(Error::InvalidArgument { .. })));
    assert!(matches!(loader.finish(), Err(Error::InvalidArgument { .. })));
    assert!(!path.exists());
}

/// A batch whose records panic is not committed, not even in part, and the database goes on.
#[test]
fn a_batch_that_panicked_changes_nothing() {
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    db.upsert(1, [("a", 1)]).unwrap();
    let records = (0..3).map(|n| if n < 2 { (n, [("a", 5)]) } else { panic!("no more records") });
    assert!(catch_unwind(AssertUnwindSafe(|| db.batch_upsert(records))).is_err());
    let attributes = (0..2).map(|n| if n == 0 { ("a", 6) } else { panic!("no more attributes") });
    assert!(catch_unwind(AssertUnwindSafe(|| db.upsert(1, attributes))).is_err());
    assert_eq!((db.len(), db.lookup(1, "a").unwrap()), (1, Some(Value::from(1))));
    db.upsert(0, [("a", 2)]).unwrap();
    db.save().unwrap();
    assert_eq!((db.len(), db.lookup(0, "a").unwrap()), (2, Some(Value::from(2))));
    assert!(db.verify().unwrap().is_sound());
}
