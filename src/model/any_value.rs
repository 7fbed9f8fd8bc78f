//! Values as arguments, in whichever form a program has them.

use super::value::Value;
use super::value_ref::{ValueBuf, ValueRef, ValueTooLarge};

/// A value in any of its forms, as an argument: whatever converts into a [`ValueRef`], which is lent; a [`Value`] or a reference
/// to one; a [`String`] or `Vec<u8>`. Arrays and maps are encoded as they are converted, O(their size), all else is lent or moved.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{BulkLoader, Value, attrs};
/// let mut loader = BulkLoader::create(dir.path().join("people.vdb"))?;
/// let tags = Value::Array(vec!["a".into(), "b".into()]);
/// loader.push(101, [("age", 25)])?;
/// loader.push(101, [("tags", &tags)])?;
/// loader.push(102, attrs! { "age" => 26, "tags" => tags })?;
/// loader.push(103, [(String::from("name"), String::from("Carol"))])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyValue<'a>(Result<StoredValue<'a>, ValueTooLarge>);

/// A value in the form in which it is stored.
#[derive(Clone, Debug)]
pub(crate) enum StoredValue<'a> {
    Lent(ValueRef<'a>),
    Owned(ValueBuf),
}

impl<'a> AnyValue<'a> {
    /// The value as it is stored.
    #[inline]
    pub(crate) fn stored(self) -> Result<StoredValue<'a>, ValueTooLarge> {
        self.0
    }
}

impl StoredValue<'_> {
    #[inline]
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Lent(value) => *value,
            Self::Owned(value) => value.as_ref(),
        }
    }
}

impl<'a, T: Into<ValueRef<'a>>> From<T> for AnyValue<'a> {
    #[inline]
    fn from(value: T) -> Self {
        Self(Ok(StoredValue::Lent(value.into())))
    }
}

impl<'a> From<&'a Value> for AnyValue<'a> {
    fn from(value: &'a Value) -> Self {
        Self(match value.as_scalar() {
            Some(scalar) => Ok(StoredValue::Lent(scalar)),
            None => ValueBuf::encode(value).map(StoredValue::Owned),
        })
    }
}

macro_rules! from_owned {
    ($($type:ty),*) => {$(
        impl From<$type> for AnyValue<'_> {
            fn from(value: $type) -> Self {
                Self(ValueBuf::try_from(Value::from(value)).map(StoredValue::Owned))
            }
        }
    )*};
}
from_owned!(Value, String, Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NESTING_MAX;

    fn stored<'a>(value: impl Into<AnyValue<'a>>) -> Value {
        value.into().stored().unwrap().as_ref().to_value().unwrap()
    }

    #[test]
    fn every_form_of_a_value_is_the_same_value() {
        let map = Value::Map(vec![("a".into(), Value::Array(vec![1.into(), Value::Null]))]);
        for value in [Value::Null, 5.into(), 1.5.into(), "text".into(), b"bytes".into(), Value::ext(3, vec![1]), map] {
            let buf = ValueBuf::try_from(value.clone()).unwrap();
            let forms = [stored(&value), stored(value.clone()), stored(&buf), stored(buf.as_ref())];
            assert_eq!(forms, [(); 4].map(|()| value.clone()));
        }
        let owned = String::from("a");
        for text in [stored("a"), stored(&owned), stored(owned.clone())] {
            assert_eq!(text, Value::from("a"));
        }
        assert_eq!([stored(vec![1_u8]), stored(None::<i64>)], [vec![1_u8].into(), Value::Null]);
    }

    #[test]
    fn what_cannot_be_stored_is_an_error_of_its_use() {
        let deep = (0..=NESTING_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(AnyValue::from(&deep).stored().unwrap_err(), ValueTooLarge);
        assert_eq!(AnyValue::from(deep).stored().unwrap_err(), ValueTooLarge);
    }
}
