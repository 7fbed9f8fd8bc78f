//! Filters (chapter `format-spec/patch.md`, section "Filters"): one word tells of most numbers that a set does not have them.

/// Bits of a filter for each number that it has room for.
const BITS_PER_NUMBER: u64 = 16;
const WORD_BITS: u64 = u64::BITS as u64;
/// Bytes of a word.
pub(crate) const WORD_LEN: usize = 8;
const WORD_COUNT_MAX: u64 = 1 << 34;
/// What is wrong where [`FilterShape::of_len`] has no answer.
pub(crate) const BAD_FILTER_LEN: &str = "not as long as a filter is";
/// An odd number with its bits spread evenly: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// How many words a filter has, from which follows where a number's bits are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FilterShape {
    /// 64 less the logarithm of the number of words.
    shift: u32,
}

impl FilterShape {
    /// Of a filter with room for `count` numbers; more make it say "maybe" more often.
    pub(crate) fn with_room(count: u64) -> Self {
        let words = count.saturating_mul(BITS_PER_NUMBER).div_ceil(WORD_BITS).clamp(2, WORD_COUNT_MAX);
        Self { shift: u64::BITS.saturating_sub(words.next_power_of_two().ilog2()) }
    }

    /// Of a filter that takes `len` bytes; `None` where none does.
    pub(crate) fn of_len(len: u64) -> Option<Self> {
        let words = len.checked_div(WORD_LEN as u64)?;
        let is_one =
            len.is_multiple_of(WORD_LEN as u64) && words.is_power_of_two() && (2..=WORD_COUNT_MAX).contains(&words);
        is_one.then(|| Self::with_words(words))
    }

    fn with_words(words: u64) -> Self {
        Self { shift: u64::BITS.saturating_sub(words.ilog2()) }
    }

    pub(crate) fn word_count(self) -> u64 {
        1u64.wrapping_shl(u64::BITS.saturating_sub(self.shift))
    }

    /// The word of a number.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a word past the end of memory is found nowhere")]
    pub(crate) const fn word(self, number: FilterNumber) -> usize {
        number.hash.wrapping_shr(self.shift) as usize
    }
}

/// A number, prepared for asking any filters about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterNumber {
    hash: u64,
    /// Its bits in the word that a filter has for it.
    pub(crate) mask: u64,
}

impl FilterNumber {
    #[inline(always)]
    pub(crate) const fn new(number: u64) -> Self {
        let product = number.wrapping_mul(SPREAD);
        let hash = (product ^ (product >> 32)).wrapping_mul(SPREAD);
        let mask = 1 << ((hash >> 12) & 63) | 1 << ((hash >> 18) & 63) | 1 << ((hash >> 24) & 63);
        Self { hash, mask }
    }
}

/// A filter being made.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    shape: FilterShape,
    words: Vec<u64>,
}

impl FilterBuilder {
    /// With room for `count` numbers.
    pub(crate) fn with_room(count: u64) -> Self {
        let shape = FilterShape::with_room(count);
        Self { shape, words: (0..shape.word_count()).map(|_| 0).collect() }
    }

    pub(crate) fn insert(&mut self, number: u64) {
        let number = FilterNumber::new(number);
        if let Some(word) = self.words.get_mut(self.shape.word(number)) {
            *word |= number.mask;
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_the_bytes_that_the_specification_says() {
        let mut filter = FilterBuilder::with_room(3);
        [0, 1, 0xFFFF_FFFE].into_iter().for_each(|slot| filter.insert(slot));
        // Worked out by another program from the formulas of the chapter.
        assert_eq!(filter.encode(), [1, 0x8000_4000_8040_1020u64].map(u64::to_le_bytes).concat());
    }

    #[test]
    fn fewer_than_one_in_a_hundred_others_may_be_in_a_full_filter() {
        const COUNT: u64 = 1 << 18;
        for (pattern, number) in [|n| n, |n| n << 12, |n| n * 97 + 13, |n| n * 7].into_iter().enumerate() {
            let number: fn(u64) -> u64 = number;
            let mut filter = FilterBuilder::with_room(COUNT);
            (0..COUNT).for_each(|n| filter.insert(number(n)));
            assert_eq!(filter.words.len() as u64 * WORD_BITS, COUNT * BITS_PER_NUMBER);
            let may_have = |n: &u64| {
                let number = FilterNumber::new(number(*n));
                filter.words[filter.shape.word(number)] & number.mask == number.mask
            };
            assert!((0..COUNT).all(|n| may_have(&n)), "pattern {pattern}");
            let others = (COUNT..2 * COUNT).filter(may_have).count() as u64;
            assert!(others < COUNT / 100, "pattern {pattern}: {others} of {COUNT}");
        }
    }

    #[test]
    fn a_filter_has_sixteen_bits_for_each_number_rounded_up_to_a_power_of_two() {
        for (count, words) in [(0, 2), (1, 2), (8, 2), (9, 4), (16, 4), (17, 8), (1000, 256), (1 << 32, 1 << 30)] {
            let shape = FilterShape::with_room(count);
            assert_eq!(shape.word_count(), words, "{count}");
            assert_eq!(FilterShape::of_len(words * 8), Some(shape), "{count}");
        }
        for len in [0, 1, 8, 15, 17, 24, 48, 1 << 38, u64::MAX, u64::MAX - 7] {
            assert_eq!(FilterShape::of_len(len), None, "{len}");
        }
    }
}
