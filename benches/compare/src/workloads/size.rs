//! What a database takes on disk.

use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Unsupported};
use crate::files;
use crate::records::Key;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that the file system has allocated, and the sum of the files' lengths.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    if E::IN_MEMORY {
        return Err(Unsupported("it has no files").into());
    }
    of(&context.path)
}

/// The figures of the files below a directory.
pub(crate) fn of(path: &Path) -> Outcome<Vec<Figure>> {
    let (mut allocated, mut length) = (0, 0);
    for file in files::below(path)? {
        let metadata = file.metadata()?;
        allocated += metadata.blocks() * 512;
        length += metadata.len();
    }
    Ok(vec![
        Figure::new("MB", allocated as f64 / 1e6),
        Figure { part: "length", unit: "MB", value: length as f64 / 1e6 },
    ])
}
