//! Random cells for the tests of kernels, with the numbers at which they may go wrong.

/// SplitMix64, so that a seed means the same on every machine.
pub(super) struct Random(pub(super) u64);

const INTEGERS: [i64; 6] = [0, -1, 1, i64::MIN, i64::MAX, 1 << 32];
const FLOATS: [f64; 9] =
    [0.0, -0.0, 1.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324];

/// Lengths around those of rows, words and whole segments.
pub(super) const LENGTHS: [usize; 13] = [0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 1000, 65_535, 65_536];

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub(super) fn integers(&mut self, len: usize) -> Vec<i64> {
        let special = self.below(3);
        let integer = |_| if self.below(4) < special { INTEGERS[self.below(6)] } else { self.next().cast_signed() };
        (0..len).map(integer).collect()
    }

    pub(super) fn floats(&mut self, len: usize) -> Vec<f64> {
        let special = self.below(4);
        let sign = if self.below(2) == 0 { 1.0 } else { -1.0 };
        let float = |_| {
            if self.below(4) < special { FLOATS[self.below(9)] } else { sign * (self.next() >> 11) as f64 / 1e3 }
        };
        (0..len).map(float).collect()
    }
}

/// Runs a test with many seeds, and tells the one that fails.
pub(super) fn with_seeds(test: impl Fn(&mut Random)) {
    for seed in 0..100 {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&mut Random(seed))));
        if let Err(panic) = caught {
            println!("the seed is {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
