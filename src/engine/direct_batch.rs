//! Looking up many keys at once, the direct way: what a key needs next is fetched for all keys of a group before any of them waits for
//! it, so that a group costs a few waits instead of a few for each key.

use super::direct::{DirectColumn, DirectKeys, Found};
use super::direct_column::{AsItIs, Values};
use super::verified::{Settled, VerifiedHeap, VerifiedSlice};
use crate::model::{KeyRef, ValueRef};

/// Keys of a group: more than a processor fetches at a time, and few enough that what was fetched is still there when it is used.
pub(crate) const GROUP_LEN: usize = 64;

/// Where the keys of a group are in the files. Those past the keys are `None`.
pub(super) type Slots = [Settled<u32>; GROUP_LEN];

/// The slots that were found.
fn found(slots: &Slots) -> impl Iterator<Item = u32> + Clone {
    slots.iter().copied().flatten().flatten()
}

impl<'a> DirectKeys<'a> {
    /// The slots of up to [`GROUP_LEN`] keys, in their order.
    pub(super) fn find_group<E>(
        &self,
        keys: &[KeyRef<'_>],
        mut each: impl FnMut(KeyRef<'_>, Found<u32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slots = [None; GROUP_LEN];
        self.table.slots_of(keys, &mut slots, (|slots: &Slots| self.prefetch_changes(found(slots)), |_: &Slots| ()));
        keys.iter().zip(slots).try_for_each(|(&key, slot)| each(key, self.unless_changed(key, slot)))
    }
}

impl<'a> DirectColumn<'a> {
    /// The slots of up to [`GROUP_LEN`] keys, in their order, whose values will be read next.
    pub(super) fn find_group<E>(
        &self,
        axis: &DirectKeys<'a>,
        keys: &[KeyRef<'_>],
        mut each: impl FnMut(KeyRef<'_>, Found<u32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slots = [None; GROUP_LEN];
        let cells = |slots: &Slots| {
            found(slots).for_each(|slot| self.values.prefetch_cell(slot));
            axis.prefetch_changes(found(slots));
            self.prefetch_changes(found(slots));
        };
        let contents = |slots: &Slots| found(slots).for_each(|slot| self.values.prefetch_content(slot));
        axis.table.slots_of(keys, &mut slots, (cells, contents));
        keys.iter().zip(slots).try_for_each(|(&key, slot)| each(key, axis.unless_changed(key, slot)))
    }

    /// The values of up to [`GROUP_LEN`] keys, in their order, where nothing has to be considered but keys, index and values; `None` where
    /// more has to be.
    pub(super) fn plain_group<E>(
        &self,
        axis: &DirectKeys<'a>,
        keys: &[KeyRef<'_>],
        each: impl FnMut(KeyRef<'_>, Settled<ValueRef<'a>>) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        if !self.is_plain() || !axis.is_plain() {
            return None;
        }
        match &self.values {
            values if !self.is_whole() => axis.table.plain_group(keys, Any(values), each),
            Values::F64(cells) => axis.table.plain_group(keys, Floats(cells), each),
            Values::Text(cells, heap) => axis.table.plain_group(keys, Texts(cells, heap), each),
            values => axis.table.plain_group(keys, Any(values), each),
        }
    }
}

/// What a batch reads: the values of slots.
pub(super) trait PlainCells<'a> {
    /// Asks for the cell of a slot.
    fn prefetch(&self, slot: u32);

    /// Asks for what the cell of a slot points to.
    fn prefetch_content(&self, slot: u32);

    /// The value of a slot.
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>>;
}

struct Floats<'c, 'a>(&'c VerifiedSlice<'a, 8>);

impl<'a> PlainCells<'a> for Floats<'_, 'a> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn prefetch_content(&self, _slot: u32) {}

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        Some(self.0.get::<true>(slot as usize)?.map(|cell| ValueRef::Float(f64::from_le_bytes(*cell))))
    }
}

struct Texts<'c, 'a>(&'c VerifiedSlice<'a, 4>, &'c VerifiedHeap<'a>);

impl<'a> PlainCells<'a> for Texts<'_, 'a> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        if let Some(cell) = self.0.at::<true>(slot as usize) {
            self.1.prefetch(u32::from_le_bytes(*cell) as usize);
        }
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        match self.0.get::<true>(slot as usize)? {
            Some(cell) => {
                self.1.text::<true>(u32::from_le_bytes(*cell) as usize).map(|text| Some(ValueRef::Text(text)))
            }
            None => Some(None),
        }
    }
}

struct Any<'c, 'a>(&'c Values<'a>);

impl<'a> PlainCells<'a> for Any<'_, 'a> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch_cell(slot);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        self.0.prefetch_content(slot);
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        self.0.get::<false, _>(slot, AsItIs)
    }
}
