//! Files that the original wrote, imported and compared with what their sidecars say (`tests/fixtures/README.md`).
//!
//! `VECTOR_FIXTURES=DIR` runs the files of another directory instead; run it with `--nocapture` to see each of them.

mod sidecar;
mod tags;

use crate::support::contents::{Contents, Point, points_difference};
use sha2::{Digest as _, Sha256};
use sidecar::{Expect, Sidecar};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{Import, ImportReport, Options, VectorDb};

/// Deeply nested values are compared recursively.
const STACK_LEN: usize = 256 << 20;

/// A budget that makes all but the smallest files go through temporary files.
const LITTLE_MEMORY: usize = 64 << 10;

/// What was seen, or what is wrong.
type Verdict = Result<String, String>;

fn files() -> Vec<PathBuf> {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let directory = std::env::var_os("VECTOR_FIXTURES").map_or_else(committed, PathBuf::from);
    let entries = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "db"));
    files.sort();
    assert!(files.len() >= 27, "{} files in {}", files.len(), directory.display());
    files
}

#[test]
fn every_fixture_is_imported_as_its_sidecar_says() {
    let check_all = || {
        let mut failures = Vec::new();
        for file in files() {
            let (name, started) = (file.file_stem().unwrap().to_string_lossy().into_owned(), Instant::now());
            let verdict = catch_unwind(AssertUnwindSafe(|| check(&file))).unwrap_or_else(|_| Err("a panic".to_owned()));
            match verdict {
                Ok(said) => println!("{name}: {said} ({:.3} s)", started.elapsed().as_secs_f64()),
                Err(failure) => {
                    println!("{name}: FAILED: {failure}");
                    failures.push(format!("{name}: {failure}"));
                }
            }
        }
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    };
    let thread = std::thread::Builder::new().stack_size(STACK_LEN).spawn(check_all).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Imports a copy of a file, and looks at what became of everything.
fn check(file: &Path) -> Verdict {
    let sidecar = Sidecar::beside(file);
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source.db"), dir.path().join("target.vdb"));
    fs::copy(file, &source).unwrap();
    let result = VectorDb::import(&source, &target);
    if fs::read(&source).unwrap() != fs::read(file).unwrap() {
        return Err("the source is not as it was".to_owned());
    }
    let mut names: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let legacy = fs::read(file).unwrap().starts_with(&[0x1f, 0x8b]) && !cfg!(feature = "legacy-import");
    match (result, sidecar.expect) {
        (Err(error), _) if names != ["source.db"] => Err(format!("left behind {names:?} by the error {error}")),
        (Err(error), _) if legacy && error.to_string().contains("legacy-import") => Ok(error.to_string()),
        (Err(error), Expect::Ok | Expect::Repair) => Err(error.to_string()),
        (Err(error), Expect::Reject | Expect::Either) if error.is_rejected() || error.is_limit() => {
            Ok(error.to_string())
        }
        (Err(error), _) => Err(format!("an error of another kind: {error}")),
        (Ok(report), Expect::Reject) => Err(format!("it was imported: {report:?}")),
        (Ok(report), expect) => {
            if names != ["source.db", "target.vdb"] {
                return Err(format!("left behind {names:?}"));
            }
            if expect == Expect::Repair && report.repairs.is_empty() {
                return Err("nothing was reported as repaired".to_owned());
            }
            check_database(&target, &sidecar, &report)?;
            check_little_memory(&source, &target, &report)?;
            Ok(said(&report))
        }
    }
}

/// What was imported, and what was repaired.
fn said(report: &ImportReport) -> String {
    let repairs: Vec<_> = report.repairs.iter().filter(|(_, count)| *count > 0).collect();
    let ImportReport { points, dimensions, container, .. } = report;
    format!("{points} points x {dimensions} dimensions, {container}, repairs {repairs:?}")
}

/// An import in next to no memory, through files, makes the same.
fn check_little_memory(source: &Path, target: &Path, report: &ImportReport) -> Result<(), String> {
    // Without a disk, which would have to be waited for.
    let storage = Arc::new(MemoryStorage::new());
    let source = SourceFile::open(source).map_err(|error| error.to_string())?;
    let import = Import::new().memory_budget(LITTLE_MEMORY);
    let found = import.run_in(&source, storage.clone()).map_err(|error| error.to_string())?;
    if found != *report {
        return Err(format!("in little memory: {found:?} instead of {report:?}"));
    }
    let again = Contents::of(&Options::new().open_read_only_in(storage).unwrap());
    let difference = again.difference(&Contents::of(&VectorDb::open_read_only(target).unwrap()));
    difference.map_or(Ok(()), |difference| Err(format!("in little memory: {difference}")))
}

fn check_database(target: &Path, sidecar: &Sidecar, report: &ImportReport) -> Result<(), String> {
    let db = Options::new().open(target).map_err(|error| error.to_string())?;
    let verified = db.verify().map_err(|error| error.to_string())?;
    if !verified.is_sound() {
        return Err(format!("not sound: {verified:?}"));
    }
    let contents = Contents::of(&db);
    let cells: usize = contents.points.iter().map(|point| point.2.len()).sum();
    let counted = (contents.points.len() as u64, contents.dimensions.len() as u64, cells as u64);
    if (report.points, report.dimensions, report.cells) != counted {
        return Err(format!("counted {counted:?}, reported {report:?}"));
    }
    if let Some(difference) = difference(&contents, sidecar) {
        return Err(difference);
    }
    check_round_trip(&db, &contents)?;
    let metadata = db.stats().map_err(|error| error.to_string())?.metadata;
    for (name, expected) in &sidecar.metadata {
        let found = match name.as_str() {
            "version" => &metadata.version,
            "created_at" => &metadata.created_at,
            "last_modified" => &metadata.last_modified,
            _ => continue,
        };
        if found != expected {
            return Err(format!("{name} is {found:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

/// What differs from the sidecar.
fn difference(contents: &Contents, sidecar: &Sidecar) -> Option<String> {
    if let Some(expected) = sidecar.dimensions.as_ref().filter(|expected| **expected != contents.dimensions) {
        return Some(format!("dimensions {:?} instead of {expected:?}", contents.dimensions));
    }
    let slots = contents.points.last().map_or(0, |point| point.0 + 1);
    if contents.slots != slots {
        return Some(format!("{} slots behind {slots} that end with a point", contents.slots));
    }
    match (&sidecar.points, &sidecar.points_sha256) {
        (Some(expected), _) => points_difference(&contents.points, expected),
        (None, Some(expected)) => {
            let found = sha256(&contents.points);
            (found != *expected).then(|| format!("points with the SHA-256 {found} instead of {expected}"))
        }
        (None, None) => None,
    }
}

/// The digest of points as lines of JSON.
fn sha256(points: &[Point]) -> String {
    let mut digest = Sha256::new();
    for (coordinate, key, attributes) in points {
        let mut line = format!("{{\"coordinate\":{coordinate},\"key\":");
        tags::write(key, &mut line);
        line.push_str(",\"attributes\":[");
        tags::write_list(attributes.iter(), &mut line, |(name, value), line| {
            line.push('[');
            tags::write(&name.as_str().into(), line);
            line.push(',');
            tags::write(value, line);
            line.push(']');
        });
        line.push_str("]}\n");
        digest.update(line);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two exports are the same; so is the import of one, and an export of that.
fn check_round_trip(db: &VectorDb, contents: &Contents) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let said = |error: vector_datalib::Error| error.to_string();
    db.export(path("1.db")).map_err(said)?;
    db.export(path("2.db")).map_err(said)?;
    let report = VectorDb::import(path("1.db"), path("again.vdb")).map_err(said)?;
    if !report.repairs.is_empty() || !report.losses.is_empty() {
        return Err(format!("our own export was repaired: {report:?}"));
    }
    let again = VectorDb::open(path("again.vdb")).map_err(said)?;
    if let Some(difference) = Contents::of(&again).difference(contents) {
        return Err(format!("after export and import: {difference}"));
    }
    again.export(path("3.db")).map_err(said)?;
    let bytes = |name: &str| fs::read(path(name)).unwrap();
    for name in ["2.db", "3.db"] {
        if bytes(name) != bytes("1.db") {
            return Err(format!("{name} of three exports is another"));
        }
    }
    Ok(())
}
