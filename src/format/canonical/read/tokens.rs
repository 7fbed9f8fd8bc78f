//! What MessagePack and JSON are made of.

use super::Refused;
use crate::model::ValueRef;

/// One step through a tree of values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    /// A value without others in it. Ext values are as they stand, those of type 0x56 too; MessagePack's timestamps are timestamps.
    Scalar(ValueRef<'a>),
    /// An array starts; so many values are declared, where they are.
    Array(Option<u32>),
    /// A map starts: keys and values in turn; so many pairs are declared, where they are.
    Map(Option<u32>),
    /// The array or map that started last ends.
    End,
}

impl Token<'_> {
    /// The integer that it stands for as an id or a coordinate: the original also takes whole floats, and text and bytes of digits.
    #[inline]
    pub(crate) fn integer(&self) -> Option<i128> {
        match self {
            Token::Scalar(ValueRef::Int(integer)) => Some(*integer),
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within 64 bits")]
            Token::Scalar(ValueRef::Float(float))
                if float.trunc() == *float && (-TWO_POW_63..TWO_POW_63).contains(float) =>
            {
                Some(*float as i128)
            }
            Token::Scalar(ValueRef::Text(text)) => decimal(text),
            Token::Scalar(ValueRef::Bytes(bytes)) => decimal(std::str::from_utf8(bytes).ok()?),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Token::End => "nothing",
            Token::Array(_) => "an array",
            Token::Map(_) => "a map",
            Token::Scalar(scalar) => match scalar {
                ValueRef::Null => "null",
                ValueRef::Bool(_) => "a boolean",
                ValueRef::Int(_) => "an integer",
                ValueRef::BigInt(_) => "an integer outside of 128 bits",
                ValueRef::Float(_) => "a float",
                ValueRef::Text(_) => "a text",
                ValueRef::Bytes(_) => "a byte string",
                ValueRef::Timestamp(_) => "a timestamp",
                ValueRef::Ext(_) => "an ext value",
                ValueRef::Array(_) => "an array",
                ValueRef::Map(_) => "a map",
            },
        }
    }
}

/// An integer in decimal digits, with blanks around it or not.
fn decimal(text: &str) -> Option<i128> {
    text.trim_matches([' ', '\t', '\n', '\u{B}', '\u{C}', '\r']).parse().ok()
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// A tree of values, token by token, in bounded memory. Checks syntax, UTF-8, depth and the length of strings.
pub(crate) trait Tokens {
    /// The next token. To be called until the tree's root is complete, and no more.
    fn next(&mut self) -> Result<Token<'_>, Refused>;

    /// The next token, if it is an unsigned integer of 64 bits that is quickly told; else nothing is taken.
    #[inline]
    fn next_unsigned(&mut self) -> Option<u64> {
        None
    }

    /// Where the last token starts in the content, in bytes.
    fn offset(&self) -> u64;

    /// Fails if anything but blanks follows the root, or if the file ends otherwise than it should. Reads the file to its end.
    fn finish(&mut self) -> Result<(), Refused>;

    /// How many arrays and maps are open.
    fn depth(&self) -> u64;

    /// Says how much content was read; fails if that is enough.
    fn report(&mut self) -> Result<(), Refused>;

    /// Bytes of the file behind the content; known after [`finish`](Self::finish).
    fn trailing(&self) -> u64;

    /// Whether all keys of maps are text, as in JSON, so that different keys may look the same.
    fn has_text_keys_only(&self) -> bool;
}
