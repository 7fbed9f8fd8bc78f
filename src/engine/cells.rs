//! Reading a column: of a dimension's file, of the keys of an axis file, or of a patch.

use super::block_file::BlockFile;
use super::column_extents::{ColumnExtents, SegmentExtents};
use super::touched_segments::TouchedSegments;
use crate::error::{Error, Result};
use crate::format::block_file::Section;
use crate::format::column::{
    ENTRY_LEN, Encoding, Entry, Presence, SEGMENT_RECORD_LEN, SEGMENT_SHIFT, Segment, SegmentKind, Statistics,
    bitmap_index, next_present, present_offsets, sorted_index, take_present,
};
use crate::format::heap::ENTRY_ALIGNMENT;
use crate::format::value::{self, TAG_TEXT};
use crate::format::{Invalid, bytes};
use crate::model::ValueRef;

/// What a slot with a value holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    Null,
    Value,
}

impl Filled {
    pub(super) fn of(value: ValueRef<'_>) -> Self {
        if value.is_null() { Self::Null } else { Self::Value }
    }
}

/// A segment, with offsets from the start of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentView {
    pub(super) encoding: Encoding,
    pub(super) presence: Presence,
    pub(super) slot_count: u32,
    pub(super) present_count: u32,
    null_count: u32,
    pub(super) cells: u64,
    pub(super) presence_offset: u64,
    pub(super) presence_len: u64,
}

/// What a base column's descriptor says of a segment's values: not needed to look one up, so kept apart from where they
/// are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentSummary {
    pub(super) statistics: Statistics,
    pub(super) has_nan: bool,
    pub(super) value_types: u16,
    pub(super) null_count: u32,
}

impl SegmentSummary {
    pub(super) const fn of(segment: &Segment) -> Self {
        Self {
            statistics: segment.statistics,
            has_nan: segment.has_nan,
            value_types: segment.value_types,
            null_count: segment.null_count,
        }
    }
}

/// The removed slots of a delta column's segment, with the offset from the start of the file.
#[derive(Clone, Copy, Debug)]
struct RemovedView {
    count: u32,
    presence: Presence,
    offset: u64,
    len: u64,
}

/// Cells of one encoding, one for each slot, one behind the other through all segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uniform {
    pub(super) encoding: Encoding,
    pub(super) slot_count: u32,
    /// Where the first is in the file.
    pub(super) cells: usize,
}

impl Uniform {
    /// Of base segments that are all full, of one encoding, and not apart.
    fn of(segments: &[SegmentView]) -> Option<Self> {
        let first = segments.first()?;
        let width = first.encoding.width();
        let mut slot_count = 0u64;
        for segment in segments {
            let place = first.cells + slot_count * width;
            if segment.encoding != first.encoding || segment.presence != Presence::All || segment.cells != place {
                return None;
            }
            slot_count += u64::from(segment.slot_count);
        }
        Some(Self {
            encoding: first.encoding,
            slot_count: u32::try_from(slot_count).ok()?,
            cells: usize::try_from(first.cells).ok()?,
        })
    }
}

/// Segments and sections of a column, checked once.
#[derive(Debug)]
pub(super) struct Cells {
    /// Where every slot's cell is without a look at its segment.
    pub(super) uniform: Option<Uniform>,
    /// By place: in a base column that is their number.
    pub(super) segments: Box<[SegmentView]>,
    /// The places of a delta column's segments.
    touched: Option<TouchedSegments>,
    /// Those of a base column; none in a delta column.
    summaries: Box<[SegmentSummary]>,
    /// Those of a delta column, by place; none in a base column.
    removed: Box<[RemovedView]>,
    /// Slots with a cell.
    present_count: u64,
    pub(super) dictionary: Section,
    pub(super) text_heap: Section,
    pub(super) value_heap: Section,
}

impl Cells {
    /// Reads and checks the segment descriptors.
    pub(super) fn resolve(file: &BlockFile, extents: &ColumnExtents) -> Result<Self> {
        let slot_count = file.header().slot_count;
        let ColumnExtents { kind, segments: section, cells, presence, dictionary } = *extents;
        let bytes = file.section_bytes(section)?;
        let corrupt = |invalid: Invalid| file.corrupt(invalid.at(section.offset));
        let invalid = |reason| corrupt(Invalid::new(0, "segment descriptor", reason));
        let count = section.len / SEGMENT_RECORD_LEN as u64;
        let all = slot_count.div_ceil(1 << SEGMENT_SHIFT);
        if count * SEGMENT_RECORD_LEN as u64 != section.len
            || count > all
            || (kind == SegmentKind::Base && count != all)
        {
            return Err(invalid("the number of segments does not match"));
        }
        let (mut segments, mut summaries, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        let (mut present_count, mut dictionaries, mut empty) = (0u64, 0u64, 0u64);
        let (mut numbers, mut extents) = (Vec::new(), SegmentExtents::default());
        for index in 0..count as usize {
            let segment = Segment::decode(bytes, index, kind, slot_count, cells.len, presence.len).map_err(corrupt)?;
            if kind == SegmentKind::Delta {
                match u16::try_from(segment.number) {
                    Ok(number) if segment.present_count > 0 && numbers.last().is_none_or(|&last| last < number) => {
                        numbers.push(number);
                    }
                    _ => return Err(invalid("segments out of order, or empty")),
                }
                extents.add(&segment);
                removed.push(RemovedView {
                    count: segment.removed.count,
                    presence: segment.removed.presence,
                    offset: presence.offset + segment.removed.offset,
                    len: segment.removed.len,
                });
                empty += u64::from(segment.removed.count == segment.present_count);
            } else {
                summaries.push(SegmentSummary::of(&segment));
            }
            present_count += u64::from(segment.present_count);
            dictionaries += u64::from(segment.encoding.is_dictionary());
            segments.push(SegmentView {
                encoding: segment.encoding,
                presence: segment.presence,
                slot_count: segment.slot_count,
                present_count: segment.present_count,
                null_count: segment.null_count,
                cells: cells.offset + segment.cells_offset,
                presence_offset: presence.offset + segment.presence_offset,
                presence_len: segment.presence_len,
            });
        }
        if extents.overlap() {
            return Err(invalid("segments share cells or presence"));
        }
        if dictionaries != count && dictionaries > empty {
            return Err(invalid("some segments use a dictionary and some do not"));
        }
        Ok(Self {
            uniform: Uniform::of(&segments).filter(|_| kind == SegmentKind::Base),
            segments: segments.into_boxed_slice(),
            touched: (kind == SegmentKind::Delta).then(|| TouchedSegments::new(numbers)),
            summaries: summaries.into_boxed_slice(),
            removed: removed.into_boxed_slice(),
            present_count,
            dictionary,
            text_heap: file.text_heap(),
            value_heap: file.value_heap(),
        })
    }

    /// The same for a file that has one column, whose cells are counted: its header's values, or all slots for keys.
    pub(super) fn resolve_base(file: &BlockFile, cell_count: u64) -> Result<Self> {
        let extents = ColumnExtents::of(file);
        let cells = Self::resolve(file, &extents)?;
        if cells.present_count == cell_count {
            return Ok(cells);
        }
        let invalid =
            Invalid::new(extents.segments.offset, "segment descriptor", "the number of values does not match");
        Err(file.corrupt(invalid))
    }

    /// Slots that have a cell, removed ones included.
    pub(super) fn present_count(&self) -> u64 {
        self.present_count
    }

    /// Whether a slot has a value, and whether that is null. Reads the cell only where nulls occur.
    pub(super) fn state(&self, file: &BlockFile, slot: u32) -> Result<Option<Filled>> {
        let Some((segment, index)) = self.locate(file, slot)? else { return Ok(None) };
        let is_null = segment.null_count > 0 && self.cell(file, segment, index)?.is_null();
        Ok(Some(if is_null { Filled::Null } else { Filled::Value }))
    }

    /// What a delta column says of a slot: nothing, that it is removed, or whether its value is null.
    pub(super) fn touched_state(&self, file: &BlockFile, slot: u32) -> Result<Option<Option<Filled>>> {
        match self.removes(file, slot)? {
            Some(true) => Ok(Some(None)),
            Some(false) => self.state(file, slot).map(Some),
            None => Ok(None),
        }
    }

    /// Where the cell of a slot is in its segment; `None` when it has none.
    pub(super) fn index_of(&self, file: &BlockFile, slot: u32) -> Result<Option<u32>> {
        Ok(self.locate(file, slot)?.map(|(_, index)| index))
    }

    /// The segment of a slot of a delta column whose cell is somewhere in it; `None` where that is removed.
    fn unless_removed(&self, file: &BlockFile, slot: u32) -> Result<Option<&SegmentView>> {
        let Some(place) = self.place((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        if self.is_removed(file, place, slot & ((1 << SEGMENT_SHIFT) - 1))? {
            return Ok(None);
        }
        Ok(self.segments.get(place))
    }

    /// The value of a slot that a delta column touches, whose cell is at an index; `None` where it is removed.
    #[inline]
    pub(super) fn touched_at<'a>(&self, file: &'a BlockFile, slot: u32, index: u32) -> Result<Option<ValueRef<'a>>> {
        match self.unless_removed(file, slot)? {
            Some(segment) => self.cell(file, segment, index).map(Some),
            None => Ok(None),
        }
    }

    /// The same, without the value.
    pub(super) fn state_at(&self, file: &BlockFile, slot: u32, index: u32) -> Result<Option<Filled>> {
        let Some(segment) = self.unless_removed(file, slot)? else { return Ok(None) };
        let is_null = segment.null_count > 0 && self.cell(file, segment, index)?.is_null();
        Ok(Some(if is_null { Filled::Null } else { Filled::Value }))
    }

    /// The same, the number in the dictionary; `None` also without one.
    pub(super) fn entry_number_at(&self, file: &BlockFile, slot: u32, index: u32) -> Result<Option<u32>> {
        match self.unless_removed(file, slot)? {
            Some(segment) if self.has_dictionary() => self.number(file, segment, index).map(|n| u32::try_from(n).ok()),
            _ => Ok(None),
        }
    }

    /// What a delta column says of a slot: nothing, that it is removed, or its value.
    #[inline]
    pub(super) fn touched<'a>(&self, file: &'a BlockFile, slot: u32) -> Result<Option<Option<ValueRef<'a>>>> {
        let Some(place) = self.place((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        let Some(segment) = self.segments.get(place) else { return Ok(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        let Some(index) = segment.cell_index(file, offset)? else { return Ok(None) };
        if self.is_removed(file, place, offset)? {
            return Ok(Some(None));
        }
        self.cell(file, segment, index).map(|value| Some(Some(value)))
    }

    /// Whether a delta column says anything of a slot.
    #[inline]
    pub(super) fn touches(&self, file: &BlockFile, slot: u32) -> Result<bool> {
        Ok(self.locate(file, slot)?.is_some())
    }

    /// What a delta column says of a slot: nothing, or whether it is removed.
    #[inline]
    pub(super) fn removes(&self, file: &BlockFile, slot: u32) -> Result<Option<bool>> {
        let Some(place) = self.place((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        let Some(segment) = self.segments.get(place) else { return Ok(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        if segment.cell_index(file, offset)?.is_none() {
            return Ok(None);
        }
        self.is_removed(file, place, offset).map(Some)
    }

    /// Whether a touched slot, by place of its segment and offset, is removed.
    fn is_removed(&self, file: &BlockFile, place: usize, offset: u32) -> Result<bool> {
        let (Some(segment), Some(removed)) = (self.segments.get(place), self.removed.get(place)) else {
            return Ok(false);
        };
        if removed.count == 0 || removed.count == segment.present_count {
            return Ok(removed.count > 0);
        }
        let Some(structure) = self.removed_slots(place) else { return Ok(false) };
        Ok(structure.cell_index(file, offset)?.is_some())
    }

    /// Where a segment is among `segments`.
    #[inline]
    fn place(&self, number: usize) -> Option<usize> {
        match &self.touched {
            Some(touched) => touched.place(number),
            None => Some(number),
        }
    }

    /// The segment of a slot, and the index of the slot's cell in it.
    #[inline]
    fn locate(&self, file: &BlockFile, slot: u32) -> Result<Option<(&SegmentView, u32)>> {
        let Some(segment) = self.segment((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        Ok(segment.cell_index(file, slot & ((1 << SEGMENT_SHIFT) - 1))?.map(|index| (segment, index)))
    }

    /// Where a segment is.
    #[inline]
    pub(super) fn segment(&self, number: usize) -> Option<&SegmentView> {
        self.segments.get(self.place(number)?)
    }

    /// What a base column states of a segment.
    pub(super) fn summary(&self, number: usize) -> Option<&SegmentSummary> {
        self.summaries.get(number)
    }

    /// Whether a segment has a cell, be it of a removed slot.
    pub(super) fn has_cells_in(&self, number: usize) -> bool {
        self.segment(number).is_some_and(|segment| segment.present_count > 0)
    }

    /// Number of segments that have a descriptor.
    pub(super) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The segments that a delta column touches, from a number on, ascending.
    pub(super) fn touched_segments(&self, from: usize) -> impl Iterator<Item = usize> {
        self.touched.iter().flat_map(move |touched| touched.from(from)).map(|(number, _)| number)
    }

    /// The slots of a segment that have a cell, as offsets into it, ascending.
    pub(super) fn present_in(&self, file: &BlockFile, number: usize, out: &mut Vec<u16>) -> Result<()> {
        out.clear();
        match self.segment(number) {
            Some(segment) => segment.present(file, out),
            None => Ok(()),
        }
    }

    /// Calls `each` with the slots of a segment that have a cell and are among `slots`, a bit for each, as offsets into the segment, and with
    /// the index of their cell; takes them out of `slots`.
    pub(super) fn take_present(
        &self,
        file: &BlockFile,
        number: usize,
        slots: &mut [u64],
        each: impl FnMut(u32, u32),
    ) -> Result<()> {
        match self.segment(number) {
            Some(segment) => segment.take_present(file, slots, each),
            None => Ok(()),
        }
    }

    /// Whether a delta column removes any slot.
    pub(super) fn removes_any(&self) -> bool {
        self.removed.iter().any(|removed| removed.count > 0)
    }

    /// The removed slots of a delta column's segment, as offsets into it, ascending.
    pub(super) fn removed_in(&self, file: &BlockFile, number: usize, out: &mut Vec<u16>) -> Result<()> {
        out.clear();
        match self.place(number).and_then(|place| self.removed_slots(place)) {
            Some(removed) => removed.present(file, out),
            None => Ok(()),
        }
    }

    /// Which slots of a segment, by its place, are removed, as a segment whose cells these are.
    fn removed_slots(&self, place: usize) -> Option<SegmentView> {
        let (segment, removed) = (self.segments.get(place)?, self.removed.get(place)?);
        if removed.count == segment.present_count {
            return Some(*segment);
        }
        (removed.count > 0).then_some(SegmentView {
            presence: removed.presence,
            present_count: removed.count,
            presence_offset: removed.offset,
            presence_len: removed.len,
            ..*segment
        })
    }

    /// The first removed slot at or after one.
    pub(super) fn next_removed(&self, file: &BlockFile, from: u32) -> Result<Option<u32>> {
        let Some(touched) = &self.touched else { return Ok(None) };
        for (number, place) in touched.from((from >> SEGMENT_SHIFT) as usize) {
            let Some(removed) = self.removed_slots(place) else { continue };
            let start = (number as u32) << SEGMENT_SHIFT;
            if let Some(offset) = removed.next_present(file, from.saturating_sub(start))? {
                return Ok(Some(start + offset));
            }
        }
        Ok(None)
    }

    /// The value of a slot of a base column.
    #[inline]
    pub(super) fn get<'a>(&self, file: &'a BlockFile, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        let Some(index) = segment.cell_index(file, offset)? else { return Ok(None) };
        self.cell(file, segment, index).map(Some)
    }

    /// The encoding of all cells, and where the first is, if they lie one behind the other.
    pub(super) fn uniform_place(&self) -> Option<(Encoding, usize)> {
        self.uniform.map(|uniform| (uniform.encoding, uniform.cells))
    }

    /// What a cell holds, as a number.
    #[inline]
    fn number(&self, file: &BlockFile, segment: &SegmentView, index: u32) -> Result<u64> {
        let width = segment.encoding.width();
        let at = segment.cells + u64::from(index) * width;
        Ok(match segment.encoding {
            Encoding::Constant => 0,
            Encoding::Dictionary8 => u64::from(file.bytes(at, 1)?.first().copied().unwrap_or_default()),
            Encoding::Dictionary16 => u64::from(bytes::u16_at(file.bytes(at, 2)?, 0).unwrap_or_default()),
            Encoding::Text32 | Encoding::Value32 => u64::from(bytes::u32_at(file.bytes(at, 4)?, 0).unwrap_or_default()),
            _ => bytes::u64_at(file.bytes(at, 8)?, 0).unwrap_or_default(),
        })
    }

    /// The value of a segment's cell.
    #[inline]
    pub(super) fn cell<'a>(&self, file: &'a BlockFile, segment: &SegmentView, index: u32) -> Result<ValueRef<'a>> {
        let number = self.number(file, segment, index)?;
        match segment.encoding {
            Encoding::Constant | Encoding::Dictionary8 | Encoding::Dictionary16 => self.entry(file, number as usize),
            Encoding::PlainI64 => Ok(ValueRef::Int(number.cast_signed().into())),
            Encoding::PlainU64 => Ok(ValueRef::Int(number.into())),
            Encoding::PlainF64 => Ok(ValueRef::Float(f64::from_bits(number))),
            Encoding::Text32 | Encoding::Text64 => {
                let (offset, len) = file.heap_entry(file.text_heap(), number)?;
                file.text(offset, len).map(ValueRef::Text)
            }
            Encoding::Value32 | Encoding::Value64 => {
                let (offset, len) = file.heap_entry(file.value_heap(), number)?;
                value::decode(file.bytes(offset, len)?).map_err(|invalid| file.corrupt(invalid.at(offset)))
            }
        }
    }

    /// Asks for a segment's cell.
    pub(super) fn prefetch_cell(file: &BlockFile, segment: &SegmentView, index: u32) {
        let at = segment.cells.saturating_add(u64::from(index) * segment.encoding.width());
        file.verified_bytes().prefetch(usize::try_from(at).unwrap_or(usize::MAX));
    }

    /// Asks for what a segment's cell refers to in a heap.
    pub(super) fn prefetch_content(&self, file: &BlockFile, segment: &SegmentView, index: u32) {
        let heap = match segment.encoding {
            Encoding::Text32 | Encoding::Text64 => self.text_heap,
            Encoding::Value32 | Encoding::Value64 => self.value_heap,
            _ => return,
        };
        if let Ok(position) = self.number(file, segment, index) {
            let at = heap.offset.saturating_add(position.saturating_mul(ENTRY_ALIGNMENT));
            file.verified_bytes().prefetch(usize::try_from(at).unwrap_or(usize::MAX));
        }
    }

    /// The number of the dictionary entry that a slot refers to.
    pub(super) fn entry_number(&self, file: &BlockFile, slot: u32) -> Result<Option<u32>> {
        let Some((segment, index)) = self.locate(file, slot)? else { return Ok(None) };
        self.number(file, segment, index).map(|number| u32::try_from(number).ok())
    }

    /// The value of a dictionary entry.
    #[inline]
    pub(super) fn entry<'a>(&self, file: &'a BlockFile, number: usize) -> Result<ValueRef<'a>> {
        entry_value(file, self.dictionary, number)
    }

    /// Whether the column has a dictionary.
    pub(super) fn has_dictionary(&self) -> bool {
        self.dictionary.len > 0
    }

    /// How the column is stored, for people: the encoding, and the kinds of presence in use.
    pub(super) fn describe(&self) -> (&'static str, String) {
        let encoding = self.segments.first().map_or("none", |segment| segment.encoding.name());
        let used: Vec<&str> = Presence::ALL
            .into_iter()
            .filter(|&presence| self.segments.iter().any(|segment| segment.presence == presence))
            .map(Presence::name)
            .collect();
        (encoding, used.join("+"))
    }
}

/// The value of an entry of a dictionary, which is at `dictionary`.
#[inline]
pub(super) fn entry_value(file: &BlockFile, dictionary: Section, number: usize) -> Result<ValueRef<'_>> {
    let at = bytes::element_offset::<[u8; ENTRY_LEN]>(number) as u64;
    if at >= dictionary.len {
        return Err(file.corrupt(Invalid::new(dictionary.offset, "dictionary", "an entry past the end")));
    }
    let entry = file.bytes(dictionary.offset + at, ENTRY_LEN as u64)?;
    let corrupt = |invalid: Invalid| file.corrupt(invalid.at(dictionary.offset + at));
    match Entry::decode(entry, 0).map_err(corrupt)? {
        Entry::Inline { tag, payload } => inline_value(tag, payload).map_err(corrupt),
        Entry::Text { offset, len } => {
            file.text(file.text_heap().offset.saturating_add(offset), len.into()).map(ValueRef::Text)
        }
        Entry::Heap { tag, offset, len } => {
            let heap = file.value_heap();
            if tag == TAG_TEXT || offset.saturating_add(len.into()) > heap.len {
                return Err(corrupt(Invalid::new(0, "dictionary", "a value past the end of its heap")));
            }
            value::decode_payload(tag, file.bytes(heap.offset + offset, len.into())?).map_err(corrupt)
        }
    }
}

/// The value of a payload that is kept in a dictionary entry.
pub(super) fn inline_value(tag: u8, payload: u64) -> Result<ValueRef<'static>, Invalid> {
    let invalid = || Invalid::new(0, "dictionary", "an entry that is not valid");
    match tag {
        value::TAG_NULL if payload == 0 => Ok(ValueRef::Null),
        value::TAG_BOOL if payload <= 1 => Ok(ValueRef::Bool(payload == 1)),
        value::TAG_INT => Ok(ValueRef::Int(payload.cast_signed().into())),
        value::TAG_UINT if i64::try_from(payload).is_err() => Ok(ValueRef::Int(payload.into())),
        value::TAG_FLOAT => Ok(ValueRef::Float(f64::from_bits(payload))),
        _ => Err(invalid()),
    }
}

impl SegmentView {
    /// Appends the slots that have a cell, as offsets into the segment, ascending.
    fn present(&self, file: &BlockFile, out: &mut Vec<u16>) -> Result<()> {
        match self.presence {
            Presence::None => {}
            Presence::All => out.extend((0..self.slot_count).map(|offset| offset as u16)),
            Presence::Bitmap | Presence::Sorted => {
                let structure = file.bytes(self.presence_offset, self.presence_len)?;
                present_offsets(self.presence, structure, out);
            }
        }
        if out.len() == self.present_count as usize && out.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        Err(file.corrupt(Invalid::new(self.presence_offset, "presence", "it does not have the slots that are stated")))
    }

    /// Calls `each` with the slots that have a cell and are among `slots`, and with the index of their cell; takes them out of `slots`.
    fn take_present(&self, file: &BlockFile, slots: &mut [u64], mut each: impl FnMut(u32, u32)) -> Result<()> {
        let structure = match self.presence {
            Presence::None => return Ok(()),
            Presence::All => &[],
            Presence::Bitmap | Presence::Sorted => file.bytes(self.presence_offset, self.presence_len)?,
        };
        let mut is_past_end = false;
        take_present((self.presence, self.slot_count), structure, slots, |offset, index| {
            is_past_end |= index >= self.present_count;
            each(offset, index);
        });
        if is_past_end {
            return Err(self.past_last_cell(file));
        }
        Ok(())
    }

    #[cold]
    fn past_last_cell(&self, file: &BlockFile) -> Error {
        file.corrupt(Invalid::new(self.presence_offset, "presence", "a rank past the last cell"))
    }

    /// The first slot with a cell at or after one, both as offsets into the segment.
    fn next_present(&self, file: &BlockFile, from: u32) -> Result<Option<u32>> {
        if from >= self.slot_count {
            return Ok(None);
        }
        Ok(match self.presence {
            Presence::None => None,
            Presence::All => Some(from),
            Presence::Bitmap | Presence::Sorted => {
                let structure = file.bytes(self.presence_offset, self.presence_len)?;
                next_present(self.presence, structure, from).filter(|&found| found < self.slot_count)
            }
        })
    }

    /// The index of a slot's cell; `None` when it has no value.
    #[inline]
    fn cell_index(&self, file: &BlockFile, offset: u32) -> Result<Option<u32>> {
        if offset >= self.slot_count {
            return Ok(None);
        }
        let index = match self.presence {
            Presence::None => return Ok(None),
            Presence::All => return Ok(Some(offset)),
            Presence::Bitmap => {
                let word = u64::from(offset >> 6) * 16;
                bitmap_index(file.bytes(self.presence_offset + word, 16)?, offset & 63)
            }
            Presence::Sorted => sorted_index(file.bytes(self.presence_offset, self.presence_len)?, offset),
        };
        match index {
            Some(index) if index >= self.present_count => Err(self.past_last_cell(file)),
            index => Ok(index),
        }
    }
}
