//! Progress of what may take a second: a bar where stderr is a terminal, else a line now and then.
//!
//! Nothing is shown in the first moments, so that quick work stays quiet.

use crate::output::Output;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long work goes on before a bar appears.
const BAR_AFTER: Duration = Duration::from_millis(300);
/// How long work goes on before the first line; each following pause is twice as long, up to a minute.
const LINE_AFTER: Duration = Duration::from_secs(1);
const LINE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Anything else, by its name in the plural.
    Items(&'static str),
}

/// The progress of one phase of a command.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: &'static str,
    unit: Unit,
    total: Option<u64>,
    done: u64,
    started: Instant,
    /// When to show something next; `None` for never.
    next: Option<Duration>,
    /// The pause after that, where lines are printed.
    pause: Duration,
    /// Where stderr is a terminal; hidden at first.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts a phase.
    pub(crate) fn new(output: &Output, phase: &'static str, unit: Unit, total: Option<u64>) -> Self {
        let terminal = io::stderr().is_terminal();
        let first = if terminal { BAR_AFTER } else { LINE_AFTER };
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
            bar.with_style(style(unit, total.is_some())).with_message(phase)
        });
        Self {
            phase,
            unit,
            total,
            done: 0,
            started: Instant::now(),
            next: (!output.is_quiet()).then_some(first),
            pause: LINE_AFTER,
            bar,
        }
    }

    /// Says how far the work has come.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if let Some(next) = self.next {
            let elapsed = self.started.elapsed();
            if elapsed >= next {
                self.show(elapsed);
            }
        }
    }

    fn show(&mut self, elapsed: Duration) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            self.next = None;
        } else {
            let _ = writeln!(io::stderr(), "vdb: {}", self.line());
            self.next = Some(elapsed + self.pause);
            self.pause = (self.pause * 2).min(LINE_PAUSE_MAX);
        }
    }

    fn line(&self) -> String {
        let amount = |count: u64| match self.unit {
            Unit::Bytes => HumanBytes(count).to_string(),
            Unit::Items(_) => HumanCount(count).to_string(),
        };
        let name = match self.unit {
            Unit::Bytes => String::new(),
            Unit::Items(name) => format!(" {name}"),
        };
        match self.total {
            Some(total) => format!("{}: {} of {}{name}", self.phase, amount(self.done.min(total)), amount(total)),
            None => format!("{}: {}{name}", self.phase, amount(self.done)),
        }
    }

    /// Ends the phase, and removes its bar.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(unit: Unit, has_total: bool) -> ProgressStyle {
    let template = match (unit, has_total) {
        (Unit::Bytes, true) => "{msg} [{bar:20}] {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
        (Unit::Bytes, false) => "{msg} {spinner}  {bytes}  {bytes_per_sec}",
        (Unit::Items(_), true) => "{msg} [{bar:20}] {percent:>3}%  {human_pos} of {human_len}  {rate}  {eta} left",
        (Unit::Items(_), false) => "{msg} {spinner}  {human_pos}  {rate}",
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        // A rate without the decimals that indicatif's own has.
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
        })
}

/// Shows what the library reports, phase after phase.
#[derive(Debug)]
pub(crate) struct Observer<'o> {
    output: &'o Output,
    current: Option<Progress>,
}

impl<'o> Observer<'o> {
    /// An observer that has seen nothing yet.
    pub(crate) const fn new(output: &'o Output) -> Self {
        Self { output, current: None }
    }

    /// Takes a report; the work always goes on.
    pub(crate) fn observe(&mut self, report: vector_datalib::Progress) -> ControlFlow<()> {
        let unit = if report.unit == "bytes" { Unit::Bytes } else { Unit::Items(report.unit) };
        let same =
            |current: &Progress| current.phase == report.phase && current.unit == unit && current.total == report.total;
        let mut current = match self.current.take() {
            Some(current) if same(&current) => current,
            _ => Progress::new(self.output, report.phase, unit, report.total),
        };
        current.set(report.done);
        self.current = Some(current);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_phase_amount_and_unit() {
        let output = Output::new(true, false);
        let mut progress = Progress::new(&output, "loading", Unit::Items("points"), Some(2_000_000));
        progress.set(1_234_567);
        assert_eq!(progress.line(), "loading: 1,234,567 of 2,000,000 points");
        let mut progress = Progress::new(&output, "reading", Unit::Bytes, None);
        progress.set(3 << 20);
        assert_eq!(progress.line(), "reading: 3.00 MiB");
    }

    #[test]
    fn every_style_is_valid() {
        for unit in [Unit::Bytes, Unit::Items("points")] {
            for has_total in [true, false] {
                let _ = style(unit, has_total);
            }
        }
    }
}
