//! Taking block files apart and making their checksums right (chapter `format-spec/block_file.md`).

/// Bytes of the header.
pub const HEADER_LEN: usize = 512;
/// Where the header says where the content ends.
pub const TABLE_OFFSET: usize = 64;
const BLOCK_LEN: usize = 65_536;
const SECTIONS_OFFSET: usize = 112;
const SECTION_LEN: usize = 24;
const SECTION_COUNT_MAX: usize = 16;

/// A section, as the header names it.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub kind: u32,
    pub offset: usize,
    pub len: usize,
}

pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

pub fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

pub fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    bytes[offset..offset + field.len()].copy_from_slice(field);
}

/// The sections of a sound file.
pub fn sections(file: &[u8]) -> Vec<Section> {
    let count = (u32_at(file, 80) as usize).min(SECTION_COUNT_MAX);
    let section = |index: usize| {
        let at = SECTIONS_OFFSET + index * SECTION_LEN;
        Section { kind: u32_at(file, at), offset: u64_at(file, at + 8) as usize, len: u64_at(file, at + 16) as usize }
    };
    (0..count).map(section).collect()
}

/// Makes the fields right that say where a file ends, for content that was cut or has grown: `file` loses its checksum
/// table.
pub fn fit(file: &mut Vec<u8>, content_len: usize) {
    file.resize(content_len.max(HEADER_LEN).next_multiple_of(64), 0);
    let table_offset = file.len();
    let block_count = table_offset.div_ceil(BLOCK_LEN);
    put(file, 56, &((table_offset + 4 * block_count) as u64).to_le_bytes());
    put(file, TABLE_OFFSET, &(table_offset as u64).to_le_bytes());
    put(file, 72, &(block_count as u32).to_le_bytes());
    file.resize(table_offset + 4 * block_count, 0);
}

/// Recomputes the checksums of blocks, table and header; returns the header's. Where the header says nonsense about the
/// table's place, what can be made right is.
pub fn seal(file: &mut [u8]) -> u32 {
    let table_offset = usize::try_from(u64_at(file, TABLE_OFFSET)).unwrap_or(usize::MAX).clamp(HEADER_LEN, file.len());
    let identity: [u8; 24] = file[24..48].try_into().expect("24 bytes");
    let checksum = |number: u64, bytes: &[u8]| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&identity);
        hasher.update(&number.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    };
    for block in 0..table_offset.div_ceil(BLOCK_LEN) {
        let start = (block * BLOCK_LEN).max(HEADER_LEN);
        let end = ((block + 1) * BLOCK_LEN).min(table_offset);
        let at = table_offset + 4 * block;
        if at + 4 <= file.len() && start < end {
            let sum = checksum(block as u64, &file[start..end]);
            put(file, at, &sum.to_le_bytes());
        }
    }
    let table = checksum(u64::MAX, &file[table_offset..]);
    put(file, 76, &table.to_le_bytes());
    let header = crc32fast::hash(&file[..HEADER_LEN - 4]);
    put(file, HEADER_LEN - 4, &header.to_le_bytes());
    header
}
