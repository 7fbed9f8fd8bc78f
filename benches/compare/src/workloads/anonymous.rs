//! How much memory of its own a process takes while it does something.

use crate::engine::Outcome;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(10);

/// What a call gives, and by how many megabytes the process's anonymous memory grew at most, as a thread saw it that looked a hundred times a
/// second, and once at the end.
pub(super) fn watch<T>(call: impl FnOnce() -> T) -> Outcome<(T, f64)> {
    let before = resident()?;
    let is_over = AtomicBool::new(false);
    let (result, most) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = before;
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                most = most.max(resident()?);
                if is_last {
                    return Outcome::Ok(most);
                }
                thread::park_timeout(INTERVAL);
            }
        });
        let result = call();
        is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        (result, watcher.join())
    });
    let most = most.map_err(|_| "a thread panicked")??;
    Ok((result, most - before))
}

/// Megabytes of anonymous memory that are resident.
fn resident() -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("there is no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn memory_that_a_call_takes_is_seen() {
        // Other tests of the process take and free some meanwhile.
        let (bytes, megabytes) = watch(|| black_box(vec![1u8; 256_000_000])).unwrap();
        assert!(megabytes > 200.0, "{} bytes, {megabytes} MB", bytes.len());
    }
}
