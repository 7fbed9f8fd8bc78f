//! The futures of [`AsyncVectorDb`](super::AsyncVectorDb).

use super::queue::Queue;
use crate::engine::{Outcome, Step};
use crate::error::{Error, Result};
use crate::progress::Progress;
use std::fmt;
use std::future::{Future, ready};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::runtime::Handle;

type Inner<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A write, one commit, on its way; ready when it is as durable as [`Options::durability`](crate::Options::durability) says. It borrows
/// nothing, so that it can be spawned.
///
/// Its arguments are converted when it is made; it is queued when it is first polled. Writes are made in the order in which they
/// were first polled.
///
/// # Dropping
/// A write that is dropped, as `select!` and time limits do, is made as a whole or not at all. One that was never polled is not
/// made; one that waits in the queue is made or not; one that the writer's thread has taken up is made. Read to find out which.
pub struct PendingWrite<T> {
    outcomes: Inner<Vec<Outcome>>,
    answer: fn(Vec<Outcome>) -> T,
}

impl<T> PendingWrite<T> {
    pub(super) fn new(queue: Option<&Queue>, steps: Result<Vec<Step>>, answer: fn(Vec<Outcome>) -> T) -> Self {
        let outcomes: Inner<Vec<Outcome>> = match (steps, queue) {
            (Err(error), _) => Box::pin(ready(Err(error))),
            (Ok(_), None) => Box::pin(ready(Err(Error::ReadOnly))),
            (Ok(steps), Some(queue)) => Box::pin(queue.clone().commit(steps)),
        };
        Self { outcomes, answer }
    }
}

impl<T> Future for PendingWrite<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        this.outcomes.as_mut().poll(context).map(|outcomes| outcomes.map(this.answer))
    }
}

impl<T> fmt::Debug for PendingWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingWrite").finish_non_exhaustive()
    }
}

/// Long work, which runs on a thread where blocking is allowed (that of [`tokio::task::spawn_blocking`]). It borrows nothing, so that
/// it can be spawned.
///
/// It starts when it is first polled, which has to be in a tokio runtime; elsewhere it fails with
/// [`Error::InvalidArgument`] and does nothing.
///
/// # Dropping
/// Work that is dropped is cancelled: it stops soon, and leaves everything as it was, unless it was just about to be done. To have it
/// go on, spawn it.
pub struct PendingWork<T> {
    result: Inner<T>,
    cancelled: Cancelled,
}

/// Whether the future was dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// A progress callback that also asks the future.
    pub(super) fn or(
        self,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> impl FnMut(Progress) -> ControlFlow<()> {
        move |report| {
            let wish = progress(report);
            if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { wish }
        }
    }
}

impl<T: Send + 'static> PendingWork<T> {
    pub(super) fn new(work: impl FnOnce(Cancelled) -> Result<T> + Send + 'static) -> Self {
        let cancelled = Cancelled::default();
        let result = Box::pin(run(work, cancelled.clone()));
        Self { result, cancelled }
    }
}

async fn run<T, F>(work: F, cancelled: Cancelled) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(Cancelled) -> Result<T> + Send + 'static,
{
    let runtime = Handle::try_current().map_err(|_| {
        Error::invalid_argument(
            "opening a database and other long work has to be awaited in a tokio runtime, and this is none",
        )
    })?;
    let started = runtime.spawn_blocking(move || {
        // It may have waited for a thread for long.
        if cancelled.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { work(cancelled) }
    });
    match started.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::Cancelled),
        },
    }
}

impl<T> Future for PendingWork<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.get_mut().result.as_mut().poll(context)
    }
}

impl<T> Drop for PendingWork<T> {
    fn drop(&mut self) {
        self.cancelled.0.store(true, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for PendingWork<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingWork").finish_non_exhaustive()
    }
}
