//! Where a column is in its file: its parts, and the bytes of each segment in them.

use super::block_file::BlockFile;
use crate::error::Result;
use crate::format::block_file::Section;
use crate::format::column::{
    SECTION_CELLS, SECTION_DICTIONARY, SECTION_PRESENCE, SECTION_SEGMENTS, Segment, SegmentKind,
};
use crate::format::patch::{Extent, overlap};

/// Where the parts of a column are in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnExtents {
    pub(super) kind: SegmentKind,
    pub(super) segments: Section,
    pub(super) cells: Section,
    pub(super) presence: Section,
    pub(super) dictionary: Section,
}

impl ColumnExtents {
    /// Those of a file that has one column.
    pub(super) fn of(file: &BlockFile) -> Self {
        Self {
            kind: SegmentKind::Base,
            segments: file.section(SECTION_SEGMENTS),
            cells: file.section(SECTION_CELLS),
            presence: file.section(SECTION_PRESENCE),
            dictionary: file.section(SECTION_DICTIONARY),
        }
    }

    /// The descriptor at a place among the segments, read again and checked.
    pub(super) fn segment(&self, file: &BlockFile, place: usize) -> Result<Segment> {
        let (bytes, slot_count) = (file.section_bytes(self.segments)?, file.header().slot_count);
        let decoded = Segment::decode(bytes, place, self.kind, slot_count, self.cells.len, self.presence.len);
        decoded.map_err(|invalid| file.corrupt(invalid.at(self.segments.offset)))
    }
}

/// The bytes that segments of a delta column say are theirs, from the start of their part.
#[derive(Default)]
pub(super) struct SegmentExtents {
    cells: Vec<Extent>,
    presence: Vec<Extent>,
}

impl SegmentExtents {
    pub(super) fn add(&mut self, segment: &Segment) {
        self.cells.push((segment.cells_offset, segment.cells_len));
        self.presence.push((segment.presence_offset, segment.presence_len));
        self.presence.push((segment.removed.offset, segment.removed.len));
    }

    /// Whether any two share bytes.
    pub(super) fn overlap(&mut self) -> bool {
        overlap(&mut self.cells) || overlap(&mut self.presence)
    }
}
