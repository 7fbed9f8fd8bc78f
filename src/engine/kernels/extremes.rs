//! The least and the greatest of a segment's numbers.

const LANES: usize = 8;

/// The least and the greatest integer; `None` of none.
pub(in crate::engine) fn integer_extremes<T: Copy + Ord>(values: &[T]) -> Option<(T, T)> {
    let first = *values.first()?;
    let (mut least, mut greatest) = ([first; LANES], [first; LANES]);
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        for ((least, greatest), &value) in least.iter_mut().zip(&mut greatest).zip(row) {
            *least = value.min(*least);
            *greatest = value.max(*greatest);
        }
    }
    let (low, high) = (least.into_iter().min()?, greatest.into_iter().max()?);
    Some(rest.iter().fold((low, high), |(low, high), &value| (low.min(value), high.max(value))))
}

/// The least and the greatest float that is not NaN, in IEEE 754's total order, where `-0.0` is before `0.0`; `None` where there is
/// none.
pub(in crate::engine) fn float_extremes(values: &[f64]) -> Option<(f64, f64)> {
    // Nothing compares with NaN, so it is never taken.
    let lower = |low: f64, value: f64| if value < low { value } else { low };
    let higher = |high: f64, value: f64| if value > high { value } else { high };
    let (mut least, mut greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        for ((least, greatest), &value) in least.iter_mut().zip(&mut greatest).zip(row) {
            *least = lower(*least, value);
            *greatest = higher(*greatest, value);
        }
    }
    let low = rest.iter().chain(&least).copied().fold(f64::INFINITY, lower);
    let high = rest.iter().chain(&greatest).copied().fold(f64::NEG_INFINITY, higher);
    (low <= high).then(|| (signed_zero(low, -0.0, values), signed_zero(high, 0.0, values)))
}

/// Zeros compare as equal: takes the one that comes first, or last, if there is one.
fn signed_zero(extreme: f64, wanted: f64, values: &[f64]) -> f64 {
    if extreme != 0.0 {
        return extreme;
    }
    let is_there = values.iter().any(|value| value.to_bits() == wanted.to_bits());
    if is_there { wanted } else { -wanted }
}

#[cfg(test)]
mod tests {
    use super::super::random::{LENGTHS, with_seeds};
    use super::*;

    #[test]
    fn extremes_of_integers_are_those_of_a_plain_loop() {
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            let signed = random.integers(len);
            let unsigned: &[u64] = bytemuck::cast_slice(&signed);
            assert_eq!(integer_extremes(&signed), signed.iter().copied().min().zip(signed.iter().copied().max()));
            assert_eq!(integer_extremes(unsigned), unsigned.iter().copied().min().zip(unsigned.iter().copied().max()));
        });
    }

    #[test]
    fn extremes_of_floats_are_in_the_total_order_without_nans() {
        let check = |values: &[f64]| {
            let numbers = || values.iter().copied().filter(|value| !value.is_nan());
            let expected = numbers().min_by(f64::total_cmp).zip(numbers().max_by(f64::total_cmp));
            let bits = |range: Option<(f64, f64)>| range.map(|(least, greatest)| [least.to_bits(), greatest.to_bits()]);
            assert_eq!(bits(float_extremes(values)), bits(expected), "{:?}", &values[..values.len().min(20)]);
        };
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            check(&random.floats(len));
        });
        let specials = [f64::NAN, 0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY];
        for (a, b) in specials.iter().flat_map(|&a| specials.map(|b| (a, b))) {
            check(&[a, b]);
            check(&[a, a, a, a, a, a, a, a, a, a, b]);
            check(&[b, a, a, a, a, a, a, a, a, a, a]);
        }
    }
}
