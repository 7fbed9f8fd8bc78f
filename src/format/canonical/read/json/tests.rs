//! JSON read whole, in pieces, and damaged; and beside serde_json.

use super::super::input::pieces::Pieces;
use super::super::{ImportLimits, Place};
use super::*;
use serde_json::Value as Theirs;

fn json(content: &[u8], piece_len: usize, limits: ImportLimits) -> Json<'_> {
    let pieces = Pieces { content, len: piece_len, at: 0 };
    Json::new(Input::new(Box::new(pieces), limits, content.len() as u64))
}

/// The tree of a content, and where each token starts.
fn read(content: &[u8], piece_len: usize, limits: ImportLimits) -> Result<(Value, Vec<u64>), Refused> {
    let mut json = json(content, piece_len, limits);
    let mut offsets = Vec::new();
    let mut open: Vec<(bool, Vec<Value>)> = Vec::new();
    let root = loop {
        let token = json.next()?;
        let complete = match token {
            Token::Scalar(scalar) => scalar.to_value().unwrap(),
            Token::Array(declared) | Token::Map(declared) => {
                assert_eq!(declared, None);
                open.push((matches!(token, Token::Map(_)), Vec::new()));
                offsets.push(json.offset());
                continue;
            }
            Token::End => match open.pop().unwrap() {
                (false, values) => Value::Array(values),
                (true, values) => {
                    assert_eq!(values.len() % 2, 0, "keys and values take turns");
                    Value::Map(values.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
                }
            },
        };
        offsets.push(json.offset());
        match open.last_mut() {
            Some((_, values)) => values.push(complete),
            None => break complete,
        }
    };
    json.finish()?;
    assert_eq!(json.input.read_len(), content.len() as u64, "read to its end");
    assert!(json.has_text_keys_only());
    Ok((root, offsets))
}

/// The same, once for each way to cut the content into pieces of one length.
fn read_cut_everywhere(content: &[u8]) -> Result<(Value, Vec<u64>), String> {
    let limits = ImportLimits::default();
    let described = |result: Result<_, Refused>| result.map_err(|refused| describe(&refused));
    let whole = described(read(content, content.len().max(1), limits));
    for piece_len in 1..content.len().min(100) {
        let pieces = described(read(content, piece_len, limits));
        assert_eq!(pieces, whole, "{} in pieces of {piece_len}", String::from_utf8_lossy(content));
    }
    whole
}

fn describe(refused: &Refused) -> String {
    match refused {
        Refused::Malformed { place: Place::Content(offset), reason } => format!("{offset}: {reason}"),
        Refused::Limit { limit, value, allowed } => format!("{limit}: {value} of {allowed}"),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn integer(text: &str) -> Value {
    Value::parse_integer(text).unwrap()
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::Map(pairs.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

#[test]
fn a_text_becomes_the_values_that_python_reads_in_it_wherever_it_is_cut() {
    let huge = format!("-{}", "9".repeat(5000));
    let cases: &[(&str, Value)] = &[
        ("null", Value::Null),
        (" \t\r\n true \t\r\n ", Value::from(true)),
        ("false", Value::from(false)),
        ("0", Value::from(0)),
        ("-0", Value::from(0)),
        ("123456789012345678", Value::from(123_456_789_012_345_678_i64)),
        ("-999999999999999999", Value::from(-999_999_999_999_999_999_i64)),
        ("18446744073709551616", Value::from(1_i128 << 64)),
        ("-170141183460469231731687303715884105728", Value::from(i128::MIN)),
        ("170141183460469231731687303715884105728", integer("170141183460469231731687303715884105728")),
        (&huge, integer(&huge)),
        ("1.0", Value::from(1.0)),
        ("-0.0", Value::from(-0.0)),
        ("0.1", Value::from(0.1)),
        ("1e5", Value::from(1e5)),
        ("1E+05", Value::from(1e5)),
        ("-12.50e-1", Value::from(-1.25)),
        ("0e0", Value::from(0.0)),
        ("5e-324", Value::from(f64::from_bits(1))),
        ("1e-400", Value::from(0.0)),
        // Halfway between two floats, and a little above: the first goes to the even one.
        ("9007199254740993.0", Value::from(9_007_199_254_740_992.0)),
        ("9007199254740993.00000000000000000000000000000001", Value::from(9_007_199_254_740_994.0)),
        ("1.7976931348623157e308", Value::from(f64::MAX)),
        ("1e309", Value::from(f64::INFINITY)),
        ("-1e999", Value::from(f64::NEG_INFINITY)),
        ("NaN", Value::from(f64::from_bits(0x7FF8_0000_0000_0000))),
        ("Infinity", Value::from(f64::INFINITY)),
        ("-Infinity", Value::from(f64::NEG_INFINITY)),
        (r#""""#, text("")),
        (r#""plain é 日本 😀 text""#, text("plain é 日本 😀 text")),
        (r#""\"\\\/\b\f\n\r\t""#, text("\"\\/\u{8}\u{c}\n\r\t")),
        (r#""a\u0000b\u00e9\u00E9\u65e5\uFFFF""#, text("a\0béé日\u{ffff}")),
        (r#""\ud83d\ude00 and \uD800\uDC00 and \udbff\udfff""#, text("😀 and \u{10000} and \u{10ffff}")),
        (r#""é\né""#, text("é\né")),
        ("\"\u{7f}\u{80}\u{2028}\"", text("\u{7f}\u{80}\u{2028}")),
        ("[]", Value::Array(vec![])),
        ("{}", Value::Map(vec![])),
        ("[ ]", Value::Array(vec![])),
        ("{\n}", Value::Map(vec![])),
        ("[1,[],{},\"\"]", Value::Array(vec![integer("1"), Value::Array(vec![]), Value::Map(vec![]), text("")])),
        (
            "{\"b\" : 1 ,\"a\":{\"\\u0061\": [true]}, \"b\": -2.5}",
            map(&[
                ("b", integer("1")),
                ("a", map(&[("a", Value::from(vec![Value::from(true)]))])),
                ("b", Value::from(-2.5)),
            ]),
        ),
        (
            "{\n  \"NaN\": NaN,\n  \"7\": [\n    null\n  ]\n}",
            map(&[("NaN", Value::from(NAN)), ("7", Value::from(vec![Value::Null]))]),
        ),
    ];
    for (content, expected) in cases {
        let (value, _) = read_cut_everywhere(content.as_bytes()).unwrap_or_else(|reason| panic!("{content}: {reason}"));
        assert_eq!(&value, expected, "{content}");
    }
}

#[test]
fn what_python_refuses_is_refused_with_a_place_and_a_reason() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "0: the content ends in the middle"),
        (b"  ", "2: the content ends in the middle"),
        (b"[1, 2", "5: the content ends in the middle"),
        (b"[tru", "4: the content ends in the middle"),
        (b"\"abc", "4: the content ends in the middle"),
        (b"\"abc\\", "5: the content ends in the middle"),
        (b"{\"a\"", "4: the content ends in the middle"),
        (b"\xEF\xBB\xBF[]", "0: a byte order mark, which JSON may not start with"),
        (b"\xFF[]", "0: the byte 0xff where a value should be"),
        (b"[1 2]", "3: `2` where a comma or `]` should be"),
        (b"[1}", "2: `}` where a comma or `]` should be"),
        (b"[,1]", "1: `,` where a value or `]` should be"),
        (b"[1,]", "3: `]` where a value should be"),
        (b"[1,,2]", "3: `,` where a value should be"),
        (b"[1:2]", "2: `:` where a comma or `]` should be"),
        (b"]", "0: `]` where a value should be"),
        (b"[\x0c1]", "1: the byte 0x0c where a value or `]` should be"),
        (b"{1: 2}", "1: `1` where a key in double quotes or `}` should be"),
        (b"{'a': 2}", "1: `'` where a key in double quotes or `}` should be"),
        (b"{,}", "1: `,` where a key in double quotes or `}` should be"),
        (b"{]", "1: `]` where a key in double quotes or `}` should be"),
        (b"{\"a\": 1,}", "8: `}` where a key in double quotes should be"),
        (b"{\"a\" 1}", "5: `1` where a colon should be"),
        (b"{\"a\"}", "4: `}` where a colon should be"),
        (b"{\"a\"::1}", "5: `:` where a value should be"),
        (b"{\"a\":}", "5: `}` where a value should be"),
        (b"{\"a\":1 \"b\":2}", "7: `\"` where a comma or `}` should be"),
        (b"{\"a\":1]", "6: `]` where a comma or `}` should be"),
        (b"[] []", "3: `[` where nothing more should be"),
        (b"1 x", "2: `x` where nothing more should be"),
        (b"null\0", "4: the byte 0x00 where nothing more should be"),
        (b"[1] // done", "4: `/` where nothing more should be"),
        (b"[01]", "1: `01` is not a number as JSON writes it"),
        (b"[-01.5]", "1: `-01.5` is not a number as JSON writes it"),
        (b"+1", "0: `+1` is not a number as JSON writes it"),
        (b".5", "0: `.5` is not a number as JSON writes it"),
        (b"-.5", "0: `-.5` is not a number as JSON writes it"),
        (b"1.", "0: `1.` is not a number as JSON writes it"),
        (b"1.e5", "0: `1.e5` is not a number as JSON writes it"),
        (b"1e", "0: `1e` is not a number as JSON writes it"),
        (b"1e+", "0: `1e+` is not a number as JSON writes it"),
        (b"1e5.0", "0: `1e5.0` is not a number as JSON writes it"),
        (b"1.2.3", "0: `1.2.3` is not a number as JSON writes it"),
        (b"-", "0: `-` is not a number as JSON writes it"),
        (b"--1", "0: `--1` is not a number as JSON writes it"),
        (b"1_000", "0: `1_000` is not a number as JSON writes it"),
        (b"0x10", "0: `0x10` is not a number as JSON writes it"),
        (b"-NaN", "0: `-NaN` is not a number as JSON writes it"),
        (b"1.5inf", "0: `1.5inf` is not a number as JSON writes it"),
        (b"1e5e5", "0: `1e5e5` is not a number as JSON writes it"),
        (b"12abc", "0: `12abc` is not a number as JSON writes it"),
        (b"inf", "0: `inf` is a word that JSON does not know"),
        (b"[True]", "1: `True` is a word that JSON does not know"),
        (b"nullnull", "0: `nullnull` is a word that JSON does not know"),
        (b"[\"a\nb\"]", "3: a raw control character, 0x0a, in a string"),
        (b"\"\\n\0\"", "3: a raw control character, 0x00, in a string"),
        (b"\"\x1f\"", "1: a raw control character, 0x1f, in a string"),
        (b"\"a\\xb\"", "2: a backslash before `x`"),
        (b"\"\\\n\"", "1: a backslash before the byte 0x0a"),
        (b"\"\\u12g4\"", "1: an escape \\u without four hexadecimal digits"),
        (b"\"\\u+123\"", "1: an escape \\u without four hexadecimal digits"),
        (b"\"\\ud83d\\u12\"\"\"", "7: an escape \\u without four hexadecimal digits"),
        (b"\"\\ud83d\"", "1: half a surrogate pair, \\ud83d, which is no Unicode text"),
        (b"\"ab\\udE00\"", "3: half a surrogate pair, \\ude00, which is no Unicode text"),
        (b"\"\\ud83d\\n\"", "1: half a surrogate pair, \\ud83d, which is no Unicode text"),
        (b"\"\\ud83d\\u0041\"", "1: half a surrogate pair, \\ud83d, which is no Unicode text"),
        (b"\"\\ud83d\\ud83d\\ude00\"", "1: half a surrogate pair, \\ud83d, which is no Unicode text"),
        (b"\"ab\x80\"", "3: a string that is not UTF-8"),
        (b"\"\\n\xC3\"", "3: a string that is not UTF-8"),
        (b"{\"a\xED\xA0\xBD\": 1}", "3: a string that is not UTF-8"),
    ];
    for (content, expected) in cases {
        let shown = String::from_utf8_lossy(content);
        match read_cut_everywhere(content) {
            Ok((value, _)) => panic!("{shown} was read as {value:?}"),
            Err(reason) => assert_eq!(&reason, expected, "{shown}"),
        }
    }
}

#[test]
fn a_word_that_is_refused_is_shown_in_part() {
    let reason = read_cut_everywhere("a".repeat(100).as_bytes()).unwrap_err();
    assert_eq!(reason, format!("0: `{}...` is a word that JSON does not know", "a".repeat(40)));
}

#[test]
fn each_token_has_its_offset() {
    let (_, offsets) = read_cut_everywhere(b" {\"a\" : [ 12,\"\\n\", {} ]\n, \"b\":null}").unwrap();
    assert_eq!(offsets, [1, 2, 8, 10, 13, 19, 20, 22, 26, 30, 34]);
}

/// Levels inside of each other, in turn arrays and maps.
fn nested(depth: usize) -> String {
    let starts = (0..depth).map(|level| if level % 2 == 0 { "[" } else { "{\"\":" });
    let ends = (0..depth).rev().map(|level| if level % 2 == 0 { "]" } else { "}" });
    starts.chain(["0"]).chain(ends).collect()
}

#[test]
fn levels_are_limited_and_those_that_ended_do_not_count() {
    let limits = ImportLimits { depth: 5, ..ImportLimits::default() };
    assert!(read(format!("[{0},{0}]", nested(4)).as_bytes(), 7, limits).is_ok());
    let refused = read(nested(6).as_bytes(), 7, limits).unwrap_err();
    assert_eq!(describe(&refused), "depth: 6 of 5");
    let refused = read(nested(100_000).as_bytes(), 4096, ImportLimits::default()).unwrap_err();
    assert_eq!(describe(&refused), "depth: 134 of 133");
    // Without a limit there is no stack that could overflow.
    let limits = ImportLimits { depth: u64::MAX, ..limits };
    let content = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let mut json = json(content.as_bytes(), 4096, limits);
    let ends = (0..2_000_000).filter(|_| matches!(json.next().unwrap(), Token::End)).count();
    assert_eq!(ends, 1_000_000);
    json.finish().unwrap();
}

#[test]
fn strings_are_limited_by_their_text_not_by_how_it_is_written() {
    let limits = ImportLimits { string_len: 6, ..ImportLimits::default() };
    for content in
        ["\"123456\"", "\"123\\n56\"", r#""\u65e5\u672c""#, r#""\ud83d\ude00\t\t""#, "\"日本\"", "{\"123456\":0}"]
    {
        for piece_len in 1..=content.len() {
            assert!(read(content.as_bytes(), piece_len, limits).is_ok(), "{content} in pieces of {piece_len}");
        }
    }
    for content in [
        r#""1234567""#,
        r#""123\n567""#,
        r#""1234\u65e5""#,
        r#""12345\t7""#,
        r#""\ud83d\ude00\t\t\t""#,
        r#"{"1234567":0}"#,
    ] {
        for piece_len in 1..=content.len() {
            let refused = read(content.as_bytes(), piece_len, limits).unwrap_err();
            assert_eq!(describe(&refused), "string_len: 7 of 6", "{content} in pieces of {piece_len}");
        }
    }
}

#[test]
fn numbers_are_limited() {
    let longest = "7".repeat(NUMBER_LEN_MAX as usize - 1);
    for text in [format!("7{longest}"), format!("-{longest}")] {
        let (value, _) = read(text.as_bytes(), 1 << 12, ImportLimits::default()).unwrap();
        assert!(value == integer(&text));
    }
    let digits = "3".repeat(NUMBER_LEN_MAX as usize - 2);
    let (value, _) = read(format!("0.{digits}").as_bytes(), 1 << 12, ImportLimits::default()).unwrap();
    assert_eq!(value, Value::from(1.0 / 3.0));
    for too_long in [format!("[0.{digits}3]"), format!("[{digits}777]"), format!("[{digits}{digits}{digits}]")] {
        for piece_len in [1, 1000, 1 << 20] {
            let refused = read(too_long.as_bytes(), piece_len, ImportLimits::default()).unwrap_err();
            assert_eq!(describe(&refused), "1: a number or word of more than 65536 characters");
        }
    }
}

#[test]
fn a_long_string_is_read_and_only_one_with_escapes_is_copied() {
    let long = "0123456789abcdé\u{2028}".repeat(1 << 16);
    for (content, expected, is_copied) in [
        (format!("[\"{long}\",\"a\\n\"]"), long.clone(), false),
        (format!("[\"{long}\\\"{long}\",\"a\\n\"]"), format!("{long}\"{long}"), true),
    ] {
        for piece_len in [1, 4093, 64 << 10, content.len()] {
            let mut json = json(content.as_bytes(), piece_len, ImportLimits::default());
            json.next().unwrap();
            assert!(matches!(json.next().unwrap(), Token::Scalar(ValueRef::Text(text)) if text == expected));
            assert_eq!(json.text.capacity() > 0, is_copied);
            assert!(matches!(json.next().unwrap(), Token::Scalar(ValueRef::Text("a\n"))));
            assert!(json.text.capacity() <= TEXT_LEN_KEPT, "memory for the long string is given back");
        }
    }
}

#[test]
fn what_is_too_long_is_not_read_on() {
    let limits = ImportLimits { string_len: 1000, ..ImportLimits::default() };
    let plain = format!("\"{}", "a".repeat(1 << 20));
    let escaped = format!("\"\\n{}", "a".repeat(1 << 20));
    let number = "1".repeat(1 << 20);
    for (content, most) in [(plain, 1100), (escaped, 1100), (number, NUMBER_LEN_MAX + 100)] {
        let mut json = json(content.as_bytes(), 10, limits);
        json.next().unwrap_err();
        assert!(json.input.read_len() < most, "{} bytes were read", json.input.read_len());
    }
}

#[test]
fn nothing_is_asked_of_the_content_beyond_the_token() {
    let content = br#"["abc", 12, "d\n"]  "#;
    let mut json = json(content, 1, ImportLimits::default());
    for read_len in [1, 6, 11, 17, 18] {
        json.next().unwrap();
        assert_eq!(json.input.read_len(), read_len);
    }
    json.finish().unwrap();
    assert_eq!(json.input.read_len(), content.len() as u64);
}

#[test]
fn a_document_that_is_not_complete_does_not_finish() {
    let mut json = json(b"[1 ", 1, ImportLimits::default());
    json.next().unwrap();
    json.next().unwrap();
    assert_eq!(describe(&json.finish().unwrap_err()), "3: the content ends in the middle");
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn text(&mut self) -> String {
        let chars =
            ['a', '7', ' ', '"', '\\', '/', '\0', '\n', '\u{1f}', '\u{7f}', 'é', '日', '\u{ffff}', '😀', '\u{10ffff}'];
        (0..self.below(12)).map(|_| self.of(&chars)).collect()
    }

    /// A tree, and a text of it.
    fn tree(&mut self, depth: u64, out: &mut String) -> Value {
        self.blanks(out);
        let value = match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => {
                let (value, word) = self.of(&[(None, "null"), (Some(true), "true"), (Some(false), "false")]);
                out.push_str(word);
                Value::from(value)
            }
            1 => {
                let int = (self.below(u64::MAX) as i64) >> self.below(64);
                out.push_str(&int.to_string());
                Value::from(int)
            }
            2 => {
                let float = f64::from_bits(self.below(u64::MAX));
                let float = if float.is_finite() { float } else { 0.5 };
                out.push_str(&if self.below(2) == 0 { format!("{float:e}") } else { format!("{float:?}") });
                Value::from(float)
            }
            3 | 4 => {
                let text = self.text();
                self.quote(&text, out);
                Value::from(text)
            }
            5 | 6 => {
                out.push('[');
                let values = self.items(out, |random, out| random.tree(depth - 1, out));
                out.push(']');
                Value::Array(values)
            }
            _ => {
                out.push('{');
                let pairs = self.items(out, |random, out| {
                    random.blanks(out);
                    let key = random.text();
                    random.quote(&key, out);
                    random.blanks(out);
                    out.push(':');
                    (Value::from(key), random.tree(depth - 1, out))
                });
                out.push('}');
                Value::Map(pairs)
            }
        };
        self.blanks(out);
        value
    }

    fn items<T>(&mut self, out: &mut String, mut item: impl FnMut(&mut Self, &mut String) -> T) -> Vec<T> {
        let count = self.below(5);
        let mut items = Vec::new();
        for index in 0..count {
            if index > 0 {
                out.push(',');
            }
            items.push(item(self, out));
        }
        if count == 0 {
            self.blanks(out);
        }
        items
    }

    fn blanks(&mut self, out: &mut String) {
        for _ in 0..self.below(6).saturating_sub(3) {
            out.push(self.of(&[' ', '\n', '\r', '\t']));
        }
    }

    /// Writes a string, each character in one of the ways there are.
    fn quote(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for char in text.chars() {
            let short = [('"', '"'), ('\\', '\\'), ('/', '/'), ('\n', 'n')].iter().find(|(plain, _)| *plain == char);
            let must = char < ' ' || char == '"' || char == '\\';
            match (self.below(4), short) {
                (0, Some((_, letter))) => out.extend(['\\', *letter]),
                (0 | 1, _) => self.escape(char, out),
                _ if must => self.escape(char, out),
                _ => out.push(char),
            }
        }
        out.push('"');
    }

    fn escape(&mut self, char: char, out: &mut String) {
        for unit in char.encode_utf16(&mut [0; 2]) {
            out.push_str(&if self.below(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") });
        }
    }
}

/// Whether a tree is what serde_json has read. It keeps the last of equal keys, may have floats where 64 bits are
/// not enough and for `-0`, and may be one step off with floats. Infinite ones it refuses or does not convert.
fn is_same(ours: &Value, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Int(a), Theirs::Number(b)) => {
            let may_be_float = i64::try_from(*a).is_err() || *a == 0;
            a.to_string() == b.to_string() || (may_be_float && b.as_f64() == Some(*a as f64))
        }
        (Value::Float(a), Theirs::Number(b)) => {
            b.as_f64().map_or(a.is_infinite(), |b| (a - b).abs() <= a.abs() * 1e-15 || *a == b)
        }
        (Value::Text(a), Theirs::String(b)) => a == b,
        (Value::Array(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Map(a), Theirs::Object(b)) => {
            let last: std::collections::HashMap<_, _> =
                a.iter().map(|(key, value)| (key.as_str().unwrap(), value)).collect();
            last.len() == b.len() && last.iter().all(|(key, a)| b.get(*key).is_some_and(|b| is_same(a, b)))
        }
        _ => false,
    }
}

#[test]
fn random_trees_are_read_as_they_were_written_and_as_serde_json_reads_them() {
    for seed in 0..2_000 {
        let mut content = String::new();
        let mut random = Random(seed);
        let written = random.tree(4, &mut content);
        let piece_len = 1 + random.below(content.len() as u64 + 1) as usize;
        let (ours, _) = read(content.as_bytes(), piece_len, ImportLimits::default())
            .unwrap_or_else(|refused| panic!("seed {seed}: {}: {content}", describe(&refused)));
        assert_eq!(ours, written, "seed {seed}: {content}");
        let theirs: Theirs = serde_json::from_str(&content).unwrap();
        assert!(is_same(&ours, &theirs), "seed {seed}: {content}");
        let pretty = serde_json::to_string_pretty(&theirs).unwrap();
        let (again, _) = read(pretty.as_bytes(), piece_len, ImportLimits::default()).unwrap();
        assert!(is_same(&again, &theirs), "seed {seed}: {pretty}");
    }
}

#[test]
fn bytes_changed_at_random_are_refused_exactly_where_serde_json_refuses_them() {
    let bytes = b"[]{}:,\"\\u0123ed89.+- \n\x01\x80\xC3tfn/";
    let mut refusals = 0;
    for seed in 0..4_000 {
        let mut content = String::new();
        let mut random = Random(seed);
        random.tree(2, &mut content);
        let mut content = content.into_bytes();
        for _ in 0..1 + random.below(2) {
            let at = random.below(content.len() as u64) as usize;
            content[at] = random.of(bytes);
        }
        let ours = read(&content, content.len(), ImportLimits::default());
        match (ours, serde_json::from_slice::<Theirs>(&content)) {
            (Ok((ours, _)), Ok(theirs)) => assert!(is_same(&ours, &theirs), "seed {seed}: {content:?}"),
            (Err(_), Err(_)) => refusals += 1,
            // There a float may not be infinite.
            (Ok(_), Err(error)) if error.to_string().contains("number out of range") => {}
            (ours, theirs) => {
                let shown = String::from_utf8_lossy(&content);
                panic!("seed {seed}: {shown}: {ours:?} and {theirs:?}");
            }
        }
    }
    assert!(refusals > 1_000, "{refusals} refusals");
}

#[test]
fn every_prefix_of_a_document_is_refused() {
    let content = r#"{"a\n": [1, -2.5e3, "é\ud83d\ude00", {"b": null}], "NaN": -Infinity, "": [[], {}]}"#.as_bytes();
    read(content, 3, ImportLimits::default()).unwrap();
    for len in 0..content.len() {
        for piece_len in [1, 3, 1000] {
            let refused = read(&content[..len], piece_len, ImportLimits::default()).unwrap_err();
            assert_eq!(describe(&refused), format!("{len}: the content ends in the middle"));
        }
    }
}
