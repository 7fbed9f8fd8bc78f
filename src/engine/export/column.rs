//! A dimension: what must be known of it before the first byte is written, and its elements.

use super::equality::{Forms, Lookalikes, Wrapped};
use super::ids::Ids;
use super::output::{Output, WriteError};
use super::ref_counts::RefCounts;
use super::values::{DistinctValues, Values};
use super::work::{Work, keep};
use crate::engine::meter::Meter;
use crate::engine::scan::Segments;
use crate::engine::segment::Segment;
use crate::engine::spill::{Spill, StreamId};
use crate::format::canonical::encode::{self, Form, pair_len, uint, uint_len, value_len};

/// A dimension, counted and measured.
pub(super) struct Column {
    /// Slots that have a value.
    pub(super) cells: u32,
    /// Distinct values.
    pub(super) values: u32,
    /// Bytes of the pairs of `value_domain`, `coordinate_to_value_id` and `ref_counts`.
    pub(super) domain_len: u64,
    pub(super) ids_len: u64,
    pub(super) counts_len: u64,
    ids: Ids,
    /// The ids of values that Python calls equal to one with a lower id, ascending.
    wrapped: Option<StreamId>,
}

/// A cell, the value at `index` of a segment, and its id.
struct Cell<'a, 's> {
    segment: &'a Segment<'s>,
    index: usize,
    slot: u32,
    id: u32,
    /// No cell before has the same value.
    is_first: bool,
}

impl Column {
    pub(super) fn survey(segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Self, WriteError> {
        let ids = Ids::of(segments, work)?;
        let mut column = Self { cells: 0, values: 0, domain_len: 0, ids_len: 0, counts_len: 0, ids, wrapped: None };
        if column.measure(segments, work)?.may_be_equal() {
            let (mut build, kept) = work.build();
            let mut values = DistinctValues::new(segments.clone(), ids, column.values, kept);
            if let Some(wrapped) = Wrapped::find(&mut build, &mut values)? {
                column.domain_len += wrapped.more_len;
                column.wrapped = Some(keep(&build.spill, wrapped.numbers, kept)?);
            }
        }
        Ok(column)
    }

    /// Counts and measures as if no value were equal to another, and says which kinds of values there are.
    fn measure(&mut self, segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Lookalikes, WriteError> {
        let (mut cells, mut domain_len, mut ids_len) = (0u32, 0, 0);
        let mut lookalikes = Lookalikes::default();
        let mut counts = RefCounts::new(self.ids, work.counts_len());
        self.each_cell(segments, work.kept, work.meter, |cell| {
            if cell.is_first {
                let value = cell.segment.value(cell.index)?;
                lookalikes.add(value);
                domain_len += uint_len(cell.id.into()) + value_len(value, Form::Plain)?;
            }
            cells += 1;
            ids_len += pair_len(cell.slot, cell.id);
            counts.add(cell.id);
            Ok(())
        })?;
        (self.cells, self.domain_len, self.ids_len) = (cells, domain_len, ids_len);
        self.values = counts.each(work.kept, work.meter, |id, count| {
            self.counts_len += pair_len(id, count);
            Ok(())
        })?;
        Ok(lookalikes)
    }

    /// Visits the cells in slot order.
    fn each_cell<'s>(
        &self,
        segments: &Segments<'s>,
        kept: &Spill,
        meter: &mut Meter<'_>,
        mut visit: impl FnMut(Cell<'_, 's>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let mut ids = self.ids.reader();
        for segment in segments.clone() {
            let segment = segment?;
            for (index, offset) in segment.offsets().enumerate() {
                let (id, is_first) = ids.next(kept, &segment, index)?;
                let slot = segment.first_slot().0 + u32::from(offset);
                visit(Cell { segment: &segment, index, slot, id, is_first })?;
            }
            meter.add(segment.slot_count() as u64)?;
        }
        Ok(())
    }

    /// Writes `value_domain`.
    pub(super) fn write_domain(
        &self,
        segments: &Segments<'_>,
        kept: &Spill,
        meter: &mut Meter<'_>,
        out: &mut Output,
    ) -> Result<(), WriteError> {
        let mut values = DistinctValues::new(segments.clone(), self.ids, self.values, kept);
        let mut forms = Forms::new(self.wrapped, kept)?;
        while let Some((id, value)) = values.next()? {
            uint(out, id.into())?;
            encode::value(out, value, forms.of(id, kept)?)?;
            meter.step()?;
        }
        Ok(())
    }

    /// Writes `coordinate_to_value_id`; what is returned knows the counts of the ids.
    pub(super) fn write_ids(
        &self,
        segments: &Segments<'_>,
        counts_len: usize,
        kept: &Spill,
        meter: &mut Meter<'_>,
        out: &mut Output,
    ) -> Result<RefCounts, WriteError> {
        let mut counts = RefCounts::new(self.ids, counts_len);
        self.each_cell(segments, kept, meter, |cell| {
            counts.add(cell.id);
            Ok(encode::pair(out, cell.slot, cell.id)?)
        })?;
        Ok(counts)
    }

    /// Lets go of what is kept of it.
    pub(super) fn clear(&self, kept: &mut Spill) {
        self.ids.clear(kept);
        if let Some(wrapped) = self.wrapped {
            kept.clear(wrapped);
        }
    }
}
