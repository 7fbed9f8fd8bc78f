//! Random numbers of which few come often, as YCSB draws keys.

/// The exponent that YCSB uses.
const THETA: f64 = 0.99;

/// Of the weights that are added up at once, so many are added one by one, and the others by a formula.
const ONE_BY_ONE: u64 = 1 << 20;

/// Draws ranks below a bound: rank `r` with a probability proportional to 1 / (r + 1)^0.99.
///
/// Gray, Sundaresan, Englert, Baclawski, Weinberger: Quickly generating billion-record synthetic databases (1994), section 4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zipf {
    count: u64,
    /// The sum of all weights.
    total: f64,
    eta: f64,
}

impl Zipf {
    /// Ranks below `count`.
    pub(crate) fn new(count: u64) -> Self {
        let mut zipf = Self { count: 0, total: 0.0, eta: 0.0 };
        zipf.grow(count);
        zipf
    }

    /// Raises the bound to `count`.
    pub(crate) fn grow(&mut self, count: u64) {
        self.total += weights(self.count, count);
        self.count = count;
        let first_two = 1.0 + 0.5f64.powf(THETA);
        self.eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - first_two / self.total);
    }

    /// The rank that a random 64-bit number stands for.
    pub(crate) fn rank(&self, random: u64) -> u64 {
        let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
        let scaled = uniform * self.total;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1.min(self.count - 1);
        }
        let rank = self.count as f64 * (self.eta * uniform - self.eta + 1.0).powf(1.0 / (1.0 - THETA));
        (rank as u64).min(self.count - 1)
    }
}

/// The sum of the weights of the ranks from `start` to below `end`.
///
/// What is not added one by one is the integral, with the first two corrections of the Euler-Maclaurin formula (Knuth: The Art of Computer
/// Programming, volume 1, section 1.2.11.2), after which the error is below the precision of the sum.
fn weights(start: u64, end: u64) -> f64 {
    let middle = end.min(start + ONE_BY_ONE);
    let near: f64 = (start + 1..=middle).map(|rank| (rank as f64).powf(-THETA)).sum();
    if middle == end {
        return near;
    }
    let (from, to) = (middle as f64, end as f64);
    let integral = (to.powf(1.0 - THETA) - from.powf(1.0 - THETA)) / (1.0 - THETA);
    let halves = (to.powf(-THETA) - from.powf(-THETA)) / 2.0;
    let slopes = THETA * (from.powf(-THETA - 1.0) - to.powf(-THETA - 1.0)) / 12.0;
    near + integral + halves + slopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::mix;

    #[test]
    fn the_weights_of_many_ranks_add_up_to_what_ycsb_has_for_them() {
        // The constant of its scrambled generator, for 10,000,000,000 ranks.
        let total = Zipf::new(10_000_000_000).total;
        assert!((total - 26.469_028_201_783_02).abs() < 1e-6, "{total}");
        // The formula agrees with the plain sum, also where it starts in the middle.
        let all = weights(0, 3 * ONE_BY_ONE);
        let plain: f64 = (1..=3 * ONE_BY_ONE).map(|rank| (rank as f64).powf(-THETA)).sum();
        assert!((all - plain).abs() < 1e-9, "{all}, not {plain}");
        let parts = weights(0, 1000) + weights(1000, 3 * ONE_BY_ONE);
        assert!((all - parts).abs() < 1e-9, "{all}, not {parts}");
    }

    #[test]
    fn one_that_grew_draws_as_one_that_was_made_so() {
        let mut grown = Zipf::new(10);
        (11..=500).for_each(|count| grown.grow(count));
        let made = Zipf::new(500);
        assert!((grown.total - made.total).abs() < 1e-9 && (grown.eta - made.eta).abs() < 1e-9);
        assert!((0..1000).map(mix).any(|random| grown.rank(random) > 400));
    }

    #[test]
    fn ranks_come_as_often_as_their_weights_say() {
        const DRAWS: u64 = 200_000;
        let zipf = Zipf::new(1000);
        let mut counts = vec![0u64; 1000];
        (0..DRAWS).for_each(|draw| counts[zipf.rank(mix(draw)) as usize] += 1);
        let total: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        // The first two ranks are drawn exactly, the others by an approximation whose sums are close.
        for rank in [0, 1] {
            let expected = (rank as f64 + 1.0).powf(-0.99) / total * DRAWS as f64;
            assert!((counts[rank] as f64 - expected).abs() < expected * 0.03, "rank {rank}: {}", counts[rank]);
        }
        let expected: f64 = (1..=100).map(|rank| f64::from(rank).powf(-0.99)).sum::<f64>() / total * DRAWS as f64;
        let upper: u64 = counts[..100].iter().sum();
        assert!((upper as f64 - expected).abs() < expected * 0.05, "{upper} of the first hundred, not {expected}");
    }

    #[test]
    fn few_records_are_no_trouble() {
        for count in 1..4 {
            let zipf = Zipf::new(count);
            assert!((0..1000).all(|draw| zipf.rank(mix(draw)) < count));
        }
    }
}
