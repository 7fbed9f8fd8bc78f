//! A record as attributes.

use super::value_serializer::ValueSerializer;
use crate::error::{Error, Result};
use crate::model::Value;
use serde_core::ser::{self, Impossible, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::Cell;

type Attributes = Vec<(Cow<'static, str>, Value)>;

/// Makes attributes of a struct or a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordSerializer;

fn not_a_record<T>(found: &str) -> Result<T> {
    Err(Error::record(format!("expected a struct or a map as the record, found {found}")))
}

fn an_enum<T>(variant: &str) -> Result<T> {
    not_a_record(&format!("the variant `{variant}`; an enum needs #[serde(tag = \"...\")] or #[serde(untagged)] there"))
}

macro_rules! refuse {
    ($($method:ident($type:ty): $found:literal),* $(,)?) => {$(
        fn $method(self, _scalar: $type) -> Result<Attributes> {
            not_a_record($found)
        }
    )*};
}

impl Serializer for RecordSerializer {
    type Ok = Attributes;
    type Error = Error;
    type SerializeSeq = Impossible<Attributes, Error>;
    type SerializeTuple = Impossible<Attributes, Error>;
    type SerializeTupleStruct = Impossible<Attributes, Error>;
    type SerializeTupleVariant = Impossible<Attributes, Error>;
    type SerializeMap = AttributesSerializer;
    type SerializeStruct = AttributesSerializer;
    type SerializeStructVariant = Impossible<Attributes, Error>;

    refuse!(
        serialize_bool(bool): "a boolean",
        serialize_i8(i8): "an integer",
        serialize_i16(i16): "an integer",
        serialize_i32(i32): "an integer",
        serialize_i64(i64): "an integer",
        serialize_i128(i128): "an integer",
        serialize_u8(u8): "an integer",
        serialize_u16(u16): "an integer",
        serialize_u32(u32): "an integer",
        serialize_u64(u64): "an integer",
        serialize_u128(u128): "an integer",
        serialize_f32(f32): "a float",
        serialize_f64(f64): "a float",
        serialize_char(char): "text",
        serialize_str(&str): "text",
        serialize_bytes(&[u8]): "bytes",
    );

    fn serialize_none(self) -> Result<Attributes> {
        not_a_record("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Attributes> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Attributes> {
        not_a_record("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Attributes> {
        Ok(Vec::new())
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<Attributes> {
        an_enum(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<Attributes> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<Attributes> {
        an_enum(variant)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self::SerializeSeq> {
        not_a_record("an array")
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple> {
        not_a_record("an array")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeTupleStruct> {
        not_a_record("an array")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        an_enum(variant)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<AttributesSerializer> {
        Ok(AttributesSerializer::default())
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<AttributesSerializer> {
        Ok(AttributesSerializer { attributes: Vec::with_capacity(len), name: None })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant> {
        an_enum(variant)
    }
}

/// Gathers attributes.
#[derive(Debug, Default)]
pub(super) struct AttributesSerializer {
    attributes: Attributes,
    /// A name whose value comes next.
    name: Option<String>,
}

impl AttributesSerializer {
    fn push<T: Serialize + ?Sized>(&mut self, name: Cow<'static, str>, value: &T) -> Result<()> {
        let missing = Cell::new(false);
        let value = value.serialize(ValueSerializer::attribute(&missing)).map_err(|error| error.in_field(&name))?;
        if !missing.get() {
            self.attributes.push((name, value));
        }
        Ok(())
    }
}

impl ser::SerializeStruct for AttributesSerializer {
    type Ok = Attributes;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.push(Cow::Borrowed(name), value)
    }

    fn end(self) -> Result<Attributes> {
        Ok(self.attributes)
    }
}

impl ser::SerializeMap for AttributesSerializer {
    type Ok = Attributes;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        match key.serialize(ValueSerializer::new())? {
            Value::Text(name) => self.name = Some(name),
            other => {
                return Err(Error::record("the name of an attribute is text").in_element(other));
            }
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let name = self.name.take().ok_or_else(|| Error::record("a value without a name"))?;
        self.push(Cow::Owned(name), value)
    }

    fn end(self) -> Result<Attributes> {
        Ok(self.attributes)
    }
}
