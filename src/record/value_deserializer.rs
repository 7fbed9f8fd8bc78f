//! A stored value for serde: strict about types, lending text and bytes, decoding arrays and maps as they are read.

use super::cursor::{self, Cursor};
use super::error::describe;
use super::extended::{BIG_INT, EXT, TIMESTAMP, integer_bytes};
use crate::error::{Error, Result};
use crate::model::nested::Token;
use crate::model::{BigIntRef, ValueRef};
use serde_core::de::value::{
    BorrowedBytesDeserializer, BorrowedStrDeserializer, BytesDeserializer, SeqAccessDeserializer,
};
use serde_core::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::marker::PhantomData;

/// A value whose first token was read.
#[derive(Debug)]
pub(super) struct TokenDeserializer<'a, 'c> {
    token: Token<'a>,
    cursor: &'c mut Cursor<'a>,
    /// Containers around this value.
    depth: usize,
}

impl<'a, 'c> TokenDeserializer<'a, 'c> {
    #[inline]
    pub(super) const fn new(token: Token<'a>, cursor: &'c mut Cursor<'a>, depth: usize) -> Self {
        Self { token, cursor, depth }
    }

    fn mismatch<T>(&self, visitor: &impl Visitor<'a>) -> Result<T> {
        let found = match self.token {
            Token::Scalar(scalar) => describe(scalar),
            Token::Array(_) => "an array".to_owned(),
            Token::Map(_) => "a map".to_owned(),
        };
        Err(Error::mismatch(found, visitor))
    }

    /// An integer for a type of up to 64 bits.
    #[inline]
    fn short<V: Visitor<'a>>(self, signed: bool, visitor: V) -> Result<V::Value> {
        let Token::Scalar(ValueRef::Int(int)) = self.token else { return self.mismatch(&visitor) };
        match (u64::try_from(int), i64::try_from(int)) {
            (Ok(int), Err(_)) => visitor.visit_u64(int),
            (Ok(int), Ok(_)) if !signed => visitor.visit_u64(int),
            (_, Ok(int)) => visitor.visit_i64(int),
            (Err(_), Err(_)) => self.mismatch(&visitor),
        }
    }

    fn signed<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Int(int)) => visitor.visit_i128(int),
            _ => self.mismatch(&visitor),
        }
    }

    fn unsigned<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        let fitting = match self.token {
            Token::Scalar(ValueRef::Int(int)) => u128::try_from(int).ok(),
            Token::Scalar(ValueRef::BigInt(big)) => unsigned(big),
            _ => None,
        };
        match fitting {
            Some(int) => visitor.visit_u128(int),
            None => self.mismatch(&visitor),
        }
    }

    fn float<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Float(float)) => visitor.visit_f64(float),
            _ => self.mismatch(&visitor),
        }
    }

    #[inline]
    fn text<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Text(text)) => visitor.visit_borrowed_str(text),
            _ => self.mismatch(&visitor),
        }
    }

    fn bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Bytes(bytes)) => visitor.visit_borrowed_bytes(bytes),
            _ => self.mismatch(&visitor),
        }
    }

    fn null<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Null) => visitor.visit_unit(),
            _ => self.mismatch(&visitor),
        }
    }

    fn array<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        let Token::Array(count) = self.token else { return self.mismatch(&visitor) };
        let mut elements = self.elements(count)?;
        let read = visitor.visit_seq(&mut elements)?;
        let Elements { left, .. } = elements;
        if left > 0 {
            let wanted = count.saturating_sub(left);
            return Err(Error::record(format!("expected {wanted} values, found an array of {count}")));
        }
        Ok(read)
    }

    fn map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        let Token::Map(count) = self.token else { return self.mismatch(&visitor) };
        let mut pairs = Pairs { elements: self.elements(count)?, key: None };
        let read = visitor.visit_map(&mut pairs)?;
        if pairs.elements.left > 0 {
            let wanted = count.saturating_sub(pairs.elements.left);
            return Err(Error::record(format!("expected {wanted} pairs, found a map of {count}")));
        }
        Ok(read)
    }

    fn elements(self, count: usize) -> Result<Elements<'a, 'c>> {
        self.cursor.check_depth(self.depth)?;
        Ok(Elements { cursor: self.cursor, depth: self.depth.saturating_add(1), count, left: count })
    }

    /// A timestamp, a large integer or an ext value, as a newtype struct around its payload.
    fn extended<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Timestamp(time)) => {
                let parts = [ValueRef::from(time.seconds()), ValueRef::from(time.nanoseconds())];
                visitor.visit_newtype_struct(SeqAccessDeserializer::new(Parts(parts.into_iter())))
            }
            Token::Scalar(ValueRef::Ext(ext)) => {
                let parts = [ValueRef::from(ext.code), ValueRef::from(ext.data)];
                visitor.visit_newtype_struct(SeqAccessDeserializer::new(Parts(parts.into_iter())))
            }
            Token::Scalar(ValueRef::BigInt(big)) => {
                visitor.visit_newtype_struct(BorrowedBytesDeserializer::new(big.as_bytes()))
            }
            Token::Scalar(ValueRef::Int(int)) => {
                visitor.visit_newtype_struct(BytesDeserializer::new(&integer_bytes(int)))
            }
            _ => self.mismatch(&visitor),
        }
    }
}

/// The integer, if it is one of `u128`.
fn unsigned(big: BigIntRef<'_>) -> Option<u128> {
    let magnitude = big.magnitude();
    let fits = !big.is_negative() && magnitude.len() <= size_of::<u128>();
    fits.then(|| magnitude.iter().fold(0, |int, &byte| (int << 8) | u128::from(byte)))
}

/// Methods of serde that do the same.
macro_rules! forward {
    ($($method:ident $(($($ignored:ident: $type:ty),*))? => $to:ident $(($argument:expr))?),* $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'a>>(self, $($($ignored: $type,)*)? visitor: V) -> Result<V::Value> {
            self.$to($($argument,)? visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for TokenDeserializer<'a, '_> {
    type Error = Error;

    forward!(
        deserialize_i8 => short(true),
        deserialize_i16 => short(true),
        deserialize_i32 => short(true),
        deserialize_i64 => short(true),
        deserialize_u8 => short(false),
        deserialize_u16 => short(false),
        deserialize_u32 => short(false),
        deserialize_u64 => short(false),
        deserialize_i128 => signed,
        deserialize_u128 => unsigned,
        deserialize_f64 => float,
        deserialize_char => text,
        deserialize_str => text,
        deserialize_string => text,
        deserialize_identifier => text,
        deserialize_bytes => bytes,
        deserialize_byte_buf => bytes,
        deserialize_unit => null,
        deserialize_unit_struct(_name: &'static str) => null,
        deserialize_seq => array,
        deserialize_tuple(_len: usize) => array,
        deserialize_tuple_struct(_name: &'static str, _len: usize) => array,
        deserialize_map => map,
        deserialize_struct(_name: &'static str, _fields: &'static [&'static str]) => map,
    );

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Array(_) => self.array(visitor),
            Token::Map(_) => self.map(visitor),
            Token::Scalar(scalar) => match scalar {
                ValueRef::Null => visitor.visit_unit(),
                ValueRef::Bool(bool) => visitor.visit_bool(bool),
                ValueRef::Int(int) if i64::try_from(int).is_ok() || u64::try_from(int).is_ok() => {
                    self.short(true, visitor)
                }
                ValueRef::Float(float) => visitor.visit_f64(float),
                ValueRef::Text(text) => visitor.visit_borrowed_str(text),
                ValueRef::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
                // Serde's buffers have no integers of 128 bits.
                _ => self.extended(visitor),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Bool(bool)) => visitor.visit_bool(bool),
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Float(float)) if float.is_nan() || f64::from(float as f32) == float => {
                visitor.visit_f32(float as f32)
            }
            _ => self.mismatch(&visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match (name, self.token) {
            (TIMESTAMP, Token::Scalar(ValueRef::Timestamp(_)))
            | (BIG_INT, Token::Scalar(ValueRef::BigInt(_)))
            | (EXT, Token::Scalar(ValueRef::Ext(_))) => self.extended(visitor),
            (TIMESTAMP | BIG_INT | EXT, _) => self.mismatch(&visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.token {
            Token::Scalar(ValueRef::Text(variant)) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            Token::Map(1) => visitor.visit_enum(Variant { held: self.elements(1)?, name: "" }),
            Token::Map(count) => Err(Error::mismatch(
                format_args!("a map of {count} pairs"),
                &"text or a map of one pair, for a variant",
            )),
            _ => self.mismatch(&visitor),
        }
    }

    /// What is ignored is skipped by whoever began the value.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }
}

/// The values of an array, or the pairs of a map.
#[derive(Debug)]
struct Elements<'a, 'c> {
    cursor: &'c mut Cursor<'a>,
    depth: usize,
    count: usize,
    left: usize,
}

impl<'a> SeqAccess<'a> for Elements<'a, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let index = self.count.saturating_sub(self.left);
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.cursor.value(self.depth, seed).map(Some).map_err(|error| error.in_element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The pairs of a map.
#[derive(Debug)]
struct Pairs<'a, 'c> {
    elements: Elements<'a, 'c>,
    /// The key whose value comes next; none if it is an array or a map.
    key: Option<ValueRef<'a>>,
}

impl<'a> MapAccess<'a> for Pairs<'a, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Elements { cursor, depth, left, .. } = &mut self.elements;
        let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
        *left = fewer;
        let (token, after) = cursor.begin()?;
        self.key = scalar_of(token);
        let key = seed.deserialize(TokenDeserializer::new(token, cursor, *depth))?;
        cursor.finish(after)?;
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value> {
        let Elements { cursor, depth, .. } = &mut self.elements;
        cursor.value(*depth, seed).map_err(|error| match self.key {
            Some(ValueRef::Text(name)) => error.in_field(name),
            Some(key) => error.in_element(key),
            None => error,
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.left)
    }
}

const fn scalar_of(token: Token<'_>) -> Option<ValueRef<'_>> {
    match token {
        Token::Scalar(scalar) => Some(scalar),
        Token::Array(_) | Token::Map(_) => None,
    }
}

/// A variant of an enum that holds something: a map of one pair.
#[derive(Debug)]
struct Variant<'a, 'c> {
    held: Elements<'a, 'c>,
    name: &'a str,
}

impl<'a> Variant<'a, '_> {
    fn read<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value> {
        self.held.cursor.value(self.held.depth, seed).map_err(|error| error.in_field(self.name))
    }
}

impl<'a> EnumAccess<'a> for Variant<'a, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(mut self, seed: S) -> Result<(S::Value, Self)> {
        let (token, after) = self.held.cursor.begin()?;
        if let Some(ValueRef::Text(name)) = scalar_of(token) {
            self.name = name;
        }
        let variant = seed.deserialize(TokenDeserializer::new(token, self.held.cursor, self.held.depth))?;
        self.held.cursor.finish(after)?;
        Ok((variant, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'a, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        self.read(PhantomData)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value> {
        self.read(seed)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.read(Fields { visitor, of_array: true })
    }

    fn struct_variant<V: Visitor<'a>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.read(Fields { visitor, of_array: false })
    }
}

/// What a variant holds, as an array or as a map.
#[derive(Debug)]
struct Fields<V> {
    visitor: V,
    of_array: bool,
}

impl<'a, V: Visitor<'a>> DeserializeSeed<'a> for Fields<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        if self.of_array {
            deserializer.deserialize_seq(self.visitor)
        } else {
            deserializer.deserialize_map(self.visitor)
        }
    }
}

/// The parts of a payload.
#[derive(Debug)]
struct Parts<'a>(std::array::IntoIter<ValueRef<'a>, 2>);

impl<'a> SeqAccess<'a> for Parts<'a> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.0.next().map(|part| cursor::read_scalar(part, seed)).transpose()
    }
}
