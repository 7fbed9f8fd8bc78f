//! The frame of every immutable file (chapter `format-spec/block_file.md`): header, sections, checksums of blocks.

use super::bytes::{align_up, is_zero, record};
use super::{FORMAT_VERSION, Invalid, check_start};
use bytemuck::{Pod, Zeroable};
use rend::{u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};

/// Bytes of the header.
pub(crate) const HEADER_LEN: u64 = HEADER_BYTES as u64;
const HEADER_BYTES: usize = 512;
/// Bytes of a checksum block.
pub(crate) const BLOCK_LEN: u64 = 65_536;
/// The same as a shift.
pub(crate) const BLOCK_SHIFT: u32 = 16;
/// Sections start at multiples of this.
pub(crate) const SECTION_ALIGNMENT: u64 = 64;
/// Sections that a header can name.
pub(crate) const SECTION_COUNT_MAX: usize = 16;
/// `dimension_id` of a file that belongs to no dimension.
pub(crate) const NO_DIMENSION: u32 = u32::MAX;
/// Stands for the block number in the checksum of the table.
const TABLE_BLOCK: u64 = u64::MAX;

/// Magic of the axis file.
pub(crate) const AXIS_MAGIC: [u8; 8] = *b"VDBAXIS\0";
/// Magic of a column file.
pub(crate) const COLUMN_MAGIC: [u8; 8] = *b"VDBCOLM\0";
/// Magic of patch files.
pub(crate) const PATCH_MAGIC: [u8; 8] = *b"VDBPTCH\0";

/// Where a section is.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
pub(crate) struct SectionEntry {
    kind: u32_le,
    reserved: u32_le,
    offset: u64_le,
    len: u64_le,
}

/// The header as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct HeaderRecord {
    magic: [u8; 8],
    format_version: u32_le,
    reader_flags: u32_le,
    writer_flags: u32_le,
    block_len: u32_le,
    database_id: [u8; 16],
    file_id: u64_le,
    generation: u64_le,
    file_len: u64_le,
    table_offset: u64_le,
    block_count: u32_le,
    table_checksum: u32_le,
    section_count: u32_le,
    dimension_id: u32_le,
    slot_count: u64_le,
    value_count: u64_le,
    reserved: u64_le,
    sections: [SectionEntry; SECTION_COUNT_MAX],
    reserved2: [u8; 12],
    header_checksum: u32_le,
}

const _: () = assert!(size_of::<SectionEntry>() == 24);
const _: () = assert!(size_of::<HeaderRecord>() as u64 == HEADER_LEN);
const CHECKSUM_OFFSET: usize = 508;

/// Which file of which database this is; part of every checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) database_id: [u8; 16],
    pub(crate) file_id: u64,
}

impl Identity {
    /// The checksum of block `number`.
    pub(crate) fn block_checksum(&self, number: u64, bytes: &[u8]) -> u32 {
        let mut prefix = [0u8; 32];
        for (to, from) in prefix
            .iter_mut()
            .zip(self.database_id.iter().copied().chain(self.file_id.to_le_bytes()).chain(number.to_le_bytes()))
        {
            *to = from;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&prefix);
        hasher.update(bytes);
        hasher.finalize()
    }

    /// The checksum of the checksum table.
    pub(crate) fn table_checksum(&self, table: &[u8]) -> u32 {
        self.block_checksum(TABLE_BLOCK, table)
    }
}

/// A section: what it is and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    pub(crate) kind: u32,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A checked header.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) identity: Identity,
    pub(crate) generation: u64,
    pub(crate) dimension_id: u32,
    pub(crate) slot_count: u64,
    pub(crate) value_count: u64,
    pub(crate) file_len: u64,
    pub(crate) table_offset: u64,
    pub(crate) table_checksum: u32,
    pub(crate) sections: Vec<Section>,
}

impl Header {
    /// The number of checksum blocks.
    pub(crate) const fn block_count(&self) -> u64 {
        block_count(self.table_offset)
    }

    /// The section of a kind, if the file has one.
    pub(crate) fn section(&self, kind: u32) -> Option<Section> {
        self.sections.iter().copied().find(|section| section.kind == kind)
    }

    /// Writes the header; the second value is its checksum.
    pub(crate) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let mut header: HeaderRecord = Zeroable::zeroed();
        header.magic = self.magic;
        header.format_version = FORMAT_VERSION.into();
        header.block_len = u32::try_from(BLOCK_LEN).unwrap_or_default().into();
        header.database_id = self.identity.database_id;
        header.file_id = self.identity.file_id.into();
        header.generation = self.generation.into();
        header.file_len = self.file_len.into();
        header.table_offset = self.table_offset.into();
        header.block_count = u32::try_from(self.block_count()).unwrap_or(u32::MAX).into();
        header.table_checksum = self.table_checksum.into();
        header.section_count = u32::try_from(self.sections.len()).unwrap_or(u32::MAX).into();
        header.dimension_id = self.dimension_id.into();
        header.slot_count = self.slot_count.into();
        header.value_count = self.value_count.into();
        for (entry, section) in header.sections.iter_mut().zip(&self.sections) {
            *entry = SectionEntry {
                kind: section.kind.into(),
                reserved: 0.into(),
                offset: section.offset.into(),
                len: section.len.into(),
            };
        }
        let checksum = crc32fast::hash(bytemuck::bytes_of(&header).get(..CHECKSUM_OFFSET).unwrap_or_default());
        header.header_checksum = checksum.into();
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(bytemuck::bytes_of(&header));
        (bytes, checksum)
    }

    /// Reads and checks the header of a file of `file_len` bytes. The second value is the header's checksum.
    pub(crate) fn decode(bytes: &[u8], file_len: u64, magic: &[u8; 8]) -> Result<(Self, u32), Invalid> {
        const SECTION: &str = "file header";
        let invalid = |offset, reason| Err(Invalid::new(offset, SECTION, reason));
        let header: &HeaderRecord = record(bytes, 0, SECTION)?;
        let checksum = crc32fast::hash(bytes.get(..CHECKSUM_OFFSET).unwrap_or_default());
        if checksum != header.header_checksum.to_native() {
            return invalid(0, "the checksum does not match");
        }
        check_start(bytes, magic, SECTION)?;
        if u64::from(header.block_len.to_native()) != BLOCK_LEN {
            return invalid(20, "a block length that this build does not know");
        }
        if header.file_len.to_native() != file_len {
            return invalid(56, "the file does not have the length that it states");
        }
        let table_offset = header.table_offset.to_native();
        let blocks = block_count(table_offset);
        let table_end = blocks.checked_mul(4).and_then(|len| len.checked_add(table_offset));
        if table_offset < HEADER_LEN || !table_offset.is_multiple_of(SECTION_ALIGNMENT) || table_end != Some(file_len) {
            return invalid(64, "the checksum table is not where the length says");
        }
        if u64::from(header.block_count.to_native()) != blocks {
            return invalid(72, "the number of blocks does not match");
        }
        if header.reserved != 0 || !is_zero(&header.reserved2) {
            return invalid(104, "reserved bytes are not zero");
        }
        let decoded = Self {
            magic: header.magic,
            identity: Identity { database_id: header.database_id, file_id: header.file_id.to_native() },
            generation: header.generation.to_native(),
            dimension_id: header.dimension_id.to_native(),
            slot_count: header.slot_count.to_native(),
            value_count: header.value_count.to_native(),
            file_len,
            table_offset,
            table_checksum: header.table_checksum.to_native(),
            sections: decode_sections(header, table_offset)?,
        };
        let columns = if magic == &PATCH_MAGIC { u64::from(u32::MAX) } else { 1 };
        if decoded.slot_count > u64::from(u32::MAX) || decoded.value_count > decoded.slot_count.saturating_mul(columns)
        {
            return invalid(88, "impossible counts");
        }
        Ok((decoded, checksum))
    }
}

fn decode_sections(header: &HeaderRecord, table_offset: u64) -> Result<Vec<Section>, Invalid> {
    let invalid = |reason| Err(Invalid::new(112, "section directory", reason));
    let count = header.section_count.to_native() as usize;
    if count > SECTION_COUNT_MAX {
        return invalid("more sections than there is room for");
    }
    let mut sections: Vec<Section> = Vec::with_capacity(count);
    for (position, entry) in header.sections.iter().enumerate() {
        let section =
            Section { kind: entry.kind.to_native(), offset: entry.offset.to_native(), len: entry.len.to_native() };
        if position >= count {
            if !is_zero(bytemuck::bytes_of(entry)) {
                return invalid("unused entries are not zero");
            }
            continue;
        }
        let in_bounds = section.offset.checked_add(section.len).is_some_and(|end| end <= table_offset);
        if section.offset < HEADER_LEN || !section.offset.is_multiple_of(SECTION_ALIGNMENT) || !in_bounds {
            return invalid("a section is out of bounds or not aligned");
        }
        let overlaps = |other: &Section| {
            other.kind == section.kind
                || (section.offset < other.offset.saturating_add(other.len)
                    && other.offset < section.offset.saturating_add(section.len))
        };
        if entry.reserved != 0 || sections.iter().any(overlaps) {
            return invalid("sections overlap or have the same kind");
        }
        sections.push(section);
    }
    Ok(sections)
}

/// Blocks of a file whose content ends at `table_offset`.
pub(crate) const fn block_count(table_offset: u64) -> u64 {
    table_offset.div_ceil(BLOCK_LEN)
}

/// First and last byte (exclusive) of block `number`.
pub(crate) const fn block_bounds(number: u64, table_offset: u64) -> (u64, u64) {
    let start = number.saturating_mul(BLOCK_LEN);
    let end = start.saturating_add(BLOCK_LEN);
    (if start < HEADER_LEN { HEADER_LEN } else { start }, if end > table_offset { table_offset } else { end })
}

/// Where the next section may start.
pub(crate) const fn section_start(offset: u64) -> u64 {
    align_up(offset, SECTION_ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            magic: COLUMN_MAGIC,
            identity: Identity { database_id: [7; 16], file_id: 9 },
            generation: 3,
            dimension_id: 4,
            slot_count: 10,
            value_count: 8,
            file_len: 704 + 4,
            table_offset: 704,
            table_checksum: 5,
            sections: vec![Section { kind: 1, offset: 512, len: 100 }, Section { kind: 3, offset: 640, len: 64 }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_any_change_is_seen() {
        let header = header();
        let (bytes, checksum) = header.encode();
        let (read, read_checksum) = Header::decode(&bytes, header.file_len, &COLUMN_MAGIC).unwrap();
        assert_eq!(read_checksum, checksum);
        assert_eq!(read.sections, header.sections);
        assert_eq!(read.identity, header.identity);
        for offset in 0..bytes.len() {
            for bit in [1u8, 0x80] {
                let mut rotten = bytes;
                rotten[offset] ^= bit;
                assert!(Header::decode(&rotten, header.file_len, &COLUMN_MAGIC).is_err(), "byte {offset}");
            }
        }
    }

    #[test]
    fn a_header_that_lies_with_the_right_checksum_is_rejected() {
        let lies: [fn(&mut Header); 8] = [
            |h| h.sections[1].offset = 576,
            |h| h.sections[1].len = 1000,
            |h| h.sections[1].offset = 641,
            |h| h.sections[1].kind = 1,
            |h| h.sections[0].offset = 0,
            |h| h.table_offset = 640,
            |h| h.value_count = 11,
            |h| h.slot_count = 1 << 32,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut header = header();
            lie(&mut header);
            assert!(Header::decode(&header.encode().0, 708, &COLUMN_MAGIC).is_err(), "lie {number}");
        }
    }
}
