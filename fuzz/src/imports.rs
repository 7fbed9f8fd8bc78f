//! Imports within memory, and what must hold of everything that was imported.

use super::probe::{self, Contents};
use super::{Files, manifest_file};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, SourceFile};
use vector_datalib::{Error, Import, ImportReport, Metadata, Result, VectorDb};

/// Memory with which what does not fit into a few kilobytes goes to a file.
pub const BUDGET_SMALL: usize = 1;
/// Memory enough for everything.
pub const BUDGET: usize = 8 << 20;

const SOUND: &str = "nothing is wrong with the storage";

/// Imports a file; the files of the database, or why there are none.
pub fn import(import: &Import, file: Vec<u8>) -> Result<(ImportReport, Files)> {
    let storage = MemoryStorage::new();
    let source = SourceFile::in_memory(Path::new("file.db"), file);
    let imported = import.run_in(&source, Arc::new(storage.clone()));
    let files = storage.files();
    match imported {
        Ok(report) => Ok((report, files)),
        Err(error) => {
            assert!(!files.contains_key(manifest_file::NAME), "a database that is none: {error}");
            Err(error)
        }
    }
}

/// Panics unless this is a refusal; whether a salvage would go on.
pub fn check_refusal(error: &Error) -> bool {
    match error {
        Error::Rejected { salvage, .. } => *salvage,
        Error::Limit { .. } => false,
        other => panic!("bad bytes are rejected: {other}"),
    }
}

/// A database as a canonical file, and what that holds.
pub struct Exported {
    pub file: Vec<u8>,
    pub contents: Contents,
    metadata: Metadata,
}

impl Exported {
    pub fn of(db: &VectorDb) -> Self {
        let [file, other_file] = [BUDGET, BUDGET_SMALL].map(|budget| {
            let mut file = Cursor::new(Vec::new());
            db.export_to(&mut file, budget).expect(SOUND);
            file.into_inner()
        });
        assert!(file == other_file, "the same state gives the same file, with however much memory");
        let contents = Contents { sequence: 0, ..probe::contents(db).expect(SOUND) };
        Self { file, contents, metadata: db.stats().expect(SOUND).metadata }
    }

    /// Panics unless importing the file gives the same database, and exporting that the same file.
    pub fn check_round(&self, import: &Import) {
        let (report, files) = self::import(import, self.file.clone()).expect("an export is a canonical file");
        assert!(report.repairs.is_empty(), "an export is right: {:?}", report.repairs);
        check_report(&report, &self.contents);
        let again = Self::of(&open(files));
        assert_eq!(again.contents, self.contents);
        assert_eq!(again.metadata, self.metadata);
        assert!(again.file == self.file, "the same state gives the same file");
    }
}

/// Panics unless files are those of a sound database, which exports and imports as the same; gives what is in it.
pub fn check_sound(report: &ImportReport, files: &Files, again: &Import) -> Contents {
    let db = open(files.clone());
    let verified = db.verify().expect("verify reports problems");
    assert!(verified.is_sound(), "{:?}", verified.problems);
    let exported = Exported::of(&db);
    assert_eq!(report.lost.is_empty(), report.losses.is_empty(), "what is lost is named: {:?}", report.lost);
    let stated = (report.points, report.dimensions, report.cells);
    assert_eq!(stated, counts(&exported.contents));
    assert!(report.lost.len() <= 20);
    exported.check_round(again);
    exported.contents
}

fn check_report(report: &ImportReport, contents: &Contents) {
    assert!(report.losses.is_empty() && report.lost.is_empty(), "{:?}", report.losses);
    assert_eq!((report.points, report.dimensions, report.cells), counts(contents));
}

fn counts(contents: &Contents) -> (u64, u64, u64) {
    let cells = contents.points.iter().map(|(_, _, attributes)| attributes.len() as u64).sum();
    (contents.point_count, contents.dimensions.len() as u64, cells)
}

fn open(files: Files) -> VectorDb {
    probe::open_read_only(files).expect("what was imported opens")
}
