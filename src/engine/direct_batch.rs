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
        mut each: impl FnMut(KeyRef<'_>, Settled<ValueRef<'a>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (axis, bytes) = (self.keys.axis, self.keys.bytes);
        let mut hashes = [0; GROUP_LEN];
        for (hash, &key) in hashes.iter_mut().zip(keys) {
            *hash = axis.start(bytes, key);
        }
        let mut slots = [None; GROUP_LEN];
        for ((slot, &hash), &key) in slots.iter_mut().zip(&hashes).zip(keys) {
            *slot = axis.candidate(bytes, key, hash);
            let Some(Some(slot)) = *slot else { continue };
            self.keys.fetch_changes(slot);
            if let Some((cells, column)) = self.column {
                cells.fetch_cell(column, slot);
            }
        }
        for slot in slots.iter().take(keys.len()).copied().flatten().flatten() {
            axis.fetch_key(bytes, slot);
            if let Some((cells, column)) = self.column {
                cells.fetch_content(column, slot);
            }
        }
        for (slot, &key) in slots.into_iter().zip(keys) {
            each(key, self.settle(key, slot))?;
        }
        Ok(())
    }

    /// The value of a key that is at a slot, if it is there at all.
    #[inline(always)]
    fn settle(self, key: KeyRef<'_>, candidate: Settled<u32>) -> Settled<ValueRef<'a>> {
        let slot = match candidate? {
            Some(slot) => self.keys.axis.confirm(self.keys.bytes, key, slot)?,
            None => None,
        };
        match self.keys.unless_changed(key, slot)? {
            Some(slot) => self.value(slot),
            None => Some(None),
        }
    }
}

impl Cells {
    /// Fetches the cell of a slot.
    #[inline]
    fn fetch_cell(&self, bytes: VerifiedBytes<'_>, slot: u32) {
        if let Some(Some((_, at))) = self.direct_place(bytes, slot) {
            bytes.prefetch(at);
        }
    }

    /// Fetches what the cell of a slot points to.
    #[inline]
    fn fetch_content(&self, bytes: VerifiedBytes<'_>, slot: u32) {
        if !self.has_contents() {
            return;
        }
        if let Some(Some((encoding, at))) = self.direct_place(bytes, slot)
            && let Some(content) = self.direct_content(bytes, encoding, at)
        {
            bytes.prefetch(content);
        }
    }
}
