//! How much log there is that no checkpoint has written down: what replaying it would take, and what its commits take in memory.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of commits in the log, by what a checkpoint did about them. Changed by the holder of the writer's mutex, but for
/// [`tried`](Self::tried).
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Of the active overlay.
    active: AtomicU64,
    /// Of the frozen overlay, while that is not written.
    frozen: AtomicU64,
    /// Of the active overlay, when a checkpoint failed last.
    tried: AtomicU64,
}

impl Backlog {
    /// Of a database that was opened, whose commits in the log are so long.
    pub(super) fn new(len: u64) -> Self {
        Self { active: AtomicU64::new(len), ..Self::default() }
    }

    /// A commit was logged.
    pub(super) fn add(&self, len: u64) {
        self.active.fetch_add(len, Ordering::Relaxed);
    }

    /// A checkpoint starts: the active overlay becomes the frozen one.
    pub(super) fn freeze(&self) {
        self.frozen.fetch_add(self.active.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        self.tried.store(0, Ordering::Relaxed);
    }

    /// What was frozen is written.
    pub(super) fn written(&self) {
        self.frozen.store(0, Ordering::Relaxed);
    }

    /// A checkpoint failed.
    pub(super) fn tried(&self) {
        self.tried.store(self.active.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Since a checkpoint started last, or failed.
    pub(super) fn since_try(&self) -> u64 {
        self.active.load(Ordering::Relaxed).saturating_sub(self.tried.load(Ordering::Relaxed))
    }

    /// All that is not written.
    pub(super) fn len(&self) -> u64 {
        self.active.load(Ordering::Relaxed).saturating_add(self.frozen.load(Ordering::Relaxed))
    }
}
