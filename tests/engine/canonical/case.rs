//! A file and how its import must end.

use super::draft;
use crate::support::contents::{Contents, Point, points_difference};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{Error, Import, ImportReport, Losses, Options, VectorDb};

/// Counts by their names in the report.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// How an import must end.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It has these points, with these repairs and no others.
    Points(Vec<Point>, Counts),
    /// An error that says all of this.
    Rejected(&'static [&'static str]),
    /// The same; with salvage, these points and these losses, each of which is named.
    Torn(&'static [&'static str], Vec<Point>, Counts),
    /// The limit of this name is exceeded.
    Limit(&'static str),
    /// An error, for one reason or another.
    Refused,
    /// An error, or these points.
    Either(Vec<Point>),
}

/// A file and how its import must end.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    pub(crate) expected: Expected,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, file: Vec<u8>, expected: Expected) -> Self {
        Self { name: name.into(), file, expected }
    }

    /// The points of the unchanged draft, after these repairs.
    pub(crate) fn same(name: impl Into<String>, file: Vec<u8>, repairs: &[(&'static str, u64)]) -> Self {
        Self::new(name, file, Expected::Points(draft::points(), repairs.to_vec()))
    }

    pub(crate) fn rejected(name: impl Into<String>, file: Vec<u8>, says: &'static [&'static str]) -> Self {
        Self::new(name, file, Expected::Rejected(says))
    }

    fn check(&self) -> Result<(), String> {
        let result = import(&self.file, &Import::new())?;
        self.check_little_memory(&result)?;
        match (&self.expected, result) {
            (Expected::Points(points, repairs), Ok(imported)) => {
                imported.check(points)?;
                let found = nonzero(imported.report.repairs.iter());
                if !imported.report.losses.is_empty() {
                    return Err(format!("lost {:?}", imported.report.losses));
                }
                if found == *repairs { Ok(()) } else { Err(format!("repairs {found:?} instead of {repairs:?}")) }
            }
            (Expected::Either(points), Ok(imported)) => imported.check(points),
            (Expected::Rejected(says), Err(error)) if error.is_rejected() => {
                check_message(&error, says)?;
                if offers_salvage(&error) { Err(format!("salvage is offered: {error}")) } else { Ok(()) }
            }
            (Expected::Torn(says, points, losses), Err(error)) if error.is_rejected() => {
                check_message(&error, says)?;
                if !offers_salvage(&error) {
                    return Err(format!("salvage is not offered: {error}"));
                }
                let salvaged = import(&self.file, &Import::new().salvage(true))?.map_err(|error| error.to_string())?;
                salvaged.check(points)?;
                check_lost(&salvaged.report)?;
                let found = nonzero(salvaged.report.losses.iter());
                if found == *losses { Ok(()) } else { Err(format!("losses {found:?} instead of {losses:?}")) }
            }
            (Expected::Limit(name), Err(Error::Limit { limit, value, allowed, .. })) if *name == limit => {
                if value > allowed { Ok(()) } else { Err(format!("{value} is not more than {allowed}")) }
            }
            (Expected::Refused | Expected::Either(_), Err(error)) if error.is_rejected() || error.is_limit() => Ok(()),
            (_, Err(error)) => Err(format!("{:?} expected: {error}", self.expected)),
            (_, Ok(imported)) => Err(format!("{:?} expected: {:?}", self.expected, imported.report)),
        }
    }

    /// An import in next to no memory, through files, ends in the same way.
    fn check_little_memory(&self, expected: &Result<Imported, Error>) -> Result<(), String> {
        let found = import_in_memory(&self.file, Import::new().memory_budget(1), &self.name);
        match (&found, expected) {
            (Ok(found), Ok(expected)) if found.report == expected.report => {
                let difference = found.contents.difference(&expected.contents);
                difference.map_or(Ok(()), |difference| Err(format!("in little memory: {difference}")))
            }
            (Err(found), Err(expected)) if reason(found) == reason(expected) => Ok(()),
            (found, expected) => {
                let said = |result: &Result<Imported, Error>| match result {
                    Ok(imported) => format!("{:?}", imported.report),
                    Err(error) => error.to_string(),
                };
                Err(format!("in little memory: {} instead of {}", said(found), said(expected)))
            }
        }
    }
}

/// What an error says, but for the file.
fn reason(error: &Error) -> String {
    match error {
        Error::Rejected { place, reason, salvage, .. } => format!("{place}: {reason}, {salvage}"),
        Error::Limit { limit, value, allowed, .. } => format!("{limit}, {value}, {allowed}"),
        other => other.to_string(),
    }
}

fn check_message(error: &Error, says: &[&str]) -> Result<(), String> {
    let message = error.to_string();
    match says.iter().find(|part| !message.contains(**part)) {
        Some(part) => Err(format!("{part:?} is not said: {message}")),
        None => Ok(()),
    }
}

/// What is lost is counted where it is named, and the other way around.
fn check_lost(report: &ImportReport) -> Result<(), String> {
    let Losses { cells, coordinates, repeated_keys, null_keys, dimensions, .. } = report.losses;
    let mut named = [0; 5];
    for place in &report.lost {
        let has = |words: &str| place.contains(words);
        let count = match () {
            () if has(" of dimension ") && has(", which has no value") => 0,
            () if has(" is at coordinate ") => 2,
            () if has(" is null, which no key may be") => 3,
            () if has("whose name is no text") => 4,
            () if has(", where vector_points has ") || has(", twice") => 1,
            () => return Err(format!("nothing counts {place:?}")),
        };
        named[count] += 1;
    }
    // Cells are named once a dimension, and those of points that are lost not at all.
    let counts = [cells.min(named[0]), coordinates, repeated_keys, null_keys, dimensions];
    if report.lost.len() < 20 && named != counts {
        return Err(format!("{named:?} named, {counts:?} counted: {:?}, {:?}", report.lost, report.losses));
    }
    if report.lost.is_empty() && !report.losses.is_empty() {
        return Err(format!("lost and not named: {:?}", report.losses));
    }
    Ok(())
}

fn offers_salvage(error: &Error) -> bool {
    matches!(error, Error::Rejected { salvage: true, .. })
}

fn nonzero(counts: impl Iterator<Item = (&'static str, u64)>) -> Counts {
    counts.filter(|(_, count)| *count > 0).collect()
}

/// What an import made.
pub(crate) struct Imported {
    pub(crate) report: ImportReport,
    pub(crate) contents: Contents,
}

impl Imported {
    pub(crate) fn check(&self, points: &[Point]) -> Result<(), String> {
        points_difference(&self.contents.points, points).map_or(Ok(()), Err)
    }
}

/// Imports bytes; fails where something is left behind, the source is changed or the database is not sound.
pub(crate) fn import(file: &[u8], import: &Import) -> Result<Result<Imported, Error>, String> {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let (source, target) = (dir.join("source.db"), dir.join("target.vdb"));
    fs::write(&source, file).unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| import.run(&source, &target))).map_err(|_| "a panic".to_owned())?;
    if fs::read(&source).unwrap() != file {
        return Err("the source is not as it was".to_owned());
    }
    fs::remove_file(&source).unwrap();
    let outcome = match result {
        Ok(report) => {
            let db = VectorDb::open_read_only(&target).map_err(|error| error.to_string())?;
            let verified = db.verify().map_err(|error| error.to_string())?;
            if !verified.is_sound() {
                return Err(format!("not sound: {verified:?}"));
            }
            let contents = Contents::of(&db);
            drop(db);
            fs::remove_dir_all(&target).unwrap();
            Ok(Imported { report, contents })
        }
        Err(error) => Err(error),
    };
    let left: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    if left.is_empty() { Ok(outcome) } else { Err(format!("left behind: {left:?}")) }
}

/// Checks all, then fails with what went wrong with any.
#[track_caller]
pub(crate) fn check(cases: Vec<Case>) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| case.check().err().map(|failure| format!("{}: {failure}", case.name))).collect();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// The points of a file that is imported.
#[track_caller]
pub(crate) fn points_only(file: &[u8]) -> Vec<Point> {
    let imported = import(file, &Import::new()).unwrap();
    imported.map(|imported| imported.contents.points).unwrap_or_else(|error| panic!("{error}"))
}

/// Imports bytes, to memory; fails where the database is not sound.
#[track_caller]
pub(crate) fn import_in_memory(file: &[u8], import: Import, what: &str) -> Result<Imported, Error> {
    let storage = Arc::new(MemoryStorage::new());
    let source = SourceFile::in_memory(Path::new("source.db"), file.to_vec());
    let run = AssertUnwindSafe(|| import.run_in(&source, storage.clone()));
    let result = catch_unwind(run).unwrap_or_else(|_| panic!("{what}: a panic"));
    if let Err(error) = &result {
        assert!(error.is_rejected() || error.is_limit(), "{what}: {error}");
    }
    let report = result?;
    let db = Options::new().open_read_only_in(storage).unwrap_or_else(|error| panic!("{what}: {error}"));
    let verified = db.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(verified.is_sound(), "{what}: {verified:?}");
    Ok(Imported { report, contents: Contents::of(&db) })
}
