//! The direct way of a lookup: for keys and cells that are in the base files, in blocks that have been verified, of which neither patches
//! nor overlays have anything to say, as their filters tell. It settles nearly all lookups in few instructions; what it does not settle, such as a block that is
//! used for the first time, or a slot that an overlay may have changed, takes the long way through [`View`](super::view::View), which
//! checks, and explains what is wrong.

use super::cells::Cells;
use super::column_tiers::ColumnTiers;
use super::direct_axis::DirectAxis;
use super::filter::Filter;
use super::overlay::Overlay;
use super::patch_filter::PatchFilter;
use super::verified::{Settled, VerifiedBytes};
use super::view::View;
use crate::model::{DimensionId, KeyRef, ValueRef};

/// The axis, and where everything is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectKeys<'a> {
    pub(super) axis: &'a DirectAxis,
    pub(super) bytes: VerifiedBytes<'a>,
    /// Absent while nothing is.
    changes: Option<Changed<'a>>,
}

/// The axis and one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct<'a> {
    pub(super) keys: DirectKeys<'a>,
    /// Absent where no point had a value when the files were written.
    pub(super) column: Option<(&'a Cells, VerifiedBytes<'a>)>,
}

/// What tells of slots and keys that are not as in the files.
#[derive(Clone, Copy, Debug)]
struct Changed<'a> {
    view: &'a View,
    active: Option<&'a Filter>,
    frozen: Option<&'a Filter>,
    /// Of the patches that touch the axis, and of those that touch the dimension.
    axis: &'a [PatchFilter],
    column: &'a [PatchFilter],
}

impl<'a> Changed<'a> {
    /// Of all that a reader at a stamp sees; `None` while that is nothing.
    fn new(view: &'a View, stamp: u64, axis: &'a [PatchFilter], column: &'a [PatchFilter]) -> Option<Self> {
        let visible = |overlay: &'a Overlay| overlay.is_visible(stamp).then(|| overlay.touched_slots()).flatten();
        let (active, frozen) = (visible(&view.active), view.frozen.as_deref().and_then(visible));
        let is_any = active.is_some() || frozen.is_some() || !axis.is_empty() || !column.is_empty();
        is_any.then_some(Self { view, active, frozen, axis, column })
    }

    /// Whether a slot's occupant or value may be another one than in the files.
    #[inline(always)]
    fn may_touch(&self, slot: u32) -> bool {
        self.active.is_some_and(|slots| slots.may_have(slot.into()))
            || self.frozen.is_some_and(|slots| slots.may_have(slot.into()))
            || self.axis.iter().chain(self.column).any(|patch| patch.may_touch(slot))
    }

    /// Fetches what patches tell of a slot.
    #[inline]
    fn fetch(&self, slot: u32) {
        self.axis.iter().chain(self.column).for_each(|patch| patch.prefetch(slot));
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
        Self::with_column(view, stamp, &[])
    }

    /// The same, to keys whose cells patches with such filters may have changed as well.
    #[inline]
    fn with_column(view: &'a View, stamp: u64, column: &'a [PatchFilter]) -> Option<Self> {
        let tiers = view.generation.axis();
        let axis = tiers.base()?;
        let changes = Changed::new(view, stamp, tiers.filters()?, column);
        Some(Self { axis: axis.direct()?, bytes: axis.file().verified_bytes(), changes })
    }

    /// The slot of a key.
    #[inline(always)]
    pub(super) fn slot_of(&self, key: KeyRef<'_>) -> Settled<u32> {
        let slot = self.axis.slot_of(self.bytes, key)?;
        self.unless_changed(key, slot)
    }

    /// Whether anything was changed since the files were written.
    pub(super) const fn is_changed(&self) -> bool {
        self.changes.is_some()
    }

    /// The slot where a key is in the files, or that it is not there, if that still holds.
    #[inline(always)]
    pub(super) fn unless_changed(&self, key: KeyRef<'_>, slot: Option<u32>) -> Settled<u32> {
        if let Some(changes) = &self.changes {
            let is_changed = match slot {
                Some(slot) => changes.may_touch(slot),
                None => changes.may_have_key(key),
            };
            if is_changed {
                return None;
            }
        }
        Some(slot)
    }

    /// Fetches what tells whether a slot was changed.
    #[inline(always)]
    pub(super) fn fetch_changes(&self, slot: u32) {
        if let Some(changes) = &self.changes {
            changes.fetch(slot);
        }
    }

    /// Whether a slot is in use.
    #[inline(always)]
    fn is_used(&self, slot: u32) -> Option<bool> {
        if self.changes.is_some_and(|changes| changes.may_touch(slot)) {
            return None;
        }
        self.axis.is_used(self.bytes, slot)
    }
}

impl<'a> Direct<'a> {
    /// The direct way to a dimension as of a stamp, if there is one.
    pub(super) fn new(view: &'a View, id: DimensionId, stamp: u64) -> Option<Self> {
        let tiers = view.generation.column(id);
        let column = match tiers.and_then(ColumnTiers::base) {
            Some(base) => Some((base.direct()?, base.file().verified_bytes())),
            None => None,
        };
        let filters = match tiers {
            Some(tiers) => tiers.filters()?,
            None => &[],
        };
        Some(Self { keys: DirectKeys::with_column(view, stamp, filters)?, column })
    }

    /// The value of a key.
    #[inline(always)]
    pub(super) fn lookup(self, key: KeyRef<'_>) -> Settled<ValueRef<'a>> {
        match self.keys.slot_of(key)? {
            Some(slot) => self.value(slot),
            None => Some(None),
        }
    }

    /// The value of a slot.
    #[inline(always)]
    pub(super) fn get(self, slot: u32) -> Settled<ValueRef<'a>> {
        if self.keys.is_used(slot)? { self.value(slot) } else { Some(None) }
    }

    /// The value of a slot that is in use, and that nothing changed.
    #[inline(always)]
    pub(super) fn value(&self, slot: u32) -> Settled<ValueRef<'a>> {
        match self.column {
            Some((cells, bytes)) => cells.direct(bytes, slot),
            None => Some(None),
        }
    }
}
