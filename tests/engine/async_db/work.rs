//! Long work runs elsewhere, and stops when nobody waits for it any more.

use super::{block_on, create, on_one_thread, poll, wait_until};
use crate::readers::gate::Gate;
use crate::readers::hooked::{HookedStorage, Moment};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{AsyncVectorDb, CompactOptions, Options, VectorDb, attrs};

/// A database whose compaction tells more than once how far it is.
fn filled(storage: &MemoryStorage) -> AsyncVectorDb {
    let db = create(Arc::new(storage.clone()), &Options::new());
    db.blocking().batch_upsert((0..200_000).map(|n| (n, attrs! { "n" => n, "text" => "text" }))).unwrap();
    db.blocking().save().unwrap();
    db
}

#[test]
fn a_compaction_whose_future_is_dropped_stops_and_leaves_everything_as_it_was() {
    let storage = MemoryStorage::new();
    let db = filled(&storage);
    let before = storage.files();
    let (arrived, arrival) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let reports = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reports);
    on_one_thread().block_on(async {
        let mut compaction = db.compact_with(&CompactOptions::new(), move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                arrived.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
            ControlFlow::Continue(())
        });
        assert!(poll(&mut compaction).is_pending());
        arrival.recv().unwrap();
        assert_eq!(db.len(), 200_000, "reads go on meanwhile");
        db.upsert("new", attrs! { "n" => 1 }).await.unwrap();
        drop(compaction);
        go_on.send(()).unwrap();
        // The next one waits until the cancelled one has ended.
        db.save().await.unwrap();
        assert_eq!(reports.load(Ordering::Relaxed), 1, "it went on although it was dropped");
        let after = storage.files();
        for (name, bytes) in before.iter().filter(|(name, _)| name.starts_with("axis") || name.starts_with("dim")) {
            assert_eq!(after.get(name), Some(bytes), "{name}");
        }
        assert!(db.verify().await.unwrap().is_sound());
        db.close().await.unwrap();
    });
}

#[test]
fn long_work_tells_how_far_it_is_and_can_be_cancelled_by_that() {
    let storage = MemoryStorage::new();
    let db = filled(&storage);
    let dir = tempfile::tempdir().unwrap();
    on_one_thread().block_on(async {
        let stop = |_| ControlFlow::Break(());
        assert!(db.verify_with(stop).await.unwrap_err().is_cancelled());
        assert!(db.compact_with(&CompactOptions::new(), stop).await.unwrap_err().is_cancelled());
        assert!(db.export_with(dir.path().join("a.db"), stop).await.unwrap_err().is_cancelled());
        assert!(!dir.path().join("a.db").exists());

        let seen = Arc::new(Mutex::new(Vec::new()));
        let reports = Arc::clone(&seen);
        let listen = move |report| {
            reports.lock().unwrap().push(report);
            ControlFlow::Continue(())
        };
        db.export_with(dir.path().join("a.db"), listen).await.unwrap();
        assert!(dir.path().join("a.db").exists() && !seen.lock().unwrap().is_empty());
        db.delete(5).await.unwrap();
        db.compact(&CompactOptions::new().reassign_slots(true)).await.unwrap();
        assert_eq!(db.snapshot().slot(6).unwrap().unwrap().0, 5);
        db.close().await.unwrap();
    });
}

#[test]
fn a_checkpoint_on_a_slow_disk_does_not_hold_up_the_runtime() {
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let storage = HookedStorage::new(Arc::new(MemoryStorage::new()), move |moment, name| at_gate.pass(moment, name));
    let db = create(storage, &Options::new());
    on_one_thread().block_on(async {
        db.upsert(1, attrs! { "n" => 1 }).await.unwrap();
        gate.close_at(Moment::BeforeRename, "MANIFEST");
        let save = tokio::spawn(db.save());
        while !save.is_finished() && !gate.is_occupied() {
            tokio::task::yield_now().await;
        }
        assert!(!save.is_finished());
        assert_eq!(db.lookup(1, "n").unwrap(), Some(1.into()));
        gate.open();
        save.await.unwrap().unwrap();
        assert_eq!(db.stats().await.unwrap().wal_bytes, 0);
    });
}

#[test]
fn opening_and_its_errors_are_those_of_the_blocking_handle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    on_one_thread().block_on(async {
        assert!(AsyncVectorDb::open(&path).await.unwrap_err().is_not_found());
        let db = AsyncVectorDb::create(&path).await.unwrap();
        assert!(AsyncVectorDb::create(&path).await.unwrap_err().is_already_exists());
        assert!(AsyncVectorDb::open(&path).await.unwrap_err().is_locked());
        db.upsert(1, attrs! { "n" => 1 }).await.unwrap();
        let reader = AsyncVectorDb::open_read_only(&path).await.unwrap();
        assert_eq!((reader.len(), reader.path()), (1, db.path()));
        db.close().await.unwrap();
        let db = Options::new().mmap(false).open_async(&path).await.unwrap();
        assert_eq!(db.lookup(1, "n").unwrap(), Some(1.into()));
        db.close().await.unwrap();
    });
    assert_eq!(VectorDb::open(&path).unwrap().len(), 1);
}

#[test]
fn without_a_runtime_long_work_fails_and_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let error = block_on(AsyncVectorDb::create(&path)).unwrap_err();
    assert!(error.is_invalid_argument() && error.to_string().contains("awaited in a tokio runtime"), "{error}");
    assert!(!path.exists());
    let db = create(Arc::new(MemoryStorage::new()), &Options::new());
    assert!(block_on(db.save()).unwrap_err().is_invalid_argument());
}

#[test]
fn work_that_was_never_polled_is_not_done_and_keeps_the_database_open_until_it_is_dropped() {
    let storage = MemoryStorage::new();
    let db = create(Arc::new(storage.clone()), &Options::new());
    let save = db.save();
    drop(db);
    let open = || Options::new().open_in(Arc::new(storage.clone()));
    assert!(open().unwrap_err().is_locked());
    drop(save);
    wait_until("the lock was not let go", || open().is_ok());
}
