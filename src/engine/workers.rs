//! Building several files at a time, each on a thread of its own.

use super::block_writer::Unsynced;
use super::meter::{Meter, Tally};
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Cells that are worth a thread.
const CELLS_EACH: u64 = 1 << 20;
/// Time between two looks at how far the threads are.
const PAUSE: Duration = Duration::from_millis(10);

/// How many threads build so many cells, where at most `limit` may; `None` for as many as the system runs at a time. What is small is
/// built by the caller's thread, in a settled order.
pub(super) fn thread_count(limit: Option<usize>, cells: u64) -> usize {
    let worth = usize::try_from(cells / CELLS_EACH).unwrap_or(usize::MAX);
    if worth <= 1 {
        return 1;
    }
    thread_limit(limit).clamp(1, worth)
}

/// How many threads may run at a time; without a limit, as many as the system runs.
pub(super) fn thread_limit(limit: Option<usize>) -> usize {
    limit.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Runs `count` jobs, each of which builds a file, on `threads` threads, and returns what they return, in order. Jobs start in order. The
/// caller's thread tells how far they are; large files are made durable meanwhile.
///
/// # Errors
/// That of the first job that failed. No other starts after it.
pub(super) fn build_files<T: Send>(
    (threads, count): (usize, usize),
    unsynced: &Unsynced,
    meter: &mut Meter<'_>,
    job: impl Fn(usize, &mut Meter<'_>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(|index| job(index, meter)).collect();
    }
    let jobs = Jobs { next: AtomicUsize::new(0), count, tally: Tally::default() };
    let (sender, receiver) = channel();
    let mut results: Vec<Option<Result<T>>> = (0..count).map(|_| None).collect();
    let told = thread::scope(|scope| {
        // Also where telling panics.
        let _stop = Stop { tally: &jobs.tally, unsynced };
        let mut spawned = 0;
        for _ in 0..threads.min(count) {
            let (sender, jobs, job) = (sender.clone(), &jobs, &job);
            // Fewer threads do it, too.
            spawned += usize::from(thread::Builder::new().spawn_scoped(scope, move || jobs.run(&sender, job)).is_ok());
        }
        drop(sender);
        if spawned == 0 {
            for (index, result) in results.iter_mut().enumerate() {
                *result = Some(Ok(job(index, meter)?));
            }
            return Ok(());
        }
        let _syncing = thread::Builder::new().spawn_scoped(scope, || unsynced.sync_large_files());
        let mut told = Ok(());
        loop {
            match receiver.recv_timeout(PAUSE) {
                Ok((index, result)) => {
                    if let Some(place) = results.get_mut(index) {
                        *place = Some(result);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return told,
            }
            if told.is_ok() {
                told = meter.tell(&jobs.tally);
                if told.is_err() {
                    jobs.tally.stop();
                }
            }
        }
    });
    told?;
    first_failure(results)
}

/// All results, or the error that made the other jobs stop.
fn first_failure<T>(results: Vec<Option<Result<T>>>) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(results.len());
    let mut failure = None;
    for result in results {
        match result {
            Some(Ok(value)) => values.push(value),
            Some(Err(error)) if matches!(failure, None | Some(Error::Cancelled)) => failure = Some(error),
            Some(Err(_)) | None => {}
        }
    }
    failure.map_or(Ok(values), Err)
}

/// What the threads share.
struct Jobs {
    next: AtomicUsize,
    count: usize,
    tally: Tally,
}

impl Jobs {
    /// Runs jobs until there is none, or one failed.
    fn run<T>(&self, sender: &Sender<(usize, Result<T>)>, job: &(impl Fn(usize, &mut Meter<'_>) -> Result<T> + Sync)) {
        let mut meter = Meter::of(&self.tally);
        while !self.tally.is_stopped() {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return;
            }
            let result = job(index, &mut meter);
            if result.is_err() {
                self.tally.stop();
            }
            if sender.send((index, result)).is_err() {
                return;
            }
        }
    }
}

/// Ends the threads.
struct Stop<'j> {
    tally: &'j Tally,
    unsynced: &'j Unsynced,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.tally.stop();
        self.unsynced.end_sync_large_files();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;
    use std::collections::HashSet;
    use std::ops::ControlFlow;
    use std::sync::{Barrier, Mutex};

    #[test]
    fn jobs_run_on_several_threads_and_their_results_are_in_order() {
        let (barrier, threads) = (Barrier::new(3), Mutex::new(HashSet::new()));
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let results = build_files((3, 30), &Unsynced::default(), &mut meter, |index, _| {
            if index < 3 {
                barrier.wait();
            }
            threads.lock().unwrap().insert(thread::current().id());
            Ok(index * 2)
        });
        assert_eq!(results.unwrap(), (0..30).map(|index| index * 2).collect::<Vec<_>>());
        let threads = threads.into_inner().unwrap();
        assert!(threads.len() == 3 && !threads.contains(&thread::current().id()));
    }

    #[test]
    fn a_failure_stops_the_others_and_is_told() {
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let started = AtomicUsize::new(0);
        let result = build_files((2, 1000), &Unsynced::default(), &mut meter, |index, meter| {
            started.fetch_add(1, Ordering::Relaxed);
            match index {
                // Goes on until it is stopped.
                0 => loop {
                    meter.step()?;
                },
                1 => Err(Error::invalid_argument("it failed")),
                _ => Ok(()),
            }
        });
        assert!(result.unwrap_err().to_string().contains("it failed"));
        assert!(started.into_inner() <= 3);
    }

    #[test]
    fn the_callers_thread_tells_how_far_all_are_and_may_cancel() {
        let (caller, mut seen) = (thread::current().id(), Vec::new());
        let mut cancel_at_20 = |progress: Progress| {
            assert_eq!(thread::current().id(), caller);
            seen.push(progress.done);
            if progress.done == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut meter = Meter::new(&mut cancel_at_20, "", 40);
        let result = build_files((2, 4), &Unsynced::default(), &mut meter, |_, meter| {
            meter.add(10)?;
            // The first two wait for the end.
            loop {
                meter.step()?;
            }
            #[expect(unreachable_code, reason = "the type of what it returns")]
            Ok(())
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert!(seen.is_sorted() && seen.last() == Some(&20), "{seen:?}");
    }
}
