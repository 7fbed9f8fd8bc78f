//! JSON, which the first releases kept inside of gzip.
//!
//! The grammar is RFC 8259 as Python's `json` module reads it, strict mode and all: integers are exact, a number
//! with a point or an exponent is the nearest float (an infinite one where it is too large), `NaN`, `Infinity` and
//! `-Infinity` are floats too, and raw control characters in strings and a byte order mark are refused. Two things that
//! Python takes are refused as well: half a surrogate pair, because it is no Unicode text, and a number of more than
//! [`NUMBER_LEN_MAX`] characters, because the cost of an integer is quadratic (4 ms for the longest one).
//!
//! Memory holds a block, the current string (twice, if it has escapes) and a byte for each array or map that is open.

use super::Refused;
use super::input::Input;
use super::tokens::{Token, Tokens};
use crate::model::{BigInt, Value, ValueRef};
use std::borrow::Cow;

/// Characters of one number, or of a word.
const NUMBER_LEN_MAX: u64 = 65_536;

/// What is kept of the memory for strings with escapes, in bytes.
const TEXT_LEN_KEPT: usize = 1 << 20;

/// How much of a word that is refused is shown, in bytes.
const WORD_LEN_SHOWN: usize = 40;

/// The NaN of Python: quiet, positive, without a payload.
const NAN: f64 = f64::from_bits(0x7FF8_0000_0000_0000);

/// The tokens of a JSON text.
pub(crate) struct Json<'b> {
    input: Input<'b>,
    expected: Expected,
    /// What is open, the outermost first.
    open: Vec<Container>,
    /// Where the last token starts.
    offset: u64,
    /// The last string with escapes, without them.
    text: String,
    /// The last integer of more than 128 bits.
    big: Option<BigInt>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Container {
    Array,
    Map,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

enum Number {
    Int(i128),
    BigInt(BigInt),
    Float(f64),
}

impl<'b> Json<'b> {
    /// The tokens of this content, from where it stands.
    pub(crate) const fn new(input: Input<'b>) -> Self {
        Self { input, expected: Expected::Value, open: Vec::new(), offset: 0, text: String::new(), big: None }
    }

    /// Passes over blanks. The byte after them stays.
    #[inline]
    fn skip_blanks(&mut self) -> Result<Option<u8>, Refused> {
        loop {
            let rest = self.input.rest();
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            let next = rest.get(blanks).copied();
            self.input.advance(blanks);
            if next.is_some() || !self.input.fill(1)? {
                return Ok(next);
            }
        }
    }

    /// Passes over what stands between two tokens. The first byte of the next one stays.
    fn approach(&mut self) -> Result<u8, Refused> {
        let mut next = self.skip_blanks()?;
        if self.expected == Expected::Colon && next == Some(b':') {
            self.expected = Expected::Value;
        } else if self.expected == Expected::CommaOrEnd && next == Some(b',') {
            self.expected = match self.open.last() {
                Some(Container::Map) => Expected::Key,
                _ => Expected::Value,
            };
        } else {
            return next.ok_or_else(|| self.input.cut_short());
        }
        self.input.advance(1);
        next = self.skip_blanks()?;
        next.ok_or_else(|| self.input.cut_short())
    }

    fn start(&mut self, container: Container) -> Result<Token<'_>, Refused> {
        let (depth, allowed) = ((self.open.len() as u64).saturating_add(1), self.input.limits().depth);
        if depth > allowed {
            return Err(Refused::Limit { limit: "depth", value: depth, allowed });
        }
        self.input.advance(1);
        self.open.push(container);
        let (token, expected) = match container {
            Container::Array => (Token::Array(None), Expected::ValueOrEnd),
            Container::Map => (Token::Map(None), Expected::KeyOrEnd),
        };
        self.expected = expected;
        Ok(token)
    }

    /// Whether this byte ends what started last, and may.
    fn is_end(&self, byte: u8) -> bool {
        use Expected::{CommaOrEnd, KeyOrEnd, ValueOrEnd};
        matches!(self.expected, ValueOrEnd | KeyOrEnd | CommaOrEnd)
            && matches!((self.open.last(), byte), (Some(Container::Array), b']') | (Some(Container::Map), b'}'))
    }

    fn end(&mut self) -> Token<'_> {
        self.input.advance(1);
        self.open.pop();
        self.complete();
        Token::End
    }

    /// A value is complete.
    const fn complete(&mut self) {
        self.expected = if self.open.is_empty() { Expected::Nothing } else { Expected::CommaOrEnd };
    }

    /// How many bytes in a row are of a kind, and the byte after them: none where the content ends, or soon after there
    /// are more than `most`. All of them are there without reading on.
    #[inline]
    fn run(&mut self, most: u64, is_part: impl Fn(u8) -> bool) -> Result<(usize, Option<u8>), Refused> {
        let mut len = 0usize;
        loop {
            let rest = self.input.rest();
            let unseen = rest.get(len..).unwrap_or_default();
            len = len.saturating_add(unseen.iter().take_while(|byte| is_part(**byte)).count());
            let after = rest.get(len).copied();
            if after.is_some() || len as u64 > most || !self.input.fill(len.saturating_add(1))? {
                return Ok((len, after));
            }
        }
    }

    /// A string; its first quote is next.
    fn string(&mut self) -> Result<Token<'_>, Refused> {
        self.input.advance(1);
        self.text.clear();
        self.text.shrink_to(TEXT_LEN_KEPT);
        let (len, has_escape) = self.piece_len()?;
        if has_escape {
            self.unescape(len)?;
            return Ok(Token::Scalar(ValueRef::Text(&self.text)));
        }
        let offset = self.input.position();
        let quoted = self.input.string((len as u64).saturating_add(1))?;
        Ok(Token::Scalar(ValueRef::Text(utf8(quoted.get(..len), offset)?)))
    }

    /// Bytes of a string up to its next escape or its end, and whether there is an escape. All are there without
    /// reading on.
    #[inline]
    fn piece_len(&mut self) -> Result<(usize, bool), Refused> {
        let room = self.input.limits().string_len.saturating_sub(self.text.len() as u64);
        let (len, after) = self.run(room, |byte| byte >= 0x20 && byte != b'"' && byte != b'\\')?;
        match after {
            _ if len as u64 > room => Err(self.too_long()),
            Some(b'"') => Ok((len, false)),
            Some(b'\\') => Ok((len, true)),
            Some(byte) => {
                let offset = self.input.position().saturating_add(len as u64);
                Err(Refused::content(offset, format!("a raw control character, {byte:#04x}, in a string")))
            }
            None => Err(self.cut_short_after(len)),
        }
    }

    /// Puts a string into `text`, whose first piece has `len` bytes and ends with an escape.
    fn unescape(&mut self, len: usize) -> Result<(), Refused> {
        let (mut len, mut has_escape) = (len, true);
        loop {
            let piece = utf8(self.input.rest().get(..len), self.input.position())?;
            self.text.push_str(piece);
            self.input.advance(len.saturating_add(1));
            if !has_escape {
                return Ok(());
            }
            let char = self.escape()?;
            self.text.push(char);
            if self.text.len() as u64 > self.input.limits().string_len {
                return Err(self.too_long());
            }
            (len, has_escape) = self.piece_len()?;
        }
    }

    /// What an escape stands for; its backslash was passed.
    fn escape(&mut self) -> Result<char, Refused> {
        let offset = self.input.position().saturating_sub(1);
        Ok(match self.input.byte()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(offset),
            byte => return Err(Refused::content(offset, format!("a backslash before {}", shown(byte)))),
        })
    }

    /// The character of one `\u` escape, or of two that are a surrogate pair; the first one starts at `offset`.
    fn unicode_escape(&mut self, offset: u64) -> Result<char, Refused> {
        let first = self.hex(offset)?;
        if let Some(char) = char::from_u32(u32::from(first)) {
            return Ok(char);
        }
        let lone =
            || Refused::content(offset, format!("half a surrogate pair, \\u{first:04x}, which is no Unicode text"));
        if self.input.byte()? != b'\\' || self.input.byte()? != b'u' {
            return Err(lone());
        }
        let second = self.hex(self.input.position().saturating_sub(2))?;
        char::decode_utf16([first, second]).next().and_then(Result::ok).ok_or_else(lone)
    }

    /// The four digits of a `\u` escape that starts at `offset`.
    fn hex(&mut self, offset: u64) -> Result<u16, Refused> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.input.byte()?).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
            let digit =
                digit.ok_or_else(|| Refused::content(offset, "an escape \\u without four hexadecimal digits"))?;
            code = (code << 4) | digit;
        }
        Ok(code)
    }

    /// A number or a literal, which is next.
    fn word(&mut self) -> Result<Token<'_>, Refused> {
        let (len, after) = self.run(NUMBER_LEN_MAX, is_word_part)?;
        if len as u64 > NUMBER_LEN_MAX {
            let reason = format!("a number or word of more than {NUMBER_LEN_MAX} characters");
            return Err(Refused::content(self.offset, reason));
        }
        if after.is_none() && !self.open.is_empty() {
            return Err(self.cut_short_after(len));
        }
        let word = self.input.rest().get(..len).unwrap_or_default();
        let value = match word {
            b"null" => ValueRef::Null,
            b"true" => ValueRef::Bool(true),
            b"false" => ValueRef::Bool(false),
            b"NaN" => ValueRef::Float(NAN),
            b"Infinity" => ValueRef::Float(f64::INFINITY),
            b"-Infinity" => ValueRef::Float(f64::NEG_INFINITY),
            _ => match number(word) {
                Some(Number::Int(int)) => ValueRef::Int(int),
                Some(Number::BigInt(big)) => ValueRef::BigInt(self.big.insert(big).as_ref()),
                Some(Number::Float(float)) => ValueRef::Float(float),
                None => return Err(Refused::content(self.offset, not_a_word(word))),
            },
        };
        self.input.advance(len);
        Ok(Token::Scalar(value))
    }

    #[cold]
    fn too_long(&self) -> Refused {
        let allowed = self.input.limits().string_len;
        // How long it is in the end is not known.
        Refused::Limit { limit: "string_len", value: allowed.saturating_add(1), allowed }
    }

    #[cold]
    fn cut_short_after(&mut self, len: usize) -> Refused {
        self.input.advance(len);
        self.input.cut_short()
    }

    #[cold]
    fn unexpected(&self, byte: u8) -> Refused {
        let offset = self.input.position();
        if offset == 0 && byte == 0xEF {
            return Refused::content(offset, "a byte order mark, which JSON may not start with");
        }
        let expected = match (self.expected, self.open.last()) {
            (Expected::Value, _) => "a value",
            (Expected::ValueOrEnd, _) => "a value or `]`",
            (Expected::Key, _) => "a key in double quotes",
            (Expected::KeyOrEnd, _) => "a key in double quotes or `}`",
            (Expected::Colon, _) => "a colon",
            (Expected::CommaOrEnd, Some(Container::Map)) => "a comma or `}`",
            (Expected::CommaOrEnd, _) => "a comma or `]`",
            (Expected::Nothing, _) => "nothing more",
        };
        Refused::content(offset, format!("{} where {expected} should be", shown(byte)))
    }
}

impl Tokens for Json<'_> {
    fn next(&mut self) -> Result<Token<'_>, Refused> {
        let byte = self.approach()?;
        self.offset = self.input.position();
        match (self.expected, byte) {
            _ if self.is_end(byte) => Ok(self.end()),
            (Expected::Key | Expected::KeyOrEnd, b'"') => {
                self.expected = Expected::Colon;
                self.string()
            }
            (Expected::Value | Expected::ValueOrEnd, b'[') => self.start(Container::Array),
            (Expected::Value | Expected::ValueOrEnd, b'{') => self.start(Container::Map),
            (Expected::Value | Expected::ValueOrEnd, b'"') => {
                self.complete();
                self.string()
            }
            (Expected::Value | Expected::ValueOrEnd, _) if is_word_part(byte) => {
                self.complete();
                self.word()
            }
            _ => Err(self.unexpected(byte)),
        }
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn finish(&mut self) -> Result<(), Refused> {
        match self.skip_blanks()? {
            Some(byte) => Err(self.unexpected(byte)),
            None if self.expected == Expected::Nothing => Ok(()),
            None => Err(self.input.cut_short()),
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
        true
    }
}

/// Whether a number or a literal may have this byte, or something that looks like one.
const fn is_word_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

/// The text of a part of a string that starts at `offset`.
#[inline]
fn utf8(bytes: Option<&[u8]>, offset: u64) -> Result<&str, Refused> {
    std::str::from_utf8(bytes.unwrap_or_default()).map_err(|error| {
        Refused::content(offset.saturating_add(error.valid_up_to() as u64), "a string that is not UTF-8")
    })
}

/// A number, unless it breaks the grammar: `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`.
fn number(word: &[u8]) -> Option<Number> {
    let (is_negative, unsigned) = match word.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (digits, rest) = after_digits(unsigned)?;
    if digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    if rest.is_empty() {
        return integer(word, is_negative, digits);
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        after_digits(fraction)?;
    }
    // From here on Rust's grammar of floats is the same.
    std::str::from_utf8(word).ok()?.parse().ok().map(Number::Float)
}

/// The digits that a text starts with, of which there must be one, and what follows them.
fn after_digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 { None } else { text.split_at_checked(len) }
}

/// The integer of a word whose digits were checked.
fn integer(word: &[u8], is_negative: bool, digits: &[u8]) -> Option<Number> {
    // As many digits as fit in 64 bits, whatever they are.
    if digits.len() <= 18 {
        let value = digits
            .iter()
            .fold(0i64, |sum, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0'))));
        return Some(Number::Int(i128::from(if is_negative { value.wrapping_neg() } else { value })));
    }
    match Value::parse_integer(std::str::from_utf8(word).ok()?)? {
        Value::Int(int) => Some(Number::Int(int)),
        Value::BigInt(big) => Some(Number::BigInt(big)),
        _ => None,
    }
}

/// Why a word is refused.
#[cold]
fn not_a_word(word: &[u8]) -> Cow<'static, str> {
    let head = word.get(..WORD_LEN_SHOWN).unwrap_or(word);
    let dots = if head.len() < word.len() { "..." } else { "" };
    let kind = match word.first() {
        Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => "a word that JSON does not know",
        _ => "not a number as JSON writes it",
    };
    format!("`{}{dots}` is {kind}", String::from_utf8_lossy(head)).into()
}

/// A byte for people to read.
fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("the byte {byte:#04x}") }
}

#[cfg(test)]
mod tests;
