//! One value, from whatever encoding it came in to its tagged form (chapter `format-spec/values.md`), in one pass and without a tree.

use super::Refused;
use super::tokens::{Token, Tokens};
use crate::format::canonical::encode::{EXT_KIND_NESTED, EXT_KIND_SCALAR};
use crate::format::value::{self, TAG_ARRAY, TAG_MAP};
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
pub(crate) fn next_value<T: Tokens>(tokens: &mut T, string_len: u64, out: &mut Vec<u8>) -> Result<Found, Refused> {
    let is_map = match tokens.next()? {
        Token::End => return Ok(Found::End),
        Token::Scalar(scalar) => return Ok(tagged_scalar(scalar, out)),
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

/// The tagged form of a value that holds no others, but maybe one that is wrapped.
#[inline]
fn tagged_scalar(scalar: ValueRef<'_>, out: &mut Vec<u8>) -> Found {
    let scalar = match scalar {
        ValueRef::Ext(ext) if ext.code == EXT_CODE => match unwrapped(ext.data) {
            Unwrapped::Scalar(scalar) => scalar,
            Unwrapped::Nested { tag, may_be_key } => {
                out.push(tag);
                out.extend_from_slice(ext.data.get(1..).unwrap_or_default());
                return if may_be_key { Found::Key } else { Found::Value };
            }
            Unwrapped::Foreign => ValueRef::Ext(ext),
        },
        other => other,
    };
    value::encode(scalar, out);
    match scalar {
        ValueRef::Null => Found::Null,
        other if KeyRef::checked(other).is_some() => Found::Key,
        _ => Found::Value,
    }
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
        ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::Float(_) => true,
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
    (again == bytes).then_some(Unwrapped::Nested { tag, may_be_key })
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
}

impl<'o> Nest<'o> {
    fn new(out: &'o mut Vec<u8>, string_len: u64) -> Self {
        Self { out, open: Vec::new(), string_len, may_be_key: true, is_too_deep: false }
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
        let (len, allowed) = (self.out.len() as u64, self.string_len.min(VALUE_LEN_MAX as u64));
        if len.saturating_sub(1) > allowed {
            return Err(Refused::Limit { limit: "string_len", value: len, allowed });
        }
        Ok(())
    }
}
