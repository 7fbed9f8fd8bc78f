//! Looking into the files of a database: headers, sections, segments, dictionaries, checksums.
//!
//! For people who want to see what is on disk, and for finding out what is left of a damaged database: nothing is opened, and what
//! is bad is reported in its place. Use [`VectorDb::verify`](crate::VectorDb::verify) to learn whether a database is sound.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # use vector_datalib::{VectorDb, attrs, inspect::{inspect_database, inspect_file}};
//! let path = dir.path().join("people.vdb");
//! let db = VectorDb::create(&path)?;
//! db.upsert(101, attrs! { "age" => 25 })?;
//! db.compact(&Default::default())?;
//!
//! let tree = inspect_database(&path, 10)?;
//! assert!(tree.is_sound());
//! let column = tree.children.iter().find(|file| file.get("dimension") == Some(&"age".into())).expect("it has a file");
//! assert_eq!(column.child("segments").and_then(|segments| segments.get("present_count")), Some(&1.into()));
//!
//! let same = inspect_file(path.join(&column.name), 10)?;
//! assert_eq!(same.get("bytes"), column.get("bytes"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::engine::Inspection;

use crate::engine::Inspector;
use crate::error::{Error, Result};
use crate::place;
use crate::storage::{DiskStorage, MapMode, StorageError};
use std::path::{Path, PathBuf};

/// Shows one file: a `MANIFEST`, axis, column or patch file, or a log. What it is is told from its first bytes, or else from its
/// name. Of segments, dictionary entries and log records, the first `list_max` are listed each, and those that are bad; all are read.
///
/// O(file): every checksum is verified.
///
/// # Errors
/// What is wrong with the bytes is no error but part of the tree.
/// - [`Error::NotFound`]: there is no such file.
/// - [`Error::InvalidArgument`]: it is no file of a database.
/// - [`Error::Io`]: the system refused.
pub fn inspect_file(path: impl AsRef<Path>, list_max: usize) -> Result<Inspection> {
    let path = path.as_ref();
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(Error::invalid_argument(format!("{} is no name of a file", path.display())));
    };
    let directory = DiskStorage::containing(path, MapMode::Mmap).map_err(|error| not_found(path, error))?;
    Inspector::new(&directory, list_max).file(name)
}

/// Shows a database: its manifest, then each file that it names, the logs, and what else is in the directory. Takes no lock and writes
/// nothing; a writer may be at work. `list_max` is that of [`inspect_file`].
///
/// O(database): every checksum is verified.
///
/// # Errors
/// What is wrong with the bytes is no error but part of the tree, as are files that are missing.
/// - [`Error::NotFound`]: there is no such directory, or it has no file of a database.
/// - [`Error::Io`]: the system refused.
pub fn inspect_database(path: impl AsRef<Path>, list_max: usize) -> Result<Inspection> {
    let path = path.as_ref();
    let directory = DiskStorage::open(path, MapMode::Mmap).map_err(|error| not_found(path, error))?;
    Inspector::new(&directory, list_max).database()
}

/// The database whose directory a path lies in, at any depth or by way of a link; `None` when there is none. The path need not
/// exist. Nothing else may be written there: exports and new databases are refused.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{VectorDb, inspect::enclosing_database};
/// let path = dir.path().join("people.vdb");
/// let db = VectorDb::create(&path)?;
/// assert_eq!(enclosing_database(path.join("people.csv")), Some(path));
/// assert_eq!(enclosing_database(dir.path().join("people.csv")), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn enclosing_database(path: impl AsRef<Path>) -> Option<PathBuf> {
    place::enclosing_database(path.as_ref())
}

fn not_found(path: &Path, error: StorageError) -> Error {
    if error.is_not_found() { Error::NotFound { path: path.to_owned() } } else { error.into() }
}
