//! JSON text to values.

use super::tag;
use std::collections::HashSet;
use std::fmt;
use vector_datalib::Value;

/// How deep arrays and objects may nest in the text. The library stores 128 levels; a map that is written as `$map`
/// takes three levels of text for each of its own.
const DEPTH_MAX: usize = 3 * 128 + 8;

/// From here on a set finds a repeated name sooner than comparing each with each.
const SET_FROM: usize = 16;

/// Text that is not JSON, or JSON that stands for no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JsonError {
    offset: usize,
    reason: String,
    is_syntax: bool,
}

impl JsonError {
    /// Whether the text is no JSON at all, rather than JSON that stands for no value.
    pub(crate) const fn is_syntax(&self) -> bool {
        self.is_syntax
    }

    /// Where in the text, in bytes from its start.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong there.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl std::error::Error for JsonError {}

/// Reads a text that is one JSON value.
///
/// # Errors
/// When it is not, or when a tag in it is unknown or holds something else than it needs.
pub(crate) fn parse_value(text: &str) -> Result<Value, JsonError> {
    Reader::all(text, |reader| reader.value(0))
}

/// Reads a text that is one JSON object: the attributes of a point by their names. This object itself is never a tag.
///
/// # Errors
/// Like [`parse_value`]; also when the text is another kind of JSON.
pub(crate) fn parse_attributes(text: &str) -> Result<Vec<(String, Value)>, JsonError> {
    parse_members(text, None)
}

/// Reads a text that is one JSON object: its members by their names. Neither this object is a tag, nor is one that is the member
/// named `plain`.
///
/// # Errors
/// Like [`parse_attributes`].
pub(crate) fn parse_members(text: &str, plain: Option<&str>) -> Result<Vec<(String, Value)>, JsonError> {
    Reader::all(text, |reader| {
        reader.blank();
        if reader.peek() != Some(b'{') {
            return Err(reader.syntax("an object is expected"));
        }
        reader.object(0, plain)
    })
}

fn map(pairs: Vec<(String, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(name, value)| (Value::Text(name), value)).collect())
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn all<T>(text: &'t str, read: impl FnOnce(&mut Self) -> Result<T, JsonError>) -> Result<T, JsonError> {
        let mut reader = Self { text, at: 0 };
        let result = read(&mut reader)?;
        reader.blank();
        if reader.at < text.len() {
            return Err(reader.syntax("the text goes on after the value"));
        }
        Ok(result)
    }

    fn syntax(&self, reason: &str) -> JsonError {
        JsonError { offset: self.at, reason: reason.to_owned(), is_syntax: true }
    }

    fn meaning(offset: usize, reason: String) -> JsonError {
        JsonError { offset, reason, is_syntax: false }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax("a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.blank();
        match self.peek() {
            Some(b'{') => {
                let start = self.at;
                let mut pairs = self.object(depth, None)?;
                match pairs.as_slice() {
                    [(name, _)] if tag::is_tag(name) => {}
                    _ => {
                        return Ok(map(pairs));
                    }
                }
                let (name, content) = pairs.remove(0);
                tag::resolve(&name, content).map_err(|reason| Self::meaning(start, reason))
            }
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.syntax("a value is expected")),
        }
    }

    fn descend(&mut self, depth: usize) -> Result<usize, JsonError> {
        if depth >= DEPTH_MAX {
            return Err(Self::meaning(self.at, "arrays and objects nest too deep".to_owned()));
        }
        self.at += 1;
        self.blank();
        Ok(depth + 1)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        let depth = self.descend(depth)?;
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            self.blank();
            if self.take(b']') {
                return Ok(Value::Array(values));
            }
            if !self.take(b',') {
                return Err(self.syntax("',' or ']' is expected"));
            }
        }
    }

    fn object(&mut self, depth: usize, plain: Option<&str>) -> Result<Vec<(String, Value)>, JsonError> {
        let depth = self.descend(depth)?;
        let mut pairs: Vec<(String, Value)> = Vec::new();
        let mut names = HashSet::new();
        if self.take(b'}') {
            return Ok(pairs);
        }
        loop {
            self.blank();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.syntax("a name in quotes is expected"));
            }
            let name = self.string()?;
            if pairs.len() == SET_FROM {
                names.extend(pairs.iter().map(|(earlier, _)| earlier.clone()));
            }
            let repeated = if pairs.len() < SET_FROM {
                pairs.iter().any(|(earlier, _)| *earlier == name)
            } else {
                !names.insert(name.clone())
            };
            if repeated {
                return Err(Self::meaning(start, format!("an object names {name:?} twice")));
            }
            self.blank();
            if !self.take(b':') {
                return Err(self.syntax("':' is expected"));
            }
            self.blank();
            let is_plain = plain == Some(name.as_str()) && self.peek() == Some(b'{');
            let value = if is_plain { map(self.object(depth, None)?) } else { self.value(depth)? };
            pairs.push((name, value));
            self.blank();
            if self.take(b'}') {
                return Ok(pairs);
            }
            if !self.take(b',') {
                return Err(self.syntax("',' or '}' is expected"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take(b'-');
        let first = self.peek();
        let whole = self.digits()?;
        if first == Some(b'0') && whole > 1 {
            self.at = start;
            return Err(self.syntax("a number has a leading zero"));
        }
        let mut is_float = false;
        if self.take(b'.') {
            is_float = true;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_float = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if !is_float {
            return Value::parse_integer(text).ok_or_else(|| Self::meaning(start, "this is no integer".to_owned()));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(Self::meaning(start, "this number is beyond the range of floats".to_owned())),
        }
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.syntax("a digit is expected")) } else { Ok(count) }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count();
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return Err(self.syntax("a control character in a string must be escaped")),
                None => return Err(self.syntax("a string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(start);
            }
            _ => return Err(self.syntax("an unknown escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hexadecimal()?;
        let lone = || Self::meaning(start, "half of a surrogate pair is no character".to_owned());
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(lone());
                }
                match self.hexadecimal()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(lone()),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(lone)
    }

    fn hexadecimal(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut code = 0;
        for &digit in digits {
            let value =
                char::from(digit).to_digit(16).ok_or_else(|| self.syntax("four hexadecimal digits are expected"))?;
            code = code * 16 + value;
        }
        if digits.len() < 4 {
            return Err(self.syntax("four hexadecimal digits are expected"));
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_the_same_value() {
        for (text, value) in [
            (" 1 ", Value::from(1)),
            ("-0", Value::from(0)),
            ("1E2", Value::from(100.0)),
            ("1e-2", Value::from(0.01)),
            ("1.50", Value::from(1.5)),
            (r#""\u00e9\ud83d\ude00\/\b\f""#, Value::from("é\u{1F600}/\u{8}\u{c}")),
            ("[ 1 ,\n2 ]", Value::Array(vec![1.into(), 2.into()])),
            ("{ \"a\" : 1 }", Value::Map(vec![("a".into(), 1.into())])),
        ] {
            assert_eq!(parse_value(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_is_not_json() {
        for text in [
            "",
            " ",
            "x",
            "tru",
            "truex",
            "nul",
            "01",
            "-",
            "-01",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "1 2",
            "04G",
            "[]]",
            "/**/1",
            "\"\\u123é\"",
        ] {
            let error = parse_value(text).unwrap_err();
            assert!(error.is_syntax(), "{text}: {error}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_that_stands_for_no_value() {
        for (text, reason) in [
            ("1e400", "this number is beyond the range of floats at byte 0"),
            ("[\"\\ud800\"]", "half of a surrogate pair is no character at byte 2"),
            (r#""\ud800A""#, "half of a surrogate pair is no character at byte 1"),
            (r#""\udc00""#, "half of a surrogate pair is no character at byte 1"),
            (r#"{"a":{"b":1,"b":1}}"#, "an object names \"b\" twice at byte 12"),
            (r#"[{"$bytes":5}]"#, "\"$bytes\" needs bytes as base64 at byte 1"),
        ] {
            let error = parse_value(text).unwrap_err();
            assert_eq!(error.to_string(), reason);
            assert!(!error.is_syntax());
        }
        let many: String = (0..40).map(|i| format!("\"k{}\":0,", i % 39)).collect();
        assert!(
            parse_value(&format!("{{{}}}", many.trim_end_matches(',')))
                .unwrap_err()
                .to_string()
                .contains("names \"k0\" twice")
        );
    }

    #[test]
    fn hostile_nesting_is_an_error_rather_than_an_overflow() {
        for open in ["[", "{\"a\":", "{\"$map\":[["] {
            let error = parse_value(&open.repeat(200_000)).unwrap_err();
            assert!(error.to_string().starts_with("arrays and objects nest too deep at byte"), "{error}");
        }
    }
}
