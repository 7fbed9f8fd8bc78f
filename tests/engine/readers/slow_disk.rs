//! A disk whose fsyncs take their time, and that knows what a loss of power would leave.

use super::hooked::{HookedStorage, Moment};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vector_datalib::internals::{MemoryStorage, Storage};

/// A disk whose fsyncs take their time, and what a loss of power would leave of its logs.
#[derive(Debug)]
pub(crate) struct SlowDisk {
    fsync: Duration,
    files: MemoryStorage,
    /// What is durable of each log: its content when an fsync that has returned began.
    durable: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Content at the start of an fsync that has not returned.
    syncing: Mutex<BTreeMap<String, Vec<u8>>>,
    fsyncs: AtomicU64,
}

impl SlowDisk {
    pub(crate) fn new(fsync: Duration) -> Arc<Self> {
        Arc::new(Self {
            fsync,
            files: MemoryStorage::new(),
            durable: Mutex::default(),
            syncing: Mutex::default(),
            fsyncs: AtomicU64::new(0),
        })
    }

    /// The directory, for the database.
    pub(crate) fn storage(self: &Arc<Self>) -> Arc<HookedStorage> {
        let disk = Arc::clone(self);
        HookedStorage::new(Arc::new(self.files.clone()), move |moment, name: &str| disk.at(moment, name))
    }

    /// Fsyncs of logs so far.
    pub(crate) fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    fn at(&self, moment: Moment, name: &str) {
        if !name.starts_with("wal-") {
            return;
        }
        match moment {
            Moment::BeforeSync => {
                let content = self.files.read(name).unwrap().unwrap();
                self.syncing.lock().unwrap().insert(name.to_owned(), content);
                thread::sleep(self.fsync);
            }
            Moment::AfterSync => {
                let content = self.syncing.lock().unwrap().remove(name).unwrap();
                self.durable.lock().unwrap().insert(name.to_owned(), content);
                self.fsyncs.fetch_add(1, Ordering::Relaxed);
            }
            Moment::AfterCreate | Moment::BeforeRename => {}
        }
    }

    /// The directory after a loss of power now.
    pub(crate) fn after_power_loss(&self) -> MemoryStorage {
        let mut files = self.files.files();
        files.retain(|name, _| !name.starts_with("wal-"));
        files.extend(self.durable.lock().unwrap().clone());
        MemoryStorage::from_files(files)
    }
}
