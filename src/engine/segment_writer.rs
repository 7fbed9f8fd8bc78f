//! Cutting a column into segments: cells, presence, statistics, descriptors.

use super::block_writer::BlockWriter;
use super::column_builder::PresentSlots;
use crate::error::Result;
use crate::format::column::{
    Encoding, Presence, Removed, SECTION_CELLS, SECTION_PRESENCE, SECTION_SEGMENTS, SEGMENT_LEN, Segment, Statistics,
};
use crate::format::value;
use crate::model::ValueRef;

/// The cells of the present slots, in slot order.
pub(super) trait CellSource {
    /// The value of a cell; `None` where the cell means nothing.
    fn value(&self, index: usize) -> Option<ValueRef<'_>>;
    fn encoding(&self) -> Encoding;
    fn encode_cell(&self, index: usize, out: &mut Vec<u8>);
}

/// What was written.
pub(super) struct Summary {
    pub(super) value_types: u16,
}

/// A sorted list is looked up by binary search, a bitmap in one step: lists are for segments with few values.
const SORTED_COUNT_MAX: u32 = 1024;

/// Writes the sections "cells", "presence" and "segments".
pub(super) fn write_segments(
    source: &impl CellSource,
    present: &PresentSlots,
    slot_count: u32,
    writer: &mut BlockWriter<'_>,
) -> Result<Summary> {
    let encoding = source.encoding();
    let mut segments = Vec::new();
    let mut presences = Vec::new();
    let mut value_types = 0;
    let mut next_cell = 0usize;
    let mut buffer = Vec::new();
    let cells_start = writer.begin_section(SECTION_CELLS)?;
    for index in 0..slot_count.div_ceil(SEGMENT_LEN) {
        let first = index * SEGMENT_LEN;
        let segment_slots = (slot_count - first).min(SEGMENT_LEN);
        let words: Vec<u64> =
            (0..segment_slots.div_ceil(64)).map(|word| present.word((first / 64 + word) as usize)).collect();
        let present_count: u32 = words.iter().map(|word| word.count_ones()).sum();
        let presence = choose_presence(segment_slots, present_count, SORTED_COUNT_MAX);
        let presence_offset = presences.len() as u64;
        encode_presence(presence, &words, &mut presences);
        let presence_len = presences.len() as u64 - presence_offset;
        presences.resize(presences.len().next_multiple_of(8), 0);

        writer.pad_to(writer.position().next_multiple_of(8))?;
        let cells_offset = writer.position() - cells_start;
        let mut gathered = Gathered::default();
        buffer.clear();
        for cell in next_cell..next_cell + present_count as usize {
            source.encode_cell(cell, &mut buffer);
            if let Some(value) = source.value(cell) {
                gathered.add(value);
            }
        }
        next_cell += present_count as usize;
        writer.write(&buffer)?;
        value_types |= gathered.value_types;
        Segment {
            encoding,
            presence,
            statistics: gathered.statistics(),
            has_nan: gathered.has_nan,
            value_types: gathered.value_types,
            slot_count: segment_slots,
            present_count,
            null_count: gathered.null_count,
            cells_offset,
            cells_len: buffer.len() as u64,
            presence_offset,
            presence_len,
            removed: Removed::NONE,
            number: index,
        }
        .encode(&mut segments);
    }
    writer.end_section();
    // A column of constants has no section "cells": its offsets must not point past nothing.
    writer.section(SECTION_PRESENCE, &presences)?;
    writer.section(SECTION_SEGMENTS, &segments)?;
    Ok(Summary { value_types })
}

/// The smallest structure that is looked up fast enough: a sorted list of at most `sorted_count_max` slots, or a bitmap.
pub(super) fn choose_presence(slot_count: u32, present_count: u32, sorted_count_max: u32) -> Presence {
    if present_count == 0 {
        Presence::None
    } else if present_count == slot_count {
        Presence::All
    } else if present_count <= sorted_count_max
        && Presence::Sorted.len(slot_count, present_count) < Presence::Bitmap.len(slot_count, present_count)
    {
        Presence::Sorted
    } else {
        Presence::Bitmap
    }
}

/// Appends the structure for the slots whose bits are set in `words`.
pub(super) fn encode_presence(presence: Presence, words: &[u64], out: &mut Vec<u8>) {
    match presence {
        Presence::None | Presence::All => {}
        Presence::Bitmap => {
            let mut rank = 0u64;
            for word in words {
                out.extend(word.to_le_bytes());
                out.extend(rank.to_le_bytes());
                rank += u64::from(word.count_ones());
            }
        }
        Presence::Sorted => {
            for (index, &word) in words.iter().enumerate() {
                let mut rest = word;
                while rest != 0 {
                    out.extend(((index * 64) as u16 + rest.trailing_zeros() as u16).to_le_bytes());
                    rest &= rest - 1;
                }
            }
        }
    }
}

/// Counts, types and extremes of one segment.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) value_types: u16,
    pub(super) null_count: u32,
    pub(super) has_nan: bool,
    /// A number that is neither of 64 bits nor a float.
    has_big: bool,
    signed: Option<(i64, i64)>,
    unsigned: Option<(u64, u64)>,
    floats: Option<(f64, f64)>,
}

impl Gathered {
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        self.value_types |= 1 << value::tag(value);
        match value {
            ValueRef::Null => self.null_count += 1,
            ValueRef::Int(int) => {
                if let Ok(int) = i64::try_from(int) {
                    let (minimum, maximum) = self.signed.unwrap_or((int, int));
                    self.signed = Some((minimum.min(int), maximum.max(int)));
                } else if let Ok(int) = u64::try_from(int) {
                    let (minimum, maximum) = self.unsigned.unwrap_or((int, int));
                    self.unsigned = Some((minimum.min(int), maximum.max(int)));
                } else {
                    self.has_big = true;
                }
            }
            ValueRef::BigInt(_) => self.has_big = true,
            ValueRef::Float(float) if float.is_nan() => self.has_nan = true,
            ValueRef::Float(float) => {
                let (minimum, maximum) = self.floats.unwrap_or((float, float));
                self.floats = Some((
                    if float.total_cmp(&minimum).is_lt() { float } else { minimum },
                    if float.total_cmp(&maximum).is_gt() { float } else { maximum },
                ));
            }
            _ => {}
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        if self.has_big {
            return Statistics::None;
        }
        match (self.signed, self.unsigned, self.floats, self.has_nan) {
            (Some((minimum, maximum)), None, None, false) => Statistics::I64(minimum, maximum),
            (None, Some((minimum, maximum)), None, false) => Statistics::U64(minimum, maximum),
            (Some((low, _)), Some((_, maximum)), None, false) => {
                u64::try_from(low).map_or(Statistics::None, |minimum| Statistics::U64(minimum, maximum))
            }
            (None, None, Some((minimum, maximum)), _) => Statistics::F64(minimum, maximum),
            _ => Statistics::None,
        }
    }
}
