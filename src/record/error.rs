//! What serde has to say, as an [`Error`] that names the field.

use crate::error::Error;
use crate::model::ValueRef;
use serde_core::de::{Expected, Unexpected};
use std::fmt::{Display, Write as _};

/// So many names of what there could have been are listed.
const LISTED_MAX: usize = 16;

impl Error {
    pub(super) fn record(reason: impl Into<String>) -> Self {
        Self::Record { key: None, field: String::new(), reason: reason.into() }
    }

    /// A value that does not fit the type that asks for it.
    pub(super) fn mismatch(found: impl Display, expected: &dyn Expected) -> Self {
        Self::record(format!("expected {expected}, found {found}"))
    }

    /// The same, where it was found in a field of that name.
    pub(super) fn in_field(self, name: &str) -> Self {
        self.within(|field| match field.as_bytes().first() {
            None => name.to_owned(),
            Some(b'[') => format!("{name}{field}"),
            Some(_) => format!("{name}.{field}"),
        })
    }

    /// The same, where it was found in an element of an array, or behind a key that is no text.
    pub(super) fn in_element(self, index: impl Display) -> Self {
        self.within(|field| match field.as_bytes().first() {
            None | Some(b'[') => format!("[{index}]{field}"),
            Some(_) => format!("[{index}].{field}"),
        })
    }

    fn within(self, place: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Record { key, field, reason } => Self::Record { key, field: place(&field), reason },
            other => other,
        }
    }
}

/// A value in a message: its type, and what it is where that is short and may be out of range.
pub(super) fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Bool(bool) => format!("boolean {bool}"),
        ValueRef::Int(int) => format!("integer {int}"),
        ValueRef::BigInt(_) => "an integer of more than 128 bits".to_owned(),
        ValueRef::Float(float) => format!("float {float:?}"),
        ValueRef::Text(_) => "text".to_owned(),
        ValueRef::Bytes(_) => "bytes".to_owned(),
        ValueRef::Timestamp(_) => "a timestamp".to_owned(),
        ValueRef::Ext(_) => "an ext value".to_owned(),
        ValueRef::Array(_) => "an array".to_owned(),
        ValueRef::Map(_) => "a map".to_owned(),
    }
}

/// What a type was offered, in the words of this crate.
fn offered(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unit | Unexpected::Option => describe(ValueRef::Null),
        Unexpected::Bool(bool) => describe(bool.into()),
        Unexpected::Unsigned(int) => describe(int.into()),
        Unexpected::Signed(int) => describe(int.into()),
        Unexpected::Float(float) => describe(float.into()),
        Unexpected::Str(_) => "text".to_owned(),
        Unexpected::Bytes(_) => "bytes".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

fn list(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(LISTED_MAX).enumerate() {
        // Writing to a `String` does not fail.
        let _written = write!(text, "{}`{name}`", if index == 0 { "" } else { ", " });
    }
    if names.len() > LISTED_MAX {
        text.push_str(", ...");
    }
    if names.is_empty() { "nothing".to_owned() } else { text }
}

impl serde_core::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::record(message.to_string())
    }
}

impl serde_core::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::record(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(offered(found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(offered(found), expected)
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Self::mismatch(format_args!("{len} values"), expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::record(format!("there is no variant `{variant}`; expected {}", list(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::record(format!("there is no such field; expected {}", list(expected))).in_field(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::record("missing").in_field(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::record("given more than once").in_field(field)
    }
}
