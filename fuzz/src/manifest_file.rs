//! Taking manifests apart and making their checksums right (chapter `format-spec/manifest.md`).

use super::block_file::{put, u32_at, u64_at};

/// The file's name.
pub const NAME: &str = "MANIFEST";
/// Bytes of the header.
pub const HEADER_LEN: usize = 256;
const ENTRY_LEN: usize = 64;

/// Where the fields are that other files have to agree with.
pub const DATABASE_ID: std::ops::Range<usize> = 24..40;
pub const LAST_SEQUENCE: usize = 48;
pub const WAL_FIRST: usize = 72;
pub const SEALED_NUMBER: usize = 80;
const SLOT_COUNT: usize = 120;
const POINT_COUNT: usize = 128;
const FILE_LEN: usize = 160;

/// An entry with a file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the entry is in the manifest.
    pub at: usize,
    /// The name of its file.
    pub file_name: String,
    pub is_axis: bool,
}

/// The entries of a sound manifest that have a file.
pub fn entries(manifest: &[u8]) -> Vec<Entry> {
    let count = u32_at(manifest, 20) as usize;
    let entry = |index: usize| {
        let at = HEADER_LEN + index * ENTRY_LEN;
        let kind = u32_at(manifest, at);
        let is_axis = kind == 1;
        let generation = u64_at(manifest, at + 24);
        let file_name = match kind {
            1 => format!("axis-{generation}"),
            3 => format!("patch-{generation}"),
            _ => format!("dim-{}-{generation}.col", u32_at(manifest, at + 4)),
        };
        (u64_at(manifest, at + 16) != 0).then_some(Entry { at, file_name, is_axis })
    };
    (0..count).filter_map(entry).collect()
}

/// Makes an entry agree with its file's header, whose checksum is given.
pub fn agree(manifest: &mut [u8], entry: &Entry, file: &[u8], header_checksum: u32) {
    put(manifest, entry.at + 12, &header_checksum.to_le_bytes());
    put(manifest, entry.at + 32, &(file.len() as u64).to_le_bytes());
    // With patches, the counts are not those of the axis file.
    if entry.is_axis && !entries(manifest).iter().any(|entry| entry.file_name.starts_with("patch-")) {
        put(manifest, SLOT_COUNT, &file[88..96]);
        put(manifest, POINT_COUNT, &file[96..104]);
    }
}

/// Makes the checksum right; the last 8 bytes are where it is.
pub fn seal(manifest: &mut [u8]) {
    let Some(content_len) = manifest.len().checked_sub(8) else { return };
    let checksum = u64::from(crc32fast::hash(&manifest[..content_len]));
    put(manifest, content_len, &checksum.to_le_bytes());
}

/// Makes the length and the checksum right.
pub fn fit(manifest: &mut Vec<u8>) {
    manifest.resize(manifest.len().max(HEADER_LEN + 8).next_multiple_of(8), 0);
    let len = manifest.len() as u64;
    put(manifest, FILE_LEN, &len.to_le_bytes());
    seal(manifest);
}
