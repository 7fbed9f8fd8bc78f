//! The ways in which keys are stored in an axis file, as reads that take the direct way see them.

use super::verified::{VerifiedHeap, VerifiedSlice};
use crate::format::value::{self, KeyHasher};
use crate::model::ValueRef;

/// One way to store keys.
pub(super) trait StoredKeys {
    /// A key of that way.
    type Key<'k>: Copy;

    /// A key that may be stored so; `None` for one that cannot be.
    fn of<'k>(&self, key: ValueRef<'k>) -> Option<Self::Key<'k>>;

    /// The hash of a key.
    fn hash(&self, hasher: &KeyHasher, key: Self::Key<'_>) -> u64;

    /// Whether a slot has a key; `None` where it cannot be read.
    fn is_at<const WHOLE: bool>(&self, slot: u32, key: Self::Key<'_>) -> Option<bool>;

    /// Asks for what tells of a slot's key.
    fn prefetch(&self, slot: u32);

    /// Asks for the key, where that is somewhere else.
    fn prefetch_content(&self, _slot: u32) {}
}

/// All `i64`, or all `u64`.
#[derive(Clone, Copy, Debug)]
pub(super) struct IntegerKeys<'a, const SIGNED: bool>(pub(super) VerifiedSlice<'a, 8>);

impl<const SIGNED: bool> IntegerKeys<'_, SIGNED> {
    /// The eight bytes of an integer; `None` where it is not of the type.
    #[inline(always)]
    pub(super) fn bits(int: i128) -> Option<u64> {
        if SIGNED { i64::try_from(int).ok().map(i64::cast_unsigned) } else { u64::try_from(int).ok() }
    }
}

impl<const SIGNED: bool> StoredKeys for IntegerKeys<'_, SIGNED> {
    type Key<'k> = u64;

    #[inline(always)]
    fn of(&self, key: ValueRef<'_>) -> Option<u64> {
        if let ValueRef::Int(int) = key { Self::bits(int) } else { None }
    }

    #[inline(always)]
    fn hash(&self, hasher: &KeyHasher, bits: u64) -> u64 {
        if SIGNED { hasher.hash_i64(bits.cast_signed()) } else { hasher.hash_u64(bits) }
    }

    #[inline(always)]
    fn is_at<const WHOLE: bool>(&self, slot: u32, bits: u64) -> Option<bool> {
        Some(u64::from_le_bytes(*self.0.at::<WHOLE>(slot as usize)?) == bits)
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct FloatKeys<'a>(pub(super) VerifiedSlice<'a, 8>);

impl StoredKeys for FloatKeys<'_> {
    type Key<'k> = f64;

    #[inline]
    fn of(&self, key: ValueRef<'_>) -> Option<f64> {
        if let ValueRef::Float(float) = key { Some(float) } else { None }
    }

    #[inline]
    fn hash(&self, hasher: &KeyHasher, key: f64) -> u64 {
        hasher.hash(ValueRef::Float(key))
    }

    #[inline]
    fn is_at<const WHOLE: bool>(&self, slot: u32, key: f64) -> Option<bool> {
        Some(u64::from_le_bytes(*self.0.at::<WHOLE>(slot as usize)?) == key.to_bits())
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }
}

/// Positions in a heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeapKeys<'a> {
    pub(super) cells: VerifiedSlice<'a, 4>,
    pub(super) heap: VerifiedHeap<'a>,
}

impl<'a> HeapKeys<'a> {
    #[inline(always)]
    fn content<const WHOLE: bool>(&self, slot: u32) -> Option<&'a [u8]> {
        self.heap.content::<WHOLE>(u32::from_le_bytes(*self.cells.at::<WHOLE>(slot as usize)?) as usize)
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.cells.prefetch(slot as usize);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        if let Some(position) = self.cells.at::<false>(slot as usize) {
            self.heap.prefetch(u32::from_le_bytes(*position) as usize);
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TextKeys<'a>(pub(super) HeapKeys<'a>);

impl StoredKeys for TextKeys<'_> {
    type Key<'k> = &'k str;

    #[inline(always)]
    fn of<'k>(&self, key: ValueRef<'k>) -> Option<&'k str> {
        if let ValueRef::Text(text) = key { Some(text) } else { None }
    }

    #[inline(always)]
    fn hash(&self, hasher: &KeyHasher, key: &str) -> u64 {
        hasher.hash_text(key)
    }

    #[inline(always)]
    fn is_at<const WHOLE: bool>(&self, slot: u32, key: &str) -> Option<bool> {
        Some(self.0.content::<WHOLE>(slot)? == key.as_bytes())
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        self.0.prefetch_content(slot);
    }
}

/// Of any types.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaggedKeys<'a>(pub(super) HeapKeys<'a>);

impl StoredKeys for TaggedKeys<'_> {
    type Key<'k> = ValueRef<'k>;

    #[inline]
    fn of<'k>(&self, key: ValueRef<'k>) -> Option<ValueRef<'k>> {
        Some(key)
    }

    #[inline]
    fn hash(&self, hasher: &KeyHasher, key: ValueRef<'_>) -> u64 {
        hasher.hash(key)
    }

    #[inline]
    fn is_at<const WHOLE: bool>(&self, slot: u32, key: ValueRef<'_>) -> Option<bool> {
        Some(value::decode(self.0.content::<WHOLE>(slot)?).ok()? == key)
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        self.0.prefetch_content(slot);
    }
}
