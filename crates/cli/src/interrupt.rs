//! Signals that end a program (Ctrl-C and `kill`), where work has to be undone first.
//!
//! Without this they end it at once, which is right for whatever leaves nothing behind.

use crate::exit::{Exit, Failure, Outcome};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signal that came last, or 0.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);
static HAS_COME: AtomicBool = AtomicBool::new(false);

/// From now on a signal asks the work to stop, at the next [`check`]; a second one ends the program at once.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first one is not taken for the second. Where the system refuses, a signal does what it did.
            let _as_before = flag::register_conditional_default(signal, &HAS_COME)
                .and_then(|_| flag::register_usize(signal, &SIGNAL, signal as usize))
                .and_then(|_| flag::register(signal, &HAS_COME));
        }
    });
}

/// Whether a signal has come.
pub(crate) fn has_come() -> bool {
    HAS_COME.load(Ordering::Relaxed)
}

/// Fails if a signal has come.
pub(crate) fn check() -> Outcome<()> {
    if has_come() { Err(failure()) } else { Ok(()) }
}

/// What ended work that was asked to stop.
pub(crate) fn failure() -> Failure {
    let exit = if SIGNAL.load(Ordering::Relaxed) == SIGTERM as usize { Exit::Terminated } else { Exit::Interrupted };
    Failure::stopped(exit)
}
