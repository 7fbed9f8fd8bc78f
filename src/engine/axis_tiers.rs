//! The central axis before the overlay: its file, and what patches changed since.

use super::base_axis::BaseAxis;
use super::column_tiers::{BASE, Tier};
use super::patch::{AxisDelta, DeltaColumn, Patch};
use super::patched_slots::{PatchedSlots, Patches};
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::model::KeyRef;
use std::sync::Arc;

/// The files that say which key is at which slot.
#[derive(Default, Debug)]
pub(super) struct AxisTiers {
    base: Option<Arc<BaseAxis>>,
    /// The newest first.
    patches: Vec<Arc<Patch>>,
    /// The base's tombstones below are not free any more, or were freed again by a patch.
    base_next: u32,
    patched_slots: PatchedSlots,
}

impl AxisTiers {
    /// Of an axis file, and of all patches, the newest first.
    pub(super) fn new(base: Option<Arc<BaseAxis>>, patches: &[Arc<Patch>]) -> Self {
        let base_next = patches.first().map_or(0, |patch| patch.base_next());
        let patches = patches.iter().filter(|patch| patch.axis().is_some()).map(Arc::clone).collect();
        Self { base, patches, base_next, patched_slots: PatchedSlots::new() }
    }

    pub(super) fn base(&self) -> Option<&BaseAxis> {
        self.base.as_deref()
    }

    pub(super) fn shared_base(&self) -> Option<&Arc<BaseAxis>> {
        self.base.as_ref()
    }

    pub(super) fn base_next(&self) -> u32 {
        self.base_next
    }

    /// The newest first, each with its generation.
    #[inline]
    fn deltas(&self) -> impl Iterator<Item = (Tier, &AxisDelta)> {
        self.patches.iter().filter_map(|patch| Some((patch.generation(), patch.axis()?)))
    }

    /// Whether a patch changed the occupant of any slot.
    pub(super) fn is_patched(&self) -> bool {
        !self.patches.is_empty()
    }

    /// Whether a patch may have inserted a key.
    pub(super) fn may_have_inserted(&self, key: KeyRef<'_>) -> bool {
        self.deltas().any(|(_, delta)| delta.may_have_key(key))
    }

    /// The slot of a key, and the tier that put it there.
    #[inline]
    pub(super) fn slot_of(&self, key: KeyRef<'_>) -> Result<Option<(u32, Tier)>> {
        let in_base = match &self.base {
            Some(base) => base.slot_of(key)?,
            None => None,
        };
        if self.patches.is_empty() {
            return Ok(in_base.map(|slot| (slot, BASE)));
        }
        if let Some(slot) = in_base
            && !self.touched_since(slot, BASE)?
        {
            return Ok(Some((slot, BASE)));
        }
        for (tier, delta) in self.deltas() {
            if let Some(slot) = delta.slot_of(key)? {
                return Ok((!self.touched_since(slot, tier)?).then_some((slot, tier)));
            }
        }
        Ok(None)
    }

    /// Whether a patch younger than `tier` changed the occupant of a slot.
    #[inline]
    fn touched_since(&self, slot: u32, tier: Tier) -> Result<bool> {
        for (patch, delta) in self.deltas() {
            if patch <= tier {
                break;
            }
            if delta.column.touches(slot)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a patch changed the occupant of any slot of a segment.
    pub(super) fn touches_segment(&self, number: usize) -> Result<bool> {
        for (_, delta) in self.deltas() {
            if delta.column.resolve()?.1.has_cells_in(number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends the slots of a segment whose occupant a patch changed, as offsets into it, in no order.
    pub(super) fn touched_in(&self, number: usize, out: &mut Vec<u16>) -> Result<()> {
        self.deltas().try_for_each(|(_, delta)| delta.column.touched_in(number, out))
    }

    /// The tier that put a slot's occupant there; `None` for a free slot.
    #[inline]
    pub(super) fn tier_of(&self, slot: u32) -> Result<Option<Tier>> {
        if self.patched_slots.place(slot).is_none_or(|place| place.is_some()) {
            for (tier, delta) in self.deltas() {
                if let Some(removed) = delta.removes(slot)? {
                    return Ok((!removed).then_some(tier));
                }
            }
        }
        match &self.base {
            Some(base) => Ok(base.is_used(slot)?.then_some(BASE)),
            None => Ok(None),
        }
    }

    /// The key of a slot, and the tier that put it there.
    pub(super) fn key_at(&self, slot: u32) -> Result<Option<(KeyRef<'_>, Tier)>> {
        for (tier, delta) in self.deltas() {
            if let Some(key) = delta.get(slot)? {
                return Ok(key.map(|key| (key, tier)));
            }
        }
        match &self.base {
            Some(base) => Ok(base.key_at(slot)?.map(|key| (key, BASE))),
            None => Ok(None),
        }
    }

    /// The first free slot at or after one. It may lie past the last slot in use.
    pub(super) fn next_free(&self, from: u32) -> Result<Option<u32>> {
        let mut lowest = match &self.base {
            Some(base) => base.next_free(from.max(self.base_next))?,
            None => None,
        };
        for (tier, delta) in self.deltas() {
            let mut from = from;
            while let Some(slot) = delta.next_removed(from)?.filter(|&slot| lowest.is_none_or(|lowest| slot < lowest)) {
                if !self.touched_since(slot, tier)? {
                    lowest = Some(slot);
                    break;
                }
                from = slot + 1;
            }
        }
        match lowest {
            // Patches can state anything; a slot that is in use must not be given to another key.
            Some(slot) if self.tier_of(slot)?.is_some() => Err(self.corrupt("a slot in use is said to be free")),
            lowest => Ok(lowest),
        }
    }

    /// Slots that the axis file has.
    #[inline]
    pub(super) fn base_slot_count(&self) -> u32 {
        self.base.as_ref().map_or(0, |base| base.file().header().slot_count.try_into().unwrap_or(u32::MAX))
    }

    /// Whether there can be so many slots: each one past the axis file was put there by a patch. Patches are asked only if there
    /// are any such.
    pub(super) fn has_room_for(&self, slot_count: u32) -> Result<bool> {
        let mut room = self.base.as_ref().map_or(0, |base| base.file().header().slot_count);
        let mut deltas = self.deltas();
        while room < slot_count.into() {
            let Some((_, delta)) = deltas.next() else { return Ok(false) };
            room = room.saturating_add(delta.column.touched_count()?);
        }
        Ok(true)
    }

    #[cold]
    fn corrupt(&self, reason: &'static str) -> Error {
        let invalid = Invalid::new(0, "free slots", reason);
        match (self.patches.first(), &self.base) {
            (Some(patch), _) => patch.file().corrupt(invalid),
            (None, Some(base)) => base.file().corrupt(invalid),
            (None, None) => Error::invalid_argument(reason),
        }
    }
}

impl Patches for AxisTiers {
    #[inline]
    fn patched_slots(&self) -> &PatchedSlots {
        &self.patched_slots
    }

    #[inline]
    fn delta_columns(&self) -> impl Iterator<Item = &DeltaColumn> {
        self.deltas().map(|(_, delta)| &delta.column)
    }
}
