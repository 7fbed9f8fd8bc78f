//! A consistent state: the base files, what was committed since, and up to where.
//!
//! Reading asks the tiers from the newest to the oldest: the active overlay, the one that a checkpoint is writing down, the
//! base. A slot whose occupant changed in a tier is never looked up in older ones.

use super::column_tiers::{BASE, ColumnTiers, Tier};
use super::generation::{BaseDimension, Generation};
use super::overlay::{Commit, Definition, Overlay};
use crate::error::Result;
use crate::model::{DimensionId, KeyRef, ValueRef};
use hashbrown::HashMap;
use std::sync::Arc;

/// The tiers that are in force.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) generation: Arc<Generation>,
    /// What a checkpoint is writing down.
    pub(super) frozen: Option<Arc<Overlay>>,
    /// Where commits go.
    pub(super) active: Arc<Overlay>,
}

/// Where a slot's occupant was put there; cells from before do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// By a file.
    File(Tier),
    /// By an overlay: the first is the active one. With the stamp.
    Overlay { tier: usize, stamp: u64 },
}

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    pub(super) sequence: u64,
    pub(super) time: i64,
    pub(super) stamp: u64,
    pub(super) slot_count: u32,
    pub(super) point_count: u32,
}

impl From<Commit> for Moment {
    fn from(commit: Commit) -> Self {
        Self {
            sequence: commit.sequence,
            time: commit.time,
            stamp: commit.stamp,
            slot_count: commit.slot_count,
            point_count: commit.point_count,
        }
    }
}

/// A dimension as a view knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DimensionName<'a> {
    pub(super) id: DimensionId,
    pub(super) name: &'a str,
    /// Its files, if there are any.
    pub(super) column: Option<&'a ColumnTiers>,
}

impl<'a> From<&'a BaseDimension> for DimensionName<'a> {
    fn from(base: &'a BaseDimension) -> Self {
        Self { id: base.id, name: &base.name, column: Some(&base.column) }
    }
}

impl<'a> From<&'a Definition> for DimensionName<'a> {
    fn from(definition: &'a Definition) -> Self {
        Self { id: definition.id, name: &definition.name, column: None }
    }
}

impl View {
    /// The newest first.
    #[inline]
    pub(super) fn overlays(&self) -> impl Iterator<Item = &Overlay> {
        std::iter::once(&*self.active).chain(self.frozen.as_deref())
    }

    /// The state after a commit, or after the last one that this view knows before it.
    pub(super) fn moment(&self, sequence: u64) -> Moment {
        let known = |overlay: &Overlay| {
            let last = overlay.last_commit()?;
            overlay.commit(sequence.min(last.sequence)).map(Moment::from)
        };
        self.overlays().find_map(known).unwrap_or(Moment {
            sequence: self.generation.manifest.last_sequence,
            time: self.generation.manifest.last_commit_time,
            stamp: 0,
            slot_count: self.generation.manifest.slot_count,
            point_count: self.generation.manifest.point_count,
        })
    }

    /// The slot of a key, and where its occupant comes from.
    #[inline]
    pub(super) fn resolve(&self, key: KeyRef<'_>, stamp: u64) -> Result<Option<(u32, Origin)>> {
        for (tier, overlay) in self.overlays().enumerate() {
            if let Some(occupant) = overlay.occupant_by_key(key, stamp) {
                let origin = Origin::Overlay { tier, stamp: occupant.stamp };
                return Ok(occupant.alive.then_some((occupant.slot, origin)));
            }
        }
        Ok(self.generation.axis().slot_of(key)?.map(|(slot, tier)| (slot, Origin::File(tier))))
    }

    /// Where a slot's occupant comes from; `None` for a free slot.
    #[inline]
    pub(super) fn origin(&self, slot: u32, stamp: u64) -> Result<Option<Origin>> {
        for (tier, overlay) in self.overlays().enumerate() {
            if let Some(occupant) = overlay.occupant_by_slot(slot, stamp) {
                return Ok(occupant.alive.then_some(Origin::Overlay { tier, stamp: occupant.stamp }));
            }
        }
        Ok(self.generation.axis().tier_of(slot)?.map(Origin::File))
    }

    /// The key of a slot, and where it comes from; `None` for a free slot.
    pub(super) fn key_at(&self, slot: u32, stamp: u64) -> Result<Option<(KeyRef<'_>, Origin)>> {
        for (tier, overlay) in self.overlays().enumerate() {
            if let Some(occupant) = overlay.occupant_by_slot(slot, stamp) {
                let origin = Origin::Overlay { tier, stamp: occupant.stamp };
                return Ok(occupant.alive.then(|| (occupant.key.as_ref(), origin)));
            }
        }
        Ok(self.generation.axis().key_at(slot)?.map(|(key, tier)| (key, Origin::File(tier))))
    }

    /// The value of a slot in use in a dimension, whose files are `column`.
    #[inline]
    pub(super) fn cell_of<'a>(
        &'a self,
        id: DimensionId,
        column: Option<&'a ColumnTiers>,
        slot: u32,
        origin: Origin,
        stamp: u64,
    ) -> Result<Option<ValueRef<'a>>> {
        let (oldest, from, file) = match origin {
            Origin::File(file) => (usize::MAX, 0, file),
            Origin::Overlay { tier, stamp } => (tier, stamp, BASE),
        };
        for (tier, overlay) in self.overlays().enumerate() {
            if let Some(value) = overlay.cell(id, slot, from, stamp) {
                return Ok(value);
            }
            if tier == oldest {
                return Ok(None);
            }
        }
        column.map_or(Ok(None), |column| column.get(slot, file))
    }

    /// The value of a slot in a dimension, whoever occupies it; `None` for a free slot.
    pub(super) fn cell(&self, id: DimensionId, slot: u32, stamp: u64) -> Result<Option<ValueRef<'_>>> {
        match self.origin(slot, stamp)? {
            Some(origin) => self.cell_of(id, self.generation.column(id), slot, origin, stamp),
            None => Ok(None),
        }
    }

    /// The dimension of a name.
    pub(super) fn dimension(&self, name: &str, stamp: u64) -> Option<DimensionName<'_>> {
        if let Some(base) = self.generation.by_name(name) {
            return Some(base.into());
        }
        self.overlays().find_map(|overlay| overlay.definition(name, stamp)).map(Into::into)
    }

    /// All dimensions, in the order of their first use.
    pub(super) fn dimensions(&self, stamp: u64) -> Vec<DimensionName<'_>> {
        let mut names: Vec<_> = self.generation.dimensions().iter().map(Into::into).collect();
        for overlay in self.frozen.as_deref().into_iter().chain(std::iter::once(&*self.active)) {
            let defined = overlay.definitions(stamp);
            names.extend(defined.map(DimensionName::from));
        }
        names
    }

    /// The slots whose value in a dimension the overlays may have changed, ascending; those whose occupant changed count only
    /// where there is a base file, whose cells they hide.
    pub(super) fn changed_slots(&self, id: DimensionId, has_base: bool) -> Vec<u32> {
        let mut slots = Vec::new();
        for overlay in self.overlays() {
            slots.extend(overlay.changed_cells().filter(|&(changed, _)| changed == id).map(|(_, slot)| slot));
            if has_base {
                slots.extend(overlay.changed_slots());
            }
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// What the overlays have changed, for each dimension, in slot order.
    pub(super) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for overlay in self.overlays() {
            changes.slots.extend(overlay.changed_slots());
            for (id, slot) in overlay.changed_cells() {
                changes.cells.entry(id).or_default().push(slot);
            }
        }
        ascending(&mut changes.slots);
        changes.cells.values_mut().for_each(ascending);
        changes
    }
}

/// Slots and cells that may differ from the files; all in ascending order, none twice.
#[derive(Default, Debug)]
pub(crate) struct Changes {
    /// Slots whose occupant changed.
    pub(super) slots: Vec<u32>,
    /// Slots whose cell was set or removed, by dimension.
    pub(super) cells: HashMap<DimensionId, Vec<u32>>,
}

impl Changes {
    /// Whether a cell of a dimension was set or removed.
    pub(super) fn touches(&self, id: DimensionId) -> bool {
        self.cells.contains_key(&id)
    }

    /// The slots whose value in a dimension may differ from the files; without a file only cells that were set count.
    pub(super) fn of(&self, id: DimensionId, has_files: bool) -> impl Iterator<Item = u32> {
        let cells = self.cells.get(&id);
        let occupants = has_files.then_some(&self.slots).into_iter().flatten();
        let is_other = move |slot: &&u32| !(has_files && self.slots.binary_search(slot).is_ok());
        occupants.chain(cells.into_iter().flatten().filter(is_other)).copied()
    }
}

/// Sorts slots, and drops those that are there twice.
pub(super) fn ascending(slots: &mut Vec<u32>) {
    slots.sort_unstable();
    slots.dedup();
}
