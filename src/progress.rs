//! How long work tells how far it is, and is asked to stop.

use std::ops::ControlFlow;

/// How far a long operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// How much of it is done, in `unit`s.
    pub done: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
    /// What is counted: `"cells"`, `"slots"`, `"keys"`, `"bytes"`.
    pub unit: &'static str,
}

/// Called now and then by long operations. It may read and write through the handle that calls it, unless slots are being
/// reassigned; a checkpoint or a compaction in the callback of another one is refused. [`ControlFlow::Break`] cancels, which leaves
/// everything as it was.
pub type ProgressFn<'f> = dyn FnMut(Progress) -> ControlFlow<()> + 'f;

/// For callers that do not care.
pub(crate) fn ignore(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
