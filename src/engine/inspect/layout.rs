//! The fields of every structure on disk, as the offset tables of `format-spec/` list them: read even where checks fail.

use crate::format::block_file::NO_DIMENSION;
use crate::format::canonical::isoformat;
use crate::format::column::{Encoding, Presence};
use crate::format::manifest::NO_COMMIT_TIME;
use crate::model::Value;

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    name: &'static str,
    offset: usize,
    kind: Kind,
}

/// How the bytes of a field are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    U8,
    U32,
    U64,
    I64,
    /// Microseconds since 1970.
    Time,
    /// The id of a dimension, or of none.
    Dimension,
    /// A CRC32.
    Checksum,
    /// Text that ends with zeros.
    Magic,
    /// Bytes of this number, in hexadecimal digits.
    Hex(usize),
    /// A bit for each type of value that occurs.
    Types,
    Encoding,
    Presence,
    /// Bytes of this number that are zero, and shown only where they are not.
    Reserved(usize),
    /// Bytes of this number that have fields of their own.
    Inner(usize),
}

const fn field(name: &'static str, offset: usize, kind: Kind) -> Field {
    Field { name, offset, kind }
}

/// A block file's header.
pub(super) const BLOCK_FILE: &[Field] = &[
    field("magic", 0, Kind::Magic),
    field("format_version", 8, Kind::U32),
    field("reader_flags", 12, Kind::U32),
    field("writer_flags", 16, Kind::U32),
    field("block_len", 20, Kind::U32),
    field("database_id", 24, Kind::Hex(16)),
    field("file_id", 40, Kind::U64),
    field("generation", 48, Kind::U64),
    field("file_len", 56, Kind::U64),
    field("table_offset", 64, Kind::U64),
    field("block_count", 72, Kind::U32),
    field("table_checksum", 76, Kind::Checksum),
    field("section_count", 80, Kind::U32),
    field("dimension_id", 84, Kind::Dimension),
    field("slot_count", 88, Kind::U64),
    field("value_count", 96, Kind::U64),
    field("reserved", 104, Kind::Reserved(8)),
    field("sections", 112, Kind::Inner(384)),
    field("reserved2", 496, Kind::Reserved(12)),
    field("header_checksum", 508, Kind::Checksum),
];

/// A section of a block file's header.
pub(super) const SECTION: &[Field] = &[
    field("kind", 0, Kind::U32),
    field("reserved", 4, Kind::Reserved(4)),
    field("offset", 8, Kind::U64),
    field("len", 16, Kind::U64),
];

/// A column descriptor.
pub(super) const COLUMN: &[Field] = &[
    field("distinct_count", 0, Kind::U64),
    field("null_count", 8, Kind::U64),
    field("hash_seed", 16, Kind::U64),
    field("dictionary_count", 24, Kind::U32),
    field("dictionary_index_len", 28, Kind::U32),
    field("segment_len", 32, Kind::U32),
    field("segment_count", 36, Kind::U32),
    field("value_types", 40, Kind::Types),
    field("reserved", 42, Kind::Reserved(22)),
];

/// A segment descriptor.
pub(super) const SEGMENT: &[Field] = &[
    field("encoding", 0, Kind::Encoding),
    field("presence", 1, Kind::Presence),
    field("statistics", 2, Kind::U8),
    field("statistics_flags", 3, Kind::U8),
    field("value_types", 4, Kind::Types),
    field("reserved", 6, Kind::Reserved(2)),
    field("slot_count", 8, Kind::U32),
    field("present_count", 12, Kind::U32),
    field("null_count", 16, Kind::U32),
    field("removed_count", 20, Kind::U32),
    field("cells_offset", 24, Kind::U64),
    field("cells_len", 32, Kind::U64),
    field("presence_offset", 40, Kind::U64),
    field("presence_len", 48, Kind::U64),
    field("minimum", 56, Kind::U64),
    field("maximum", 64, Kind::U64),
    field("removed_offset", 72, Kind::U64),
    field("removed_len", 80, Kind::U64),
    field("removed_presence", 88, Kind::Presence),
    field("reserved3", 89, Kind::Reserved(3)),
    field("number", 92, Kind::U32),
];

/// An axis descriptor.
pub(super) const AXIS: &[Field] = &[
    field("layout", 0, Kind::U32),
    field("tombstone_levels", 4, Kind::U32),
    field("first_key", 8, Kind::I64),
    field("free_count", 16, Kind::U64),
    field("bucket_count", 24, Kind::U64),
    field("hash_seed", 32, Kind::U64),
    field("chain_len_max", 40, Kind::U32),
    field("part_count", 44, Kind::U32),
    field("reserved", 48, Kind::Reserved(16)),
];

/// A record of a part of a perfect hash.
pub(super) const HASH_PART: &[Field] =
    &[field("seed", 0, Kind::U64), field("first_slot", 8, Kind::U32), field("first_remap", 12, Kind::U32)];

/// A patch descriptor.
pub(super) const PATCH: &[Field] = &[
    field("delta_column_count", 0, Kind::U32),
    field("base_next", 4, Kind::U32),
    field("chain_len_max", 8, Kind::U32),
    field("reserved", 12, Kind::Reserved(4)),
    field("bucket_count", 16, Kind::U64),
    field("hash_seed", 24, Kind::U64),
    field("reserved2", 32, Kind::Reserved(32)),
];

/// An entry of a patch's directory.
pub(super) const DELTA_COLUMN: &[Field] = &[
    field("dimension_id", 0, Kind::Dimension),
    field("flags", 4, Kind::U32),
    field("points_change", 8, Kind::I64),
    field("nulls_change", 16, Kind::I64),
    field("parts", 24, Kind::Inner(128)),
    field("reserved2", 152, Kind::Reserved(8)),
];

/// The header of the manifest.
pub(super) const MANIFEST: &[Field] = &[
    field("magic", 0, Kind::Magic),
    field("format_version", 8, Kind::U32),
    field("reader_flags", 12, Kind::U32),
    field("writer_flags", 16, Kind::U32),
    field("entry_count", 20, Kind::U32),
    field("database_id", 24, Kind::Hex(16)),
    field("generation", 40, Kind::U64),
    field("last_sequence", 48, Kind::U64),
    field("last_commit_time", 56, Kind::Time),
    field("created_at", 64, Kind::Time),
    field("wal_first", 72, Kind::U64),
    field("sealed_number", 80, Kind::U64),
    field("sealed_len", 88, Kind::U64),
    field("sealed_sequence", 96, Kind::U64),
    field("next_file_id", 104, Kind::U64),
    field("next_dimension_id", 112, Kind::U64),
    field("slot_count", 120, Kind::U64),
    field("point_count", 128, Kind::U64),
    field("hash_seed", 136, Kind::U64),
    field("names_len", 144, Kind::U64),
    field("properties_len", 152, Kind::U64),
    field("file_len", 160, Kind::U64),
    field("reserved", 168, Kind::Reserved(88)),
];

/// An entry of the manifest.
pub(super) const MANIFEST_ENTRY: &[Field] = &[
    field("kind", 0, Kind::U32),
    field("dimension_id", 4, Kind::Dimension),
    field("name_len", 8, Kind::U32),
    field("header_checksum", 12, Kind::Checksum),
    field("file_id", 16, Kind::U64),
    field("file_generation", 24, Kind::U64),
    field("file_len", 32, Kind::U64),
    field("reserved", 40, Kind::Reserved(24)),
];

/// The header of a log.
pub(super) const LOG: &[Field] = &[
    field("magic", 0, Kind::Magic),
    field("format_version", 8, Kind::U32),
    field("reader_flags", 12, Kind::U32),
    field("writer_flags", 16, Kind::U32),
    field("reserved", 20, Kind::Reserved(4)),
    field("database_id", 24, Kind::Hex(16)),
    field("number", 40, Kind::U64),
    field("salt", 48, Kind::U64),
    field("previous_number", 56, Kind::U64),
    field("previous_len", 64, Kind::U64),
    field("last_sequence", 72, Kind::U64),
    field("reserved2", 80, Kind::Reserved(44)),
    field("checksum", 124, Kind::Checksum),
];

/// The header of a record of a log.
pub(super) const LOG_RECORD: &[Field] = &[
    field("len", 0, Kind::U32),
    field("checksum", 4, Kind::Checksum),
    field("sequence", 8, Kind::U64),
    field("commit_time", 16, Kind::Time),
    field("synced_through", 24, Kind::U64),
    field("kind", 32, Kind::U32),
    field("operation_count", 36, Kind::U32),
];

const TYPES: [&str; 12] = [
    "null",
    "boolean",
    "integer",
    "unsigned",
    "big_integer",
    "float",
    "text",
    "bytes",
    "timestamp",
    "ext",
    "array",
    "map",
];

impl Kind {
    const fn len(self) -> usize {
        match self {
            Self::U8 | Self::Encoding | Self::Presence => 1,
            Self::Types => 2,
            Self::U32 | Self::Dimension | Self::Checksum => 4,
            Self::U64 | Self::I64 | Self::Time | Self::Magic => 8,
            Self::Hex(len) | Self::Reserved(len) | Self::Inner(len) => len,
        }
    }

    fn value(self, bytes: &[u8]) -> Option<Value> {
        let mut padded = [0; 8];
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let number = u64::from_le_bytes(padded);
        let code = number as usize;
        Some(match self {
            Self::Dimension if number == u64::from(NO_DIMENSION) => Value::Null,
            Self::U8 | Self::U32 | Self::Dimension | Self::U64 => number.into(),
            Self::I64 => number.cast_signed().into(),
            Self::Time if number.cast_signed() == NO_COMMIT_TIME => Value::Null,
            Self::Time => isoformat(number.cast_signed()).into(),
            Self::Checksum => format!("{number:#010x}").into(),
            Self::Magic => String::from_utf8_lossy(bytes).trim_end_matches('\0').into(),
            Self::Hex(_) => hex(bytes).into(),
            Self::Types => {
                let named = TYPES.iter().enumerate().filter(|(bit, _)| code >> bit & 1 == 1).map(|(_, name)| *name);
                named.collect::<Vec<_>>().join("+").into()
            }
            Self::Encoding => Encoding::ALL.get(code).map_or(number.into(), |encoding| encoding.name().into()),
            Self::Presence => Presence::ALL.get(code).map_or(number.into(), |presence| presence.name().into()),
            Self::Reserved(_) if bytes.iter().all(|&byte| byte == 0) => return None,
            Self::Reserved(_) => hex(bytes).into(),
            Self::Inner(_) => return None,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields of the structure at the start of `bytes`, as far as there are bytes.
pub(super) fn read(layout: &[Field], bytes: &[u8]) -> Vec<(&'static str, Value)> {
    let value = |field: &Field| {
        let bytes = bytes.get(field.offset..field.offset.saturating_add(field.kind.len()))?;
        Some((field.name, field.kind.value(bytes)?))
    };
    layout.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a table of the specification: offset, size and field.
    fn rows(chapter: &str, before: &str) -> Vec<(usize, usize, String)> {
        let path = format!("{}/format-spec/{chapter}.md", env!("CARGO_MANIFEST_DIR"));
        let storage = crate::storage::DiskStorage::open(
            std::path::Path::new(&path).parent().unwrap(),
            crate::storage::MapMode::Heap,
        );
        let bytes = crate::storage::Storage::read(&storage.unwrap(), &format!("{chapter}.md")).unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let behind = text.split_once(&format!("\n{before}\n")).unwrap_or_else(|| panic!("{chapter}: no {before}")).1;
        let lines = behind.lines().skip_while(|line| !line.starts_with("| offset | size |"));
        let table = lines.take_while(|line| line.starts_with('|')).skip(2);
        let cells = table.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        cells.map(|cells| (cells[1].parse().unwrap(), cells[2].parse().unwrap(), cells[3].to_owned())).collect()
    }

    #[test]
    fn every_structure_is_laid_out_as_the_specification_says() {
        for (layout, chapter, before) in [
            (BLOCK_FILE, "block_file", "## Header"),
            (SECTION, "block_file", "A section:"),
            (COLUMN, "column", "## Column descriptor"),
            (SEGMENT, "column", "## Segments"),
            (AXIS, "axis", "## Axis descriptor"),
            (HASH_PART, "perfect_hash", "## Parts"),
            (PATCH, "patch", "## Patch descriptor"),
            (DELTA_COLUMN, "patch", "## Delta columns"),
            (MANIFEST, "manifest", "## Header"),
            (MANIFEST_ENTRY, "manifest", "## Entries"),
            (LOG, "wal", "## Header"),
            (LOG_RECORD, "wal", "## Records"),
        ] {
            let here: Vec<_> =
                layout.iter().map(|field| (field.offset, field.kind.len(), field.name.to_owned())).collect();
            assert_eq!(here, rows(chapter, before), "{chapter}: {before}");
        }
    }

    #[test]
    fn a_structure_that_is_cut_short_shows_what_is_there() {
        let mut bytes = b"VDBWALG\0".to_vec();
        bytes.extend(1u32.to_le_bytes());
        bytes.extend([0, 0]);
        let fields = read(LOG, &bytes);
        assert_eq!(fields, [("magic", Value::from("VDBWALG")), ("format_version", Value::from(1))]);
    }
}
