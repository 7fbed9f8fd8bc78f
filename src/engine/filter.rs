//! Sets of numbers that answer "not in it" or "maybe in it" with one load: what tells lookups that an overlay has nothing to say of a
//! key, so that it need not be asked.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bits for each number that there is room for. With three of them in one word for a number, one that is not in the set may be in it once in
/// more than a hundred times.
const BITS_PER_NUMBER: u64 = 16;
/// An odd number with its bits spread evenly: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A set of numbers for which there is room from the start: a blocked Bloom filter.
#[derive(Debug)]
pub(super) struct Filter {
    words: Box<[AtomicU64]>,
    /// 64 less the logarithm of the number of words.
    shift: u32,
}

impl Filter {
    /// A set with room for `count` numbers; more make it say "maybe" more often.
    pub(super) fn with_room(count: u64) -> Self {
        let bits = count.saturating_mul(BITS_PER_NUMBER).clamp(128, 1 << 40).next_power_of_two();
        let word_count = bits / u64::from(u64::BITS);
        Self { words: (0..word_count).map(|_| AtomicU64::new(0)).collect(), shift: u64::BITS - word_count.ilog2() }
    }

    /// The word of a number, and its bits there.
    #[inline(always)]
    const fn place(&self, number: u64) -> (usize, u64) {
        let product = number.wrapping_mul(SPREAD);
        let hash = (product ^ (product >> 32)).wrapping_mul(SPREAD);
        let mask = 1 << ((hash >> 12) & 63) | 1 << ((hash >> 18) & 63) | 1 << ((hash >> 24) & 63);
        ((hash >> self.shift) as usize, mask)
    }

    /// Puts a number in; returns whether it was surely not in before. One writer at a time.
    pub(super) fn insert(&self, number: u64) -> bool {
        let (word, mask) = self.place(number);
        let Some(word) = self.words.get(word) else { return false };
        let before = word.load(Ordering::Relaxed);
        // Relaxed: whoever has to see the number learns of it in some other way, after it was put in.
        word.store(before | mask, Ordering::Relaxed);
        before & mask != mask
    }

    /// Whether a number may be in the set.
    #[inline(always)]
    pub(super) fn may_have(&self, number: u64) -> bool {
        let (word, mask) = self.place(number);
        self.words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) & mask == mask)
    }
}

/// Room in the first set of a [`GrowingFilter`]; each further one has room for four times as many.
const FIRST_ROOM: u64 = 1 << 8;
const FILTER_COUNT: usize = 13;

/// A set that grows while it is read. One writer at a time.
#[derive(Debug)]
pub(super) struct GrowingFilter {
    filters: [OnceLock<Filter>; FILTER_COUNT],
    current: AtomicUsize,
    count: AtomicU64,
}

impl GrowingFilter {
    pub(super) fn new() -> Self {
        Self {
            filters: [const { OnceLock::new() }; FILTER_COUNT],
            current: AtomicUsize::new(0),
            count: AtomicU64::new(0),
        }
    }

    const fn room(number: usize) -> u64 {
        FIRST_ROOM << (2 * number)
    }

    /// Puts a number in. `all` are the numbers that were put in before, to be put into a larger set when this one is full.
    pub(super) fn insert<I: Iterator<Item = u64>>(&self, number: u64, all: impl FnOnce() -> I) {
        let current = self.current.load(Ordering::Relaxed);
        let Some(filter) = self.filters.get(current) else { return };
        if !filter.get_or_init(|| Filter::with_room(Self::room(current))).insert(number) {
            return;
        }
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Relaxed);
        if count < Self::room(current) || current + 1 == FILTER_COUNT {
            return;
        }
        let larger = Filter::with_room(Self::room(current + 1));
        larger.insert(number);
        let others = all().filter(|&other| other != number).filter(|&other| larger.insert(other)).count() as u64;
        self.count.store(others + 1, Ordering::Relaxed);
        if let Some(next) = self.filters.get(current + 1)
            && next.set(larger).is_ok()
        {
            self.current.store(current + 1, Ordering::Release);
        }
    }

    /// The set with all numbers so far, and maybe some that are put in later; `None` while there are none.
    pub(super) fn get(&self) -> Option<&Filter> {
        self.filters.get(self.current.load(Ordering::Acquire))?.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of slots and hashes as they come: ascending, scattered, multiples.
    fn patterns() -> [Box<dyn Fn(u64) -> u64>; 4] {
        [
            Box::new(|n| n),
            Box::new(|n| n << 16),
            Box::new(|n| n * 97 + 13),
            Box::new(|n| (n ^ 0x5A5A).wrapping_mul(0xBF58_476D_1CE4_E5B9)),
        ]
    }

    #[test]
    fn what_was_put_in_may_be_there_and_most_others_are_not() {
        for (pattern, number) in patterns().iter().enumerate() {
            let filter = Filter::with_room(10_000);
            (0..10_000).for_each(|n| _ = filter.insert(number(n)));
            assert!((0..10_000).all(|n| filter.may_have(number(n))), "pattern {pattern}");
            let others = (10_000..110_000).filter(|&n| filter.may_have(number(n))).count();
            assert!(others < 100_000 / 100, "pattern {pattern}: {others} of 100,000");
        }
    }

    #[test]
    fn a_growing_set_loses_nothing() {
        for (pattern, number) in patterns().iter().enumerate() {
            let filter = GrowingFilter::new();
            assert!(filter.get().is_none());
            let mut early = None;
            for n in 0..50_000 {
                filter.insert(number(n), || (0..n).map(number));
                if n == 1000 {
                    early = filter.get();
                }
            }
            let (early, last) = (early.unwrap(), filter.get().unwrap());
            assert!((0..=1000).all(|n| early.may_have(number(n))), "pattern {pattern}");
            assert!((0..50_000).all(|n| last.may_have(number(n))), "pattern {pattern}");
            let others = (50_000..150_000).filter(|&n| last.may_have(number(n))).count();
            assert!(others < 100_000 / 100, "pattern {pattern}: {others} of 100,000");
        }
    }
}
