//! The newest cells of a dimension, in the order of slots: the tiers are read one after the other for each segment, which tells whose cell is the
//! newest, instead of asking each of them about each slot.

use super::base_column::BaseColumn;
use super::column_tiers::ColumnTiers;
use super::patch::DeltaColumn;
use super::view::View;
use crate::error::Result;
use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::model::{DimensionId, ValueRef};
use std::sync::Arc;

/// Which tier has the newest cell of a slot: the base, a patch by its number, or the overlay.
type Tier = u8;

const BASE: Tier = 0;
const OVERLAY: Tier = u8::MAX;

/// Reads the cells of a dimension segment by segment.
pub(super) struct NewestCells<'a> {
    view: &'a View,
    base: Option<&'a BaseColumn>,
    /// The newest first; the first one is patch 1.
    patches: &'a [Arc<DeltaColumn>],
    /// What the overlay changed, ascending: the slot in the high half, the number of the newest cell in the low one.
    changed: Vec<u64>,
    /// The segment that was read last.
    segment: Option<u32>,
    /// The tier of each slot of it.
    tiers: Vec<Tier>,
    /// Where the next change of the overlay is.
    next: usize,
}

impl<'a> NewestCells<'a> {
    /// Of a view with one overlay; `None` where it has two, or too many patches.
    pub(super) fn new(view: &'a View, dimension: DimensionId) -> Option<Self> {
        let column = view.generation.column(dimension);
        let patches = column.map_or(&[][..], ColumnTiers::patches);
        if view.frozen.is_some() || patches.len() >= usize::from(OVERLAY) {
            return None;
        }
        let of_dimension = view.active.newest_cells().filter(|&(id, _, _)| id == dimension);
        let mut changed: Vec<u64> =
            of_dimension.map(|(_, slot, item)| u64::from(slot) << 32 | u64::from(item)).collect();
        changed.sort_unstable();
        let base = column.and_then(ColumnTiers::base);
        Some(Self { view, base, patches, changed, segment: None, tiers: Vec::new(), next: 0 })
    }

    /// The value of a slot that still has the occupant that the base has there. Slots that ascend cost least.
    pub(super) fn get(&mut self, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let number = slot >> SEGMENT_SHIFT;
        if self.segment != Some(number) {
            self.read(number)?;
        }
        let tier = self.tiers.get((slot % SEGMENT_LEN) as usize).copied().unwrap_or(BASE);
        match tier {
            BASE => self.base.map_or(Ok(None), |base| base.get(slot)),
            OVERLAY => Ok(self.changed(slot).and_then(|item| self.view.active.newest_cell(item, 0)).flatten()),
            patch => match self.patches.get(usize::from(patch) - 1) {
                Some(patch) => Ok(patch.get(slot)?.flatten()),
                None => Ok(None),
            },
        }
    }

    /// The number of the newest cell of a slot that the overlay changed.
    fn changed(&mut self, slot: u32) -> Option<u32> {
        let slot_of = |changed: u64| (changed >> 32) as u32;
        let is_next = |at: usize| self.changed.get(at).copied().filter(|&changed| slot_of(changed) == slot);
        let found = is_next(self.next).or_else(|| {
            self.next = self.changed.partition_point(|&changed| slot_of(changed) < slot);
            is_next(self.next)
        })?;
        self.next += 1;
        Some(found as u32)
    }

    fn read(&mut self, number: u32) -> Result<()> {
        self.segment = None;
        self.tiers.clear();
        self.tiers.resize(SEGMENT_LEN as usize, BASE);
        let tiers = &mut self.tiers;
        let mut set = |slot: u32, tier| {
            if let Some(place) = tiers.get_mut((slot % SEGMENT_LEN) as usize) {
                *place = tier;
            }
        };
        // What is newer takes the place of what is older.
        for (tier, patch) in (1..).zip(self.patches).collect::<Vec<_>>().into_iter().rev() {
            patch.for_each_touched_in(&(number..number + 1), |slot| set(slot, tier))?;
        }
        let start = self.changed.partition_point(|&changed| changed >> (32 + SEGMENT_SHIFT) < u64::from(number));
        let changed = self.changed.get(start..).unwrap_or_default().iter();
        let slots = changed.map(|&changed| (changed >> 32) as u32);
        slots.take_while(|&slot| slot >> SEGMENT_SHIFT == number).for_each(|slot| set(slot, OVERLAY));
        (self.segment, self.next) = (Some(number), start);
        Ok(())
    }
}
