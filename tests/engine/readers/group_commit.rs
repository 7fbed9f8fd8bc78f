//! Concurrent commits share fsyncs, and none is acknowledged before an fsync that covers it.

use super::hooked::{HookedStorage, Moment};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vector_datalib::internals::{MemoryStorage, Storage};
use vector_datalib::{Options, attrs};

const THREADS: u64 = 8;
const COMMITS: u64 = 60;
const FSYNC: Duration = Duration::from_millis(2);

/// A disk whose fsyncs take their time, and what a loss of power would leave of its logs.
struct SlowDisk {
    files: MemoryStorage,
    /// What is durable of each log: its content when an fsync that has returned began.
    durable: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Content at the start of an fsync that has not returned.
    syncing: Mutex<BTreeMap<String, Vec<u8>>>,
    fsyncs: AtomicU64,
}

impl SlowDisk {
    fn at(&self, moment: Moment, name: &str) {
        if !name.starts_with("wal-") {
            return;
        }
        match moment {
            Moment::BeforeSync => {
                let content = self.files.read(name).unwrap().unwrap();
                self.syncing.lock().unwrap().insert(name.to_owned(), content);
                thread::sleep(FSYNC);
            }
            Moment::AfterSync => {
                let content = self.syncing.lock().unwrap().remove(name).unwrap();
                self.durable.lock().unwrap().insert(name.to_owned(), content);
                self.fsyncs.fetch_add(1, Ordering::Relaxed);
            }
            Moment::BeforeRename => {}
        }
    }

    /// The directory after a loss of power now.
    fn after_power_loss(&self) -> MemoryStorage {
        let mut files = self.files.files();
        files.retain(|name, _| !name.starts_with("wal-"));
        files.extend(self.durable.lock().unwrap().clone());
        MemoryStorage::from_files(files)
    }
}

#[test]
fn concurrent_commits_share_fsyncs_and_each_is_durable_when_acknowledged() {
    let disk = Arc::new(SlowDisk {
        files: MemoryStorage::new(),
        durable: Mutex::default(),
        syncing: Mutex::default(),
        fsyncs: AtomicU64::new(0),
    });
    let hook = {
        let disk = Arc::clone(&disk);
        move |moment, name: &str| disk.at(moment, name)
    };
    let db = Options::new().create_in(HookedStorage::new(Arc::new(disk.files.clone()), hook)).unwrap();
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
    let (fsyncs, commits) = (disk.fsyncs.load(Ordering::Relaxed), THREADS * COMMITS);
    assert!(fsyncs * 2 < commits, "{fsyncs} fsyncs for {commits} commits");
    assert_eq!(db.snapshot().sequence(), commits);
    let survivor = Options::new().open_in(Arc::new(disk.after_power_loss())).unwrap();
    assert_eq!(survivor.len(), commits);
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
