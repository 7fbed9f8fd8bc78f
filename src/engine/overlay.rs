//! What was committed after the base was written: versioned, append-only, read without waiting.
//!
//! Every step of a commit has a *stamp*, a number that only grows. A reader sees the versions up to its own stamp, so that what
//! is being added while it reads, and what was logged but not yet made durable, does not exist for it.

use super::arena::{Arena, Four, Heads, Items, NONE};
use super::filter::GrowingFilter;
use super::slot_set::SlotSet;
use crate::error::{Error, Result};
use crate::format::value;
use crate::model::{DimensionId, Key, KeyRef, ValueBuf, ValueRef};
use crate::storage::prefetch;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Commits since a base, or since the table before this one was frozen.
#[derive(Debug)]
pub(super) struct Overlay {
    /// The last commit before the first one here.
    base_sequence: u64,
    hash_seed: u64,
    occupants: Arena<Occupant>,
    by_slot: Heads,
    by_key: Heads,
    /// In runs of up to [`RUN_LEN`] cells, so that not each of them costs what appending to the arena does.
    cells: Arena<Run>,
    /// By slot, and four dimensions that follow one another.
    by_cell: Heads<Four>,
    /// Cells that were changed.
    cell_count: AtomicU64,
    definitions: Arena<Definition>,
    by_name: Heads,
    commits: Arena<Commit>,
    /// Slots whose occupant or a cell of which was changed.
    touched_slots: SlotSet,
    /// Hashes of keys that came to a slot, or left one.
    touched_keys: GrowingFilter,
}

/// From `stamp` on, a key is at a slot (`alive`) or has left it.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) stamp: u64,
    pub(super) slot: u32,
    pub(super) alive: bool,
    pub(super) key: Key,
    previous_of_slot: u32,
    previous_of_key: u32,
}

/// From `stamp` on, a cell has a value, or none. Takes less room than a [`ValueBuf`] with a stamp would.
#[derive(Clone, Copy, Debug)]
struct Cell {
    stamp: u64,
    /// A number; of a text where it starts in its run, above 32 bits with its length; of others the place among those of the run.
    content: u64,
    previous: u32,
    kind: CellKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CellKind {
    Removed,
    Int,
    Float,
    Text,
    Other,
}

/// Cells that were recorded one after the other, with what they hold.
#[derive(Debug)]
struct Run {
    cells: Box<[Cell]>,
    /// Short texts, one behind the other.
    text: Box<str>,
    /// Values that are neither short texts nor numbers of 64 bits.
    others: Box<[ValueBuf]>,
}

/// Longer texts stay where they are; others are copied, so that those of a run are one piece of memory.
const SHORT_TEXT_LEN: usize = 128;

const fn text_place(content: u64) -> (usize, usize) {
    ((content >> 32) as usize, content as u32 as usize)
}

impl Run {
    #[inline]
    fn value(&self, cell: &Cell) -> Option<ValueRef<'_>> {
        match cell.kind {
            CellKind::Removed => None,
            CellKind::Int => Some(ValueRef::Int(cell.content.cast_signed().into())),
            CellKind::Float => Some(ValueRef::Float(f64::from_bits(cell.content))),
            CellKind::Text => {
                let (start, len) = text_place(cell.content);
                self.text.get(start..start + len).map(ValueRef::Text)
            }
            CellKind::Other => self.others.get(cell.content as usize).map(ValueBuf::as_ref),
        }
    }
}

/// From `stamp` on, a dimension exists.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) stamp: u64,
    pub(super) id: DimensionId,
    pub(super) name: Arc<str>,
    previous: u32,
}

/// The state after a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Commit {
    pub(super) sequence: u64,
    /// Microseconds since 1970.
    pub(super) time: i64,
    /// The stamp of its last step.
    pub(super) stamp: u64,
    pub(super) slot_count: u32,
    pub(super) point_count: u32,
}

/// A cell's number is that of its run, shifted by so many bits, and its place in the run.
const RUN_SHIFT: u32 = 6;
const RUN_LEN: usize = 1 << RUN_SHIFT;

/// The cells of a slot in four dimensions that follow one another are found by one key; each has a place behind it.
const fn cell_key(id: DimensionId, slot: u32) -> (u64, usize) {
    ((id.0 as u64 >> 2) << 32 | slot as u64, id.0 as usize & 3)
}

const fn cell_of(key: u64, place: usize) -> (DimensionId, u32) {
    (DimensionId(((key >> 32) << 2) as u32 | place as u32), key as u32)
}

/// Hash tables take keys below 2^64 - 1.
fn hash_key(hash: u64) -> u64 {
    hash.min(u64::MAX - 1)
}

fn full() -> Error {
    Error::invalid_argument("too many changes since the last checkpoint; save first")
}

impl Overlay {
    /// Of a database that has `slot_count` slots so far.
    pub(super) fn new(base_sequence: u64, hash_seed: u64, slot_count: u32) -> Self {
        Self {
            base_sequence,
            hash_seed,
            occupants: Arena::new(),
            by_slot: Heads::new(),
            by_key: Heads::new(),
            cells: Arena::new(),
            by_cell: Heads::new(),
            cell_count: AtomicU64::new(0),
            definitions: Arena::new(),
            by_name: Heads::new(),
            commits: Arena::new(),
            touched_slots: SlotSet::new(slot_count),
            touched_keys: GrowingFilter::new(),
        }
    }

    /// Whether nothing was committed here.
    pub(super) fn is_empty(&self) -> bool {
        self.commits.len() == 0
    }

    /// Whether a reader at a stamp sees anything of it.
    pub(super) fn is_visible(&self, stamp: u64) -> bool {
        self.commits.get(0).is_some_and(|first| first.stamp <= stamp)
    }

    /// Slots and cells that were changed.
    pub(super) fn changed_count(&self) -> u64 {
        self.by_slot.len() as u64 + self.cell_count.load(Ordering::Relaxed)
    }

    /// Runs of cells, of which there can be a limited number.
    #[cfg(test)]
    pub(super) fn run_count(&self) -> u32 {
        self.cells.len()
    }

    /// Whether no room for another batch of `operations` is left.
    pub(super) fn is_full(&self, operations: usize) -> bool {
        let limit = (NONE / 2) as usize;
        // The last run of a commit may be short.
        let cells = (self.cells.len() as usize + 1) << RUN_SHIFT;
        self.occupants.len() as usize + operations > limit || cells + operations > limit
    }

    fn key_hash(&self, key: KeyRef<'_>) -> u64 {
        hash_key(value::hash(key.value(), self.hash_seed))
    }

    fn name_hash(&self, name: &str) -> u64 {
        hash_key(value::hash(ValueRef::Text(name), self.hash_seed))
    }

    /// Records that a key is at a slot, or has left it. One writer at a time.
    pub(super) fn add_occupant(&self, stamp: u64, slot: u32, key: Key, alive: bool) -> Result<()> {
        let hash = self.key_hash(key.as_ref());
        let previous_of_slot = self.by_slot.get(slot.into()).unwrap_or(NONE);
        let previous_of_key = self.by_key.get(hash).unwrap_or(NONE);
        let occupant = Occupant { stamp, slot, alive, key, previous_of_slot, previous_of_key };
        let item = self.occupants.push(occupant).ok_or_else(full)?;
        self.by_slot.set(slot.into(), item);
        self.by_key.set(hash, item);
        self.touched_keys.insert(hash, || self.by_key.keys());
        self.touched_slots.insert(slot);
        Ok(())
    }

    /// Starts to record the values of `count` cells. One writer at a time.
    pub(super) fn cells(&self, count: usize) -> CellRuns<'_> {
        CellRuns {
            overlay: self,
            left: count,
            run: Vec::new(),
            text: String::new(),
            others: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// The slots whose occupant or a cell of which was changed.
    pub(super) fn touched_slots(&self) -> &SlotSet {
        &self.touched_slots
    }

    /// Whether any key has come to a slot, or left one.
    pub(super) fn has_occupants(&self) -> bool {
        self.occupants.len() > 0
    }

    /// Whether a key may have come to a slot, or left one.
    #[inline]
    pub(super) fn may_have_key(&self, key: KeyRef<'_>) -> bool {
        self.touched_keys.get().is_some_and(|keys| keys.may_have(self.key_hash(key)))
    }

    /// Records a new dimension. One writer at a time.
    pub(super) fn add_definition(&self, stamp: u64, id: DimensionId, name: Arc<str>) -> Result<()> {
        let hash = self.name_hash(&name);
        let previous = self.by_name.get(hash).unwrap_or(NONE);
        let item = self.definitions.push(Definition { stamp, id, name, previous }).ok_or_else(full)?;
        self.by_name.set(hash, item);
        Ok(())
    }

    /// Records that all steps up to a stamp form a commit. One writer at a time.
    pub(super) fn add_commit(&self, commit: Commit) -> Result<()> {
        self.commits.push(commit).map(|_| ()).ok_or_else(full)
    }

    /// The state after a commit, if it is one of these.
    pub(super) fn commit(&self, sequence: u64) -> Option<Commit> {
        let index = sequence.checked_sub(self.base_sequence)?.checked_sub(1)?;
        self.commits.get(u32::try_from(index).ok()?).copied()
    }

    /// The last commit here that was recorded, durable or not.
    pub(super) fn last_commit(&self) -> Option<Commit> {
        self.commits.get(self.commits.len().checked_sub(1)?).copied()
    }

    /// Asks for what the cell of a dimension and those of the next ones will be found through.
    #[inline]
    pub(super) fn prefetch(&self, id: DimensionId, slot: u32) {
        if self.touched_slots.may_have(slot) {
            self.by_cell.prefetch(cell_key(id, slot).0);
        }
    }

    /// Asks for the newest cell of a dimension and a slot, once what it is found through is there; `CONTENT`: for the text that it holds.
    #[inline]
    pub(super) fn prefetch_value<const CONTENT: bool>(&self, id: DimensionId, slot: u32) {
        if !self.touched_slots.may_have(slot) {
            return;
        }
        let (key, place) = cell_key(id, slot);
        if let Some(item) = self.by_cell.items(key).and_then(|items| items.get(place)) {
            if CONTENT {
                self.prefetch_text(item);
            } else {
                self.prefetch_cell(item);
            }
        }
    }

    /// Asks for a cell, by the number that [`newest_cells`](Self::newest_cells) gives.
    #[inline]
    pub(super) fn prefetch_cell(&self, item: u32) {
        if let Some(run) = self.cells.get(item >> RUN_SHIFT) {
            prefetch(&run.cells, item as usize % RUN_LEN);
        }
    }

    /// Asks for the text that a cell holds, by the same number. To be called once the cell is there.
    #[inline]
    pub(super) fn prefetch_text(&self, item: u32) {
        if let Some((run, cell)) = self.cell_at(item)
            && cell.kind == CellKind::Text
        {
            prefetch(run.text.as_bytes(), text_place(cell.content).0);
        }
    }

    /// What a key last did, up to a stamp.
    #[inline]
    pub(super) fn occupant_by_key(&self, key: KeyRef<'_>, stamp: u64) -> Option<&Occupant> {
        if !self.has_occupants() {
            return None;
        }
        let mut item = self.by_key.get(self.key_hash(key))?;
        loop {
            let occupant = self.occupants.get(item)?;
            if occupant.stamp <= stamp && occupant.key.as_ref() == key {
                return Some(occupant);
            }
            item = occupant.previous_of_key;
        }
    }

    /// What last happened to a slot, up to a stamp.
    #[inline]
    pub(super) fn occupant_by_slot(&self, slot: u32, stamp: u64) -> Option<&Occupant> {
        if !self.has_occupants() || !self.touched_slots.may_have(slot) {
            return None;
        }
        let mut item = self.by_slot.get(slot.into())?;
        loop {
            let occupant = self.occupants.get(item)?;
            if occupant.stamp <= stamp {
                return Some(occupant);
            }
            item = occupant.previous_of_slot;
        }
    }

    #[inline]
    fn cell_at(&self, item: u32) -> Option<(&Run, &Cell)> {
        let run = self.cells.get(item >> RUN_SHIFT)?;
        Some((run, run.cells.get(item as usize % RUN_LEN)?))
    }

    /// The value of a cell as last changed between two stamps, both included; the inner `None` is a removed attribute.
    #[inline]
    pub(super) fn cell(&self, id: DimensionId, slot: u32, from: u64, stamp: u64) -> Option<Option<ValueRef<'_>>> {
        if !self.touched_slots.may_have(slot) {
            return None;
        }
        let (key, place) = cell_key(id, slot);
        let mut item = self.by_cell.items(key)?.get(place)?;
        loop {
            let (run, cell) = self.cell_at(item)?;
            if cell.stamp < from {
                return None;
            }
            if cell.stamp <= stamp {
                return Some(run.value(cell));
            }
            item = cell.previous;
        }
    }

    /// The dimension of a name, if it was defined here up to a stamp.
    pub(super) fn definition(&self, name: &str, stamp: u64) -> Option<&Definition> {
        let mut item = self.by_name.get(self.name_hash(name))?;
        loop {
            let definition = self.definitions.get(item)?;
            if definition.stamp <= stamp && *definition.name == *name {
                return Some(definition);
            }
            item = definition.previous;
        }
    }

    /// The dimensions defined here up to a stamp, in order.
    pub(super) fn definitions(&self, stamp: u64) -> impl Iterator<Item = &Definition> {
        self.definitions.iter().take_while(move |definition| definition.stamp <= stamp)
    }

    /// What happened to slots, in order.
    pub(super) fn occupants(&self) -> impl Iterator<Item = &Occupant> {
        self.occupants.iter()
    }

    /// The slots whose occupant changed, in no order.
    pub(super) fn changed_slots(&self) -> impl Iterator<Item = u32> {
        self.by_slot.keys().map(|slot| slot as u32)
    }

    /// The value of a cell as last changed, if that was not before a stamp, by the number that [`newest_cells`](Self::newest_cells) gives.
    #[inline]
    pub(super) fn newest_cell(&self, item: u32, from: u64) -> Option<Option<ValueRef<'_>>> {
        let (run, cell) = self.cell_at(item)?;
        (cell.stamp >= from).then(|| run.value(cell))
    }

    /// The cells that were changed, each with the number of what it was changed to last; in no order.
    pub(super) fn newest_cells(&self) -> impl Iterator<Item = (DimensionId, u32, u32)> {
        self.by_cell.iter().flat_map(|(key, items)| {
            (0..4).filter_map(move |place| {
                let (id, slot) = cell_of(key, place);
                Some((id, slot, items.get(place)?))
            })
        })
    }

    /// The same, those of a slot in four dimensions together; in the order of dimensions, and then of slots.
    pub(super) fn newest_groups(&self) -> Vec<CellGroup> {
        let copy = |(key, items): (u64, Items<'_>)| CellGroup {
            key,
            items: [0, 1, 2, 3].map(|place| items.get(place).unwrap_or(NONE)),
        };
        let mut groups = Vec::with_capacity(self.by_cell.len());
        groups.extend(self.by_cell.iter().map(copy));
        groups.sort_unstable_by_key(|group| group.key);
        groups
    }

    /// The cells that were changed, in no order.
    pub(super) fn changed_cells(&self) -> impl Iterator<Item = (DimensionId, u32)> {
        self.newest_cells().map(|(id, slot, _)| (id, slot))
    }
}

/// So many dimensions that follow one another share a place in the table of cells.
pub(super) const GROUP_DIMENSIONS: usize = 4;

/// The newest cells of a slot in four dimensions that follow one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellGroup {
    key: u64,
    items: [u32; GROUP_DIMENSIONS],
}

impl CellGroup {
    /// The group of a dimension, and its place in that.
    pub(super) const fn group_of(id: DimensionId) -> u32 {
        cell_of(cell_key(id, 0).0, 0).0.0
    }

    pub(super) const fn place_of(id: DimensionId) -> usize {
        cell_key(id, 0).1
    }

    pub(super) const fn slot(&self) -> u32 {
        cell_of(self.key, 0).1
    }

    /// Tells the four dimensions from others.
    pub(super) const fn group(&self) -> u32 {
        cell_of(self.key, 0).0.0
    }

    pub(super) const fn dimension(&self, place: usize) -> DimensionId {
        cell_of(self.key, place).0
    }

    /// The numbers of the newest cells.
    pub(super) fn items(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.items.into_iter().filter(|&item| item != NONE)
    }

    /// The first and the last of them, between which the others mostly lie.
    pub(super) fn ends(&self) -> [u32; 2] {
        let first = self.items().next().unwrap_or(NONE);
        [first, self.items().next_back().unwrap_or(NONE)]
    }

    /// The number of the newest cell in one of them, if it was changed.
    pub(super) fn get(&self, place: usize) -> Option<u32> {
        self.items.get(place).copied().filter(|&item| item != NONE)
    }
}

/// Cells being recorded, run by run. They are found once their run is complete, so of two changes of one cell in a run nobody sees the first;
/// a run is of one commit. What was added is lost unless [`finish`](Self::finish) follows.
#[must_use]
pub(super) struct CellRuns<'o> {
    overlay: &'o Overlay,
    /// Cells still to come, about.
    left: usize,
    run: Vec<Cell>,
    /// What the cells of the run hold.
    text: String,
    others: Vec<ValueBuf>,
    /// By what each cell of the run is found.
    keys: Vec<(u64, usize)>,
}

impl CellRuns<'_> {
    /// Records the values of a slot's cells, or their removal.
    pub(super) fn add(
        &mut self,
        stamp: u64,
        slot: u32,
        cells: impl IntoIterator<Item = (DimensionId, Option<ValueBuf>)>,
    ) -> Result<()> {
        let (mut last, mut items) = (None, None);
        for (id, value) in cells {
            let (key, place) = cell_key(id, slot);
            if last.replace(key) != Some(key) {
                items = self.overlay.by_cell.items(key);
            }
            let previous = items.and_then(|items| items.get(place)).unwrap_or(NONE);
            if self.run.capacity() == 0 {
                self.run.reserve_exact(self.left.clamp(1, RUN_LEN));
            }
            let (kind, content) = self.content(value);
            self.run.push(Cell { stamp, content, previous, kind });
            self.keys.push((key, place));
            self.left = self.left.saturating_sub(1);
            if self.run.len() == RUN_LEN {
                self.finish()?;
                items = self.overlay.by_cell.items(key);
            }
        }
        Ok(())
    }

    /// Puts a value where cells of the run have it.
    #[inline]
    fn content(&mut self, value: Option<ValueBuf>) -> (CellKind, u64) {
        let other = match value {
            None => return (CellKind::Removed, 0),
            Some(ValueBuf::Float(float)) => return (CellKind::Float, float.to_bits()),
            Some(ValueBuf::Int(int)) => match i64::try_from(int) {
                Ok(small) => return (CellKind::Int, small.cast_unsigned()),
                Err(_) => ValueBuf::Int(int),
            },
            Some(ValueBuf::Text(text)) if text.len() <= SHORT_TEXT_LEN => {
                let start = self.text.len() as u64;
                self.text.push_str(&text);
                return (CellKind::Text, start << 32 | text.len() as u64);
            }
            Some(other) => other,
        };
        self.others.push(other);
        (CellKind::Other, self.others.len() as u64 - 1)
    }

    /// Lets what was recorded be found.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        let overlay = self.overlay;
        let run = Run {
            cells: std::mem::take(&mut self.run).into_boxed_slice(),
            text: Box::from(&*self.text),
            others: std::mem::take(&mut self.others).into_boxed_slice(),
        };
        self.text.clear();
        let number = overlay.cells.push(run).filter(|&number| number < NONE >> RUN_SHIFT).ok_or_else(full)?;
        let (mut item, mut new) = (number << RUN_SHIFT, 0);
        for keys in self.keys.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(key, _)) = keys.first() else { continue };
            overlay.touched_slots.insert(cell_of(key, 0).1);
            new += overlay.by_cell.set_all(key, keys.iter().zip(item..).map(|(&(_, place), item)| (place, item)));
            item += keys.len() as u32;
        }
        overlay.cell_count.fetch_add(new, Ordering::Relaxed);
        self.keys.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn cells_of_any_slot_and_dimension_are_told_apart_and_hold_values_of_every_type() {
        let overlay = Overlay::new(0, 7, 1 << 20);
        let values = [
            None,
            Some(Value::Null),
            Some(Value::from(true)),
            Some(Value::from(-1)),
            Some(Value::from(u64::MAX)),
            Some(Value::from(i128::MIN)),
            Some(Value::from(f64::NAN)),
            Some(Value::from("text")),
            Some(Value::from("")),
            Some(Value::from("ä".repeat(SHORT_TEXT_LEN / 2))),
            Some(Value::from("ä".repeat(SHORT_TEXT_LEN))),
            Some(Value::from(vec![1u8, 2])),
            Some(Value::Array(vec![Value::Null])),
        ];
        let places: Vec<(DimensionId, u32)> = [0, 1, 3, 4, 5, 1 << 20, u32::MAX - 2]
            .into_iter()
            .flat_map(|id| [0, 1, 4, 5, 1 << 30, u32::MAX - 1].map(|slot| (DimensionId(id), slot)))
            .collect();
        let value = |at: usize| values[at % values.len()].clone().map(|value| ValueBuf::try_from(value).unwrap());
        for (stamp, next) in [(1, 1), (2, 0)] {
            let mut cells = overlay.cells(places.len());
            for (at, &(id, slot)) in places.iter().enumerate() {
                cells.add(stamp, slot, [(id, value(at + next))]).unwrap();
            }
            cells.finish().unwrap();
        }
        assert_eq!(overlay.changed_count(), places.len() as u64);
        for (at, &(id, slot)) in places.iter().enumerate() {
            let (new, old) = (value(at), value(at + 1));
            assert_eq!(overlay.cell(id, slot, 0, 2), Some(new.as_ref().map(ValueBuf::as_ref)));
            assert_eq!(overlay.cell(id, slot, 0, 1), Some(old.as_ref().map(ValueBuf::as_ref)));
            assert_eq!(overlay.cell(id, slot, 3, 3), None);
        }
        assert_eq!(overlay.cell(DimensionId(2), 0, 0, 2), None);
        let mut newest: Vec<_> = overlay.newest_cells().collect();
        newest.sort_unstable();
        for (&(id, slot), &(newest_id, newest_slot, item)) in places.iter().zip(&newest) {
            assert_eq!((newest_id, newest_slot), (id, slot));
            assert_eq!(overlay.newest_cell(item, 2), overlay.cell(id, slot, 0, 2));
            assert_eq!(overlay.newest_cell(item, 3), None);
        }
        assert_eq!(newest.len(), places.len());
    }
}
