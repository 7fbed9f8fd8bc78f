//! Which slot each point has after a compaction that moves points.

use super::base_axis::BaseAxis;
use super::column_builder;
use super::direct_column::{AsItIs, Values};
use super::generation::Generation;
use super::key_order::for_each_by_key;
use super::meter::Meter;
use super::numbering::Build;
use super::perfect_hash_builder::{BuiltPerfectHash, build_perfect_hash};
use crate::error::{Error, Result};
use crate::model::{KeyRef, ValueRef};
use crate::progress::ProgressFn;
use crate::storage::Storage;
use std::sync::Arc;

/// How a compaction lays out points. All but [`Keep`](Self::Keep) reassign coordinates, holding up writes meanwhile.
///
/// What is put in later takes free coordinates, as ever: a layout is what the compaction leaves, not a rule for what comes after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Coordinates stay as they are, and so does how keys are found, unless keys came or went. The default.
    #[default]
    Keep,
    /// Points keep their order and get the coordinates 0, 1, 2 and so on: the gaps that deleted points left are closed.
    ///
    /// This can make a database larger. Keys that are consecutive integers, each the first one plus its coordinate, take no room, also
    /// where some of them were deleted ([`Stats::axis_encoding`](crate::Stats::axis_encoding) is `dense`). Where that leaves gaps between
    /// the keys, closing up the coordinates ends it: then every key is stored and indexed, some 20 bytes each.
    Packed,
    /// Points get the coordinates 0, 1, 2 and so on in the order of their keys ([`Key`](crate::Key)), so that keys that are neighbours lie side by
    /// side and scans give them in order. Consecutive integers take no room then. Sorting takes O(points × log points), in the memory budget.
    ByKey,
    /// For points that are looked up far more than keys come and go: the coordinate of a key is worked out from its hash, by a minimal perfect
    /// hash function of half a byte a key, instead of found in an index of 11. A lookup is then faster, as key and value are fetched at the same
    /// time, and the database smaller. ([`Stats::axis_encoding`](crate::Stats::axis_encoding) is `frozen`.) Coordinates are in no order
    /// that means anything.
    ///
    /// Later changes are no different from those of any other database: new and deleted keys are in patches. The next
    /// compaction that keeps coordinates indexes keys again if some came or went, and keeps the function if none did.
    ///
    /// Where keys are consecutive integers, each the first one plus its coordinate, coordinates stay as they are: such keys take no
    /// room, and no function is faster. Where keys are consecutive integers in another order, they are put in the order of keys, with the same
    /// effect. If no function is found, which takes keys made to that end or billions of long ones, the layout is that of `Packed`.
    Frozen,
}

/// The slots of a compaction that moves points.
#[derive(Debug)]
pub(super) struct SlotOrder {
    /// The old slot of each new one; a free old slot makes a tombstone.
    pub(super) order: Vec<u32>,
    /// Where the order is that of its ranks.
    pub(super) perfect_hash: Option<BuiltPerfectHash>,
}

impl SlotOrder {
    /// Works out the order of the points of a generation that nothing was committed to since. `memory_budget` is in bytes; beside it, the order takes
    /// four for each point.
    pub(super) fn new(
        layout: Layout,
        generation: &Generation,
        storage: &Arc<dyn Storage>,
        memory_budget: usize,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Self> {
        let point_count = generation.manifest.point_count;
        let mut meter = Meter::new(progress, "ordering keys", point_count.into());
        let mut build = Build::new(Arc::clone(storage), memory_budget, generation.manifest.hash_seed, &mut meter);
        let mut keys = LiveKeys::new(generation);
        match layout {
            Layout::Keep => Self::kept(generation),
            Layout::Packed => Self::packed(generation),
            Layout::ByKey => Self::by_key(&mut build, &mut keys, point_count),
            Layout::Frozen => match Integers::of(&mut keys)? {
                Integers::BySlot => Self::kept(generation),
                Integers::Consecutive => Self::by_key(&mut build, &mut keys, point_count),
                Integers::Other => Self::frozen(&mut build, &mut keys, generation),
            },
        }
    }

    const fn of(order: Vec<u32>) -> Self {
        Self { order, perfect_hash: None }
    }

    fn kept(generation: &Generation) -> Result<Self> {
        let mut order = slots_vec(generation.manifest.slot_count)?;
        order.extend(0..generation.manifest.slot_count);
        Ok(Self::of(order))
    }

    fn packed(generation: &Generation) -> Result<Self> {
        let mut order = slots_vec(generation.manifest.point_count)?;
        for slot in 0..generation.manifest.slot_count {
            if generation.is_used(slot)? {
                order.push(slot);
            }
        }
        Ok(Self::of(order))
    }

    fn by_key(build: &mut Build<'_, '_>, keys: &mut LiveKeys<'_>, point_count: u32) -> Result<Self> {
        let mut order = slots_vec(point_count)?;
        for_each_by_key(build, keys, |slot| order.push(slot))?;
        Ok(Self::of(order))
    }

    fn frozen(build: &mut Build<'_, '_>, keys: &mut LiveKeys<'_>, generation: &Generation) -> Result<Self> {
        // The slots in use, so that there are as many as keys.
        let Self { mut order, .. } = Self::packed(generation)?;
        match build_perfect_hash(build, keys, &mut order)? {
            Some(perfect_hash) => Ok(Self { order, perfect_hash: Some(perfect_hash) }),
            None => Self::packed(generation),
        }
    }
}

/// The keys of a generation by slot.
struct LiveKeys<'g> {
    generation: &'g Generation,
    /// Those of the base, if no patch has any.
    stored: Option<Values<'g>>,
    next: u32,
}

impl<'g> LiveKeys<'g> {
    fn new(generation: &'g Generation) -> Self {
        let has_no_others = generation.patches().iter().all(|patch| patch.axis().is_none());
        let stored = generation.axis().base().filter(|_| has_no_others).and_then(BaseAxis::stored_values);
        Self { generation, stored, next: 0 }
    }

    /// The key of a slot.
    fn key_at(&self, slot: u32) -> Result<Option<ValueRef<'g>>> {
        let stored = self.stored.as_ref().and_then(|stored| stored.get::<false, _>(slot, AsItIs).flatten());
        match stored.and_then(KeyRef::checked) {
            Some(key) => Ok(Some(key.value())),
            None => Ok(self.generation.axis().key_at(slot)?.map(|(key, _)| key.value())),
        }
    }
}

impl column_builder::Values for LiveKeys<'_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        while self.next < self.generation.manifest.slot_count {
            let slot = self.next;
            self.next += 1;
            if let Some(key) = self.key_at(slot)? {
                return Ok(Some((slot, key)));
            }
        }
        Ok(None)
    }
}

/// Whether keys are integers that need no index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Integers {
    /// Each is a number plus its slot.
    BySlot,
    /// They are so many different ones without a gap, if keys differ, as they do.
    Consecutive,
    Other,
}

impl Integers {
    fn of(keys: &mut dyn column_builder::Values) -> Result<Self> {
        let (mut count, mut first) = (0i128, None);
        let (mut least, mut most, mut by_slot) = (i128::MAX, i128::MIN, true);
        keys.rewind();
        while let Some((slot, key)) = keys.next()? {
            let ValueRef::Int(int) = key else { return Ok(Self::Other) };
            count += 1;
            (least, most) = (least.min(int), most.max(int));
            let start = int - i128::from(slot);
            // What an axis can state of its first key.
            by_slot &= *first.get_or_insert(start) == start && i64::try_from(start).is_ok();
            if most - least > i128::from(u32::MAX) {
                return Ok(Self::Other);
            }
        }
        Ok(match (count, by_slot) {
            (0, _) => Self::Other,
            (_, true) => Self::BySlot,
            _ if most - least == count - 1 => Self::Consecutive,
            _ => Self::Other,
        })
    }
}

/// Room for so many slots, or an error: a few bytes on disk can state billions.
pub(super) fn slots_vec(count: u32) -> Result<Vec<u32>> {
    let mut slots = Vec::new();
    match slots.try_reserve_exact(count as usize) {
        Ok(()) => Ok(slots),
        Err(_) => Err(Error::invalid_argument(format!("moving {count} slots takes more memory than there is"))),
    }
}
