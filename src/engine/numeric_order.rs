//! The order of numbers by what they are worth, whatever their type.

use crate::model::{BigIntRef, ValueRef};
use std::cmp::Ordering;

/// Compares two numbers, neither of them NaN, exactly. Those of equal worth are in the order of values: integers before
/// floats, `-0.0` before `0.0`.
pub(super) fn compare_numbers(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    compare_worth(a, b).then_with(|| a.cmp(&b))
}

/// Compares two numbers, neither of them NaN, by what they are worth, exactly; other values in their order.
pub(super) fn compare_worth(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Int(a), ValueRef::Float(b)) => compare_with_float(a, b),
        (ValueRef::Float(a), ValueRef::Int(b)) => compare_with_float(b, a).reverse(),
        (ValueRef::BigInt(a), ValueRef::Float(b)) => compare_big_with_float(a, b),
        (ValueRef::Float(a), ValueRef::BigInt(b)) => compare_big_with_float(b, a).reverse(),
        // Zeros are worth the same.
        (ValueRef::Float(a), ValueRef::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        _ => a.cmp(&b),
    }
}

/// 2^127: floats from here on are above every `i128`.
const I128_END: f64 = 1.701_411_834_604_692_3e38;

fn compare_with_float(int: i128, float: f64) -> Ordering {
    if float >= I128_END {
        return Ordering::Less;
    }
    if float < -I128_END {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    // Exact: the float is a whole number within the integers' range.
    int.cmp(&(whole as i128)).then_with(|| 0.0f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal))
}

/// The integer has more than 128 bits.
fn compare_big_with_float(big: BigIntRef<'_>, float: f64) -> Ordering {
    let sign = |negative: bool| if negative { Ordering::Less } else { Ordering::Greater };
    let negative = big.is_negative();
    if float.is_infinite() {
        return sign(float > 0.0);
    }
    if float.abs() < I128_END || negative != float.is_sign_negative() {
        return sign(negative);
    }
    let float = magnitude(float);
    let magnitudes = (big.magnitude().len(), big.magnitude()).cmp(&(float.len(), &float));
    if negative { magnitudes.reverse() } else { magnitudes }
}

/// The absolute value of a float of 2^127 or more, which is whole: its bytes, most significant first, without leading
/// zeros.
fn magnitude(float: f64) -> Vec<u8> {
    let bits = float.abs().to_bits();
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    let shift = (bits >> 52).saturating_sub(1075) as usize;
    let shifted = (mantissa << (shift % 8)).to_be_bytes();
    let mut bytes: Vec<u8> = shifted.into_iter().skip_while(|&byte| byte == 0).collect();
    bytes.resize(bytes.len() + shift / 8, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Value, ValueBuf};

    #[test]
    fn numbers_are_ordered_by_what_they_are_worth_across_types() {
        let power = |exponent: usize, add: u8| {
            let mut magnitude = vec![0; exponent / 8 + 1];
            magnitude[0] = 1 << (exponent % 8);
            *magnitude.last_mut().unwrap() |= add;
            magnitude
        };
        let ascending: Vec<ValueBuf> = [
            Value::from(f64::NEG_INFINITY),
            Value::from(f64::MIN),
            Value::big_int(true, &power(200, 1)),
            Value::big_int(true, &power(200, 0)),
            Value::from(-(2f64.powi(200))),
            Value::from(-(2f64.powi(128))),
            Value::from(i128::MIN),
            Value::from(-(2f64.powi(127))),
            Value::from(i128::MIN + 1),
            Value::from(-2),
            Value::from(-1.5),
            Value::from(-1),
            Value::from(-0.5),
            Value::from(0),
            Value::from(-0.0),
            Value::from(0.0),
            Value::from(5e-324),
            Value::from(1),
            Value::from(1.0),
            Value::from(1.5),
            Value::from(1i64 << 53),
            Value::from((1u64 << 53) as f64),
            Value::from((1i64 << 53) + 1),
            Value::from(u64::MAX),
            Value::from(u64::MAX as f64),
            Value::from(i128::MAX),
            Value::from(2f64.powi(127)),
            Value::from(u128::MAX),
            Value::from(2f64.powi(128)),
            Value::big_int(false, &power(128, 1)),
            Value::big_int(false, &power(203, 0)),
            Value::from(2f64.powi(203)),
            Value::big_int(false, &power(203, 1)),
            Value::from(f64::MAX),
            Value::big_int(false, &power(1025, 0)),
            Value::from(f64::INFINITY),
        ]
        .into_iter()
        .map(|value| ValueBuf::try_from(value).unwrap())
        .collect();
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare_numbers(a.as_ref(), b.as_ref()), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }
}
