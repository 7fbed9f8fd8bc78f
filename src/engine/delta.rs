//! What a patch will say: the changes of an overlay, and of the newest patches where these are merged into it.

use super::cells::Filled;
use super::column_tiers::{BASE, Tier};
use super::counts::CountChanges;
use super::delta_encoding::DeltaDictionary;
use super::delta_pieces::Pieces;
use super::newest_patches::NewestPatches;
use super::old_cells::OldCells;
use super::overlay::{CellGroup, GROUP_DIMENSIONS};
use super::patch::{DeltaColumn, Patch};
use super::view::{Changes, Origin, View, ascending};
use crate::error::Result;
use crate::format::column::SEGMENT_SHIFT;
use crate::model::{DimensionId, ValueRef};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// Touched slots, ascending, and what each holds now: a value, or nothing.
#[derive(Default, Debug)]
pub(super) struct DeltaCells<'a> {
    pub(super) slots: Vec<u32>,
    pub(super) values: Vec<Option<ValueRef<'a>>>,
}

impl<'a> DeltaCells<'a> {
    fn reserve(&mut self, count: usize) {
        self.slots.reserve_exact(count);
        self.values.reserve_exact(count);
    }

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
    /// The cells that the overlay changed, those of a slot in four dimensions together; in the order of dimensions, and then of slots.
    groups: Vec<CellGroup>,
    /// Cells of dimensions that were gathered together with those of another one, until they are asked for.
    gathered: RefCell<HashMap<DimensionId, DeltaCells<'a>>>,
    /// A share of the memory budget.
    memory: usize,
    /// The newest patches, newest first.
    merged: &'a [Arc<Patch>],
    /// Ranges of segments, in order, the touched slots of each of which fit in memory.
    ranges: Vec<Range<u32>>,
    /// Who is at each slot that may change, ascending: worked out once for all columns where there is one range only.
    occupants: Option<Vec<SlotOccupants>>,
    /// The slots whose occupant in the files is not there any more, ascending.
    left: Vec<u32>,
}

/// Cells that the processor fetches at a time.
const GROUP_LEN: usize = 32;

/// Slots whose cells in four dimensions it fetches at a time.
const GATHER_LEN: usize = 16;

/// All segments.
const ALL: &[Range<u32>] = std::slice::from_ref(&Range { start: 0, end: SEGMENT_END });
/// Above all numbers of segments.
const SEGMENT_END: u32 = 1 << (u32::BITS - SEGMENT_SHIFT);

/// Bytes that the cells of a slot take that are gathered together.
const GROUP_MEMORY: usize = GROUP_DIMENSIONS * (size_of::<u32>() + size_of::<Option<ValueRef<'_>>>());

/// Of a memory budget, in shares: beside it only a spill and what the heaps remember are in use.
const GATHER_SHARES: usize = 3;

/// Bytes that a touched slot takes while its piece is in memory, about.
const SLOT_MEMORY: u64 = 96;

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

fn group_cursor(groups: &[CellGroup]) -> Cursor<'_, CellGroup> {
    Cursor { rest: groups, slot_of: CellGroup::slot }
}

fn slot_cursor(slots: &[u32]) -> Cursor<'_, u32> {
    Cursor { rest: slots, slot_of: |&slot| slot }
}

/// Finds who is at slots in ascending order.
enum Occupants<'d> {
    /// Every slot below has the occupant that the axis file has there.
    Base(u32),
    Listed(Cursor<'d, SlotOccupants>),
}

impl<'d> Occupants<'d> {
    fn listed(occupants: &'d [SlotOccupants]) -> Self {
        Self::Listed(Cursor { rest: occupants, slot_of: |occupants| occupants.slot })
    }

    fn seek(&mut self, slot: u32) -> Option<SlotOccupants> {
        match self {
            Self::Base(slot_count) if slot < *slot_count => {
                Some(SlotOccupants { slot, before: Some(BASE), now: Some(Origin::File(BASE)) })
            }
            Self::Base(_) => None,
            Self::Listed(cursor) => cursor.seek(slot).copied(),
        }
    }
}

/// The slots of the cells that groups have, by dimension.
fn slots_of(groups: &[CellGroup]) -> HashMap<DimensionId, Vec<u32>> {
    let mut slots: HashMap<DimensionId, Vec<u32>> = HashMap::new();
    for groups in groups.chunk_by(|a, b| a.group() == b.group()) {
        for place in 0..GROUP_DIMENSIONS {
            let changed = groups.iter().filter(|cells| cells.get(place).is_some()).map(CellGroup::slot);
            let changed: Vec<u32> = changed.collect();
            if let Some(id) = groups.first().map(|cells| cells.dimension(place))
                && !changed.is_empty()
            {
                slots.insert(id, changed);
            }
        }
    }
    slots
}

impl<'a> Delta<'a> {
    /// The overlay of `view`, which has no other one, with its newest `merged` patches. The touched slots of a range take at most
    /// `memory` bytes, or are those of one segment.
    pub(super) fn new(view: &'a View, merged: usize, memory: usize) -> Result<Self> {
        let patches = view.generation.patches();
        let merged = patches.get(..merged).unwrap_or(patches);
        let groups = view.active.newest_groups();
        let mut slots: Vec<u32> = view.active.changed_slots().collect();
        ascending(&mut slots);
        let changes = Changes { slots, cells: slots_of(&groups) };
        let (ranges, left) = (ALL.to_vec(), Vec::new());
        let gathered = RefCell::default();
        let mut delta = Self { view, changes, groups, gathered, memory, merged, ranges, occupants: None, left };
        let touched_max = memory as u64 / SLOT_MEMORY;
        if delta.touched_count()? > touched_max {
            delta.ranges = delta.ranges(touched_max)?;
        }
        if delta.ranges.len() == 1 && delta.base_slots().is_none() {
            let mut slots = delta.changes.slots.clone();
            delta.changes.cells.values().for_each(|cells| slots.extend(cells));
            for column in delta.columns() {
                column.for_each_touched(|slot| slots.push(slot))?;
            }
            ascending(&mut slots);
            delta.occupants = Some(delta.occupants_of(&slots)?);
        }
        delta.left = delta.left()?;
        Ok(delta)
    }

    /// The columns of the merged patches.
    fn columns(&self) -> impl Iterator<Item = &'a DeltaColumn> {
        let axis = |patch: &'a Arc<Patch>| patch.axis().map(|axis| &axis.column);
        self.merged.iter().flat_map(move |patch| patch.dimensions().map(|(_, column)| column).chain(axis(patch)))
    }

    /// Touched slots of all columns of all tiers.
    pub(super) fn touched_count(&self) -> Result<u64> {
        self.columns().try_fold(self.view.active.changed_count(), |sum, column| Ok(sum + column.touched_count()?))
    }

    /// Touched slots of one column in all tiers.
    pub(super) fn touched_count_of(&self, id: Option<DimensionId>) -> Result<u64> {
        let changed = id.map_or(Some(&self.changes.slots), |id| self.changes.cells.get(&id)).map_or(0, Vec::len);
        self.columns_of(id).try_fold(changed as u64, |sum, column| Ok(sum + column.touched_count()?))
    }

    /// The column of a dimension or, without one, of the axis, in each merged patch that has it; the newest first.
    fn columns_of(&self, id: Option<DimensionId>) -> impl Iterator<Item = &'a DeltaColumn> {
        self.merged.iter().filter_map(move |patch| match id {
            Some(id) => patch.dimension(id).map(|column| &**column),
            None => patch.axis().map(|axis| &axis.column),
        })
    }

    /// Above all touched slots.
    pub(super) fn slot_end(&self) -> u32 {
        let last = |slots: &Vec<u32>| slots.last().map_or(0, |&last| last + 1);
        let changed = self.changes.cells.values().map(last).fold(last(&self.changes.slots), u32::max);
        let merged = self.merged.iter().map(|patch| patch.file().header().slot_count).max().unwrap_or(0);
        changed.max(u32::try_from(merged).unwrap_or(u32::MAX))
    }

    fn left(&self) -> Result<Vec<u32>> {
        let slots = &self.changes.slots;
        let listed = self.occupants_at(slots)?;
        let mut occupants = self.occupants(&listed);
        let has_left = |slot: &&u32| occupants.seek(**slot).is_some_and(|occupants| occupants.before.is_some());
        Ok(slots.iter().filter(has_left).copied().collect())
    }

    /// Cuts the segments into ranges of at most so many touched slots, where those of one segment are no more.
    fn ranges(&self, touched_max: u64) -> Result<Vec<Range<u32>>> {
        let mut counts = vec![0u64; self.slot_end().div_ceil(1 << SEGMENT_SHIFT) as usize];
        for &slot in self.changes.cells.values().chain([&self.changes.slots]).flatten() {
            if let Some(count) = counts.get_mut((slot >> SEGMENT_SHIFT) as usize) {
                *count += 1;
            }
        }
        for column in self.columns() {
            column.for_each_segment(|number, touched| {
                if let Some(count) = counts.get_mut(number) {
                    *count += touched;
                }
            })?;
        }
        let (mut ranges, mut start, mut sum) = (Vec::new(), 0, 0);
        for (number, count) in (0..).zip(counts) {
            if sum > 0 && sum + count > touched_max {
                ranges.push(start..number);
                (start, sum) = (number, 0);
            }
            sum += count;
        }
        ranges.push(start..SEGMENT_END);
        Ok(ranges)
    }

    /// Who is at slots, which ascend.
    fn occupants_of(&self, slots: &[u32]) -> Result<Vec<SlotOccupants>> {
        let mut occupants = Vec::with_capacity(slots.len());
        for &slot in slots {
            let before = self.view.generation.axis().tier_of(slot)?;
            let now = match self.changes.slots.binary_search(&slot) {
                Ok(_) => self.view.origin(slot, u64::MAX)?,
                Err(_) => before.map(Origin::File),
            };
            occupants.push(SlotOccupants { slot, before, now });
        }
        Ok(occupants)
    }

    /// The number of slots, where all of them have the occupant that the axis file has there.
    fn base_slots(&self) -> Option<u32> {
        let tiers = self.view.generation.axis();
        let header = tiers.base()?.file().header();
        let is_full = header.value_count == header.slot_count;
        let is_current = self.changes.slots.is_empty() && !tiers.is_patched();
        if is_full && is_current { u32::try_from(header.slot_count).ok() } else { None }
    }

    /// Who is at slots, which ascend, and maybe at others; nobody where [`base_slots`](Self::base_slots) tells.
    fn occupants_at(&self, slots: &[u32]) -> Result<Cow<'_, [SlotOccupants]>> {
        match &self.occupants {
            Some(all) => Ok(Cow::Borrowed(all)),
            None if self.base_slots().is_some() => Ok(Cow::Borrowed(&[])),
            None => self.occupants_of(slots).map(Cow::Owned),
        }
    }

    /// Who is at slots for which [`occupants_at`](Self::occupants_at) was asked.
    fn occupants<'d>(&self, listed: &'d [SlotOccupants]) -> Occupants<'d> {
        self.base_slots().map_or_else(|| Occupants::listed(listed), Occupants::Base)
    }

    /// The cells of a dimension or, without one, the keys.
    pub(super) fn pieces(&self, id: Option<DimensionId>) -> Pieces<'_, 'a> {
        // What only the overlay has is in memory anyway.
        Pieces::new(self, id, if self.is_merged(id) { &self.ranges } else { ALL })
    }

    /// The cells of a dimension or, without one, the keys, of a range of segments.
    pub(super) fn cells(&self, id: Option<DimensionId>, range: &Range<u32>) -> Result<DeltaCells<'a>> {
        if let Some(id) = id
            && !self.is_merged(Some(id))
            && self.groups_of(id).len() * GROUP_MEMORY <= self.memory * GATHER_SHARES
        {
            debug_assert_eq!(std::slice::from_ref(range), ALL, "what no merged patch has is one piece");
            return self.gathered(id);
        }
        let slots = self.touched_in(id, range)?;
        let mut cells = DeltaCells::default();
        cells.reserve(slots.len());
        let Some(id) = id else {
            for slot in slots {
                let key = self.view.key_at(slot, u64::MAX)?.map(|(key, _)| key.value());
                cells.push(slot, key);
            }
            return Ok(cells);
        };
        let listed = self.occupants_at(&slots)?;
        let mut occupants = self.occupants(&listed);
        let mut newest = group_cursor(self.groups_of(id));
        let place = CellGroup::place_of(id);
        let mut patches = NewestPatches::new(self.columns_of(Some(id)), &slots);
        for group in slots.chunks(GROUP_LEN) {
            let mut items = [None; GROUP_LEN];
            for (item, &slot) in items.iter_mut().zip(group) {
                *item = newest.seek(slot).and_then(|cells| cells.get(place));
            }
            items.iter().flatten().for_each(|&item| self.view.active.prefetch_cell(item));
            items.iter().flatten().for_each(|&item| self.view.active.prefetch_text(item));
            for (&slot, item) in group.iter().zip(items) {
                if let Some(origin) = occupants.seek(slot).and_then(|occupants| occupants.now)
                    && let Some(value) = self.cell(slot, origin, item, &mut patches)?
                {
                    cells.push(slot, value);
                }
            }
        }
        Ok(cells)
    }

    /// The cells that the overlay changed in a dimension and those in the same group, in the order of slots.
    fn groups_of(&self, id: DimensionId) -> &[CellGroup] {
        let group = CellGroup::group_of(id);
        let start = self.groups.partition_point(|cells| cells.group() < group);
        let end = self.groups.partition_point(|cells| cells.group() <= group);
        self.groups.get(start..end).unwrap_or_default()
    }

    /// The cells of a dimension that no merged patch has.
    fn gathered(&self, id: DimensionId) -> Result<DeltaCells<'a>> {
        let known = self.gathered.borrow_mut().remove(&id);
        if let Some(cells) = known {
            return Ok(cells);
        }
        let groups = self.groups_of(id);
        let mut own = DeltaCells::default();
        if let Some(first) = groups.first() {
            for (place, cells) in self.gather(groups)?.into_iter().enumerate() {
                match first.dimension(place) {
                    other if other == id => own = cells,
                    other if self.changes.touches(other) => drop(self.gathered.borrow_mut().insert(other, cells)),
                    _ => {}
                }
            }
        }
        Ok(own)
    }

    /// What the overlay says of cells of four dimensions. As those of a slot mostly lie together, all are read at once.
    fn gather(&self, groups: &[CellGroup]) -> Result<[DeltaCells<'a>; GROUP_DIMENSIONS]> {
        let slots: Vec<u32> = groups.iter().map(CellGroup::slot).collect();
        let listed = self.occupants_at(&slots)?;
        let mut occupants = self.occupants(&listed);
        let mut no_patches = NewestPatches::by_segment(Vec::new());
        let mut all = <[DeltaCells<'a>; GROUP_DIMENSIONS]>::default();
        for (place, to) in all.iter_mut().enumerate() {
            let id = groups.first().map(|cells| cells.dimension(place));
            to.reserve(id.and_then(|id| self.changes.cells.get(&id)).map_or(0, Vec::len));
        }
        let overlay = &self.view.active;
        // Cells are asked for two groups before they are read, and what they hold one group before.
        let chunks: Vec<&[CellGroup]> = groups.chunks(GATHER_LEN).collect();
        for at in 0..chunks.len() + 2 {
            for cells in chunks.get(at).copied().unwrap_or_default() {
                cells.ends().into_iter().for_each(|item| overlay.prefetch_cell(item));
            }
            for cells in at.checked_sub(1).and_then(|at| chunks.get(at)).copied().unwrap_or_default() {
                cells.items().for_each(|item| overlay.prefetch_text(item));
            }
            for cells in at.checked_sub(2).and_then(|at| chunks.get(at)).copied().unwrap_or_default() {
                let slot = cells.slot();
                let Some(origin) = occupants.seek(slot).and_then(|occupants| occupants.now) else { continue };
                for (place, to) in all.iter_mut().enumerate() {
                    if let Some(item) = cells.get(place)
                        && let Some(value) = self.cell(slot, origin, Some(item), &mut no_patches)?
                    {
                        to.push(slot, value);
                    }
                }
            }
        }
        Ok(all)
    }

    /// The slots that any of the tiers touches, in a range of segments; ascending.
    fn touched_in(&self, id: Option<DimensionId>, range: &Range<u32>) -> Result<Vec<u32>> {
        let changed = id.map_or(Some(&self.changes.slots), |id| self.changes.cells.get(&id));
        let changed = changed.map(Vec::as_slice).unwrap_or_default();
        let start = changed.partition_point(|&slot| slot >> SEGMENT_SHIFT < range.start);
        let end = changed.partition_point(|&slot| slot >> SEGMENT_SHIFT < range.end);
        let mut slots = changed.get(start..end).unwrap_or_default().to_vec();
        let overlay_only = slots.len();
        for column in self.columns_of(id) {
            column.for_each_touched_in(range, |slot| slots.push(slot))?;
        }
        if slots.len() > overlay_only {
            // Ascending pieces, which this sort merges.
            slots.sort();
            slots.dedup();
        }
        Ok(slots)
    }

    /// The highest tombstone of the axis file that any patch touches, plus one.
    pub(super) fn base_next(&self) -> Result<u32> {
        let tiers = self.view.generation.axis();
        let mut base_next = tiers.base_next();
        let Some(base) = tiers.base() else { return Ok(0) };
        let slot_count = base.slot_count()?;
        for range in &self.ranges {
            // The slots ascend: the last one that is a tombstone counts.
            for slot in self.touched_in(None, range)?.into_iter().rev() {
                if slot < slot_count && !base.is_used(slot)? {
                    base_next = base_next.max(slot + 1);
                    break;
                }
            }
        }
        Ok(base_next)
    }

    /// What these tiers say of a cell, if anything; `newest` is the number of what the overlay has of it.
    fn cell(
        &self,
        slot: u32,
        origin: Origin,
        newest: Option<u32>,
        patches: &mut NewestPatches<'a, '_>,
    ) -> Result<Option<Option<ValueRef<'a>>>> {
        let oldest = self.merged.last().map_or(u64::MAX, |patch| patch.generation());
        let (from, tier) = match origin {
            Origin::Overlay { stamp, .. } => (stamp, None),
            Origin::File(tier) => (0, Some(tier)),
        };
        // Where the occupant came with one of these tiers, older ones are not asked, and a removal goes without saying.
        let is_new = tier.is_none_or(|tier| tier >= oldest);
        let says = |value: Option<ValueRef<'a>>| if is_new && value.is_none() { None } else { Some(value) };
        if let Some(value) = newest.and_then(|item| self.view.active.newest_cell(item, from)) {
            return Ok(says(value));
        }
        let Some(tier) = tier else { return Ok(None) };
        match patches.get(slot)? {
            Some(cell) if cell.generation() >= tier => Ok(says(cell.value()?)),
            _ => Ok(None),
        }
    }

    /// Whether these tiers may change a dimension: its cells, or its counts by what became of points.
    pub(super) fn concerns(&self, id: DimensionId) -> bool {
        !self.left.is_empty() || self.changes.touches(id) || self.is_merged(Some(id))
    }

    /// Whether a merged patch has the dimension or, without one, the axis.
    pub(super) fn is_merged(&self, id: Option<DimensionId>) -> bool {
        self.columns_of(id).next().is_some()
    }

    /// How the counts of a dimension change, and whether those by value are known; `dictionary` has the values in the pieces, if there are
    /// not too many.
    pub(super) fn counts(
        &self,
        id: DimensionId,
        pieces: &mut Pieces<'_, 'a>,
        dictionary: Option<&DeltaDictionary<'a>>,
    ) -> Result<(CountChanges<'a>, bool)> {
        let has_counts = match self.view.generation.column(id) {
            Some(column) => column.has_counts()?,
            None => true,
        };
        let mut changes = if self.is_merged(Some(id)) {
            self.view.count_changes(id, &self.changes, u64::MAX, has_counts)?
        } else {
            // No merged patch has the dimension: its cells are one piece, and all that the overlay holds.
            pieces.rewind();
            match pieces.next()? {
                Some(cells) => self.overlay_counts(id, cells, has_counts, dictionary)?,
                None => CountChanges::default(),
            }
        };
        for delta in self.columns_of(Some(id)) {
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

    /// How the overlay changes the counts of a dimension that no merged patch has.
    fn overlay_counts(
        &self,
        id: DimensionId,
        cells: &DeltaCells<'a>,
        by_value: bool,
        dictionary: Option<&DeltaDictionary<'a>>,
    ) -> Result<CountChanges<'a>> {
        let column = self.view.generation.column(id).filter(|column| !column.is_empty());
        let left = if column.is_some() { &*self.left } else { &[] };
        let mut old = OldCells::new(column, &cells.slots)?;
        let mut changes = CountChanges::default();
        // First those whose occupant has left, then the others: each part ascends.
        for (slots, skipped) in [(left, &[][..]), (&*cells.slots, left)] {
            let listed = self.occupants_at(slots)?;
            let mut occupants = self.occupants(&listed);
            let (mut values, mut skipped) = (slot_cursor(&cells.slots), slot_cursor(skipped));
            for &slot in slots {
                if skipped.seek(slot).is_some() {
                    continue;
                }
                let before = occupants.seek(slot).and_then(|occupants| occupants.before);
                let at = values.seek(slot).map(|_| cells.slots.len() - values.rest.len());
                let new = at.and_then(|at| cells.values.get(at).copied().flatten());
                match (by_value, dictionary) {
                    (false, _) => changes.replace_state(old.state(slot, before)?, new.map(Filled::of)),
                    // The new ones have been counted.
                    (true, Some(_)) => changes.replace_counted(old.value(slot, before)?, new.map(Filled::of)),
                    (true, None) => changes.replace_value(old.value(slot, before)?, new),
                }
            }
        }
        old.settle(&mut changes)?;
        if by_value && let Some(dictionary) = dictionary {
            dictionary.for_each(|value, count| *changes.values.entry(value).or_default() += i64::from(count));
        }
        Ok(changes)
    }
}
