//! From a batch to the steps of a commit: keys resolved to slots, names to dimensions, with earlier steps of the same batch in
//! force. Planning changes nothing but the free slots, and those can be taken back.

use super::batch::{Attributes, Outcome, Step};
use super::column_tiers::BASE;
use super::direct::{DirectKeys, Found};
use super::direct_batch::GROUP_LEN;
use super::overlay::Overlay;
use super::view::{Origin, View};
use crate::error::{Error, Result};
use crate::format::{value, wal};
use crate::model::{DimensionId, FreeSlots, Key, KeyRef, VALUE_LEN_MAX, ValueBuf, ValueTooLarge};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

/// So many dimensions are found again by the address of their name.
const USED_MAX: usize = 16;

/// Steps of which the places in an overlay are fetched at a time.
const APPLY_LEN: usize = 64;

/// Cells of one step.
pub(super) type Cells = Vec<(DimensionId, Option<ValueBuf>)>;

/// One step of a commit, as the log records it.
#[derive(Debug)]
pub(super) enum Operation {
    Define { id: DimensionId, name: Arc<str> },
    Insert { slot: u32, key: Key, cells: Cells },
    Update { slot: u32, cells: Cells },
    Delete { slot: u32, key: Key },
}

impl Operation {
    /// Cells that it changes.
    fn cell_count(&self) -> usize {
        match self {
            Self::Insert { cells, .. } | Self::Update { cells, .. } => cells.len(),
            Self::Define { .. } | Self::Delete { .. } => 0,
        }
    }

    /// Versions that it adds to an overlay.
    pub(super) fn len(&self) -> usize {
        self.cell_count() + 1
    }
}

/// What the writer knows of the state after the last commit.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    pub(super) free: FreeSlots,
    pub(super) point_count: u32,
    pub(super) next_dimension: u32,
    /// Points and next dimension, to be restored when a batch fails.
    saved: (u32, u32),
}

impl Allocation {
    pub(super) const fn new(free: FreeSlots, point_count: u32, next_dimension: u32) -> Self {
        Self { free, point_count, next_dimension, saved: (point_count, next_dimension) }
    }

    /// Starts a batch.
    pub(super) fn begin(&mut self) {
        self.free.begin();
        self.saved = (self.point_count, self.next_dimension);
    }

    /// Takes back what was allocated since the batch started.
    pub(super) fn rollback(&mut self) {
        self.free.rollback();
        (self.point_count, self.next_dimension) = self.saved;
    }
}

/// A batch, resolved.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) operations: Vec<Operation>,
    pub(super) outcomes: Vec<Outcome>,
}

/// Resolves a batch.
pub(super) struct Planner<'a> {
    view: &'a View,
    hash_seed: u64,
    allocation: &'a mut Allocation,
    /// New keys go to the end, whatever the base has free.
    at_end: bool,
    /// Keys that this batch has put somewhere (`Some`) or deleted, by hash.
    keys: HashMap<u64, Vec<(Key, Option<u32>)>>,
    /// Dimensions that this batch defines.
    names: HashMap<Arc<str>, DimensionId>,
    /// Dimensions that this batch has used; records share their names.
    used: Vec<(Arc<str>, DimensionId)>,
    operations: Vec<Operation>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(view: &'a View, hash_seed: u64, allocation: &'a mut Allocation) -> Self {
        Self {
            view,
            hash_seed,
            allocation,
            at_end: false,
            keys: HashMap::new(),
            names: HashMap::new(),
            used: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// A planner that puts new keys at the end, whatever the base has free.
    pub(super) fn at_end(view: &'a View, hash_seed: u64, allocation: &'a mut Allocation) -> Self {
        Self { at_end: true, ..Self::new(view, hash_seed, allocation) }
    }

    /// Resolves the steps in order.
    pub(super) fn plan(mut self, steps: Vec<Step>) -> Result<Plan> {
        let mut outcomes = Vec::with_capacity(steps.len());
        self.operations.reserve(steps.len());
        let is_batch = steps.len() > 1;
        let found = self.resolve(&steps);
        for (index, (step, found)) in steps.into_iter().zip(found).enumerate() {
            let outcome = self.step(step, found);
            outcomes.push(if is_batch { outcome.map_err(|error| error.in_record(index as u64)) } else { outcome }?);
        }
        Ok(Plan { operations: self.operations, outcomes })
    }

    /// The slots of the steps' keys before this batch, in their order. Takes groups of keys, so that the processor waits for many at a
    /// time.
    fn resolve(&self, steps: &[Step]) -> Vec<Result<Option<u32>>> {
        let mut slots = Vec::with_capacity(steps.len());
        // What is worked out in a scratch overlay belongs to no commit yet, and the direct way passes overlays without one.
        let direct = if self.at_end { None } else { DirectKeys::new(self.view, u64::MAX) };
        if let ([step], Some(direct)) = (steps, &direct) {
            let key = step.key().as_ref();
            slots.push(self.settle(key, direct.unless_changed(key, direct.table.slot_of(key.value()))));
            return slots;
        }
        let mut keys = Vec::with_capacity(GROUP_LEN.min(steps.len()));
        for group in steps.chunks(GROUP_LEN) {
            keys.clear();
            keys.extend(group.iter().map(|step| step.key().as_ref()));
            match &direct {
                Some(direct) => {
                    let Ok(()) = direct.find_group(&keys, |key, found| {
                        slots.push(self.settle(key, found));
                        Ok::<_, Infallible>(())
                    });
                }
                None => slots.extend(keys.iter().map(|&key| self.settle(key, Found::Unknown))),
            }
        }
        slots
    }

    /// The slot of a key before this batch, of which the direct way has found something.
    fn settle(&self, key: KeyRef<'_>, found: Found<u32>) -> Result<Option<u32>> {
        match found {
            Found::Settled(slot) => Ok(slot),
            // Nobody else has come to the slot: the key is still there.
            Found::Touched(slot) if self.view.origin(slot, u64::MAX)? == Some(Origin::File(BASE)) => Ok(Some(slot)),
            Found::Touched(_) | Found::Unknown => Ok(self.view.resolve(key, u64::MAX)?.map(|(slot, _)| slot)),
        }
    }

    /// Resolves a step whose key was found at a slot before this batch, or not.
    fn step(&mut self, step: Step, found: Result<Option<u32>>) -> Result<Outcome> {
        if value::payload_len(step.key().as_ref().value()) > VALUE_LEN_MAX {
            return Err(ValueTooLarge.into());
        }
        let found = match self.known(step.key()) {
            Some(known) => known,
            None => found?,
        };
        match (step, found) {
            (Step::Upsert { attributes, .. }, Some(slot)) => {
                let cells = self.define(attributes)?;
                self.operations.push(Operation::Update { slot, cells });
                Ok(Outcome::At(slot))
            }
            (Step::Upsert { key, attributes, .. }, None) => {
                let cells = self.define(attributes)?;
                let view = self.view;
                let next_free = |from| if self.at_end { Ok(None) } else { view.generation.next_free(from) };
                let slot = self.allocation.free.take(next_free)?;
                let slot = slot.ok_or(Error::TooManyPoints)?.0;
                self.allocation.point_count += 1;
                self.remember(&key, Some(slot));
                self.operations.push(Operation::Insert { slot, key, cells });
                Ok(Outcome::At(slot))
            }
            (Step::Remove { attributes, .. }, Some(slot)) => {
                let mut cells = Cells::new();
                for (name, _) in attributes {
                    if let Some(id) = self.dimension(&name)
                        && self.has_cell(id, slot)?
                    {
                        cells.push((id, None));
                    }
                }
                if cells.is_empty() {
                    return Ok(Outcome::Missing);
                }
                self.operations.push(Operation::Update { slot, cells });
                Ok(Outcome::At(slot))
            }
            (Step::Delete { key }, Some(slot)) => {
                let view = self.view;
                let is_free = |slot| view.generation.is_used(slot).map(|used| !used);
                self.allocation.point_count = view.generation.one_point_less(self.allocation.point_count)?;
                self.allocation.free.free(crate::model::Slot(slot), is_free)?;
                self.remember(&key, None);
                self.operations.push(Operation::Delete { slot, key });
                Ok(Outcome::At(slot))
            }
            (Step::Remove { .. } | Step::Delete { .. }, None) => Ok(Outcome::Missing),
        }
    }

    fn hash(&self, key: &Key) -> u64 {
        value::hash(key.as_ref().value(), self.hash_seed)
    }

    fn remember(&mut self, key: &Key, slot: Option<u32>) {
        let hash = self.hash(key);
        let known = self.keys.entry(hash).or_default();
        match known.iter_mut().find(|(other, _)| other == key) {
            Some((_, place)) => *place = slot,
            None => known.push((key.clone(), slot)),
        }
    }

    /// Where this batch has put a key, if it has put it anywhere or deleted it.
    fn known(&self, key: &Key) -> Option<Option<u32>> {
        if self.keys.is_empty() {
            return None;
        }
        let known = self.keys.get(&self.hash(key))?;
        known.iter().find(|(other, _)| other == key).map(|(_, slot)| *slot)
    }

    fn dimension(&self, name: &str) -> Option<DimensionId> {
        self.names.get(name).copied().or_else(|| self.view.dimension(name, u64::MAX).map(|found| found.id))
    }

    /// The cells of attributes, whose dimensions come into being by being used.
    fn define(&mut self, attributes: Attributes) -> Result<Cells> {
        // Collected in place: a pair takes as much memory with a name as with an id.
        attributes.into_iter().enumerate().map(|(at, (name, value))| Ok((self.defined(at, name)?, value))).collect()
    }

    /// The dimension of the attribute that is number `at` of its record.
    fn defined(&mut self, at: usize, name: Arc<str>) -> Result<DimensionId> {
        let is_it = |(known, _): &&(Arc<str>, DimensionId)| Arc::ptr_eq(known, &name);
        // Records mostly have the same names in the same order.
        let used = self.used.get(at).filter(is_it).or_else(|| self.used.iter().find(is_it));
        if let Some(&(_, id)) = used {
            return Ok(id);
        }
        let id = match self.dimension(&name) {
            Some(id) => id,
            None => {
                let id = DimensionId(self.allocation.next_dimension);
                let next = id.0.checked_add(1).filter(|&next| next != u32::MAX);
                self.allocation.next_dimension =
                    next.ok_or_else(|| Error::invalid_argument("more than 2^32 - 2 dimensions"))?;
                self.names.insert(Arc::clone(&name), id);
                self.operations.push(Operation::Define { id, name: Arc::clone(&name) });
                id
            }
        };
        if self.used.len() < USED_MAX {
            self.used.push((name, id));
        }
        Ok(id)
    }

    /// Whether a slot has a value now: by this batch, or by what was committed before.
    fn has_cell(&self, id: DimensionId, slot: u32) -> Result<bool> {
        for operation in self.operations.iter().rev() {
            let (cells, born) = match operation {
                Operation::Insert { slot: at, cells, .. } if *at == slot => (cells, true),
                Operation::Update { slot: at, cells } if *at == slot => (cells, false),
                _ => continue,
            };
            if let Some((_, value)) = cells.iter().rev().find(|(other, _)| *other == id) {
                return Ok(value.is_some());
            }
            if born {
                return Ok(false);
            }
        }
        Ok(self.view.cell(id, slot, u64::MAX)?.is_some())
    }
}

impl Plan {
    /// The body of the log record.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for operation in &self.operations {
            match operation {
                Operation::Define { id, name } => wal::encode_define(id.0, name, out),
                Operation::Insert { slot, key, cells } => {
                    wal::encode_insert(*slot, key.as_ref(), cell_refs(cells), out);
                }
                Operation::Update { slot, cells } => wal::encode_update(*slot, cell_refs(cells), out),
                Operation::Delete { slot, key } => wal::encode_delete(*slot, key.as_ref(), out),
            }
        }
    }

    /// Puts the steps into an overlay, with stamps from `stamp + 1` on; returns the last one.
    pub(super) fn apply(self, overlay: &Overlay, mut stamp: u64) -> Result<u64> {
        let mut cells = overlay.cells(self.operations.iter().map(Operation::cell_count).sum());
        let mut operations = self.operations.into_iter();
        loop {
            for operation in operations.as_slice().iter().take(APPLY_LEN) {
                if let Operation::Update { slot, cells } | Operation::Insert { slot, cells, .. } = operation
                    && let Some((id, _)) = cells.first()
                {
                    overlay.prefetch(*id, *slot);
                }
            }
            let before = stamp;
            for operation in operations.by_ref().take(APPLY_LEN) {
                stamp += 1;
                match operation {
                    Operation::Define { id, name } => overlay.add_definition(stamp, id, name)?,
                    Operation::Insert { slot, key, cells: values } => {
                        overlay.add_occupant(stamp, slot, key, true)?;
                        cells.add(stamp, slot, values)?;
                    }
                    Operation::Update { slot, cells: values } => cells.add(stamp, slot, values)?,
                    Operation::Delete { slot, key } => overlay.add_occupant(stamp, slot, key, false)?,
                }
            }
            if stamp == before {
                cells.finish()?;
                return Ok(stamp);
            }
        }
    }
}

fn cell_refs(cells: &Cells) -> impl ExactSizeIterator<Item = (u32, Option<crate::model::ValueRef<'_>>)> {
    cells.iter().map(|(id, value)| (id.0, value.as_ref().map(ValueBuf::as_ref)))
}
