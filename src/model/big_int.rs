//! Integers outside of 128 bits: sign and magnitude, never computed with, only kept and shown.

use std::fmt;

/// An integer that does not fit in an `i128`. Obtained through [`Value::big_int`](crate::Value::big_int) or by parsing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt {
    /// Sign byte (0 or 1 for negative), then the magnitude, most significant byte first, without leading zeros.
    bytes: Box<[u8]>,
}

/// A borrowed [`BigInt`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BigIntRef<'a> {
    bytes: &'a [u8],
}

/// What sign and magnitude amount to.
pub(crate) enum Integer {
    Small(i128),
    Big(BigInt),
}

impl BigInt {
    /// Makes the smallest representation of an integer given by its sign and its magnitude, most significant byte first.
    pub(crate) fn canonical(negative: bool, magnitude: &[u8]) -> Integer {
        let start = magnitude.iter().position(|&byte| byte != 0).unwrap_or(magnitude.len());
        let digits = magnitude.get(start..).unwrap_or_default();
        if let Some(small) = small(negative, digits) {
            return Integer::Small(small);
        }
        let mut bytes = Vec::with_capacity(digits.len().saturating_add(1));
        bytes.push(u8::from(negative));
        bytes.extend_from_slice(digits);
        Integer::Big(Self { bytes: bytes.into_boxed_slice() })
    }

    /// Reads sign and decimal digits; `None` if the text is anything else.
    pub(crate) fn parse(text: &str) -> Option<Integer> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Little-endian limbs, multiplied by 10^k and increased chunk by chunk.
        let mut limbs: Vec<u64> = Vec::new();
        for chunk in digits.as_bytes().chunks(19) {
            let scale = chunk.iter().fold(1u64, |scale, _| scale.wrapping_mul(10));
            let mut carry = chunk
                .iter()
                .fold(0u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))));
            for limb in &mut limbs {
                let product = u128::from(*limb).wrapping_mul(u128::from(scale)).wrapping_add(u128::from(carry));
                *limb = product as u64;
                carry = (product >> 64) as u64;
            }
            if carry != 0 {
                limbs.push(carry);
            }
        }
        let magnitude: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        Some(Self::canonical(negative, &magnitude))
    }

    /// Borrows this integer.
    #[must_use]
    pub fn as_ref(&self) -> BigIntRef<'_> {
        BigIntRef { bytes: &self.bytes }
    }
}

impl<'a> BigIntRef<'a> {
    /// Takes sign byte and magnitude as stored; `None` unless they are the smallest representation of an integer outside
    /// of 128 bits.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (&sign, digits) = bytes.split_first()?;
        if sign > 1 || digits.first() == Some(&0) || small(sign == 1, digits).is_some() {
            return None;
        }
        Some(Self { bytes })
    }

    /// Sign byte and magnitude, as stored.
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the integer is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.bytes.first() == Some(&1)
    }

    /// The absolute value, most significant byte first, without leading zeros.
    #[must_use]
    pub fn magnitude(self) -> &'a [u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// Copies the integer.
    #[must_use]
    pub fn to_owned(self) -> BigInt {
        BigInt { bytes: self.bytes.into() }
    }
}

/// The integer as an `i128`, if it fits.
fn small(negative: bool, digits: &[u8]) -> Option<i128> {
    if digits.len() > 16 {
        return None;
    }
    let magnitude = digits.iter().fold(0u128, |sum, &byte| (sum << 8) | u128::from(byte));
    if negative { 0i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
}

impl fmt::Display for BigIntRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Repeated division by 10^9, least significant digits first.
        let mut limbs: Vec<u32> = self
            .magnitude()
            .rchunks(4)
            .rev()
            .map(|chunk| chunk.iter().fold(0u32, |sum, &b| (sum << 8) | u32::from(b)))
            .collect();
        let mut groups: Vec<u32> = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0u64;
            for limb in &mut limbs {
                let part = (rest << 32) | u64::from(*limb);
                *limb = (part / 1_000_000_000) as u32;
                rest = part % 1_000_000_000;
            }
            groups.push(rest as u32);
            let zeros = limbs.iter().take_while(|&&limb| limb == 0).count();
            limbs.drain(..zeros);
        }
        let mut text = String::new();
        let mut groups = groups.into_iter().rev();
        if let Some(first) = groups.next() {
            text.push_str(&first.to_string());
        }
        for group in groups {
            text.push_str(&format!("{group:09}"));
        }
        f.pad_integral(!self.is_negative(), "", &text)
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for BigIntRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_survives_both_ways_around_the_limits_of_128_bits() {
        for text in [
            "170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105729",
            "340282366920938463463374607431768211455",
            "1000000000000000000000000000000000000000000000000000000000000001",
            "-99999999999999999999999999999999999999999999999999",
        ] {
            match BigInt::parse(text) {
                Some(Integer::Big(big)) => {
                    assert_eq!(big.to_string(), text);
                    assert_eq!(BigIntRef::from_bytes(big.as_ref().as_bytes()), Some(big.as_ref()));
                }
                _ => panic!("{text} is outside of 128 bits"),
            }
        }
        for small in [0, 1, -1, i128::MAX, i128::MIN] {
            match BigInt::parse(&small.to_string()) {
                Some(Integer::Small(parsed)) => assert_eq!(parsed, small),
                _ => panic!("{small} fits in 128 bits"),
            }
        }
    }

    #[test]
    fn only_the_smallest_representation_is_accepted() {
        assert!(BigIntRef::from_bytes(&[0, 5]).is_none(), "fits in 128 bits");
        assert!(BigIntRef::from_bytes(&[0; 40]).is_none(), "leading zeros");
        assert!(BigIntRef::from_bytes(&[2; 40]).is_none(), "no such sign");
        assert!(BigIntRef::from_bytes(&[]).is_none());
        assert!(BigIntRef::from_bytes(&[1; 40]).is_some());
    }
}
