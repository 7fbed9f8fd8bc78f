//! Reading a column: of a dimension's base file, or of the keys of an axis file.

use super::block_file::BlockFile;
use crate::error::Result;
use crate::format::block_file::Section;
use crate::format::column::{
    Column, ENTRY_LEN, Encoding, Entry, NO_ENTRY, Presence, SECTION_CELLS, SECTION_COLUMN, SECTION_COUNTS,
    SECTION_DICTIONARY, SECTION_DICTIONARY_INDEX, SECTION_PRESENCE, SECTION_SEGMENTS, SECTION_TEXT_HEAP,
    SECTION_VALUE_HEAP, SEGMENT_RECORD_LEN, SEGMENT_SHIFT, Segment, bitmap_index, sorted_index,
};
use crate::format::value::{self, TAG_TEXT};
use crate::format::{Invalid, bytes};
use crate::model::ValueRef;
use std::sync::OnceLock;

/// A segment, with offsets from the start of the file.
#[derive(Clone, Copy, Debug)]
struct SegmentView {
    encoding: Encoding,
    presence: Presence,
    slot_count: u32,
    present_count: u32,
    cells: u64,
    presence_offset: u64,
    presence_len: u64,
}

/// Segments and sections of a column, checked once.
#[derive(Debug)]
pub(super) struct Cells {
    segments: Box<[SegmentView]>,
    dictionary: Section,
    text_heap: Section,
    value_heap: Section,
}

impl Cells {
    /// Reads and checks the segment descriptors.
    pub(super) fn resolve(file: &BlockFile) -> Result<Self> {
        let slot_count = file.header().slot_count;
        let section = file.section(SECTION_SEGMENTS);
        let (cells, presence) = (file.section(SECTION_CELLS), file.section(SECTION_PRESENCE));
        let bytes = file.section_bytes(section)?;
        let count = slot_count.div_ceil(1 << SEGMENT_SHIFT);
        let corrupt = |invalid: Invalid| file.corrupt(invalid.at(section.offset));
        if count.checked_mul(SEGMENT_RECORD_LEN as u64) != Some(section.len) {
            return Err(corrupt(Invalid::new(0, "segment descriptor", "the number of segments does not match")));
        }
        let mut segments = Vec::with_capacity(count as usize);
        let (mut present, mut dictionaries) = (0u64, 0u64);
        for index in 0..count as usize {
            let segment = Segment::decode(bytes, index, slot_count, cells.len, presence.len).map_err(corrupt)?;
            present += u64::from(segment.present_count);
            dictionaries += u64::from(segment.encoding.is_dictionary());
            segments.push(SegmentView {
                encoding: segment.encoding,
                presence: segment.presence,
                slot_count: segment.slot_count,
                present_count: segment.present_count,
                cells: cells.offset + segment.cells_offset,
                presence_offset: presence.offset + segment.presence_offset,
                presence_len: segment.presence_len,
            });
        }
        let file_kind = Invalid::new(0, "segment descriptor", "some segments use a dictionary and some do not");
        if dictionaries != 0 && dictionaries != count {
            return Err(corrupt(file_kind));
        }
        Ok(Self {
            segments: segments.into_boxed_slice(),
            dictionary: file.section(SECTION_DICTIONARY),
            text_heap: file.section(SECTION_TEXT_HEAP),
            value_heap: file.section(SECTION_VALUE_HEAP),
        })
        .and_then(|cells: Self| {
            let expected = if file.section(SECTION_COLUMN).len == 0 { slot_count } else { file.header().value_count };
            if present == expected {
                return Ok(cells);
            }
            Err(corrupt(Invalid::new(0, "segment descriptor", "the number of values does not match")))
        })
    }

    /// The value of a slot.
    #[inline]
    pub(super) fn get<'a>(&self, file: &'a BlockFile, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        let Some(index) = segment.cell_index(file, offset)? else { return Ok(None) };
        self.cell(file, segment, index).map(Some)
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

    #[inline]
    fn cell<'a>(&self, file: &'a BlockFile, segment: &SegmentView, index: u32) -> Result<ValueRef<'a>> {
        let number = self.number(file, segment, index)?;
        match segment.encoding {
            Encoding::Constant | Encoding::Dictionary8 | Encoding::Dictionary16 => self.entry(file, number as usize),
            Encoding::PlainI64 => Ok(ValueRef::Int(number.cast_signed().into())),
            Encoding::PlainU64 => Ok(ValueRef::Int(number.into())),
            Encoding::PlainF64 => Ok(ValueRef::Float(f64::from_bits(number))),
            Encoding::Text32 | Encoding::Text64 => {
                let (offset, len) = file.heap_entry(self.text_heap, number)?;
                file.text(self.text_heap, offset, len).map(ValueRef::Text)
            }
            Encoding::Value32 | Encoding::Value64 => {
                let (offset, len) = file.heap_entry(self.value_heap, number)?;
                value::decode(file.bytes(offset, len)?).map_err(|invalid| file.corrupt(invalid.at(offset)))
            }
        }
    }

    /// The number of the dictionary entry that a slot refers to.
    pub(super) fn entry_number(&self, file: &BlockFile, slot: u32) -> Result<Option<u32>> {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return Ok(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        let Some(index) = segment.cell_index(file, offset)? else { return Ok(None) };
        self.number(file, segment, index).map(|number| u32::try_from(number).ok())
    }

    /// The value of a dictionary entry.
    #[inline]
    pub(super) fn entry<'a>(&self, file: &'a BlockFile, number: usize) -> Result<ValueRef<'a>> {
        let at = bytes::element_offset::<[u8; ENTRY_LEN]>(number) as u64;
        if at >= self.dictionary.len {
            return Err(file.corrupt(Invalid::new(self.dictionary.offset, "dictionary", "an entry past the end")));
        }
        let entry = file.bytes(self.dictionary.offset + at, ENTRY_LEN as u64)?;
        let corrupt = |invalid: Invalid| file.corrupt(invalid.at(self.dictionary.offset + at));
        match Entry::decode(entry, 0).map_err(corrupt)? {
            Entry::Inline { tag, payload } => inline_value(tag, payload).map_err(corrupt),
            Entry::Text { offset, len } => {
                file.text(self.text_heap, self.text_heap.offset.saturating_add(offset), len.into()).map(ValueRef::Text)
            }
            Entry::Heap { tag, offset, len } => {
                let heap = self.value_heap;
                if tag == TAG_TEXT || offset.saturating_add(len.into()) > heap.len {
                    return Err(corrupt(Invalid::new(0, "dictionary", "a value past the end of its heap")));
                }
                value::decode_payload(tag, file.bytes(heap.offset + offset, len.into())?).map_err(corrupt)
            }
        }
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

/// The value of a payload that is kept in a dictionary entry.
fn inline_value(tag: u8, payload: u64) -> Result<ValueRef<'static>, Invalid> {
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
            Some(index) if index >= self.present_count => {
                Err(file.corrupt(Invalid::new(self.presence_offset, "presence", "a rank past the last cell")))
            }
            index => Ok(index),
        }
    }
}

/// The base file of a dimension.
#[derive(Debug)]
pub(super) struct BaseColumn {
    file: BlockFile,
    resolved: OnceLock<(Column, Cells)>,
}

impl BaseColumn {
    pub(super) const fn new(file: BlockFile) -> Self {
        Self { file, resolved: OnceLock::new() }
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    /// The descriptors, read and checked at the first call.
    #[inline]
    pub(super) fn resolve(&self) -> Result<&(Column, Cells)> {
        match self.resolved.get() {
            Some(resolved) => Ok(resolved),
            None => self.resolve_first(),
        }
    }

    #[cold]
    fn resolve_first(&self) -> Result<&(Column, Cells)> {
        let section = self.file.section(SECTION_COLUMN);
        let corrupt = |invalid: Invalid| self.file.corrupt(invalid.at(section.offset));
        let column = Column::decode(self.file.section_bytes(section)?).map_err(corrupt)?;
        let cells = Cells::resolve(&self.file)?;
        let count = u64::from(column.dictionary_count);
        let lens = [
            (SECTION_DICTIONARY, count * ENTRY_LEN as u64),
            (SECTION_COUNTS, count * 4),
            (SECTION_DICTIONARY_INDEX, u64::from(column.dictionary_index_len) * 4),
        ];
        if lens.iter().any(|&(kind, len)| self.file.section(kind).len != len) {
            return Err(corrupt(Invalid::new(24, "column descriptor", "a dictionary of another length")));
        }
        if u64::from(column.segment_count) != cells.segments.len() as u64 {
            return Err(corrupt(Invalid::new(36, "column descriptor", "the number of segments does not match")));
        }
        Ok(self.resolved.get_or_init(|| (column, cells)))
    }

    /// The value of a slot.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Result<Option<ValueRef<'_>>> {
        self.resolve()?.1.get(&self.file, slot)
    }

    /// Number of slots that have a value.
    pub(super) fn value_count(&self) -> u64 {
        self.file.header().value_count
    }

    /// How often a dictionary entry is used.
    pub(super) fn count(&self, number: u32) -> Result<u32> {
        let section = self.file.section(SECTION_COUNTS);
        let counts = self.file.section_bytes(section)?;
        bytes::u32_at(counts, number as usize * 4)
            .ok_or_else(|| self.file.corrupt(Invalid::new(section.offset, "counts", "an entry past the end")))
    }

    /// The dictionary entry of a value.
    pub(super) fn find(&self, value: ValueRef<'_>) -> Result<Option<u32>> {
        let (column, cells) = self.resolve()?;
        let section = self.file.section(SECTION_DICTIONARY_INDEX);
        let index = self.file.section_bytes(section)?;
        let mask = column.dictionary_index_len.wrapping_sub(1);
        let mut place = value::hash(value, column.hash_seed) as u32 & mask;
        for _ in 0..column.dictionary_index_len {
            match bytes::u32_at(index, place as usize * 4) {
                Some(NO_ENTRY) | None => return Ok(None),
                Some(number) => {
                    if cells.entry(&self.file, number as usize)? == value {
                        return Ok(Some(number));
                    }
                }
            }
            place = place.wrapping_add(1) & mask;
        }
        Ok(None)
    }
}
