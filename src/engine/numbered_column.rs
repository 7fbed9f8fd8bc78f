//! Building a column file from numbers, in bounded memory: each distinct value is there once, and cells have its number.
//!
//! A long value in many cells costs no more than a short one. The encoding is picked, and the file written, as by
//! [`ColumnBuilder`](super::column_builder::ColumnBuilder), which has values for cells.

use super::block_writer::BlockWriter;
use super::column_builder::{Kinds, describe};
use super::dictionary_builder::DictionaryBuilder;
use super::heap_builder::write_distinct_heap;
use super::late_values::ValueReader;
use super::numbering::{Build, Contents, Numbered, Translation};
use super::segment_writer::SegmentSurvey;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::column::{Column, DICTIONARY_COUNT_MAX, Encoding, SECTION_COLUMN, SEGMENT_LEN};
use crate::format::manifest::FileEntry;
use crate::format::value::tag_and_cell;

/// Cells in slot order and their values, in streams of the build's spill.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberedCells {
    /// For each cell, how many slots were passed over since the one before.
    pub(super) slots: StreamId,
    /// The number of each cell's value. There is at least one.
    pub(super) numbered: Numbered,
    /// Distinct values in order of their numbers, as a [`ValueWriter`](super::late_values::ValueWriter) wrote them.
    pub(super) values: StreamId,
}

/// A column whose file is to be written.
pub(super) struct NumberedColumn {
    cells: NumberedCells,
    kinds: Kinds,
    segments: SegmentSurvey,
    dictionary: Option<DictionaryBuilder>,
    /// The plain cell of each distinct value, if there are numbers.
    plain: Option<StreamId>,
    slot_count: u32,
}

impl NumberedColumn {
    /// Reads values and cells once or twice.
    pub(super) fn new(build: &mut Build<'_, '_>, cells: NumberedCells, slot_count: u32) -> Result<Self> {
        let mut kinds = Kinds::default();
        let mut dictionary =
            (cells.numbered.distinct <= DICTIONARY_COUNT_MAX as u64).then(|| DictionaryBuilder::new(&mut build.spill));
        let mut values = ValueReader::new(cells.values);
        while let Some((_, tagged)) = values.next(&build.spill)? {
            let (tag, cell) = tag_and_cell(tagged);
            kinds.add_tagged(tag, cell);
            if let Some(dictionary) = &mut dictionary {
                dictionary.push_entry(tagged, build.hash_seed, &mut build.spill)?;
            }
            build.meter.step()?;
        }
        let segments = SegmentSurvey::new(&mut build.spill);
        let mut column = Self { cells, kinds, segments, dictionary, plain: None, slot_count };
        column.survey(build)?;
        if let Some(larger) = column.dictionary.take_if(|dictionary| dictionary.is_larger_than_other()) {
            larger.clear(&mut build.spill);
        }
        Ok(column)
    }

    /// Reads the cells.
    fn survey(&mut self, build: &mut Build<'_, '_>) -> Result<()> {
        let numbered = self.cells.numbered;
        let only_tag = self.kinds.only_tag();
        let (mut tags, mut cells) = self.tags_and_cells(build)?;
        let mut slots = StreamReader::new(self.cells.slots);
        let mut numbers = StreamReader::new(numbered.numbers);
        let (mut next, mut at) = (0, 0);
        while let Some(gap) = slots.number(&build.spill)? {
            let slot = next + gap as u32;
            next = slot + 1;
            let tag = match &mut tags {
                Some(tags) => tags.next(&build.spill)?.map(|tag| tag as u8),
                None => only_tag,
            };
            let cell = match &mut cells {
                Some(cells) => cells.next(&build.spill)?.unwrap_or_default(),
                None => 0,
            };
            self.segments.add_tagged(slot, (tag.unwrap_or_default(), cell), &mut build.spill)?;
            if let Some(dictionary) = &mut self.dictionary
                && let Some(number) = numbers.u32(&build.spill)?
            {
                dictionary.push_cell(number, &mut build.spill)?;
            }
            build.meter.step()?;
            if slot - at >= SEGMENT_LEN {
                build.meter.add((slot - at).into())?;
                at = slot;
            }
        }
        build.meter.add((self.slot_count - at).into())?;
        self.segments.finish(self.slot_count, &mut build.spill)
    }

    /// The tag of each cell's value, if they are not all the same, and the plain cell, if there are numbers.
    fn tags_and_cells(&mut self, build: &mut Build<'_, '_>) -> Result<(Option<Translation>, Option<Translation>)> {
        let tags = self.kinds.only_tag().is_none().then(|| build.spill.stream());
        self.plain = self.kinds.have_numbers().then(|| build.spill.stream());
        if tags.is_none() && self.plain.is_none() {
            return Ok((None, None));
        }
        let mut values = ValueReader::new(self.cells.values);
        while let Some((tag, cell)) = values.next(&build.spill)?.map(|(_, tagged)| tag_and_cell(tagged)) {
            for (stream, number) in [(tags, tag.into()), (self.plain, cell)] {
                if let Some(stream) = stream {
                    build.spill.append(stream, &u64::to_le_bytes(number))?;
                }
            }
            build.meter.step()?;
        }
        let table_len = build.limit / 2;
        let mut translation = |stream: Option<StreamId>| {
            stream.map(|stream| Translation::new(build, &self.cells.numbered, stream, table_len)).transpose()
        };
        Ok((translation(tags)?, translation(self.plain)?))
    }

    /// Writes the file.
    pub(super) fn write(self, build: &mut Build<'_, '_>, mut writer: BlockWriter<'_>) -> Result<FileEntry> {
        let Self { cells, kinds, segments, dictionary, plain, slot_count } = self;
        if let Some(dictionary) = &dictionary {
            dictionary.write_column((&segments, &build.spill), &build.spill, &mut writer)?;
        } else if let (Some(encoding), Some(plain)) = (kinds.plain(), plain) {
            write_plain(build, &cells.numbered, plain, &segments, encoding, &mut writer)?;
        } else {
            let mut contents = ValueContents { reader: ValueReader::new(cells.values), is_text: kinds.is_text() };
            let heap = write_distinct_heap(build, &mut contents, &cells.numbered, kinds.is_text(), &mut writer)?;
            heap.write_cells(build, &segments, &mut writer)?;
        }
        let described = describe(build.hash_seed, &segments, dictionary.as_ref(), slot_count);
        let column = Column { distinct_count: cells.numbered.distinct, ..described };
        writer.section(SECTION_COLUMN, &column.encode())?;
        writer.finish(slot_count.into(), segments.value_count())
    }
}

fn write_plain(
    build: &mut Build<'_, '_>,
    numbered: &Numbered,
    plain: StreamId,
    segments: &SegmentSurvey,
    encoding: Encoding,
    writer: &mut BlockWriter<'_>,
) -> Result<()> {
    let mut cells = Translation::new(build, numbered, plain, build.limit)?;
    let Build { spill, meter, .. } = build;
    segments.write(encoding, spill, writer, |spill, out| {
        out.extend(cells.next(spill)?.unwrap_or_default().to_le_bytes());
        meter.step()
    })
}

/// What the heap holds of each distinct value.
struct ValueContents {
    reader: ValueReader,
    is_text: bool,
}

impl Contents for ValueContents {
    fn rewind(&mut self) {
        self.reader.rewind();
    }

    fn next(&mut self, spill: &Spill) -> Result<Option<&[u8]>> {
        let value = self.reader.next(spill)?;
        Ok(value.and_then(|(_, tagged)| tagged.get(usize::from(self.is_text)..)))
    }
}
