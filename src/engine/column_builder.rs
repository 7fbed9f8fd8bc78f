//! Building a column file from values in slot order, in bounded memory: picks the encoding, then writes heaps, cells and presence, or
//! cells, presence and dictionary.
//!
//! The values are read several times: once to see what they are and, if they are few, to gather them in a dictionary; then, for
//! another encoding, once or more to write them.

use super::block_writer::BlockWriter;
use super::dictionary_builder::DictionaryBuilder;
use super::heap_builder::write_heap;
use super::mix::Mix;
use super::numbering::{Build, Contents};
use super::segment_writer::SegmentSurvey;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::column::{Column, Encoding, SECTION_COLUMN, SEGMENT_LEN};
use crate::format::manifest::FileEntry;
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_TEXT, TAG_UINT, tag_and_cell};
use crate::model::ValueRef;
use hashbrown::HashTable;

/// Values in slot order, which can be read again.
pub(super) trait Values {
    fn rewind(&mut self);
    /// The next slot that has a value.
    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>>;

    /// Calls `each` with every slot that has a value, and the value's tagged form, from the first on.
    fn visit(&mut self, each: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        let mut tagged = Vec::new();
        self.rewind();
        while let Some((slot, value)) = self.next()? {
            tagged.clear();
            value::encode(value, &mut tagged);
            each(slot, &tagged)?;
        }
        Ok(())
    }
}

/// Which slots have a value, as a bitmap.
#[derive(Clone, Default, Debug)]
pub(super) struct PresentSlots {
    words: Vec<u64>,
    count: u64,
}

impl PresentSlots {
    pub(super) fn insert(&mut self, slot: u32) {
        let word = (slot >> 6) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (slot & 63);
        }
        self.count += 1;
    }

    /// Also those of another set. The count is then that of insertions.
    pub(super) fn insert_all(&mut self, other: &Self) {
        self.words.resize(self.words.len().max(other.words.len()), 0);
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
        self.count += other.count;
    }

    /// Without those of another set, all of which are in this one.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        for (word, less) in words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
        Self { words, count: self.count - other.count }
    }

    /// Whether there are any in a segment.
    pub(super) fn touches_segment(&self, number: usize) -> bool {
        let first = number * (SEGMENT_LEN / 64) as usize;
        let words = self.words.iter().skip(first).take((SEGMENT_LEN / 64) as usize);
        words.fold(0, |any, word| any | word) != 0
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        self.word((slot >> 6) as usize) & (1 << (slot & 63)) != 0
    }

    pub(super) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// The low 64 bits of an integer that has a plain cell; whether it is negative, and whether it needs to be unsigned.
pub(super) fn plain_integer(value: ValueRef<'_>) -> Option<(u64, bool, bool)> {
    let ValueRef::Int(int) = value else { return None };
    if let Ok(signed) = i64::try_from(int) {
        return Some((signed.cast_unsigned(), signed < 0, false));
    }
    u64::try_from(int).ok().map(|unsigned| (unsigned, false, true))
}

/// Which kinds of values there are.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Kinds {
    /// Bit t is set where a value of tag t occurs.
    types: u16,
    has_negative: bool,
}

impl Kinds {
    #[inline]
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        self.types |= 1 << value::tag(value);
        self.has_negative |= matches!(value, ValueRef::Int(int) if int < 0);
    }

    /// Adds a value of a tag; `cell` is the plain cell of a number.
    #[inline]
    pub(super) fn add_tagged(&mut self, tag: u8, cell: u64) {
        self.types |= 1 << tag;
        self.has_negative |= tag == TAG_INT && cell.cast_signed() < 0;
    }

    /// The tag of all values, if it is one.
    pub(super) fn only_tag(self) -> Option<u8> {
        (self.types.count_ones() == 1).then(|| self.types.trailing_zeros() as u8)
    }

    /// Whether a number of 64 bits or a float occurs.
    pub(super) const fn have_numbers(self) -> bool {
        self.types & (1 << TAG_INT | 1 << TAG_UINT | 1 << TAG_FLOAT) != 0
    }

    /// The encoding of plain cells, where all values have one.
    pub(super) fn plain(self) -> Option<Encoding> {
        const INT: u16 = 1 << TAG_INT;
        const UINT: u16 = 1 << TAG_UINT;
        const FLOAT: u16 = 1 << TAG_FLOAT;
        match self.types {
            INT => Some(Encoding::PlainI64),
            FLOAT => Some(Encoding::PlainF64),
            types if types & !(INT | UINT) == 0 && !self.has_negative => Some(Encoding::PlainU64),
            _ => None,
        }
    }

    pub(super) fn is_text(self) -> bool {
        self.types == 1 << TAG_TEXT
    }
}

/// The plain cell of a value.
#[inline]
pub(super) fn plain_cell(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Float(float) => float.to_bits(),
        value => plain_integer(value).map_or(0, |(cell, _, _)| cell),
    }
}

/// What the heap holds of each value.
pub(super) struct HeapContents<'v> {
    values: &'v mut dyn Values,
    is_text: bool,
    tagged: Vec<u8>,
}

impl<'v> HeapContents<'v> {
    pub(super) fn new(values: &'v mut dyn Values, is_text: bool) -> Self {
        Self { values, is_text, tagged: Vec::new() }
    }
}

impl Contents for HeapContents<'_> {
    fn rewind(&mut self) {
        self.values.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        let Some((_, value)) = self.values.next()? else { return Ok(None) };
        self.tagged.clear();
        value::encode(value, &mut self.tagged);
        Ok(self.tagged.get(usize::from(self.is_text)..))
    }

    fn visit(&mut self, spill: &mut Spill, each: &mut dyn FnMut(&mut Spill, &[u8]) -> Result<()>) -> Result<()> {
        let skipped = usize::from(self.is_text);
        self.values.visit(&mut |_, tagged| each(spill, tagged.get(skipped..).unwrap_or_default()))
    }
}

/// What one pass over the values tells.
struct Survey {
    segments: SegmentSurvey,
    kinds: Kinds,
    dictionary: Option<DictionaryBuilder>,
}

/// A column whose file is to be written.
pub(super) struct ColumnBuilder<'v> {
    values: &'v mut dyn Values,
    survey: Survey,
    slot_count: u32,
}

impl<'v> ColumnBuilder<'v> {
    /// Reads the values once. `None` where there are none.
    pub(super) fn new(build: &mut Build<'_, '_>, values: &'v mut dyn Values, slot_count: u32) -> Result<Option<Self>> {
        let mut segments = SegmentSurvey::new(&mut build.spill);
        let mut kinds = Kinds::default();
        let mut dictionary = Some(DictionaryBuilder::new(&mut build.spill));
        let mut at = 0;
        values.visit(&mut |slot, tagged| {
            let (tag, cell) = tag_and_cell(tagged);
            segments.add_tagged(slot, (tag, cell), &mut build.spill)?;
            kinds.add_tagged(tag, cell);
            if let Some(entries) = &mut dictionary
                && !entries.push(tagged, build.hash_seed, &mut build.spill)?
                && let Some(full) = dictionary.take()
            {
                full.clear(&mut build.spill);
            }
            build.meter.step()?;
            if slot - at >= SEGMENT_LEN {
                build.meter.add((slot - at).into())?;
                at = slot;
            }
            Ok(())
        })?;
        build.meter.add((slot_count - at).into())?;
        segments.finish(slot_count, &mut build.spill)?;
        if let Some(larger) = dictionary.take_if(|dictionary| dictionary.is_larger_than_other()) {
            larger.clear(&mut build.spill);
        }
        let survey = Survey { segments, kinds, dictionary };
        Ok((survey.segments.value_count() > 0).then_some(Self { values, survey, slot_count }))
    }

    /// Writes the file; returns also how many values are distinct.
    pub(super) fn write(self, build: &mut Build<'_, '_>, mut writer: BlockWriter<'_>) -> Result<(FileEntry, u64)> {
        let Self { values, survey, slot_count } = self;
        let Survey { segments, kinds, dictionary } = survey;
        let distinct_count = if let Some(dictionary) = &dictionary {
            dictionary.write_column((&segments, &build.spill), &build.spill, &mut writer)?;
            dictionary.len() as u64
        } else if let Some(encoding) = kinds.plain() {
            write_plain(build, values, &segments, encoding, &mut writer)?
        } else {
            write_with_heap(build, values, &segments, kinds.is_text(), &mut writer)?
        };
        let column = Column { distinct_count, ..describe(build.hash_seed, &segments, dictionary.as_ref(), slot_count) };
        writer.section(SECTION_COLUMN, &column.encode())?;
        Ok((writer.finish(slot_count.into(), segments.value_count())?, distinct_count))
    }
}

/// What the section "column" says, but for the count of distinct values.
pub(super) fn describe(
    hash_seed: u64,
    segments: &SegmentSurvey,
    dictionary: Option<&DictionaryBuilder>,
    slot_count: u32,
) -> Column {
    Column {
        distinct_count: 0,
        null_count: segments.null_count(),
        hash_seed,
        dictionary_count: dictionary.map_or(0, |dictionary| dictionary.len() as u32),
        dictionary_index_len: dictionary.map_or(0, |dictionary| dictionary.index_len() as u32),
        segment_count: slot_count.div_ceil(SEGMENT_LEN),
        value_types: segments.value_types(),
    }
}

/// Writes plain cells; returns how many are distinct.
fn write_plain(
    build: &mut Build<'_, '_>,
    values: &mut dyn Values,
    segments: &SegmentSurvey,
    encoding: Encoding,
    writer: &mut BlockWriter<'_>,
) -> Result<u64> {
    let mut distinct = DistinctCells::new(build, segments.value_count());
    let Build { spill, meter, .. } = build;
    let mut cells = segments.begin_cells(encoding, writer)?;
    values.visit(&mut |_, tagged| {
        let (_, cell) = tag_and_cell(tagged);
        cells.push(cell.to_le_bytes(), writer)?;
        meter.step()?;
        distinct.add(cell, spill)
    })?;
    cells.finish(spill, writer)?;
    distinct.count(build)
}

/// Writes a heap and cells that point into it; returns how many contents are distinct.
fn write_with_heap(
    build: &mut Build<'_, '_>,
    values: &mut dyn Values,
    segments: &SegmentSurvey,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<u64> {
    // The heap comes first: where its entries go depends on their offset in the file.
    let mut contents = HeapContents::new(values, is_text);
    let heap = write_heap(build, &mut contents, is_text, writer)?;
    let distinct_count = heap.distinct_count;
    heap.write_cells(build, segments, writer)?;
    Ok(distinct_count)
}

/// Appends a cell that is a position in a heap.
pub(super) fn encode_position(position: u64, width: u64, out: &mut Vec<u8>) {
    match width {
        4 => out.extend((position as u32).to_le_bytes()),
        _ => out.extend(position.to_le_bytes()),
    }
}

/// Parts that cells are dealt out to.
const PARTS_MAX: u64 = 4096;
/// Cells of a part: the set of them is then in a cache of the processor.
const PART_LEN: u64 = 32 << 10;

/// Cells to be counted, dealt out so that those of one part fit in memory.
pub(super) struct DistinctCells {
    parts: Vec<StreamId>,
    mix: Mix,
}

impl DistinctCells {
    /// For so many cells.
    pub(super) fn new(build: &mut Build<'_, '_>, count: u64) -> Self {
        // A set takes at most 32 bytes for each cell, half of them while it grows.
        let part_len = PART_LEN.min(build.limit as u64 / 32).max(1);
        let parts = count.div_ceil(part_len).clamp(1, PARTS_MAX);
        Self { parts: (0..parts).map(|_| build.spill.stream()).collect(), mix: Mix::new() }
    }

    #[inline]
    pub(super) fn add(&mut self, cell: u64, spill: &mut Spill) -> Result<()> {
        let part = (u128::from(self.mix.of(cell)) * self.parts.len() as u128) >> 64;
        match self.parts.get(part as usize) {
            Some(&part) => spill.append(part, &cell.to_le_bytes()),
            None => Ok(()),
        }
    }

    /// How many are distinct.
    pub(super) fn count(self, build: &mut Build<'_, '_>) -> Result<u64> {
        let mut distinct = 0;
        let mut cells: HashTable<u64> = HashTable::new();
        // The high bits are the same in a part, and a table tells its entries apart by them.
        let hash = |cell: &u64| self.mix.of(*cell).rotate_left(32);
        for part in self.parts {
            let mut reader = StreamReader::new(part);
            while let Some(cell) = reader.u64(&build.spill)? {
                cells.entry(hash(&cell), |&other| other == cell, hash).or_insert(cell);
                build.meter.step()?;
            }
            build.spill.clear(part);
            distinct += cells.len() as u64;
            cells.clear();
        }
        Ok(distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::meter::Meter;
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    /// Whoever chooses the values once could choose the part too, and one part then took memory for all of them.
    #[test]
    fn cells_that_a_fixed_hash_would_put_in_one_part_are_dealt_out_evenly() {
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let mut build = Build::new(Arc::new(MemoryStorage::new()), 1 << 20, 5, &mut meter);
        build.limit = 4096;
        let fixed = |cell: u64| (cell ^ (cell >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let cells: Vec<u64> = (0u64..).filter(|&cell| fixed(cell) < 1 << 56).take(20_000).collect();
        let mut distinct = DistinctCells::new(&mut build, cells.len() as u64);
        for &cell in cells.iter().chain(&cells) {
            distinct.add(cell, &mut build.spill).unwrap();
        }
        let parts = distinct.parts.len() as u64;
        let longest = distinct.parts.iter().map(|&part| build.spill.len(part) / 8).max().unwrap();
        assert!(parts > 50 && longest < 4 * 40_000 / parts, "{longest} of 40,000 cells in one of {parts} parts");
        assert_eq!(distinct.count(&mut build).unwrap(), 20_000);
    }
}
