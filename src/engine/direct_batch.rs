//! Looking up many keys at once, the direct way: what a key needs next is fetched for all keys of a group before any of them waits for
//! it, so that a group costs a few waits instead of a few for each key.

use super::direct::{DirectColumn, DirectKeys, Found};
use super::verified::Settled;
use crate::model::KeyRef;

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
            self.values.prefetch_cells(slots);
            axis.prefetch_changes(found(slots));
            self.prefetch_changes(found(slots));
        };
        axis.table.slots_of(keys, &mut slots, (cells, |slots: &Slots| self.values.prefetch_contents(slots)));
        keys.iter().zip(slots).try_for_each(|(&key, slot)| each(key, axis.unless_changed(key, slot)))
    }
}
