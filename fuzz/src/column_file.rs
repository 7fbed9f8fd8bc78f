//! Target `column_file`: a column or axis file whose bytes are anything, under checksums that are right.
//!
//! Input: flags, base, file; then either patches (part, offset, length, bytes) of that file, or all of its content.

use super::block_file::{self, HEADER_LEN, Section, TABLE_OFFSET};
use super::input::Input;
use super::manifest_file::{self, NAME};
use super::{bases, probe};

/// The rest of the input is the file, not patches of it.
pub const FLAG_WHOLE: u8 = 1;
/// What the header says of the file's length and table is left as it is.
pub const FLAG_GEOMETRY: u8 = 2;
/// Change the database, too.
pub const FLAG_CHANGE: u8 = 4;
/// Export it, too, and verify it even when that takes long.
pub const FLAG_WHOLLY: u8 = 8;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let mut files = bases::pick(input.u8()).files().clone();
    let choice = input.u8();
    let mut manifest = files.remove(NAME).expect("a base has a manifest");
    let entries = manifest_file::entries(&manifest);
    if entries.is_empty() {
        return;
    }
    let entry = &entries[usize::from(choice) % entries.len()];
    let mut file = files.remove(&entry.file_name).expect("a base has the files that its manifest names");
    if flags & FLAG_WHOLE != 0 {
        replace(&mut file, input.rest());
    } else {
        let content_len = block_file::u64_at(&file, TABLE_OFFSET) as usize;
        patch(&mut file, &mut input);
        if flags & FLAG_GEOMETRY == 0 {
            block_file::fit(&mut file, content_len);
        }
    }
    let checksum = block_file::seal(&mut file);
    manifest_file::agree(&mut manifest, entry, &file, checksum);
    manifest_file::seal(&mut manifest);
    files.insert(entry.file_name.clone(), file);
    files.insert(NAME.to_owned(), manifest);

    if flags & FLAG_CHANGE == 0 {
        let Some(db) = probe::value_or_corrupt(probe::open_read_only(files)) else { return };
        probe::read_everything(&db);
        let wholly = flags & FLAG_WHOLLY != 0;
        if wholly || probe::is_small(&db) {
            probe::verify(&db);
        }
        if wholly && probe::is_small(&db) {
            probe::export(&db);
        }
    } else {
        let Some((db, _)) = probe::value_or_corrupt(probe::open(files)) else { return };
        if probe::is_small(&db) {
            probe::change_everything(&db);
        }
        probe::read_everything(&db);
    }
}

/// Puts the content in place of the file's, but for what says which file it is.
fn replace(file: &mut Vec<u8>, content: &[u8]) {
    let (start, dimension_id) = (file[..56].to_vec(), file[84..88].to_vec());
    file.clear();
    file.extend_from_slice(content);
    block_file::fit(file, content.len());
    block_file::put(file, 0, &start);
    block_file::put(file, 84, &dimension_id);
}

fn patch(file: &mut [u8], input: &mut Input<'_>) {
    let mut parts = vec![Section { kind: 0, offset: 0, len: HEADER_LEN }];
    parts.extend(block_file::sections(file).into_iter().filter(|section| section.len > 0));
    while !input.is_empty() {
        let choice = input.u8();
        let part = parts[usize::from(choice & 0x7F) % parts.len()];
        let offset = usize::from(input.u16());
        // Parts longer than an offset reaches are also reached from their end.
        let from = if choice & 0x80 != 0 { part.len.saturating_sub(65_536) } else { 0 };
        let at = from + offset % (part.len - from);
        let len = usize::from(input.u8() % 32 + 1).min(part.len - at);
        let bytes = input.take(len);
        block_file::put(file, part.offset + at, bytes);
    }
}
