//! Concurrent commits share fsyncs, and none is acknowledged before an fsync that covers it.

use super::gate::Gate;
use super::hooked::{HookedStorage, Moment};
use super::slow_disk::SlowDisk;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Options, attrs};

const THREADS: u64 = 8;
const COMMITS: u64 = 60;
const FSYNC: Duration = Duration::from_millis(2);

#[test]
fn concurrent_commits_share_fsyncs_and_each_is_durable_when_acknowledged() {
    let disk = SlowDisk::new(FSYNC);
    let db = Options::new().create_in(disk.storage()).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (db, disk) = (&db, &disk);
            scope.spawn(move || {
                for n in 0..COMMITS {
                    let key = thread * COMMITS + n;
                    db.upsert(key, attrs! { "thread" => thread, "n" => n }).unwrap();
                    let survivor = Options::new().open_read_only_in(Arc::new(disk.after_power_loss())).unwrap();
                    assert_eq!(survivor.lookup(key, "n").unwrap(), Some(n.into()), "commit {n} of thread {thread}");
                    assert_eq!(db.lookup(key, "n").unwrap(), Some(n.into()), "its own write");
                }
            });
        }
    });
    let (fsyncs, commits) = (disk.fsyncs(), THREADS * COMMITS);
    assert!(fsyncs * 2 < commits, "{fsyncs} fsyncs for {commits} commits");
    assert_eq!(db.snapshot().sequence(), commits);
    let survivor = Options::new().open_in(Arc::new(disk.after_power_loss())).unwrap();
    assert_eq!(survivor.len(), commits);
}

/// Whichever of the fsyncs was the last one, the log says that it was made.
#[test]
fn rot_in_the_last_of_many_concurrent_commits_is_told_from_a_torn_tail() {
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(HookedStorage::new(Arc::new(storage.clone()), |moment, _: &str| {
        if moment == Moment::BeforeSync {
            thread::sleep(FSYNC / 10);
        }
    }));
    let db = db.unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || {
                for n in 0..COMMITS {
                    db.upsert(thread * COMMITS + n, attrs! { "text" => format!("commit {n} of {thread}") }).unwrap();
                }
            });
        }
    });
    let mut files = storage.files();
    std::mem::forget(db);
    let log = files.get_mut("wal-1.log").unwrap();
    let last = log.windows(7).rposition(|bytes| bytes == b"commit ").unwrap();
    log[last] ^= 1;
    let error = Options::new().open_in(Arc::new(MemoryStorage::from_files(files))).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[test]
fn a_lone_writer_syncs_once_a_commit() {
    let fsyncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&fsyncs);
    let hook = move |moment, name: &str| {
        if moment == Moment::AfterSync && name.starts_with("wal-") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let db = Options::new().create_in(HookedStorage::new(Arc::new(MemoryStorage::new()), hook)).unwrap();
    db.upsert(0, attrs! { "n" => 0 }).unwrap();
    let before = fsyncs.load(Ordering::Relaxed);
    for n in 1..=100 {
        db.upsert(n, attrs! { "n" => n }).unwrap();
    }
    assert_eq!(fsyncs.load(Ordering::Relaxed) - before, 100);
    db.batch_upsert((0..1000).map(|n| (n, attrs! { "n" => n }))).unwrap();
    assert_eq!(fsyncs.load(Ordering::Relaxed) - before, 101);
}

/// A deletion that finds nothing says so of a deletion that another thread is just making. Once that was told before it was
/// durable: after a loss of power the point was there again.
#[test]
fn what_a_commit_did_not_find_is_told_when_its_absence_is_durable() {
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let storage = HookedStorage::new(Arc::new(MemoryStorage::new()), move |moment, name| at_gate.pass(moment, name));
    let db = Options::new().create_in(storage).unwrap();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();
    gate.close_at(Moment::BeforeSync, "wal-");
    thread::scope(|scope| {
        let first = scope.spawn(|| db.delete(1).unwrap());
        gate.wait_for_arrival();
        let second = scope.spawn(|| db.delete(1).unwrap());
        thread::sleep(Duration::from_millis(50));
        let told_early = second.is_finished();
        gate.open();
        assert!(!told_early);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (true, false));
    });
}
