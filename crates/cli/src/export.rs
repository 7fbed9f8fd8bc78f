//! `vdb export`: all points of one moment, as a canonical file, JSON lines or CSV.

use crate::arguments::{Export, ExportFormat};
use crate::csv_export::{self, CsvOptions};
use crate::database;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::json;
use crate::output::{Output, count_of, duration};
use crate::progress::{Observer, Progress, Unit};
use crate::report::Report;
use crate::sink::{self, Sink};
use indicatif::HumanBytes;
use std::fs;
use std::path::Path;
use std::time::Instant;
use vector_datalib::inspect::enclosing_database;
use vector_datalib::{Snapshot, VectorDb};

/// After how many points progress is looked at.
const POINTS_PER_LOOK: u64 = 1024;

/// Runs the command.
pub(crate) fn run(arguments: &Export, output: &Output) -> Outcome {
    let format = match arguments.format {
        Some(format) => format,
        None if sink::is_stdout(&arguments.out) => {
            let reason =
                "-: that is stdout, which has no name to tell what to write; say --format jsonl or --format csv";
            return Err(Failure::usage(reason));
        }
        None => format_of(&arguments.out).map_err(|failure| failure.with_hint("or say --format"))?,
    };
    check_options(arguments, format)?;
    check_place(&arguments.out)?;
    let db = database::open_read_only(&arguments.db)?;
    let mut options = CsvOptions::default();
    options.null = arguments.null.as_deref().unwrap_or(options.null);
    options.key = arguments.key.as_deref().unwrap_or(options.key);
    let summary = export(&db, &arguments.out, format, options, output)?;
    if output.is_json() && !sink::is_stdout(&arguments.out) {
        output.print(&summary.to_json())?;
    }
    Ok(Exit::Done)
}

/// What to write, by the name of the file.
///
/// # Errors
/// When the name does not tell.
pub(crate) fn format_of(out: &Path) -> Outcome<ExportFormat> {
    let ending = out.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "db" => Ok(ExportFormat::Db),
        "jsonl" | "ndjson" => Ok(ExportFormat::Jsonl),
        "csv" => Ok(ExportFormat::Csv),
        _ => Err(Failure::usage(format!(
            "{}: this name does not tell what to write; end it in .db, .jsonl or .csv",
            out.display()
        ))),
    }
}

/// Refuses options that mean nothing in a format.
fn check_options(arguments: &Export, format: ExportFormat) -> Outcome<()> {
    let name = match format {
        ExportFormat::Csv => return Ok(()),
        ExportFormat::Jsonl => "jsonl",
        ExportFormat::Db => "db",
    };
    let of_csv = [("--null", arguments.null.is_some()), ("--key", arguments.key.is_some())];
    match of_csv.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(Failure::usage(format!("{flag} does not apply to {name}, only to csv; leave it out"))),
        None => Ok(()),
    }
}

/// Refuses to write over the files of a database, or beside them.
pub(crate) fn check_place(out: &Path) -> Outcome<()> {
    let database = if sink::is_stdout(out) { None } else { enclosing_database(out) };
    let Some(database) = database else { return Ok(()) };
    let (out, database) = (out.display(), database.display());
    Err(Failure::usage(format!("{out} is inside of the database {database}; choose a place outside of it")))
}

/// Writes all points to a file and says so.
pub(crate) fn export(
    db: &VectorDb,
    out: &Path,
    format: ExportFormat,
    csv: CsvOptions<'_>,
    output: &Output,
) -> Outcome<Report> {
    let started = Instant::now();
    let (points, len) = match format {
        ExportFormat::Db => {
            if sink::is_stdout(out) {
                return Err(Failure::usage(
                    "a .db file cannot be written to stdout; name a file, or say --format jsonl",
                ));
            }
            interrupt::listen();
            let mut observer = Observer::new(output);
            db.export_with(out, &mut |progress| observer.observe(progress)).map_err(Failure::not_made)?;
            let len = fs::metadata(out).map_err(|error| Failure::file(out, &error))?.len();
            (db.len(), len)
        }
        ExportFormat::Jsonl => write_points(db, out, output, write_json_lines)?,
        ExportFormat::Csv => {
            write_points(db, out, output, |snapshot, lines| csv_export::write(snapshot, csv, lines, output))?
        }
    };
    let elapsed = started.elapsed();
    output.note(&format!(
        "exported {} to {} ({}) in {}",
        count_of(points, "point"),
        if sink::is_stdout(out) { "stdout".into() } else { out.display().to_string() },
        HumanBytes(len),
        duration(elapsed),
    ));
    Ok(Report::new().field("points", points).field("file_size_bytes", len).seconds(elapsed))
}

/// Where points are written, one after another.
#[derive(Debug)]
pub(crate) struct Lines {
    sink: Sink,
    progress: Progress,
    point_count: u64,
}

impl Lines {
    /// Writes text that is no point.
    pub(crate) fn head(&mut self, text: &str) -> Outcome<()> {
        self.sink.write(text)
    }

    /// Writes the text of a point, with its line feed.
    pub(crate) fn point(&mut self, text: &str) -> Outcome<()> {
        self.point_count += 1;
        if self.point_count.is_multiple_of(POINTS_PER_LOOK) {
            self.progress.set(self.point_count)?;
        }
        self.sink.write(text)
    }
}

/// Writes a snapshot; returns the number of points and of bytes.
fn write_points(
    db: &VectorDb,
    out: &Path,
    output: &Output,
    write: impl FnOnce(&Snapshot, &mut Lines) -> Outcome<()>,
) -> Outcome<(u64, u64)> {
    let snapshot = db.snapshot();
    let progress = Progress::new(output, "exporting", Unit::Items("points"), Some(snapshot.len()));
    let mut lines = Lines { sink: Sink::create(out)?, progress, point_count: 0 };
    write(&snapshot, &mut lines)?;
    lines.progress.finish();
    Ok((lines.point_count, lines.sink.finish()?))
}

/// `{"key":...,"coordinate":...,"attributes":{...}}` on each line.
fn write_json_lines(snapshot: &Snapshot, lines: &mut Lines) -> Outcome<()> {
    let mut line = String::new();
    for point in snapshot.iter() {
        let point = point?;
        line.clear();
        line.push_str("{\"key\":");
        json::write_value_ref(point.key().value(), &mut line)?;
        line.push_str(&format!(",\"coordinate\":{},\"attributes\":{{", point.coordinate()));
        for (index, attribute) in point.attributes().enumerate() {
            let (name, value) = attribute?;
            if index > 0 {
                line.push(',');
            }
            json::write_text(name, &mut line);
            line.push(':');
            json::write_value_ref(value, &mut line)?;
        }
        line.push_str("}}\n");
        lines.point(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        assert_eq!(format_of(Path::new("a/b.DB")).unwrap(), ExportFormat::Db);
        assert_eq!(format_of(Path::new("b.jsonl")).unwrap(), ExportFormat::Jsonl);
        assert_eq!(format_of(Path::new("b.csv")).unwrap(), ExportFormat::Csv);
        for name in ["-", "b", "b.csv.gz", "b.xlsx", "csv"] {
            assert_eq!(format_of(Path::new(name)).unwrap_err().exit(), Exit::Usage, "{name}");
        }
    }
}
