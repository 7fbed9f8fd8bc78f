//! Where patches have what they say of slots: a bit for each slot that any of them touches, and the place of its cell. It is found out for a
//! segment when one of its slots is first asked for, so that later lookups need not ask each patch.

use super::axis_tiers::AxisTiers;
use super::patch::DeltaColumn;
use super::slot_set::{WORD_COUNT, word_and_bit};
use super::verified::Settled;
use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::storage::prefetch;
use std::sync::OnceLock;

/// Where the newest patch that touches a slot has its cell.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Place {
    /// The number of the delta column, of the newest first.
    patch: u16,
    /// Of the cell in its segment.
    index: u16,
}

impl Place {
    #[inline(always)]
    pub(super) const fn patch(self) -> usize {
        self.patch as usize
    }

    #[inline(always)]
    pub(super) const fn index(self) -> u32 {
        self.index as u32
    }
}

/// The slots of a segment that are touched.
#[derive(Debug)]
struct Touched {
    /// A bit for each slot.
    words: [u64; WORD_COUNT],
    /// Touched slots before each word.
    ranks: [u16; WORD_COUNT],
    /// Of each touched slot.
    places: Box<[Place]>,
}

/// `None` where no slot is touched. Not set until somebody asks.
type Segment = OnceLock<Option<Box<Touched>>>;

impl Touched {
    /// Of the touched slots of each delta column, as offsets into the segment, ascending: those of one end where it says, and the next follow.
    fn new(offsets: &[u16], ends: &[usize]) -> Box<Self> {
        let mut all = Box::new(Self { words: [0; WORD_COUNT], ranks: [0; WORD_COUNT], places: Box::default() });
        for &offset in offsets {
            let (at, bit) = word_and_bit(offset.into());
            all.words.get_mut(at).into_iter().for_each(|word| *word |= bit);
        }
        let mut count = 0;
        for (rank, word) in all.ranks.iter_mut().zip(&all.words) {
            // The last word starts with fewer than 65,536 slots before it.
            *rank = count as u16;
            count += word.count_ones();
        }
        let mut places = vec![Place::default(); count as usize];
        // The newest comes last, and stays.
        for (patch, &end) in ends.iter().enumerate().rev() {
            let start = patch.checked_sub(1).and_then(|before| ends.get(before).copied()).unwrap_or(0);
            for (index, &offset) in offsets.get(start..end).unwrap_or_default().iter().enumerate() {
                let place = Place { patch: patch as u16, index: index as u16 };
                places.get_mut(all.rank(offset.into())).into_iter().for_each(|to| *to = place);
            }
        }
        all.places = places.into_boxed_slice();
        all
    }

    #[inline(always)]
    fn has(&self, slot: u32) -> bool {
        let (at, bit) = word_and_bit(slot);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// How many touched slots are before one that is.
    #[inline(always)]
    fn rank(&self, slot: u32) -> usize {
        let (at, bit) = word_and_bit(slot);
        match (self.words.get(at), self.ranks.get(at)) {
            (Some(word), Some(&rank)) => usize::from(rank) + (word & (bit - 1)).count_ones() as usize,
            _ => usize::MAX,
        }
    }
}

/// What some delta columns touch, as far as somebody asked.
#[derive(Default, Debug)]
pub(super) struct PatchedSlots(OnceLock<Box<[Segment]>>);

impl PatchedSlots {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The place of a slot; `None` where nobody asked for a slot of its segment before.
    #[inline]
    pub(super) fn place(&self, slot: u32) -> Settled<Place> {
        let segment = self.0.get()?.get((slot >> SEGMENT_SHIFT) as usize)?;
        match segment.get()? {
            Some(touched) if touched.has(slot) => touched.places.get(touched.rank(slot)).map(|&place| Some(place)),
            _ => Some(None),
        }
    }

    /// Asks for the cache lines that tell the place of a touched slot.
    #[inline]
    pub(super) fn prefetch_place(&self, slot: u32) {
        if let Some(Some(touched)) = self.0.get().and_then(|all| all.get((slot >> SEGMENT_SHIFT) as usize)?.get()) {
            prefetch(&touched.places, touched.rank(slot));
        }
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
        segment.get().is_some_and(|touched| touched.as_ref().is_none_or(|touched| !touched.has(slot)))
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
            && let Some(touched) = self.touched_in(number)
        {
            // Another thread may have found out the same.
            _ = segment.set(touched);
        }
        !self.is_untouched(slot)
    }

    /// The touched slots of a segment; `None` where they cannot be read, or there are more patches than a place can tell of.
    fn touched_in(&self, number: usize) -> Option<Option<Box<Touched>>> {
        let (mut offsets, mut ends) = (Vec::new(), Vec::new());
        for column in self.patches.delta_columns() {
            column.touched_in(number, &mut offsets).ok()?;
            ends.push(offsets.len());
        }
        u16::try_from(ends.len()).ok()?;
        Some((!offsets.is_empty()).then(|| Touched::new(&offsets, &ends)))
    }

    /// Asks for the cache line that tells whether a slot is touched.
    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        if let Some(Some(touched)) = self.segments.get((slot >> SEGMENT_SHIFT) as usize).and_then(OnceLock::get) {
            prefetch(&touched.words[..], word_and_bit(slot).0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_slot_is_that_in_the_newest_patch_that_touches_it() {
        let patches: [&[u16]; 4] = [&[5, 64, 65_535], &[], &[0, 5, 63, 64, 9000], &[0, 65_534, 65_535]];
        let (mut offsets, mut ends) = (Vec::new(), Vec::new());
        for patch in patches {
            offsets.extend_from_slice(patch);
            ends.push(offsets.len());
        }
        let touched = Touched::new(&offsets, &ends);
        let expected = |slot: u16| {
            patches.iter().enumerate().find_map(|(n, patch)| patch.binary_search(&slot).ok().map(|at| (n, at as u32)))
        };
        for slot in 0..=u16::MAX {
            // Only the place in the segment counts.
            let in_segment_7 = u32::from(slot) + (7 << SEGMENT_SHIFT);
            let found = touched.has(in_segment_7).then(|| touched.places[touched.rank(in_segment_7)]);
            assert_eq!(found.map(|place| (place.patch(), place.index())), expected(slot), "slot {slot}");
        }
        assert_eq!(touched.places.len(), 7);
    }

    #[test]
    fn all_slots_of_a_segment_can_be_touched() {
        let offsets: Vec<u16> = (0..=u16::MAX).collect();
        let touched = Touched::new(&offsets, &[offsets.len()]);
        assert_eq!((touched.rank(65_535), touched.places.len()), (65_535, 65_536));
        assert!(touched.places.iter().zip(0..).all(|(place, index)| place.index() == index));
    }
}
