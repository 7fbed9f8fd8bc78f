//! Any type as a [`Value`].

use super::extended;
use crate::error::{Error, Result};
use crate::model::{NESTING_MAX, Value};
use serde_core::ser::{self, Serialize, Serializer};
use std::cell::Cell;

/// More than that is not reserved on the word of a type.
const RESERVED_MAX: usize = 1024;

/// Makes a [`Value`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueSerializer<'m> {
    /// Containers around this value.
    depth: usize,
    /// Set when the value is `None`, for an attribute: it is missing then.
    missing: Option<&'m Cell<bool>>,
}

impl<'m> ValueSerializer<'m> {
    pub(super) const fn new() -> Self {
        Self { depth: 0, missing: None }
    }

    /// For an attribute.
    pub(super) const fn attribute(missing: &'m Cell<bool>) -> Self {
        Self { depth: 0, missing: Some(missing) }
    }

    /// For what is in a container at this place. Checked here, since a type may nest without end.
    fn inner(self) -> Result<ValueSerializer<'static>> {
        if self.depth >= NESTING_MAX {
            return Err(Error::record(format!("nested deeper than {NESTING_MAX} levels")));
        }
        Ok(ValueSerializer { depth: self.depth.saturating_add(1), missing: None })
    }

    /// For what a variant of an enum holds: the pair of its name and that is a container around it.
    fn in_variant(self, variant: Option<&'static str>) -> Result<Self> {
        if variant.is_some() { self.inner() } else { Ok(self) }
    }

    fn array(self, len: Option<usize>, variant: Option<&'static str>) -> Result<ArraySerializer> {
        let values = Vec::with_capacity(len.unwrap_or(0).min(RESERVED_MAX));
        Ok(ArraySerializer { inner: self.in_variant(variant)?.inner()?, values, variant })
    }

    fn map(self, len: Option<usize>, variant: Option<&'static str>) -> Result<MapSerializer> {
        let pairs = Vec::with_capacity(len.unwrap_or(0).min(RESERVED_MAX));
        Ok(MapSerializer { inner: self.in_variant(variant)?.inner()?, pairs, key: None, variant })
    }
}

/// What an enum's variant becomes: itself, or the pair of its name and what it holds.
fn tagged(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(name) => Value::Map(vec![(Value::from(name), value)]),
        None => value,
    }
}

fn in_variant(error: Error, variant: Option<&'static str>) -> Error {
    match variant {
        Some(name) => error.in_field(name),
        None => error,
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method(self, scalar: $type) -> Result<Value> {
            Ok(Value::from(scalar))
        }
    )*};
}

impl Serializer for ValueSerializer<'_> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = ArraySerializer;
    type SerializeTuple = ArraySerializer;
    type SerializeTupleStruct = ArraySerializer;
    type SerializeTupleVariant = ArraySerializer;
    type SerializeMap = MapSerializer;
    type SerializeStruct = MapSerializer;
    type SerializeStructVariant = MapSerializer;

    scalars!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f64(f64),
        serialize_str(&str),
        serialize_bytes(&[u8]),
    );

    fn serialize_f32(self, float: f32) -> Result<Value> {
        Ok(Value::from(f64::from(float)))
    }

    fn serialize_char(self, char: char) -> Result<Value> {
        Ok(Value::from(char.to_string()))
    }

    fn serialize_none(self) -> Result<Value> {
        if let Some(missing) = self.missing {
            missing.set(true);
        }
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<Value> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value> {
        let value = value.serialize(self)?;
        if extended::is_name(name) { extended::from_payload(value) } else { Ok(value) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value> {
        let value = value.serialize(self.inner()?).map_err(|error| error.in_field(variant))?;
        Ok(tagged(Some(variant), value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<ArraySerializer> {
        self.array(len, None)
    }

    fn serialize_tuple(self, len: usize) -> Result<ArraySerializer> {
        self.array(Some(len), None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<ArraySerializer> {
        self.array(Some(len), None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ArraySerializer> {
        self.array(Some(len), Some(variant))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<MapSerializer> {
        self.map(len, None)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<MapSerializer> {
        self.map(Some(len), None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<MapSerializer> {
        self.map(Some(len), Some(variant))
    }
}

/// Gathers the values of an array.
#[derive(Debug)]
pub(super) struct ArraySerializer {
    inner: ValueSerializer<'static>,
    values: Vec<Value>,
    variant: Option<&'static str>,
}

impl ArraySerializer {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let value =
            value.serialize(self.inner).map_err(|error| in_variant(error.in_element(self.values.len()), self.variant));
        self.values.push(value?);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::Array(self.values))
    }
}

/// The traits of serde that gather elements differ in names only.
macro_rules! gather_elements {
    ($($trait:ident::$method:ident),*) => {$(
        impl ser::$trait for ArraySerializer {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }

            fn end(self) -> Result<Value> {
                Ok(self.finish())
            }
        }
    )*};
}
gather_elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// Gathers the pairs of a map.
#[derive(Debug)]
pub(super) struct MapSerializer {
    inner: ValueSerializer<'static>,
    pairs: Vec<(Value, Value)>,
    key: Option<Value>,
    variant: Option<&'static str>,
}

impl MapSerializer {
    fn push<T: Serialize + ?Sized>(&mut self, key: Value, value: &T) -> Result<()> {
        let value = value.serialize(self.inner).map_err(|error| {
            let error = match &key {
                Value::Text(name) => error.in_field(name),
                other => error.in_element(other),
            };
            in_variant(error, self.variant)
        });
        self.pairs.push((key, value?));
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::Map(self.pairs))
    }
}

impl ser::SerializeMap for MapSerializer {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(self.inner)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take().ok_or_else(|| Error::record("a value without a key"))?;
        self.push(key, value)
    }

    fn end(self) -> Result<Value> {
        Ok(self.finish())
    }
}

macro_rules! gather_fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for MapSerializer {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.push(Value::from(name), value)
            }

            fn end(self) -> Result<Value> {
                Ok(self.finish())
            }
        }
    )*};
}
gather_fields!(SerializeStruct, SerializeStructVariant);
