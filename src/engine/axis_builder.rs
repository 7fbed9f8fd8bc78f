//! Building an axis file from keys in slot order, in bounded memory: dense where the keys are consecutive integers, else stored and
//! indexed, or frozen.

use super::block_writer::BlockWriter;
use super::column_builder::{HeapContents, Kinds, PresentSlots, Values, encode_position};
use super::heap_builder::{self, section_kind, write_entry};
use super::index_builder::{HashedKeys, IndexSummary, KeysOf, write_index};
use super::numbering::{Build, Contents};
use super::perfect_hash::PerfectHashSections;
use super::segment_writer::SegmentSurvey;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::axis::{Axis, Layout, SECTION_AXIS, SECTION_TOMBSTONES, tombstone_levels};
use crate::format::column::{Encoding, SEGMENT_LEN};
use crate::format::heap;
use crate::format::manifest::FileEntry;
use crate::format::perfect_hash::{SECTION_HASH_PARTS, SECTION_PILOTS, SECTION_REMAP};
use crate::format::value::{TAG_INT, TAG_UINT, tag_and_cell};

/// An axis whose file is to be written. Slots that its keys pass over become tombstones.
pub(super) struct AxisBuilder<'v> {
    keys: &'v mut dyn Values,
    segments: SegmentSurvey,
    kinds: Kinds,
    free: PresentSlots,
    slot_count: u32,
    /// The key of slot 0, while the key of each slot s is that + s.
    first_key: Option<i64>,
    /// Takes the place of an index where keys are stored.
    perfect_hash: Option<PerfectHashSections<'v>>,
    /// The hashes of the keys, if they are known.
    hashes: Option<HashedKeys<'v>>,
}

impl<'v> AxisBuilder<'v> {
    /// Reads the keys once. Work is counted for `slots` slots.
    pub(super) fn new(build: &mut Build<'_, '_>, keys: &'v mut dyn Values, slots: u32) -> Result<Self> {
        let mut segments = SegmentSurvey::new(&mut build.spill);
        let mut kinds = Kinds::default();
        let mut free = PresentSlots::default();
        let (mut slot_count, mut counted) = (0, 0);
        let mut dense = None;
        keys.visit(&mut |slot, key| {
            for gap in slot_count..slot {
                free.insert(gap);
                // Tombstones have a cell too, so that a key is one load from its slot.
                segments.add_slot(gap, &mut build.spill)?;
            }
            let (tag, cell) = tag_and_cell(key);
            let int = match tag {
                TAG_INT => Some(i128::from(cell.cast_signed())),
                TAG_UINT => Some(i128::from(cell)),
                _ => None,
            };
            let first = int.and_then(|int| i64::try_from(int - i128::from(slot)).ok());
            dense = if dense.is_none_or(|dense| dense == first) { Some(first) } else { Some(None) };
            segments.add_tagged(slot, (tag, cell), &mut build.spill)?;
            kinds.add_tagged(tag, cell);
            slot_count = slot + 1;
            if slot - counted >= SEGMENT_LEN {
                build.meter.add((slot - counted).into())?;
                counted = slot;
            }
            Ok(())
        })?;
        build.meter.add((slots - counted).into())?;
        segments.finish(slot_count, &mut build.spill)?;
        Ok(Self {
            keys,
            segments,
            kinds,
            free,
            slot_count,
            first_key: dense.flatten(),
            perfect_hash: None,
            hashes: None,
        })
    }

    /// Takes a perfect hash in which the rank of each key is its slot, in place of an index.
    pub(super) fn with_perfect_hash(self, perfect_hash: Option<PerfectHashSections<'v>>) -> Self {
        Self { perfect_hash, ..self }
    }

    /// Takes the hashes of the keys, so that they need not be read for the index.
    pub(super) fn with_hashes(self, hashes: Option<HashedKeys<'v>>) -> Self {
        Self { hashes, ..self }
    }

    pub(super) const fn slot_count(&self) -> u32 {
        self.slot_count
    }

    pub(super) fn point_count(&self) -> u64 {
        u64::from(self.slot_count) - self.free.count()
    }

    /// Writes the file.
    pub(super) fn write(self, build: &mut Build<'_, '_>, mut writer: BlockWriter<'_>) -> Result<FileEntry> {
        let point_count = self.point_count();
        let Self { keys, segments, kinds, free, slot_count, first_key, perfect_hash, hashes } = self;
        let layout = if let Some(first_key) = first_key {
            Layout::Dense { first_key }
        } else {
            match kinds.plain() {
                Some(encoding) => write_plain(build, keys, &segments, encoding, &mut writer)?,
                None => write_with_heap(build, keys, &segments, &free, kinds.is_text(), &mut writer)?,
            }
            match perfect_hash {
                Some(perfect_hash) => write_perfect_hash(&perfect_hash, &mut writer)?,
                None => {
                    let IndexSummary { bucket_count, hash_seed, chain_len_max } =
                        write_index(build, (&mut KeysOf(keys), hashes), point_count, &mut writer)?;
                    Layout::Indexed { bucket_count, hash_seed, chain_len_max }
                }
            }
        };
        let free_count = free.count();
        let tombstone_levels = if free_count > 0 { write_tombstones(&free, slot_count, &mut writer)? } else { 0 };
        writer.section(SECTION_AXIS, &Axis { layout, tombstone_levels, free_count }.encode())?;
        writer.finish(slot_count.into(), point_count)
    }
}

fn write_perfect_hash(perfect_hash: &PerfectHashSections<'_>, writer: &mut BlockWriter<'_>) -> Result<Layout> {
    let PerfectHashSections { hash_seed, part_count, parts, pilots, remap } = perfect_hash;
    writer.section(SECTION_HASH_PARTS, parts)?;
    writer.section(SECTION_PILOTS, pilots)?;
    writer.section(SECTION_REMAP, remap)?;
    Ok(Layout::Frozen { part_count: *part_count, bucket_count: pilots.len() as u64, hash_seed: *hash_seed })
}

fn write_plain(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    segments: &SegmentSurvey,
    encoding: Encoding,
    writer: &mut BlockWriter<'_>,
) -> Result<()> {
    let Build { spill, meter, .. } = build;
    let mut cells = segments.begin_cells(encoding, writer)?;
    let mut next = 0;
    keys.visit(&mut |slot, key| {
        for _ in next..slot {
            cells.push([0; 8], writer)?;
        }
        next = slot + 1;
        cells.push(tag_and_cell(key).1.to_le_bytes(), writer)?;
        meter.step()
    })?;
    cells.finish(spill, writer)
}

/// Writes a heap with one entry for each key, and cells that point into it.
fn write_with_heap(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    segments: &SegmentSurvey,
    free: &PresentSlots,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<()> {
    let positions = build.spill.stream();
    let start = writer.begin_section(section_kind(is_text))?;
    let Build { spill, meter, .. } = build;
    HeapContents::new(keys, is_text).visit(spill, &mut |spill, content| {
        let position = (write_entry(content, writer)?.0 - start) / heap::ENTRY_ALIGNMENT;
        spill.append(positions, &position.to_le_bytes())?;
        meter.step()
    })?;
    let encoding = heap_builder::encoding(is_text, writer.position() - start);
    writer.end_section();
    write_positions(build, positions, segments, free, encoding, writer)
}

fn write_positions(
    build: &mut Build<'_, '_>,
    positions: StreamId,
    segments: &SegmentSurvey,
    free: &PresentSlots,
    encoding: Encoding,
    writer: &mut BlockWriter<'_>,
) -> Result<()> {
    let Build { spill, meter, .. } = build;
    let mut reader = StreamReader::new(positions);
    let mut slot = 0;
    segments.write(encoding, spill, writer, |spill: &mut Spill, out| {
        let position = if free.contains(slot) { 0 } else { reader.u64(spill)?.unwrap_or_default() };
        encode_position(position, encoding.width(), out);
        slot += 1;
        meter.step()
    })?;
    build.spill.clear(positions);
    Ok(())
}

fn write_tombstones(free: &PresentSlots, slot_count: u32, writer: &mut BlockWriter<'_>) -> Result<u32> {
    let levels = tombstone_levels(slot_count.into());
    writer.begin_section(SECTION_TOMBSTONES)?;
    let mut words: Vec<u64> = Vec::new();
    for (level, &count) in levels.iter().enumerate() {
        words = if level == 0 {
            (0..count as usize).map(|word| free.word(word)).collect()
        } else {
            words
                .chunks(64)
                .map(|below| below.iter().rev().fold(0, |bits, &word| (bits << 1) | u64::from(word != 0)))
                .collect()
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        writer.write(&bytes)?;
    }
    writer.end_section();
    Ok(levels.len() as u32)
}
