//! Random numbers of which few come often, as YCSB draws keys.

/// The exponent that YCSB uses.
const THETA: f64 = 0.99;

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
    /// Ranks below `count`. Adds up as many weights.
    pub(crate) fn new(count: u64) -> Self {
        let total: f64 = (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum();
        let first_two = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - first_two / total);
        Self { count, total, eta }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::mix;

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
