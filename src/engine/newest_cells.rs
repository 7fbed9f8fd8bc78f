//! The newest cells of a dimension, in the order of slots, of all tiers.

use super::base_column::BaseColumn;
use super::column_tiers::ColumnTiers;
use super::newest_patches::NewestPatches;
use super::view::View;
use crate::error::Result;
use crate::model::{DimensionId, ValueRef};

/// Reads the cells of a dimension segment by segment.
pub(super) struct NewestCells<'a> {
    view: &'a View,
    base: Option<&'a BaseColumn>,
    patches: NewestPatches<'a, 'static>,
    /// What the overlay changed, ascending: the slot in the high half, the number of the newest cell in the low one.
    changed: Vec<u64>,
    /// Changes before this one are of lower slots than the last one asked for.
    next: usize,
}

impl<'a> NewestCells<'a> {
    /// Of a view with one overlay; `None` where it has two.
    pub(super) fn new(view: &'a View, dimension: DimensionId) -> Option<Self> {
        let column = view.generation.column(dimension);
        let patches = column.map_or(&[][..], ColumnTiers::patches);
        if view.frozen.is_some() {
            return None;
        }
        let of_dimension = view.active.newest_cells().filter(|&(id, _, _)| id == dimension);
        let mut changed: Vec<u64> =
            of_dimension.map(|(_, slot, item)| u64::from(slot) << 32 | u64::from(item)).collect();
        changed.sort_unstable();
        let patches = NewestPatches::by_segment(patches.iter().map(|patch| &**patch).collect());
        Some(Self { view, base: column.and_then(ColumnTiers::base), patches, changed, next: 0 })
    }

    /// The value of a slot that still has the occupant that the base has there. Slots that ascend cost least.
    pub(super) fn get(&mut self, slot: u32) -> Result<Option<ValueRef<'a>>> {
        if let Some(item) = self.changed(slot) {
            return Ok(self.view.active.newest_cell(item, 0).flatten());
        }
        match self.patches.get(slot)? {
            Some(cell) => cell.value(),
            None => self.base.map_or(Ok(None), |base| base.get(slot)),
        }
    }

    /// The number of the newest cell of a slot that the overlay changed.
    fn changed(&mut self, slot: u32) -> Option<u32> {
        let slot_at = |at: usize| self.changed.get(at).map(|&changed| (changed >> 32) as u32);
        if self.next > 0 && slot_at(self.next - 1) >= Some(slot) {
            self.next = self.changed.partition_point(|&changed| ((changed >> 32) as u32) < slot);
        }
        while slot_at(self.next).is_some_and(|next| next < slot) {
            self.next += 1;
        }
        self.changed.get(self.next).filter(|&&changed| (changed >> 32) as u32 == slot).map(|&changed| changed as u32)
    }
}
