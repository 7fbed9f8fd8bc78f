//! Slots that patches touch: a bit for each, found out for a segment when one of its slots is first asked for, so that later lookups need
//! not ask each patch.

use super::axis_tiers::AxisTiers;
use super::patch::DeltaColumn;
use crate::error::Result;
use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::storage::prefetch;
use std::sync::OnceLock;

/// Words for the slots of a segment.
const WORD_COUNT: usize = SEGMENT_LEN as usize / u64::BITS as usize;

/// The slots of a segment that are touched; `None` where none is. Not set until somebody asks.
type Segment = OnceLock<Option<Box<[u64; WORD_COUNT]>>>;

/// The word of a slot among those of its segment, and its bit there.
#[inline(always)]
const fn place(slot: u32) -> (usize, u64) {
    ((slot >> 6) as usize % WORD_COUNT, 1 << (slot & 63))
}

/// The slots that some delta columns touch, as far as somebody asked.
#[derive(Default, Debug)]
pub(super) struct PatchedSlots(OnceLock<Box<[Segment]>>);

impl PatchedSlots {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }
}

/// Delta columns that are asked together.
pub(super) trait Patches {
    fn patched_slots(&self) -> &PatchedSlots;

    fn delta_columns(&self) -> impl Iterator<Item = &DeltaColumn>;
}

/// The slots that the delta columns of `T` touch, ready for lookups.
#[derive(Debug)]
pub(super) struct Patched<'a, T> {
    segments: &'a [Segment],
    patches: &'a T,
}

impl<T> Copy for Patched<'_, T> {}

impl<T> Clone for Patched<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: Patches> Patched<'a, T> {
    /// For slots up to the number that the axis file has; any other may be touched. `None` where there are no patches.
    #[inline]
    pub(super) fn new(patches: &'a T, axis: &AxisTiers) -> Option<Self> {
        patches.delta_columns().next()?;
        let count = || axis.base_slot_count().div_ceil(SEGMENT_LEN);
        let segments = patches.patched_slots().0.get_or_init(|| (0..count()).map(|_| Segment::new()).collect());
        Some(Self { segments, patches })
    }

    /// Whether surely no patch touches a slot. Not, where nobody asked for a slot of its segment before.
    #[inline(always)]
    pub(super) fn is_untouched(&self, slot: u32) -> bool {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return false };
        let (at, bit) = place(slot);
        segment
            .get()
            .is_some_and(|words| words.as_ref().is_none_or(|words| words.get(at).is_some_and(|word| word & bit == 0)))
    }

    /// Whether a patch may touch a slot. What cannot be read may.
    #[inline(always)]
    pub(super) fn may_touch(&self, slot: u32) -> bool {
        !self.is_untouched(slot) && self.find(slot)
    }

    #[inline(never)]
    fn find(&self, slot: u32) -> bool {
        let number = (slot >> SEGMENT_SHIFT) as usize;
        if let Some(segment) = self.segments.get(number)
            && segment.get().is_none()
            && let Ok(words) = self.touched_in(number)
        {
            // Another thread may have found out the same.
            _ = segment.set(words);
        }
        !self.is_untouched(slot)
    }

    /// The touched slots of a segment.
    fn touched_in(&self, number: usize) -> Result<Option<Box<[u64; WORD_COUNT]>>> {
        let mut offsets = Vec::new();
        self.patches.delta_columns().try_for_each(|column| column.touched_in(number, &mut offsets))?;
        if offsets.is_empty() {
            return Ok(None);
        }
        let mut words = Box::new([0; WORD_COUNT]);
        for offset in offsets {
            let (at, bit) = place(offset.into());
            words.get_mut(at).into_iter().for_each(|word| *word |= bit);
        }
        Ok(Some(words))
    }

    /// Asks for the cache line that tells of a slot.
    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        if let Some(Some(words)) = self.segments.get((slot >> SEGMENT_SHIFT) as usize).and_then(OnceLock::get) {
            prefetch(&words[..], place(slot).0);
        }
    }
}
