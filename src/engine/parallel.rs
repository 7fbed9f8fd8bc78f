//! Dividing the segments of a scan among threads.

use crate::error::{Error, Result};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Calls `each` with the numbers of `count` segments, on up to `threads` threads, the caller's one of them, and returns what each
/// thread made of its segments, in no settled order. A thread that is done with a segment takes the next one, so each gets
/// ascending numbers; there are no more threads than segments, and fewer where the system starts no more.
///
/// # Errors
/// That of the first segment that failed, whatever the number of threads.
pub(super) fn for_each<T: Send>(
    threads: usize,
    count: usize,
    start: impl Fn() -> T + Sync,
    each: impl Fn(&mut T, usize) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    if threads.min(count) <= 1 {
        let mut state = start();
        (0..count).try_for_each(|number| each(&mut state, number))?;
        return Ok(vec![state]);
    }
    let next = AtomicUsize::new(0);
    let run = || -> Result<T, (usize, Error)> {
        let mut state = start();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(state);
            }
            if let Err(error) = each(&mut state, number) {
                // All before it were taken already, and whoever took them goes on to their end.
                next.store(count, Ordering::Relaxed);
                return Err((number, error));
            }
        }
    };
    let results = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        let spawned: Vec<_> = (1..threads.min(count)).filter_map(spawn).collect();
        let mut results = vec![run()];
        results.extend(spawned.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))));
        results
    });
    let (mut states, mut failure) = (Vec::with_capacity(results.len()), None);
    for result in results {
        match result {
            Ok(state) => states.push(state),
            Err((number, error)) if failure.as_ref().is_none_or(|&(first, _)| number < first) => {
                failure = Some((number, error));
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(states), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn each_segment_is_one_threads_whatever_their_number() {
        for (threads, count) in [(0, 0), (0, 3), (1, 3), (2, 0), (2, 1), (2, 100), (3, 100), (100, 7)] {
            let parts = for_each(threads, count, Vec::new, |part, number| {
                part.push(number);
                Ok(())
            });
            let parts = parts.unwrap();
            assert!(parts.len() <= threads.max(1) && parts.iter().all(|part| part.is_sorted()));
            let mut all = parts.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "{threads} threads, {count} segments");
        }
    }

    #[test]
    fn the_error_is_that_of_the_first_segment_that_failed() {
        for round in 0..20 {
            // Both fail before either is told.
            let both = Barrier::new(2);
            let failed = for_each(
                2,
                5,
                || (),
                |(), number| {
                    if number < 2 {
                        both.wait();
                    }
                    Err(Error::invalid_argument(number.to_string()))
                },
            );
            assert_eq!(failed.unwrap_err().to_string(), "0", "round {round}");
        }
    }
}
