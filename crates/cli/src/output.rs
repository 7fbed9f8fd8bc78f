//! What goes to stdout and stderr: results, tables, notes and errors.
//!
//! Results go to stdout, as JSON unless a person reads them; everything else goes to stderr. A failure to write to stdout is
//! an error of the command, a failure to write to stderr is not.

use crate::exit::{Failure, Outcome};
use indicatif::HumanCount;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Where the output of a command goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    json_asked_for: bool,
    quiet: bool,
    terminal: bool,
}

impl Output {
    /// Decides from the options and from what stdout is.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { json: json || !terminal, json_asked_for: json, quiet, terminal }
    }

    /// Whether results are printed as JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether `--json` was given, as opposed to stdout not being a terminal.
    pub(crate) const fn is_json_asked_for(&self) -> bool {
        self.json_asked_for
    }

    /// Whether neither progress nor notes are wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether colours are welcome on stdout (see no-color.org).
    pub(crate) fn is_colourful(&self) -> bool {
        self.terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Prints a result, followed by a line feed.
    pub(crate) fn print(&self, text: &str) -> Outcome<()> {
        let mut stdout = io::stdout().lock();
        let written =
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
        written.map_err(|error| Failure::stdout(&error))
    }

    /// Says something to a person, on stderr.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.warning(text);
        }
    }

    /// Says that something was lost, on stderr, also where notes are not wanted.
    pub(crate) fn warning(&self, text: &str) {
        let _ = writeln!(io::stderr(), "vdb: {}", printable(text));
    }

    /// Says why the command failed, on stderr.
    pub(crate) fn error(&self, failure: &Failure) {
        let _ = writeln!(io::stderr(), "vdb: {failure}");
    }
}

/// The text without what would move a cursor or break a line.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// A number of things, as in `1 file` and `1,458 points`.
pub(crate) fn count_of(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// A duration in the unit that fits it.
pub(crate) fn duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos() as f64;
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        ..1e6 => format!("{:.1} us", nanoseconds / 1e3),
        ..1e9 => format!("{:.1} ms", nanoseconds / 1e6),
        _ => format!("{:.2} s", nanoseconds / 1e9),
    }
}

/// A table of text: numbers to the right.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug)]
struct Column {
    title: &'static str,
    right: bool,
}

impl Table {
    /// A table whose columns have these titles; a title that begins with `>` is aligned to the right.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        let column = |title: &&'static str| match title.strip_prefix('>') {
            Some(title) => Column { title, right: true },
            None => Column { title, right: false },
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The table as lines without a line feed at the end.
    pub(crate) fn render(&self) -> String {
        let width = |text: &str| text.chars().count();
        let mut lines = Vec::with_capacity(self.rows.len() + 2);
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                self.rows
                    .iter()
                    .chain([&titles])
                    .filter_map(|row| row.get(at))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let head = if titles.iter().all(String::is_empty) { vec![] } else { vec![&titles, &rules] };
        for row in head.into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), &full) in row.iter().zip(&self.columns).zip(&widths) {
                let blank = " ".repeat(full - width(cell));
                if !line.is_empty() {
                    line.push_str("  ");
                }
                if column.right {
                    line.push_str(&blank);
                }
                line.push_str(cell);
                if !column.right {
                    line.push_str(&blank);
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["name", ">points"]);
        table.row(vec!["é".into(), "5".into()]);
        table.row(vec!["a long name\n".into(), "12,345".into()]);
        assert_eq!(
            table.render(),
            "name           points\n-------------  ------\né                   5\na long name\\n  12,345"
        );
    }

    #[test]
    fn a_table_without_titles_has_no_head() {
        let mut table = Table::new(&["", ">"]);
        table.row(vec!["points".into(), "5".into()]);
        assert_eq!(table.render(), "points  5");
    }

    #[test]
    fn numbers_of_things() {
        assert_eq!([0, 1, 1458].map(|count| count_of(count, "point")), ["0 points", "1 point", "1,458 points"]);
    }

    #[test]
    fn durations_have_a_unit_that_fits() {
        for (nanoseconds, text) in
            [(0, "0 ns"), (999, "999 ns"), (1500, "1.5 us"), (2_340_000, "2.3 ms"), (1_234_000_000, "1.23 s")]
        {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn nothing_printable_is_changed_and_nothing_else_survives() {
        assert_eq!(printable("é \"x\"\\"), "é \"x\"\\");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\r\\u{9b}");
    }
}
