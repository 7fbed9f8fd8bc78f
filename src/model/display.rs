//! Values as text for people: as their types are told apart in the documentation, so that `1`, `1.0`, `true` and `"1"` are four.

use super::nested::Nested;
use super::value::Value;
use super::value_ref::ValueRef;
use std::fmt::{self, Display, Formatter};

/// Text and bytes quoted and escaped as in Rust, floats with a point or an exponent, arrays and maps as in JSON. For messages and
/// logs: a value cannot be read back from it.
///
/// ```
/// use vector_datalib::Value;
/// let value = Value::from(vec!["EWR".into(), 1545.into(), 2.0.into(), b"\x00".into(), Value::Null]);
/// assert_eq!(value.to_string(), r#"["EWR", 1545, 2.0, b"\x00", null]"#);
/// ```
impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", separator(index))?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key}: {value}", separator(index))?;
                }
                f.write_str("}")
            }
            scalar => scalar.as_scalar().map_or(Ok(()), |scalar| Display::fmt(&scalar, f)),
        }
    }
}

/// As [`Value`] is shown. An array or a map that does not decode says so.
impl Display for ValueRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => Display::fmt(bool, f),
            Self::Int(int) => Display::fmt(int, f),
            Self::BigInt(big) => Display::fmt(big, f),
            Self::Float(float) => fmt::Debug::fmt(float, f),
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::Timestamp(timestamp) => Display::fmt(timestamp, f),
            Self::Ext(ext) => write!(f, "ext({}, b\"{}\")", ext.code, ext.data.escape_ascii()),
            Self::Array(nested) | Self::Map(nested) => Display::fmt(nested, f),
        }
    }
}

impl Display for Nested<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => Display::fmt(&value, f),
            Err(error) => Display::fmt(&error, f),
        }
    }
}

const fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Timestamp, ValueBuf};
    use super::*;

    #[test]
    fn every_type_is_shown_and_told_apart() {
        let map = Value::Map(vec![("a".into(), Value::Null), (1.into(), true.into())]);
        for (value, text) in [
            (Value::Null, "null"),
            (Value::from(true), "true"),
            (Value::from(-1), "-1"),
            (Value::from(u128::MAX), "340282366920938463463374607431768211455"),
            (Value::from(1.0), "1.0"),
            (Value::from(-0.0), "-0.0"),
            (Value::from(f64::NAN), "NaN"),
            (Value::from("1"), "\"1\""),
            (Value::from("a\n\"é"), "\"a\\n\\\"é\""),
            (Value::from(b"\x00a\""), "b\"\\x00a\\\"\""),
            (Value::from(Timestamp::new(0, 0).unwrap()), "1970-01-01T00:00:00Z"),
            (Value::ext(-7, vec![1]), "ext(-7, b\"\\x01\")"),
            (Value::Array(vec![]), "[]"),
            (Value::Array(vec!["EWR".into(), map]), "[\"EWR\", {\"a\": null, 1: true}]"),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(ValueBuf::try_from(value.clone()).unwrap().as_ref().to_string(), text);
            if let Ok(key) = Key::try_from(value) {
                assert_eq!((key.to_string().as_str(), key.as_ref().to_string().as_str()), (text, text));
            }
        }
        let broken = ValueRef::Array(Nested::trusted(&[0x91])).to_string();
        assert!(broken.contains("does not decode"), "{broken}");
    }
}
