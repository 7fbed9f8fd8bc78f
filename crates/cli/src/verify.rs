//! `vdb verify`: everything is read and checked, or it is said why it cannot be.

use crate::arguments::Database;
use crate::database;
use crate::exit::{Exit, Failure, Outcome};
use crate::maintenance::note_unclean;
use crate::output::{Output, count_of, duration, printable};
use crate::progress::Observer;
use crate::report::Report;
use indicatif::HumanBytes;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{Error, Value, VectorDb};

/// What the system says of a medium that fails.
const EIO: i32 = 5;

/// What was found.
#[derive(Debug)]
struct Findings {
    /// Whether the database could be opened. If not, there is one problem, and nothing else was checked.
    opened: bool,
    files: u64,
    bytes: u64,
    problems: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Database, output: &Output) -> Outcome {
    let started = Instant::now();
    let findings = find(&arguments.db, output)?;
    let elapsed = started.elapsed();
    let Findings { opened, files, bytes, problems } = &findings;
    if output.is_json() {
        let listed: Vec<Value> = problems.iter().map(Value::from).collect();
        let report = Report::new().field("sound", problems.is_empty()).field("opened", *opened);
        let report = report.field("files", *files).field("bytes", *bytes).field("problems", listed);
        output.print(&report.seconds(elapsed).to_json())?;
    } else if problems.is_empty() {
        let (files, bytes) = (count_of(*files, "data file"), HumanBytes(*bytes));
        output.print(&format!("sound: {files}, {bytes}, MANIFEST and log, read in {}", duration(elapsed)))?;
    } else {
        for problem in problems {
            output.print(&printable(problem))?;
        }
    }
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    let consequence = if *opened { "" } else { "; it cannot be opened, and nothing else was checked" };
    let count = count_of(problems.len() as u64, "problem");
    Err(Failure::corrupt(format!("{}: {count}{consequence}", arguments.db.display())))
}

fn find(path: &Path, output: &Output) -> Outcome<Findings> {
    match VectorDb::open_read_only(path) {
        Ok(db) => {
            note_unclean(&db, output);
            let mut observer = Observer::new(output);
            let report = db.verify_with(&mut |progress| observer.observe(progress))?;
            let problems = report.problems.iter().map(ToString::to_string).collect();
            Ok(Findings { opened: true, files: report.files, bytes: report.bytes, problems })
        }
        Err(error) => {
            let problems = vec![damage(path, error)?];
            Ok(Findings { opened: false, files: 0, bytes: 0, problems })
        }
    }
}

/// What is damaged, if that is why a database does not open.
///
/// # Errors
/// The reason itself, where it says nothing about the state of a database.
fn damage(path: &Path, error: Error) -> Outcome<String> {
    let is_damage = match &error {
        Error::Corrupt { .. } => true,
        // Something that is no file has the name of one, or the medium does not give back what is on it.
        Error::Io { source, .. } => source.kind() == ErrorKind::InvalidInput || source.raw_os_error() == Some(EIO),
        Error::NotFound { .. } if has_data_files(path) => {
            let missing = "MANIFEST is missing, and files that it should name are there";
            return Ok(format!("{}: {missing}", path.display()));
        }
        _ => false,
    };
    if is_damage { Ok(error.to_string()) } else { Err(database::not_opened(path, error)) }
}

/// Whether a directory has files that only a database has, once it is one: keys, a dimension or a log.
fn has_data_files(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_between = |start, end| name.starts_with(start) && name.ends_with(end);
        is_between("axis-", "") || is_between("dim-", ".col") || is_between("wal-", ".log")
    })
}
