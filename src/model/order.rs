//! The order of values: by type, then by value, and equal only where [`Eq`] says so.

use super::big_int::{BigInt, BigIntRef};
use super::nested::Nested;
use super::value::Value;
use super::value_ref::{ValueBuf, ValueRef};
use std::cmp::Ordering;

/// The types in their order. Integers of any size are one type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Null,
    Bool,
    Integer,
    Float,
    Text,
    Bytes,
    Timestamp,
    Ext,
    Array,
    Map,
}

const fn rank(value: &ValueRef<'_>) -> Rank {
    match value {
        ValueRef::Null => Rank::Null,
        ValueRef::Bool(_) => Rank::Bool,
        ValueRef::Int(_) | ValueRef::BigInt(_) => Rank::Integer,
        ValueRef::Float(_) => Rank::Float,
        ValueRef::Text(_) => Rank::Text,
        ValueRef::Bytes(_) => Rank::Bytes,
        ValueRef::Timestamp(_) => Rank::Timestamp,
        ValueRef::Ext(_) => Rank::Ext,
        ValueRef::Array(_) => Rank::Array,
        ValueRef::Map(_) => Rank::Map,
    }
}

fn rank_of_tree(value: &Value) -> Rank {
    match value {
        Value::Map(_) => Rank::Map,
        Value::Array(_) => Rank::Array,
        scalar => scalar.as_scalar().map_or(Rank::Null, |scalar| rank(&scalar)),
    }
}

/// By type, in the order null, booleans, integers, floats, text, bytes, timestamps, ext values, arrays, maps; then by value:
/// floats in IEEE 754's total order, which tells all bits apart (`-0.0` before `0.0`, NaNs at both ends), text and bytes byte by
/// byte, ext values by code and then bytes, arrays and maps element by element in the order that they keep.
impl Ord for ValueRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::BigInt(a), Self::BigInt(b)) => a.cmp(b),
            // One that is not within 128 bits is beyond all that are.
            (Self::BigInt(big), Self::Int(_)) => sign(*big),
            (Self::Int(_), Self::BigInt(big)) => sign(*big).reverse(),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::Ext(a), Self::Ext(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) | (Self::Map(a), Self::Map(b)) => compare_nested(*a, *b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for ValueRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of [`ValueRef`].
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            _ => match (self.as_scalar(), other.as_scalar()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => rank_of_tree(self).cmp(&rank_of_tree(other)),
            },
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of [`ValueRef`].
impl Ord for ValueBuf {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for ValueBuf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By number.
impl Ord for BigIntRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let absolute = |big: Self| (big.magnitude().len(), big.magnitude());
        match (self.is_negative(), other.is_negative()) {
            (false, false) => absolute(*self).cmp(&absolute(*other)),
            (true, true) => absolute(*other).cmp(&absolute(*self)),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for BigIntRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By number.
impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn sign(big: BigIntRef<'_>) -> Ordering {
    if big.is_negative() { Ordering::Less } else { Ordering::Greater }
}

/// Element by element. What does not decode, as only a damaged file has it, comes last; equal bytes alone are equal, as in `Eq`.
fn compare_nested(a: Nested<'_>, b: Nested<'_>) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let values = match (a.to_value(), b.to_value()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (a, b) => a.is_err().cmp(&b.is_err()),
    };
    values.then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::{Key, KeyRef, Timestamp};
    use super::*;

    fn ascending() -> Vec<Value> {
        let array = |values: &[Value]| Value::Array(values.to_vec());
        vec![
            Value::Null,
            Value::from(false),
            Value::from(true),
            Value::big_int(true, &[255; 40]),
            Value::big_int(true, &[1; 40]),
            Value::big_int(true, &[1; 20]),
            Value::from(i128::MIN),
            Value::from(-1),
            Value::from(0),
            Value::from(u64::MAX),
            Value::from(u128::MAX),
            Value::big_int(false, &[1; 20]),
            Value::big_int(false, &[2; 20]),
            Value::big_int(false, &[1; 40]),
            Value::from(-f64::NAN),
            Value::from(f64::NEG_INFINITY),
            Value::from(-0.0),
            Value::from(0.0),
            Value::from(1.5),
            Value::from(f64::INFINITY),
            Value::from(f64::NAN),
            Value::from(""),
            Value::from("1"),
            Value::from("é"),
            Value::from(vec![0u8; 0]),
            Value::from(vec![0u8]),
            Value::from(vec![0u8, 1]),
            Value::from(vec![1u8]),
            Value::from(Timestamp::new(-1, 5).unwrap()),
            Value::from(Timestamp::new(1, 0).unwrap()),
            Value::from(Timestamp::new(1, 1).unwrap()),
            Value::ext(-2, vec![9]),
            Value::ext(3, vec![]),
            Value::ext(3, vec![1]),
            array(&[]),
            array(&[Value::Null]),
            array(&[Value::from(2)]),
            array(&[Value::from(2), Value::from("a")]),
            array(&[Value::from(10)]),
            array(&[Value::from(300)]),
            array(&[array(&[])]),
            Value::Map(vec![]),
            Value::Map(vec![(Value::from("a"), Value::from(1))]),
            Value::Map(vec![(Value::from("a"), Value::from(2))]),
        ]
    }

    #[test]
    fn values_are_ordered_by_type_then_by_value_in_every_form() {
        let values = ascending();
        let bufs: Vec<ValueBuf> = values.iter().map(|value| ValueBuf::try_from(value.clone()).unwrap()).collect();
        for (i, (a, a_buf)) in values.iter().zip(&bufs).enumerate() {
            for (j, (b, b_buf)) in values.iter().zip(&bufs).enumerate() {
                let forms = [a.cmp(b), a_buf.as_ref().cmp(&b_buf.as_ref()), a_buf.cmp(b_buf)];
                assert_eq!(forms, [i.cmp(&j); 3], "{a:?} and {b:?}");
                assert_eq!(a == b, i == j);
                if let (Ok(a), Ok(b)) = (Key::try_from(a.clone()), Key::try_from(b.clone())) {
                    assert_eq!(a.cmp(&b), i.cmp(&j));
                    assert_eq!(KeyRef::from(&a).cmp(&KeyRef::from(&b)), i.cmp(&j));
                }
            }
        }
    }

    #[test]
    fn nested_bytes_are_equal_in_the_order_only_when_they_are_equal() {
        // 5 in one byte, in two, and nothing that decodes.
        let [short, long, broken] = [&[0x91, 5][..], &[0x91, 0xcc, 5], &[0x91]].map(Nested::trusted);
        let ascending = [short, long, broken].map(ValueRef::Array);
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!((a.cmp(b), a == b), (i.cmp(&j), i == j));
            }
        }
    }
}
