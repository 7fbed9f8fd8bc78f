//! The direct way of a lookup: for keys and cells that are in the base files, in blocks that have been verified, of which neither patches
//! nor overlays have anything to say, as a bit for each slot tells. It settles nearly all lookups in few instructions; what it does not settle, such as a block that is
//! used for the first time, or a slot that an overlay may have changed, takes the long way through [`View`](super::view::View), which
//! checks, and explains what is wrong.

use super::axis_tiers::AxisTiers;
use super::column_tiers::ColumnTiers;
use super::direct_axis::KeyTable;
use super::direct_column::{Receiver, Values};
use super::overlay::Overlay;
use super::patched_slots::Patched;
use super::slot_set::SlotSet;
use super::verified::Settled;
use super::view::View;
use crate::model::KeyRef;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the direct way has found of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<T> {
    /// What there is.
    Settled(Option<T>),
    /// In the files the key is at a slot of which a patch or an overlay may say something else.
    Touched(u32),
    /// Nothing: the long way has to be taken.
    Unknown,
}

/// The axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectKeys<'a> {
    pub(super) table: KeyTable<'a>,
    /// Absent while nothing is changed.
    pub(super) changes: Option<Changed<'a>>,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectColumn<'a> {
    pub(super) values: Values<'a>,
    /// Whether all that is read of it has been verified.
    whole: &'a AtomicBool,
    /// What patches touch of the dimension; absent where there are none.
    patched: Option<Patched<'a, ColumnTiers>>,
}

/// What tells of slots and keys that are not as in the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed<'a> {
    view: &'a View,
    active: Option<&'a SlotSet>,
    frozen: Option<&'a SlotSet>,
    /// What patches touch of the axis.
    patched: Option<Patched<'a, AxisTiers>>,
    /// Whether any key came or went.
    has_keys: bool,
}

impl<'a> Changed<'a> {
    /// Of all that a reader at a stamp sees; `None` while that is nothing.
    fn new(view: &'a View, stamp: u64) -> Option<Self> {
        let visible = |overlay: &'a Overlay| overlay.is_visible(stamp).then(|| overlay.touched_slots());
        let (active, frozen) = (visible(&view.active), view.frozen.as_deref().and_then(visible));
        let axis = view.generation.axis();
        let patched = Patched::new(axis, axis);
        let is_any = active.is_some() || frozen.is_some() || patched.is_some();
        let has_keys = patched.is_some() || view.overlays().any(Overlay::has_occupants);
        is_any.then_some(Self { view, active, frozen, patched, has_keys })
    }

    /// Whether a slot's occupant, or a value of it in an overlay, may be another one than in the files.
    #[inline(always)]
    fn may_touch(&self, slot: u32) -> bool {
        self.overlays_may_touch(slot) || self.patched.is_some_and(|patched| patched.may_touch(slot))
    }

    #[inline(always)]
    fn overlays_may_touch(&self, slot: u32) -> bool {
        self.active.is_some_and(|slots| slots.may_have(slot)) || self.frozen.is_some_and(|slots| slots.may_have(slot))
    }

    /// Whether a slot's occupant and its values in overlays are surely those of the files. Not, where nobody asked before.
    #[inline(always)]
    fn is_untouched(&self, slot: u32) -> bool {
        !self.overlays_may_touch(slot) && self.patched.is_none_or(|patched| patched.is_untouched(slot))
    }

    /// The same, asking all that tells of the slot, so that there is no branch on bits that cannot be guessed.
    #[inline(always)]
    fn is_untouched_by_all(&self, slot: u32) -> bool {
        let by_overlay = |slots: Option<&SlotSet>| slots.is_none_or(|slots| !slots.may_have(slot));
        by_overlay(self.active)
            & by_overlay(self.frozen)
            & self.patched.is_none_or(|patched| patched.is_untouched(slot))
    }

    /// Asks for what tells of a slot.
    #[inline]
    fn prefetch(&self, slot: u32) {
        self.active.iter().chain(&self.frozen).for_each(|slots| slots.prefetch(slot));
        self.patched.iter().for_each(|patched| patched.prefetch(slot));
    }

    /// Whether a key that is not in the base files may be there.
    #[inline(never)]
    fn may_have_key(&self, key: KeyRef<'_>) -> bool {
        self.view.overlays().any(|overlay| overlay.may_have_key(key))
            || self.view.generation.axis().may_have_inserted(key)
    }
}

impl<'a> DirectKeys<'a> {
    /// The direct way to the keys as of a stamp, if there is one.
    #[inline]
    pub(super) fn new(view: &'a View, stamp: u64) -> Option<Self> {
        let tiers = view.generation.axis();
        let axis = tiers.base()?;
        let table = axis.direct()?.table(axis.file().verified_bytes())?;
        Some(Self { table, changes: Changed::new(view, stamp) })
    }

    /// Whether a key that is not in the base files may be there.
    #[inline(always)]
    pub(super) fn may_have_key<'k>(&self, key: impl FnOnce() -> KeyRef<'k>) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.has_keys && changes.may_have_key(key()))
    }

    /// Whether a value of a slot in an overlay, or its occupant there, may be another one than in the files.
    #[inline(always)]
    pub(super) fn overlays_may_touch(&self, slot: u32) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.overlays_may_touch(slot))
    }

    /// Whether anything is changed.
    #[inline(always)]
    pub(super) const fn is_changed(&self) -> bool {
        self.changes.is_some()
    }

    /// Whether surely no key is elsewhere than in the base files.
    #[inline(always)]
    pub(super) fn has_all_keys(&self) -> bool {
        self.changes.as_ref().is_none_or(|changes| !changes.has_keys)
    }

    /// Whether nothing is changed, and no slot of the files is free.
    pub(super) const fn is_plain(&self) -> bool {
        self.changes.is_none() && !self.table.has_free_slots()
    }

    /// The slot where a key is in the files, or that it is not there, if that still holds.
    #[inline(always)]
    pub(super) fn unless_changed(&self, key: KeyRef<'_>, slot: Settled<u32>) -> Found<u32> {
        let Some(slot) = slot else { return Found::Unknown };
        let Some(changes) = &self.changes else { return Found::Settled(slot) };
        match slot {
            Some(slot) if changes.may_touch(slot) => Found::Touched(slot),
            None if self.may_have_key(|| key) => Found::Unknown,
            slot => Found::Settled(slot),
        }
    }

    /// Whether a slot is surely in use, as all of the files are, and nothing is changed.
    #[inline(always)]
    pub(super) fn is_plain_slot(&self, slot: u32) -> bool {
        self.is_plain() && slot < self.table.slot_count
    }

    /// Whether a slot is in use, if nothing changed it or a value of it since.
    #[inline(always)]
    pub(super) fn is_used(&self, slot: u32) -> Option<bool> {
        match &self.changes {
            Some(changes) if changes.may_touch(slot) => None,
            _ => self.table.is_used(slot),
        }
    }

    /// Asks for what tells whether slots were changed.
    pub(super) fn prefetch_changes(&self, slots: impl Iterator<Item = u32>) {
        if let Some(changes) = &self.changes {
            slots.for_each(|slot| changes.prefetch(slot));
        }
    }
}

impl<'a> DirectColumn<'a> {
    /// The direct way to a dimension, if there is one.
    #[inline]
    pub(super) fn new(tiers: Option<&'a ColumnTiers>, axis: &AxisTiers) -> Option<Self> {
        static NOTHING_TO_VERIFY: AtomicBool = AtomicBool::new(true);
        let (mut values, mut whole) = (Values::None, &NOTHING_TO_VERIFY);
        if let Some(base) = tiers.and_then(ColumnTiers::base) {
            let bytes = base.file().verified_bytes();
            (values, whole) = (base.direct()?.values(bytes)?, bytes.whole);
        }
        let patched = tiers.and_then(|tiers| Patched::new(tiers, axis));
        Some(Self { values, whole, patched })
    }

    /// Hands over the value of a slot that is in use, and that nothing changed.
    #[inline(always)]
    pub(super) fn get<R: Receiver<'a>>(&self, slot: u32, receiver: R) -> R::Outcome {
        self.values.get::<false, R>(slot, receiver)
    }

    /// Whether all that is read of it has been verified.
    #[inline(always)]
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    /// Whether no patch touches it.
    pub(super) const fn is_plain(&self) -> bool {
        self.patched.is_none()
    }

    /// Whether a slot's occupant, or its value here, may be another one than in the files.
    #[inline(always)]
    pub(super) fn may_touch(&self, keys: &DirectKeys<'a>, slot: u32) -> bool {
        keys.changes.as_ref().is_some_and(|changes| changes.may_touch(slot)) || self.patches_may_touch(slot)
    }

    /// Whether a slot's occupant and its value here are surely those of the files. Not, where nobody asked before.
    #[inline(always)]
    pub(super) fn is_untouched(&self, keys: &DirectKeys<'a>, slot: u32) -> bool {
        keys.changes.as_ref().is_none_or(|changes| changes.is_untouched(slot))
            && self.patched.is_none_or(|patched| patched.is_untouched(slot))
    }

    /// The same for batches, which gather the answers: without a branch on bits that cannot be guessed.
    #[inline(always)]
    pub(super) fn is_untouched_by_all(&self, keys: &DirectKeys<'a>, slot: u32) -> bool {
        keys.changes.as_ref().is_none_or(|changes| changes.is_untouched_by_all(slot))
            & self.patched.is_none_or(|patched| patched.is_untouched(slot))
    }

    /// Whether patches may say something of a slot.
    #[inline(always)]
    pub(super) fn patches_may_touch(&self, slot: u32) -> bool {
        self.patched.is_some_and(|patched| patched.may_touch(slot))
    }

    /// Asks for what tells whether slots were changed.
    pub(super) fn prefetch_changes(&self, slots: impl Iterator<Item = u32>) {
        if let Some(patched) = &self.patched {
            slots.for_each(|slot| patched.prefetch(slot));
        }
    }
}
