//! Target `manifest`: a manifest whose bytes are anything, under a checksum that is right or not.
//!
//! Input: flags, base; then either patches (offset, length, bytes) of the base's manifest, or all of it.

use super::input::Input;
use super::manifest_file::{self, NAME};
use super::{bases, block_file, probe};

/// The rest of the input is the manifest, not patches of it.
pub const FLAG_WHOLE: u8 = 1;
/// The length and the checksum are made right.
pub const FLAG_SEAL: u8 = 2;
/// Change the database, too.
pub const FLAG_CHANGE: u8 = 4;
/// Cut the manifest or make it longer; the next two bytes say how far.
pub const FLAG_RESIZE: u8 = 8;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let mut files = bases::pick(input.u8()).files().clone();
    let mut manifest = files.remove(NAME).expect("a base has a manifest");
    if flags & FLAG_RESIZE != 0 {
        let len = usize::from(input.u16()) % (2 * manifest.len());
        manifest.resize(len, 0);
    }
    if flags & FLAG_WHOLE != 0 {
        manifest = input.rest().to_vec();
    }
    while !input.is_empty() && !manifest.is_empty() {
        let at = usize::from(input.u16()) % manifest.len();
        let len = usize::from(input.u8() % 32 + 1).min(manifest.len() - at);
        let bytes = input.take(len);
        block_file::put(&mut manifest, at, bytes);
    }
    if flags & FLAG_SEAL != 0 {
        manifest_file::fit(&mut manifest);
    }
    files.insert(NAME.to_owned(), manifest);

    let Some(db) = probe::value_or_corrupt(probe::open_read_only(files.clone())) else {
        probe::value_or_corrupt(probe::open(files));
        return;
    };
    probe::read_everything(&db);
    if probe::is_small(&db) {
        probe::verify(&db);
    }
    let before = probe::value_or_corrupt(probe::contents(&db));
    let (db, storage) = probe::open(files).expect("what opens for reading opens for writing");
    if flags & FLAG_CHANGE != 0 && probe::is_small(&db) {
        probe::change_everything(&db);
        return;
    }
    drop(db);
    let db = probe::open_read_only(storage.files()).expect("what was closed opens");
    assert_eq!(probe::value_or_corrupt(probe::contents(&db)), before, "opening and closing changes nothing");
}
