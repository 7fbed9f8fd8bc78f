//! Slots that an overlay touches: a bit for each, so that one load tells lookups that an overlay has nothing to say of a slot.

use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::storage::prefetch;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words for the slots of a segment.
pub(super) const WORD_COUNT: usize = SEGMENT_LEN as usize / u64::BITS as usize;

/// The word of a slot among those of its segment, and its bit there.
#[inline(always)]
pub(super) const fn word_and_bit(slot: u32) -> (usize, u64) {
    ((slot >> 6) as usize % WORD_COUNT, 1 << (slot & 63))
}

/// A set of slots that grows while it is read. One writer at a time.
#[derive(Debug)]
pub(super) struct SlotSet {
    /// Those segments that have a slot in the set.
    segments: Box<[OnceLock<Box<[AtomicU64; WORD_COUNT]>>]>,
}

impl SlotSet {
    /// An empty set, for slots up to a number. Of others it always says that they may be in it.
    pub(super) fn new(slot_count: u32) -> Self {
        Self { segments: (0..slot_count.div_ceil(SEGMENT_LEN)).map(|_| OnceLock::new()).collect() }
    }

    /// Puts a slot in.
    pub(super) fn insert(&self, slot: u32) {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return };
        let words = segment.get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORD_COUNT]));
        let (at, bit) = word_and_bit(slot);
        if let Some(word) = words.get(at) {
            // Relaxed: whoever has to see the slot learns of its change in some other way, after it was put in.
            word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        }
    }

    /// Whether a slot may be in the set.
    #[inline(always)]
    pub(super) fn may_have(&self, slot: u32) -> bool {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return true };
        let (at, bit) = word_and_bit(slot);
        segment.get().is_some_and(|words| words.get(at).is_none_or(|word| word.load(Ordering::Relaxed) & bit != 0))
    }

    /// Asks for the cache line that tells of a slot.
    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        if let Some(words) = self.segments.get((slot >> SEGMENT_SHIFT) as usize).and_then(OnceLock::get) {
            prefetch(&words[..], word_and_bit(slot).0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_all_slots_that_it_is_not_for() {
        let set = SlotSet::new(3 * SEGMENT_LEN - 5);
        let inside = [0, 63, 64, SEGMENT_LEN - 1, 2 * SEGMENT_LEN, 2 * SEGMENT_LEN + 4097];
        let outside = [3 * SEGMENT_LEN, 3 * SEGMENT_LEN + 1, u32::MAX];
        inside.into_iter().chain(outside).for_each(|slot| set.insert(slot));
        let has = |slot: &u32| set.may_have(*slot);
        assert!((0..3 * SEGMENT_LEN).filter(has).eq(inside), "no more than were put in");
        assert!(outside.iter().chain(&[3 * SEGMENT_LEN + 77]).all(has));
        assert!(set.segments[1].get().is_none(), "a segment without slots takes no memory");
    }
}
