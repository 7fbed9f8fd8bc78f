//! Checkpoints that start by themselves once the log has grown, on a thread of their own or in the commit that fills it.

use super::batch::{Outcome, Step};
use super::database::Database;
use super::writer::Logged;
use crate::error::{Error, Result};
use std::ops::{ControlFlow, Deref};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When checkpoints start by themselves, and where they run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AutoCheckpoint {
    /// Bytes of log after the last checkpoint; `None` for never.
    pub(crate) log_len: Option<u64>,
    pub(crate) in_background: bool,
}

/// Commits wait for a checkpoint once the log has so many times the length at which that started.
const WAIT_FACTOR: u64 = 2;

/// While checkpoints fail, commits are refused once there is so many times the log that starts one.
const REFUSE_FACTOR: u64 = 4;

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
    /// How the last checkpoint that started by itself failed, if it did.
    failure: Mutex<Option<Failure>>,
    /// Held by the commit that tries a checkpoint again, while others wait for what comes of it.
    retry: Mutex<()>,
}

/// A checkpoint that failed.
#[derive(Debug)]
struct Failure {
    error: Error,
    ended: Instant,
    took: Duration,
}

impl Failure {
    /// Whether another one need not be tried yet: so that no more than half of the time is spent on what fails.
    fn is_recent(&self) -> bool {
        self.ended.elapsed() < self.took
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
        Self { database: Arc::new(database), worker: Mutex::new(None), shared: Arc::default() }
    }

    /// Commits a batch, and starts a checkpoint when the log has grown.
    pub(crate) fn commit(&self, steps: Vec<Step>) -> Result<Vec<Outcome>> {
        let logged = self.log(steps)?;
        let outcomes = self.database.finish(logged)?;
        self.checkpoint_if_due();
        Ok(outcomes)
    }

    /// The first half of a commit; refused while checkpoints fail and much is logged that is not written down.
    pub(crate) fn log(&self, steps: Vec<Step>) -> Result<Logged> {
        self.check_backlog()?;
        self.database.log(steps)
    }

    fn check_backlog(&self) -> Result<()> {
        let Some(limit) = self.database.options.auto_checkpoint.log_len else { return Ok(()) };
        let is_long = self.database.backlog.len() >= limit.saturating_mul(REFUSE_FACTOR);
        if !is_long || self.database.maintenance.is_mine() { Ok(()) } else { self.shared.try_again(&self.database) }
    }

    /// Starts a checkpoint when the log has grown.
    pub(crate) fn checkpoint_if_due(&self) {
        let AutoCheckpoint { log_len: Some(limit), in_background } = self.database.options.auto_checkpoint else {
            return;
        };
        // Nor in the progress callback of one.
        if self.database.log_len() < limit || self.database.maintenance.is_mine() {
            return;
        }
        if in_background {
            self.start(limit);
        } else {
            self.shared.checkpoint(&self.database);
        }
    }

    /// Starts a worker, or waits for the one that runs if it does not keep up.
    fn start(&self, limit: u64) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.as_ref().is_some_and(|worker| !worker.is_finished()) {
            drop(worker);
            if self.database.log_len() >= limit.saturating_mul(WAIT_FACTOR) {
                // Only to wait for it.
                drop(self.database.maintenance.enter());
            }
            return;
        }
        if worker.take().is_some_and(|worker| worker.join().is_err()) {
            self.shared.panicked(&self.database);
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
        self.shared.failure().as_ref().map(|failure| failure.error.to_string())
    }

    /// Stops the worker and closes the database.
    pub(crate) fn close(&self) -> Result<()> {
        self.stop();
        self.database.close()
    }

    fn stop(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // A forked child has none of its parent's threads, and may have locks that these held.
        if !self.database.maintenance.is_of_this_process() {
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
    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure here is no failure of a commit: it is kept for `stats`, and the next commits try again.
    fn checkpoint(&self, database: &Database) {
        let mut start = Instant::now();
        let result = database.maintenance.enter().and_then(|entered| {
            // What it waited for is not its own time.
            start = Instant::now();
            database.checkpoint_entered(&entered, &mut |_| {
                let is_closing = self.closing.load(Ordering::Relaxed);
                if is_closing { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        if self.closing.load(Ordering::Relaxed) {
            return;
        }
        // One that succeeded counts from where it started; one that failed is tried again once as much more is logged.
        *self.failure() = result.err().map(|error| {
            database.backlog.tried();
            Failure { error, ended: Instant::now(), took: start.elapsed() }
        });
    }

    /// The worker did not return.
    fn panicked(&self, database: &Database) {
        database.backlog.tried();
        let path = database.storage().path().to_owned();
        let source = std::io::Error::other("it panicked");
        let error = Error::Io { path, operation: "make a checkpoint of", source };
        *self.failure() = Some(Failure { error, ended: Instant::now(), took: Duration::ZERO });
    }

    /// If the last checkpoint failed, tries another one, at once or when the time has come, and returns why that fails.
    fn try_again(&self, database: &Database) -> Result<()> {
        let _retry = self.retry.lock().unwrap_or_else(PoisonError::into_inner);
        match &*self.failure() {
            None => return Ok(()),
            Some(failure) if failure.is_recent() => return Err(failure.error.again()),
            Some(_) => {}
        }
        self.checkpoint(database);
        self.failure().as_ref().map_or(Ok(()), |failure| Err(failure.error.again()))
    }
}
