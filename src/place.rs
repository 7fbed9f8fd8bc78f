//! Where a new file or database may be put: not among the files of a database.

use crate::error::{Error, Result};
use crate::format::manifest::{MAGIC, MANIFEST_NAME};
use crate::storage::{DiskStorage, MapMode, Storage, resolved_parent};
use std::path::{Path, PathBuf};

/// The database whose directory a path lies in, at any depth, as the path calls it where it does. The path need not exist.
pub(crate) fn enclosing_database(path: &Path) -> Option<PathBuf> {
    // What a link leads to is where something would be written.
    let linked = path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let places = [resolved_parent(path), linked];
    let found = places.iter().flatten().flat_map(|place| place.ancestors()).find(|place| is_database(place))?;
    let called = path.ancestors().skip(1).find(|above| above.canonicalize().is_ok_and(|above| above == found));
    Some(called.unwrap_or(found).to_owned())
}

fn is_database(directory: &Path) -> bool {
    let storage = DiskStorage::open(directory, MapMode::Heap);
    let start = storage.and_then(|storage| storage.read_range(MANIFEST_NAME, 0, MAGIC.len() as u64));
    start.is_ok_and(|start| start.is_some_and(|start| start == MAGIC))
}

/// Refuses a path inside of a database.
pub(crate) fn check_outside(path: &Path) -> Result<()> {
    match enclosing_database(path) {
        Some(database) => Err(Error::inside_database(path, &database)),
        None => Ok(()),
    }
}
