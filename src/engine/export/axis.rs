//! The central axis: what must be known of it before the first byte is written, and its elements.

use super::equality::{Forms, Lookalikes, Wrapped};
use super::output::{Output, WriteError};
use super::work::{Work, keep};
use crate::engine::column_builder::{PresentSlots, Values};
use crate::engine::database::State;
use crate::engine::meter::Meter;
use crate::engine::spill::{Spill, StreamId};
use crate::engine::view::Changes;
use crate::error::Result;
use crate::format::canonical::encode::{self, uint};
use crate::format::column::SEGMENT_LEN;
use crate::model::{KeyRef, Slot, ValueRef};

/// The keys by slot. Slots that nothing newer speaks of are asked of the axis file alone.
pub(super) struct Keys<'s> {
    state: &'s State,
    /// Slots whose occupant a patch or the overlay has changed.
    changed: PresentSlots,
}

impl<'s> Keys<'s> {
    pub(super) fn new(state: &'s State, changes: &Changes) -> Result<Self> {
        let mut changed = PresentSlots::default();
        changes.slots.iter().for_each(|&slot| changed.insert(slot));
        for patch in state.view.generation.patches() {
            if let Some(axis) = patch.axis() {
                axis.column.for_each_touched(|slot| changed.insert(slot))?;
            }
        }
        Ok(Self { state, changed })
    }

    pub(super) fn slot_count(&self) -> u32 {
        self.state.slot_count()
    }

    #[inline]
    fn at(&self, slot: u32) -> Result<Option<ValueRef<'s>>> {
        let state = self.state;
        let key = if self.changed.contains(slot) {
            state.key_at(Slot(slot))?
        } else {
            state.view.generation.axis().base().map_or(Ok(None), |axis| axis.key_at(slot))?
        };
        Ok(key.map(KeyRef::value))
    }

    /// Visits all slots below `end`, ascending.
    fn each(
        &self,
        end: u32,
        meter: &mut Meter<'_>,
        mut visit: impl FnMut(u32, Option<ValueRef<'s>>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for first in (0..end).step_by(SEGMENT_LEN as usize) {
            let after = first.saturating_add(SEGMENT_LEN).min(end);
            for slot in first..after {
                visit(slot, self.at(slot)?)?;
            }
            meter.add((after - first).into())?;
        }
        Ok(())
    }
}

/// The keys as values, numbered by slot.
struct KeyValues<'k, 's> {
    keys: &'k Keys<'s>,
    next: u32,
}

impl Values for KeyValues<'_, '_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        while self.next < self.keys.slot_count() {
            let slot = self.next;
            self.next += 1;
            if let Some(key) = self.keys.at(slot)? {
                return Ok(Some((slot, key)));
            }
        }
        Ok(None)
    }
}

/// The central axis, counted.
#[derive(Default)]
pub(super) struct Axis {
    /// One above the last slot that has a key.
    pub(super) slots: u32,
    /// Slots that have a key.
    pub(super) points: u32,
    /// Slots whose key Python calls equal to that of a lower slot, ascending.
    wrapped: Option<StreamId>,
}

impl Axis {
    pub(super) fn survey(keys: &Keys<'_>, work: &mut Work<'_, '_>) -> Result<Self, WriteError> {
        let mut axis = Self::default();
        if axis.count(keys, work.meter)?.may_be_equal() {
            let (mut build, kept) = work.build();
            if let Some(wrapped) = Wrapped::find(&mut build, &mut KeyValues { keys, next: 0 })? {
                axis.wrapped = Some(keep(&build.spill, wrapped.numbers, kept)?);
            }
        }
        Ok(axis)
    }

    /// Counts the keys, and says which kinds of keys there are.
    fn count(&mut self, keys: &Keys<'_>, meter: &mut Meter<'_>) -> Result<Lookalikes, WriteError> {
        let mut lookalikes = Lookalikes::default();
        keys.each(keys.slot_count(), meter, |slot, key| {
            if let Some(key) = key {
                lookalikes.add(key);
                self.slots = slot + 1;
                self.points += 1;
            }
            Ok(())
        })?;
        Ok(lookalikes)
    }

    /// Writes `vector_points`.
    pub(super) fn write_points(
        &self,
        keys: &Keys<'_>,
        kept: &Spill,
        meter: &mut Meter<'_>,
        out: &mut Output,
    ) -> Result<(), WriteError> {
        let mut forms = Forms::new(self.wrapped, kept)?;
        keys.each(self.slots, meter, |slot, key| {
            match key {
                Some(key) => encode::value(out, key, forms.of(slot, kept)?)?,
                None => encode::nil(out)?,
            }
            Ok(())
        })?;
        self.skip_tail(keys, meter)
    }

    /// Writes `coordinate_map`.
    pub(super) fn write_map(
        &self,
        keys: &Keys<'_>,
        kept: &Spill,
        meter: &mut Meter<'_>,
        out: &mut Output,
    ) -> Result<(), WriteError> {
        let mut forms = Forms::new(self.wrapped, kept)?;
        keys.each(self.slots, meter, |slot, key| {
            if let Some(key) = key {
                encode::key_and_slot(out, key, forms.of(slot, kept)?, Slot(slot))?;
            }
            Ok(())
        })?;
        self.skip_tail(keys, meter)
    }

    /// Slots after the last key count as done.
    fn skip_tail(&self, keys: &Keys<'_>, meter: &mut Meter<'_>) -> Result<(), WriteError> {
        Ok(meter.add((keys.slot_count() - self.slots).into())?)
    }

    /// Writes `free_slots`.
    pub(super) fn write_free(
        &self,
        keys: &Keys<'_>,
        meter: &mut Meter<'_>,
        out: &mut Output,
    ) -> Result<(), WriteError> {
        let mut left = self.slots - self.points;
        for slot in (0..self.slots).rev() {
            if left == 0 {
                break;
            }
            if keys.at(slot)?.is_none() {
                uint(out, slot.into())?;
                left -= 1;
            }
            meter.step()?;
        }
        Ok(())
    }
}
