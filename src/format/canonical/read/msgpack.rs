//! MessagePack, token by token, in whatever encodings it comes.
//!
//! Source: the MessagePack specification (msgpack.org), "Formats".

use super::Refused;
use super::input::Input;
use super::tokens::{Token, Tokens};
use crate::model::nested::EXT_CODE;
use crate::model::{ExtRef, ValueRef};
use rmp::Marker;

/// Bytes that wrapping adds at most: a kind, and the header of an ext value with its type.
const WRAPPING_LEN: u64 = 7;

/// Takes MessagePack apart.
pub(crate) struct MessagePack<'b> {
    input: Input<'b>,
    /// How many values are left in each array and map that started and has not ended; a pair counts as two.
    open: Vec<u64>,
    /// Where the last token starts.
    offset: u64,
}

impl<'b> MessagePack<'b> {
    pub(crate) const fn new(input: Input<'b>) -> Self {
        Self { input, open: Vec::new(), offset: 0 }
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<u64, Refused> {
        let bytes = self.input.array::<N>()?;
        Ok(bytes.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
    }

    #[inline]
    fn count<const N: usize>(&mut self) -> Result<u32, Refused> {
        // At most four bytes.
        self.number::<N>().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn open(&mut self, values: u64) -> Result<(), Refused> {
        let (depth, allowed) = (self.open.len() as u64, self.input.limits().depth);
        if depth >= allowed {
            return Err(Refused::Limit { limit: "depth", value: depth.saturating_add(1), allowed });
        }
        // Each value takes a byte or more.
        self.input.expect(values)?;
        self.open.push(values);
        Ok(())
    }

    fn array(&mut self, count: u32) -> Result<Token<'_>, Refused> {
        self.open(count.into())?;
        Ok(Token::Array(Some(count)))
    }

    fn map(&mut self, count: u32) -> Result<Token<'_>, Refused> {
        self.open(u64::from(count).saturating_mul(2))?;
        Ok(Token::Map(Some(count)))
    }

    #[inline]
    fn text(&mut self, len: u64) -> Result<Token<'_>, Refused> {
        let offset = self.offset;
        let bytes = self.input.limited_string(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Token::Scalar(ValueRef::Text(text))),
            Err(_) => Err(Refused::content(offset, "a text that is not UTF-8")),
        }
    }

    fn bytes(&mut self, len: u64) -> Result<Token<'_>, Refused> {
        self.input.limited_string(len).map(|bytes| Token::Scalar(ValueRef::Bytes(bytes)))
    }

    fn ext(&mut self, len: u64) -> Result<Token<'_>, Refused> {
        let code = i8::from_be_bytes(self.input.array()?);
        // The longest value may be wrapped in one.
        self.input.check_string(if code == EXT_CODE { len.saturating_sub(WRAPPING_LEN) } else { len })?;
        let data = self.input.string(len)?;
        Ok(Token::Scalar(ValueRef::Ext(ExtRef { code, data }).canonical()))
    }

    #[inline]
    fn scalar<'a>(value: impl Into<ValueRef<'a>>) -> Result<Token<'a>, Refused> {
        Ok(Token::Scalar(value.into()))
    }
}

impl Tokens for MessagePack<'_> {
    #[inline]
    fn next(&mut self) -> Result<Token<'_>, Refused> {
        self.offset = self.input.position();
        match self.open.last_mut() {
            Some(0) => {
                self.open.pop();
                return Ok(Token::End);
            }
            Some(left) => *left = left.saturating_sub(1),
            None => {}
        }
        match Marker::from_u8(self.input.byte()?) {
            Marker::FixPos(int) => Self::scalar(int),
            Marker::FixNeg(int) => Self::scalar(int),
            Marker::U8 => Self::scalar(self.number::<1>()?),
            Marker::U16 => Self::scalar(self.number::<2>()?),
            Marker::U32 => Self::scalar(self.number::<4>()?),
            Marker::U64 => Self::scalar(self.number::<8>()?),
            Marker::I8 => Self::scalar(i8::from_be_bytes(self.input.array()?)),
            Marker::I16 => Self::scalar(i16::from_be_bytes(self.input.array()?)),
            Marker::I32 => Self::scalar(i32::from_be_bytes(self.input.array()?)),
            Marker::I64 => Self::scalar(i64::from_be_bytes(self.input.array()?)),
            Marker::Null => Ok(Token::Scalar(ValueRef::Null)),
            Marker::True => Ok(Token::Scalar(ValueRef::Bool(true))),
            Marker::False => Ok(Token::Scalar(ValueRef::Bool(false))),
            Marker::F32 => Self::scalar(f64::from(f32::from_be_bytes(self.input.array()?))),
            Marker::F64 => Self::scalar(f64::from_be_bytes(self.input.array()?)),
            Marker::FixStr(len) => self.text(len.into()),
            Marker::Str8 => self.number::<1>().and_then(|len| self.text(len)),
            Marker::Str16 => self.number::<2>().and_then(|len| self.text(len)),
            Marker::Str32 => self.number::<4>().and_then(|len| self.text(len)),
            Marker::Bin8 => self.number::<1>().and_then(|len| self.bytes(len)),
            Marker::Bin16 => self.number::<2>().and_then(|len| self.bytes(len)),
            Marker::Bin32 => self.number::<4>().and_then(|len| self.bytes(len)),
            Marker::FixExt1 => self.ext(1),
            Marker::FixExt2 => self.ext(2),
            Marker::FixExt4 => self.ext(4),
            Marker::FixExt8 => self.ext(8),
            Marker::FixExt16 => self.ext(16),
            Marker::Ext8 => self.number::<1>().and_then(|len| self.ext(len)),
            Marker::Ext16 => self.number::<2>().and_then(|len| self.ext(len)),
            Marker::Ext32 => self.number::<4>().and_then(|len| self.ext(len)),
            Marker::FixArray(count) => self.array(count.into()),
            Marker::Array16 => self.count::<2>().and_then(|count| self.array(count)),
            Marker::Array32 => self.count::<4>().and_then(|count| self.array(count)),
            Marker::FixMap(count) => self.map(count.into()),
            Marker::Map16 => self.count::<2>().and_then(|count| self.map(count)),
            Marker::Map32 => self.count::<4>().and_then(|count| self.map(count)),
            Marker::Reserved => Err(Refused::content(self.offset, "the byte C1, which starts no MessagePack value")),
        }
    }

    #[inline]
    fn next_unsigned(&mut self) -> Option<u64> {
        let left = self.open.last_mut().filter(|left| **left > 0)?;
        let rest = self.input.rest();
        let (number, len) = match rest {
            [number @ 0..=0x7F, ..] => (u64::from(*number), 1),
            [0xCC, number, ..] => (u64::from(*number), 2),
            [0xCD, a, b, ..] => (u64::from(u16::from_be_bytes([*a, *b])), 3),
            [0xCE, a, b, c, d, ..] => (u64::from(u32::from_be_bytes([*a, *b, *c, *d])), 5),
            _ => return None,
        };
        *left = left.saturating_sub(1);
        self.offset = self.input.position();
        self.input.advance(len);
        Some(number)
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn finish(&mut self) -> Result<(), Refused> {
        match self.input.peek()? {
            Some(_) => Err(Refused::content(self.input.position(), "bytes follow the MessagePack value")),
            None => Ok(()),
        }
    }

    fn depth(&self) -> u64 {
        self.open.len() as u64
    }

    fn report(&mut self) -> Result<(), Refused> {
        self.input.report()
    }

    fn trailing(&self) -> u64 {
        self.input.trailing()
    }

    fn has_text_keys_only(&self) -> bool {
        false
    }
}
