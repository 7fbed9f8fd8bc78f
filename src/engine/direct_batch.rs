//! Looking up many keys at once, the direct way: what a key needs next is fetched for all keys of a group before any of them waits for
//! it, so that a group costs a few waits instead of a few for each key.

use super::direct::{DirectColumn, DirectKeys, Found};
use super::direct_axis::Other;
use super::direct_column::Values;
use super::plain_cells::{AnyCells, FloatCells, TextCells};
use super::state::DimensionView;
use super::verified::Settled;
use crate::model::{KeyRef, Slot, ValueRef};

/// Keys of a group: more than a processor fetches at a time, and few enough that what was fetched is still there when it is used.
pub(crate) const GROUP_LEN: usize = 64;

/// Where the keys of a group are in the files. Those past the keys are `None`.
pub(super) type Slots = [Settled<u32>; GROUP_LEN];

/// The places of the bits that are set, ascending.
#[inline(always)]
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < GROUP_LEN).then_some(place)
    })
}

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

    /// Appends the values of up to [`GROUP_LEN`] keys, in their order; `None` where more than keys, index, values and bits of touched slots has to be considered.
    pub(super) fn values_of<E>(
        &self,
        axis: &DirectKeys<'a>,
        view: DimensionView<'a>,
        keys: &[KeyRef<'_>],
        values: &mut Vec<Option<ValueRef<'a>>>,
        other: impl FnMut(KeyRef<'_>, Other) -> Result<Option<ValueRef<'a>>, E>,
    ) -> Option<Result<(), E>> {
        if axis.table.has_free_slots() {
            None
        } else if axis.is_changed() || !self.is_plain() {
            self.values_with(axis, keys, Changes { axis, column: self, view }, values, other)
        } else {
            self.values_with(axis, keys, Unchanged, values, other)
        }
    }

    /// Asks for the values of up to [`GROUP_LEN`] slots: for all cells, then for all that these point to.
    pub(super) fn prefetch_group(&self, axis: &DirectKeys<'a>, view: DimensionView<'a>, slots: &[Slot]) {
        slots.iter().for_each(|slot| self.values.prefetch_cell(slot.0));
        if axis.is_changed() || !self.is_plain() {
            let changes = Changes { axis, column: self, view };
            slots.iter().for_each(|slot| changes.prefetch(slot.0));
            let (mut group, mut touched) = ([u32::MAX; GROUP_LEN], 0u64);
            for (n, (to, slot)) in group.iter_mut().zip(slots).enumerate() {
                *to = slot.0;
                touched |= u64::from(!changes.is_untouched(slot.0)) << n;
            }
            changes.prefetch_touched(&group, touched, self.values.has_content());
        }
        slots.iter().for_each(|slot| self.values.prefetch_content(slot.0));
    }

    #[inline(always)]
    fn values_with<E>(
        &self,
        axis: &DirectKeys<'a>,
        keys: &[KeyRef<'_>],
        changes: impl GroupChanges,
        out: &mut Vec<Option<ValueRef<'a>>>,
        other: impl FnMut(KeyRef<'_>, Other) -> Result<Option<ValueRef<'a>>, E>,
    ) -> Option<Result<(), E>> {
        match &self.values {
            values if !self.is_whole() => axis.table.values_of(keys, AnyCells(values), changes, out, other),
            Values::F64(cells) => axis.table.values_of(keys, FloatCells(cells), changes, out, other),
            Values::Text(cells, heap) => axis.table.values_of(keys, TextCells(cells, heap), changes, out, other),
            values => axis.table.values_of(keys, AnyCells(values), changes, out, other),
        }
    }
}

/// What tells of the slots and keys of a group that are not as in the files.
pub(super) trait GroupChanges {
    /// Asks for what tells of a slot.
    fn prefetch(&self, slot: u32);

    /// Whether a slot and its value are surely as in the files. Not, where nobody asked before.
    fn is_untouched(&self, slot: u32) -> bool;

    /// Asks for the values of slots, a bit for each, that may be touched: for where they are, for the cells, and for what these point to if
    /// values of the dimension do. Returns those that are touched.
    fn prefetch_touched(&self, slots: &[u32; GROUP_LEN], touched: u64, has_content: bool) -> u64;

    /// Whether a key that is not in the files may be there.
    fn may_have_key(&self, key: KeyRef<'_>) -> bool;
}

/// Nothing is changed.
struct Unchanged;

impl GroupChanges for Unchanged {
    #[inline(always)]
    fn prefetch(&self, _slot: u32) {}

    #[inline(always)]
    fn is_untouched(&self, _slot: u32) -> bool {
        true
    }

    #[inline(always)]
    fn prefetch_touched(&self, _slots: &[u32; GROUP_LEN], touched: u64, _has_content: bool) -> u64 {
        touched
    }

    #[inline(always)]
    fn may_have_key(&self, _key: KeyRef<'_>) -> bool {
        false
    }
}

/// What patches and overlays touch.
struct Changes<'c, 'a> {
    axis: &'c DirectKeys<'a>,
    column: &'c DirectColumn<'a>,
    view: DimensionView<'a>,
}

impl GroupChanges for Changes<'_, '_> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.axis.prefetch_changes(std::iter::once(slot));
        self.column.prefetch_changes(std::iter::once(slot));
    }

    #[inline(always)]
    fn is_untouched(&self, slot: u32) -> bool {
        // No slot is not touched.
        (slot == u32::MAX) | self.column.is_untouched_by_all(self.axis, slot)
    }

    #[inline(never)]
    fn prefetch_touched(&self, slots: &[u32; GROUP_LEN], touched: u64, has_content: bool) -> u64 {
        let slots = |bits| ones(bits).filter_map(move |n| slots.get(n).map(|&slot| (n, slot)));
        let bits_of = |bits, holds: &dyn Fn(u32) -> bool| {
            slots(bits).fold(0u64, |all, (n, slot)| all | u64::from(holds(slot)) << n)
        };
        let touched = bits_of(touched, &|slot| self.column.may_touch(self.axis, slot));
        let in_overlays = bits_of(touched, &|slot| self.axis.overlays_may_touch(slot));
        let in_patches = bits_of(touched, &|slot| self.column.patches_may_touch(slot));
        slots(in_overlays).for_each(|(_, slot)| self.view.prefetch_place_in_overlays(slot));
        slots(in_patches).for_each(|(_, slot)| self.view.prefetch_place_in_patches(slot));
        slots(in_overlays).for_each(|(_, slot)| self.view.prefetch_in_overlays::<false>(slot));
        slots(in_patches).for_each(|(_, slot)| self.view.prefetch_in_patches::<false>(slot));
        if has_content {
            slots(in_overlays).for_each(|(_, slot)| self.view.prefetch_in_overlays::<true>(slot));
            slots(in_patches).for_each(|(_, slot)| self.view.prefetch_in_patches::<true>(slot));
        }
        touched
    }

    #[inline(always)]
    fn may_have_key(&self, key: KeyRef<'_>) -> bool {
        self.axis.may_have_key(|| key)
    }
}
