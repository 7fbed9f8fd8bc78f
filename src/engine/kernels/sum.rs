//! Sums of a segment's numbers.

/// The exact sum of up to 2^31 integers. Summed in halves, which do not overflow, and of which the processor adds several at a time.
pub(in crate::engine) fn sum_i64(values: &[i64]) -> i128 {
    let (mut high, mut low) = (0i64, 0u64);
    for &value in values {
        high += value >> 32;
        low += u64::from(value as u32);
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// The same for integers without a sign.
pub(in crate::engine) fn sum_u64(values: &[u64]) -> i128 {
    let (mut high, mut low) = (0u64, 0u64);
    for &value in values {
        high += value >> 32;
        low += u64::from(value as u32);
    }
    (i128::from(high) << 32) + i128::from(low)
}

const LANES: usize = 8;

/// The sum of floats in eight lanes, the n-th float in lane n mod 8, and then of the lanes in pairs.
pub(in crate::engine) fn sum_f64(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        for (lane, &value) in lanes.iter_mut().zip(row) {
            *lane += value;
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::super::random::{LENGTHS, with_seeds};
    use super::*;

    #[test]
    fn integers_are_summed_exactly_beyond_64_bits() {
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            let signed = random.integers(len);
            assert_eq!(sum_i64(&signed), signed.iter().map(|&value| i128::from(value)).sum::<i128>());
            let unsigned: &[u64] = bytemuck::cast_slice(&signed);
            assert_eq!(sum_u64(unsigned), unsigned.iter().map(|&value| i128::from(value)).sum::<i128>());
        });
        for extreme in [i64::MIN, i64::MAX, -1] {
            assert_eq!(sum_i64(&[extreme; 65_536]), i128::from(extreme) * 65_536);
        }
        assert_eq!(sum_u64(&[u64::MAX; 65_536]), i128::from(u64::MAX) * 65_536);
    }

    #[test]
    fn floats_are_summed_in_eight_lanes() {
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            let values = random.floats(len);
            let lane = |at: usize| values.iter().skip(at).step_by(8).fold(0.0, |sum, value| sum + value);
            let pair = |at: usize| lane(at) + lane(at + 1);
            let (expected, found) = ((pair(0) + pair(2)) + (pair(4) + pair(6)), sum_f64(&values));
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same, "{found} instead of {expected}");
        });
    }
}
