//! Writes: how many fsyncs they take, what they answer, and that nobody is held up by them.

use super::{block_on, create, on_one_thread, on_threads, poll, wait_until};
use crate::readers::gate::Gate;
use crate::readers::hooked::{HookedStorage, Moment};
use crate::readers::slow_disk::SlowDisk;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    AsyncVectorDb, Durability, NAME_LEN_MAX, Options, PendingWork, PendingWrite, Result, Slot, attrs,
};

const WRITERS: u64 = 16;
const COMMITS: u64 = 30;
const FSYNC: Duration = Duration::from_millis(2);

/// Has all writers write at once. Each finds its commit durable when it is told so.
async fn write_at_once(db: AsyncVectorDb, disk: Arc<SlowDisk>) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (db, disk) = (db.clone(), Arc::clone(&disk));
        writers.spawn(async move {
            for n in 0..COMMITS {
                let key = writer * COMMITS + n;
                db.upsert(key, attrs! { "writer" => writer, "n" => n }).await.unwrap();
                assert_eq!(db.lookup(key, "n").unwrap(), Some(n.into()), "its own write");
                let survivor = Options::new().open_read_only_in(Arc::new(disk.after_power_loss())).unwrap();
                assert_eq!(survivor.lookup(key, "n").unwrap(), Some(n.into()), "commit {n} of writer {writer}");
            }
        });
    }
    while let Some(result) = writers.join_next().await {
        result.unwrap();
    }
}

#[test]
fn concurrent_writers_share_fsyncs_and_each_commit_is_durable_when_acknowledged() {
    for runtime in [on_one_thread(), on_threads()] {
        let disk = SlowDisk::new(FSYNC);
        let db = create(disk.storage(), &Options::new());
        runtime.block_on(write_at_once(db.clone(), Arc::clone(&disk)));
        let (fsyncs, commits) = (disk.fsyncs(), WRITERS * COMMITS);
        println!("{fsyncs} fsyncs for {commits} commits");
        assert!(fsyncs * 4 < commits, "{fsyncs} fsyncs for {commits} commits");
        assert_eq!((db.snapshot().sequence(), db.len()), (commits, commits));
        runtime.block_on(db.close()).unwrap();
    }
}

#[test]
fn eventual_durability_takes_no_fsync() {
    let disk = SlowDisk::new(Duration::ZERO);
    let db = create(disk.storage(), &Options::new().durability(Durability::Eventual));
    on_one_thread().block_on(async {
        db.upsert(0, attrs! { "n" => 0 }).await.unwrap();
        let before = disk.fsyncs();
        for n in 1..100 {
            db.upsert(n, attrs! { "n" => n }).await.unwrap();
            assert_eq!(db.len(), n + 1);
        }
        assert_eq!(disk.fsyncs(), before);
        db.close().await.unwrap();
        assert!(disk.fsyncs() > before);
    });
}

#[test]
fn every_write_answers_as_its_blocking_form_does() {
    let blocking = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    let db = create(Arc::new(MemoryStorage::new()), &Options::new());
    on_one_thread().block_on(async {
        let records = || (0..5).map(|n| (n, attrs! { "n" => n, "text" => format!("text {n}") }));
        assert_eq!(db.batch_upsert(records()).await.unwrap(), blocking.batch_upsert(records()).unwrap());
        for key in [2, 7] {
            assert_eq!(db.delete(key).await.unwrap(), blocking.delete(key).unwrap());
            assert_eq!(
                db.remove_attribute(key + 1, "n").await.unwrap(),
                blocking.remove_attribute(key + 1, "n").unwrap()
            );
        }
        assert_eq!(db.batch_delete([4, 9]).await.unwrap(), blocking.batch_delete([4, 9]).unwrap());
        assert_eq!(db.upsert("new", attrs! {}).await.unwrap(), Slot(2));
        assert_eq!(blocking.upsert("new", attrs! {}).unwrap(), Slot(2));
        assert_eq!(db.insert_at("first", 0, attrs! { "n" => 9 }).await.unwrap(), Slot(0));
        assert_eq!(blocking.insert_at("first", 0, attrs! { "n" => 9 }).unwrap(), Slot(0));
        let placed = [("second", Some(1), attrs! { "n" => 8 }), ("last", None, attrs! { "n" => 7 })];
        let placed = || placed.clone();
        assert_eq!(db.batch_insert_at(placed()).await.unwrap(), blocking.batch_insert_at(placed()).unwrap());
        for db in [db.blocking(), &blocking] {
            assert!(db.verify().unwrap().is_sound());
        }
        let points = |db: &vector_datalib::VectorDb| -> Vec<_> {
            db.snapshot().iter().map(|point| point.unwrap().to_point().unwrap()).collect()
        };
        assert_eq!(points(db.blocking()), points(&blocking));
        assert_eq!(db.point("first").unwrap(), blocking.point("first").unwrap());
        assert_eq!(
            db.batch_lookup([(0, "n"), (77, "n")]).unwrap(),
            blocking.batch_lookup([(0, "n"), (77, "n")]).unwrap()
        );
        assert_eq!(db.dimensions(), blocking.dimensions());
        assert!(db.contains(0).unwrap() && !db.contains(2).unwrap() && !db.is_empty());
        assert_eq!(db.stats().await.unwrap().vector_points, db.len());
    });
}

#[test]
fn a_refused_batch_does_no_harm_to_those_it_is_queued_with() {
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let storage = HookedStorage::new(Arc::new(MemoryStorage::new()), move |moment, name| at_gate.pass(moment, name));
    let db = create(storage, &Options::new());
    let long = "x".repeat(NAME_LEN_MAX + 1);
    block_on(async {
        db.upsert(0, attrs! { "n" => 0 }).await.unwrap();
        gate.close_at(Moment::BeforeSync, "wal-");
        let mut first = db.upsert(1, attrs! { "n" => 1 });
        assert!(poll(&mut first).is_pending());
        gate.wait_for_arrival();
        // These wait together: the second one is refused by the thread, the third one at once.
        let mut good = db.batch_upsert((2..5).map(|n| (n, attrs! { "n" => n })));
        let mut refused = db.batch_insert_at([(5, None, [("n", 5)]), (6, Some(1000), [("n", 6)])]);
        let mut too_long = db.batch_upsert([(5, [("n", 5)]), (6, [(&*long, 6)])]);
        let mut last = db.upsert(7, attrs! { "n" => 7 });
        assert!(poll(&mut good).is_pending() && poll(&mut refused).is_pending() && poll(&mut last).is_pending());
        let error = match poll(&mut too_long) {
            std::task::Poll::Ready(result) => result.unwrap_err(),
            std::task::Poll::Pending => panic!("it was queued"),
        };
        assert!(error.to_string().starts_with("record 1: the name of"), "{error}");
        gate.open();
        assert_eq!(first.await.unwrap(), Slot(1));
        assert_eq!(good.await.unwrap(), [Slot(2), Slot(3), Slot(4)]);
        let error = refused.await.unwrap_err();
        assert!(error.to_string().starts_with("record 1: position 1000"), "{error}");
        assert_eq!(last.await.unwrap(), Slot(5));
        assert!(!db.contains(5).unwrap() && !db.contains(6).unwrap());
    });
}

#[test]
fn a_disk_that_hangs_holds_up_writers_only_and_not_more_than_the_queue_holds() {
    const MANY: u64 = 3000;
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let storage = HookedStorage::new(Arc::new(MemoryStorage::new()), move |moment, name| at_gate.pass(moment, name));
    let db = create(storage, &Options::new());
    on_one_thread().block_on(async {
        db.upsert("first", attrs! { "n" => 1 }).await.unwrap();
        gate.close_at(Moment::BeforeSync, "wal-");
        let mut writers = JoinSet::new();
        for n in 0..MANY {
            writers.spawn(db.upsert(n, attrs! { "n" => n }));
        }
        // The one thread of this runtime is free while the writer's thread stands in an fsync.
        let slow = tokio::time::timeout(Duration::from_millis(50), writers.join_next()).await;
        assert!(slow.is_err(), "a write was acknowledged before its fsync");
        gate.wait_for_arrival();
        assert_eq!(db.lookup("first", "n").unwrap(), Some(1.into()));
        assert_eq!(db.len(), 1);
        // A writer that gives up has no place in the queue, and so is not written.
        let given_up = tokio::time::timeout(Duration::from_millis(20), db.upsert("given up", attrs! {})).await;
        assert!(given_up.is_err());
        gate.open();
        while let Some(slot) = writers.join_next().await {
            slot.unwrap().unwrap();
        }
        assert_eq!(db.len(), MANY + 1);
        db.close().await.unwrap();
    });
}

#[test]
fn writes_need_no_runtime() {
    let storage = Arc::new(MemoryStorage::new());
    let db = create(storage.clone(), &Options::new());
    block_on(async {
        assert_eq!(db.upsert(1, attrs! { "n" => 1 }).await.unwrap(), Slot(0));
        db.close().await.unwrap();
    });
    assert_eq!(Options::new().open_in(storage).unwrap().len(), 1);
}

#[test]
fn futures_can_be_sent_and_borrow_nothing() {
    fn check<T>(future: impl Future<Output = Result<T>> + Send + Unpin + 'static) {
        drop(future);
    }
    let db = create(Arc::new(MemoryStorage::new()), &Options::new());
    let (key, name, value) = ("key".to_owned(), "name".to_owned(), "value".to_owned());
    check::<Slot>(db.upsert(&*key, [(&*name, &*value)]));
    check::<bool>(db.remove_attribute(&*key, &name));
    check::<u64>(db.batch_delete([&*key]));
    check::<()>(db.save());
    fn assert_sendable<T: Send + 'static>() {}
    assert_sendable::<(PendingWrite<Slot>, PendingWork<()>, AsyncVectorDb)>();
    assert!(db.is_empty(), "none of them was polled");
}

#[test]
fn a_log_that_grew_by_queued_writes_is_checkpointed_by_itself() {
    for in_background in [false, true] {
        let options = Options::new().auto_checkpoint(Some(4096)).background(in_background);
        let db = create(Arc::new(MemoryStorage::new()), &options);
        block_on(async {
            for n in 0..300 {
                db.upsert(n, attrs! { "n" => n }).await.unwrap();
            }
        });
        wait_until("no checkpoint was made", || db.blocking().stats().unwrap().generation > 0);
        assert_eq!(db.len(), 300);
        block_on(db.close()).unwrap();
    }
}

#[test]
fn a_handle_that_was_opened_read_only_sees_what_is_committed_and_writes_nothing() {
    let storage = Arc::new(MemoryStorage::new());
    let db = create(storage.clone(), &Options::new());
    on_one_thread().block_on(async {
        db.upsert(1, attrs! { "n" => 1 }).await.unwrap();
        let reader = AsyncVectorDb::new(Options::new().open_read_only_in(storage).unwrap()).unwrap();
        db.upsert(2, attrs! { "n" => 2 }).await.unwrap();
        assert_eq!(reader.len(), 1);
        assert!(reader.refresh().await.unwrap() && !reader.refresh().await.unwrap());
        assert_eq!(reader.lookup(2, "n").unwrap(), Some(2.into()));
        assert!(reader.upsert(3, attrs! { "n" => 3 }).await.unwrap_err().is_read_only());
        assert!(reader.save().await.unwrap_err().is_read_only());
        reader.close().await.unwrap();
    });
}
