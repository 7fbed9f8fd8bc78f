//! Cutting a column into segments: presence and statistics as values pass by, then cells and descriptors.

use super::block_writer::BlockWriter;
use super::column_builder::plain_cell;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::column::{
    Encoding, Presence, Removed, SECTION_CELLS, SECTION_PRESENCE, SECTION_SEGMENTS, SEGMENT_LEN, SEGMENT_RECORD_LEN,
    SEGMENT_SHIFT, Segment, Statistics,
};
use crate::format::value::{self, TAG_BIG_INT, TAG_FLOAT, TAG_INT, TAG_NULL, TAG_UINT};
use crate::model::ValueRef;

/// Bytes of cells gathered before they are written.
const CELLS_LEN: usize = 64 << 10;

/// What is known of the segments of a column before its cells are written.
#[derive(Debug)]
pub(super) struct SegmentSurvey {
    done: Vec<SegmentSummary>,
    /// The presence structures of those that are done.
    presences: StreamId,
    presences_len: u64,
    /// Of the segment that values are added to.
    words: Vec<u64>,
    gathered: Gathered,
    value_types: u16,
    null_count: u64,
    value_count: u64,
}

#[derive(Debug)]
struct SegmentSummary {
    presence: Presence,
    slot_count: u32,
    present_count: u32,
    presence_offset: u64,
    presence_len: u64,
    statistics: Statistics,
    has_nan: bool,
    value_types: u16,
    null_count: u32,
}

impl SegmentSurvey {
    pub(super) fn new(spill: &mut Spill) -> Self {
        Self {
            done: Vec::new(),
            presences: spill.stream(),
            presences_len: 0,
            words: vec![0; SEGMENT_LEN as usize / 64],
            gathered: Gathered::default(),
            value_types: 0,
            null_count: 0,
            value_count: 0,
        }
    }

    /// Adds a value by its tag and, of a number, its plain cell. Slots ascend.
    #[inline]
    pub(super) fn add_tagged(&mut self, slot: u32, (tag, cell): (u8, u64), spill: &mut Spill) -> Result<()> {
        self.add_slot(slot, spill)?;
        self.gathered.add_tagged(tag, cell);
        Ok(())
    }

    /// Adds a cell that means nothing.
    #[inline]
    pub(super) fn add_slot(&mut self, slot: u32, spill: &mut Spill) -> Result<()> {
        while self.done.len() < (slot >> SEGMENT_SHIFT) as usize {
            self.close(SEGMENT_LEN, spill)?;
        }
        let offset = slot & (SEGMENT_LEN - 1);
        if let Some(word) = self.words.get_mut((offset >> 6) as usize) {
            *word |= 1 << (offset & 63);
        }
        self.value_count += 1;
        Ok(())
    }

    /// Adds cells of consecutive slots of one segment. What they are is gathered by itself.
    pub(super) fn add_slots(&mut self, first: u32, count: u32, spill: &mut Spill) -> Result<&mut Gathered> {
        while self.done.len() < (first >> SEGMENT_SHIFT) as usize {
            self.close(SEGMENT_LEN, spill)?;
        }
        let first = first & (SEGMENT_LEN - 1);
        let end = first + count;
        for index in first >> 6..end.div_ceil(64) {
            let (low, high) = (first.max(index << 6) & 63, end.min((index + 1) << 6) - (index << 6));
            if let Some(word) = self.words.get_mut(index as usize) {
                *word |= (u64::MAX >> (64 - (high - low))) << low;
            }
        }
        self.value_count += u64::from(count);
        Ok(&mut self.gathered)
    }

    /// Cells so far.
    pub(super) const fn value_count(&self) -> u64 {
        self.value_count
    }

    /// Of all segments that are done.
    pub(super) const fn null_count(&self) -> u64 {
        self.null_count
    }

    /// Bit t is set where a value of tag t occurs in a segment that is done.
    pub(super) const fn value_types(&self) -> u16 {
        self.value_types
    }

    /// Closes what is open, up to the end of the column.
    pub(super) fn finish(&mut self, slot_count: u32, spill: &mut Spill) -> Result<()> {
        for index in self.done.len() as u32..slot_count.div_ceil(SEGMENT_LEN) {
            self.close((slot_count - index * SEGMENT_LEN).min(SEGMENT_LEN), spill)?;
        }
        Ok(())
    }

    fn close(&mut self, slot_count: u32, spill: &mut Spill) -> Result<()> {
        let words = self.words.get(..slot_count.div_ceil(64) as usize).unwrap_or_default();
        let present_count: u32 = words.iter().map(|word| word.count_ones()).sum();
        let presence = choose_presence(slot_count, present_count, SORTED_COUNT_MAX);
        let mut bytes = Vec::new();
        encode_presence(presence, words, &mut bytes);
        let presence_len = bytes.len() as u64;
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        spill.append(self.presences, &bytes)?;
        let gathered = std::mem::take(&mut self.gathered);
        self.value_types |= gathered.value_types;
        self.null_count += u64::from(gathered.null_count);
        self.done.push(SegmentSummary {
            presence,
            slot_count,
            present_count,
            presence_offset: self.presences_len,
            presence_len,
            statistics: gathered.statistics(),
            has_nan: gathered.has_nan,
            value_types: gathered.value_types,
            null_count: gathered.null_count,
        });
        self.presences_len += bytes.len() as u64;
        if present_count > 0 {
            self.words.fill(0);
        }
        Ok(())
    }

    /// Writes the sections "cells", "presence" and "segments". `cell` appends one cell after the other.
    pub(super) fn write(
        &self,
        encoding: Encoding,
        spill: &mut Spill,
        writer: &mut BlockWriter<'_>,
        mut cell: impl FnMut(&mut Spill, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let mut cells = self.begin_cells(encoding, writer)?;
        for _ in 0..self.value_count {
            cell(spill, &mut cells.buffer)?;
            cells.count(writer)?;
        }
        cells.finish(spill, writer)
    }

    /// Starts the section "cells".
    pub(super) fn begin_cells(&self, encoding: Encoding, writer: &mut BlockWriter<'_>) -> Result<CellWriter<'_>> {
        let start = writer.begin_section(SECTION_CELLS)?;
        let mut cells = CellWriter {
            survey: self,
            encoding,
            start,
            number: 0,
            offset: start,
            missing: 0,
            buffer: Vec::new(),
            segments: Vec::with_capacity(self.done.len() * SEGMENT_RECORD_LEN),
        };
        cells.begin_segment(writer)?;
        Ok(cells)
    }

    /// The same where the section has begun, and all cells, which take eight bytes each, are in it.
    pub(super) fn written_cells(&self, encoding: Encoding) -> CellWriter<'_> {
        let (mut segments, mut offset) = (Vec::with_capacity(self.done.len() * SEGMENT_RECORD_LEN), 0);
        for (number, summary) in (0..).zip(&self.done) {
            let len = u64::from(summary.present_count) * encoding.width();
            summary.describe(number, encoding, offset, len).encode(&mut segments);
            offset += len;
        }
        let number = self.done.len();
        CellWriter { survey: self, encoding, start: 0, number, offset: 0, missing: 0, buffer: Vec::new(), segments }
    }

    fn write_presences(&self, spill: &Spill, writer: &mut BlockWriter<'_>) -> Result<()> {
        if self.presences_len == 0 {
            return Ok(());
        }
        writer.begin_section(SECTION_PRESENCE)?;
        let mut reader = StreamReader::new(self.presences);
        let mut rest = self.presences_len;
        while rest > 0 {
            let len = rest.min(CELLS_LEN as u64);
            writer.write(reader.take(spill, len as usize)?.unwrap_or_default())?;
            rest -= len;
        }
        writer.end_section();
        Ok(())
    }
}

/// Writes one cell after the other, each into its segment.
pub(super) struct CellWriter<'s> {
    survey: &'s SegmentSurvey,
    encoding: Encoding,
    /// File offset of the section.
    start: u64,
    /// The segment that cells go to, its file offset, and how many it still takes.
    number: usize,
    offset: u64,
    missing: u32,
    /// Cells that are not written yet.
    buffer: Vec<u8>,
    /// Descriptors of the segments before.
    segments: Vec<u8>,
}

impl CellWriter<'_> {
    /// Appends the next cell.
    #[inline]
    pub(super) fn push<const N: usize>(&mut self, cell: [u8; N], writer: &mut BlockWriter<'_>) -> Result<()> {
        self.buffer.extend_from_slice(&cell);
        self.count(writer)
    }

    /// Appends the next cells.
    pub(super) fn extend(&mut self, mut cells: &[u8], writer: &mut BlockWriter<'_>) -> Result<()> {
        let width = self.encoding.width() as usize;
        while !cells.is_empty() && self.missing > 0 {
            let (now, later) = cells.split_at(cells.len().min(self.missing as usize * width));
            self.buffer.extend_from_slice(now);
            self.missing -= (now.len() / width) as u32;
            cells = later;
            if self.missing == 0 || self.buffer.len() >= CELLS_LEN {
                self.flush(writer)?;
            }
        }
        Ok(())
    }

    /// Counts the next cells, which take no bytes.
    pub(super) fn extend_empty(&mut self, mut count: u64, writer: &mut BlockWriter<'_>) -> Result<()> {
        while count > 0 && self.missing > 0 {
            let now = count.min(self.missing.into());
            self.missing -= now as u32;
            count -= now;
            if self.missing == 0 {
                self.flush(writer)?;
            }
        }
        Ok(())
    }

    /// Counts the cell that was appended to the buffer.
    #[inline]
    fn count(&mut self, writer: &mut BlockWriter<'_>) -> Result<()> {
        self.missing -= 1;
        if self.missing > 0 && self.buffer.len() < CELLS_LEN { Ok(()) } else { self.flush(writer) }
    }

    #[cold]
    fn flush(&mut self, writer: &mut BlockWriter<'_>) -> Result<()> {
        writer.write(&self.buffer)?;
        self.buffer.clear();
        if self.missing > 0 {
            return Ok(());
        }
        self.describe(writer.position());
        self.begin_segment(writer)
    }

    /// Passes over segments without cells.
    fn begin_segment(&mut self, writer: &mut BlockWriter<'_>) -> Result<()> {
        while let Some(summary) = self.survey.done.get(self.number) {
            writer.pad_to(writer.position().next_multiple_of(8))?;
            self.offset = writer.position();
            self.missing = summary.present_count;
            if self.missing > 0 {
                break;
            }
            self.describe(self.offset);
        }
        Ok(())
    }

    fn describe(&mut self, end: u64) {
        if let Some(summary) = self.survey.done.get(self.number) {
            let (offset, len) = (self.offset - self.start, end - self.offset);
            summary.describe(self.number as u32, self.encoding, offset, len).encode(&mut self.segments);
        }
        self.number += 1;
    }

    /// Ends the section, once all cells are there, and writes "presence" and "segments".
    pub(super) fn finish(self, spill: &Spill, writer: &mut BlockWriter<'_>) -> Result<()> {
        debug_assert_eq!(self.number, self.survey.done.len(), "a cell for each value");
        // A column of constants has no section "cells": its offsets must not point past nothing.
        writer.end_section();
        self.survey.write_presences(spill, writer)?;
        writer.section(SECTION_SEGMENTS, &self.segments)
    }
}

impl SegmentSummary {
    fn describe(&self, number: u32, encoding: Encoding, cells_offset: u64, cells_len: u64) -> Segment {
        Segment {
            encoding,
            presence: self.presence,
            statistics: self.statistics,
            has_nan: self.has_nan,
            value_types: self.value_types,
            slot_count: self.slot_count,
            present_count: self.present_count,
            null_count: self.null_count,
            cells_offset,
            cells_len,
            presence_offset: self.presence_offset,
            presence_len: self.presence_len,
            removed: Removed::NONE,
            number,
        }
    }
}

/// A sorted list is looked up by binary search, a bitmap in one step: lists are for segments with few values.
const SORTED_COUNT_MAX: u32 = 1024;

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
#[derive(Default, Debug)]
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
    #[inline]
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        self.add_tagged(value::tag(value), plain_cell(value));
    }

    /// Adds a value of a tag; `cell` is the plain cell of a number.
    #[inline]
    pub(super) fn add_tagged(&mut self, tag: u8, cell: u64) {
        self.value_types |= 1 << tag;
        match tag {
            TAG_NULL => self.null_count += 1,
            TAG_INT => {
                let int = cell.cast_signed();
                let (minimum, maximum) = self.signed.unwrap_or((int, int));
                self.signed = Some((minimum.min(int), maximum.max(int)));
            }
            TAG_UINT => {
                let (minimum, maximum) = self.unsigned.unwrap_or((cell, cell));
                self.unsigned = Some((minimum.min(cell), maximum.max(cell)));
            }
            TAG_BIG_INT => self.has_big = true,
            TAG_FLOAT => self.add_float(f64::from_bits(cell)),
            _ => {}
        }
    }

    #[inline]
    fn add_float(&mut self, float: f64) {
        if float.is_nan() {
            self.has_nan = true;
            return;
        }
        let (minimum, maximum) = self.floats.unwrap_or((float, float));
        self.floats = Some((
            if float.total_cmp(&minimum).is_lt() { float } else { minimum },
            if float.total_cmp(&maximum).is_gt() { float } else { maximum },
        ));
    }

    /// Whether a descriptor states what was gathered.
    pub(super) fn is_stated_by(&self, summary: &super::cells::SegmentSummary) -> bool {
        summary.statistics.is(self.statistics())
            && summary.has_nan == self.has_nan
            && summary.value_types == self.value_types
            && summary.null_count == self.null_count
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
