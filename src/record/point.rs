//! A point for serde: a map whose keys are the names of dimensions, asked for only where the type wants them.

use super::cursor;
use crate::engine::{AxisReader, DimensionReader, DimensionView};
use crate::error::{Error, Result};
use crate::model::{KeyRef, Slot, ValueRef};
use serde_core::de::value::BorrowedStrDeserializer;
use serde_core::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_core::{Deserialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

/// What is known of the dimensions before a point is read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'s, 'd> {
    /// All of the state.
    pub(crate) all: Option<&'d [DimensionReader<'s>]>,
    /// Those of the struct that is read again and again; set by the first.
    pub(crate) fields: Option<&'d OnceCell<FieldViews<'s>>>,
}

/// The dimensions of a struct's fields.
pub(crate) struct FieldViews<'s> {
    fields: &'static [&'static str],
    views: Vec<Option<DimensionReader<'s>>>,
}

/// Reads a point.
pub(crate) fn from_point<'s, T: Deserialize<'s>>(
    axis: &AxisReader<'s>,
    key: KeyRef<'_>,
    slot: Slot,
    known: Known<'s, '_>,
) -> Result<T> {
    T::deserialize(PointDeserializer { axis, slot, known }).map_err(|error| match error {
        Error::Record { field, reason, .. } => Error::Record { key: Some(key.to_key()), field, reason },
        Error::Corrupt { path, offset, section, reason } if path.as_os_str().is_empty() => {
            Error::Corrupt { path: axis.state().path().to_owned(), offset, section, reason }
        }
        other => other,
    })
}

struct PointDeserializer<'s, 'd> {
    axis: &'d AxisReader<'s>,
    slot: Slot,
    known: Known<'s, 'd>,
}

impl<'s, 'd> PointDeserializer<'s, 'd> {
    fn dimensions(&self) -> Cow<'_, [DimensionReader<'s>]> {
        let all = || self.axis.state().dimensions().into_iter().map(DimensionView::reader).collect();
        self.known.all.map_or_else(|| Cow::Owned(all()), Cow::Borrowed)
    }

    /// The dimension of a name.
    fn dimension(&self, name: &str) -> Option<DimensionReader<'s>> {
        self.axis.state().dimension(name).map(DimensionView::reader)
    }

    /// The dimensions of the fields, if they were found before.
    fn views(&self, fields: &'static [&'static str]) -> Option<&'d [Option<DimensionReader<'s>>]> {
        let find = || fields.iter().map(|name| self.dimension(name)).collect();
        let found = self.known.fields?.get_or_init(|| FieldViews { fields, views: find() });
        std::ptr::eq(found.fields, fields).then_some(&found.views)
    }

    /// Every dimension.
    fn all<V: Visitor<'s>>(self, visitor: V) -> Result<V::Value> {
        let dimensions = self.dimensions();
        visitor.visit_map(Attributes { axis: self.axis, dimensions: dimensions.iter(), slot: self.slot, next: None })
    }

    fn mismatch<T>(&self, visitor: &impl Visitor<'s>) -> Result<T> {
        Err(Error::mismatch("a point, which only a struct or a map takes", visitor))
    }
}

macro_rules! refuse {
    ($($method:ident $(($($ignored:ident: $type:ty),*))?),* $(,)?) => {$(
        fn $method<V: Visitor<'s>>(self, $($($ignored: $type,)*)? visitor: V) -> Result<V::Value> {
            self.mismatch(&visitor)
        }
    )*};
}

impl<'s> Deserializer<'s> for PointDeserializer<'s, '_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'s>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let views = self.views(fields);
        visitor.visit_map(Fields { point: self, fields, views, asked: 0, next: Next::Nothing })
    }

    fn deserialize_any<V: Visitor<'s>>(self, visitor: V) -> Result<V::Value> {
        self.all(visitor)
    }

    fn deserialize_option<V: Visitor<'s>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'s>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'s>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'s>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'s>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let found = "a point; an enum needs #[serde(tag = \"...\")] or #[serde(untagged)] there";
        Err(Error::mismatch(found, &visitor))
    }

    fn deserialize_map<V: Visitor<'s>>(self, visitor: V) -> Result<V::Value> {
        self.all(visitor)
    }

    refuse!(
        deserialize_bool,
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_i128,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64,
        deserialize_u128,
        deserialize_f32,
        deserialize_f64,
        deserialize_char,
        deserialize_str,
        deserialize_string,
        deserialize_bytes,
        deserialize_byte_buf,
        deserialize_unit,
        deserialize_seq,
        deserialize_tuple(_len: usize),
        deserialize_tuple_struct(_name: &'static str, _len: usize),
        deserialize_identifier,
    );
}

/// Serde asks for a value only after its key.
fn out_of_turn() -> Error {
    Error::record("the value of an attribute was asked for before its name")
}

/// All attributes of a point.
struct Attributes<'s, 'd> {
    axis: &'d AxisReader<'s>,
    dimensions: std::slice::Iter<'d, DimensionReader<'s>>,
    slot: Slot,
    next: Option<(&'s str, ValueRef<'s>)>,
}

impl<'s> MapAccess<'s> for Attributes<'s, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'s>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        for dimension in self.dimensions.by_ref() {
            if let Some(value) = dimension.get(self.axis, self.slot)? {
                let name = dimension.view.name();
                self.next = Some((name, value));
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'s>>(&mut self, seed: S) -> Result<S::Value> {
        let (name, value) = self.next.take().ok_or_else(out_of_turn)?;
        cursor::read(value, seed).map_err(|error| error.in_field(name))
    }
}

/// The attributes of a point that a struct has fields for, and then, as long as it ignores it, one that nothing has.
///
/// Whether a struct denies unknown fields is known only by offering it one: [`UNKNOWN`]. If it refuses, all the others are
/// asked for, and the first that the point has is reported.
struct Fields<'s, 'd> {
    point: PointDeserializer<'s, 'd>,
    fields: &'static [&'static str],
    views: Option<&'d [Option<DimensionReader<'s>>]>,
    /// So many fields have had their turn.
    asked: usize,
    next: Next<'s>,
}

/// What the next value belongs to.
enum Next<'s> {
    Nothing,
    Field(&'static str, ValueRef<'s>),
    Unknown,
}

/// A name that no struct has for a field.
const UNKNOWN: &str = "\0unknown";

/// [`UNKNOWN`], for those that take the name of a field; to others the attributes just end.
struct UnknownName;

/// Why [`UNKNOWN`] was not taken.
#[derive(Debug)]
enum Refusal {
    /// It is not a field of the struct.
    ByField,
    /// Not the name of a field was asked for, but any text, say.
    NoIdentifier,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such field")
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self::ByField
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self::ByField
    }
}

impl<'de> Deserializer<'de> for UnknownName {
    type Error = Refusal;

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(UNKNOWN)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refusal> {
        Err(Refusal::NoIdentifier)
    }

    forward_to_deserialize_any!(
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum ignored_any
    );
}

impl<'s> MapAccess<'s> for Fields<'s, '_> {
    type Error = Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'s>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        while let Some(&name) = self.fields.get(self.asked) {
            let PointDeserializer { axis, slot, .. } = self.point;
            let value = match self.views {
                Some(views) => match views.get(self.asked) {
                    Some(Some(dimension)) => dimension.get(axis, slot)?,
                    _ => None,
                },
                None => match self.point.dimension(name) {
                    Some(dimension) => dimension.get(axis, slot)?,
                    None => None,
                },
            };
            self.asked = self.asked.saturating_add(1);
            if let Some(value) = value {
                self.next = Next::Field(name, value);
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
        }
        if let Next::Unknown = self.next {
            return Ok(None);
        }
        self.next = Next::Unknown;
        match seed.deserialize(UnknownName) {
            Ok(ignored) => Ok(Some(ignored)),
            Err(Refusal::ByField) => self.refuse_others().map(|()| None),
            Err(Refusal::NoIdentifier) => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'s>>(&mut self, seed: S) -> Result<S::Value> {
        match self.next {
            Next::Field(name, value) => cursor::read(value, seed).map_err(|error| error.in_field(name)),
            Next::Unknown => cursor::read(ValueRef::Null, seed),
            Next::Nothing => Err(out_of_turn()),
        }
    }
}

impl Fields<'_, '_> {
    /// Fails if the point has an attribute that the struct has no field for.
    fn refuse_others(&self) -> Result<()> {
        let PointDeserializer { axis, slot, .. } = self.point;
        for dimension in self.point.dimensions().iter() {
            let name = dimension.view.name();
            if !self.fields.contains(&name) && dimension.get(axis, slot)?.is_some() {
                return Err(de::Error::unknown_field(name, self.fields));
            }
        }
        Ok(())
    }
}
