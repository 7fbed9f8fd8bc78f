//! The direct way of a lookup: for keys and cells that are in the base files, in blocks that have been verified, of which neither patches
//! nor overlays have anything to say, as their filters tell. It settles nearly all lookups in few instructions; what it does not settle, such as a block that is
//! used for the first time, or a slot that an overlay may have changed, takes the long way through [`View`](super::view::View), which
//! checks, and explains what is wrong.

use super::column_tiers::ColumnTiers;
use super::direct_axis::KeyTable;
use super::direct_column::{Receiver, Values};
use super::filter::Filter;
use super::overlay::Overlay;
use super::patch_filter::{PatchFilter, Probes};
use super::verified::Settled;
use super::view::View;
use crate::format::filter::FilterNumber;
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
    /// Of the patches that touch the dimension.
    patches: &'a [PatchFilter],
}

/// What tells of slots and keys that are not as in the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed<'a> {
    view: &'a View,
    active: Option<&'a Filter>,
    frozen: Option<&'a Filter>,
    /// Of the patches that touch the axis.
    patches: &'a [PatchFilter],
}

impl<'a> Changed<'a> {
    /// Of all that a reader at a stamp sees; `None` while that is nothing.
    fn new(view: &'a View, stamp: u64, patches: &'a [PatchFilter]) -> Option<Self> {
        let visible = |overlay: &'a Overlay| overlay.is_visible(stamp).then(|| overlay.touched_slots()).flatten();
        let (active, frozen) = (visible(&view.active), view.frozen.as_deref().and_then(visible));
        let is_any = active.is_some() || frozen.is_some() || !patches.is_empty();
        is_any.then_some(Self { view, active, frozen, patches })
    }

    /// Whether a slot's occupant, or a value of it in an overlay, may be another one than in the files.
    #[inline(always)]
    fn may_touch(&self, slot: FilterNumber) -> bool {
        self.active.is_some_and(|slots| slots.may_have(slot))
            || self.frozen.is_some_and(|slots| slots.may_have(slot))
            || self.patches.iter().any(|patch| patch.may_touch(slot))
    }

    /// Whether overlays surely say nothing of a slot.
    #[inline(always)]
    fn is_untouched_by_overlays(&self, slot: FilterNumber) -> bool {
        !self.active.is_some_and(|slots| slots.may_have(slot)) && !self.frozen.is_some_and(|slots| slots.may_have(slot))
    }

    /// Asks for what tells of a slot.
    #[inline]
    fn prefetch(&self, slot: u32) {
        self.active.iter().chain(&self.frozen).for_each(|slots| slots.prefetch(slot.into()));
        let slot = FilterNumber::new(slot.into());
        self.patches.iter().for_each(|patch| patch.prefetch(slot));
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
        Some(Self { table, changes: Changed::new(view, stamp, tiers.filters()?) })
    }

    /// Whether a key that is not in the base files may be there.
    #[inline(always)]
    pub(super) fn may_have_key<'k>(&self, key: impl FnOnce() -> KeyRef<'k>) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.may_have_key(key()))
    }

    /// Whether anything is changed.
    #[inline(always)]
    pub(super) const fn is_changed(&self) -> bool {
        self.changes.is_some()
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
            Some(slot) if changes.may_touch(FilterNumber::new(slot.into())) => Found::Touched(slot),
            None if changes.may_have_key(key) => Found::Unknown,
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
            Some(changes) if changes.may_touch(FilterNumber::new(slot.into())) => None,
            _ => self.table.is_used(slot),
        }
    }

    /// Whether a slot and its value are surely as in the files, by filters of the patches that concern them.
    #[inline(always)]
    pub(super) fn is_untouched(&self, probes: &Probes<'a>, slot: u32) -> bool {
        let slot = FilterNumber::new(slot.into());
        self.changes.as_ref().is_none_or(|changes| changes.is_untouched_by_overlays(slot)) && probes.are_untouched(slot)
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
    pub(super) fn new(tiers: Option<&'a ColumnTiers>) -> Option<Self> {
        static NOTHING_TO_VERIFY: AtomicBool = AtomicBool::new(true);
        let (mut values, mut whole) = (Values::None, &NOTHING_TO_VERIFY);
        if let Some(base) = tiers.and_then(ColumnTiers::base) {
            let bytes = base.file().verified_bytes();
            (values, whole) = (base.direct()?.values(bytes)?, bytes.whole);
        }
        let patches = match tiers {
            Some(tiers) => tiers.filters()?,
            None => &[],
        };
        Some(Self { values, whole, patches })
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
        self.patches.is_empty()
    }

    /// Whether a slot's occupant, or its value here, may be another one than in the files.
    #[inline(always)]
    pub(super) fn may_touch(&self, keys: &DirectKeys<'a>, slot: u32) -> bool {
        (keys.changes.is_some() || !self.patches.is_empty()) && self.is_maybe_touched(keys, slot)
    }

    #[inline(never)]
    fn is_maybe_touched(&self, keys: &DirectKeys<'a>, slot: u32) -> bool {
        let slot = FilterNumber::new(slot.into());
        keys.changes.as_ref().is_some_and(|changes| changes.may_touch(slot))
            || self.patches.iter().any(|patch| patch.may_touch(slot))
    }

    /// Whether patches may say something of a slot.
    #[inline]
    pub(super) fn patches_may_touch(&self, slot: u32) -> bool {
        let slot = FilterNumber::new(slot.into());
        self.patches.iter().any(|patch| patch.may_touch(slot))
    }

    /// The filters of all patches that may have changed a slot or its value, ready for many lookups.
    pub(super) fn probes(&self, keys: &DirectKeys<'a>) -> Option<Probes<'a>> {
        Probes::new(keys.changes.iter().flat_map(|changes| changes.patches).chain(self.patches))
    }

    /// Asks for what tells whether slots were changed.
    pub(super) fn prefetch_changes(&self, slots: impl Iterator<Item = u32> + Clone) {
        for patch in self.patches {
            slots.clone().for_each(|slot| patch.prefetch(FilterNumber::new(slot.into())));
        }
    }
}
