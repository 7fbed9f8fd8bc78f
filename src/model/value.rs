//! What a cell can hold, as an owned tree.

use super::big_int::{BigInt, Integer};
use std::hash::{Hash, Hasher};

/// A point in time: seconds since 1970-01-01T00:00:00Z and nanoseconds below one second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Makes a timestamp; `None` if `nanoseconds` is 1,000,000,000 or more.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 { Some(Self { seconds, nanoseconds }) } else { None }
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds past [`seconds`](Self::seconds).
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

/// A MessagePack ext value: an application's type code and its bytes. Made by [`Value::ext`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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
/// floats are equal when all their bits are (so a NaN equals itself, and `0.0` does not equal `-0.0`).
///
/// ```
/// use vector_datalib::Value;
/// assert_ne!(Value::from(1), Value::from(1.0));
/// assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
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

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if this is one that fits in an `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(int) => i64::try_from(*int).ok(),
            _ => None,
        }
    }

    /// The float, if this is one.
    #[must_use]
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Ext(a), Self::Ext(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(bool) => bool.hash(state),
            Self::Int(int) => int.hash(state),
            Self::BigInt(big) => big.hash(state),
            Self::Float(float) => float.to_bits().hash(state),
            Self::Text(text) => text.hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
            Self::Timestamp(timestamp) => timestamp.hash(state),
            Self::Ext(ext) => ext.hash(state),
            Self::Array(values) => values.hash(state),
            Self::Map(pairs) => pairs.hash(state),
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
    fn an_ext_that_is_a_timestamp_becomes_one() {
        assert_eq!(Value::ext(-1, vec![0, 0, 0, 5]), Value::from(Timestamp::new(5, 0).unwrap()));
        assert!(matches!(Value::ext(-1, vec![1, 2, 3]), Value::Ext(_)));
        assert!(matches!(Value::ext(4, vec![0, 0, 0, 5]), Value::Ext(_)));
        // 1,000,000,000 nanoseconds in the 64-bit form: not a time.
        let nanoseconds = 1_000_000_000u64 << 34;
        assert!(matches!(Value::ext(-1, nanoseconds.to_be_bytes().to_vec()), Value::Ext(_)));
    }
}
