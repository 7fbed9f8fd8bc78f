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
    /// What is counted: `"cells"`, `"bytes"`, `"points"`.
    pub unit: &'static str,
}

/// Called now and then by long operations. It must not write through the handle that calls it, which may be holding back writes; [`ControlFlow::Break`] cancels, which leaves everything as it was.
pub type ProgressFn<'f> = dyn FnMut(Progress) -> ControlFlow<()> + 'f;

/// For callers that do not care.
pub(crate) fn ignore(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
