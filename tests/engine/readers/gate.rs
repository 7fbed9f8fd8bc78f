//! A gate in the storage, which holds a thread where the test wants it, for as long as the test wants.

use super::hooked::Moment;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Far longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    /// Where to stop: the moment, and how the file's name begins.
    closed_at: Option<(Moment, &'static str)>,
    stopped: bool,
}

impl Gate {
    /// Whoever comes to this moment of a file whose name begins so stops there.
    pub(crate) fn close_at(&self, moment: Moment, prefix: &'static str) {
        self.state.lock().unwrap().closed_at = Some((moment, prefix));
    }

    /// Waits until a thread stands at the gate.
    pub(crate) fn wait_for_arrival(&self) {
        let state = self.state.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, PATIENCE, |state| !state.stopped).unwrap();
        assert!(state.stopped, "nobody came to {:?}", state.closed_at);
    }

    /// Whether a thread stands at the gate.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_occupied(&self) -> bool {
        self.state.lock().unwrap().stopped
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().closed_at = None;
        self.changed.notify_all();
    }

    /// For the hook of a storage.
    pub(crate) fn pass(&self, moment: Moment, name: &str) {
        let mut state = self.state.lock().unwrap();
        while state.closed_at.is_some_and(|(at, prefix)| at == moment && name.starts_with(prefix)) {
            state.stopped = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
        state.stopped = false;
    }
}
