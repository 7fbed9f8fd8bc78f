//! Looking up many keys at once, the direct way: what a key needs next is fetched for all keys of a group before any of them waits for
//! it, so that a group costs a few waits instead of a few for each key.

use super::cells::Cells;
use super::direct::Direct;
use super::verified::{Settled, VerifiedBytes};
use crate::model::{KeyRef, ValueRef};

/// Keys of a group: more than a processor fetches at a time, and few enough that what was fetched is still there when it is used.
pub(crate) const GROUP_LEN: usize = 64;

impl<'a> Direct<'a> {
    /// The values of up to [`GROUP_LEN`] keys, one by one in their order; see [`Settled`].
    pub(super) fn lookup_group<E>(
        self,
        keys: &[KeyRef<'_>],
        each: impl FnMut(KeyRef<'_>, Settled<ValueRef<'a>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (axis, bytes) = (self.keys.axis, self.keys.bytes);
        let mut hashes = [0; GROUP_LEN];
        axis.start(bytes, keys, &mut hashes);
        let mut slots = [None; GROUP_LEN];
        for ((slot, &hash), &key) in slots.iter_mut().zip(&hashes).zip(keys) {
            *slot = axis.candidate(bytes, key, hash);
        }
        if let Some((cells, column)) = self.column {
            cells.fetch_cells(column, &slots);
        }
        if self.keys.is_changed() {
            slots.iter().copied().flatten().flatten().for_each(|slot| self.keys.fetch_changes(slot));
        }
        axis.fetch_keys(bytes, &slots);
        if let Some((cells, column)) = self.column {
            cells.fetch_contents(column, &slots);
        }
        axis.confirm(bytes, keys, &mut slots);
        if self.keys.is_changed() {
            for (slot, &key) in slots.iter_mut().zip(keys) {
                *slot = slot.and_then(|slot| self.keys.unless_changed(key, slot));
            }
        }
        match self.column {
            Some((cells, column)) => cells.values(column, keys, &slots, each),
            None => each_value(keys, &slots, |_| Some(None), each),
        }
    }
}

/// Hands out the value of each slot.
#[inline(always)]
fn each_value<'a, E>(
    keys: &[KeyRef<'_>],
    slots: &[Settled<u32>],
    value: impl Fn(u32) -> Settled<ValueRef<'a>>,
    mut each: impl FnMut(KeyRef<'_>, Settled<ValueRef<'a>>) -> Result<(), E>,
) -> Result<(), E> {
    for (slot, &key) in slots.iter().zip(keys) {
        let value = match *slot {
            Some(Some(slot)) => value(slot),
            Some(None) => Some(None),
            None => None,
        };
        each(key, value)?;
    }
    Ok(())
}

impl Cells {
    /// Fetches the cells of slots.
    fn fetch_cells(&self, bytes: VerifiedBytes<'_>, slots: &[Settled<u32>]) {
        let slots = slots.iter().copied().flatten().flatten();
        match self.uniform_cells() {
            Some(place) => slots.for_each(|slot| bytes.prefetch(place(slot))),
            None => {
                for slot in slots {
                    if let Some(Some((_, at))) = self.direct_place(bytes, slot) {
                        bytes.prefetch(at);
                    }
                }
            }
        }
    }

    /// Fetches what the cells of slots point to.
    fn fetch_contents(&self, bytes: VerifiedBytes<'_>, slots: &[Settled<u32>]) {
        if !self.has_contents() {
            return;
        }
        for slot in slots.iter().copied().flatten().flatten() {
            if let Some(Some((encoding, at))) = self.direct_place(bytes, slot)
                && let Some(content) = self.direct_content(bytes, encoding, at)
            {
                bytes.prefetch(content);
            }
        }
    }

    /// Hands out the values of slots.
    fn values<'a, E>(
        &self,
        bytes: VerifiedBytes<'a>,
        keys: &[KeyRef<'_>],
        slots: &[Settled<u32>],
        each: impl FnMut(KeyRef<'_>, Settled<ValueRef<'a>>) -> Result<(), E>,
    ) -> Result<(), E> {
        each_value(keys, slots, |slot| self.direct(bytes, slot), each)
    }
}
