//! The types that serde's data model has not: timestamps, large integers and ext values.
//!
//! Each is a newtype struct around a *payload*: a timestamp around `(seconds, nanoseconds)`, a large integer around its bytes (sign
//! byte, magnitude), an ext value around `(code, bytes)`. This crate's serializer knows them by their names; other formats
//! write the payload. Where a type takes anything, the deserializer offers the newtype struct, which nothing else that is
//! stored is offered as: so a [`Value`] gets them back, also through serde's own buffers.

use crate::error::{Error, Result};
use crate::model::{BigInt, Ext, Timestamp, Value};
use serde_core::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_core::ser::{Serialize, Serializer};
use std::fmt;

pub(super) const TIMESTAMP: &str = "$vector_datalib::Timestamp";
pub(super) const BIG_INT: &str = "$vector_datalib::BigInt";
pub(super) const EXT: &str = "$vector_datalib::Ext";

/// Whether a newtype struct is one of those here.
pub(super) fn is_name(name: &str) -> bool {
    [TIMESTAMP, BIG_INT, EXT].contains(&name)
}

/// What a payload stands for, told by its types.
pub(super) fn from_payload<E: de::Error>(payload: Value) -> Result<Value, E> {
    match payload {
        Value::Bytes(bytes) => integer(&bytes),
        Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::Int(seconds), Value::Int(nanoseconds)]) => timestamp(seconds, nanoseconds).map(Value::Timestamp),
            Ok([Value::Int(code), Value::Bytes(data)]) => {
                let code = i8::try_from(code).map_err(|_| E::custom("the code of an ext value has 8 bits"))?;
                Ok(Value::ext(code, data))
            }
            _ => Err(E::custom("neither a timestamp nor an ext value")),
        },
        _ => Err(E::custom("neither a timestamp, a large integer nor an ext value")),
    }
}

fn timestamp<E: de::Error>(seconds: i128, nanoseconds: i128) -> Result<Timestamp, E> {
    let parts = i64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
    let time = parts.and_then(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds));
    time.ok_or_else(|| E::custom("a timestamp has seconds of 64 bits and less than 1,000,000,000 nanoseconds"))
}

fn integer<E: de::Error>(bytes: &[u8]) -> Result<Value, E> {
    match bytes.split_first() {
        Some((&sign @ 0..=1, magnitude)) => Ok(Value::big_int(sign == 1, magnitude)),
        _ => Err(E::custom("the bytes of an integer begin with its sign, 0 or 1")),
    }
}

/// The bytes of an integer that has 128 bits: sign byte and magnitude.
pub(super) fn integer_bytes(int: i128) -> [u8; 17] {
    let mut bytes = [0; 17];
    let [sign, magnitude @ ..] = &mut bytes;
    *sign = u8::from(int < 0);
    *magnitude = int.unsigned_abs().to_be_bytes();
    bytes
}

/// Bytes that are written as such.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Bytes, also of formats that have none and make arrays of integers of them.
struct ByteBuf(Vec<u8>);

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = ByteBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
        Ok(ByteBuf(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
        Ok(ByteBuf(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<ByteBuf, A::Error> {
        let mut gathered = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            gathered.push(byte);
        }
        Ok(ByteBuf(gathered))
    }
}

/// Takes a newtype struct around a payload of type `P`.
struct PayloadVisitor<P, T> {
    expecting: &'static str,
    make: fn(P) -> Option<T>,
}

impl<'de, P: Deserialize<'de>, T> Visitor<'de> for PayloadVisitor<P, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, payload: D) -> Result<T, D::Error> {
        let wrong = || de::Error::custom(format_args!("expected {}", self.expecting));
        (self.make)(P::deserialize(payload)?).ok_or_else(wrong)
    }
}

/// `[seconds, nanoseconds]` in other formats.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIMESTAMP, &(self.seconds(), self.nanoseconds()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let make = |(seconds, nanoseconds)| Self::new(seconds, nanoseconds);
        deserializer.deserialize_newtype_struct(TIMESTAMP, PayloadVisitor { expecting: "a timestamp", make })
    }
}

/// In other formats the bytes of the sign (0, or 1 below zero) and the absolute value, most significant byte first.
impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BIG_INT, &Bytes(self.as_ref().as_bytes()))
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let make = |ByteBuf(bytes)| match integer::<Error>(&bytes) {
            Ok(Value::BigInt(big)) => Some(big),
            _ => None,
        };
        let expecting = "an integer of more than 128 bits";
        deserializer.deserialize_newtype_struct(BIG_INT, PayloadVisitor { expecting, make })
    }
}

/// `[code, data]` in other formats.
impl Serialize for Ext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(EXT, &(self.code(), Bytes(self.data())))
    }
}

impl<'de> Deserialize<'de> for Ext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let make = |(code, ByteBuf(data))| match Value::ext(code, data) {
            Value::Ext(ext) => Some(ext),
            _ => None,
        };
        deserializer.deserialize_newtype_struct(EXT, PayloadVisitor { expecting: "an ext value", make })
    }
}
