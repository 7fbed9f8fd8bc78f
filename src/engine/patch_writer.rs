//! Writing a patch file: heaps that all delta columns share, then the columns, the key index, the directory.

use super::block_writer::BlockWriter;
use super::column_builder::Values;
use super::counts::CountChanges;
use super::delta::DeltaCells;
use super::delta_encoding::{DeltaEncoding, Heaps};
use super::index_builder::{IndexSummary, write_index};
use super::numbering::Build;
use super::segment_writer::{Gathered, choose_presence, encode_presence};
use crate::error::Result;
use crate::format::column::{
    Column, DICTIONARY_COUNT_MAX, Encoding, Presence, Removed, SEGMENT_LEN, SEGMENT_RECORD_LEN, SEGMENT_SHIFT, Segment,
};
use crate::format::manifest::FileEntry;
use crate::format::patch::{
    AXIS_DELTA, DeltaEntry, Extent, Part, PatchDescriptor, SECTION_DELTA_COLUMNS, SECTION_PARTS, SECTION_PATCH,
};
use crate::format::value;
use crate::model::ValueRef;

/// One delta column, ready to be written.
pub(super) struct DeltaSource<'a> {
    /// [`AXIS_DELTA`] for the axis.
    pub(super) dimension_id: u32,
    pub(super) cells: DeltaCells<'a>,
    pub(super) changes: CountChanges<'a>,
    pub(super) has_counts: bool,
}

/// What the descriptor says beside the delta columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchSummary {
    /// Of the axis.
    pub(super) slot_count: u32,
    pub(super) base_next: u32,
    pub(super) hash_seed: u64,
}

/// A sorted list is looked up by binary search in every patch that a read passes, a bitmap in one step.
const SORTED_COUNT_MAX: u32 = 512;

/// A delta column and how it is written.
struct PlannedColumn<'s, 'a> {
    source: &'s DeltaSource<'a>,
    encoding: DeltaEncoding<'a>,
    changed: Vec<(ValueRef<'a>, i64)>,
    has_counts: bool,
}

/// The keys that a patch puts somewhere.
struct DeltaKeys<'c, 'a> {
    cells: &'c DeltaCells<'a>,
    next: usize,
}

impl Values for DeltaKeys<'_, '_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        while let (Some(&slot), Some(&key)) = (self.cells.slots.get(self.next), self.cells.values.get(self.next)) {
            self.next += 1;
            if let Some(key) = key {
                return Ok(Some((slot, key)));
            }
        }
        Ok(None)
    }
}

/// Writes the file. `sources` ascend by dimension.
pub(super) fn write_patch(
    build: &mut Build<'_, '_>,
    sources: &[DeltaSource<'_>],
    mut summary: PatchSummary,
    mut writer: BlockWriter<'_>,
) -> Result<FileEntry> {
    // Slots past the end that were freed are touched too.
    let end = sources.iter().filter_map(|source| source.cells.slots.last()).max().map_or(0, |&last| last + 1);
    summary.slot_count = summary.slot_count.max(end);
    let mut columns: Vec<PlannedColumn<'_, '_>> = Vec::with_capacity(sources.len());
    for source in sources {
        // A dimension with too many changed values is counted by a scan from here on.
        let has_counts = source.has_counts && source.changes.values.len() <= DICTIONARY_COUNT_MAX;
        let mut changed = Vec::new();
        if has_counts {
            changed.extend(source.changes.values.iter().map(|(&value, &change)| (value, change)));
            changed.sort_by_cached_key(|&(value, _)| {
                let mut tagged = Vec::new();
                value::encode(value, &mut tagged);
                tagged
            });
        }
        columns.push(PlannedColumn {
            source,
            encoding: DeltaEncoding::choose(&source.cells.values),
            changed,
            has_counts,
        });
    }
    let mut heaps = Heaps::default();
    for column in &columns {
        column.encoding.collect(&column.source.cells.values, &mut heaps);
        column.changed.iter().for_each(|&(value, _)| heaps.add_entry(value));
    }
    heaps.write(&mut writer)?;

    writer.begin_section(SECTION_PARTS)?;
    let mut directory = Vec::new();
    let mut touched = 0;
    for column in &columns {
        touched += column.source.cells.slots.len() as u64;
        column.write(&heaps, summary, &mut writer)?.encode(&mut directory);
    }
    writer.end_section();

    let mut descriptor = PatchDescriptor {
        delta_column_count: columns.len() as u32,
        base_next: summary.base_next,
        ..PatchDescriptor::default()
    };
    if let Some(axis) = sources.iter().find(|source| source.dimension_id == AXIS_DELTA) {
        let count = axis.cells.values.iter().flatten().count() as u64;
        if count > 0 {
            let mut keys = DeltaKeys { cells: &axis.cells, next: 0 };
            let IndexSummary { bucket_count, hash_seed, chain_len_max } =
                write_index(build, &mut keys, count, &mut writer)?;
            descriptor = PatchDescriptor { bucket_count, hash_seed, chain_len_max, ..descriptor };
        }
    }
    writer.section(SECTION_DELTA_COLUMNS, &directory)?;
    writer.section(SECTION_PATCH, &descriptor.encode())?;
    writer.finish(summary.slot_count.into(), touched)
}

/// Writes a part and says where it is.
fn write_part(bytes: &[u8], writer: &mut BlockWriter<'_>) -> Result<Extent> {
    if bytes.is_empty() {
        return Ok((0, 0));
    }
    writer.pad_to(writer.position().next_multiple_of(8))?;
    let offset = writer.position();
    writer.write(bytes)?;
    Ok((offset, bytes.len() as u64))
}

/// The parts that are cut into segments.
#[derive(Default)]
struct SegmentParts {
    segments: Vec<u8>,
    cells: Vec<u8>,
    presence: Vec<u8>,
    null_count: u64,
    value_types: u16,
}

impl PlannedColumn<'_, '_> {
    fn write(&self, heaps: &Heaps<'_>, summary: PatchSummary, writer: &mut BlockWriter<'_>) -> Result<DeltaEntry> {
        let mut parts = SegmentParts::default();
        let cells = &self.source.cells;
        let mut start = 0;
        while let Some(&first) = cells.slots.get(start) {
            let number = first >> SEGMENT_SHIFT;
            let rest = cells.slots.get(start..).unwrap_or_default();
            let end = start + rest.partition_point(|&slot| slot >> SEGMENT_SHIFT == number);
            self.segment(number, start..end, heaps, summary, &mut parts);
            start = end;
        }
        let dictionary = self.encoding.dictionary();
        let column = Column {
            distinct_count: dictionary.len() as u64,
            null_count: parts.null_count,
            hash_seed: summary.hash_seed,
            dictionary_count: dictionary.len() as u32,
            dictionary_index_len: 0,
            segment_count: (parts.segments.len() / SEGMENT_RECORD_LEN) as u32,
            value_types: parts.value_types,
        };
        let counts: Vec<u8> = self.encoding.counts().iter().flat_map(|count| count.to_le_bytes()).collect();
        let changes: Vec<u8> = self.changed.iter().flat_map(|(_, change)| change.to_le_bytes()).collect();
        let contents = [
            (Part::Column, column.encode()),
            (Part::Segments, parts.segments),
            (Part::Cells, parts.cells),
            (Part::Presence, parts.presence),
            (Part::Dictionary, heaps.encode_entries(dictionary.iter().copied())),
            (Part::Counts, counts),
            (Part::ChangedValues, heaps.encode_entries(self.changed.iter().map(|&(value, _)| value))),
            (Part::Changes, changes),
        ];
        let mut entry = DeltaEntry {
            dimension_id: self.source.dimension_id,
            has_counts: self.has_counts,
            points_change: self.source.changes.points,
            nulls_change: self.source.changes.nulls,
            ..DeltaEntry::default()
        };
        for (part, bytes) in contents {
            entry.set_part(part, write_part(&bytes, writer)?);
        }
        Ok(entry)
    }

    fn segment(
        &self,
        number: u32,
        range: std::ops::Range<usize>,
        heaps: &Heaps<'_>,
        summary: PatchSummary,
        parts: &mut SegmentParts,
    ) {
        let slots = self.source.cells.slots.get(range.clone()).unwrap_or_default();
        let values = self.source.cells.values.get(range).unwrap_or_default();
        let slot_count = (summary.slot_count - number * SEGMENT_LEN).min(SEGMENT_LEN);
        let removed_slots = || slots.iter().zip(values).filter(|(_, value)| value.is_none()).map(|(&slot, _)| slot);
        let removed_count = removed_slots().count() as u32;
        let present_count = slots.len() as u32;
        let all_removed = removed_count == present_count;
        let (presence, presence_offset, presence_len) =
            append_presence(slots.iter().copied(), present_count, slot_count, &mut parts.presence);
        let mut removed = Removed { count: removed_count, ..Removed::NONE };
        if removed_count > 0 && !all_removed {
            (removed.presence, removed.offset, removed.len) =
                append_presence(removed_slots(), removed_count, slot_count, &mut parts.presence);
        }
        parts.cells.resize(parts.cells.len().next_multiple_of(8), 0);
        let cells_offset = parts.cells.len() as u64;
        let mut gathered = Gathered::default();
        let encoding = if all_removed { Encoding::Constant } else { self.encoding.encoding(heaps) };
        for value in values {
            if !all_removed {
                self.encoding.encode_cell(*value, heaps, &mut parts.cells);
            }
            if let Some(value) = *value {
                gathered.add(value);
            }
        }
        parts.null_count += u64::from(gathered.null_count);
        parts.value_types |= gathered.value_types;
        Segment {
            encoding,
            presence,
            statistics: gathered.statistics(),
            has_nan: gathered.has_nan,
            value_types: gathered.value_types,
            slot_count,
            present_count,
            null_count: gathered.null_count,
            cells_offset,
            cells_len: parts.cells.len() as u64 - cells_offset,
            presence_offset,
            presence_len,
            removed,
            number,
        }
        .encode(&mut parts.segments);
    }
}

/// Appends the structure for some slots of a segment; returns its kind, offset and length.
fn append_presence(
    slots: impl Iterator<Item = u32>,
    count: u32,
    slot_count: u32,
    out: &mut Vec<u8>,
) -> (Presence, u64, u64) {
    let presence = choose_presence(slot_count, count, SORTED_COUNT_MAX);
    out.resize(out.len().next_multiple_of(8), 0);
    let start = out.len() as u64;
    let offsets = slots.map(|slot| slot & (SEGMENT_LEN - 1));
    if presence == Presence::Sorted {
        offsets.for_each(|offset| out.extend((offset as u16).to_le_bytes()));
    } else {
        let mut words = vec![0u64; slot_count.div_ceil(64) as usize];
        for offset in offsets {
            if let Some(word) = words.get_mut((offset >> 6) as usize) {
                *word |= 1 << (offset & 63);
            }
        }
        encode_presence(presence, &words, out);
    }
    (presence, start, out.len() as u64 - start)
}
