//! Closing waits for what is queued and tells what fails; without it, what is queued is made all the same.

use super::{create, on_one_thread, on_threads, poll, wait_until};
use crate::crash::disk::{Disk, Fault, FaultKind};
use crate::readers::gate::Gate;
use crate::readers::hooked::{HookedStorage, Moment};
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{AsyncVectorDb, Options, PendingWrite, Slot, attrs};

/// A database whose writer stands in an fsync until the gate is opened.
fn held() -> (MemoryStorage, Arc<Gate>, AsyncVectorDb) {
    let (storage, gate) = (MemoryStorage::new(), Arc::new(Gate::default()));
    let at_gate = Arc::clone(&gate);
    let hooked = HookedStorage::new(Arc::new(storage.clone()), move |moment, name| at_gate.pass(moment, name));
    let db = create(hooked, &Options::new());
    gate.close_at(Moment::BeforeSync, "wal-");
    (storage, gate, db)
}

/// Queues a write for each of so many keys.
fn queue(db: &AsyncVectorDb, keys: i64) -> Vec<PendingWrite<Slot>> {
    let mut writes: Vec<_> = (0..keys).map(|n| db.upsert(n, attrs! { "n" => n })).collect();
    assert!(writes.iter_mut().all(|write| poll(write).is_pending()));
    writes
}

#[test]
fn close_waits_for_queued_writes_and_refuses_later_ones() {
    for runtime in [on_one_thread(), on_threads()] {
        let (storage, gate, db) = held();
        let (queued, never_polled) = (queue(&db, 100), db.upsert(1000, attrs! { "n" => 1000 }));
        let other = db.clone();
        let mut close = Box::pin(db.close());
        assert!(poll(&mut close).is_pending());
        let mut behind = other.upsert(1001, attrs! { "n" => 1001 });
        assert!(poll(&mut behind).is_pending());
        gate.open();
        runtime.block_on(async {
            close.await.unwrap();
            for write in queued {
                write.await.unwrap();
            }
            assert!(behind.await.unwrap_err().is_closed());
            assert!(never_polled.await.unwrap_err().is_closed());
            assert!(other.delete(1).await.unwrap_err().is_closed());
            assert!(other.save().await.unwrap_err().is_closed());
            assert_eq!((other.len(), other.lookup(7, "n").unwrap()), (100, Some(7.into())), "reads go on");
            // The lock is free although there is another handle.
            let again = AsyncVectorDb::new(Options::new().open_in(Arc::new(storage)).unwrap()).unwrap();
            assert!(!again.open_report().unclean_close);
            assert_eq!(again.len(), 100);
            other.close().await.unwrap();
            again.close().await.unwrap();
        });
    }
}

#[test]
fn close_tells_what_failed() {
    let disk = Disk::default();
    let db = create(Arc::new(disk.clone()), &Options::new());
    on_one_thread().block_on(async {
        db.upsert(1, attrs! { "n" => 1 }).await.unwrap();
        disk.set_fault(Some(Fault { from: 0, count: u64::MAX, kind: FaultKind::Broken }));
        let other = db.clone();
        let error = db.close().await.unwrap_err();
        assert!(error.is_io(), "{error}");
        assert!(!other.upsert(2, attrs! { "n" => 2 }).await.unwrap_err().is_invalid_argument());
        disk.set_fault(None);
        assert_eq!(Options::new().open_in(Arc::new(disk.clone())).unwrap().len(), 1);
    });
}

#[test]
fn what_is_queued_when_the_last_handle_goes_is_written_and_the_lock_let_go() {
    let (storage, gate, db) = held();
    on_one_thread().block_on(async {
        let writes = queue(&db, 50);
        gate.wait_for_arrival();
        // This thread is not held up, although the database cannot be closed yet.
        drop(db);
        let open = || Options::new().open_in(Arc::new(storage.clone()));
        assert!(open().unwrap_err().is_locked());
        gate.open();
        for write in writes {
            write.await.unwrap();
        }
        wait_until("the lock was not let go", || open().is_ok());
        let again = open().unwrap();
        assert_eq!(again.len(), 50);
        assert!(!again.open_report().unclean_close);
    });
}

#[test]
fn a_close_that_is_queued_is_made_although_its_future_is_dropped() {
    let storage = MemoryStorage::new();
    let db = create(Arc::new(storage.clone()), &Options::new());
    let mut close = Box::pin(db.clone().close());
    let _ready_or_not = poll(&mut close);
    drop(close);
    wait_until("it was not closed", || Options::new().open_in(Arc::new(storage.clone())).is_ok());
    on_one_thread().block_on(async {
        assert!(db.upsert(1, attrs! {}).await.unwrap_err().is_closed());
        db.close().await.unwrap();
    });
}

#[test]
fn closing_the_blocking_handle_closes_the_async_one() {
    let db = create(Arc::new(MemoryStorage::new()), &Options::new());
    db.blocking().clone().close().unwrap();
    on_one_thread().block_on(async {
        assert!(db.upsert(1, attrs! {}).await.unwrap_err().is_closed());
        db.close().await.unwrap();
    });
}
