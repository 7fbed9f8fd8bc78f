//! Building a heap: entries placed by the rules of the format, equal contents stored once.

use super::block_writer::BlockWriter;
use super::column_builder::encode_position;
use super::numbering::{Build, Contents, FirstUses, Numbered, Translation, number};
use super::segment_writer::SegmentSurvey;
use crate::error::Result;
use crate::format::column::{Encoding, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP};
use crate::format::heap;

/// Appends one entry to the open section of a file, and returns the file offsets of the entry and of its content.
pub(super) fn write_entry(content: &[u8], writer: &mut BlockWriter<'_>) -> Result<(u64, u64)> {
    let entry = heap::place(writer.position(), content.len());
    let start = entry + heap::prefix_len(content.len()) as u64;
    let end = (start + content.len() as u64).next_multiple_of(heap::ENTRY_ALIGNMENT);
    match writer.room_up_to(end) {
        Some((position, buffer)) => {
            buffer.resize(buffer.len() + (entry - position) as usize, 0);
            heap::encode_prefix(content.len(), buffer);
            buffer.extend_from_slice(content);
            buffer.resize(buffer.len() + (end - start) as usize - content.len(), 0);
        }
        None => {
            let mut prefix = Vec::with_capacity(6);
            heap::encode_prefix(content.len(), &mut prefix);
            writer.pad_to(entry)?;
            writer.write(&prefix)?;
            writer.write(content)?;
            writer.pad_to(end)?;
        }
    }
    Ok((entry, start))
}

/// A heap that is written, and where the content of each cell is in it.
pub(super) struct Heap {
    pub(super) encoding: Encoding,
    pub(super) distinct_count: u64,
    /// Positions, in units of 2 bytes from the start of the heap.
    pub(super) cells: Translation,
}

impl Heap {
    /// Writes the cells, which point into it.
    pub(super) fn write_cells(
        mut self,
        build: &mut Build<'_, '_>,
        segments: &SegmentSurvey,
        writer: &mut BlockWriter<'_>,
    ) -> Result<()> {
        let width = self.encoding.width();
        let Build { spill, meter, .. } = build;
        segments.write(self.encoding, spill, writer, |spill, out| {
            encode_position(self.cells.next(spill)?.unwrap_or_default(), width, out);
            meter.step()
        })
    }
}

/// The encoding of cells that point into a heap of so many bytes.
pub(super) const fn encoding(is_text: bool, len: u64) -> Encoding {
    let wide = len.div_ceil(heap::ENTRY_ALIGNMENT) > u32::MAX as u64;
    match (is_text, wide) {
        (true, false) => Encoding::Text32,
        (true, true) => Encoding::Text64,
        (false, false) => Encoding::Value32,
        (false, true) => Encoding::Value64,
    }
}

/// The section of a heap.
pub(super) const fn section_kind(is_text: bool) -> u32 {
    if is_text { SECTION_TEXT_HEAP } else { SECTION_VALUE_HEAP }
}

/// Writes the heap of the contents of all cells.
pub(super) fn write_heap(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<Heap> {
    let numbered = number(build, contents)?;
    write_numbered_heap(build, contents, &numbered, is_text, writer)
}

/// Writes the heap of the contents of all cells, whose numbers are known.
pub(super) fn write_numbered_heap(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    numbered: &Numbered,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<Heap> {
    write_entries(build, contents, numbered, Some(FirstUses::new(numbered)), is_text, writer)
}

/// Writes the heap of contents of which each comes once, in the order of their numbers. `numbered` has the number of each cell.
pub(super) fn write_distinct_heap(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    numbered: &Numbered,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<Heap> {
    write_entries(build, contents, numbered, None, is_text, writer)
}

/// Writes all contents, or those that are used for the first time.
fn write_entries(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    numbered: &Numbered,
    mut uses: Option<FirstUses>,
    is_text: bool,
    writer: &mut BlockWriter<'_>,
) -> Result<Heap> {
    let positions = build.spill.stream();
    let start = writer.begin_section(section_kind(is_text))?;
    let Build { spill, meter, .. } = build;
    contents.visit(spill, &mut |spill, content| {
        let is_first = match &mut uses {
            Some(uses) => uses.next(spill)?.is_some_and(|(_, is_first)| is_first),
            None => true,
        };
        if is_first {
            let (entry, _) = write_entry(content, writer)?;
            let position = (entry - start) / heap::ENTRY_ALIGNMENT;
            spill.append(positions, &position.to_le_bytes())?;
        }
        meter.step()
    })?;
    let len = writer.position() - start;
    writer.end_section();
    let cells = Translation::new(build, numbered, positions, build.limit)?;
    Ok(Heap { encoding: encoding(is_text, len), distinct_count: numbered.distinct, cells })
}
