//! `vdb import`: a file of records becomes a new database.

use crate::arguments::{Import, ImportFormat};
use crate::content::Content;
use crate::csv_import::{self, CsvOptions};
use crate::db_import;
use crate::exit::{Exit, Failure, Outcome};
use crate::inference::ColumnType;
use crate::interrupt;
use crate::jsonl_import::{self, Loaded};
use crate::output::{Output, count_of, duration};
use crate::progress::Observer;
use crate::report::Report;
use crate::source::{self, Source, is_stdin, read_failure};
use indicatif::HumanCount;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};
use vector_datalib::{BulkLoader, Value};

/// Below this, a number of rows per second says more about the clock than about the rows.
const RATE_AFTER: Duration = Duration::from_millis(100);

/// How much is looked at before a file is taken for CSV.
const START_LEN: usize = 64;

/// What an import did, whatever the format.
struct Imported {
    rows: u64,
    dimensions: u64,
    /// What else a person should know, each with its separator in front.
    remarks: String,
    /// What else the summary says.
    summary: Report,
}

/// Runs the command.
pub(crate) fn run(arguments: &Import, output: &Output) -> Outcome {
    let started = Instant::now();
    check_target(&arguments.db)?;
    source::check_kind(&arguments.source)?;
    let format = arguments.format.unwrap_or_else(|| format_of(&arguments.source));
    check_options(arguments, format)?;
    let import: fn(&Import, &Source, &mut BulkLoader, &Output) -> Outcome<Imported> = match format {
        ImportFormat::Csv => import_csv,
        ImportFormat::Jsonl => import_jsonl,
        ImportFormat::Db => return db_import::run(arguments, output).map(|()| Exit::Done),
        ImportFormat::Parquet => return Err(unsupported(&arguments.source, "Parquet")),
        ImportFormat::Arrow => return Err(unsupported(&arguments.source, "Arrow")),
    };
    let ending = if format == ImportFormat::Jsonl { "jsonl" } else { "csv" };
    let source = Source::open(&arguments.source, ending, output)?;
    if arguments.format.is_none() && format == ImportFormat::Csv {
        check_is_csv(&source)?;
    }
    // From here on a signal would leave a part of the database.
    interrupt::listen();
    let mut loader = BulkLoader::create(&arguments.db).map_err(refused)?;
    let imported = import(arguments, &source, &mut loader, output)?;
    let mut observer = Observer::new(output);
    let report = loader.finish_with(&mut |progress| observer.observe(progress)).map_err(refused)?;
    drop(observer);

    let elapsed = started.elapsed();
    let Imported { rows, dimensions, remarks, summary } = imported;
    let merged = match report.merged {
        0 => String::new(),
        merged => format!("; {} with the key of an earlier one merged into it", count_of(merged, "row")),
    };
    let rate = if elapsed < RATE_AFTER {
        String::new()
    } else {
        format!(" ({} rows/s)", HumanCount((rows as f64 / elapsed.as_secs_f64()) as u64))
    };
    output.note(&format!(
        "imported {} x {} in {}{rate}{merged}{remarks}",
        count_of(report.points, "point"),
        count_of(dimensions, "dimension"),
        duration(elapsed),
    ));
    if output.is_json() {
        let counts = Report::new().field("rows", rows).field("points", report.points).field("merged", report.merged);
        output.print(&counts.field("dimensions", dimensions).and(summary).seconds(elapsed).to_json())?;
    }
    Ok(Exit::Done)
}

fn import_csv(arguments: &Import, source: &Source, loader: &mut BulkLoader, output: &Output) -> Outcome<Imported> {
    let options = CsvOptions {
        key: arguments.key.clone(),
        null: if arguments.null.is_empty() { vec![String::new()] } else { arguments.null.clone() },
        text: arguments.text.clone(),
        float: arguments.float.clone(),
    };
    let (schema, rows) = csv_import::import(source, &options, loader, output)?;
    let columns = schema
        .dimensions()
        .map(|(name, column_type)| Report::new().field("name", name).field("type", type_name(column_type)).into());
    let columns: Vec<Value> = columns.collect();
    let dimensions = columns.len() as u64;
    let summary = Report::new().field("key_type", type_name(schema.key_type())).field("columns", columns);
    let remarks = if rows == 0 { "; there are no records, only a header line" } else { "" };
    Ok(Imported { rows, dimensions, remarks: remarks.to_owned(), summary })
}

fn import_jsonl(arguments: &Import, source: &Source, loader: &mut BulkLoader, output: &Output) -> Outcome<Imported> {
    let Loaded { rows, dimensions, renumbered } =
        jsonl_import::import(source, arguments.key.as_deref(), loader, output)?;
    let remarks = match (rows, renumbered) {
        (0, _) => "; there are no records".to_owned(),
        (_, 0) => String::new(),
        (_, lines) => format!("; coordinates are not kept: {} had another one", count_of(lines, "row")),
    };
    Ok(Imported { rows, dimensions, remarks, summary: Report::new().field("renumbered", renumbered) })
}

/// Refuses options that mean nothing in a format.
fn check_options(arguments: &Import, format: ImportFormat) -> Outcome<()> {
    let of_cells = [("--null", &arguments.null), ("--text", &arguments.text), ("--float", &arguments.float)];
    let of_cells = of_cells.iter().find(|(_, given)| !given.is_empty()).map(|(flag, _)| *flag);
    let of_db = [("--salvage", arguments.salvage), ("--limit", !arguments.limit.is_empty())];
    let of_db = of_db.iter().find(|(_, given)| *given).map(|(flag, _)| *flag);
    let refusal = match (format, of_cells, of_db) {
        (ImportFormat::Jsonl, Some(flag), _) => {
            format!("{flag} does not apply to jsonl, only to csv; JSON lines say of each value what it is")
        }
        (ImportFormat::Db, Some(flag), _) => {
            format!("{flag} does not apply to db, only to csv; a .db file says of each value what it is")
        }
        (ImportFormat::Db, None, _) if arguments.key.is_some() => {
            "--key does not apply to db, whose points have their keys".to_owned()
        }
        (ImportFormat::Csv | ImportFormat::Jsonl, _, Some(flag)) => {
            format!("{flag} applies to db only; say --format db if SOURCE is a .db file")
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(refusal))
}

/// Refuses to make a directory where a user meant stdout.
fn check_target(db: &Path) -> Outcome<()> {
    if db.as_os_str() == "-" {
        return Err(Failure::usage(
            "-: a database is a directory and cannot go to stdout; for one of that name say ./-",
        ));
    }
    Ok(())
}

/// Refuses JSON, or a .db file, that is about to be taken for CSV, for want of a name that says so.
fn check_is_csv(source: &Source) -> Outcome<()> {
    let name = source.name();
    let start = source.read(|reader| {
        let mut start = Vec::new();
        let blanks =
            BufReader::new(reader).bytes().skip_while(|byte| matches!(byte, Ok(byte) if byte.is_ascii_whitespace()));
        for byte in blanks.take(START_LEN) {
            start.push(byte.map_err(|error| read_failure(name, &error))?);
        }
        Ok(start)
    })?;
    match start.first() {
        _ if source.is_canonical(&start) => Err(Failure::usage(format!("{name}: this is a .db file; say --format db"))),
        Some(b'{' | b'[') => Err(Failure::usage(format!(
            "{name}: this looks like JSON, not like CSV; say --format jsonl for JSON lines, --format db for a file of \
             vector_datalib, --format csv if it is CSV nevertheless"
        ))),
        _ => Ok(()),
    }
}

fn unsupported(source: &Path, what: &str) -> Failure {
    Failure::usage(format!(
        "{}: importing {what} is not supported in this version yet; the source must be CSV, JSON lines or a .db file, \
         which --format says of any name",
        source.display()
    ))
}

/// The name of a type; null where there is nothing to tell a type from.
fn type_name(column_type: Option<ColumnType>) -> Value {
    column_type.map_or(Value::Null, |column_type| column_type.name().into())
}

/// What a library's error means to a command that makes a database.
pub(crate) fn refused(error: vector_datalib::Error) -> Failure {
    let exists = error.is_already_exists();
    let failure = Failure::not_made(error);
    if exists {
        failure.with_hint("an import makes a new database: give it another name, or remove the old one first")
    } else {
        failure
    }
}

/// What a source is: a .db file if it begins like one, else what its name says without the endings of packing, and CSV where that says
/// nothing.
fn format_of(source: &Path) -> ImportFormat {
    // What cannot be looked into is looked at by whoever reads it.
    if !is_stdin(source) && Content::of(source).is_ok_and(|content| content == Content::Canonical) {
        return ImportFormat::Db;
    }
    let mut name = source.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    while let Some(inner) = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zip")) {
        name = inner.to_owned();
    }
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("db") => ImportFormat::Db,
        Some("jsonl" | "ndjson") => ImportFormat::Jsonl,
        Some("parquet") => ImportFormat::Parquet,
        Some("arrow" | "feather") => ImportFormat::Arrow,
        _ => ImportFormat::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        for (name, format) in [
            ("a.csv", ImportFormat::Csv),
            ("a.CSV.gz", ImportFormat::Csv),
            ("-", ImportFormat::Csv),
            ("records", ImportFormat::Csv),
            ("x/a.db", ImportFormat::Db),
            ("a.jsonl.gz", ImportFormat::Jsonl),
            ("a.csv.zip", ImportFormat::Csv),
            ("a.parquet", ImportFormat::Parquet),
        ] {
            assert_eq!(format_of(Path::new(name)), format, "{name}");
        }
    }
}
