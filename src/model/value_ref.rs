//! Values as reads return them: borrowed, with arrays and maps still encoded.

use super::big_int::{BigInt, BigIntRef};
use super::nested::{self, Nested, NestedBuf, NestedError};
use super::timestamp::Timestamp;
use super::value::{Ext, Value};
use super::{NESTING_MAX, VALUE_LEN_MAX};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A borrowed MessagePack ext value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtRef<'a> {
    /// The application's type code.
    pub code: i8,
    /// The bytes.
    pub data: &'a [u8],
}

/// A value borrowed from a mapped file or from memory. Comparing follows [`Value`]'s rules, also with a [`Value`].
///
/// Made from scalars and from a [`ValueBuf`] by `into()`; from a [`Value`] by [`Value::as_scalar`].
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// Null: a value of its own, not a missing one.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 128 bits.
    Int(i128),
    /// An integer of more than 128 bits.
    BigInt(BigIntRef<'a>),
    /// A 64-bit float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A point in time.
    Timestamp(Timestamp),
    /// A MessagePack ext value that is not a timestamp.
    Ext(ExtRef<'a>),
    /// An array, decoded when asked.
    Array(Nested<'a>),
    /// A map, decoded when asked.
    Map(Nested<'a>),
}

/// An owned [`ValueRef`]: a value that is known to be storable, arrays and maps encoded. Made from a [`Value`].
#[derive(Clone, Debug)]
pub enum ValueBuf {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 128 bits.
    Int(i128),
    /// An integer of more than 128 bits.
    BigInt(BigInt),
    /// A 64-bit float.
    Float(f64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A MessagePack ext value.
    Ext(Ext),
    /// An array, encoded.
    Array(NestedBuf),
    /// A map, encoded.
    Map(NestedBuf),
}

/// A value that cannot be stored: longer than [`VALUE_LEN_MAX`] or nested deeper than [`NESTING_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueTooLarge;

impl fmt::Display for ValueTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value has at most {VALUE_LEN_MAX} bytes and {NESTING_MAX} levels of nesting")
    }
}

impl std::error::Error for ValueTooLarge {}

impl<'a> ValueRef<'a> {
    /// The same value in its one form: an ext value that is a timestamp becomes one.
    #[inline]
    pub(crate) fn canonical(self) -> Self {
        match self {
            Self::Ext(ext) => nested::timestamp_of(ext.code, ext.data).map_or(self, Self::Timestamp),
            _ => self,
        }
    }

    /// Copies the value into a tree.
    ///
    /// # Errors
    /// When an array or a map on disk does not decode.
    pub fn to_value(self) -> Result<Value, NestedError> {
        Ok(match self.canonical() {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(bool),
            Self::Int(int) => Value::Int(int),
            Self::BigInt(big) => Value::BigInt(big.to_owned()),
            Self::Float(float) => Value::Float(float),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Timestamp(timestamp) => Value::Timestamp(timestamp),
            Self::Ext(ext) => Value::Ext(Ext { code: ext.code, data: ext.data.to_vec() }),
            Self::Array(nested) | Self::Map(nested) => nested.to_value()?,
        })
    }

    /// Copies the value, arrays and maps still encoded.
    #[must_use]
    pub fn to_buf(self) -> ValueBuf {
        match self.canonical() {
            Self::Null => ValueBuf::Null,
            Self::Bool(bool) => ValueBuf::Bool(bool),
            Self::Int(int) => ValueBuf::Int(int),
            Self::BigInt(big) => ValueBuf::BigInt(big.to_owned()),
            Self::Float(float) => ValueBuf::Float(float),
            Self::Text(text) => ValueBuf::Text(text.into()),
            Self::Bytes(bytes) => ValueBuf::Bytes(bytes.into()),
            Self::Timestamp(timestamp) => ValueBuf::Timestamp(timestamp),
            Self::Ext(ext) => ValueBuf::Ext(Ext { code: ext.code, data: ext.data.to_vec() }),
            Self::Array(nested) => ValueBuf::Array(nested.to_owned()),
            Self::Map(nested) => ValueBuf::Map(nested.to_owned()),
        }
    }

    /// Whether this is null (a missing value is `None` of the read, not null).
    #[must_use]
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if this is one.
    #[must_use]
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    /// The integer, if this is one that fits in an `i64`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.as_i128().and_then(|int| i64::try_from(int).ok())
    }

    /// The integer, if this is one that fits in a `u64`.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        self.as_i128().and_then(|int| u64::try_from(int).ok())
    }

    /// The integer, if this is one that fits in an `i128`.
    #[must_use]
    pub const fn as_i128(self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The float, if this is one.
    #[must_use]
    pub const fn as_f64(self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(float),
            _ => None,
        }
    }

    /// The text, if this is text.
    #[must_use]
    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if this is bytes.
    #[must_use]
    pub const fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The point in time, if this is one.
    #[must_use]
    pub const fn as_timestamp(self) -> Option<Timestamp> {
        match self {
            Self::Timestamp(timestamp) => Some(timestamp),
            _ => None,
        }
    }

    /// The array, if this is one, still encoded.
    #[must_use]
    pub const fn as_array(self) -> Option<Nested<'a>> {
        match self {
            Self::Array(nested) => Some(nested),
            _ => None,
        }
    }

    /// The map, if this is one, still encoded.
    #[must_use]
    pub const fn as_map(self) -> Option<Nested<'a>> {
        match self {
            Self::Map(nested) => Some(nested),
            _ => None,
        }
    }
}

impl PartialEq for ValueRef<'_> {
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
            (Self::Array(a), Self::Array(b)) | (Self::Map(a), Self::Map(b)) => a.as_bytes() == b.as_bytes(),
            _ => false,
        }
    }
}

impl Eq for ValueRef<'_> {}

impl Hash for ValueRef<'_> {
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
            Self::Array(nested) | Self::Map(nested) => nested.hash(state),
        }
    }
}

impl PartialEq<Value> for ValueRef<'_> {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Array(nested), Value::Array(_)) | (Self::Map(nested), Value::Map(_)) => {
                nested.to_value().is_ok_and(|value| value == *other)
            }
            _ => other.as_scalar() == Some(*self),
        }
    }
}

impl PartialEq<ValueRef<'_>> for Value {
    fn eq(&self, other: &ValueRef<'_>) -> bool {
        other == self
    }
}

macro_rules! from_scalars {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for ValueRef<'_> {
            #[inline]
            fn from(scalar: $type) -> Self {
                Self::$variant(scalar.into())
            }
        }
    )*};
}
from_scalars!(
    bool => Bool, f64 => Float, Timestamp => Timestamp, i128 => Int,
    i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, u64 => Int,
);

macro_rules! from_borrowed {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl<'a> From<&'a $type> for ValueRef<'a> {
            #[inline]
            fn from(borrowed: &'a $type) -> Self {
                Self::$variant(borrowed)
            }
        }
    )*};
}
from_borrowed!(str => Text, String => Text, [u8] => Bytes, Vec<u8> => Bytes);

impl<'a, const N: usize> From<&'a [u8; N]> for ValueRef<'a> {
    #[inline]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a ValueBuf> for ValueRef<'a> {
    #[inline]
    fn from(value: &'a ValueBuf) -> Self {
        value.as_ref()
    }
}

impl<'a, T: Into<ValueRef<'a>>> From<Option<T>> for ValueRef<'a> {
    /// `None` becomes [`Null`](ValueRef::Null).
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl PartialEq for ValueBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for ValueBuf {}

impl Hash for ValueBuf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl ValueBuf {
    /// Encodes a value without taking it. O(its size).
    pub(super) fn encode(value: &Value) -> Result<Self, ValueTooLarge> {
        match value {
            Value::Array(_) => NestedBuf::encode(value).map(Self::Array),
            Value::Map(_) => NestedBuf::encode(value).map(Self::Map),
            scalar => Self::try_from(scalar.clone()),
        }
    }

    /// Borrows the value.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(bool) => ValueRef::Bool(*bool),
            Self::Int(int) => ValueRef::Int(*int),
            Self::BigInt(big) => ValueRef::BigInt(big.as_ref()),
            Self::Float(float) => ValueRef::Float(*float),
            Self::Text(text) => ValueRef::Text(text),
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::Timestamp(timestamp) => ValueRef::Timestamp(*timestamp),
            Self::Ext(ext) => ValueRef::Ext(ExtRef { code: ext.code, data: &ext.data }),
            Self::Array(nested) => ValueRef::Array(nested.as_ref()),
            Self::Map(nested) => ValueRef::Map(nested.as_ref()),
        }
    }
}

impl TryFrom<Value> for ValueBuf {
    type Error = ValueTooLarge;

    fn try_from(value: Value) -> Result<Self, ValueTooLarge> {
        let fits = |len: usize| if len <= VALUE_LEN_MAX { Ok(()) } else { Err(ValueTooLarge) };
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(bool),
            Value::Int(int) => Self::Int(int),
            Value::BigInt(big) => {
                fits(big.as_ref().as_bytes().len())?;
                Self::BigInt(big)
            }
            Value::Float(float) => Self::Float(float),
            Value::Text(text) => {
                fits(text.len())?;
                Self::Text(text.into_boxed_str())
            }
            Value::Bytes(bytes) => {
                fits(bytes.len())?;
                Self::Bytes(bytes.into_boxed_slice())
            }
            Value::Timestamp(timestamp) => Self::Timestamp(timestamp),
            Value::Ext(ext) => {
                fits(ext.data.len().saturating_add(1))?;
                match nested::timestamp_of(ext.code, &ext.data) {
                    Some(timestamp) => Self::Timestamp(timestamp),
                    None => Self::Ext(ext),
                }
            }
            Value::Array(_) | Value::Map(_) => Self::encode(&value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn borrowed_owned_and_encoded_values_are_equal_to_themselves_alone() {
        let time = Timestamp::new(7, 8).unwrap();
        let values = [
            Value::Null,
            Value::from(true),
            Value::from(1),
            Value::from(u128::MAX),
            Value::from(1.0),
            Value::from(f64::NAN),
            Value::from(0.0),
            Value::from(-0.0),
            Value::from("1"),
            Value::from(b"1"),
            Value::from(time),
            Value::ext(1, vec![1]),
            Value::ext(2, vec![1]),
            Value::from(vec![Value::from(1)]),
            Value::from(vec![Value::from(1.0)]),
            Value::from(vec![(Value::from(1), Value::Null)]),
        ];
        let bufs: Vec<ValueBuf> = values.iter().map(|value| ValueBuf::try_from(value.clone()).unwrap()).collect();
        for (i, a) in values.iter().enumerate() {
            for (j, b) in bufs.iter().enumerate() {
                let b = b.as_ref();
                assert_eq!([*a == b, b == *a, bufs[i].as_ref() == b, bufs[i] == bufs[j], *a == values[j]], [i == j; 5]);
            }
        }
        assert_eq!(values.iter().cloned().chain(values.clone()).collect::<HashSet<_>>().len(), values.len());
        assert_eq!(bufs.iter().cloned().chain(bufs.clone()).collect::<HashSet<_>>().len(), values.len());
    }

    #[test]
    fn scalars_convert_into_what_the_owned_value_borrows() {
        let time = Timestamp::new(7, 8).unwrap();
        let (text, bytes) = (String::from("t"), vec![1u8]);
        let pairs: [(ValueRef<'_>, Value); 9] = [
            (5u8.into(), 5.into()),
            (i64::MIN.into(), i64::MIN.into()),
            (1.5.into(), 1.5.into()),
            (true.into(), true.into()),
            ((&text).into(), "t".into()),
            ((&bytes).into(), bytes.clone().into()),
            (b"xy".into(), b"xy".into()),
            (time.into(), time.into()),
            (None::<bool>.into(), Value::Null),
        ];
        for (borrowed, owned) in pairs {
            assert_eq!(borrowed, owned);
            assert_eq!(owned.as_scalar(), Some(borrowed));
        }
        let array = ValueBuf::try_from(Value::from(vec![Value::from(1)])).unwrap();
        assert_eq!(ValueRef::from(&array), Value::from(vec![Value::from(1)]));
    }
}
