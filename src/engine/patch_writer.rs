//! Writing a patch file, one delta column after the other and each piece by piece: the heaps that all share, the columns' parts, the
//! key index, the directory.

use super::block_writer::BlockWriter;
use super::column_builder::Values;
use super::counts::CountChanges;
use super::delta_encoding::DeltaEncoding;
use super::delta_heaps::{DeltaHeaps, copy};
use super::delta_pieces::Pieces;
use super::index_builder::{IndexSummary, KeysOf, write_index};
use super::numbering::Build;
use super::segment_writer::{Gathered, choose_presence, encode_presence};
use super::spill::StreamId;
use crate::error::Result;
use crate::format::column::{
    Column, DICTIONARY_COUNT_MAX, Encoding, Presence, Removed, SEGMENT_LEN, SEGMENT_RECORD_LEN, SEGMENT_SHIFT, Segment,
};
use crate::format::manifest::FileEntry;
use crate::format::patch::{
    DeltaEntry, Extent, Part, PatchDescriptor, SECTION_DELTA_COLUMNS, SECTION_PARTS, SECTION_PATCH,
};
use crate::format::value;
use crate::model::ValueRef;

/// One delta column, ready to be written.
pub(super) struct DeltaSource<'a> {
    /// [`AXIS_DELTA`](crate::format::patch::AXIS_DELTA) for the axis.
    pub(super) dimension_id: u32,
    pub(super) encoding: DeltaEncoding<'a>,
    pub(super) changes: CountChanges<'a>,
    pub(super) has_counts: bool,
}

/// A sorted list is looked up by binary search in every patch that a read passes, a bitmap in one step.
const SORTED_COUNT_MAX: u32 = 512;

/// A patch file being written.
pub(super) struct PatchWriter<'s, 'b, 'm, 'a> {
    build: Build<'b, 'm>,
    writer: BlockWriter<'s>,
    heaps: DeltaHeaps<'a>,
    /// The section "parts", which follows the heaps.
    parts: StreamId,
    /// The directory; parts are said from the start of the section.
    entries: Vec<DeltaEntry>,
    /// Above all touched slots.
    slot_count: u32,
    touched: u64,
}

/// What is gathered of a delta column while its cells are written.
#[derive(Default)]
struct ColumnParts {
    segments: Vec<u8>,
    presence: Vec<u8>,
    null_count: u64,
    value_types: u16,
    /// Values that were written.
    value_count: usize,
}

impl<'s, 'b, 'm, 'a> PatchWriter<'s, 'b, 'm, 'a> {
    /// Starts a patch whose slots are all below `slot_count`.
    pub(super) fn begin(mut build: Build<'b, 'm>, mut writer: BlockWriter<'s>, slot_count: u32) -> Result<Self> {
        let heaps = DeltaHeaps::begin(&mut writer, &mut build.spill, build.limit)?;
        let parts = build.spill.stream();
        Ok(Self { build, writer, heaps, parts, entries: Vec::new(), slot_count, touched: 0 })
    }

    /// Whether no column was written.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn build(&mut self) -> &mut Build<'b, 'm> {
        &mut self.build
    }

    /// Writes a delta column. They come in the order of their ids.
    pub(super) fn column(&mut self, source: &DeltaSource<'a>, pieces: &mut Pieces<'_, 'a>) -> Result<()> {
        let mut parts = ColumnParts::default();
        self.heaps.begin_column();
        let cells_start = self.begin_part()?;
        pieces.rewind();
        while let Some(cells) = pieces.next()? {
            self.touched += cells.slots.len() as u64;
            let mut start = 0;
            while let Some(&first) = cells.slots.get(start) {
                let number = first >> SEGMENT_SHIFT;
                let rest = cells.slots.get(start..).unwrap_or_default();
                let end = start + rest.partition_point(|&slot| slot >> SEGMENT_SHIFT == number);
                let slots = cells.slots.get(start..end).unwrap_or_default();
                let values = cells.values.get(start..end).unwrap_or_default();
                let segment = self.segment(&source.encoding, number, (slots, values), cells_start, &mut parts)?;
                segment.encode(&mut parts.segments);
                start = end;
            }
        }
        let cells = self.end_part(cells_start);
        let entry = self.rest(source, parts, cells)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the parts other than cells.
    fn rest(&mut self, source: &DeltaSource<'a>, parts: ColumnParts, cells: Extent) -> Result<DeltaEntry> {
        let dictionary = source.encoding.dictionary();
        let column = Column {
            distinct_count: dictionary.len() as u64,
            null_count: parts.null_count,
            hash_seed: self.build.hash_seed,
            dictionary_count: dictionary.len() as u32,
            dictionary_index_len: 0,
            segment_count: (parts.segments.len() / SEGMENT_RECORD_LEN) as u32,
            value_types: parts.value_types,
        };
        // A dimension with too many changed values is counted by a scan from here on.
        let has_counts = source.has_counts && source.changes.values.len() <= DICTIONARY_COUNT_MAX;
        let changed = if has_counts { in_order(&source.changes) } else { Vec::new() };
        let counts: Vec<u8> = source.encoding.counts().iter().flat_map(|count| count.to_le_bytes()).collect();
        let changes: Vec<u8> = changed.iter().flat_map(|(_, change)| change.to_le_bytes()).collect();
        let contents = [
            (Part::Column, column.encode()),
            (Part::Segments, parts.segments),
            (Part::Presence, parts.presence),
            (Part::Dictionary, self.entries_of(dictionary.iter().copied())?),
            (Part::Counts, counts),
            (Part::ChangedValues, self.entries_of(changed.iter().map(|&(value, _)| value))?),
            (Part::Changes, changes),
        ];
        let mut entry = DeltaEntry {
            dimension_id: source.dimension_id,
            has_counts,
            points_change: source.changes.points,
            nulls_change: source.changes.nulls,
            ..DeltaEntry::default()
        };
        entry.set_part(Part::Cells, cells);
        for (part, bytes) in contents {
            let start = self.begin_part()?;
            self.build.spill.append(self.parts, &bytes)?;
            entry.set_part(part, self.end_part(start));
        }
        Ok(entry)
    }

    /// Dictionary entries for values.
    fn entries_of(&mut self, values: impl Iterator<Item = ValueRef<'a>>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for value in values {
            self.heaps.entry(value, &mut self.writer, &mut self.build.spill)?.encode(&mut out);
        }
        Ok(out)
    }

    /// Aligns the stream of parts, and returns where the next one starts.
    fn begin_part(&mut self) -> Result<u64> {
        let end = self.build.spill.len(self.parts);
        let padding = (end.next_multiple_of(8) - end) as usize;
        self.build.spill.append(self.parts, [0; 8].get(..padding).unwrap_or_default())?;
        Ok(end + padding as u64)
    }

    fn end_part(&self, start: u64) -> Extent {
        (start, self.build.spill.len(self.parts) - start)
    }

    /// Writes the cells of a segment, and returns its descriptor.
    fn segment(
        &mut self,
        encoding: &DeltaEncoding<'a>,
        number: u32,
        (slots, values): (&[u32], &[Option<ValueRef<'a>>]),
        cells_start: u64,
        parts: &mut ColumnParts,
    ) -> Result<Segment> {
        let slot_count = (self.slot_count - number * SEGMENT_LEN).min(SEGMENT_LEN);
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
        let mut gathered = Gathered::default();
        for &value in values.iter().flatten() {
            gathered.add(value);
            self.build.meter.step()?;
        }
        parts.null_count += u64::from(gathered.null_count);
        parts.value_types |= gathered.value_types;
        let (mut cells, mut cell_encoding) = (Vec::new(), Encoding::Constant);
        if !all_removed {
            let output = (&mut self.writer, &mut self.build.spill);
            cell_encoding = encoding.encode_cells((parts.value_count, values), &mut self.heaps, output, &mut cells)?;
        }
        parts.value_count += (present_count - removed_count) as usize;
        let cells_offset = self.begin_part()? - cells_start;
        self.build.spill.append(self.parts, &cells)?;
        Ok(Segment {
            encoding: cell_encoding,
            presence,
            statistics: gathered.statistics(),
            has_nan: gathered.has_nan,
            value_types: gathered.value_types,
            slot_count,
            present_count,
            null_count: gathered.null_count,
            cells_offset,
            cells_len: cells.len() as u64,
            presence_offset,
            presence_len,
            removed,
            number,
        })
    }

    /// Completes the file, with an index of `key_count` keys, and makes it durable.
    pub(super) fn finish(self, base_next: u32, keys: &mut dyn Values, key_count: u64) -> Result<FileEntry> {
        let Self { mut build, mut writer, heaps, parts, mut entries, slot_count, touched } = self;
        heaps.finish(&mut writer, &mut build.spill)?;
        let start = writer.begin_section(SECTION_PARTS)?;
        copy(parts, &mut build.spill, &mut writer)?;
        writer.end_section();
        let mut directory = Vec::new();
        for entry in &mut entries {
            for (offset, len) in &mut entry.parts {
                *offset = if *len == 0 { 0 } else { *offset + start };
            }
            entry.encode(&mut directory);
        }
        let mut descriptor =
            PatchDescriptor { delta_column_count: entries.len() as u32, base_next, ..PatchDescriptor::default() };
        if key_count > 0 {
            let index = write_index(&mut build, (&mut KeysOf(keys), None), key_count, &mut writer)?;
            let IndexSummary { bucket_count, hash_seed, chain_len_max } = index;
            descriptor = PatchDescriptor { bucket_count, hash_seed, chain_len_max, ..descriptor };
        }
        writer.section(SECTION_DELTA_COLUMNS, &directory)?;
        writer.section(SECTION_PATCH, &descriptor.encode())?;
        writer.finish(slot_count.into(), touched)
    }
}

/// The values whose count changed, in the order of their tagged form, so that equal states make equal files.
fn in_order<'a>(changes: &CountChanges<'a>) -> Vec<(ValueRef<'a>, i64)> {
    let mut changed: Vec<_> = changes.values.iter().map(|(&value, &change)| (value, change)).collect();
    changed.sort_by_cached_key(|&(value, _)| {
        let mut tagged = Vec::new();
        value::encode(value, &mut tagged);
        tagged
    });
    changed
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
