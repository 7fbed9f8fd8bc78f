//! Reading a dimension segment by segment: as its file has it where nothing touched a segment, else put together from
//! all tiers.

use super::base_column::BaseColumn;
use super::block_file::BlockFile;
use super::cells::{Cells, SegmentSummary, SegmentView};
use super::merged_segment;
use super::segment::{Bits, CellSource, CellValues, Dictionary, Segment, SegmentPresence, SegmentValues};
use super::state::DimensionView;
use super::view::Changes;
use crate::error::Result;
use crate::format::Invalid;
use crate::format::column::{Encoding, Presence, SEGMENT_LEN};
use crate::model::Slot;
use bytemuck::AnyBitPattern;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The segments of a [`Dimension`](crate::Dimension), in slot order: all slots of the snapshot are covered. Skipping
/// segments (`nth`, `step_by`) does not read them; clones share what is known of changes, so that threads can divide
/// the segments.
#[derive(Clone)]
pub struct Segments<'s> {
    pub(super) view: DimensionView<'s>,
    /// Slots that the overlays may have changed, ascending.
    changed: Arc<[u32]>,
    pub(super) next: usize,
    pub(super) end: usize,
}

impl fmt::Debug for Segments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, next, end, .. } = self;
        f.debug_struct("Segments").field("dimension", &view.name()).field("left", &(next..end)).finish_non_exhaustive()
    }
}

impl<'s> Iterator for Segments<'s> {
    type Item = Result<Segment<'s>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, skipped: usize) -> Option<Self::Item> {
        let number = self.next.saturating_add(skipped).min(self.end);
        self.next = number.saturating_add(1).min(self.end);
        (number < self.end).then(|| self.read(number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl ExactSizeIterator for Segments<'_> {}

impl<'s> DimensionView<'s> {
    pub(crate) fn segments(self) -> Segments<'s> {
        Segments::of(self)
    }
}

impl<'s> Segments<'s> {
    pub(super) fn of(view: DimensionView<'s>) -> Self {
        let has_base = view.column.is_some_and(|column| column.base().is_some());
        let changed = view.state.view.changed_slots(view.id, has_base).into();
        let end = view.state.slot_count().div_ceil(SEGMENT_LEN) as usize;
        Self { view, changed, next: 0, end }
    }

    /// The same, where what the overlays changed is known.
    pub(super) fn since(view: DimensionView<'s>, changes: &Changes) -> Self {
        let has_base = view.column.is_some_and(|column| column.base().is_some());
        let mut changed: Vec<u32> = changes.of(view.id, has_base).collect();
        changed.sort_unstable();
        let end = view.state.slot_count().div_ceil(SEGMENT_LEN) as usize;
        Self { view, changed: changed.into(), next: 0, end }
    }

    pub(super) fn base(&self) -> Option<&'s BaseColumn> {
        self.view.column.and_then(|column| column.base())
    }

    /// The first slot of a segment, and the number of its slots.
    fn extent(&self, number: usize) -> (u32, u32) {
        let first = number as u32 * SEGMENT_LEN;
        (first, self.view.state.slot_count().saturating_sub(first).min(SEGMENT_LEN))
    }

    /// The slots of a segment that the overlays may have changed.
    fn changed_in(&self, number: usize) -> &[u32] {
        let first = number as u64 * u64::from(SEGMENT_LEN);
        let position = |slot: u64| self.changed.partition_point(|&changed| u64::from(changed) < slot);
        self.changed.get(position(first)..position(first + u64::from(SEGMENT_LEN))).unwrap_or_default()
    }

    /// Whether anything newer than the column file may say something of a segment's values.
    fn is_touched(&self, number: usize) -> Result<bool> {
        if !self.changed_in(number).is_empty() {
            return Ok(true);
        }
        let Some(column) = self.view.column else { return Ok(false) };
        for patch in column.patches() {
            if patch.resolve()?.1.has_cells_in(number) {
                return Ok(true);
            }
        }
        if column.base().is_some() { self.view.state.view.generation.axis().touches_segment(number) } else { Ok(false) }
    }

    /// The column file's segment, if its values are those of the snapshot.
    pub(super) fn untouched(&self, number: usize) -> Result<Option<Untouched<'s>>> {
        let Some(base) = self.base() else { return Ok(None) };
        let cells = &base.resolve()?.1;
        let (Some(segment), Some(summary)) = (cells.segment(number), cells.summary(number)) else { return Ok(None) };
        if segment.slot_count != self.extent(number).1 || self.is_touched(number)? {
            return Ok(None);
        }
        Ok(Some(Untouched { base, segment, summary }))
    }

    /// Whether the column file states that all its values differ, and nothing newer says anything of them.
    pub(super) fn all_differ(&self) -> Result<bool> {
        let Some(base) = self.base() else { return Ok(false) };
        if base.resolve()?.0.distinct_count != base.value_count() {
            return Ok(false);
        }
        for number in 0..self.end {
            if self.untouched(number)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Which types the column file states of its values (bit t: tag t), if nothing newer says anything of them.
    pub(super) fn stated_types(&self) -> Result<Option<u16>> {
        let mut types = 0;
        for number in 0..self.end {
            match self.untouched(number)? {
                Some(untouched) => types |= untouched.summary.value_types,
                None => return Ok(None),
            }
        }
        Ok(Some(types))
    }

    /// What the column file states of a segment whose slots are all in the snapshot, changed or not.
    pub(super) fn stated(&self, number: usize) -> Result<Option<(&'s BaseColumn, &'s SegmentSummary)>> {
        let Some(base) = self.base() else { return Ok(None) };
        let cells = &base.resolve()?.1;
        let (Some(segment), Some(summary)) = (cells.segment(number), cells.summary(number)) else { return Ok(None) };
        Ok((segment.slot_count <= self.extent(number).1).then_some((base, summary)))
    }

    /// The slots of a segment whose values may not be those of the column file, ascending.
    pub(super) fn touched_slots(&self, number: usize) -> Result<impl Iterator<Item = Slot> + use<>> {
        let touched = if self.is_touched(number)? { self.touched_in(number)? } else { Vec::new() };
        let (first, slot_count) = self.extent(number);
        let offsets = touched.into_iter().map(u32::from).filter(move |&offset| offset < slot_count);
        Ok(offsets.map(move |offset| Slot(first + offset)))
    }

    /// Slots of all segments.
    pub(super) fn slot_count(&self) -> u32 {
        self.view.state.slot_count()
    }

    /// A segment.
    pub(super) fn read(&self, number: usize) -> Result<Segment<'s>> {
        let (first, slot_count) = self.extent(number);
        if let Some(untouched) = self.untouched(number)? {
            return borrowed(untouched.base, untouched.segment, untouched.summary, first);
        }
        let base = match self.base() {
            Some(base) => {
                let cells = &base.resolve()?.1;
                match (cells.segment(number), cells.summary(number)) {
                    (Some(segment), Some(summary)) => Some((base, borrowed(base, segment, summary, first)?)),
                    _ => None,
                }
            }
            None => None,
        };
        let touched = self.touched_in(number)?;
        merged_segment::merge(self.view, first, slot_count, base, &touched)
    }

    /// Whether every slot of a segment has a value, as far as its files alone say.
    pub(super) fn is_whole(&self, number: usize) -> Result<bool> {
        let (first, slot_count) = self.extent(number);
        let Some(untouched) = self.untouched(number)? else { return Ok(false) };
        let segment = borrowed(untouched.base, untouched.segment, untouched.summary, first)?;
        Ok(segment.value_count() == slot_count as usize)
    }

    /// A bit for each slot of a segment that has a value. Puts no values together.
    pub(super) fn bits(&self, number: usize) -> Result<Bits> {
        let (first, slot_count) = self.extent(number);
        if let Some(untouched) = self.untouched(number)? {
            return Ok(borrowed(untouched.base, untouched.segment, untouched.summary, first)?.bits());
        }
        let mut bits: Bits = [0; _];
        if let Some(base) = self.base() {
            let cells = &base.resolve()?.1;
            if let (Some(segment), Some(summary)) = (cells.segment(number), cells.summary(number)) {
                bits = borrowed(base, segment, summary, first)?.bits();
            }
        }
        for offset in self.touched_in(number)?.into_iter().filter(|&offset| u32::from(offset) < slot_count) {
            let (word, bit) = (&mut bits[usize::from(offset >> 6)], 1 << (offset & 63));
            let is_there = self.view.get_through_tiers(first + u32::from(offset))?.is_some();
            *word = if is_there { *word | bit } else { *word & !bit };
        }
        merged_segment::clear_from(&mut bits, slot_count as usize);
        Ok(bits)
    }

    /// The slots of a segment whose values are not those of the column file, as offsets, ascending.
    fn touched_in(&self, number: usize) -> Result<Vec<u16>> {
        let mut touched: Vec<u16> = self.changed_in(number).iter().map(|&slot| (slot % SEGMENT_LEN) as u16).collect();
        if let Some(column) = self.view.column {
            column.patches().iter().try_for_each(|patch| patch.touched_in(number, &mut touched))?;
            if column.base().is_some() {
                self.view.state.view.generation.axis().touched_in(number, &mut touched)?;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }
}

/// A segment whose values are those of the column file.
pub(super) struct Untouched<'s> {
    base: &'s BaseColumn,
    pub(super) segment: &'s SegmentView,
    pub(super) summary: &'s SegmentSummary,
}

/// A segment as the column file has it, if it has `slot_count` slots there.
pub(super) fn base_segment(base: &BaseColumn, number: usize, slot_count: u32) -> Result<Option<Segment<'_>>> {
    let cells = &base.resolve()?.1;
    match (cells.segment(number), cells.summary(number)) {
        (Some(segment), Some(summary)) if segment.slot_count == slot_count => {
            borrowed(base, segment, summary, number as u32 * SEGMENT_LEN).map(Some)
        }
        _ => Ok(None),
    }
}

/// A segment of cells that all have an integer, if it has `slot_count` slots.
pub(super) fn integer_segment<'s>(
    file: &'s BlockFile,
    cells: &Cells,
    number: usize,
    slot_count: u32,
) -> Result<Option<Segment<'s>>> {
    let is_whole = |segment: &&SegmentView| segment.slot_count == slot_count && segment.present_count == slot_count;
    let Some(segment) = cells.segment(number).filter(is_whole) else { return Ok(None) };
    let values = match segment.encoding {
        Encoding::PlainI64 => SegmentValues::I64(cell_slice(file, segment)?),
        Encoding::PlainU64 => SegmentValues::U64(cell_slice(file, segment)?),
        _ => return Ok(None),
    };
    let (first, presence) = (number as u32 * SEGMENT_LEN, SegmentPresence::All);
    Ok(Some(Segment { first, slot_count, value_count: slot_count, presence, values, summary: None }))
}

fn borrowed<'s>(
    base: &'s BaseColumn,
    segment: &'s SegmentView,
    summary: &SegmentSummary,
    first: u32,
) -> Result<Segment<'s>> {
    let file = base.file();
    let (column, cells) = base.resolve()?;
    let dictionary = || Dictionary { file, cells, shared_len: column.dictionary_count as usize, others: Vec::new() };
    let values = match segment.encoding {
        _ if segment.present_count == 0 => SegmentValues::Values(CellValues::none()),
        Encoding::Constant => SegmentValues::Constant(cells.entry(file, 0)?),
        Encoding::Dictionary8 => SegmentValues::Dictionary8(cell_slice(file, segment)?, dictionary()),
        Encoding::Dictionary16 => SegmentValues::Dictionary16(cell_slice(file, segment)?, dictionary()),
        Encoding::PlainI64 => SegmentValues::I64(cell_slice(file, segment)?),
        Encoding::PlainU64 => SegmentValues::U64(cell_slice(file, segment)?),
        Encoding::PlainF64 => SegmentValues::F64(cell_slice(file, segment)?),
        Encoding::Text32 | Encoding::Value32 | Encoding::Text64 | Encoding::Value64 => {
            SegmentValues::Values(CellValues(CellSource::File { file, cells, segment: *segment }))
        }
    };
    Ok(Segment {
        first,
        slot_count: segment.slot_count,
        value_count: segment.present_count,
        presence: presence(file, segment)?,
        values,
        summary: Some(*summary),
    })
}

/// The verified cells of a segment.
fn cell_slice<'s, T: AnyBitPattern>(file: &'s BlockFile, segment: &SegmentView) -> Result<Cow<'s, [T]>> {
    slice(file, segment.cells, u64::from(segment.present_count) * size_of::<T>() as u64)
}

fn slice<T: AnyBitPattern>(file: &BlockFile, offset: u64, len: u64) -> Result<Cow<'_, [T]>> {
    let cast = bytemuck::try_cast_slice(file.bytes(offset, len)?);
    cast.map(Cow::Borrowed).map_err(|_| file.corrupt(Invalid::new(offset, "cells", "they are not aligned")))
}

/// Which slots have a value, checked to be as many as are stated, and below the end.
fn presence<'s>(file: &'s BlockFile, segment: &SegmentView) -> Result<SegmentPresence<'s>> {
    let (offset, len) = (segment.presence_offset, segment.presence_len);
    let end = segment.slot_count;
    let (presence, is_sound) = match segment.presence {
        Presence::None => (SegmentPresence::None, true),
        Presence::All => (SegmentPresence::All, true),
        Presence::Bitmap => {
            let words: Cow<'s, [[u64; 2]]> = slice(file, offset, len)?;
            let mut before = 0;
            let ranked = words.iter().all(|&[bits, rank]| {
                let is_rank = rank == before;
                before += u64::from(bits.count_ones());
                is_rank
            });
            let past_the_end = !end.is_multiple_of(64) && words.last().is_some_and(|[bits, _]| bits >> (end % 64) != 0);
            let sound = ranked && !past_the_end && before == u64::from(segment.present_count);
            (SegmentPresence::Bitmap(words), sound)
        }
        Presence::Sorted => {
            let offsets: Cow<'s, [u16]> = slice(file, offset, len)?;
            let ascending = offsets.is_sorted_by(|a, b| a < b);
            let sound = ascending && offsets.last().is_none_or(|&last| u32::from(last) < end);
            (SegmentPresence::Sorted(offsets), sound)
        }
    };
    if is_sound {
        return Ok(presence);
    }
    Err(file.corrupt(Invalid::new(offset, "presence", "it does not have the slots that are stated")))
}
