//! What a patch will say: the changes of an overlay, and of the newest patches where these are merged into it.

use super::cells::Filled;
use super::column_tiers::Tier;
use super::counts::CountChanges;
use super::patch::Patch;
use super::view::{Changes, Origin, View, ascending};
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
    /// Who is at each slot that may change, worked out once for all dimensions; ascending.
    occupants: Vec<SlotOccupants>,
}

/// Where a slot's occupants come from: that of the files, and that of now; `None` where it is free.
#[derive(Clone, Copy, Debug)]
struct SlotOccupants {
    slot: u32,
    before: Option<Tier>,
    now: Option<Origin>,
}

/// Finds slots in ascending order.
struct Cursor<'d, T> {
    rest: &'d [T],
    slot_of: fn(&T) -> u32,
}

impl<'d, T> Cursor<'d, T> {
    /// The item of a slot that is not below the last one asked for.
    fn seek(&mut self, slot: u32) -> Option<&'d T> {
        // The next one is near: search in steps that double.
        let mut step = 1;
        while self.rest.get(step).is_some_and(|item| (self.slot_of)(item) < slot) {
            step *= 2;
        }
        let near = self.rest.get(..=step).unwrap_or(self.rest);
        let at = near.partition_point(|item| (self.slot_of)(item) < slot);
        self.rest = self.rest.get(at..).unwrap_or_default();
        self.rest.first().filter(|item| (self.slot_of)(item) == slot)
    }
}

impl<'a> Delta<'a> {
    /// The overlay of `view` with its newest `merged` patches.
    pub(super) fn new(view: &'a View, merged: usize) -> Result<Self> {
        let patches = view.generation.patches();
        let merged = patches.get(..merged).unwrap_or(patches);
        let changes = view.changes();
        let mut slots = changes.slots.clone();
        changes.cells.values().for_each(|cells| slots.extend(cells));
        for patch in merged {
            for (_, column) in patch.dimensions() {
                column.for_each_touched(|slot| slots.push(slot))?;
            }
        }
        ascending(&mut slots);
        let mut occupants = Vec::with_capacity(slots.len());
        for slot in slots {
            let before = view.generation.axis().tier_of(slot)?;
            let now = match changes.slots.binary_search(&slot) {
                Ok(_) => view.origin(slot, u64::MAX)?,
                Err(_) => before.map(Origin::File),
            };
            occupants.push(SlotOccupants { slot, before, now });
        }
        Ok(Self { view, changes, merged, occupants })
    }

    fn occupants(&self) -> Cursor<'_, SlotOccupants> {
        Cursor { rest: &self.occupants, slot_of: |occupants| occupants.slot }
    }

    /// The keys.
    pub(super) fn axis(&self) -> Result<DeltaCells<'a>> {
        let mut slots = self.changes.slots.clone();
        for delta in self.merged.iter().filter_map(|patch| patch.axis()) {
            delta.column.for_each_touched(|slot| slots.push(slot))?;
        }
        ascending(&mut slots);
        let mut cells = DeltaCells::default();
        for slot in slots {
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
        let mut slots = self.changes.cells.get(&id).cloned().unwrap_or_default();
        if self.is_merged(id) {
            for delta in self.merged.iter().filter_map(|patch| patch.dimension(id)) {
                delta.for_each_touched(|slot| slots.push(slot))?;
            }
            ascending(&mut slots);
        }
        let mut cells = DeltaCells::default();
        let mut occupants = self.occupants();
        for slot in slots {
            if let Some(origin) = occupants.seek(slot).and_then(|occupants| occupants.now)
                && let Some(value) = self.cell(id, slot, origin)?
            {
                cells.push(slot, value);
            }
        }
        Ok(cells)
    }

    /// What these tiers say of a cell, if anything.
    fn cell(&self, id: DimensionId, slot: u32, origin: Origin) -> Result<Option<Option<ValueRef<'a>>>> {
        let oldest = self.merged.last().map_or(u64::MAX, |patch| patch.generation());
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

    /// How the counts of a dimension change, given its cells, and whether those by value are known.
    pub(super) fn counts(&self, id: DimensionId, cells: &DeltaCells<'a>) -> Result<(CountChanges<'a>, bool)> {
        let has_counts = match self.view.generation.column(id) {
            Some(column) => column.has_counts()?,
            None => true,
        };
        let mut changes = if self.is_merged(id) {
            self.view.count_changes(id, &self.changes, u64::MAX, has_counts)?
        } else {
            self.overlay_counts(id, cells, has_counts)?
        };
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

    /// How the overlay changes the counts of a dimension that no merged patch has: `cells` are then all that it holds.
    fn overlay_counts(&self, id: DimensionId, cells: &DeltaCells<'a>, by_value: bool) -> Result<CountChanges<'a>> {
        let column = self.view.generation.column(id).filter(|column| !column.is_empty());
        let mut changes = CountChanges::default();
        // First those whose occupant changed, then the others: each part ascends.
        let of = || self.changes.of(id, column.is_some());
        let occupants_end = if column.is_some() { self.changes.slots.len() } else { 0 };
        for part in [(0, occupants_end), (occupants_end, usize::MAX)] {
            let mut occupants = self.occupants();
            let mut values = Cursor { rest: &cells.slots, slot_of: |&slot| slot };
            for slot in of().take(part.1).skip(part.0) {
                let before = occupants.seek(slot).and_then(|occupants| occupants.before);
                let at = values.seek(slot).map(|_| cells.slots.len() - values.rest.len());
                let new = at.and_then(|at| cells.values.get(at).copied().flatten());
                let old = column.zip(before);
                if by_value {
                    changes.replace_value(old.map_or(Ok(None), |(column, tier)| column.get(slot, tier))?, new);
                } else {
                    let old = old.map_or(Ok(None), |(column, tier)| column.state(slot, tier))?;
                    changes.replace_state(old, new.map(Filled::of));
                }
            }
        }
        Ok(changes)
    }
}
