//! MessagePack in its shortest encodings, and the ext values for what Python cannot hold.

use crate::model::nested::{self, EXT_CODE, EXT_KIND_ESCAPED, EXT_KIND_INTEGER};
use crate::model::{Slot, Value, ValueRef};
use rmp::{Marker, encode as msgpack};
use std::io::{self, Write};

/// MessagePack of an array or a map.
pub(crate) const EXT_KIND_NESTED: u8 = 2;
/// MessagePack of a boolean, an integer, a float or an ext value.
pub(crate) const EXT_KIND_SCALAR: u8 = 3;

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// As it is, if Python has such a value.
    Plain,
    /// In an ext value, because Python calls it equal to one that was written before.
    Wrapped,
}

pub(crate) fn nil(out: &mut impl Write) -> io::Result<()> {
    msgpack::write_nil(out)
}

/// An integer that is not negative.
#[inline]
pub(crate) fn uint(out: &mut impl Write, int: u64) -> io::Result<()> {
    // By hand: of each two bytes in the file one is of such an integer.
    let [.., d, c, b, a] = int.to_be_bytes();
    match int {
        0..=0x7F => out.write_all(&[a]),
        0x80..=0xFF => out.write_all(&[Marker::U8.to_u8(), a]),
        0x100..=0xFFFF => out.write_all(&[Marker::U16.to_u8(), b, a]),
        0x1_0000..=0xFFFF_FFFF => out.write_all(&[Marker::U32.to_u8(), d, c, b, a]),
        _ => {
            out.write_all(&[Marker::U64.to_u8()])?;
            out.write_all(&int.to_be_bytes())
        }
    }
}

pub(crate) fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    msgpack::write_str_len(out, len_32(text.len())?)?;
    out.write_all(text.as_bytes())
}

pub(crate) fn array_len(out: &mut impl Write, count: u32) -> io::Result<()> {
    msgpack::write_array_len(out, count)?;
    Ok(())
}

pub(crate) fn map_len(out: &mut impl Write, count: impl TryInto<u32>) -> io::Result<()> {
    msgpack::write_map_len(out, count.try_into().map_err(|_| too_long())?)?;
    Ok(())
}

/// One pair of a map of numbers.
#[inline]
pub(crate) fn pair(out: &mut impl Write, key: u32, value: u32) -> io::Result<()> {
    uint(out, u64::from(key))?;
    uint(out, u64::from(value))
}

/// One element of `coordinate_map`.
pub(crate) fn key_and_slot(out: &mut impl Write, key: ValueRef<'_>, form: Form, slot: Slot) -> io::Result<()> {
    array_len(out, 2)?;
    value(out, key, form)?;
    uint(out, u64::from(slot.0))
}

pub(crate) fn value(out: &mut impl Write, value: ValueRef<'_>, form: Form) -> io::Result<()> {
    match (form, value) {
        (Form::Wrapped, _) => scalar(out, value),
        (Form::Plain, ValueRef::Null) => nil(out),
        (Form::Plain, ValueRef::Bool(bool)) => msgpack::write_bool(out, bool),
        (Form::Plain, ValueRef::Int(int)) => integer(out, int),
        (Form::Plain, ValueRef::BigInt(big)) => ext(out, EXT_CODE, Some(EXT_KIND_INTEGER), big.as_bytes()),
        (Form::Plain, ValueRef::Float(float)) => {
            // By its bits, so that every NaN stays the one it is.
            out.write_all(&[Marker::F64.to_u8()])?;
            out.write_all(&float.to_bits().to_be_bytes())
        }
        (Form::Plain, ValueRef::Text(value)) => text(out, value),
        (Form::Plain, ValueRef::Bytes(bytes)) => {
            msgpack::write_bin_len(out, len_32(bytes.len())?)?;
            out.write_all(bytes)
        }
        (Form::Plain, ValueRef::Timestamp(timestamp)) => tree(out, &Value::Timestamp(timestamp)),
        (Form::Plain, ValueRef::Ext(value)) if value.code == EXT_CODE => {
            ext(out, EXT_CODE, Some(EXT_KIND_ESCAPED), value.data)
        }
        // Python's MessagePack refuses negative codes, and takes -1 for a timestamp.
        (Form::Plain, ValueRef::Ext(value)) if value.code < 0 => scalar(out, ValueRef::Ext(value)),
        (Form::Plain, ValueRef::Ext(value)) => ext(out, value.code, None, value.data),
        (Form::Plain, ValueRef::Array(nested) | ValueRef::Map(nested)) => {
            ext(out, EXT_CODE, Some(EXT_KIND_NESTED), nested.as_bytes())
        }
    }
}

fn integer(out: &mut impl Write, int: i128) -> io::Result<()> {
    if let Ok(unsigned) = u64::try_from(int) {
        uint(out, unsigned)
    } else if let Ok(signed) = i64::try_from(int) {
        msgpack::write_sint(out, signed)?;
        Ok(())
    } else {
        tree(out, &Value::Int(int))
    }
}

/// A value that is short and rare, through the encoder of nested values.
fn tree(out: &mut impl Write, value: &Value) -> io::Result<()> {
    out.write_all(&nested::encode(value).map_err(|_| too_long())?)
}

/// A boolean, an integer, a float or an ext value, within an ext value.
fn scalar(out: &mut impl Write, value: ValueRef<'_>) -> io::Result<()> {
    let mut data = Vec::new();
    match value {
        ValueRef::Ext(value) => ext(&mut data, value.code, None, value.data)?,
        value => self::value(&mut data, value, Form::Plain)?,
    }
    ext(out, EXT_CODE, Some(EXT_KIND_SCALAR), &data)
}

fn ext(out: &mut impl Write, code: i8, kind: Option<u8>, data: &[u8]) -> io::Result<()> {
    let kind = kind.as_slice();
    msgpack::write_ext_meta(out, len_32(data.len().saturating_add(kind.len()))?, code)?;
    out.write_all(kind)?;
    out.write_all(data)
}

fn len_32(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| too_long())
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a value of more than 4 GiB")
}
