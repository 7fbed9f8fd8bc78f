//! Arrays and maps as canonical MessagePack (chapter "Values" of the format specification): shortest encodings, floats as
//! float 64, and the application ext type [`EXT_CODE`] for what MessagePack itself cannot hold.
//!
//! Source: the MessagePack specification (msgpack.org), "Formats" and "Timestamp extension type".

use super::big_int::{BigInt, BigIntRef};
use super::timestamp::Timestamp;
use super::value::Value;
use super::value_ref::{ExtRef, ValueRef, ValueTooLarge};
use super::{NESTING_MAX, VALUE_LEN_MAX};
use rmp::Marker;
use std::fmt;

/// The ext type of VECTOR itself: the letter V. Its first data byte is one of the kinds below.
pub(crate) const EXT_CODE: i8 = 0x56;
/// An application's own ext value of type [`EXT_CODE`]: the rest is its data.
pub(crate) const EXT_KIND_ESCAPED: u8 = 0;
/// An integer outside of 64 bits: a sign byte (0 or 1) and the magnitude, most significant byte first.
pub(crate) const EXT_KIND_INTEGER: u8 = 1;
/// MessagePack's own code for timestamps.
const EXT_TIMESTAMP: i8 = -1;

/// An encoded array or map, decoded when asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nested<'a> {
    bytes: &'a [u8],
}

/// An owned [`Nested`]: always canonical, since it is made by encoding.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NestedBuf {
    bytes: Box<[u8]>,
}

impl NestedBuf {
    /// Encodes an array or a map.
    pub(crate) fn encode(value: &Value) -> Result<Self, ValueTooLarge> {
        Ok(Self { bytes: encode(value)?.into_boxed_slice() })
    }

    /// Borrows the value.
    #[must_use]
    pub fn as_ref(&self) -> Nested<'_> {
        Nested { bytes: &self.bytes }
    }
}

impl fmt::Debug for NestedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

/// Bytes that are not one MessagePack value within the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NestedError {
    /// Where the bytes stop making sense, from the start of the value.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for NestedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a nested value does not decode at its byte {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for NestedError {}

impl<'a> Nested<'a> {
    /// Wraps bytes that may be anything: decoding checks them.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The MessagePack bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Copies the encoded value.
    #[must_use]
    pub fn to_owned(self) -> NestedBuf {
        NestedBuf { bytes: self.bytes.into() }
    }

    /// Decodes the whole tree.
    ///
    /// # Errors
    /// When the bytes are not one MessagePack value.
    pub fn to_value(self) -> Result<Value, NestedError> {
        decode(self.bytes)
    }
}

impl fmt::Debug for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => fmt::Debug::fmt(&value, f),
            Err(error) => fmt::Display::fmt(&error, f),
        }
    }
}

/// The timestamp that an ext value stands for, if it is one.
pub(crate) fn timestamp_of(code: i8, data: &[u8]) -> Option<Timestamp> {
    if code != EXT_TIMESTAMP {
        return None;
    }
    if let Ok(bytes) = <[u8; 4]>::try_from(data) {
        return Timestamp::new(i64::from(u32::from_be_bytes(bytes)), 0);
    }
    if let Ok(bytes) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(bytes);
        return Timestamp::new((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32);
    }
    let (nanoseconds, seconds) = data.split_first_chunk::<4>()?;
    Timestamp::new(i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanoseconds))
}

/// The shortest MessagePack form of a timestamp's data.
fn timestamp_data(timestamp: Timestamp, out: &mut Vec<u8>) {
    let (seconds, nanoseconds) = (timestamp.seconds(), timestamp.nanoseconds());
    match u64::try_from(seconds) {
        Ok(short) if nanoseconds == 0 && short <= u64::from(u32::MAX) => out.extend((short as u32).to_be_bytes()),
        Ok(short) if short < 1 << 34 => out.extend(((u64::from(nanoseconds) << 34) | short).to_be_bytes()),
        _ => {
            out.extend(nanoseconds.to_be_bytes());
            out.extend(seconds.to_be_bytes());
        }
    }
}

/// Encodes a value as canonical MessagePack.
///
/// # Errors
/// When it nests deeper than [`NESTING_MAX`] or takes more than [`VALUE_LEN_MAX`] bytes.
pub(crate) fn encode(value: &Value) -> Result<Vec<u8>, ValueTooLarge> {
    let mut out = Vec::new();
    encode_into(value, 0, &mut out)?;
    Ok(out)
}

fn encode_into(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueTooLarge> {
    if depth >= NESTING_MAX && matches!(value, Value::Array(_) | Value::Map(_)) {
        return Err(ValueTooLarge);
    }
    let count = |len: usize| u32::try_from(len).map_err(|_| ValueTooLarge);
    match value {
        Value::Text(text) if text.len() > VALUE_LEN_MAX => return Err(ValueTooLarge),
        Value::Bytes(bytes) if bytes.len() > VALUE_LEN_MAX => return Err(ValueTooLarge),
        Value::Ext(ext) if ext.data.len() > VALUE_LEN_MAX => return Err(ValueTooLarge),
        Value::Array(values) => {
            infallible(rmp::encode::write_array_len(out, count(values.len())?));
            for value in values {
                encode_into(value, depth.saturating_add(1), out)?;
            }
        }
        Value::Map(pairs) => {
            infallible(rmp::encode::write_map_len(out, count(pairs.len())?));
            for (key, value) in pairs {
                encode_into(key, depth.saturating_add(1), out)?;
                encode_into(value, depth.saturating_add(1), out)?;
            }
        }
        scalar => scalar.as_scalar().into_iter().for_each(|scalar| encode_scalar(scalar, out)),
    }
    if out.len() > VALUE_LEN_MAX { Err(ValueTooLarge) } else { Ok(()) }
}

/// Appends a value that holds no others, as [`encode`] does within an array.
pub(crate) fn encode_scalar(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    match value {
        ValueRef::Null => out.push(Marker::Null.to_u8()),
        ValueRef::Bool(true) => out.push(Marker::True.to_u8()),
        ValueRef::Bool(false) => out.push(Marker::False.to_u8()),
        ValueRef::Int(int) => encode_int(int, out),
        ValueRef::BigInt(big) => {
            encode_ext(EXT_CODE, &[EXT_KIND_INTEGER], big.as_bytes(), out);
        }
        ValueRef::Float(float) => {
            out.push(Marker::F64.to_u8());
            out.extend(float.to_bits().to_be_bytes());
        }
        ValueRef::Text(text) => {
            infallible(rmp::encode::write_str_len(out, count(text.len())));
            out.extend_from_slice(text.as_bytes());
        }
        ValueRef::Bytes(bytes) => {
            infallible(rmp::encode::write_bin_len(out, count(bytes.len())));
            out.extend_from_slice(bytes);
        }
        ValueRef::Timestamp(timestamp) => {
            let mut data = Vec::with_capacity(12);
            timestamp_data(timestamp, &mut data);
            encode_ext(EXT_TIMESTAMP, &[], &data, out);
        }
        ValueRef::Ext(ext) if ext.code == EXT_CODE => {
            encode_ext(EXT_CODE, &[EXT_KIND_ESCAPED], ext.data, out);
        }
        ValueRef::Ext(ext) => encode_ext(ext.code, &[], ext.data, out),
        ValueRef::Array(nested) | ValueRef::Map(nested) => out.extend_from_slice(nested.as_bytes()),
    }
}

/// Appends the header of an array of so many values, or of a map of so many pairs.
pub(crate) fn encode_header(is_map: bool, count: u32, out: &mut Vec<u8>) {
    if is_map {
        infallible(rmp::encode::write_map_len(out, count));
    } else {
        infallible(rmp::encode::write_array_len(out, count));
    }
}

fn encode_ext(code: i8, kind: &[u8], data: &[u8], out: &mut Vec<u8>) {
    let len = kind.len().saturating_add(data.len());
    infallible(rmp::encode::write_ext_meta(out, u32::try_from(len).unwrap_or(u32::MAX), code));
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
}

fn encode_int(int: i128, out: &mut Vec<u8>) {
    if let Ok(unsigned) = u64::try_from(int) {
        infallible(rmp::encode::write_uint(out, unsigned));
    } else if let Ok(signed) = i64::try_from(int) {
        infallible(rmp::encode::write_sint(out, signed));
    } else {
        let magnitude = int.unsigned_abs().to_be_bytes();
        let zeros = magnitude.iter().take_while(|&&byte| byte == 0).count();
        let mut data = vec![EXT_KIND_INTEGER, u8::from(int < 0)];
        data.extend(magnitude.iter().skip(zeros));
        encode_ext(EXT_CODE, &[], &data, out);
    }
}

/// Writing to a `Vec` does not fail; the encoder's signature only says that it could.
fn infallible<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok(), "writing to memory does not fail");
}

/// Decodes exactly one MessagePack value.
///
/// # Errors
/// When the bytes are cut short, go on after the value, hold text that is not UTF-8 or nest too deep.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, NestedError> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.value(0)?;
    decoder.end()?;
    Ok(value)
}

/// What MessagePack is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    /// A value without others in it.
    Scalar(ValueRef<'a>),
    /// The start of an array: so many values follow.
    Array(usize),
    /// The start of a map: so many pairs of key and value follow.
    Map(usize),
}

/// Takes MessagePack apart, token by token.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Fails unless every byte was used.
    pub(crate) fn end(&self) -> Result<(), NestedError> {
        if self.offset == self.bytes.len() { Ok(()) } else { Err(self.error("bytes follow the value")) }
    }

    fn error(&self, reason: &'static str) -> NestedError {
        NestedError { offset: self.offset, reason }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], NestedError> {
        let end = self.offset.checked_add(len).ok_or_else(|| self.error("a length is out of range"))?;
        let taken = self.bytes.get(self.offset..end).ok_or_else(|| self.error("cut short"))?;
        self.offset = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NestedError> {
        let error = self.error("cut short");
        <[u8; N]>::try_from(self.take(N)?).map_err(|_| error)
    }

    /// An unsigned big-endian number of `len` bytes.
    fn unsigned(&mut self, len: usize) -> Result<u64, NestedError> {
        Ok(self.take(len)?.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
    }

    fn len(&mut self, len: usize) -> Result<usize, NestedError> {
        let error = self.error("a length is out of range");
        usize::try_from(self.unsigned(len)?).map_err(|_| error)
    }

    /// The next token.
    pub(crate) fn token(&mut self) -> Result<Token<'a>, NestedError> {
        let [first] = self.array::<1>()?;
        Ok(Token::Scalar(match Marker::from_u8(first) {
            Marker::Null => ValueRef::Null,
            Marker::True => ValueRef::Bool(true),
            Marker::False => ValueRef::Bool(false),
            Marker::FixPos(int) => ValueRef::from(int),
            Marker::FixNeg(int) => ValueRef::from(int),
            Marker::U8 => ValueRef::from(self.unsigned(1)?),
            Marker::U16 => ValueRef::from(self.unsigned(2)?),
            Marker::U32 => ValueRef::from(self.unsigned(4)?),
            Marker::U64 => ValueRef::from(self.unsigned(8)?),
            Marker::I8 => ValueRef::from(i8::from_be_bytes(self.array()?)),
            Marker::I16 => ValueRef::from(i16::from_be_bytes(self.array()?)),
            Marker::I32 => ValueRef::from(i32::from_be_bytes(self.array()?)),
            Marker::I64 => ValueRef::from(i64::from_be_bytes(self.array()?)),
            Marker::F32 => ValueRef::from(f64::from(f32::from_be_bytes(self.array()?))),
            Marker::F64 => ValueRef::from(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(len) => self.text(usize::from(len))?,
            Marker::Str8 => self.len(1).and_then(|len| self.text(len))?,
            Marker::Str16 => self.len(2).and_then(|len| self.text(len))?,
            Marker::Str32 => self.len(4).and_then(|len| self.text(len))?,
            Marker::Bin8 => self.len(1).and_then(|len| self.take(len))?.into(),
            Marker::Bin16 => self.len(2).and_then(|len| self.take(len))?.into(),
            Marker::Bin32 => self.len(4).and_then(|len| self.take(len))?.into(),
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => self.len(1).and_then(|len| self.ext(len))?,
            Marker::Ext16 => self.len(2).and_then(|len| self.ext(len))?,
            Marker::Ext32 => self.len(4).and_then(|len| self.ext(len))?,
            Marker::FixArray(count) => return Ok(Token::Array(usize::from(count))),
            Marker::Array16 => return self.len(2).map(Token::Array),
            Marker::Array32 => return self.len(4).map(Token::Array),
            Marker::FixMap(count) => return Ok(Token::Map(usize::from(count))),
            Marker::Map16 => return self.len(2).map(Token::Map),
            Marker::Map32 => return self.len(4).map(Token::Map),
            Marker::Reserved => return Err(self.error("a byte that starts no value")),
        }))
    }

    fn text(&mut self, len: usize) -> Result<ValueRef<'a>, NestedError> {
        let error = self.error("text is not UTF-8");
        std::str::from_utf8(self.take(len)?).map(ValueRef::from).map_err(|_| error)
    }

    fn ext(&mut self, len: usize) -> Result<ValueRef<'a>, NestedError> {
        let error = self.error("an integer of VECTOR's ext type is not in its one form");
        let code = i8::from_be_bytes(self.array()?);
        let data = self.take(len)?;
        if code != EXT_CODE {
            return Ok(ValueRef::Ext(ExtRef { code, data }).canonical());
        }
        match data.split_first() {
            Some((&EXT_KIND_ESCAPED, data)) => Ok(ValueRef::Ext(ExtRef { code, data })),
            Some((&EXT_KIND_INTEGER, rest)) => integer_of(rest).ok_or(error),
            _ => Err(self.error("VECTOR's ext type with an unknown kind")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, NestedError> {
        match self.token()? {
            Token::Scalar(scalar) => scalar.to_value(),
            Token::Array(count) => self.values(count, depth),
            Token::Map(count) => self.pairs(count, depth),
        }
    }

    /// Fails if `depth` containers are too many around another one.
    pub(crate) fn check_depth(&self, depth: usize) -> Result<(), NestedError> {
        if depth < NESTING_MAX { Ok(()) } else { Err(self.error("nested too deep")) }
    }

    fn values(&mut self, count: usize, depth: usize) -> Result<Value, NestedError> {
        self.check_depth(depth)?;
        // Every value takes a byte or more, so the count cannot reserve more than the input is long.
        let mut values = Vec::with_capacity(count.min(self.bytes.len().saturating_sub(self.offset)).min(1024));
        for _ in 0..count {
            values.push(self.value(depth.saturating_add(1))?);
        }
        Ok(Value::Array(values))
    }

    fn pairs(&mut self, count: usize, depth: usize) -> Result<Value, NestedError> {
        self.check_depth(depth)?;
        let mut pairs = Vec::with_capacity(count.min(self.bytes.len().saturating_sub(self.offset)).min(1024));
        for _ in 0..count {
            pairs.push((self.value(depth.saturating_add(1))?, self.value(depth.saturating_add(1))?));
        }
        Ok(Value::Map(pairs))
    }
}

/// The integer outside of 64 bits that sign and magnitude stand for, if they are its one form.
pub(crate) fn integer_of(bytes: &[u8]) -> Option<ValueRef<'_>> {
    if let Some(big) = BigIntRef::from_bytes(bytes) {
        return Some(ValueRef::BigInt(big));
    }
    let (&sign, magnitude) = bytes.split_first()?;
    if sign > 1 || magnitude.first() == Some(&0) {
        return None;
    }
    match BigInt::canonical(sign == 1, magnitude) {
        super::big_int::Integer::Small(int) if i64::try_from(int).is_err() && u64::try_from(int).is_err() => {
            Some(ValueRef::Int(int))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(value: &Value) {
        let bytes = encode(value).unwrap();
        assert_eq!(&decode(&bytes).unwrap(), value, "{bytes:02x?}");
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn every_type_survives_and_every_cut_is_seen() {
        let values = vec![
            Value::Null,
            Value::from(true),
            Value::from(0),
            Value::from(-1),
            Value::from(-33),
            Value::from(i64::MIN),
            Value::from(u64::MAX),
            Value::from(i128::MAX),
            Value::from(i128::MIN),
            Value::from(u128::MAX),
            Value::from(f64::NAN),
            Value::from(-0.0),
            Value::from("é".repeat(200)),
            Value::from(vec![7u8; 300]),
            Value::from(Timestamp::new(1, 0).unwrap()),
            Value::from(Timestamp::new(1, 1).unwrap()),
            Value::from(Timestamp::new(-1, 999_999_999).unwrap()),
            Value::ext(EXT_CODE, vec![1, 2, 3]),
            Value::ext(9, vec![0; 16]),
            Value::Map(vec![(Value::from(1), Value::Array(vec![])), (Value::from(1), Value::Null)]),
        ];
        for value in &values {
            round(value);
        }
        round(&Value::Array(values));
    }

    #[test]
    fn depth_is_bounded_both_ways() {
        for innermost in [Value::Null, Value::Array(Vec::new()), Value::Map(Vec::new())] {
            let containers = NESTING_MAX - usize::from(!matches!(innermost, Value::Null));
            let deep = (0..containers).fold(innermost, |deep, _| Value::Array(vec![deep]));
            round(&deep);
            let bytes = encode(&deep).unwrap();
            assert_eq!(encode(&Value::Array(vec![deep])), Err(ValueTooLarge));
            let deeper: Vec<u8> = [0x91].into_iter().chain(bytes).collect();
            assert_eq!(decode(&deeper).unwrap_err().reason, "nested too deep");
        }
        assert_eq!(decode(&vec![0x91; 100_000]).unwrap_err().reason, "nested too deep");
    }

    #[test]
    fn a_lying_count_reserves_nothing_and_fails() {
        assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0]).is_err());
        assert!(decode(&[0xc6, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
