//! Tagged values and the hash of keys (chapter `format-spec/values.md`).

use super::Invalid;
use crate::model::{BigIntRef, ExtRef, Nested, Timestamp, ValueRef, nested};
use twox_hash::XxHash3_64;

/// Type tags.
pub(crate) const TAG_NULL: u8 = 0;
pub(crate) const TAG_BOOL: u8 = 1;
pub(crate) const TAG_INT: u8 = 2;
pub(crate) const TAG_UINT: u8 = 3;
pub(crate) const TAG_BIG_INT: u8 = 4;
pub(crate) const TAG_FLOAT: u8 = 5;
pub(crate) const TAG_TEXT: u8 = 6;
pub(crate) const TAG_BYTES: u8 = 7;
pub(crate) const TAG_TIMESTAMP: u8 = 8;
pub(crate) const TAG_EXT: u8 = 9;
pub(crate) const TAG_ARRAY: u8 = 10;
pub(crate) const TAG_MAP: u8 = 11;

/// Spreads tags over the seed of a hash: 2^64 divided by the golden ratio.
const TAG_SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The payload of a value: at most 17 bytes in place, or borrowed.
pub(crate) enum Payload<'a> {
    Inline([u8; 17], usize),
    Borrowed(&'a [u8]),
    /// An ext value's code, then its data.
    Ext(i8, &'a [u8]),
}

/// The tag of a value.
pub(crate) fn tag(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => TAG_NULL,
        ValueRef::Bool(_) => TAG_BOOL,
        ValueRef::Int(int) if i64::try_from(int).is_ok() => TAG_INT,
        ValueRef::Int(int) if u64::try_from(int).is_ok() => TAG_UINT,
        ValueRef::Int(_) | ValueRef::BigInt(_) => TAG_BIG_INT,
        ValueRef::Float(_) => TAG_FLOAT,
        ValueRef::Text(_) => TAG_TEXT,
        ValueRef::Bytes(_) => TAG_BYTES,
        ValueRef::Timestamp(_) => TAG_TIMESTAMP,
        ValueRef::Ext(_) => TAG_EXT,
        ValueRef::Array(_) => TAG_ARRAY,
        ValueRef::Map(_) => TAG_MAP,
    }
}

fn inline(bytes: &[u8]) -> Payload<'static> {
    let mut buffer = [0; 17];
    let len = bytes.len().min(buffer.len());
    for (to, from) in buffer.iter_mut().zip(bytes) {
        *to = *from;
    }
    Payload::Inline(buffer, len)
}

/// The payload of a value.
pub(crate) fn payload(value: ValueRef<'_>) -> Payload<'_> {
    match value {
        ValueRef::Null => inline(&[]),
        ValueRef::Bool(bool) => inline(&[u8::from(bool)]),
        ValueRef::Int(int) => {
            if let Ok(int) = i64::try_from(int) {
                inline(&int.to_le_bytes())
            } else if let Ok(int) = u64::try_from(int) {
                inline(&int.to_le_bytes())
            } else {
                let mut bytes = [0u8; 17];
                let mut len = 1usize;
                if let Some(first) = bytes.first_mut() {
                    *first = u8::from(int < 0);
                }
                let magnitude = int.unsigned_abs().to_be_bytes();
                for (to, from) in bytes.iter_mut().skip(1).zip(magnitude.iter().skip_while(|&&byte| byte == 0)) {
                    *to = *from;
                    len = len.saturating_add(1);
                }
                Payload::Inline(bytes, len)
            }
        }
        ValueRef::BigInt(big) => Payload::Borrowed(big.as_bytes()),
        ValueRef::Float(float) => inline(&float.to_bits().to_le_bytes()),
        ValueRef::Text(text) => Payload::Borrowed(text.as_bytes()),
        ValueRef::Bytes(bytes) => Payload::Borrowed(bytes),
        ValueRef::Timestamp(timestamp) => {
            let mut bytes = [0u8; 12];
            for (to, from) in bytes
                .iter_mut()
                .zip(timestamp.seconds().to_le_bytes().into_iter().chain(timestamp.nanoseconds().to_le_bytes()))
            {
                *to = from;
            }
            inline(&bytes)
        }
        ValueRef::Ext(ext) => Payload::Ext(ext.code, ext.data),
        ValueRef::Array(nested) | ValueRef::Map(nested) => Payload::Borrowed(nested.as_bytes()),
    }
}

/// Bytes of a value's payload.
#[inline]
pub(crate) fn payload_len(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(text) => text.len(),
        ValueRef::Float(_) => 8,
        _ => payload_len_any(value),
    }
}

fn payload_len_any(value: ValueRef<'_>) -> usize {
    match payload(value) {
        Payload::Inline(_, len) => len,
        Payload::Borrowed(bytes) => bytes.len(),
        Payload::Ext(_, data) => data.len().saturating_add(1),
    }
}

/// Appends a value's payload.
pub(crate) fn encode_payload(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match payload(value) {
        Payload::Inline(bytes, len) => out.extend_from_slice(bytes.get(..len).unwrap_or_default()),
        Payload::Borrowed(bytes) => out.extend_from_slice(bytes),
        Payload::Ext(code, data) => {
            out.extend(code.to_le_bytes());
            out.extend_from_slice(data);
        }
    }
}

/// Appends the tagged form.
#[inline]
pub(crate) fn encode(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Float(float) => encode_number(TAG_FLOAT, float.to_bits(), out),
        ValueRef::Text(text) => {
            out.push(TAG_TEXT);
            out.extend_from_slice(text.as_bytes());
        }
        ValueRef::Int(int) => match i64::try_from(int) {
            Ok(int) => encode_number(TAG_INT, int.cast_unsigned(), out),
            Err(_) => encode_any(value, out),
        },
        _ => encode_any(value, out),
    }
}

fn encode_any(value: ValueRef<'_>, out: &mut Vec<u8>) {
    out.push(tag(value));
    encode_payload(value, out);
}

/// In one piece, which is one copy.
#[inline]
fn encode_number(tag: u8, payload: u64, out: &mut Vec<u8>) {
    let tagged = u128::from(payload) << 8 | u128::from(tag);
    if let Some(bytes) = tagged.to_le_bytes().first_chunk::<9>() {
        out.extend_from_slice(bytes);
    }
}

/// The tag of a tagged value and, of a number of 64 bits or a float, its eight bytes as an integer, else 0.
#[inline]
pub(crate) fn tag_and_cell(tagged: &[u8]) -> (u8, u64) {
    let (tag, payload) = tagged.split_first().map_or((TAG_NULL, tagged), |(&tag, payload)| (tag, payload));
    match (tag, payload.first_chunk()) {
        (TAG_INT | TAG_UINT | TAG_FLOAT, Some(&cell)) => (tag, u64::from_le_bytes(cell)),
        _ => (tag, 0),
    }
}

/// Reads a payload. Text is checked; arrays and maps are checked when they are decoded.
pub(crate) fn decode_payload(tag: u8, payload: &[u8]) -> Result<ValueRef<'_>, Invalid> {
    const SECTION: &str = "value";
    let wrong_len = Invalid::new(0, SECTION, "a payload of the wrong length");
    Ok(match tag {
        TAG_NULL if payload.is_empty() => ValueRef::Null,
        TAG_BOOL => match payload {
            [0] => ValueRef::Bool(false),
            [1] => ValueRef::Bool(true),
            _ => return Err(Invalid::new(0, SECTION, "a boolean that is neither 0 nor 1")),
        },
        TAG_INT => ValueRef::Int(i64::from_le_bytes(payload.try_into().map_err(|_| wrong_len)?).into()),
        TAG_UINT => {
            let int = u64::from_le_bytes(payload.try_into().map_err(|_| wrong_len)?);
            if i64::try_from(int).is_ok() {
                return Err(Invalid::new(0, SECTION, "an integer that is not in its one form"));
            }
            ValueRef::Int(int.into())
        }
        TAG_BIG_INT => decode_big_int(payload)?,
        TAG_FLOAT => ValueRef::Float(f64::from_le_bytes(payload.try_into().map_err(|_| wrong_len)?)),
        TAG_TEXT => ValueRef::Text(
            std::str::from_utf8(payload).map_err(|_| Invalid::new(0, SECTION, "text that is not UTF-8"))?,
        ),
        TAG_BYTES => ValueRef::Bytes(payload),
        TAG_TIMESTAMP => {
            let (seconds, nanoseconds) = payload.split_first_chunk::<8>().ok_or(wrong_len.clone())?;
            let nanoseconds = u32::from_le_bytes(nanoseconds.try_into().map_err(|_| wrong_len)?);
            ValueRef::Timestamp(Timestamp::new(i64::from_le_bytes(*seconds), nanoseconds).ok_or(Invalid::new(
                0,
                SECTION,
                "a timestamp with more than a second of nanoseconds",
            ))?)
        }
        TAG_EXT => {
            let (code, data) = payload.split_first_chunk::<1>().ok_or(wrong_len)?;
            let code = i8::from_le_bytes(*code);
            if nested::timestamp_of(code, data).is_some() {
                return Err(Invalid::new(0, SECTION, "a timestamp that is not in its one form"));
            }
            ValueRef::Ext(ExtRef { code, data })
        }
        TAG_ARRAY => ValueRef::Array(Nested::trusted(payload)),
        TAG_MAP => ValueRef::Map(Nested::trusted(payload)),
        TAG_NULL => return Err(wrong_len),
        _ => return Err(Invalid::new(0, SECTION, "a tag that does not exist")),
    })
}

fn decode_big_int(payload: &[u8]) -> Result<ValueRef<'_>, Invalid> {
    let invalid = Invalid::new(0, "value", "an integer that is not in its one form");
    if let Some(big) = BigIntRef::from_bytes(payload) {
        return Ok(ValueRef::BigInt(big));
    }
    let (&sign, magnitude) = payload.split_first().ok_or(invalid.clone())?;
    if sign > 1 || magnitude.first() == Some(&0) || magnitude.len() > 16 {
        return Err(invalid);
    }
    let absolute = magnitude.iter().fold(0u128, |sum, &byte| (sum << 8) | u128::from(byte));
    let int = if sign == 1 { 0i128.checked_sub_unsigned(absolute) } else { i128::try_from(absolute).ok() };
    match int {
        Some(int) if i64::try_from(int).is_err() && u64::try_from(int).is_err() => Ok(ValueRef::Int(int)),
        _ => Err(invalid),
    }
}

/// Reads a tagged value.
pub(crate) fn decode(bytes: &[u8]) -> Result<ValueRef<'_>, Invalid> {
    let (&tag, payload) = bytes.split_first().ok_or(Invalid::new(0, "value", "no tag"))?;
    decode_payload(tag, payload)
}

/// The hash of a key or value under a seed.
#[inline]
pub(crate) fn hash(value: ValueRef<'_>, seed: u64) -> u64 {
    let seed = seed ^ u64::from(tag(value)).wrapping_mul(TAG_SPREAD);
    match payload(value) {
        Payload::Inline(bytes, len) => XxHash3_64::oneshot_with_seed(seed, bytes.get(..len).unwrap_or_default()),
        Payload::Borrowed(bytes) => XxHash3_64::oneshot_with_seed(seed, bytes),
        Payload::Ext(code, data) => {
            // Short ones, as all that make sense as keys are, without allocating.
            let mut short = [0u8; 64];
            let len = data.len().saturating_add(1);
            if let Some(buffer) = short.get_mut(..len) {
                for (to, from) in buffer.iter_mut().zip(code.to_le_bytes().iter().chain(data)) {
                    *to = *from;
                }
                return XxHash3_64::oneshot_with_seed(seed, buffer);
            }
            let mut joined = Vec::with_capacity(len);
            joined.extend(code.to_le_bytes());
            joined.extend_from_slice(data);
            XxHash3_64::oneshot_with_seed(seed, &joined)
        }
    }
}

/// A seeded hash of keys: the same as [`hash`], prepared for integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHasher {
    seed: u64,
    /// What XXH3 mixes into eight bytes, under the seed of each tag.
    int: u64,
    uint: u64,
}

impl KeyHasher {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, int: eight_bytes_mask(seed, TAG_INT), uint: eight_bytes_mask(seed, TAG_UINT) }
    }

    /// The hash of an integer.
    #[inline(always)]
    pub(crate) const fn hash_i64(&self, int: i64) -> u64 {
        hash_eight_bytes(int.cast_unsigned(), self.int)
    }

    /// The hash of an integer.
    #[inline(always)]
    pub(crate) const fn hash_u64(&self, int: u64) -> u64 {
        hash_eight_bytes(int, if int.cast_signed() < 0 { self.uint } else { self.int })
    }

    /// The hash of any key.
    pub(crate) fn hash(&self, key: ValueRef<'_>) -> u64 {
        hash(key, self.seed)
    }

    /// The hash of text.
    #[inline]
    pub(crate) fn hash_text(&self, text: &str) -> u64 {
        XxHash3_64::oneshot_with_seed(self.seed ^ u64::from(TAG_TEXT).wrapping_mul(TAG_SPREAD), text.as_bytes())
    }
}

/// XXH3-64 of eight bytes: the part that depends on the seed alone. Bytes 8 to 24 of its default secret go into it.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn eight_bytes_mask(seed: u64, tag: u8) -> u64 {
    const SECRET: u64 = 0x1CAD_21F7_2C81_017C ^ 0xDB97_9083_E96D_D4DE;
    let seed = seed ^ (tag as u64).wrapping_mul(TAG_SPREAD);
    SECRET.wrapping_sub(seed ^ ((seed as u32).swap_bytes() as u64).wrapping_shl(32))
}

/// XXH3-64 of eight bytes: the rest.
#[inline]
const fn hash_eight_bytes(bits: u64, mask: u64) -> u64 {
    const FACTOR: u64 = 0x9FB2_1C65_1E98_DF25;
    let mixed = bits.rotate_left(32) ^ mask;
    let mixed = (mixed ^ mixed.rotate_left(49) ^ mixed.rotate_left(24)).wrapping_mul(FACTOR);
    let mixed = (mixed ^ mixed.wrapping_shr(35).wrapping_add(8)).wrapping_mul(FACTOR);
    mixed ^ mixed.wrapping_shr(28)
}

/// The [`hash`] of a value, from its tagged form.
#[inline]
pub(crate) fn hash_tagged(tagged: &[u8], seed: u64) -> u64 {
    let (tag, payload) = tagged.split_first().map_or((TAG_NULL, tagged), |(&tag, payload)| (tag, payload));
    XxHash3_64::oneshot_with_seed(seed ^ u64::from(tag).wrapping_mul(TAG_SPREAD), payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Value, ValueBuf};

    #[test]
    fn every_type_has_one_tagged_form_that_is_read_back() {
        let values = [
            Value::Null,
            Value::from(false),
            Value::from(i64::MIN),
            Value::from(i64::MAX),
            Value::from(u64::MAX),
            Value::from(i128::from(u64::MAX) + 1),
            Value::from(i128::MIN),
            Value::from(u128::MAX),
            Value::from(f64::NAN),
            Value::from("x"),
            Value::from(vec![1u8]),
            Value::from(Timestamp::new(-5, 7).unwrap()),
            Value::ext(5, vec![]),
            Value::ext(5, vec![7; 100]),
            Value::Array(vec![Value::Null]),
            Value::Map(vec![]),
        ];
        let mut seen = std::collections::HashSet::new();
        for value in values {
            let buf = ValueBuf::try_from(value.clone()).unwrap();
            let mut bytes = Vec::new();
            encode(buf.as_ref(), &mut bytes);
            assert_eq!(bytes.len(), payload_len(buf.as_ref()) + 1);
            assert_eq!(hash_tagged(&bytes, 9), hash(buf.as_ref(), 9));
            assert_eq!(tag_and_cell(&bytes).0, tag(buf.as_ref()));
            assert_eq!(decode(&bytes).unwrap(), value);
            assert!(seen.insert(bytes));
        }
    }

    #[test]
    fn second_forms_are_rejected() {
        let mut uint = vec![TAG_UINT];
        uint.extend(5u64.to_le_bytes());
        let mut late = vec![TAG_TIMESTAMP];
        late.extend(0i64.to_le_bytes());
        late.extend(1_000_000_000u32.to_le_bytes());
        for bytes in
            [&[][..], &[TAG_NULL, 0], &[TAG_BOOL, 2], &uint, &[TAG_BIG_INT, 0, 5], &late, &[TAG_TEXT, 0xFF], &[12]]
        {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_prepared_hash_is_the_same() {
        let numbers = (0..1000u64).map(|n| n.wrapping_mul(TAG_SPREAD).rotate_left(n as u32));
        for seed in numbers.clone().chain([0, 1, u64::MAX]) {
            let hasher = KeyHasher::new(seed);
            for number in numbers.clone().step_by(7).chain([0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64]) {
                assert_eq!(hasher.hash_u64(number), hash(ValueRef::Int(number.into()), seed), "{number} under {seed}");
                let int = number.cast_signed();
                assert_eq!(hasher.hash_i64(int), hash(ValueRef::Int(int.into()), seed), "{int} under {seed}");
            }
            assert_eq!(hasher.hash_text("some text"), hash(ValueRef::Text("some text"), seed));
        }
    }

    #[test]
    fn hashes_do_not_change() {
        // On disk: a change here breaks every index that was ever written.
        assert_eq!(
            hash(ValueRef::Int(1), 0),
            XxHash3_64::oneshot_with_seed(2u64.wrapping_mul(TAG_SPREAD), &1i64.to_le_bytes())
        );
        assert_eq!(hash(ValueRef::Text(""), 0), XxHash3_64::oneshot_with_seed(6u64.wrapping_mul(TAG_SPREAD), b""));
        // The published test value of XXH3-64 for the empty input and seed 0.
        assert_eq!(XxHash3_64::oneshot_with_seed(0, b""), 0x2D06_8005_38D3_94C2);
        assert_ne!(hash(ValueRef::Int(1), 0), hash(ValueRef::Bool(true), 0));
    }
}
