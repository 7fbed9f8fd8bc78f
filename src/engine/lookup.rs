//! Lookups of keys and of slots, by the direct way where that settles them.
//!
//! Each kind of key has a function of its own that is not inlined: what the key is was decided by then, and the function is small enough for the
//! compiler to keep what matters in registers.

use super::column_tiers::BASE;
use super::database::State;
use super::direct::{DirectColumn, DirectKeys, Found};
use super::direct_axis::KeyTable;
use super::direct_axis::Other;
use super::direct_batch::GROUP_LEN;
use super::direct_column::Receiver;
use super::state::DimensionView;
use super::verified::Settled;
use super::view::Origin;
use crate::error::Result;
use crate::model::{KeyRef, Slot, ValueRef};

/// The central axis at a point in time, ready for lookups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AxisReader<'a> {
    state: &'a State,
    pub(super) direct: Option<DirectKeys<'a>>,
}

/// A dimension at a point in time, ready for lookups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DimensionReader<'a> {
    pub(crate) view: DimensionView<'a>,
    pub(super) direct: Option<DirectColumn<'a>>,
}

/// The axis and all dimensions at a point in time, for points as a whole.
#[derive(Clone, Debug)]
pub(crate) struct PointReader<'a> {
    pub(crate) axis: AxisReader<'a>,
    /// In the order of their first use.
    pub(crate) dimensions: Box<[DimensionReader<'a>]>,
}

/// A key of a type that often all keys have, so that lookups have functions of their own for it.
pub(super) trait PlainKey: Copy {
    /// As one of any type.
    fn as_key(&self) -> KeyRef<'_>;

    /// Where it is among keys that all have its type, if no slot is free.
    fn slot<const WHOLE: bool>(self, table: &KeyTable<'_>) -> Settled<u32>;
}

impl PlainKey for i128 {
    #[inline(always)]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::trusted(ValueRef::Int(*self))
    }

    #[inline(always)]
    fn slot<const WHOLE: bool>(self, table: &KeyTable<'_>) -> Settled<u32> {
        table.plain_slot_of_integer::<WHOLE>(self)
    }
}

impl PlainKey for &str {
    #[inline(always)]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::trusted(ValueRef::Text(self))
    }

    #[inline(always)]
    fn slot<const WHOLE: bool>(self, table: &KeyTable<'_>) -> Settled<u32> {
        table.plain_slot_of_text::<WHOLE>(self)
    }
}

impl State {
    /// The axis and all dimensions.
    pub(crate) fn points(&self) -> PointReader<'_> {
        let dimensions = self.dimensions().into_iter().map(DimensionView::reader).collect();
        PointReader { axis: self.axis(), dimensions }
    }

    /// The axis.
    #[inline]
    pub(crate) fn axis(&self) -> AxisReader<'_> {
        AxisReader { state: self, direct: DirectKeys::new(&self.view, self.moment.stamp) }
    }

    /// The slot of a key, asking all tiers, with all checks.
    #[inline(never)]
    fn slot_through_tiers(&self, key: KeyRef<'_>) -> Result<Option<Slot>> {
        Ok(self.view.resolve(key, self.moment.stamp)?.map(|(slot, _)| Slot(slot)))
    }
}

impl<'a> AxisReader<'a> {
    #[inline]
    pub(crate) const fn state(&self) -> &'a State {
        self.state
    }

    /// The slot of a key.
    #[inline]
    pub(crate) fn slot_of(&self, key: KeyRef<'_>) -> Result<Option<Slot>> {
        match key.value() {
            ValueRef::Int(int) => self.slot_of_plain(int),
            ValueRef::Text(text) => self.slot_of_plain(text),
            _ => self.slot_of_other(key),
        }
    }

    #[inline(never)]
    fn slot_of_plain<K: PlainKey>(&self, key: K) -> Result<Option<Slot>> {
        if let Some(direct) = &self.direct
            && !direct.is_changed()
            && direct.table.is_whole()
            && let Some(slot) = key.slot::<true>(&direct.table)
        {
            return Ok(slot.map(Slot));
        }
        self.slot_of_other(key.as_key())
    }

    #[inline(never)]
    fn slot_of_other(&self, key: KeyRef<'_>) -> Result<Option<Slot>> {
        let Some(direct) = &self.direct else { return self.state.slot_through_tiers(key) };
        self.settle(key, direct.unless_changed(key, direct.table.slot_of(key.value())))
    }

    #[inline(always)]
    fn settle(&self, key: KeyRef<'_>, found: Found<u32>) -> Result<Option<Slot>> {
        match found {
            Found::Settled(slot) => Ok(slot.map(Slot)),
            // Nobody else has come to the slot: the key is still there.
            Found::Touched(slot) if self.is_base(slot)? => Ok(Some(Slot(slot))),
            Found::Touched(_) | Found::Unknown => self.state.slot_through_tiers(key),
        }
    }

    /// Whether a slot's occupant is the one that the base file says.
    #[inline(never)]
    fn is_base(&self, slot: u32) -> Result<bool> {
        Ok(self.state.view.origin(slot, self.state.moment.stamp)? == Some(Origin::File(BASE)))
    }

    /// The slots of up to [`GROUP_LEN`] keys, appended in their order.
    pub(crate) fn find_group(&self, keys: &[KeyRef<'_>], slots: &mut Vec<Option<Slot>>) -> Result<()> {
        slots.reserve(keys.len());
        if let Some(direct) = &self.direct {
            return direct.find_group(keys, |key, found| {
                slots.push(self.settle(key, found)?);
                Ok(())
            });
        }
        for &key in keys {
            slots.push(self.state.slot_through_tiers(key)?);
        }
        Ok(())
    }
}

impl<'a> DimensionView<'a> {
    /// The dimension, ready for lookups.
    #[inline]
    pub(crate) fn reader(self) -> DimensionReader<'a> {
        DimensionReader { view: self, direct: DirectColumn::new(self.column, self.state.view.generation.axis()) }
    }

    /// The value of a key. For one lookup; many take a reader.
    #[inline]
    pub(crate) fn lookup(self, key: KeyRef<'_>) -> Result<Option<ValueRef<'a>>> {
        self.reader().lookup(&self.state.axis(), key)
    }

    /// The value of a key, asking all tiers, with all checks.
    #[inline(never)]
    fn lookup_through_tiers(self, key: KeyRef<'_>) -> Result<Option<ValueRef<'a>>> {
        let State { view, moment } = self.state;
        match view.resolve(key, moment.stamp)? {
            Some((slot, origin)) => view.cell_of(self.id, self.column, slot, origin, moment.stamp),
            None => Ok(None),
        }
    }

    /// Asks for where overlays have the value of a slot that they touch.
    #[inline(always)]
    pub(super) fn prefetch_place_in_overlays(self, slot: u32) {
        self.state.view.overlays().for_each(|overlay| overlay.prefetch(self.id, slot));
    }

    /// The same of patches.
    #[inline(always)]
    pub(super) fn prefetch_place_in_patches(self, slot: u32) {
        self.column.into_iter().for_each(|column| column.prefetch_place(slot));
    }

    /// Asks for that value in overlays, once its place is there: first for the cell, then for what that refers to.
    #[inline(always)]
    pub(super) fn prefetch_in_overlays<const CONTENT: bool>(self, slot: u32) {
        self.state.view.overlays().for_each(|overlay| overlay.prefetch_value::<CONTENT>(self.id, slot));
    }

    /// The same in patches.
    #[inline(always)]
    pub(super) fn prefetch_in_patches<const CONTENT: bool>(self, slot: u32) {
        self.column.into_iter().for_each(|column| column.prefetch_value::<CONTENT>(slot));
    }

    /// The value of a key that was at a slot when the base file was written.
    #[inline(never)]
    fn lookup_touched(self, key: KeyRef<'_>, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let State { view, moment } = self.state;
        match view.origin(slot, moment.stamp)? {
            Some(origin @ Origin::File(BASE)) => view.cell_of(self.id, self.column, slot, origin, moment.stamp),
            _ => self.lookup_through_tiers(key),
        }
    }

    /// The value of a slot, asking all tiers, with all checks.
    #[inline(never)]
    pub(super) fn get_through_tiers(self, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let State { view, moment } = self.state;
        match view.origin(slot, moment.stamp)? {
            Some(origin) => view.cell_of(self.id, self.column, slot, origin, moment.stamp),
            None => Ok(None),
        }
    }
}

impl<'a> DimensionReader<'a> {
    /// The value of a key.
    #[inline]
    pub(crate) fn lookup(&self, axis: &AxisReader<'a>, key: KeyRef<'_>) -> Result<Option<ValueRef<'a>>> {
        match key.value() {
            ValueRef::Int(int) => self.lookup_plain(axis, int),
            ValueRef::Text(text) => self.lookup_plain(axis, text),
            _ => self.lookup_other(axis, key),
        }
    }

    // Where these end in a slower function, they do with what they were called with: a jump, so that they have nothing to save.

    #[inline(never)]
    pub(super) fn lookup_plain<K: PlainKey>(&self, axis: &AxisReader<'a>, key: K) -> Result<Option<ValueRef<'a>>> {
        match &axis.direct {
            Some(keys) if keys.table.is_whole() => self.find_plain::<true, K>(axis, keys, key),
            _ => self.lookup_plain_by_block(axis, key),
        }
    }

    #[inline(never)]
    fn lookup_plain_by_block<K: PlainKey>(&self, axis: &AxisReader<'a>, key: K) -> Result<Option<ValueRef<'a>>> {
        match &axis.direct {
            Some(keys) => self.find_plain::<false, K>(axis, keys, key),
            None => self.lookup_other_plain(axis, key),
        }
    }

    #[inline(always)]
    fn find_plain<const WHOLE: bool, K: PlainKey>(
        &self,
        axis: &AxisReader<'a>,
        keys: &DirectKeys<'a>,
        key: K,
    ) -> Result<Option<ValueRef<'a>>> {
        if let Some(column) = &self.direct
            && let Some(found) = key.slot::<WHOLE>(&keys.table)
        {
            match found {
                Some(slot) if column.may_touch(keys, slot) => return self.lookup_touched_plain(key, slot),
                Some(slot) if column.is_whole() => {
                    return column.values.get::<true, _>(slot, OrElse(|| self.lookup_other_plain(axis, key)));
                }
                None if !keys.may_have_key(|| key.as_key()) => return Ok(None),
                _ => {}
            }
        }
        self.lookup_other_plain(axis, key)
    }

    /// The value of a key that was at a slot when the base files were written.
    #[inline(never)]
    pub(super) fn lookup_at<K: PlainKey>(
        &self,
        axis: &AxisReader<'a>,
        key: K,
        slot: u32,
    ) -> Result<Option<ValueRef<'a>>> {
        match (&axis.direct, &self.direct) {
            (Some(keys), Some(column)) if !column.may_touch(keys, slot) => {
                column.get(slot, OrElse(|| self.lookup_other_plain(axis, key)))
            }
            _ => self.lookup_touched_plain(key, slot),
        }
    }

    #[inline(never)]
    fn lookup_touched_plain<K: PlainKey>(&self, key: K, slot: u32) -> Result<Option<ValueRef<'a>>> {
        self.view.lookup_touched(key.as_key(), slot)
    }

    #[inline(never)]
    fn lookup_other_plain<K: PlainKey>(&self, axis: &AxisReader<'a>, key: K) -> Result<Option<ValueRef<'a>>> {
        self.lookup_other(axis, key.as_key())
    }

    #[inline(never)]
    fn lookup_other(&self, axis: &AxisReader<'a>, key: KeyRef<'_>) -> Result<Option<ValueRef<'a>>> {
        match (&axis.direct, &self.direct) {
            (Some(keys), Some(column)) => {
                self.settle(column, key, keys.unless_changed(key, keys.table.slot_of(key.value())))
            }
            _ => self.view.lookup_through_tiers(key),
        }
    }

    #[inline(always)]
    fn settle(&self, column: &DirectColumn<'a>, key: KeyRef<'_>, found: Found<u32>) -> Result<Option<ValueRef<'a>>> {
        match found {
            Found::Settled(Some(slot)) if column.patches_may_touch(slot) => self.view.lookup_touched(key, slot),
            Found::Settled(Some(slot)) => column.get(slot, OrElse(|| self.view.lookup_through_tiers(key))),
            Found::Settled(None) => Ok(None),
            Found::Touched(slot) => self.view.lookup_touched(key, slot),
            Found::Unknown => self.view.lookup_through_tiers(key),
        }
    }

    /// The values of up to [`GROUP_LEN`] keys, appended in their order.
    pub(crate) fn lookup_group(
        &self,
        axis: &AxisReader<'a>,
        keys: &[KeyRef<'_>],
        values: &mut Vec<Option<ValueRef<'a>>>,
    ) -> Result<()> {
        debug_assert!(keys.len() <= GROUP_LEN);
        values.reserve(keys.len());
        if let (Some(direct), Some(column)) = (&axis.direct, &self.direct) {
            let other = |key: KeyRef<'_>, other| match other {
                Other::Touched(slot) => self.view.lookup_touched(key, slot),
                Other::Unknown => self.view.lookup_through_tiers(key),
            };
            let first = values.len();
            match column.values_of(direct, self.view, keys, values, other) {
                Some(Ok(())) => return Ok(()),
                Some(Err(_)) => {
                    // Touched values come last: key by key, those before the damaged one are what there is.
                    values.truncate(first);
                    return self.lookup_each(keys, values);
                }
                None => {}
            }
            return column.find_group(direct, keys, |key, found| {
                values.push(self.settle(column, key, found)?);
                Ok(())
            });
        }
        self.lookup_each(keys, values)
    }

    #[inline(never)]
    fn lookup_each(&self, keys: &[KeyRef<'_>], values: &mut Vec<Option<ValueRef<'a>>>) -> Result<()> {
        for &key in keys {
            values.push(self.view.lookup_through_tiers(key)?);
        }
        Ok(())
    }

    /// The value of a slot.
    #[inline(never)]
    pub(crate) fn get(&self, axis: &AxisReader<'a>, slot: Slot) -> Result<Option<ValueRef<'a>>> {
        if let (Some(keys), Some(column)) = (&axis.direct, &self.direct)
            && column.is_plain()
            && column.is_whole()
            && keys.is_plain_slot(slot.0)
        {
            return column.values.get::<true, _>(slot.0, OrElse(|| self.get_other(axis, slot)));
        }
        self.get_other(axis, slot)
    }

    /// The values of up to [`GROUP_LEN`] slots, appended in their order.
    pub(crate) fn get_group(
        &self,
        axis: &AxisReader<'a>,
        slots: &[Slot],
        values: &mut Vec<Option<ValueRef<'a>>>,
    ) -> Result<()> {
        values.reserve(slots.len());
        if let (Some(keys), Some(column)) = (&axis.direct, &self.direct) {
            column.prefetch_group(keys, self.view, slots);
        }
        for &slot in slots {
            values.push(self.get(axis, slot)?);
        }
        Ok(())
    }

    #[inline(never)]
    fn get_other(&self, axis: &AxisReader<'a>, slot: Slot) -> Result<Option<ValueRef<'a>>> {
        let through_tiers = || self.view.get_through_tiers(slot.0);
        let (Some(keys), Some(column)) = (&axis.direct, &self.direct) else { return through_tiers() };
        match keys.is_used(slot.0) {
            Some(true) if !column.patches_may_touch(slot.0) => column.get(slot.0, OrElse(through_tiers)),
            Some(false) => Ok(None),
            _ => through_tiers(),
        }
    }
}

/// Takes a value for the answer; what is not known is answered by a function.
struct OrElse<F>(F);

impl<'a, F: FnOnce() -> Result<Option<ValueRef<'a>>>> Receiver<'a> for OrElse<F> {
    type Outcome = Result<Option<ValueRef<'a>>>;

    #[inline(always)]
    fn value(self, value: ValueRef<'a>) -> Self::Outcome {
        Ok(Some(value))
    }

    #[inline(always)]
    fn absent(self) -> Self::Outcome {
        Ok(None)
    }

    #[inline(always)]
    fn unknown(self) -> Self::Outcome {
        (self.0)()
    }
}
