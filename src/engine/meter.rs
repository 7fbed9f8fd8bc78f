//! How far the writing of files is.

use crate::error::{Error, Result};
use crate::progress::{Progress, ProgressFn};
use std::ops::ControlFlow;

/// Steps between two reports.
const STEP: u64 = 65_536;

/// Counts what is done, and asks whether to go on.
pub(super) struct Meter<'p> {
    report: &'p mut (dyn FnMut(Progress) -> ControlFlow<()> + 'p),
    phase: &'static str,
    done: u64,
    total: u64,
    /// Steps since the last report.
    steps: u64,
}

impl<'p> Meter<'p> {
    /// Of work on `total` cells.
    pub(super) fn new<'f: 'p>(report: &'p mut ProgressFn<'f>, phase: &'static str, total: u64) -> Self {
        Self { report, phase, done: 0, total, steps: 0 }
    }

    /// Changes how much there is to do.
    pub(super) const fn set_total(&mut self, total: u64) {
        self.total = total;
    }

    /// Counts cells that are done.
    pub(super) fn add(&mut self, cells: u64) -> Result<()> {
        self.done += cells;
        self.report()
    }

    /// Asks now and then whether to go on. Called for each cell of each pass.
    #[inline]
    pub(super) fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps < STEP { Ok(()) } else { self.report() }
    }

    #[cold]
    fn report(&mut self) -> Result<()> {
        self.steps = 0;
        let progress = Progress { phase: self.phase, done: self.done, total: Some(self.total), unit: "cells" };
        match (self.report)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}
