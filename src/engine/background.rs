//! Checkpoints that start by themselves once the log has grown, on a thread of their own or in the commit that fills it.

use super::batch::{Outcome, Step};
use super::database::Database;
use crate::error::Result;
use std::ops::{ControlFlow, Deref};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// When checkpoints start by themselves, and where they run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AutoCheckpoint {
    /// Bytes of log after the last checkpoint; `None` for never.
    pub(crate) log_len: Option<u64>,
    pub(crate) in_background: bool,
}

/// Commits wait for a checkpoint once the log has so many times the length at which that started.
const WAIT_FACTOR: u64 = 2;

/// A database, and the thread that checkpoints it while there is something to do.
#[derive(Debug)]
pub(crate) struct Handle {
    database: Arc<Database>,
    worker: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The worker is to stop.
    closing: AtomicBool,
    /// Why the last checkpoint that started by itself failed.
    failure: Mutex<Option<String>>,
}

impl Deref for Handle {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Handle {
    pub(crate) fn new(database: Database) -> Self {
        Self { database: Arc::new(database), worker: Mutex::new(None), shared: Arc::default() }
    }

    /// Commits a batch, and starts a checkpoint when the log has grown.
    pub(crate) fn commit(&self, steps: Vec<Step>) -> Result<Vec<Outcome>> {
        let outcomes = self.database.commit(steps)?;
        self.checkpoint_if_due();
        Ok(outcomes)
    }

    /// Starts a checkpoint when the log has grown.
    pub(crate) fn checkpoint_if_due(&self) {
        let AutoCheckpoint { log_len: Some(limit), in_background } = self.database.options.auto_checkpoint else {
            return;
        };
        if self.database.log_len() >= limit {
            if in_background {
                self.start(limit);
            } else {
                self.shared.checkpoint(&self.database);
            }
        }
    }

    /// Starts a worker, or waits for the one that runs if it does not keep up.
    fn start(&self, limit: u64) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.as_ref().is_some_and(|worker| !worker.is_finished()) {
            drop(worker);
            if self.database.log_len() >= limit.saturating_mul(WAIT_FACTOR) {
                self.database.wait_for_maintenance();
            }
            return;
        }
        if worker.take().is_some_and(|worker| worker.join().is_err()) {
            self.shared.set_failure(Some("it panicked".to_owned()));
            self.database.restart_log_len();
            return;
        }
        let (database, shared) = (Arc::clone(&self.database), Arc::clone(&self.shared));
        let builder = std::thread::Builder::new().name("vector checkpoint".to_owned());
        match builder.spawn(move || shared.checkpoint(&database)) {
            Ok(started) => *worker = Some(started),
            Err(_) => {
                drop(worker);
                self.shared.checkpoint(&self.database);
            }
        }
    }

    /// Why the last checkpoint that started by itself failed, if it did.
    pub(crate) fn checkpoint_failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the worker and closes the database.
    pub(crate) fn close(&self) -> Result<()> {
        self.stop();
        self.database.close()
    }

    fn stop(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // A forked child has none of its parent's threads, and may have locks that these held.
        if !self.database.is_of_this_process() {
            return;
        }
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // A panic there has been printed, and took nothing with it that is not in the log.
            let _panicked = worker.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The database closes when the worker has let go of it, so that its lock is free once this returns.
        self.stop();
    }
}

impl Shared {
    /// A failure here is no failure of a commit: it is kept for `stats`, and the next commits try again.
    fn checkpoint(&self, database: &Database) {
        let result = database.checkpoint(&mut |_| {
            if self.closing.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if self.closing.load(Ordering::Relaxed) {
            return;
        }
        // One that succeeded counts from where it started; one that failed is tried again once as much more is logged.
        if result.is_err() {
            database.restart_log_len();
        }
        self.set_failure(result.err().map(|error| error.to_string()));
    }

    fn set_failure(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}
