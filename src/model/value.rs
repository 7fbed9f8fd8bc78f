//! What a cell can hold, as an owned tree.

use super::big_int::{BigInt, Integer};
use super::timestamp::Timestamp;
use super::value_ref::{ExtRef, ValueRef};
use std::hash::{Hash, Hasher};

/// A MessagePack ext value: an application's type code and its bytes. Made by [`Value::ext`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ext {
    pub(crate) code: i8,
    pub(crate) data: Vec<u8>,
}

impl Ext {
    /// The application's type code.
    #[must_use]
    pub const fn code(&self) -> i8 {
        self.code
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// An owned value. Types are strict: `Int(1)`, `Float(1.0)`, `Bool(true)` and `Text("1")` are four different values, and
/// floats are equal when all their bits are (so a NaN equals itself, and `0.0` does not equal `-0.0`). Values have a total order: by
/// type, then by value.
///
/// ```
/// use vector_datalib::Value;
/// assert_ne!(Value::from(1), Value::from(1.0));
/// assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
/// assert!(Value::from(2) < Value::from(1.0)); // integers come before floats
/// ```
#[derive(Clone, Debug)]
pub enum Value {
    /// Null: a value of its own, not a missing one.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 128 bits.
    Int(i128),
    /// An integer of more than 128 bits. Made by [`Value::big_int`].
    BigInt(BigInt),
    /// A 64-bit float; every bit is kept.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A MessagePack ext value that is not a timestamp. Made by [`Value::ext`].
    Ext(Ext),
    /// An array.
    Array(Vec<Value>),
    /// A map: pairs in an order that is kept and that matters for equality.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// An integer of any size, from its sign and its absolute value, most significant byte first.
    /// What fits in 128 bits becomes an [`Int`](Self::Int).
    #[must_use]
    pub fn big_int(negative: bool, magnitude: &[u8]) -> Self {
        Self::from_integer(BigInt::canonical(negative, magnitude))
    }

    /// An integer of any size, from an optional `-` and decimal digits; `None` for any other text.
    #[must_use]
    pub fn parse_integer(text: &str) -> Option<Self> {
        BigInt::parse(text).map(Self::from_integer)
    }

    fn from_integer(integer: Integer) -> Self {
        match integer {
            Integer::Small(small) => Self::Int(small),
            Integer::Big(big) => Self::BigInt(big),
        }
    }

    /// A MessagePack ext value. Code -1 with the bytes of a valid timestamp becomes a [`Timestamp`](Self::Timestamp), so
    /// that a timestamp has one form.
    #[must_use]
    pub fn ext(code: i8, data: Vec<u8>) -> Self {
        match super::nested::timestamp_of(code, &data) {
            Some(timestamp) => Self::Timestamp(timestamp),
            None => Self::Ext(Ext { code, data }),
        }
    }

    /// The value borrowed; `None` for an array or a map, which a [`ValueRef`] holds encoded: make a
    /// [`ValueBuf`](crate::ValueBuf) of those.
    #[must_use]
    pub fn as_scalar(&self) -> Option<ValueRef<'_>> {
        Some(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(bool) => ValueRef::Bool(*bool),
            Self::Int(int) => ValueRef::Int(*int),
            Self::BigInt(big) => ValueRef::BigInt(big.as_ref()),
            Self::Float(float) => ValueRef::Float(*float),
            Self::Text(text) => ValueRef::Text(text),
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::Timestamp(timestamp) => ValueRef::Timestamp(*timestamp),
            Self::Ext(ext) => ValueRef::Ext(ExtRef { code: ext.code, data: &ext.data }),
            Self::Array(_) | Self::Map(_) => return None,
        })
    }

    /// Whether this is null (a missing value is `None` of the read, not null).
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.as_scalar()?.as_bool()
    }

    /// The integer, if this is one that fits in an `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_scalar()?.as_i64()
    }

    /// The integer, if this is one that fits in a `u64`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_scalar()?.as_u64()
    }

    /// The integer, if this is one that fits in an `i128`.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        self.as_scalar()?.as_i128()
    }

    /// The float, if this is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_scalar()?.as_f64()
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar()?.as_str()
    }

    /// The bytes, if this is bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.as_scalar()?.as_bytes()
    }

    /// The point in time, if this is one.
    #[must_use]
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        self.as_scalar()?.as_timestamp()
    }

    /// The values of an array, if this is one.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The pairs of a map in their order, if this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => self.as_scalar().is_some_and(|scalar| Some(scalar) == other.as_scalar()),
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Array(values) => values.hash(state),
            Self::Map(pairs) => pairs.hash(state),
            scalar => scalar.as_scalar().hash(state),
        }
    }
}

macro_rules! from_integers {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(int: $int) -> Self {
                Self::Int(i128::from(int))
            }
        }
    )*};
}
from_integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl From<u128> for Value {
    fn from(int: u128) -> Self {
        Self::big_int(false, &int.to_be_bytes())
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::Int(int as i128)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<(Value, Value)>> for Value {
    fn from(pairs: Vec<(Value, Value)>) -> Self {
        Self::Map(pairs)
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Self {
        Self::Timestamp(timestamp)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::Array(values)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    /// `None` becomes [`Null`](Value::Null).
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_strict_and_floats_compare_by_bits() {
        let four = [Value::from(1), Value::from(1.0), Value::from(true), Value::from("1")];
        for (i, a) in four.iter().enumerate() {
            for (j, b) in four.iter().enumerate() {
                assert_eq!(a == b, i == j);
            }
        }
        assert_ne!(Value::from(0.0), Value::from(-0.0));
        assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
    }

    #[test]
    fn accessors_give_a_value_of_their_type_and_nothing_else() {
        let time = Timestamp::new(1, 2).unwrap();
        let values = [
            Value::Null,
            Value::from(true),
            Value::from(-5),
            Value::from(u64::MAX),
            Value::from(i128::MAX),
            Value::from(1.5),
            Value::from("text"),
            Value::from(b"bytes"),
            Value::from(time),
            Value::from(vec![Value::Null]),
            Value::from(vec![(Value::Null, Value::Null)]),
            Value::ext(1, vec![]),
            Value::from(u128::MAX),
        ];
        let found = |has: fn(&Value) -> bool| -> Vec<usize> {
            values.iter().enumerate().filter(|(_, value)| has(value)).map(|(index, _)| index).collect()
        };
        assert_eq!(found(Value::is_null), [0]);
        assert_eq!(found(|value| value.as_bool() == Some(true)), [1]);
        assert_eq!(found(|value| value.as_i64().is_some()), [2]);
        assert_eq!(found(|value| value.as_u64() == Some(u64::MAX)), [3]);
        assert_eq!(found(|value| value.as_i128().is_some()), [2, 3, 4]);
        assert_eq!(found(|value| value.as_f64() == Some(1.5)), [5]);
        assert_eq!(found(|value| value.as_str() == Some("text")), [6]);
        assert_eq!(found(|value| value.as_bytes() == Some(b"bytes")), [7]);
        assert_eq!(found(|value| value.as_timestamp() == Timestamp::new(1, 2)), [8]);
        assert_eq!(found(|value| value.as_array() == Some(&[Value::Null])), [9]);
        assert_eq!(found(|value| value.as_map() == Some(&[(Value::Null, Value::Null)])), [10]);
        assert_eq!(found(|value| value.as_scalar().is_none()), [9, 10]);
    }

    #[test]
    fn an_ext_that_is_a_timestamp_becomes_one() {
        assert_eq!(Value::ext(-1, vec![0, 0, 0, 5]), Value::from(Timestamp::new(5, 0).unwrap()));
        assert!(matches!(Value::ext(-1, vec![1, 2, 3]), Value::Ext(_)));
        assert!(matches!(Value::ext(4, vec![0, 0, 0, 5]), Value::Ext(_)));
        // 1,000,000,000 nanoseconds in the 64-bit form: not a time.
        let nanoseconds = 1_000_000_000u64 << 34;
        assert!(matches!(Value::ext(-1, nanoseconds.to_be_bytes().to_vec()), Value::Ext(_)));
    }
}
