//! Keys: what names a point on the central axis.

use super::value::{Timestamp, Value};
use super::value_ref::{ValueBuf, ValueRef, ValueTooLarge};
use std::fmt;
use std::hash::{Hash, Hasher};

/// An owned key. Integers from `i64::MIN` to `u64::MAX`, text, bytes, floats, booleans, timestamps, other MessagePack ext
/// values, and arrays of all these (composite keys). Types are strict: `1`, `1.0`, `true` and `"1"` are four keys.
///
/// ```
/// use vector_datalib::{Key, Value};
/// let key = Key::from(101);
/// let composite = Key::try_from(Value::Array(vec!["EWR".into(), 1545.into()]))?;
/// assert!(Key::try_from(Value::Null).is_err());
/// # assert_ne!(key, composite);
/// # Ok::<(), vector_datalib::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Key(ValueBuf);

/// A borrowed key, which lookups take; made from integers, text, bytes, floats, booleans and [`Key`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef<'a>(ValueRef<'a>);

/// A value that cannot be a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// Null, a map, or an integer outside of 64 bits, here or inside of an array.
    Type,
    /// Longer than a gibibyte, or nested too deep.
    TooLarge,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type => f.write_str(
                "a key is an integer of 64 bits, text, bytes, a float, a boolean, a timestamp, an ext value or an array of these; not null, not a map",
            ),
            Self::TooLarge => fmt::Display::fmt(&ValueTooLarge, f),
        }
    }
}

impl std::error::Error for KeyError {}

/// Whether an integer is within the range of keys.
pub(crate) const fn is_key_integer(int: i128) -> bool {
    int >= i64::MIN as i128 && int <= u64::MAX as i128
}

fn is_key(value: &Value) -> bool {
    match value {
        Value::Null | Value::Map(_) | Value::BigInt(_) => false,
        Value::Int(int) => is_key_integer(*int),
        Value::Array(values) => values.iter().all(is_key),
        _ => true,
    }
}

impl Key {
    /// Borrows the key.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef(self.0.as_ref())
    }

    /// The key as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.as_ref().to_value()
    }
}

impl<'a> KeyRef<'a> {
    /// Takes a value whose type and range have been checked.
    pub(crate) const fn trusted(value: ValueRef<'a>) -> Self {
        Self(value)
    }

    /// Takes a value read from a file; `None` if its type or range is not a key's. An array is taken as it is: it is
    /// only ever compared, and decoded with checks.
    pub(crate) fn checked(value: ValueRef<'a>) -> Option<Self> {
        match value {
            ValueRef::Null | ValueRef::Map(_) | ValueRef::BigInt(_) => None,
            ValueRef::Int(int) if !is_key_integer(int) => None,
            _ => Some(Self(value)),
        }
    }

    /// The key as a borrowed value.
    #[inline]
    #[must_use]
    pub const fn value(self) -> ValueRef<'a> {
        self.0
    }

    /// Copies the key.
    #[must_use]
    pub fn to_key(self) -> Key {
        Key(self.0.to_buf())
    }

    /// Copies the key into a value. An array that does not decode, which only a damaged file can hold, becomes its bytes.
    #[must_use]
    pub fn to_value(self) -> Value {
        self.0.to_value().unwrap_or_else(|_| match self.0 {
            ValueRef::Array(nested) => Value::Bytes(nested.as_bytes().to_vec()),
            _ => Value::Null,
        })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<Value> for Key {
    type Error = KeyError;

    fn try_from(value: Value) -> Result<Self, KeyError> {
        if !is_key(&value) {
            return Err(KeyError::Type);
        }
        ValueBuf::try_from(value).map(Self).map_err(|ValueTooLarge| KeyError::TooLarge)
    }
}

impl From<KeyRef<'_>> for Key {
    fn from(key: KeyRef<'_>) -> Self {
        key.to_key()
    }
}

impl<'a> TryFrom<ValueRef<'a>> for KeyRef<'a> {
    type Error = KeyError;

    /// Takes a borrowed value as a key, if it can be one.
    fn try_from(value: ValueRef<'a>) -> Result<Self, KeyError> {
        let value = value.canonical();
        let fits = match value {
            ValueRef::Array(nested) => nested.to_value().is_ok_and(|value| is_key(&value)),
            _ => true,
        };
        Self::checked(value).filter(|_| fits).ok_or(KeyError::Type)
    }
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    fn from(key: &'a Key) -> Self {
        key.as_ref()
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self(ValueRef::Text(text))
    }
}

impl<'a> From<&'a Vec<u8>> for KeyRef<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self(ValueRef::Bytes(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for KeyRef<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(ValueRef::Bytes(bytes))
    }
}

macro_rules! from_scalars {
    ($($type:ty => $variant:ident($convert:expr)),* $(,)?) => {$(
        impl From<$type> for KeyRef<'_> {
            #[inline]
            fn from(scalar: $type) -> Self {
                Self(ValueRef::$variant($convert(scalar)))
            }
        }
        impl From<$type> for Key {
            fn from(scalar: $type) -> Self {
                Self(ValueBuf::$variant($convert(scalar)))
            }
        }
    )*};
}
from_scalars!(
    i8 => Int(i128::from), i16 => Int(i128::from), i32 => Int(i128::from), i64 => Int(i128::from),
    u8 => Int(i128::from), u16 => Int(i128::from), u32 => Int(i128::from), u64 => Int(i128::from),
    f64 => Float(std::convert::identity), bool => Bool(std::convert::identity),
    Timestamp => Timestamp(std::convert::identity),
);

impl<'a> From<&'a str> for KeyRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(ValueRef::Text(text))
    }
}

impl<'a> From<&'a [u8]> for KeyRef<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self(ValueRef::Bytes(bytes))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(ValueBuf::Text(text.into()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(ValueBuf::Text(text.into_boxed_str()))
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(ValueBuf::Bytes(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_can_be() {
        for value in
            [Value::from(u64::MAX), Value::from(i64::MIN), Value::from(""), Value::ext(3, vec![]), Value::Array(vec![])]
        {
            assert!(Key::try_from(value).is_ok());
        }
        for value in [
            Value::Null,
            Value::from(i128::from(i64::MIN) - 1),
            Value::from(u128::MAX),
            Value::Map(vec![]),
            Value::Array(vec![Value::Array(vec![Value::Null])]),
        ] {
            assert_eq!(Key::try_from(value), Err(KeyError::Type));
        }
    }
}
