//! Group commit: of the threads that wait for their commits to be durable, one leads and syncs the log for all that have logged by then.
//!
//! Whoever waits sleeps by itself and is woken once: when its commit is durable, or to lead the next group. So an fsync wakes nobody in
//! vain, and the next one begins before those whose commits are durable have been woken.

use crate::error::{Error, Result};
use crate::storage::StorageFile;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// How far the log is durable.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    /// Never held while anything is written or waited for.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Commits up to here are durable.
    synced: u64,
    /// Some thread leads, or has been told to.
    is_led: bool,
    /// The log's file, if there is one.
    file: Option<Arc<dyn StorageFile>>,
    poisoned: Option<String>,
    /// In the order in which they came.
    waiting: Vec<Waiter>,
}

/// A thread that sleeps until its commit is durable, or until it is to lead.
#[derive(Debug)]
struct Waiter {
    sequence: u64,
    thread: Thread,
    signal: Arc<AtomicU8>,
}

/// What a waiter is told.
const WAIT: u8 = 0;
/// Its commit is durable, or never will be.
const DONE: u8 = 1;
/// It leads from here on.
const LEAD: u8 = 2;

impl Waiter {
    fn tell(self, signal: u8) {
        self.signal.store(signal, Ordering::Release);
        self.thread.unpark();
    }
}

impl GroupSync {
    /// Of a log whose commits up to `synced` are durable.
    pub(super) fn new(synced: u64) -> Self {
        Self { state: Mutex::new(State { synced, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last commit that is durable.
    pub(super) fn synced(&self) -> u64 {
        self.state().synced
    }

    /// Commits up to here are durable by other means.
    pub(super) fn set_synced(&self, sequence: u64) {
        self.state().synced = sequence;
    }

    /// The file that commits are logged to from here on.
    pub(super) fn set_file(&self, file: Option<Arc<dyn StorageFile>>) {
        self.state().file = file;
    }

    /// Why nothing can be made durable any more.
    pub(super) fn poisoned(&self) -> Option<String> {
        self.state().poisoned.clone()
    }

    /// Nothing is made durable from here on. All who wait are told, but for whoever leads.
    pub(super) fn poison(&self, reason: String) {
        let mut state = self.state();
        state.poisoned = Some(reason);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(|waiter| waiter.tell(DONE));
    }

    /// Waits until a commit is durable. Returns the commit up to which this thread made the log durable, if it was the one to do it.
    ///
    /// `logged` is the last commit that is in the log. `publish` is called with the last one that is durable, before anyone is told.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: an fsync failed, now or earlier.
    pub(super) fn wait(&self, sequence: u64, logged: impl Fn() -> u64, publish: impl Fn(u64)) -> Result<Option<u64>> {
        let mut state = self.state();
        if state.synced >= sequence {
            return Ok(None);
        }
        if let Some(reason) = &state.poisoned {
            return Err(Error::Poisoned { reason: reason.clone() });
        }
        if state.is_led {
            let signal = Arc::new(AtomicU8::new(WAIT));
            let thread = std::thread::current();
            state.waiting.push(Waiter { sequence, thread, signal: Arc::clone(&signal) });
            drop(state);
            if sleep(&signal) == DONE {
                return self.outcome(sequence);
            }
        } else {
            state.is_led = true;
            drop(state);
        }
        self.lead(logged, publish)
    }

    /// What became of a commit that somebody else was to make durable.
    fn outcome(&self, sequence: u64) -> Result<Option<u64>> {
        let state = self.state();
        match &state.poisoned {
            Some(reason) if state.synced < sequence => Err(Error::Poisoned { reason: reason.clone() }),
            _ => Ok(None),
        }
    }

    /// Makes durable what has been logged by now, tells those who wait for it, and lets one of the others lead.
    fn lead(&self, logged: impl Fn() -> u64, publish: impl Fn(u64)) -> Result<Option<u64>> {
        let state = self.state();
        let file = state.file.clone();
        let poisoned = state.poisoned.clone();
        drop(state);
        // Whatever was logged before this load is in the file.
        let target = logged();
        let result = match poisoned {
            Some(reason) => Err(reason),
            // Never tried again: the kernel may have dropped the data and would report success.
            None => file.map_or(Ok(()), |file| file.sync_data()).map_err(|error| Error::from(error).to_string()),
        };
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        if let Err(reason) = result {
            state.poisoned = Some(reason.clone());
            state.is_led = false;
            drop(state);
            waiting.into_iter().for_each(|waiter| waiter.tell(DONE));
            return Err(Error::Poisoned { reason });
        }
        state.synced = state.synced.max(target);
        publish(target);
        let (told, mut left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiter| waiter.sequence <= target);
        let next = if left.is_empty() { None } else { Some(left.remove(0)) };
        state.is_led = next.is_some();
        state.waiting = left;
        drop(state);
        if let Some(next) = next {
            next.tell(LEAD);
        }
        told.into_iter().for_each(|waiter| waiter.tell(DONE));
        Ok(Some(target))
    }
}

/// Sleeps until there is a signal, and returns it.
fn sleep(signal: &AtomicU8) -> u8 {
    loop {
        match signal.load(Ordering::Acquire) {
            WAIT => std::thread::park(),
            told => return told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StorageError;
    use std::sync::Condvar;
    use std::sync::atomic::AtomicU64;

    /// A file whose fsyncs wait until they are let through, and fail if told to.
    #[derive(Debug, Default)]
    struct HeldFile {
        state: Mutex<Held>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct Held {
        begun: u64,
        let_through: u64,
        fails: bool,
    }

    impl HeldFile {
        fn wait_for(&self, begun: u64) {
            drop(self.changed.wait_while(self.state.lock().unwrap(), |held| held.begun < begun).unwrap());
        }

        fn let_through(&self, count: u64, fails: bool) {
            let mut held = self.state.lock().unwrap();
            (held.let_through, held.fails) = (count, fails);
            self.changed.notify_all();
        }
    }

    impl StorageFile for HeldFile {
        fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<(), StorageError> {
            Ok(())
        }
        fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<(), StorageError> {
            Ok(())
        }
        fn set_len(&self, _len: u64) -> Result<(), StorageError> {
            Ok(())
        }
        fn sync_data(&self) -> Result<(), StorageError> {
            let mut held = self.state.lock().unwrap();
            held.begun += 1;
            let number = held.begun;
            self.changed.notify_all();
            let held = self.changed.wait_while(held, |held| held.let_through < number).unwrap();
            if held.fails { Err(StorageError::new("log", "sync", std::io::Error::other("broken"))) } else { Ok(()) }
        }
        fn len(&self) -> Result<u64, StorageError> {
            Ok(0)
        }
    }

    #[derive(Default)]
    struct Fixture {
        sync: GroupSync,
        file: Arc<HeldFile>,
        logged: AtomicU64,
        published: AtomicU64,
    }

    impl Fixture {
        fn new() -> Arc<Self> {
            let fixture = Self::default();
            fixture.sync.set_file(Some(Arc::clone(&fixture.file) as Arc<dyn StorageFile>));
            Arc::new(fixture)
        }

        /// Logs commit `sequence` and waits for it in a thread of its own.
        fn commit(self: &Arc<Self>, sequence: u64) -> std::thread::JoinHandle<Result<Option<u64>>> {
            let fixture = Arc::clone(self);
            self.logged.store(sequence, Ordering::Release);
            std::thread::spawn(move || {
                let logged = || fixture.logged.load(Ordering::Acquire);
                let publish = |target| fixture.published.store(target, Ordering::Release);
                let result = fixture.sync.wait(sequence, logged, publish);
                assert!(result.is_err() || fixture.published.load(Ordering::Acquire) >= sequence);
                result
            })
        }

        fn wait_for_waiters(&self, count: usize) {
            while self.sync.state().waiting.len() < count {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn one_of_those_who_wait_leads_for_all_that_have_logged_by_then() {
        let fixture = Fixture::new();
        let first = fixture.commit(1);
        fixture.file.wait_for(1);
        let others: Vec<_> = (2..=9)
            .map(|sequence| {
                let thread = fixture.commit(sequence);
                fixture.wait_for_waiters(sequence as usize - 1);
                thread
            })
            .collect();
        assert_eq!(fixture.sync.synced(), 0);
        fixture.file.let_through(1, false);
        assert_eq!(first.join().unwrap().unwrap(), Some(1));
        fixture.file.wait_for(2);
        assert_eq!((fixture.sync.synced(), fixture.published.load(Ordering::Acquire)), (1, 1));
        fixture.wait_for_waiters(7);
        fixture.file.let_through(2, false);
        let led: Vec<_> = others.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        // The one that came first.
        assert_eq!(led, [Some(9), None, None, None, None, None, None, None]);
        assert_eq!(fixture.file.state.lock().unwrap().begun, 2);
        // Nobody leads any more: the next one does.
        fixture.file.let_through(3, false);
        assert_eq!(fixture.commit(10).join().unwrap().unwrap(), Some(10));
    }

    #[test]
    fn a_failed_fsync_is_told_to_all_and_is_not_tried_again() {
        let fixture = Fixture::new();
        let first = fixture.commit(1);
        fixture.file.wait_for(1);
        let second = fixture.commit(2);
        fixture.wait_for_waiters(1);
        fixture.file.let_through(9, true);
        for thread in [first, second, fixture.commit(3)] {
            assert!(matches!(thread.join().unwrap(), Err(Error::Poisoned { .. })));
        }
        assert_eq!((fixture.sync.synced(), fixture.file.state.lock().unwrap().begun), (0, 1));
        assert!(fixture.sync.poisoned().is_some());
    }

    #[test]
    fn whoever_waits_when_the_writer_is_poisoned_is_told_and_what_is_durable_stays_so() {
        let fixture = Fixture::new();
        let first = fixture.commit(1);
        fixture.file.wait_for(1);
        let second = fixture.commit(2);
        fixture.wait_for_waiters(1);
        fixture.sync.poison("broken".to_owned());
        assert!(matches!(second.join().unwrap(), Err(Error::Poisoned { .. })));
        fixture.file.let_through(1, false);
        assert!(first.join().unwrap().is_ok());
        assert!(fixture.commit(1).join().unwrap().is_ok());
        assert!(fixture.commit(3).join().unwrap().is_err());
    }
}
