//! The touched slots of a delta column, piece by piece, so that each piece fits in memory.

use super::column_builder::Values;
use super::delta::{Delta, DeltaCells};
use crate::error::Result;
use crate::model::{DimensionId, ValueRef};
use std::ops::Range;

/// One column's cells, in slot order; can be read again. Each piece has whole segments.
pub(super) struct Pieces<'d, 'a> {
    delta: &'d Delta<'a>,
    /// `None` for the axis.
    id: Option<DimensionId>,
    /// Of segments.
    ranges: &'d [Range<u32>],
    next: usize,
    /// The piece that was read last: where there is one only, it is not worked out again.
    last: Option<(usize, DeltaCells<'a>)>,
}

impl<'d, 'a> Pieces<'d, 'a> {
    pub(super) const fn new(delta: &'d Delta<'a>, id: Option<DimensionId>, ranges: &'d [Range<u32>]) -> Self {
        Self { delta, id, ranges, next: 0, last: None }
    }

    pub(super) const fn rewind(&mut self) {
        self.next = 0;
    }

    pub(super) fn next(&mut self) -> Result<Option<&DeltaCells<'a>>> {
        let Some(range) = self.ranges.get(self.next) else { return Ok(None) };
        if self.last.as_ref().is_none_or(|&(number, _)| number != self.next) {
            self.last = None;
            self.last = Some((self.next, self.delta.cells(self.id, range)?));
        }
        self.next += 1;
        Ok(self.current())
    }

    /// The piece that [`next`](Self::next) returned.
    fn current(&self) -> Option<&DeltaCells<'a>> {
        self.last.as_ref().filter(|(number, _)| number + 1 == self.next).map(|(_, cells)| cells)
    }
}

/// The keys among the pieces of the axis.
pub(super) struct DeltaKeys<'d, 'a> {
    pieces: Pieces<'d, 'a>,
    /// In the current piece.
    at: usize,
}

impl<'d, 'a> DeltaKeys<'d, 'a> {
    pub(super) const fn new(pieces: Pieces<'d, 'a>) -> Self {
        Self { pieces, at: 0 }
    }
}

impl Values for DeltaKeys<'_, '_> {
    fn rewind(&mut self) {
        self.pieces.rewind();
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        loop {
            while let Some(cells) = self.pieces.current()
                && let (Some(&slot), Some(&key)) = (cells.slots.get(self.at), cells.values.get(self.at))
            {
                self.at += 1;
                if let Some(key) = key {
                    return Ok(Some((slot, key)));
                }
            }
            if self.pieces.next()?.is_none() {
                return Ok(None);
            }
            self.at = 0;
        }
    }
}
