//! `.db` files, of every release of the Python package and of this program, into a new database.

use crate::arguments::Import;
use crate::content::Content;
use crate::exit::{Failure, Outcome};
use crate::import::refused;
use crate::interrupt;
use crate::limits;
use crate::output::{Output, count_of, duration};
use crate::progress::Observer;
use crate::report::Report;
use crate::source::{self, Spooled};
use std::path::Path;
use std::time::Instant;
use vector_datalib::{Error, ImportReport, Value};

/// Imports the file and says so.
pub(crate) fn run(arguments: &Import, output: &Output) -> Outcome<()> {
    let started = Instant::now();
    // The library reads a file more than once, by its name.
    let spooled = source::spool_for_path(&arguments.source, output)?;
    let path = spooled.as_ref().map_or(arguments.source.as_path(), Spooled::path);
    let name =
        if source::is_stdin(&arguments.source) { "stdin".into() } else { arguments.source.display().to_string() };
    let import = vector_datalib::Import::new().limits(limits::limits(&arguments.limit)).salvage(arguments.salvage);
    // From here on a signal would leave a part of the database.
    interrupt::listen();
    let mut observer = Observer::new(output);
    let report = import
        .run_with(path, &arguments.db, &mut |progress| observer.observe(progress))
        .map_err(|error| explained(error, path, &name))?;
    drop(observer);

    let elapsed = started.elapsed();
    let remarks = [("put right", put_right(&report)), ("lost", lost(&report))]
        .into_iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(what, list)| format!("; {what}: {}", list.join(", ")))
        .collect::<String>();
    output.note(&format!(
        "imported {} x {} from {} in {}{remarks}",
        count_of(report.points, "point"),
        count_of(report.dimensions, "dimension"),
        report.container,
        duration(elapsed),
    ));
    for note in &report.notes {
        output.note(&format!("note: {note}"));
    }
    if output.is_quiet() && !report.losses.is_empty() {
        output.warning(&format!("{name}: lost: {}", lost(&report).join(", ")));
    }
    for place in &report.lost {
        output.warning(&format!("lost: {place}"));
    }
    if output.is_json() {
        output.print(&summary(&report).seconds(elapsed).to_json())?;
    }
    Ok(())
}

/// One sentence with the file, the place, the reason, and the option that helps.
fn explained(error: Error, path: &Path, name: &str) -> Failure {
    match &error {
        Error::Rejected { place, reason, salvage, .. } => {
            let failure = Failure::corrupt(format!("{name} {place}: {reason}"));
            match Content::of(path) {
                _ if *salvage => failure.with_hint("--salvage imports what can be saved, and says what is lost"),
                Ok(Content::Text) => failure.with_hint(
                    "it looks like text: say --format csv or --format jsonl if it is that, whatever its name",
                ),
                Ok(Content::Sqlite) => {
                    failure.with_hint("it is a database of SQLite: export a table of it as CSV, and import that")
                }
                _ => failure,
            }
        }
        Error::Limit { path, limit, .. } => {
            let words = error.to_string();
            let words = words.strip_prefix(&path.display().to_string()).unwrap_or(&words);
            let option = format!("--limit {}", limits::name_of(limit));
            Failure::corrupt(format!("{name}{}", words.replace(&format!("ImportLimits::{limit}"), &option)))
        }
        _ => refused(error),
    }
}

/// What was repaired, in words.
fn put_right(report: &ImportReport) -> Vec<String> {
    let words = |(name, count): (&str, u64)| match name {
        "ref_counts" => format!("reference counts of {}", count_of(count, "dimension")),
        "free_slots" => "the list of free slots".to_owned(),
        "next_ids" => format!("next ids of {}", count_of(count, "dimension")),
        "totals" => count_of(count, "total"),
        "ghost_mappings" => format!("{} of coordinates without a point", count_of(count, "cell")),
        "unused_values" => format!("{} that no point has", count_of(count, "value")),
        "repeated_values" => format!("{} with more than one id", count_of(count, "value")),
        "unmapped_points" => format!("{} that coordinate_map does not have", count_of(count, "point")),
        "trailing_tombstones" => format!("{} behind the last point", count_of(count, "free slot")),
        "missing_fields" => count_of(count, "missing field"),
        "unknown_fields" => count_of(count, "unknown field"),
        "trailing_bytes" => format!("{} behind the LZ4 frame", count_of(count, "byte")),
        other => format!("{other} {count}"),
    };
    report.repairs.iter().filter(|(_, count)| *count > 0).map(words).collect()
}

/// What a salvage could not save, in words.
fn lost(report: &ImportReport) -> Vec<String> {
    let words = |(name, count): (&str, u64)| match name {
        "cells" => format!("{} without a value, or of a point that is lost", count_of(count, "cell")),
        "coordinates" => format!("{} of coordinate_map that vector_points does not have there", count_of(count, "key")),
        "repeated_keys" => format!("{} whose key came again", count_of(count, "point")),
        "null_keys" => format!("{} whose key is null", count_of(count, "point")),
        "dimensions" => format!("{} whose name is no text", count_of(count, "dimension")),
        other => format!("{other} {count}"),
    };
    report.losses.iter().filter(|(_, count)| *count > 0).map(words).collect()
}

fn summary(report: &ImportReport) -> Report {
    let counts = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
        Value::from(counts.fold(Report::new(), |report, (name, count)| report.field(name, count)))
    };
    let texts = |texts: &[String]| texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>();
    Report::new()
        .field("points", report.points)
        .field("dimensions", report.dimensions)
        .field("cells", report.cells)
        .field("container", report.container)
        .field("version", report.version.as_deref().map_or(Value::Null, Value::from))
        .field("repairs", counts(&mut report.repairs.iter()))
        .field("losses", counts(&mut report.losses.iter()))
        .field("lost", texts(&report.lost))
        .field("notes", texts(&report.notes))
}
