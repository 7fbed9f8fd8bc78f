//! Checkpoints that start by themselves once the log has grown, and merges of patches once these are many: each on a thread of its
//! own, or in the call that makes them due.

use super::batch::{Outcome, Step};
use super::database::Database;
use super::writer::Logged;
use crate::error::{Error, Result};
use crate::progress::{Progress, ProgressFn};
use std::ops::{ControlFlow, Deref};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// The shortest and the longest time that a commit waits so that a checkpoint keeps up.
const SLOW_DOWN_MIN: Duration = Duration::from_micros(50);
const SLOW_DOWN_MAX: Duration = Duration::from_millis(100);

/// While checkpoints fail, commits are refused once there is so many times the log that starts one.
const REFUSE_FACTOR: u64 = 4;

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
    /// How the last checkpoint that started by itself failed, if it did.
    failure: Mutex<Option<Failure>>,
    /// Why the last merge that started by itself failed, if it did.
    merge_failure: Mutex<Option<String>>,
    /// Held by the commit that tries a checkpoint again, while others wait for what comes of it.
    retry: Mutex<()>,
    /// How long the last checkpoint took for each KiB of log, in nanoseconds; 0 before the first.
    pace: AtomicU64,
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
        let logged = self.log(steps)?;
        let len = logged.len;
        let outcomes = self.database.finish(logged)?;
        self.checkpoint_if_due(len);
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
        if !is_long || self.database.is_in_callback() { Ok(()) } else { self.shared.try_again(&self.database) }
    }

    /// Starts a checkpoint when the log has grown, last by `len` bytes.
    pub(crate) fn checkpoint_if_due(&self, len: u64) {
        let AutoCheckpoint { log_len: Some(limit), in_background } = self.database.options.auto_checkpoint else {
            return;
        };
        // Nor in the progress callback of one.
        if self.database.log_len() < limit || self.database.is_in_callback() {
            return;
        }
        if in_background {
            self.start(limit, len);
        } else {
            self.shared.checkpoint(&self.database);
        }
    }

    /// Starts a worker, or slows down to what the one that runs keeps up with, and waits for it if it does not.
    fn start(&self, limit: u64, len: u64) {
        let (database, shared) = (Arc::clone(&self.database), Arc::clone(&self.shared));
        match self.checkpoints.start("vector checkpoint", move || shared.checkpoint(&database)) {
            Started::Yes => {}
            Started::Busy if self.database.log_len() >= limit.saturating_mul(WAIT_FACTOR) => {
                self.database.wait_for_maintenance();
            }
            Started::Busy => self.shared.slow_down(limit, len, self.database.log_len()),
            Started::Panicked => self.shared.panicked(&self.database),
            Started::No => self.shared.checkpoint(&self.database),
        }
    }

    /// Writes down what was committed since the last checkpoint, and merges patches, or starts to, if there are too many.
    pub(crate) fn checkpoint(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.database.checkpoint(progress)?;
        if !self.database.merge_is_due() || self.database.is_in_callback() {
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
        let failure = self.shared.failure().as_ref().map(|failure| failure.error.to_string());
        failure.or_else(|| self.shared.merge_failure().clone())
    }

    /// Stops the workers and closes the database.
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

/// How long a commit of `len` bytes waits while a checkpoint is being made at a pace of so many nanoseconds for each KiB, and `log_len` bytes
/// have been logged meanwhile, where another one is due from `limit` on: so that many commits wait for moments, and none for all of a
/// checkpoint.
fn pause(limit: u64, len: u64, log_len: u64, pace: u64) -> Duration {
    let beyond = log_len.saturating_sub(limit) as f64 / limit as f64;
    // Twice the checkpoint's own time for so much where the limit is reached a second time: that is not reached before its end.
    let nanoseconds = 2.0 * beyond * pace as f64 * len as f64 / 1024.0;
    Duration::from_nanos(nanoseconds as u64).min(SLOW_DOWN_MAX)
}

impl Shared {
    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn merge_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.merge_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure here is no failure of a commit: it is kept for `stats`, and the next commits try again.
    fn checkpoint(self: &Arc<Self>, database: &Arc<Database>) {
        let mut start = Instant::now();
        let (begin, len) = (start, database.log_len());
        let progress = &mut self.until_closing();
        let result = database.catch_up(progress).and_then(|()| database.maintenance.enter()).and_then(|entered| {
            // What it waited for is not its own time.
            start = Instant::now();
            database.checkpoint_entered(&entered, progress)
        });
        if self.is_closing() {
            return;
        }
        let pace = begin.elapsed().as_nanos() * 1024 / u128::from(len.max(1));
        self.pace.store(u64::try_from(pace).unwrap_or(u64::MAX), Ordering::Relaxed);
        // One that succeeded counts from where it started; one that failed is tried again once as much more is logged.
        *self.failure() = result.err().map(|error| {
            database.backlog.tried();
            Failure { error, ended: Instant::now(), took: start.elapsed() }
        });
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
            Started::Panicked => *self.merge_failure() = Some("a merge panicked".to_owned()),
            Started::No => self.merge(database),
        }
    }

    /// A failure here is kept for `stats`; the next checkpoint tries again.
    fn merge(&self, database: &Database) {
        let result = database.merge(&mut self.until_closing());
        if !self.is_closing() {
            *self.merge_failure() = result.err().map(|error| format!("merging patches: {error}"));
        }
    }

    /// Makes a commit of `len` bytes wait for its part of the checkpoint that is being made.
    fn slow_down(&self, limit: u64, len: u64, log_len: u64) {
        let wait = pause(limit, len, log_len, self.pace.load(Ordering::Relaxed));
        if wait >= SLOW_DOWN_MIN {
            std::thread::sleep(wait);
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Goes on until the handle is closed.
    fn until_closing(&self) -> impl FnMut(Progress) -> ControlFlow<()> {
        |_| if self.is_closing() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
    fn try_again(self: &Arc<Self>, database: &Arc<Database>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The log is not filled a second time while a checkpoint of as much is being made, however fast commits are.
    #[test]
    fn commits_wait_a_little_each_so_that_none_waits_for_a_checkpoint() {
        const LIMIT: u64 = 1 << 20;
        const LEN: u64 = 1 << 10;
        let pace = 50_000;
        assert_eq!(pause(LIMIT, LEN, LIMIT, pace), Duration::ZERO);
        let (mut log_len, mut time) = (0, Duration::ZERO);
        let checkpoint = Duration::from_nanos(pace * LIMIT / 1024);
        while time < checkpoint {
            assert!(log_len < LIMIT * WAIT_FACTOR, "filled twice after {time:?} of {checkpoint:?}");
            log_len += LEN;
            let wait = pause(LIMIT, LEN, log_len, pace);
            assert!(wait < checkpoint / 100, "{wait:?} of {checkpoint:?}");
            time += wait;
        }
        assert_eq!(pause(LIMIT, u64::MAX, LIMIT * 2, u64::MAX), SLOW_DOWN_MAX);
    }
}
