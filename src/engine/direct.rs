//! The direct way of a lookup: for keys and cells that are in the base files, in blocks that have been verified, of which neither patches
//! nor overlays have anything to say. It settles nearly all lookups in few instructions; what it does not settle, such as a block that is
//! used for the first time, or a slot that an overlay may have changed, takes the long way through [`View`](super::view::View), which
//! checks, and explains what is wrong.

use super::cells::Cells;
use super::column_tiers::ColumnTiers;
use super::direct_axis::DirectAxis;
use super::filter::Filter;
use super::overlay::Overlay;
use super::verified::{Settled, VerifiedBytes};
use super::view::View;
use crate::model::{DimensionId, KeyRef, ValueRef};

/// The axis and one column, and where everything is in them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct<'a> {
    pub(super) axis: &'a DirectAxis,
    pub(super) keys: VerifiedBytes<'a>,
    /// Absent where no point had a value when the files were written.
    pub(super) column: Option<(&'a Cells, VerifiedBytes<'a>)>,
    /// Absent while nothing is.
    changes: Option<Changed<'a>>,
}

/// What tells of slots and keys that are not as in the files.
#[derive(Clone, Copy, Debug)]
struct Changed<'a> {
    view: &'a View,
    active: Option<&'a Filter>,
    frozen: Option<&'a Filter>,
}

impl<'a> Changed<'a> {
    /// Of all that a reader at a stamp sees; `None` while that is nothing.
    fn new(view: &'a View, stamp: u64) -> Option<Self> {
        let visible = |overlay: &'a Overlay| overlay.is_visible(stamp).then(|| overlay.touched_slots()).flatten();
        let (active, frozen) = (visible(&view.active), view.frozen.as_deref().and_then(visible));
        (active.is_some() || frozen.is_some()).then_some(Self { view, active, frozen })
    }

    /// Whether a slot's occupant or value may be another one than in the files.
    #[inline(always)]
    fn may_touch(&self, slot: u32) -> bool {
        self.active.is_some_and(|slots| slots.may_have(slot.into()))
            || self.frozen.is_some_and(|slots| slots.may_have(slot.into()))
    }

    /// Whether a key that is not in the files may be there.
    #[inline(never)]
    fn may_have_key(&self, key: KeyRef<'_>) -> bool {
        self.view.overlays().any(|overlay| overlay.may_have_key(key))
    }
}

impl<'a> Direct<'a> {
    /// The direct way to a dimension as of a stamp, if there is one: none where patches have a say.
    pub(super) fn new(view: &'a View, id: DimensionId, stamp: u64) -> Option<Self> {
        let tiers = view.generation.column(id);
        if view.generation.axis().is_patched() || tiers.is_some_and(|tiers| !tiers.patches().is_empty()) {
            return None;
        }
        let axis = view.generation.axis().base()?;
        let column = match tiers.and_then(ColumnTiers::base) {
            Some(base) => Some((base.direct()?, base.file().verified_bytes())),
            None => None,
        };
        let changes = Changed::new(view, stamp);
        Some(Self { axis: axis.direct()?, keys: axis.file().verified_bytes(), column, changes })
    }

    /// The value of a key.
    #[inline(always)]
    pub(super) fn lookup(self, key: KeyRef<'_>) -> Settled<ValueRef<'a>> {
        let found = self.axis.slot_of(self.keys, key)?;
        self.value_at(key, found)
    }

    /// The value of a key that is at a slot of the base, or at none.
    #[inline(always)]
    pub(super) fn value_at(&self, key: KeyRef<'_>, slot: Option<u32>) -> Settled<ValueRef<'a>> {
        let Some(slot) = slot else {
            let is_elsewhere = self.changes.is_some_and(|changes| changes.may_have_key(key));
            return if is_elsewhere { None } else { Some(None) };
        };
        if let Some(changes) = &self.changes
            && changes.may_touch(slot)
        {
            return None;
        }
        match self.column {
            Some((cells, bytes)) => cells.direct(bytes, slot),
            None => Some(None),
        }
    }
}
