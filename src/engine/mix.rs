//! Spreading numbers over tables in memory, so that nobody who chooses the numbers can choose the places. Never on disk.

use super::database::random;

/// An odd number with its bits spread evenly: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A way to spread numbers that nobody can predict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    seed: u64,
    factor: u64,
}

impl Mix {
    pub(super) fn new() -> Self {
        Self { seed: random(), factor: random() ^ SPREAD | 1 }
    }

    /// A number for another one; all bits of it depend on all of that one.
    #[inline]
    pub(super) fn of(self, number: u64) -> u64 {
        let product = u128::from(number ^ self.seed) * u128::from(self.factor);
        (product as u64 ^ (product >> 64) as u64).wrapping_mul(SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the most numbers of 2^16 that go to one of 2^10 places, whatever their pattern.
    #[test]
    fn no_pattern_of_numbers_goes_to_few_places() {
        let inverse =
            (0..6).fold(1u64, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(SPREAD.wrapping_mul(inverse))));
        // Ascending; in the high bits; in the middle; the same when folded; small when multiplied.
        for factor in [1, 1 << 48, 1 << 24, (1 << 32) + 1, inverse] {
            for shift in [54, 32, 0] {
                let mix = Mix::new();
                let mut places = vec![0u32; 1 << 10];
                (0..1u64 << 16).for_each(|n| places[(mix.of(factor.wrapping_mul(n)) >> shift) as usize & 1023] += 1);
                let most = places.into_iter().max().unwrap();
                assert!(most < 64 * 4, "multiples of {factor}, bits from {shift}: {most} instead of 64; {mix:?}");
            }
        }
    }
}
