//! Values as JSON text and back, without loss.
//!
//! | value | JSON |
//! |---|---|
//! | null, booleans, text, arrays | themselves |
//! | integers of any size | a number without `.` or exponent |
//! | finite floats | a number with `.` or exponent, the shortest that reads back as the same bits: `1.0`, `-0.0`, `1e16` |
//! | maps whose keys are distinct texts | an object, pairs in order |
//! | NaN and the infinities | `{"$float": "NaN"}`, `"Infinity"`, `"-Infinity"`; any other NaN by its bits, `"0x7ff0000000000001"` |
//! | bytes | `{"$bytes": "base64"}` |
//! | timestamps | `{"$timestamp": "2013-01-01T10:00:00.000000001Z"}`; outside of the years 0 to 9999 `[seconds, nanoseconds]` |
//! | other ext values | `{"$ext": [code, "base64"]}` |
//! | any other map | `{"$map": [[key, value], ...]}` |
//!
//! An object whose *only* name begins with `$` is always a tag, so a map with one such key is written as `$map`, and a tag that is
//! not in this table is refused: nothing is ambiguous, and nothing a later version adds is silently taken for a map.
//!
//! The reader is strict (RFC 8259) and stricter in one point: an object may not name a thing twice. It is written by
//! hand because general-purpose readers lose such a repetition without a word, and with it the order or an integer's digits.
//!
//! Depends on the values of the library only.

mod reader;
mod tag;
mod timestamp;
mod writer;

pub(crate) use reader::{parse_attributes, parse_members, parse_value};
pub(crate) use writer::{write_map, write_text, write_value, write_value_ref};

#[cfg(test)]
mod tests {
    use super::*;
    use vector_datalib::{Timestamp, Value, ValueBuf};

    fn text_of(value: &Value) -> String {
        let mut out = String::new();
        write_value(value, &mut out);
        out
    }

    #[track_caller]
    fn both_ways(value: Value, text: &str) {
        assert_eq!(text_of(&value), text);
        assert_eq!(parse_value(text).unwrap(), value, "{text}");
        serde_json::from_str::<serde_json::Value>(text).unwrap();
        let buf = ValueBuf::try_from(value).unwrap();
        let mut borrowed = String::new();
        write_value_ref(buf.as_ref(), &mut borrowed).unwrap();
        assert_eq!(borrowed, text);
    }

    fn map<const N: usize>(pairs: [(Value, Value); N]) -> Value {
        Value::Map(pairs.into())
    }

    #[test]
    fn what_json_holds_by_itself() {
        both_ways(Value::Null, "null");
        both_ways(true.into(), "true");
        both_ways(false.into(), "false");
        both_ways("".into(), r#""""#);
        both_ways(
            "é\u{1F600}\"\\\n\r\t\u{8}\u{c}\u{1}/\u{2028}".into(),
            "\"é\u{1F600}\\\"\\\\\\n\\r\\t\\b\\f\\u0001/\u{2028}\"",
        );
        both_ways("\u{7f}\u{9b}[2J\u{a0}".into(), "\"\\u007f\\u009b[2J\u{a0}\"");
        both_ways(Value::Array(vec![]), "[]");
        both_ways(Value::Array(vec![1.into(), "1".into(), 1.0.into()]), r#"[1,"1",1.0]"#);
        both_ways(map([]), "{}");
        both_ways(map([("b".into(), 1.into()), ("a".into(), Value::Null)]), r#"{"b":1,"a":null}"#);
    }

    #[test]
    fn integers_of_any_size_keep_every_digit() {
        both_ways(0.into(), "0");
        both_ways(i64::MIN.into(), "-9223372036854775808");
        both_ways(u64::MAX.into(), "18446744073709551615");
        both_ways(i128::MAX.into(), "170141183460469231731687303715884105727");
        let digits = "9".repeat(400);
        both_ways(Value::parse_integer(&digits).unwrap(), &digits);
        both_ways(Value::parse_integer(&format!("-{digits}")).unwrap(), &format!("-{digits}"));
    }

    #[test]
    fn floats_keep_every_bit_and_never_turn_into_integers() {
        both_ways(1.0.into(), "1.0");
        both_ways(0.1.into(), "0.1");
        both_ways((-0.0).into(), "-0.0");
        both_ways(1e16.into(), "1e16");
        both_ways(5e-324.into(), "5e-324");
        both_ways(f64::MAX.into(), "1.7976931348623157e308");
        both_ways(f64::NAN.into(), r#"{"$float":"NaN"}"#);
        both_ways(f64::INFINITY.into(), r#"{"$float":"Infinity"}"#);
        both_ways(f64::NEG_INFINITY.into(), r#"{"$float":"-Infinity"}"#);
        both_ways(f64::from_bits(0x7ff0_0000_0000_0001).into(), r#"{"$float":"0x7ff0000000000001"}"#);
        both_ways(f64::from_bits(0xfff8_0000_0000_0000).into(), r#"{"$float":"0xfff8000000000000"}"#);
        let mut bits = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            let float = Value::from(f64::from_bits(bits));
            assert_eq!(parse_value(&text_of(&float)).unwrap(), float, "{bits:#x}");
        }
    }

    #[test]
    fn tagged_values() {
        both_ways(Value::Bytes(vec![]), r#"{"$bytes":""}"#);
        both_ways(Value::Bytes(vec![0, 255, 62]), r#"{"$bytes":"AP8+"}"#);
        both_ways(Value::Bytes(vec![7]), r#"{"$bytes":"Bw=="}"#);
        both_ways(Value::ext(-7, vec![1]), r#"{"$ext":[-7,"AQ=="]}"#);
        let time = |seconds, nanoseconds| Value::Timestamp(Timestamp::new(seconds, nanoseconds).unwrap());
        both_ways(time(1_357_034_400, 1), r#"{"$timestamp":"2013-01-01T10:00:00.000000001Z"}"#);
        both_ways(time(i64::MAX, 5), r#"{"$timestamp":[9223372036854775807,5]}"#);
    }

    #[test]
    fn maps_that_are_not_objects() {
        both_ways(map([(1.into(), "x".into())]), r#"{"$map":[[1,"x"]]}"#);
        both_ways(map([("a".into(), 1.into()), ("a".into(), 2.into())]), r#"{"$map":[["a",1],["a",2]]}"#);
        both_ways(map([("$bytes".into(), "AA==".into())]), r#"{"$map":[["$bytes","AA=="]]}"#);
        both_ways(map([("$".into(), 1.into())]), r#"{"$map":[["$",1]]}"#);
        both_ways(map([("$a".into(), 1.into()), ("$b".into(), 2.into())]), r#"{"$a":1,"$b":2}"#);
        both_ways(
            map([(map([("$x".into(), Value::Bytes(vec![0]))]), Value::Array(vec![f64::NAN.into()]))]),
            r#"{"$map":[[{"$map":[["$x",{"$bytes":"AA=="}]]},[{"$float":"NaN"}]]]}"#,
        );
        both_ways(
            map([("$serde_json::private::Number".into(), "1".into())]),
            r#"{"$map":[["$serde_json::private::Number","1"]]}"#,
        );
        let many: Vec<_> = (0..100).map(|i| (Value::from(format!("k{i}")), Value::from(i))).collect();
        assert!(text_of(&Value::Map(many.clone())).starts_with(r#"{"k0":0,"#));
        let twice = [many, vec![("k7".into(), 7.into())]].concat();
        assert!(text_of(&Value::Map(twice)).starts_with(r#"{"$map":"#));
    }

    /// Numbers that are the same in every run (xorshift).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        fn text(&mut self) -> String {
            let alphabet: Vec<char> = "$$ab\"\\/\n\u{0}\u{7f}\u{85}é\u{2028}\u{ffff}\u{1F600}".chars().collect();
            (0..self.below(4)).filter_map(|_| alphabet.get(self.below(alphabet.len() as u64) as usize)).collect()
        }

        fn bytes(&mut self) -> Vec<u8> {
            (0..self.below(6)).map(|_| self.next() as u8).collect()
        }

        fn value(&mut self, depth: u64) -> Value {
            match self.below(if depth == 0 { 9 } else { 12 }) {
                0 => Value::Null,
                1 => (self.below(2) == 1).into(),
                2 => (self.next() as i64 >> self.below(64)).into(),
                3 => {
                    let magnitude: Vec<u8> = (0..self.below(40)).map(|_| self.next() as u8).collect();
                    Value::big_int(self.below(2) == 1, &magnitude)
                }
                4 => f64::from_bits(self.next()).into(),
                5 => self.text().into(),
                6 => self.bytes().into(),
                7 => Value::Timestamp(
                    Timestamp::new(self.next() as i64 >> self.below(64), self.below(1_000_000_000) as u32).unwrap(),
                ),
                8 => Value::ext(self.next() as i8, self.bytes()),
                9 => Value::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
                10 => Value::Map((0..self.below(4)).map(|_| (self.text().into(), self.value(depth - 1))).collect()),
                _ => Value::Map((0..self.below(3)).map(|_| (self.value(depth - 1), self.value(depth - 1))).collect()),
            }
        }
    }

    #[test]
    fn random_values_come_back_as_they_were() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for _ in 0..20_000 {
            let value = random.value(4);
            let text = text_of(&value);
            both_ways(value, &text);
        }
    }

    #[test]
    fn the_deepest_value_survives() {
        let mut value = Value::Null;
        for level in 0..vector_datalib_nesting() {
            value = if level % 2 == 0 { map([(Value::Array(vec![]), value)]) } else { Value::Array(vec![value]) };
        }
        assert_eq!(parse_value(&text_of(&value)).unwrap(), value);
    }

    /// As deep as the library stores values.
    fn vector_datalib_nesting() -> usize {
        let deep = |levels: usize| (0..levels).fold(Value::Null, |value, _| Value::Array(vec![value]));
        (1..1000).take_while(|&levels| ValueBuf::try_from(deep(levels)).is_ok()).count()
    }

    #[test]
    fn the_attributes_of_a_point_are_never_a_tag() {
        let attributes = parse_attributes(r#" {"$bytes": {"$bytes": "AA=="}, "b": null} "#).unwrap();
        assert_eq!(attributes, [("$bytes".to_owned(), Value::Bytes(vec![0])), ("b".to_owned(), Value::Null)]);
        assert_eq!(parse_attributes("{}").unwrap(), []);
        assert_eq!(parse_attributes(r#"{"$bytes":"AA=="}"#).unwrap(), [("$bytes".to_owned(), "AA==".into())]);
        let line = r#"{"key":{"$bytes":"AA=="},"attributes":{"$bytes":"AA=="}}"#;
        let plain = |content: Value| map([("$bytes".into(), content)]);
        assert_eq!(
            parse_members(line, Some("attributes")).unwrap(),
            [("key".to_owned(), Value::Bytes(vec![0])), ("attributes".to_owned(), plain("AA==".into()))]
        );
        assert_eq!(parse_members(line, None).unwrap()[1].1, Value::Bytes(vec![0]));
        for (text, reason) in [
            ("[1]", "an object is expected at byte 0"),
            ("{\"a\":1,\"a\":2}", "an object names \"a\" twice at byte 7"),
            ("{} x", "the text goes on after the value at byte 3"),
        ] {
            assert_eq!(parse_attributes(text).unwrap_err().to_string(), reason);
        }
    }
}
