//! What a patch will say: the changes of an overlay, and of the newest patches where these are merged into it.

use super::counts::CountChanges;
use super::patch::Patch;
use super::view::{Changes, Origin, View};
use crate::error::Result;
use crate::model::{DimensionId, ValueRef};
use std::sync::Arc;

/// Touched slots, ascending, and what each holds now: a value, or nothing.
#[derive(Default, Debug)]
pub(super) struct DeltaCells<'a> {
    pub(super) slots: Vec<u32>,
    pub(super) values: Vec<Option<ValueRef<'a>>>,
}

impl<'a> DeltaCells<'a> {
    fn push(&mut self, slot: u32, value: Option<ValueRef<'a>>) {
        self.slots.push(slot);
        self.values.push(value);
    }
}

/// The tiers that go into a patch.
pub(super) struct Delta<'a> {
    /// The generation, and the overlay to write down as the active one.
    view: &'a View,
    changes: Changes,
    /// The newest patches, newest first.
    merged: &'a [Arc<Patch>],
}

impl<'a> Delta<'a> {
    /// The overlay of `view` with its newest `merged` patches.
    pub(super) fn new(view: &'a View, merged: usize) -> Self {
        let patches = view.generation.patches();
        Self { view, changes: view.changes(), merged: patches.get(..merged).unwrap_or(patches) }
    }

    /// The keys.
    pub(super) fn axis(&self) -> Result<DeltaCells<'a>> {
        let mut slots: Vec<u32> = self.changes.slots.iter().copied().collect();
        for delta in self.merged.iter().filter_map(|patch| patch.axis()) {
            delta.column.for_each_touched(|slot| slots.push(slot))?;
        }
        let mut cells = DeltaCells::default();
        for slot in ascending(slots) {
            let key = self.view.key_at(slot, u64::MAX)?.map(|(key, _)| key.value());
            cells.push(slot, key);
        }
        Ok(cells)
    }

    /// The highest tombstone of the axis file that any patch touches, plus one.
    pub(super) fn base_next(&self, axis: &DeltaCells<'_>) -> Result<u32> {
        let tiers = self.view.generation.axis();
        let Some(base) = tiers.base() else { return Ok(0) };
        // The slots ascend: the last one that is a tombstone counts.
        for &slot in axis.slots.iter().rev() {
            if slot < base.slot_count()? && !base.is_used(slot)? {
                return Ok(tiers.base_next().max(slot + 1));
            }
        }
        Ok(tiers.base_next())
    }

    /// The cells of a dimension.
    pub(super) fn column(&self, id: DimensionId) -> Result<DeltaCells<'a>> {
        let mut slots: Vec<u32> = self.changes.cells.get(&id).into_iter().flatten().copied().collect();
        for delta in self.merged.iter().filter_map(|patch| patch.dimension(id)) {
            delta.for_each_touched(|slot| slots.push(slot))?;
        }
        let mut cells = DeltaCells::default();
        for slot in ascending(slots) {
            if let Some(value) = self.cell(id, slot)? {
                cells.push(slot, value);
            }
        }
        Ok(cells)
    }

    /// What these tiers say of a cell, if anything.
    fn cell(&self, id: DimensionId, slot: u32) -> Result<Option<Option<ValueRef<'a>>>> {
        let oldest = self.merged.last().map_or(u64::MAX, |patch| patch.generation());
        let Some(origin) = self.view.origin(slot, u64::MAX)? else { return Ok(None) };
        let (from, tier) = match origin {
            Origin::Overlay { stamp, .. } => (stamp, None),
            Origin::File(tier) => (0, Some(tier)),
        };
        // Where the occupant came with one of these tiers, older ones are not asked, and a removal goes without saying.
        let is_new = tier.is_none_or(|tier| tier >= oldest);
        let says = |value: Option<ValueRef<'a>>| if is_new && value.is_none() { None } else { Some(value) };
        if let Some(value) = self.view.active.cell(id, slot, from, u64::MAX) {
            return Ok(says(value.map(|value| value.as_ref())));
        }
        let Some(tier) = tier else { return Ok(None) };
        for patch in self.merged.iter().take_while(|patch| patch.generation() >= tier) {
            if let Some(delta) = patch.dimension(id)
                && let Some(value) = delta.get(slot)?
            {
                return Ok(says(value));
            }
        }
        Ok(None)
    }

    /// Whether these tiers may change a dimension: its cells, or its counts by what became of points.
    pub(super) fn concerns(&self, id: DimensionId) -> bool {
        !self.changes.slots.is_empty() || self.changes.touches(id) || self.is_merged(id)
    }

    /// Whether a merged patch has the dimension.
    pub(super) fn is_merged(&self, id: DimensionId) -> bool {
        self.merged.iter().any(|patch| patch.dimension(id).is_some())
    }

    /// How the counts of a dimension change, and whether those by value are known.
    pub(super) fn counts(&self, id: DimensionId) -> Result<(CountChanges<'a>, bool)> {
        let has_counts = match self.view.generation.column(id) {
            Some(column) => column.has_counts()?,
            None => true,
        };
        let mut changes = self.view.count_changes(id, &self.changes, u64::MAX, has_counts)?;
        for delta in self.merged.iter().filter_map(|patch| patch.dimension(id)) {
            changes.points = changes.points.wrapping_add(delta.entry().points_change);
            changes.nulls = changes.nulls.wrapping_add(delta.entry().nulls_change);
            if has_counts {
                delta.for_each_change(|value, change| {
                    let sum = changes.values.entry(value).or_default();
                    *sum = sum.wrapping_add(change);
                })?;
            }
        }
        changes.values.retain(|_, change| *change != 0);
        Ok((changes, has_counts))
    }
}

fn ascending(mut slots: Vec<u32>) -> Vec<u32> {
    slots.sort_unstable();
    slots.dedup();
    slots
}
