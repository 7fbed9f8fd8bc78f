//! The containers of releases before 1.4: gzip around MessagePack or JSON.

use super::case::{Case, Expected, check, import_in_memory};
use super::draft::{draft, points, points_of};
use super::node::Width;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use std::io::Write as _;
use vector_datalib::{Error, Import, ImportLimits, Value};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn content() -> Vec<u8> {
    draft().encode(Width::Shortest)
}

/// The draft as releases before 1.2 wrote it, with a value for "Alice".
fn json_with(value: &str) -> String {
    format!(
        r#"{{
  "metadata": {{"version": "1.0.1-beta", "created_at": "2026-01-02T03:04:05.678901", "last_modified": "2026-01-02T03:04:06",
    "total_vector_points": 2, "total_dimensions": 2}},
  "database": {{
    "central_axis": {{"vector_points": ["a", null, 7], "coordinate_map": {{"a": 0, "7": 2}}}},
    "dimensional_spaces": {{
      "age": {{"value_domain": {{"1": 25, "2": 31}}, "value_to_id": {{"25": 1, "31": 2}}, "next_id": 3}},
      "name": {{"value_domain": {{"1": {value}}}, "value_to_id": {{"x": 1}}, "next_id": 2}}
    }},
    "coordinate_mappings": {{"age": {{"0": 1, "2": 2}}, "name": {{"0": 1}}}}
  }}
}}"#
    )
}

fn json() -> String {
    json_with("\"Alice\"")
}

fn json_value(name: &str, json: &str, value: Value) -> Case {
    let points =
        points_of([(0, "a".into(), &[("age", 25.into()), ("name", value)][..]), (2, 7.into(), &[("age", 31.into())])]);
    Case::new(format!("json: {name}"), gzip(json_with(json).as_bytes()), Expected::Points(points, vec![]))
}

fn readable() -> Vec<Case> {
    let big = |digits| Value::parse_integer(digits).expect("digits");
    let mut named = GzBuilder::new()
        .filename("old.db")
        .comment("x")
        .extra(vec![1, 2, 3])
        .mtime(5)
        .write(Vec::new(), Compression::best());
    named.write_all(&content()).unwrap();
    let digits = "-123456789012345678901234567890123456789012345678901234567890";
    vec![
        Case::same("gzip: MessagePack", gzip(&content()), &[]),
        Case::same("gzip: MessagePack in the widest encodings", gzip(&draft().encode(Width::Widest)), &[]),
        Case::same("gzip: every part of a header", named.finish().unwrap(), &[]),
        Case::same("json: as it is", gzip(json().as_bytes()), &[]),
        Case::same("json: without blanks", gzip(json().replace([' ', '\n'], "").as_bytes()), &[]),
        Case::same("json: blanks behind", gzip(format!("{} \r\n\t", json()).as_bytes()), &[]),
        json_value("NaN", "NaN", f64::NAN.into()),
        json_value("Infinity", "Infinity", f64::INFINITY.into()),
        json_value("-Infinity", "-Infinity", f64::NEG_INFINITY.into()),
        json_value("2^64", "18446744073709551616", big("18446744073709551616")),
        json_value("a long integer", digits, big(digits)),
        json_value("more digits than Python takes by default", &"7".repeat(5000), big(&"7".repeat(5000))),
        json_value("a float of very many digits", &format!("0.{}", "3".repeat(65_534)), (1.0 / 3.0).into()),
        json_value("a float", "1e2", 100.0.into()),
        json_value("negative zero", "-0.0", (-0.0).into()),
        json_value("the smallest float", "5e-324", 5e-324.into()),
        json_value(
            "escapes",
            r#""\u0041\ud83d\ude00\n\"\\\/\b\f\r\t\u0000""#,
            "A\u{1F600}\n\"\\/\u{8}\u{c}\r\t\0".into(),
        ),
        json_value("null", "null", Value::Null),
        json_value("true", "true", true.into()),
        json_value(
            "an array",
            "[1, [\"x\"], {}]",
            Value::Array(vec![1.into(), Value::Array(vec!["x".into()]), Value::Map(vec![])]),
        ),
        json_value(
            "an object",
            r#"{"b": 1, "a": null}"#,
            Value::Map(vec![("b".into(), 1.into()), ("a".into(), Value::Null)]),
        ),
        json_value(
            "an object in which a name comes twice",
            r#"{"a": 1, "a": 2}"#,
            Value::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]),
        ),
        Case::same(
            "json: a map of coordinates that is passed over, whatever is in it",
            gzip(json().replace(r#"{"a": 0, "7": 2}"#, r#"{"a": "x", "null": [-1], "a": {}}"#).as_bytes()),
            &[],
        ),
        Case::same("json: blanks before", gzip(format!("\t\r\n {}", json()).as_bytes()), &[]),
        Case::same("gzip: zeros behind", [gzip(&content()), vec![0; 10]].concat(), &[("trailing_bytes", 10)]),
        Case::same(
            "gzip: in two members with zeros between and behind",
            [gzip(&content()[..100]), vec![0; 10], gzip(&content()[100..]), vec![0; 5]].concat(),
            &[("trailing_bytes", 5)],
        ),
        // 7 and "7" are one key there, so the map says nothing.
        Case::same(
            "json: keys that collide in the map",
            gzip(json().replace(r#"{"a": 0, "7": 2}"#, r#"{"a": 0, "7": 0}"#).as_bytes()),
            &[],
        ),
    ]
}

#[test]
fn files_of_old_releases_are_read() {
    check(readable());
}

fn refused() -> Vec<Case> {
    let rejected =
        |name: &str, json: String| Case::new(format!("json: {name}"), gzip(json.as_bytes()), Expected::Refused);
    let mut wrong_sum = gzip(&content());
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let mut wrong_len = gzip(&content());
    let at = wrong_len.len() - 1;
    wrong_len[at] ^= 1;
    let deep = |open: &str| open.repeat(100_000);
    let mut bytes = json().into_bytes();
    let at = bytes.windows(5).position(|window| window == b"Alice").unwrap();
    bytes[at] = 0xFF;
    vec![
        Case::rejected("gzip: wrong checksum", wrong_sum, &["gzip"]),
        Case::rejected("gzip: wrong length", wrong_len, &["gzip"]),
        Case::rejected("gzip: nothing in it", gzip(b""), &[]),
        Case::rejected(
            "gzip: bytes behind the MessagePack value",
            gzip(&[content(), vec![1]].concat()),
            &["bytes follow"],
        ),
        rejected("text behind it", format!("{} x", json())),
        rejected("a second value", json().repeat(2)),
        rejected("cut short", json()[..500].to_owned()),
        rejected("a trailing comma", json_with("[1,]")),
        rejected("a lone surrogate", json_with(r#""\ud800""#)),
        rejected("a line break in a text", json_with("\"a\nb\"")),
        rejected("an escape that is none", json_with(r#""\x""#)),
        rejected("a number that is none", json_with("01")),
        rejected("a word", json_with("nan")),
        rejected("a comment", json_with("/* */ 1")),
        rejected("single quotes", json_with("'x'")),
        rejected("deep arrays", json_with(&deep("["))),
        rejected("deep objects", json_with(&deep("{\"a\":"))),
        rejected("deep where nothing is known", format!("{{\"later\":{}", deep("["))),
        rejected("a value id that is not there", json().replace(r#""name": {"0": 1}"#, r#""name": {"0": 9}"#)),
        Case::rejected(
            "gzip: bytes behind",
            [gzip(&content()), b"junk".to_vec()].concat(),
            &["at byte ", " of the file"],
        ),
        Case::rejected(
            "json: a blank that is none",
            gzip(format!("\u{C}{}", json()).as_bytes()),
            &["an integer where a map belongs"],
        ),
        Case::rejected(
            "json: a byte order mark",
            gzip(format!("\u{FEFF}{}", json()).as_bytes()),
            &["an integer where a map belongs"],
        ),
        Case::rejected(
            "json: a number of too many characters",
            gzip(json_with(&format!("0.{}", "3".repeat(65_535))).as_bytes()),
            &["more than 65536 characters"],
        ),
        Case::new("json: text that is not UTF-8", gzip(&bytes), Expected::Refused),
        Case::new("gzip: bomb", gzip_bomb(), Expected::Limit("inflated_ratio")),
    ]
}

/// A MessagePack map with an unknown field of 255 MiB of zeros.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"\x82\xA1x\xC6\x0F\xF0\0\0").unwrap();
    let zeros = vec![0; 1 << 20];
    (0..256).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn damaged_files_of_old_releases_are_refused() {
    check(refused());
}

#[test]
fn names_of_fields_are_no_strings_that_are_limited() {
    let with = |string_len| {
        let mut limits = ImportLimits::default();
        limits.string_len = string_len;
        import_in_memory(&gzip(json().as_bytes()), Import::new().limits(limits), "json")
    };
    with(5).unwrap().check(&points()).unwrap();
    let error = with(4).err().unwrap();
    assert!(matches!(error, Error::Limit { limit: "string_len", value: 5, allowed: 4, .. }), "{error}");
}

#[test]
fn gzip_cut_at_any_byte_is_refused() {
    for file in [gzip(&content()), gzip(json().as_bytes())] {
        assert_eq!(super::case::points_only(&file), points());
        for len in 0..file.len() {
            let result = import_in_memory(&file[..len], Import::new(), &format!("{len} bytes"));
            let error = result.err().unwrap_or_else(|| panic!("imported from {len} of {} bytes", file.len()));
            assert!(error.is_rejected(), "{len} bytes: {error}");
        }
    }
}

#[test]
fn any_bit_of_gzip_turned_over_is_refused_or_changes_nothing() {
    let file = gzip(&content());
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(imported) = import_in_memory(&flipped, Import::new(), &format!("bit {bit}")) {
            imported.check(&points()).unwrap_or_else(|difference| panic!("bit {bit}: {difference}"));
        }
    }
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [readable(), refused()].concat()
}
