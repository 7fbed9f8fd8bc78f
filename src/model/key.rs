//! Keys: what names a point on the central axis.

use super::timestamp::Timestamp;
use super::value::Value;
use super::value_ref::{ValueBuf, ValueRef, ValueTooLarge};
use std::fmt;

/// An owned key. Integers from `i64::MIN` to `u64::MAX`, text, bytes, floats, booleans, timestamps, other MessagePack ext
/// values, and arrays of all these (composite keys). Types are strict: `1`, `1.0`, `true` and `"1"` are four keys.
///
/// Keys have a total order, that of [`Value`]: by type, then by value.
///
/// ```
/// use vector_datalib::{Key, Value};
/// let key = Key::from(101);
/// let composite = Key::composite([Key::from("EWR"), Key::from(1545)])?;
/// assert_eq!(composite.to_string(), r#"["EWR", 1545]"#);
/// assert!(key < composite && Key::from(9) < key);
/// assert!(Key::try_from(Value::Null).is_err());
/// # Ok::<(), vector_datalib::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(ValueBuf);

/// A borrowed key, which lookups take; made from integers, text, bytes, floats, booleans and [`Key`]s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A composite key: the array of other keys, in their order.
    ///
    /// # Errors
    /// [`KeyError::TooLarge`] when they are too long together, or nested too deep.
    pub fn composite<K: Into<Self>>(parts: impl IntoIterator<Item = K>) -> Result<Self, KeyError> {
        Self::try_from(Value::Array(parts.into_iter().map(|part| part.into().to_value()).collect()))
    }

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

/// As [`Value`] is shown: text is quoted, so that `1` and `"1"` are told apart.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

/// As [`Value`] is shown: text is quoted, so that `1` and `"1"` are told apart.
impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
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

impl<const N: usize> From<&[u8; N]> for Key {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self(ValueBuf::Bytes(bytes.into_boxed_slice()))
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

    #[test]
    fn a_composite_key_is_the_array_of_its_parts() {
        let inner = Key::composite(["a", "b"]).unwrap();
        let key = Key::composite([Key::from(1), inner, Key::from(b"c")]).unwrap();
        let parts = vec![1.into(), Value::Array(vec!["a".into(), "b".into()]), b"c".into()];
        assert_eq!(key, Key::try_from(Value::Array(parts)).unwrap());
        let deep = (0..crate::model::NESTING_MAX).try_fold(Key::from(1), |key, _| Key::composite([key])).unwrap();
        assert_eq!(Key::composite([deep]), Err(KeyError::TooLarge));
    }
}
