//! One value, from whatever encoding it came in to its tagged form (chapter `format-spec/values.md`), in one pass and without a tree.

use super::tokens::{Token, Tokens};
use super::{ImportLimits, Refused};
use crate::format::canonical::encode::{EXT_KIND_NESTED, EXT_KIND_SCALAR};
use crate::format::value::{self, TAG_ARRAY, TAG_EXT, TAG_MAP};
use crate::model::nested::{self, Decoder, EXT_CODE, EXT_KIND_ESCAPED, EXT_KIND_INTEGER};
use crate::model::{ExtRef, KeyRef, NESTING_MAX, VALUE_LEN_MAX, ValueRef};

/// What was found where a value may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The array or map ends here.
    End,
    Null,
    /// A value that may be a key.
    Key,
    /// A value that may not.
    Value,
}

/// Appends the tagged form of the next value to `out`, which is empty.
#[inline]
pub(crate) fn next_value<T: Tokens>(
    tokens: &mut T,
    limits: &ImportLimits,
    out: &mut Vec<u8>,
) -> Result<Found, Refused> {
    let string_len = limits.string_len;
    let depth = tokens.depth();
    let is_map = match tokens.next()? {
        Token::End => return Ok(Found::End),
        Token::Scalar(scalar) => {
            let is_string = matches!(scalar, ValueRef::Text(_) | ValueRef::Bytes(_) | ValueRef::Ext(_));
            let (found, levels) = tagged_scalar(scalar, out);
            if depth.saturating_add(levels) > limits.depth {
                let value = depth.saturating_add(levels);
                return Err(Refused::Limit { limit: "depth", value, allowed: limits.depth });
            }
            if is_string {
                // The data of an ext value stand behind its type.
                let is_ext = out.first() == Some(&TAG_EXT);
                check_len(out, string_len.saturating_add(u64::from(is_ext)))?;
            }
            return Ok(found);
        }
        Token::Array(count) => {
            out.push(TAG_ARRAY);
            count.map(|count| (false, count)).ok_or(false)
        }
        Token::Map(count) => {
            out.push(TAG_MAP);
            count.map(|count| (true, count)).ok_or(true)
        }
    };
    let offset = tokens.offset();
    let mut nest = Nest::new(out, string_len);
    nest.open(is_map);
    while !nest.is_complete() {
        match tokens.next()? {
            Token::End => nest.end(),
            Token::Scalar(scalar) => nest.scalar(inner(scalar)),
            Token::Array(count) => nest.open(count.map(|count| (false, count)).ok_or(false)),
            Token::Map(count) => nest.open(count.map(|count| (true, count)).ok_or(true)),
        }
        nest.check(offset)?;
    }
    let is_array = !is_map.map_or_else(|is_map| is_map, |(is_map, _)| is_map);
    Ok(if is_array && nest.may_be_key { Found::Key } else { Found::Value })
}

/// The tagged form of a value that holds no others, but maybe one that is wrapped; and how many levels that one has.
#[inline]
fn tagged_scalar(scalar: ValueRef<'_>, out: &mut Vec<u8>) -> (Found, u64) {
    let scalar = match scalar {
        ValueRef::Ext(ext) if ext.code == EXT_CODE => match unwrapped(ext.data) {
            Unwrapped::Scalar(scalar) => scalar,
            Unwrapped::Nested { tag, may_be_key, levels } => {
                out.push(tag);
                out.extend_from_slice(ext.data.get(1..).unwrap_or_default());
                return (if may_be_key { Found::Key } else { Found::Value }, levels);
            }
            Unwrapped::Foreign => ValueRef::Ext(ext),
        },
        other => other,
    };
    value::encode(scalar, out);
    let found = match scalar {
        ValueRef::Null => Found::Null,
        other if KeyRef::checked(other).is_some() => Found::Key,
        _ => Found::Value,
    };
    (found, 0)
}

/// What stands in an array or a map that is not wrapped itself.
fn inner(scalar: ValueRef<'_>) -> ValueRef<'_> {
    match scalar {
        ValueRef::Ext(ExtRef { code: EXT_CODE, data }) => match data.split_first() {
            Some((&EXT_KIND_INTEGER, rest)) => nested::integer_of(rest).unwrap_or(scalar),
            Some((&EXT_KIND_ESCAPED, rest)) => ValueRef::Ext(ExtRef { code: EXT_CODE, data: rest }),
            _ => scalar,
        },
        other => other,
    }
}

/// What an ext value of VECTOR's type holds.
enum Unwrapped<'a> {
    Scalar(ValueRef<'a>),
    /// An array or a map: the data behind the kind is its payload.
    Nested {
        tag: u8,
        may_be_key: bool,
        levels: u64,
    },
    /// Nothing that a writer of this format wraps: an application's own value.
    Foreign,
}

fn unwrapped(data: &[u8]) -> Unwrapped<'_> {
    let Some((&kind, rest)) = data.split_first() else { return Unwrapped::Foreign };
    let scalar = match kind {
        EXT_KIND_ESCAPED => Some(ValueRef::Ext(ExtRef { code: EXT_CODE, data: rest })),
        EXT_KIND_INTEGER => nested::integer_of(rest),
        EXT_KIND_SCALAR => wrapped_scalar(rest),
        EXT_KIND_NESTED => return wrapped_nested(rest).unwrap_or(Unwrapped::Foreign),
        _ => None,
    };
    scalar.map_or(Unwrapped::Foreign, Unwrapped::Scalar)
}

/// A boolean, an integer, a float or an ext value with a negative type code, if it is in the one form that it is written in.
fn wrapped_scalar(bytes: &[u8]) -> Option<ValueRef<'_>> {
    let mut decoder = Decoder::new(bytes);
    let Ok(nested::Token::Scalar(scalar)) = decoder.token() else { return None };
    let may_be_wrapped = match scalar {
        ValueRef::Bool(_) | ValueRef::Float(_) => true,
        // Others are of a kind of their own.
        ValueRef::Int(int) => i64::try_from(int).is_ok() || u64::try_from(int).is_ok(),
        ValueRef::Ext(ext) => ext.code < 0,
        _ => false,
    };
    if !may_be_wrapped || decoder.end().is_err() {
        return None;
    }
    let mut again = Vec::with_capacity(bytes.len());
    nested::encode_scalar(scalar, &mut again);
    (again == bytes).then_some(scalar)
}

/// An array or a map, if it is in the one form that it is written in.
fn wrapped_nested(bytes: &[u8]) -> Option<Unwrapped<'static>> {
    let mut decoder = Decoder::new(bytes);
    let mut again = Vec::with_capacity(bytes.len());
    let mut nest = Nest::new(&mut again, u64::MAX);
    let mut tag = None;
    loop {
        match decoder.token().ok()? {
            nested::Token::Scalar(scalar) => nest.scalar(scalar),
            nested::Token::Array(count) => {
                tag = tag.or(Some(TAG_ARRAY));
                nest.open(Ok((false, u32::try_from(count).ok()?)));
            }
            nested::Token::Map(count) => {
                tag = tag.or(Some(TAG_MAP));
                nest.open(Ok((true, u32::try_from(count).ok()?)));
            }
        }
        nest.end_full();
        tag?;
        nest.check(0).ok()?;
        if nest.is_complete() {
            break;
        }
    }
    let tag = tag.filter(|_| decoder.end().is_ok())?;
    let may_be_key = tag == TAG_ARRAY && nest.may_be_key;
    let levels = nest.levels as u64;
    (again == bytes).then_some(Unwrapped::Nested { tag, may_be_key, levels })
}

/// An array or map that was opened.
struct Open {
    /// Where its header is, or will be.
    start: usize,
    is_map: bool,
    /// Values so far; a pair counts as two.
    count: u64,
    /// Values that its header declares, if it has one yet.
    declared: Option<u64>,
}

/// Writes an array or a map as canonical MessagePack (chapter `format-spec/values.md`).
struct Nest<'o> {
    out: &'o mut Vec<u8>,
    open: Vec<Open>,
    string_len: u64,
    /// Whether all in it may be part of a key, where the outermost is an array.
    may_be_key: bool,
    is_too_deep: bool,
    /// Levels so far.
    levels: usize,
}

impl<'o> Nest<'o> {
    fn new(out: &'o mut Vec<u8>, string_len: u64) -> Self {
        Self { out, open: Vec::new(), string_len, may_be_key: true, is_too_deep: false, levels: 0 }
    }

    fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    fn count_one(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.count = open.count.saturating_add(1);
        }
    }

    fn scalar(&mut self, scalar: ValueRef<'_>) {
        self.count_one();
        self.may_be_key &= KeyRef::checked(scalar).is_some();
        nested::encode_scalar(scalar, self.out);
    }

    /// Starts an array (false) or a map (true), with the count of its values or pairs if that is known.
    fn open(&mut self, what: Result<(bool, u32), bool>) {
        self.count_one();
        self.is_too_deep |= self.open.len() >= NESTING_MAX;
        let start = self.out.len();
        let (is_map, declared) = match what {
            Ok((is_map, count)) => {
                nested::encode_header(is_map, count, self.out);
                (is_map, Some(u64::from(count).saturating_mul(if is_map { 2 } else { 1 })))
            }
            Err(is_map) => (is_map, None),
        };
        self.may_be_key &= !is_map;
        self.open.push(Open { start, is_map, count: 0, declared });
        self.levels = self.levels.max(self.open.len());
    }

    /// Ends the one that started last.
    fn end(&mut self) {
        let Some(Open { start, is_map, count, declared }) = self.open.pop() else { return };
        if declared.is_none() {
            let count = if is_map { count / 2 } else { count };
            let mut header = Vec::with_capacity(5);
            nested::encode_header(is_map, u32::try_from(count).unwrap_or(u32::MAX), &mut header);
            self.out.splice(start..start, header);
        }
    }

    /// Ends all that have what they declare.
    fn end_full(&mut self) {
        while self.open.last().is_some_and(|open| open.declared == Some(open.count)) {
            self.end();
        }
    }

    fn check(&self, offset: u64) -> Result<(), Refused> {
        if self.is_too_deep {
            return Err(Refused::content(offset, format!("a value that nests deeper than {NESTING_MAX} levels")));
        }
        check_len(self.out, self.string_len)
    }
}

/// Refuses a tagged value that is too long.
fn check_len(tagged: &[u8], string_len: u64) -> Result<(), Refused> {
    let (len, allowed) = ((tagged.len() as u64).saturating_sub(1), string_len.min(VALUE_LEN_MAX as u64));
    if len > allowed { Err(Refused::Limit { limit: "string_len", value: len, allowed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::canonical::encode::{self, Form};
    use crate::format::canonical::read::input::Input;
    use crate::format::canonical::read::input::pieces::Pieces;
    use crate::format::canonical::read::msgpack::MessagePack;
    use crate::format::canonical::read::{ImportLimits, Place};
    use crate::model::{Ext, Timestamp, Value, ValueBuf};

    fn read(content: &[u8], piece_len: usize) -> Result<(Found, Vec<u8>), Refused> {
        let pieces = Pieces { content, len: piece_len, at: 0 };
        let input = Input::new(Box::new(pieces), ImportLimits::default(), content.len() as u64);
        let mut tokens = MessagePack::new(input);
        let mut out = Vec::new();
        let limits = ImportLimits { depth: u64::MAX, string_len: u64::MAX, ..ImportLimits::default() };
        let found = next_value(&mut tokens, &limits, &mut out)?;
        tokens.finish()?;
        Ok((found, out))
    }

    /// However the content is cut.
    fn tagged(content: &[u8]) -> (Found, Vec<u8>) {
        let whole = read(content, content.len()).unwrap();
        for piece_len in 1..content.len() {
            assert_eq!(read(content, piece_len).unwrap(), whole, "{content:02X?} in pieces of {piece_len}");
        }
        whole
    }

    fn tagged_of(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value::encode(ValueBuf::try_from(value.clone()).unwrap().as_ref(), &mut out);
        out
    }

    /// An integer of more than 128 bits: 2^(8 n), negative or not.
    fn big(is_negative: bool, n: usize) -> Value {
        let magnitude: Vec<u8> = std::iter::once(1).chain(std::iter::repeat_n(0, n)).collect();
        Value::big_int(is_negative, &magnitude)
    }

    fn values() -> Vec<Value> {
        let ext = |code, data: &[u8]| Value::Ext(Ext { code, data: data.into() });
        let nested = Value::Array(vec![
            Value::Null,
            Value::Map(vec![("a".into(), 1.into()), (1.into(), Value::Array(vec![]))]),
            ext(86, &[1, 2]),
            ext(86, &[0, 1]),
            ext(-3, &[9; 40]),
            big(true, 16),
            Value::Int(1 << 64),
            Value::Timestamp(Timestamp::new(-5, 7).unwrap()),
        ]);
        vec![
            Value::Null,
            true.into(),
            0.into(),
            (-1).into(),
            i64::MIN.into(),
            u64::MAX.into(),
            Value::Int(1 << 64),
            Value::Int(i128::MIN),
            big(false, 40),
            1.0.into(),
            (-0.0).into(),
            f64::from_bits(0x7FF8_0000_0000_0001).into(),
            "".into(),
            "é".repeat(40_000).into(),
            vec![7u8; 300].into(),
            Value::Timestamp(Timestamp::new(1 << 33, 5).unwrap()),
            ext(-1, &[]),
            ext(-128, &[1]),
            ext(0, &[]),
            ext(86, &[]),
            ext(86, &[2, 0x90]),
            ext(86, &[3, 0xC3]),
            Value::Array(vec![]),
            Value::Map(vec![]),
            nested,
        ]
    }

    #[test]
    fn every_value_comes_back_as_it_was_written() {
        for of in values() {
            let stored = ValueBuf::try_from(of.clone()).unwrap();
            let mut content = Vec::new();
            encode::value(&mut content, stored.as_ref(), Form::Plain).unwrap();
            let (found, out) = if content.len() < 500 { tagged(&content) } else { read(&content, 4096).unwrap() };
            assert!(out == tagged_of(&of), "{of:?}");
            assert_eq!(found == Found::Null, of.is_null());
            assert_eq!(found == Found::Key, crate::model::Key::try_from(of.clone()).is_ok(), "{of:?}");
        }
        for of in [Value::from(true), 1.into(), 1.0.into()] {
            let mut content = Vec::new();
            let stored = ValueBuf::try_from(of.clone()).unwrap();
            encode::value(&mut content, stored.as_ref(), Form::Wrapped).unwrap();
            assert_eq!(tagged(&content), (Found::Key, tagged_of(&of)), "{of:?}");
        }
    }

    #[test]
    fn what_nobody_wraps_so_is_the_applications_own() {
        for data in [
            &[4u8, 1][..],
            &[1, 0],
            &[1, 0, 7],
            &[1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2],
            &[2, 0xC3],
            &[2, 0x91],
            &[2, 0x90, 0],
            &[2, 0xDC, 0, 0],
            &[2, 0x91, 0xCC, 1],
            &[3],
            &[3, 0xA0],
            &[3, 0xCC, 1],
            &[3, 0xC3, 0],
            &[3, 0x90],
            &[3, 0xD4, 5, 0],
            &[3, 0xC7, 11, 0x56, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let mut content = vec![0xC7, data.len() as u8, 0x56];
            content.extend_from_slice(data);
            let own = Value::Ext(Ext { code: 86, data: data.into() });
            assert_eq!(tagged(&content), (Found::Key, tagged_of(&own)), "{data:02X?}");
        }
    }

    #[test]
    fn a_value_as_long_as_values_may_be_is_read_wrapped_too() {
        let limits = ImportLimits { string_len: 20, ..ImportLimits::default() };
        let next = |content: &[u8]| {
            let input = Input::new(Box::new(Pieces { content, len: 64, at: 0 }), limits, content.len() as u64);
            next_value(&mut MessagePack::new(input), &limits, &mut Vec::new())
        };
        let array = Value::Array(vec!["x".repeat(18).into()]);
        for (of, is_longer) in [(array, false), (Value::Array(vec!["x".repeat(19).into()]), true)] {
            let mut content = Vec::new();
            let stored = ValueBuf::try_from(of).unwrap();
            encode::value(&mut content, stored.as_ref(), Form::Plain).unwrap();
            let found = next(&content);
            assert_eq!(matches!(found, Err(Refused::Limit { limit: "string_len", .. })), is_longer, "{found:?}");
        }
        // An application's own.
        let own = |len: u8| next(&[&[0xC7, len, 0x56, 9][..], &[0; 40]].concat());
        assert!(own(20).is_ok());
        assert!(matches!(own(21), Err(Refused::Limit { .. })));
    }

    #[test]
    fn arrays_and_maps_that_stand_open_are_taken_in_any_encoding() {
        // [1, {"a": 1.5}, ext 0x56 kind 1: 2^64, ext 0x56 of an unknown kind] with wide headers and a float of 32 bits.
        let mut content = vec![0xDD, 0, 0, 0, 4, 0xD3, 0, 0, 0, 0, 0, 0, 0, 1];
        content.extend([0xDE, 0, 1, 0xD9, 1, b'a', 0xCA, 0x3F, 0xC0, 0, 0]);
        content.extend([0xC7, 11, 0x56, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        content.extend([0xC7, 2, 0x56, 9, 9]);
        let expected = Value::Array(vec![
            1.into(),
            Value::Map(vec![("a".into(), 1.5.into())]),
            Value::Int(1 << 64),
            Value::Ext(Ext { code: 86, data: [9, 9].into() }),
        ]);
        assert_eq!(tagged(&content), (Found::Value, tagged_of(&expected)));
        assert_eq!(tagged(&[0x92, 1, 0x91, 0xA1, b'x']).0, Found::Key);
        assert_eq!(tagged(&[0x92, 1, 0x91, 0xC0]).0, Found::Value, "null is no part of a key");
    }

    #[test]
    fn what_nests_too_deep_is_refused_where_it_starts() {
        let mut content = vec![0x91; NESTING_MAX];
        content.push(0x90);
        let refused = read(&content, 64).unwrap_err();
        let Refused::Malformed { place: Place::Content(0), reason } = refused else { panic!("{refused:?}") };
        assert!(reason.contains("deeper than 128"), "{reason}");
        content.remove(0);
        assert_eq!(read(&content, 64).unwrap().1.len(), NESTING_MAX + 1);
        assert!(matches!(read(&[0x91; 100_000], 64), Err(Refused::Malformed { .. } | Refused::Limit { .. })));
    }
}
