//! A dimension: what must be known of it before the first byte is written, and its elements.

use super::equality::{Forms, Lookalikes, Wrapped};
use super::ids::Ids;
use super::output::{Output, WriteError};
use super::ref_counts::RefCounts;
use super::values::DistinctValues;
use super::work::{Work, keep};
use crate::engine::column_builder::Values;
use crate::engine::meter::Meter;
use crate::engine::scan::Segments;
use crate::engine::spill::{Spill, StreamId};
use crate::format::canonical::encode::{self, uint};

/// A dimension, counted.
pub(super) struct Column {
    /// Slots that have a value.
    pub(super) cells: u32,
    /// Distinct values.
    pub(super) values: u32,
    ids: Ids,
    /// The ids of values that Python calls equal to one with a lower id, ascending.
    wrapped: Option<StreamId>,
}

impl Column {
    pub(super) fn survey(segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Self, WriteError> {
        let ids = Ids::of(segments, work)?;
        let (cells, values) = ids.counts(segments, work.kept)?;
        work.meter.add(u64::from(segments.slot_count()))?;
        let mut column = Self { cells, values, ids, wrapped: None };
        if column.lookalikes(segments, work)?.may_be_equal() {
            let (mut build, kept) = work.build();
            let mut values = DistinctValues::new(segments.clone(), ids, column.values, kept);
            if let Some(wrapped) = Wrapped::find(&mut build, &mut values)? {
                column.wrapped = Some(keep(&build.spill, wrapped.numbers, kept)?);
            }
        }
        Ok(column)
    }

    /// Which kinds of values there are; none, where the column file says that Python calls none of them equal.
    fn lookalikes(&self, segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Lookalikes, WriteError> {
        let mut lookalikes = Lookalikes::default();
        if segments.stated_types()?.is_some_and(Lookalikes::are_none_among) {
            return Ok(lookalikes);
        }
        let mut values = DistinctValues::new(segments.clone(), self.ids, self.values, work.kept);
        while let Some((_, value)) = values.next()? {
            lookalikes.add(value);
            work.meter.step()?;
        }
        Ok(lookalikes)
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
        let mut ids = self.ids.reader();
        for segment in segments.clone() {
            let segment = segment?;
            for (index, offset) in segment.offsets().enumerate() {
                let (id, _) = ids.next(kept, &segment, index)?;
                counts.add(id);
                encode::pair(out, segment.first_slot().0 + u32::from(offset), id)?;
            }
            meter.add(segment.slot_count() as u64)?;
        }
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
