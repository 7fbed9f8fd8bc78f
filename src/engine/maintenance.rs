//! The lock on what replaces the generation: one checkpoint or compaction at a time.
//!
//! It knows which thread holds it. Checkpoints call the program back to tell how far they are, and what the program does there must not
//! wait for the checkpoint to end.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// Held by what replaces the generation.
#[derive(Debug)]
pub(super) struct Maintenance {
    /// The process that opened the database.
    process: u32,
    running: Mutex<()>,
    holder: Mutex<Option<ThreadId>>,
    /// Whoever holds it holds the writer's mutex as well.
    stops_writes: AtomicBool,
}

/// The lock, held.
#[derive(Debug)]
pub(super) struct Entered<'m> {
    maintenance: &'m Maintenance,
    _running: MutexGuard<'m, ()>,
}

impl Maintenance {
    pub(super) fn new() -> Self {
        let (running, holder) = Default::default();
        Self { process: std::process::id(), running, holder, stops_writes: AtomicBool::new(false) }
    }

    /// Whether this process opened the database, and is not a forked child of the one that did.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Waits for what is running, and takes the lock. Fails in the progress callback of a checkpoint or a compaction, which would wait
    /// for itself; and in a forked child, where the thread that holds the lock may not exist.
    pub(super) fn enter(&self) -> Result<Entered<'_>> {
        if !self.is_of_this_process() {
            return Err(Error::Closed);
        }
        if self.is_mine() {
            return Err(reentry());
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_holder(Some(std::thread::current().id()));
        Ok(Entered { maintenance: self, _running: running })
    }

    /// Fails in the progress callback of what holds the lock.
    pub(super) fn check_not_mine(&self) -> Result<()> {
        if self.is_mine() { Err(reentry()) } else { Ok(()) }
    }

    /// Whether this thread holds the lock: it is in a progress callback.
    pub(super) fn is_mine(&self) -> bool {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) == Some(std::thread::current().id())
    }

    /// Refuses to write in the progress callback of what makes writes wait.
    pub(super) fn check_write(&self) -> Result<()> {
        if self.stops_writes.load(Ordering::Relaxed) && self.is_mine() { Err(reentry()) } else { Ok(()) }
    }

    fn set_holder(&self, holder: Option<ThreadId>) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder;
    }
}

impl Entered<'_> {
    /// The writer's mutex is held, too, until this is dropped.
    pub(super) fn stop_writes(&self) {
        self.maintenance.stops_writes.store(true, Ordering::Relaxed);
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.maintenance.stops_writes.store(false, Ordering::Relaxed);
        self.maintenance.set_holder(None);
    }
}

fn reentry() -> Error {
    Error::invalid_argument("the progress callback of a checkpoint or a compaction cannot wait for that to end")
}
