//! The manifest (chapter `format-spec/manifest.md`): which files make up the current generation.

use super::bytes::{align_up, is_zero, record, u64_at};
use super::{FORMAT_VERSION, Invalid, check_start};
use crate::model::NAME_LEN_MAX;
use bytemuck::{Pod, Zeroable};
use rend::{i64_le, u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};
use std::collections::HashSet;

/// The file's name, and that of one being written.
pub(crate) const MANIFEST_NAME: &str = "MANIFEST";
pub(crate) const MANIFEST_TEMPORARY: &str = "MANIFEST.tmp";

pub(crate) const MAGIC: [u8; 8] = *b"VDBMANI\0";
const HEADER_LEN: usize = 256;
const ENTRY_LEN: usize = 64;
const CHECKSUM_LEN: usize = 8;
const KIND_AXIS: u32 = 1;
const KIND_DIMENSION: u32 = 2;
const KIND_PATCH: u32 = 3;
const NO_DIMENSION: u32 = u32::MAX;
/// Counters stay below this, so that counting on never overflows.
const COUNTER_END: u64 = 1 << 63;
/// `last_commit_time` before the first commit.
pub(crate) const NO_COMMIT_TIME: i64 = i64::MIN;

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
    entry_count: u32_le,
    database_id: [u8; 16],
    generation: u64_le,
    last_sequence: u64_le,
    last_commit_time: i64_le,
    created_at: i64_le,
    wal_first: u64_le,
    sealed_number: u64_le,
    sealed_len: u64_le,
    sealed_sequence: u64_le,
    next_file_id: u64_le,
    next_dimension_id: u64_le,
    slot_count: u64_le,
    point_count: u64_le,
    hash_seed: u64_le,
    names_len: u64_le,
    properties_len: u64_le,
    file_len: u64_le,
    reserved: [u8; 88],
}

/// An entry as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct EntryRecord {
    kind: u32_le,
    dimension_id: u32_le,
    name_len: u32_le,
    header_checksum: u32_le,
    file_id: u64_le,
    file_generation: u64_le,
    file_len: u64_le,
    reserved: [u8; 24],
}

const _: () = assert!(size_of::<HeaderRecord>() == HEADER_LEN);
const _: () = assert!(size_of::<EntryRecord>() == ENTRY_LEN);

/// A file that the manifest vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileEntry {
    pub(crate) file_id: u64,
    pub(crate) generation: u64,
    pub(crate) file_len: u64,
    pub(crate) header_checksum: u32,
}

/// A dimension: its id and name, and its file if it has values in the base.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DimensionEntry {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) file: Option<FileEntry>,
}

/// How far the last log is good, as a clean close recorded it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) sequence: u64,
}

/// The whole manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    pub(crate) database_id: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) last_sequence: u64,
    pub(crate) last_commit_time: i64,
    pub(crate) created_at: i64,
    pub(crate) wal_first: u64,
    pub(crate) seal: Option<Seal>,
    pub(crate) next_file_id: u64,
    pub(crate) next_dimension_id: u64,
    pub(crate) slot_count: u32,
    pub(crate) point_count: u32,
    pub(crate) hash_seed: u64,
    pub(crate) axis: Option<FileEntry>,
    pub(crate) dimensions: Vec<DimensionEntry>,
    /// What was changed since axis and columns were written, oldest first.
    pub(crate) patches: Vec<FileEntry>,
    /// A MessagePack map, kept as it is.
    pub(crate) properties: Vec<u8>,
}

/// Names of the files, from the numbers that the manifest holds.
pub(crate) fn axis_name(generation: u64) -> String {
    format!("axis-{generation}")
}

/// The name of a dimension's file.
pub(crate) fn column_name(dimension_id: u32, generation: u64) -> String {
    format!("dim-{dimension_id}-{generation}.col")
}

/// The name of a patch file.
pub(crate) fn patch_name(generation: u64) -> String {
    format!("patch-{generation}")
}

/// Whether a name is one that this format gives to axis, column and patch files.
pub(crate) fn is_data_name(name: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().is_ok_and(|number| number.to_string() == text);
    if let Some(generation) = name.strip_prefix("axis-").or_else(|| name.strip_prefix("patch-")) {
        return number(generation);
    }
    name.strip_prefix("dim-")
        .and_then(|rest| rest.strip_suffix(".col"))
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(id, generation)| number(id) && number(generation))
}

fn entry_record(kind: u32, dimension_id: u32, name_len: usize, file: Option<FileEntry>) -> EntryRecord {
    let mut record: EntryRecord = Zeroable::zeroed();
    record.kind = kind.into();
    record.dimension_id = dimension_id.into();
    record.name_len = u32::try_from(name_len).unwrap_or(u32::MAX).into();
    if let Some(file) = file {
        record.header_checksum = file.header_checksum.into();
        record.file_id = file.file_id.into();
        record.file_generation = file.generation.into();
        record.file_len = file.file_len.into();
    }
    record
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let files = self.patches.len().saturating_add(usize::from(self.axis.is_some()));
        let entry_count = self.dimensions.len().saturating_add(files);
        let names_len: usize = self.dimensions.iter().map(|dimension| dimension.name.len()).sum();
        let content_len = align_up(
            (HEADER_LEN as u64)
                .saturating_add((entry_count as u64).saturating_mul(ENTRY_LEN as u64))
                .saturating_add(names_len as u64)
                .saturating_add(self.properties.len() as u64),
            8,
        );
        let seal = self.seal.unwrap_or(Seal { number: 0, len: 0, sequence: 0 });
        let header = HeaderRecord {
            magic: MAGIC,
            format_version: FORMAT_VERSION.into(),
            reader_flags: 0.into(),
            writer_flags: 0.into(),
            entry_count: u32::try_from(entry_count).unwrap_or(u32::MAX).into(),
            database_id: self.database_id,
            generation: self.generation.into(),
            last_sequence: self.last_sequence.into(),
            last_commit_time: self.last_commit_time.into(),
            created_at: self.created_at.into(),
            wal_first: self.wal_first.into(),
            sealed_number: seal.number.into(),
            sealed_len: seal.len.into(),
            sealed_sequence: seal.sequence.into(),
            next_file_id: self.next_file_id.into(),
            next_dimension_id: self.next_dimension_id.into(),
            slot_count: u64::from(self.slot_count).into(),
            point_count: u64::from(self.point_count).into(),
            hash_seed: self.hash_seed.into(),
            names_len: (names_len as u64).into(),
            properties_len: (self.properties.len() as u64).into(),
            file_len: content_len.saturating_add(CHECKSUM_LEN as u64).into(),
            reserved: [0; 88],
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        if let Some(axis) = self.axis {
            bytes.extend_from_slice(bytemuck::bytes_of(&entry_record(KIND_AXIS, NO_DIMENSION, 0, Some(axis))));
        }
        for dimension in &self.dimensions {
            let entry = entry_record(KIND_DIMENSION, dimension.id, dimension.name.len(), dimension.file);
            bytes.extend_from_slice(bytemuck::bytes_of(&entry));
        }
        for &patch in &self.patches {
            bytes.extend_from_slice(bytemuck::bytes_of(&entry_record(KIND_PATCH, NO_DIMENSION, 0, Some(patch))));
        }
        for dimension in &self.dimensions {
            bytes.extend_from_slice(dimension.name.as_bytes());
        }
        bytes.extend_from_slice(&self.properties);
        bytes.resize(usize::try_from(content_len).unwrap_or(bytes.len()), 0);
        let checksum = u64::from(crc32fast::hash(&bytes));
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Reads and checks a whole manifest. `bytes` must be aligned to 8.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        const SECTION: &str = "manifest";
        let invalid = |offset: usize, reason| Invalid::new(offset as u64, SECTION, reason);
        let content_len = bytes.len().checked_sub(CHECKSUM_LEN).ok_or(invalid(0, "cut short"))?;
        let content = bytes.get(..content_len).unwrap_or_default();
        if u64_at(bytes, content_len) != Some(u64::from(crc32fast::hash(content))) {
            return Err(invalid(content_len, "the checksum does not match"));
        }
        check_start(bytes, &MAGIC, SECTION)?;
        let header: &HeaderRecord = record(content, 0, SECTION)?;
        if header.file_len.to_native() != bytes.len() as u64 {
            return Err(invalid(160, "the file does not have the length that it states"));
        }
        if !is_zero(&header.reserved) {
            return Err(invalid(168, "reserved bytes are not zero"));
        }
        let entry_count = header.entry_count.to_native() as usize;
        let lens = [header.names_len.to_native(), header.properties_len.to_native()]
            .map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        let [names_len, properties_len] = lens;
        let names_offset = entry_count.saturating_mul(ENTRY_LEN).saturating_add(HEADER_LEN);
        let properties_offset = names_offset.saturating_add(names_len);
        let end = properties_offset.saturating_add(properties_len);
        if align_up(end as u64, 8) != content_len as u64 {
            return Err(invalid(144, "the lengths of the parts do not add up"));
        }
        let names = content.get(names_offset..properties_offset).ok_or(invalid(144, "cut short"))?;
        let properties = content.get(properties_offset..end).ok_or(invalid(152, "cut short"))?;
        let Entries { axis, dimensions, patches } = decode_entries(content, entry_count, names)?;
        let counts = (u32::try_from(header.slot_count.to_native()), u32::try_from(header.point_count.to_native()));
        let (Ok(slot_count), Ok(point_count)) = counts else {
            return Err(invalid(120, "more slots than there can be"));
        };
        let has_axis = axis.is_some() || !patches.is_empty();
        if point_count > slot_count
            || (slot_count > 0 && !has_axis)
            || (patches.is_empty() && has_axis && slot_count == 0)
        {
            return Err(invalid(120, "the counts do not agree"));
        }
        let counters =
            [header.generation, header.last_sequence, header.next_file_id, header.wal_first, header.sealed_sequence];
        let base = axis.iter().chain(dimensions.iter().filter_map(|dimension| dimension.file.as_ref()));
        let base_generation = base.clone().map(|file| file.generation).max().unwrap_or(0);
        let mut last = base_generation;
        for patch in &patches {
            if patch.generation <= last || patch.generation > header.generation.to_native() {
                return Err(invalid(40, "a patch that is not younger than the files before it"));
            }
            last = patch.generation;
        }
        let files = base.chain(&patches);
        let next_file_id = header.next_file_id.to_native();
        let next_dimension_id = header.next_dimension_id.to_native();
        let counters_fit = counters.iter().all(|counter| counter.to_native() < COUNTER_END)
            && header.wal_first != 0
            && next_file_id > 0
            && files.map(|file| file.file_id).all(|id| id < next_file_id)
            && next_dimension_id < u64::from(NO_DIMENSION)
            && dimensions.iter().all(|dimension| u64::from(dimension.id) < next_dimension_id);
        if !counters_fit {
            return Err(invalid(40, "a counter that is not above the numbers in use, or out of range"));
        }
        let seal = Seal {
            number: header.sealed_number.to_native(),
            len: header.sealed_len.to_native(),
            sequence: header.sealed_sequence.to_native(),
        };
        Ok(Self {
            database_id: header.database_id,
            generation: header.generation.to_native(),
            last_sequence: header.last_sequence.to_native(),
            last_commit_time: header.last_commit_time.to_native(),
            created_at: header.created_at.to_native(),
            wal_first: header.wal_first.to_native(),
            seal: (seal.number != 0).then_some(seal),
            next_file_id,
            next_dimension_id,
            slot_count,
            point_count,
            hash_seed: header.hash_seed.to_native(),
            axis,
            dimensions,
            patches,
            properties: properties.to_vec(),
        })
    }
}

/// The entries by kind.
struct Entries {
    axis: Option<FileEntry>,
    dimensions: Vec<DimensionEntry>,
    patches: Vec<FileEntry>,
}

fn decode_entries(content: &[u8], entry_count: usize, mut names: &[u8]) -> Result<Entries, Invalid> {
    let mut axis = None;
    let mut dimensions: Vec<DimensionEntry> = Vec::new();
    let mut patches = Vec::new();
    let (mut ids, mut seen) = (HashSet::new(), HashSet::new());
    for index in 0..entry_count {
        let at = index.saturating_mul(ENTRY_LEN).saturating_add(HEADER_LEN);
        let invalid = |reason| Invalid::new(at as u64, "manifest entry", reason);
        let entry: &EntryRecord = record(content, at, "manifest entry")?;
        let file = (entry.file_id != 0).then(|| FileEntry {
            file_id: entry.file_id.to_native(),
            generation: entry.file_generation.to_native(),
            file_len: entry.file_len.to_native(),
            header_checksum: entry.header_checksum.to_native(),
        });
        if !is_zero(&entry.reserved) {
            return Err(invalid("reserved bytes are not zero"));
        }
        let name_len = entry.name_len.to_native() as usize;
        match entry.kind.to_native() {
            KIND_AXIS => {
                if index != 0 || file.is_none() || name_len != 0 || entry.dimension_id != NO_DIMENSION {
                    return Err(invalid("an axis that is not the first entry, or not a file"));
                }
                axis = file;
            }
            KIND_DIMENSION => {
                if !patches.is_empty() {
                    return Err(invalid("a dimension behind a patch"));
                }
                let (name, rest) = names.split_at_checked(name_len).ok_or(invalid("a name past the end"))?;
                names = rest;
                let name = std::str::from_utf8(name).map_err(|_| invalid("a name that is not UTF-8"))?;
                let id = entry.dimension_id.to_native();
                if name_len > NAME_LEN_MAX || id == NO_DIMENSION || !ids.insert(id) || !seen.insert(name.to_owned()) {
                    return Err(invalid("a dimension twice, or one that cannot be"));
                }
                dimensions.push(DimensionEntry { id, name: name.to_owned(), file });
            }
            KIND_PATCH => match file {
                Some(file) if name_len == 0 && entry.dimension_id == NO_DIMENSION => patches.push(file),
                _ => return Err(invalid("a patch that is not a file")),
            },
            _ => return Err(invalid("an entry of a kind that this build does not know").newer()),
        }
    }
    if names.is_empty() {
        Ok(Entries { axis, dimensions, patches })
    } else {
        Err(Invalid::new(144, "manifest", "the names are longer than the entries say"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            database_id: [3; 16],
            generation: 9,
            last_sequence: 5,
            last_commit_time: NO_COMMIT_TIME,
            created_at: 7,
            wal_first: 8,
            seal: Some(Seal { number: 8, len: 9, sequence: 10 }),
            next_file_id: 11,
            next_dimension_id: 12,
            slot_count: 14,
            point_count: 13,
            hash_seed: 15,
            axis: Some(FileEntry { file_id: 1, generation: 2, file_len: 3, header_checksum: 4 }),
            dimensions: vec![
                DimensionEntry { id: 1, name: String::new(), file: None },
                DimensionEntry {
                    id: 0,
                    name: "../é\0".to_owned(),
                    file: Some(FileEntry { file_id: 5, generation: 6, file_len: 7, header_checksum: 8 }),
                },
            ],
            patches: vec![
                FileEntry { file_id: 6, generation: 7, file_len: 8, header_checksum: 9 },
                FileEntry { file_id: 7, generation: 8, file_len: 8, header_checksum: 9 },
            ],
            properties: vec![0x81, 0xA1, b'a', 1],
        }
    }

    /// A copy at an address that archives can be read at.
    fn aligned(bytes: &[u8]) -> rkyv::util::AlignedVec {
        let mut copy = rkyv::util::AlignedVec::new();
        copy.extend_from_slice(bytes);
        copy
    }

    #[test]
    fn what_is_written_is_read_and_any_change_or_cut_is_seen() {
        let manifest = manifest();
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&aligned(&bytes)).unwrap(), manifest);
        for offset in 0..bytes.len() {
            let mut rotten = aligned(&bytes);
            rotten[offset] ^= 0x10;
            assert!(Manifest::decode(&rotten).is_err(), "byte {offset}");
            assert!(Manifest::decode(&aligned(&bytes[..offset])).is_err(), "cut at {offset}");
        }
    }

    #[test]
    fn a_manifest_that_lies_with_the_right_checksum_is_rejected() {
        let lies: [fn(&mut Manifest); 8] = [
            |m| m.dimensions[1].id = 1,
            |m| m.dimensions[1].name = String::new(),
            |m| m.point_count = 15,
            |m| m.slot_count = 0,
            |m| m.patches[0].generation = 6,
            |m| m.patches[1].generation = 7,
            |m| m.generation = 7,
            |m| m.dimensions[0].name = "x".repeat(NAME_LEN_MAX + 1),
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut manifest = manifest();
            lie(&mut manifest);
            assert!(Manifest::decode(&aligned(&manifest.encode())).is_err(), "lie {number}");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_told_from_rot_by_the_checksum() {
        for (offset, value, newer) in [(8, 2, true), (8, 0, false), (12, 1, true), (16, 1, true), (HEADER_LEN, 4, true)]
        {
            let mut bytes = manifest().encode();
            bytes[offset] = value;
            let rotten = Manifest::decode(&aligned(&bytes)).unwrap_err();
            assert!(!rotten.newer, "{rotten}");
            let content_len = bytes.len() - CHECKSUM_LEN;
            let checksum = u64::from(crc32fast::hash(&bytes[..content_len]));
            bytes[content_len..].copy_from_slice(&checksum.to_le_bytes());
            let written = Manifest::decode(&aligned(&bytes)).unwrap_err();
            assert_eq!(written.newer, newer, "{written}");
        }
    }

    #[test]
    fn only_our_names_are_ours() {
        for ours in ["axis-0", "axis-12", "patch-7", "dim-0-1.col", "dim-4294967294-77.col"] {
            assert!(is_data_name(ours));
        }
        for other in [
            "axis-",
            "axis-01",
            "axis-x",
            "dim-1.col",
            "dim-1-2",
            "dim-1-2.col.bak",
            "dim--1-2.col",
            "LOCK",
            "MANIFEST",
        ] {
            assert!(!is_data_name(other), "{other}");
        }
    }
}
