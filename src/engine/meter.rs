//! How far the writing of files is.

use crate::error::{Error, Result};
use crate::progress::{Progress, ProgressFn};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Steps between two reports, where they are quick.
const STEP: u64 = 65_536;
/// Time between two reports, where they are not: one may be about a long value.
const PAUSE: Duration = Duration::from_millis(10);
/// Steps between two looks at the clock, where they are quick; a slow one is followed by another look.
const STRIDE_MAX: u64 = 256;
const SLOW: Duration = Duration::from_millis(1);

/// What the meters of several threads count together.
#[derive(Default, Debug)]
pub(super) struct Tally {
    done: AtomicU64,
    is_stopped: AtomicBool,
}

impl Tally {
    /// Makes all meters fail with [`Error::Cancelled`].
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Who is told.
enum Report<'p> {
    Caller(&'p mut (dyn FnMut(Progress) -> ControlFlow<()> + 'p)),
    Tally(&'p Tally),
}

/// Counts what is done, and asks whether to go on.
pub(super) struct Meter<'p> {
    report: Report<'p>,
    phase: &'static str,
    done: u64,
    total: u64,
    /// Steps since the last report.
    steps: u64,
    /// Steps after which the clock is looked at, and how many more after that.
    next_look: u64,
    stride: u64,
    looked: Instant,
    reported: Instant,
}

impl<'p> Meter<'p> {
    /// Of work on `total` cells.
    pub(super) fn new<'f: 'p>(report: &'p mut ProgressFn<'f>, phase: &'static str, total: u64) -> Self {
        Self::reporting(Report::Caller(report), phase, total)
    }

    /// One of several that count together.
    pub(super) fn of(tally: &'p Tally) -> Self {
        Self::reporting(Report::Tally(tally), "", 0)
    }

    fn reporting(report: Report<'p>, phase: &'static str, total: u64) -> Self {
        let now = Instant::now();
        Self { report, phase, done: 0, total, steps: 0, next_look: 1, stride: 1, looked: now, reported: now }
    }

    /// Reports what others have counted since they were asked last.
    pub(super) fn tell(&mut self, tally: &Tally) -> Result<()> {
        self.done += tally.done.swap(0, Ordering::Relaxed);
        self.report()
    }

    /// Changes how much there is to do.
    pub(super) const fn set_total(&mut self, total: u64) {
        self.total = total;
    }

    /// Counts cells that are done.
    pub(super) fn add(&mut self, cells: u64) -> Result<()> {
        match &self.report {
            Report::Caller(_) => self.done += cells,
            Report::Tally(tally) => _ = tally.done.fetch_add(cells, Ordering::Relaxed),
        }
        // What comes next may be slow.
        self.stride = 1;
        self.report()
    }

    /// Asks now and then whether to go on. Called for each cell of each pass.
    #[inline]
    pub(super) fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps < self.next_look { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&mut self) -> Result<()> {
        let before = std::mem::replace(&mut self.looked, Instant::now());
        self.stride = if self.looked - before > SLOW { 1 } else { STRIDE_MAX.min(self.stride * 2) };
        self.next_look = self.steps + self.stride;
        if self.steps >= STEP || self.looked - self.reported >= PAUSE { self.report() } else { Ok(()) }
    }

    #[cold]
    fn report(&mut self) -> Result<()> {
        self.steps = 0;
        self.next_look = self.stride;
        self.reported = self.looked;
        let progress = Progress { phase: self.phase, done: self.done, total: Some(self.total), unit: "cells" };
        let is_stopped = match &mut self.report {
            Report::Caller(report) => report(progress).is_break(),
            Report::Tally(tally) => tally.is_stopped(),
        };
        if is_stopped { Err(Error::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_steps_are_reported_by_count_and_slow_ones_by_time() {
        let mut reports = 0;
        let mut count = |_: Progress| {
            reports += 1;
            ControlFlow::Continue(())
        };
        let mut meter = Meter::new(&mut count, "", 0);
        for _ in 0..4 * STEP {
            meter.step().unwrap();
        }
        for _ in 0..300 {
            std::thread::sleep(Duration::from_millis(2));
            meter.step().unwrap();
        }
        // The first 256 steps may pass at once.
        assert!((4 + 4..).contains(&reports), "{reports}");
    }
}
