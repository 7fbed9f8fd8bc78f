//! Progress of what may take a second: a bar where stderr is a terminal, else a line now and then.
//!
//! Nothing is shown in the first moments, so that quick work stays quiet.

use crate::exit::Outcome;
use crate::glyphs;
use crate::interrupt;
use crate::output::Output;
use console::Term;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long work goes on before a bar appears.
const BAR_AFTER: Duration = Duration::from_millis(300);
/// How long work goes on before the first line; each following pause is twice as long, up to a minute.
const LINE_AFTER: Duration = Duration::from_secs(1);
const LINE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Characters of the longest line of a bar, on however wide a terminal.
const LINE_LEN_MAX: usize = 79;
/// Characters of a bar.
const BAR_LEN: usize = 20;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Anything else, by its name in the plural.
    Items(&'static str),
}

impl Unit {
    fn amount(self, count: u64) -> String {
        match self {
            Self::Bytes => HumanBytes(count).to_string(),
            Self::Items(_) => HumanCount(count).to_string(),
        }
    }
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
            bar.with_style(style(phase, unit))
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
    ///
    /// # Errors
    /// When a signal asks it to stop.
    pub(crate) fn set(&mut self, done: u64) -> Outcome<()> {
        self.show(done);
        interrupt::check()
    }

    fn show(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if let Some(next) = self.next {
            let elapsed = self.started.elapsed();
            if elapsed >= next {
                self.appear(elapsed);
            }
        }
    }

    fn appear(&mut self, elapsed: Duration) {
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
        let amount = |count: u64| self.unit.amount(count);
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

/// What a bar's line says.
#[derive(Debug)]
struct Line {
    phase: &'static str,
    done: String,
    /// How much there is, and which part of it is done.
    total: Option<(String, f32)>,
    rate: String,
    left: Duration,
}

impl Line {
    fn of(phase: &'static str, unit: Unit, state: &ProgressState) -> Self {
        let amount = |count: u64| unit.amount(count);
        Self {
            phase,
            done: amount(state.pos()),
            total: state.len().map(|total| (amount(total), state.fraction())),
            // Without the decimals that indicatif's own has.
            rate: format!("{}/s", amount(state.per_sec() as u64)),
            left: state.eta(),
        }
    }

    /// As much of it as there is room for: a line that is wrapped is not wiped away.
    fn fit(&self, width: usize) -> String {
        let Self { phase, done, total, rate, left } = self;
        let forms = match total {
            Some((total, fraction)) => {
                let part = format!("{:>3}%", (fraction * 100.0) as u32);
                let left = format!("{:#} left", HumanDuration(*left));
                let bar = format!("[{:<BAR_LEN$}]", "=".repeat((fraction * BAR_LEN as f32) as usize));
                vec![
                    format!("{phase} {bar} {part}  {done} of {total}  {rate}  {left}"),
                    format!("{phase} {bar} {part}  {done} of {total}  {left}"),
                    format!("{phase} {part}  {done} of {total}  {left}"),
                    format!("{phase} {part}  {left}"),
                    format!("{phase} {part}"),
                ]
            }
            None => vec![format!("{phase}  {done}  {rate}"), format!("{phase}  {done}")],
        };
        let fitting = forms.iter().find(|form| glyphs::width(form) <= width);
        fitting.cloned().unwrap_or_else(|| glyphs::shorten(phase, width))
    }
}

fn style(phase: &'static str, unit: Unit) -> ProgressStyle {
    let style = ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("line", move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let columns = Term::stderr().size_checked().map_or(LINE_LEN_MAX, |(_, columns)| usize::from(columns));
        let _ = out.write_str(&Line::of(phase, unit, state).fit(LINE_LEN_MAX.min(columns.saturating_sub(1))));
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

    /// Takes a report; the work goes on unless a signal asks it to stop.
    pub(crate) fn observe(&mut self, report: vector_datalib::Progress) -> ControlFlow<()> {
        let unit = if report.unit == "bytes" { Unit::Bytes } else { Unit::Items(report.unit) };
        let same =
            |current: &Progress| current.phase == report.phase && current.unit == unit && current.total == report.total;
        let mut current = match self.current.take() {
            Some(current) if same(&current) => current,
            _ => Progress::new(self.output, report.phase, unit, report.total),
        };
        current.show(report.done);
        self.current = Some(current);
        if interrupt::has_come() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_phase_amount_and_unit() {
        let output = Output::new(true, false);
        let mut progress = Progress::new(&output, "loading", Unit::Items("points"), Some(2_000_000));
        progress.show(1_234_567);
        assert_eq!(progress.line(), "loading: 1,234,567 of 2,000,000 points");
        let mut progress = Progress::new(&output, "reading", Unit::Bytes, None);
        progress.show(3 << 20);
        assert_eq!(progress.line(), "reading: 3.00 MiB");
    }

    #[test]
    fn a_bar_says_as_much_as_there_is_room_for() {
        let line = |done: u64, total: Option<u64>| Line {
            phase: "writing columns",
            done: HumanCount(done).to_string(),
            total: total.map(|total| (HumanCount(total).to_string(), done as f32 / total as f32)),
            rate: "9,876,543/s".to_owned(),
            left: Duration::from_secs(30),
        };
        let bar = format!("[=========={}]", " ".repeat(10));
        let small = line(50, Some(100));
        assert_eq!(small.fit(LINE_LEN_MAX), format!("writing columns {bar}  50%  50 of 100  9,876,543/s  30s left"));
        assert_eq!(small.fit(64), format!("writing columns {bar}  50%  50 of 100  30s left"));
        assert_eq!(small.fit(63), "writing columns  50%  50 of 100  30s left");
        assert_eq!(small.fit(5), "wr...");
        for total in [None, Some(u64::MAX)] {
            for width in 3..LINE_LEN_MAX {
                let shown = line(u64::MAX / 2, total).fit(width);
                assert!(
                    shown.len() <= width && (width < 20 || shown.starts_with("writing columns")),
                    "{width}: {shown}"
                );
            }
        }
        assert!(
            line(6_000_000_000, Some(12_000_000_000))
                .fit(LINE_LEN_MAX)
                .contains("50%  6,000,000,000 of 12,000,000,000")
        );
    }
}
