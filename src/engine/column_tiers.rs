//! The values of a dimension before the overlay: its column file, and what patches changed since.

use super::base_column::BaseColumn;
use super::cells::Filled;
use super::patch::DeltaColumn;
use super::patched_slots::{PatchedSlots, Patches};
use crate::error::Result;
use crate::model::ValueRef;
use std::sync::Arc;

/// The generation of the patch that put a slot's occupant there; [`BASE`] for the axis file. Cells of older tiers were another
/// key's.
pub(super) type Tier = u64;

/// The tier of what is in the axis file.
pub(super) const BASE: Tier = 0;

/// The files that say what a dimension's values are.
#[derive(Default, Debug)]
pub(super) struct ColumnTiers {
    base: Option<Arc<BaseColumn>>,
    /// The newest first.
    patches: Vec<Arc<DeltaColumn>>,
    patched_slots: PatchedSlots,
}

impl ColumnTiers {
    /// Of a column file, and of delta columns, the newest first.
    pub(super) const fn new(base: Option<Arc<BaseColumn>>, patches: Vec<Arc<DeltaColumn>>) -> Self {
        Self { base, patches, patched_slots: PatchedSlots::new() }
    }

    pub(super) fn base(&self) -> Option<&BaseColumn> {
        self.base.as_deref()
    }

    pub(super) fn shared_base(&self) -> Option<&Arc<BaseColumn>> {
        self.base.as_ref()
    }

    /// The newest first.
    pub(super) fn patches(&self) -> &[Arc<DeltaColumn>] {
        &self.patches
    }

    /// Whether no file says anything of the dimension.
    pub(super) fn is_empty(&self) -> bool {
        self.base.is_none() && self.patches.is_empty()
    }

    /// The value of a slot whose occupant comes from `tier`.
    #[inline]
    pub(super) fn get(&self, slot: u32, tier: Tier) -> Result<Option<ValueRef<'_>>> {
        if !self.patches.is_empty()
            && let Some(settled) = self.get_from_patches(slot, tier)?
        {
            return Ok(settled);
        }
        match &self.base {
            Some(base) if tier == BASE => base.get(slot),
            _ => Ok(None),
        }
    }

    /// What patches say of a slot; nothing where the base decides.
    fn get_from_patches(&self, slot: u32, tier: Tier) -> Result<Option<Option<ValueRef<'_>>>> {
        match self.patched_slots.place(slot) {
            Some(None) => return Ok(None),
            Some(Some(place)) => match self.patches.get(place.patch()) {
                Some(patch) if patch.generation() >= tier => return patch.value_at(slot, place.index()).map(Some),
                _ => return Ok(Some(None)),
            },
            None => {}
        }
        for patch in &self.patches {
            if patch.generation() < tier {
                return Ok(Some(None));
            }
            if let Some(value) = patch.get(slot)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Asks for where patches have the value of a slot.
    #[inline]
    pub(super) fn prefetch_place(&self, slot: u32) {
        self.patched_slots.prefetch_place(slot);
    }

    /// Asks for the value that a patch has of a slot, once its place is there: first for the cell, then for what that refers to.
    #[inline]
    pub(super) fn prefetch_value<const CONTENT: bool>(&self, slot: u32) {
        if let Some(Some(place)) = self.patched_slots.place(slot)
            && let Some(patch) = self.patches.get(place.patch())
        {
            patch.prefetch::<CONTENT>(slot, place.index());
        }
    }

    /// Whether a slot whose occupant comes from `tier` has a value, and whether that is null.
    pub(super) fn state(&self, slot: u32, tier: Tier) -> Result<Option<Filled>> {
        for patch in self.patches.iter().take_while(|patch| patch.generation() >= tier) {
            if let Some(state) = patch.state(slot)? {
                return Ok(state);
            }
        }
        match &self.base {
            Some(base) if tier == BASE => base.state(slot),
            _ => Ok(None),
        }
    }

    /// Points that have a value, and of these nulls.
    pub(super) fn point_counts(&self) -> Result<(u64, u64)> {
        let (mut points, mut nulls) = match self.base() {
            Some(base) => (base.value_count(), base.resolve()?.0.null_count),
            None => (0, 0),
        };
        for patch in &self.patches {
            points = points.wrapping_add_signed(patch.entry().points_change);
            nulls = nulls.wrapping_add_signed(patch.entry().nulls_change);
        }
        Ok((points, nulls))
    }

    /// Whether the number of points of each value is known without a scan.
    pub(super) fn has_counts(&self) -> Result<bool> {
        let base_counts = match self.base() {
            Some(base) => base.resolve()?.1.has_dictionary(),
            None => true,
        };
        Ok(base_counts && self.patches.iter().all(|patch| patch.entry().has_counts))
    }
}

impl Patches for ColumnTiers {
    #[inline]
    fn patched_slots(&self) -> &PatchedSlots {
        &self.patched_slots
    }

    #[inline]
    fn delta_columns(&self) -> impl Iterator<Item = &DeltaColumn> {
        self.patches.iter().map(|patch| &**patch)
    }
}
