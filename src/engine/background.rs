//! Checkpoints that start by themselves once the log has grown, and merges of patches once these are many: each on a thread of its
//! own, or in the call that makes them due.

use super::batch::{Outcome, Step};
use super::database::Database;
use crate::error::Result;
use crate::progress::{Progress, ProgressFn};
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

/// A database, and the threads that checkpoint it and merge its patches while there is something to do.
#[derive(Debug)]
pub(crate) struct Handle {
    database: Arc<Database>,
    checkpoints: Worker,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    merges: Worker,
    /// The workers are to stop.
    closing: AtomicBool,
    /// Why the last checkpoint or merge that started by itself failed.
    failure: Mutex<Option<String>>,
}

/// A thread that runs while there is something to do.
#[derive(Debug, Default)]
struct Worker(Mutex<Option<JoinHandle<()>>>);

/// What became of starting a worker.
enum Started {
    Yes,
    /// The last one is still at work.
    Busy,
    /// The last one panicked.
    Panicked,
    /// The system has no thread for it.
    No,
}

impl Worker {
    fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Started {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Started::Busy;
        }
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Started::Panicked;
        }
        match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
            Ok(started) => {
                *thread = Some(started);
                Started::Yes
            }
            Err(_) => Started::No,
        }
    }

    fn join(&self) {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been printed, and took nothing with it that is not in the log.
            let _panicked = thread.join();
        }
    }
}

impl Deref for Handle {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Handle {
    pub(crate) fn new(database: Database) -> Self {
        Self { database: Arc::new(database), checkpoints: Worker::default(), shared: Arc::default() }
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
        let (database, shared) = (Arc::clone(&self.database), Arc::clone(&self.shared));
        match self.checkpoints.start("vector checkpoint", move || shared.checkpoint(&database)) {
            Started::Yes => {}
            Started::Busy if self.database.log_len() >= limit.saturating_mul(WAIT_FACTOR) => {
                self.database.wait_for_maintenance();
            }
            Started::Busy => {}
            Started::Panicked => {
                self.shared.set_failure(Some("it panicked".to_owned()));
                self.database.restart_log_len();
            }
            Started::No => self.shared.checkpoint(&self.database),
        }
    }

    /// Writes down what was committed since the last checkpoint, and merges patches, or starts to, if there are too many.
    pub(crate) fn checkpoint(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.database.checkpoint(progress)?;
        if !self.database.merge_is_due() {
            return Ok(());
        }
        if self.database.options.auto_checkpoint.in_background {
            self.shared.start_merge(&self.database);
            return Ok(());
        }
        self.database.merge(progress)
    }

    /// Why the last checkpoint or merge that started by itself failed, if it did.
    pub(crate) fn checkpoint_failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the workers and closes the database.
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
        self.checkpoints.join();
        self.shared.merges.join();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The database closes when the workers have let go of it, so that its lock is free once this returns.
        self.stop();
    }
}

impl Shared {
    /// A failure here is no failure of a commit: it is kept for `stats`, and the next commits try again.
    fn checkpoint(self: &Arc<Self>, database: &Arc<Database>) {
        let result = database.checkpoint(&mut self.until_closing());
        if self.is_closing() {
            return;
        }
        // One that succeeded counts from where it started; one that failed is tried again once as much more is logged.
        if result.is_err() {
            database.restart_log_len();
        }
        self.set_failure(result.err().map(|error| error.to_string()));
        if database.merge_is_due() {
            if database.options.auto_checkpoint.in_background {
                self.start_merge(database);
            } else {
                self.merge(database);
            }
        }
    }

    fn start_merge(self: &Arc<Self>, database: &Arc<Database>) {
        let (shared, in_thread) = (Arc::clone(self), Arc::clone(database));
        match self.merges.start("vector merge", move || shared.merge(&in_thread)) {
            Started::Yes | Started::Busy => {}
            Started::Panicked => self.set_failure(Some("a merge panicked".to_owned())),
            Started::No => self.merge(database),
        }
    }

    fn merge(&self, database: &Database) {
        let result = database.merge(&mut self.until_closing());
        if let Err(error) = result
            && !self.is_closing()
        {
            self.set_failure(Some(format!("merging patches: {error}")));
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Goes on until the handle is closed.
    fn until_closing(&self) -> impl FnMut(Progress) -> ControlFlow<()> {
        |_| if self.is_closing() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn set_failure(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}
