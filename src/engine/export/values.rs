//! Values one by one, each with a number in place of a slot.

use super::ids::{IdReader, Ids};
use crate::engine::column_builder::Values;
use crate::engine::scan::Segments;
use crate::engine::segment::{Dictionary, Segment};
use crate::engine::spill::Spill;
use crate::error::Result;
use crate::model::ValueRef;

/// The values of all cells of a dimension in slot order, numbered 0, 1, 2 and so on.
pub(super) struct CellValues<'s> {
    start: Segments<'s>,
    segments: Segments<'s>,
    segment: Option<Segment<'s>>,
    /// The next one of the segment.
    index: usize,
    number: u32,
}

impl<'s> CellValues<'s> {
    pub(super) fn new(segments: Segments<'s>) -> Self {
        Self { start: segments.clone(), segments, segment: None, index: 0, number: 0 }
    }

    /// The segment of the next cell, and where among its values that is.
    #[inline]
    fn place(&mut self) -> Result<Option<(&Segment<'s>, usize)>> {
        while self.segment.as_ref().is_none_or(|segment| self.index >= segment.value_count()) {
            match self.segments.next() {
                Some(segment) => self.segment = Some(segment?),
                None => return Ok(None),
            }
            self.index = 0;
        }
        self.index += 1;
        self.number = self.number.wrapping_add(1);
        Ok(self.segment.as_ref().map(|segment| (segment, self.index - 1)))
    }
}

impl Values for CellValues<'_> {
    fn rewind(&mut self) {
        *self = Self::new(self.start.clone());
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        let number = self.number;
        let Some((segment, index)) = self.place()? else { return Ok(None) };
        Ok(Some((number, segment.value(index)?)))
    }
}

/// The distinct values of a dimension by id.
pub(super) struct DistinctValues<'k, 's> {
    cells: CellValues<'s>,
    kept: &'k Spill,
    ids: Ids,
    reader: IdReader,
    last: u32,
    count: u32,
}

impl<'k, 's> DistinctValues<'k, 's> {
    /// There are `count` of them.
    pub(super) fn new(segments: Segments<'s>, ids: Ids, count: u32, kept: &'k Spill) -> Self {
        Self { cells: CellValues::new(segments), kept, ids, reader: ids.reader(), last: 0, count }
    }
}

impl Values for DistinctValues<'_, '_> {
    fn rewind(&mut self) {
        self.cells.rewind();
        self.reader = self.ids.reader();
        self.last = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        while self.last < self.count {
            let Some((segment, index)) = self.cells.place()? else { break };
            if let (id, true) = self.reader.next(self.kept, segment, index)? {
                self.last = id;
                let Some(segment) = &self.cells.segment else { break };
                return Ok(Some((id, segment.value(index)?)));
            }
        }
        Ok(None)
    }
}

/// The values of a dictionary.
pub(super) struct DictionaryValues<'s> {
    dictionary: Dictionary<'s>,
    next: u32,
}

impl<'s> DictionaryValues<'s> {
    pub(super) const fn new(dictionary: Dictionary<'s>) -> Self {
        Self { dictionary, next: 0 }
    }
}

impl Values for DictionaryValues<'_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        let number = self.next;
        if number as usize >= self.dictionary.len() {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some((number, self.dictionary.get(number as usize)?)))
    }
}
