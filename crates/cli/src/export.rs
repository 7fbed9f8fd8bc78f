//! `vdb export`: all points of one moment, as a canonical file, JSON lines or CSV.

use crate::arguments::{Export, ExportFormat};
use crate::exit::{Exit, Failure, Outcome};
use crate::json;
use crate::output::Output;
use crate::progress::{Observer, Progress, Unit};
use crate::report::Report;
use crate::sink::{self, Sink};
use indicatif::{HumanBytes, HumanCount};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{Snapshot, ValueRef, VectorDb};

/// After how many points progress is looked at.
const POINTS_PER_LOOK: u64 = 1024;

/// Runs the command.
pub(crate) fn run(arguments: &Export, output: &Output) -> Outcome {
    let format = match arguments.format {
        Some(format) => format,
        None => format_of(&arguments.out)?,
    };
    let db = VectorDb::open_read_only(&arguments.db)?;
    let options = CsvOptions { null: &arguments.null, key: &arguments.key };
    let summary = export(&db, &arguments.out, format, options, output)?;
    if output.is_json() && !sink::is_stdout(&arguments.out) {
        output.print(&summary.to_json())?;
    }
    Ok(Exit::Done)
}

/// How CSV is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsvOptions<'o> {
    /// What stands for a missing value.
    pub(crate) null: &'o str,
    /// The name of the column of keys.
    pub(crate) key: &'o str,
}

impl Default for CsvOptions<'_> {
    fn default() -> Self {
        Self { null: "", key: "key" }
    }
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
            "{}: this name does not tell what to write; end it in .db, .jsonl or .csv, or say --format",
            out.display()
        ))),
    }
}

/// Writes all points to a file and says so.
pub(crate) fn export(db: &VectorDb, out: &Path, format: ExportFormat, csv: CsvOptions<'_>, output: &Output) -> Outcome<Report> {
    let started = Instant::now();
    let (points, len) = match format {
        ExportFormat::Db => {
            if sink::is_stdout(out) {
                return Err(Failure::usage("a .db file cannot be written to stdout; name a file, or say --format jsonl"));
            }
            let mut observer = Observer::new(output);
            db.export_with(out, &mut |progress| observer.observe(progress))?;
            let len = fs::metadata(out).map_err(|error| Failure::file(out, &error))?.len();
            (db.len(), len)
        }
        ExportFormat::Jsonl => write_points(db, out, output, JsonLines)?,
        ExportFormat::Csv => {
            let snapshot = db.snapshot();
            let columns = CsvLines::new(&snapshot, csv)?;
            write_points(db, out, output, columns)?
        }
    };
    let elapsed = started.elapsed();
    output.note(&format!(
        "exported {} points to {} ({}) in {:.1} s",
        HumanCount(points),
        if sink::is_stdout(out) { "stdout".into() } else { out.display().to_string() },
        HumanBytes(len),
        elapsed.as_secs_f64(),
    ));
    Ok(Report::new().field("points", points).field("file_size_bytes", len).seconds(elapsed))
}
