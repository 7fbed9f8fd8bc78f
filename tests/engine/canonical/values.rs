//! Keys and values of every type, plain and in the ext values of this format.

use super::case::{Case, Expected, check};
use super::draft::{AXIS, MAPPINGS, SPACES, edited, points_of};
use super::node::{NIL, Node, array, bytes, ext, map, raw};
use crate::support::contents::Point;
use crate::support::refusing::RefusingStorage;
use std::path::Path;
use std::sync::Arc;
use vector_datalib::internals::SourceFile;
use vector_datalib::{Import, Options, Timestamp, Value};

/// The draft with a value for "Alice".
fn valued(name: &str, node: Node, value: Value) -> Case {
    let file = edited(|file| file.set(&format!("{SPACES}/name/value_domain/1"), node));
    let points =
        points_of([(0, "a".into(), &[("age", 25.into()), ("name", value)][..]), (2, 7.into(), &[("age", 31.into())])]);
    Case::new(format!("value: {name}"), file, Expected::Points(points, vec![]))
}

/// The draft with a key for "a".
fn keyed(name: &str, node: Node, key: Value) -> Case {
    let file = edited(|file| {
        file.set(&format!("{AXIS}/vector_points/0"), node.clone());
        file.set(&format!("{AXIS}/coordinate_map/0/0"), node);
    });
    let points = points_of([
        (0, key, &[("age", 25.into()), ("name", "Alice".into())][..]),
        (2, 7.into(), &[("age", 31.into())]),
    ]);
    Case::new(format!("key: {name}"), file, Expected::Points(points, vec![]))
}

fn big(digits: &str) -> Value {
    Value::parse_integer(digits).expect("digits")
}

/// What may be a key, and so a value too.
fn keys() -> Vec<(&'static str, Node, Value)> {
    let time = |seconds, nanoseconds| Value::from(Timestamp::new(seconds, nanoseconds).expect("a time"));
    vec![
        ("text", "é".into(), "é".into()),
        ("empty text", "".into(), "".into()),
        ("text in four bytes of length", raw(b"\xDB\0\0\0\x01x".to_vec()), "x".into()),
        ("bytes", bytes(b"\xFF\0"), vec![0xFFu8, 0].into()),
        ("bytes in four bytes of length", raw(b"\xC6\0\0\0\x01x".to_vec()), vec![b'x'].into()),
        ("true", true.into(), true.into()),
        ("1 beside 1.0", 1.into(), 1.into()),
        ("1 in nine bytes", raw(b"\xD3\0\0\0\0\0\0\0\x01".to_vec()), 1.into()),
        ("the lowest integer", Node::Int(i64::MIN.into()), i64::MIN.into()),
        ("the highest integer", Node::Int(u64::MAX.into()), u64::MAX.into()),
        ("float", 1.0.into(), 1.0.into()),
        ("float of 32 bits", 1.5f32.into(), 1.5.into()),
        ("negative zero", (-0.0).into(), (-0.0).into()),
        (
            "NaN with a payload",
            f64::from_bits(0xFFF8_0000_0000_0123).into(),
            f64::from_bits(0xFFF8_0000_0000_0123).into(),
        ),
        ("timestamp of 32 bits", raw(b"\xD6\xFF\0\0\0\x05".to_vec()), time(5, 0)),
        ("timestamp of 64 bits", raw(b"\xD7\xFF\0\0\0\x04\0\0\0\x05".to_vec()), time(5, 1)),
        ("timestamp of 96 bits", raw(b"\xC7\x0C\xFF\0\0\0\x07\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF".to_vec()), time(-1, 7)),
        (
            "timestamp in a longer form than need be",
            raw(b"\xC7\x0C\xFF\0\0\0\0\0\0\0\0\0\0\0\x05".to_vec()),
            time(5, 0),
        ),
        ("ext", ext(42, b"xy"), Value::ext(42, b"xy".to_vec())),
        ("ext without data", ext(42, b""), Value::ext(42, vec![])),
        ("ext with a negative code", ext(-77, b"x"), Value::ext(-77, b"x".to_vec())),
        ("ext -1 that is no timestamp", ext(-1, b"x"), Value::ext(-1, b"x".to_vec())),
        ("array", array(["a".into(), 1.into(), true.into()]), Value::Array(vec!["a".into(), 1.into(), true.into()])),
        ("empty array", array([]), Value::Array(vec![])),
        (
            "array in wide encodings",
            raw(b"\xDD\0\0\0\x02\xCF\0\0\0\0\0\0\0\x01\xD9\x01x".to_vec()),
            Value::Array(vec![1.into(), "x".into()]),
        ),
        (
            "array of a 32-bit float and a long timestamp",
            array([1.5f32.into(), raw(b"\xC7\x0C\xFF\0\0\0\0\0\0\0\0\0\0\0\x05".to_vec())]),
            Value::Array(vec![1.5.into(), time(5, 0)]),
        ),
        ("wrapped true", ext(0x56, b"\x03\xC3"), true.into()),
        ("wrapped 1.0", ext(0x56, b"\x03\xCB\x3F\xF0\0\0\0\0\0\0"), 1.0.into()),
        ("wrapped ext -2", ext(0x56, b"\x03\xD4\xFEa"), Value::ext(-2, b"a".to_vec())),
        ("wrapped ext -1", ext(0x56, b"\x03\xC7\0\xFF"), Value::ext(-1, vec![])),
        ("an application's ext 0x56", ext(0x56, b"\0a"), Value::ext(0x56, b"a".to_vec())),
        ("wrapped empty array", ext(0x56, b"\x02\x90"), Value::Array(vec![])),
        ("wrapped array", ext(0x56, b"\x02\x92\x01\xA1x"), Value::Array(vec![1.into(), "x".into()])),
        ("ext 0x56 of no kind", ext(0x56, b"\x09x"), Value::ext(0x56, b"\x09x".to_vec())),
        ("ext 0x56 without data", ext(0x56, b""), Value::ext(0x56, vec![])),
        ("ext 0x56 that does not decode", ext(0x56, b"\x02\x92\x01"), Value::ext(0x56, b"\x02\x92\x01".to_vec())),
        ("ext 0x56 in another form", ext(0x56, b"\x03\xCC\x01"), Value::ext(0x56, b"\x03\xCC\x01".to_vec())),
        ("ext 0x56 of a map that is no map", ext(0x56, b"\x02\xC3"), Value::ext(0x56, b"\x02\xC3".to_vec())),
    ]
}

/// What may be a value, but no key.
fn values() -> Vec<(&'static str, Node, Value)> {
    let pairs = || Value::Map(vec![(1.into(), Value::Null), (1.into(), "again".into())]);
    vec![
        ("null", NIL, Value::Null),
        ("map", Node::Map(vec![(1.into(), NIL), (1.into(), "again".into())]), pairs()),
        ("empty map", Node::Map(vec![]), Value::Map(vec![])),
        (
            "map in wide encodings",
            raw(b"\xDF\0\0\0\x01\xD9\x01a\xC0".to_vec()),
            Value::Map(vec![("a".into(), Value::Null)]),
        ),
        ("array with null", array([NIL]), Value::Array(vec![Value::Null])),
        ("wrapped map", ext(0x56, b"\x02\x81\xA1a\xC0"), Value::Map(vec![("a".into(), Value::Null)])),
        ("wrapped 2^64", ext(0x56, b"\x01\0\x01\0\0\0\0\0\0\0\0"), big("18446744073709551616")),
        ("wrapped -2^63-1", ext(0x56, b"\x01\x01\x80\0\0\0\0\0\0\x01"), big("-9223372036854775809")),
        (
            "2^64 in an array",
            array([ext(0x56, b"\x01\0\x01\0\0\0\0\0\0\0\0")]),
            Value::Array(vec![big("18446744073709551616")]),
        ),
        (
            "an application's ext 0x56 in a map",
            map([("a", ext(0x56, b"\0a"))]),
            Value::Map(vec![("a".into(), Value::ext(0x56, b"a".to_vec()))]),
        ),
        (
            "as deep as values go",
            (0..128).fold(NIL, |inner, _| array([inner])),
            (0..128).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        ),
    ]
}

fn imported() -> Vec<Case> {
    let keys = keys();
    let as_keys = keys.clone().into_iter().map(|(name, node, value)| keyed(name, node, value));
    let as_values = keys.into_iter().chain(values()).map(|(name, node, value)| valued(name, node, value));
    as_keys.chain(as_values).collect()
}

#[test]
fn every_type_is_imported_as_it_is() {
    check(imported());
}

/// Keys and values that Python calls equal, each with a coordinate and an id of its own: the original cannot load them.
fn twins() -> Vec<Case> {
    let twins: Vec<(Node, Value)> = vec![
        (1.into(), 1.into()),
        (true.into(), true.into()),
        (1.0.into(), 1.0.into()),
        (0.into(), 0.into()),
        (false.into(), false.into()),
        (0.0.into(), 0.0.into()),
        ((-0.0).into(), (-0.0).into()),
        (Node::Int(1 << 53), (1_i64 << 53).into()),
        (9_007_199_254_740_992.0.into(), 9_007_199_254_740_992.0.into()),
        ("1".into(), "1".into()),
        (bytes(b"1"), vec![b'1'].into()),
        (f64::NAN.into(), f64::NAN.into()),
        (f64::from_bits(0x7FF8_0000_0000_0001).into(), f64::from_bits(0x7FF8_0000_0000_0001).into()),
    ];
    let numbered = || twins.iter().enumerate().map(|(index, (node, _))| (index as i32, node.clone()));
    let file = edited(|file| {
        file.set(&format!("{AXIS}/vector_points"), Node::Array(numbered().map(|(_, node)| node).collect()));
        let pairs = numbered().map(|(coordinate, node)| array([node, coordinate.into()])).collect();
        file.set(&format!("{AXIS}/coordinate_map"), Node::Array(pairs));
        file.set(&format!("{AXIS}/free_slots"), array([]));
        let domain = numbered().map(|(index, node)| ((index + 1).into(), node)).collect();
        file.set(&format!("{SPACES}/age/value_domain"), Node::Map(domain));
        file.set(&format!("{SPACES}/age/next_id"), twins.len() as i128 + 1);
        let cells = numbered().map(|(index, _)| (index.into(), (index + 1).into())).collect();
        file.set(&format!("{MAPPINGS}/age/coordinate_to_value_id"), Node::Map(cells));
        let counts = numbered().map(|(index, _)| ((index + 1).into(), 1.into())).collect();
        file.set(&format!("{MAPPINGS}/age/ref_counts"), Node::Map(counts));
        file.set("metadata/total_vector_points", twins.len() as i128);
    });
    let mut points: Vec<Point> = twins
        .iter()
        .zip(0..)
        .map(|((_, value), coordinate)| (coordinate, value.clone(), vec![("age".to_owned(), value.clone())]))
        .collect();
    points[0].2.push(("name".to_owned(), "Alice".into()));
    vec![Case::new("twins", file, Expected::Points(points, vec![]))]
}

#[test]
fn what_python_calls_equal_stays_apart() {
    check(twins());
}

fn refused() -> Vec<Case> {
    let key = |name: &str, node: Node| {
        let file = edited(|file| file.set(&format!("{AXIS}/vector_points/0"), node));
        Case::rejected(format!("key: {name}"), file, &["vector_points, entry 0 (", "cannot be a key"])
    };
    let value = |name: &str, node: Node, says: &'static [&'static str]| {
        let file = edited(|file| file.set(&format!("{SPACES}/age/value_domain/2"), node));
        Case::rejected(format!("value: {name}"), file, says)
    };
    vec![
        key("a map", map([("a", NIL)])),
        key("2^64", ext(0x56, b"\x01\0\x01\0\0\0\0\0\0\0\0")),
        key("an array with null", array([NIL])),
        key("an array of a map", array([Node::Map(vec![])])),
        key("a wrapped map", ext(0x56, b"\x02\x80")),
        value("text that is not UTF-8", raw(b"\xA2a\xFF".to_vec()), &["value_domain[\"age\"], entry 1 (", "UTF-8"]),
        value(
            "text that is not UTF-8 in an array",
            raw(b"\x91\xA1\xC0".to_vec()),
            &["value_domain[\"age\"], entry 1", "UTF-8"],
        ),
        value("a surrogate", raw(b"\xA3\xED\xA0\x80".to_vec()), &["UTF-8"]),
        value("the byte that starts nothing", raw([0xC1]), &["value_domain[\"age\"], entry 1 (", "C1"]),
        Case::new(
            "value: deeper than values go",
            edited(|file| {
                let deep = (0..129).fold(NIL, |inner, _| array([inner]));
                file.set(&format!("{SPACES}/age/value_domain/2"), deep);
            }),
            Expected::Limit("depth"),
        ),
        Case::rejected(
            "key that is not UTF-8",
            edited(|file| file.set(&format!("{AXIS}/vector_points/2"), raw(b"\xA1\xFF".to_vec()))),
            &["vector_points, entry 2 (", "UTF-8"],
        ),
        Case::rejected(
            "name that is not UTF-8",
            edited(|file| file.pairs(SPACES)[1].0 = raw(b"\xA1\xFF".to_vec())),
            &["dimensional_spaces", "UTF-8"],
        ),
    ]
}

#[test]
fn what_is_no_value_or_no_key_is_refused_with_its_place() {
    check(refused());
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [imported(), twins(), refused()].concat()
}

/// It takes a few bytes a point in the file, and must not take more time or temporary space than that.
#[test]
fn a_long_value_that_many_points_share_costs_its_length_once() {
    const POINTS: i32 = 3000;
    const LEN: usize = 400_000;
    let text = "x".repeat(LEN);
    let file = edited(|file| {
        file.set("database/central_axis/vector_points", Node::Array((0..POINTS).map(Node::from).collect()));
        let pairs = (0..POINTS).map(|n| array([n.into(), n.into()]));
        file.set("database/central_axis/coordinate_map", Node::Array(pairs.collect()));
        file.set(&format!("{SPACES}/name/value_domain/1"), Node::Text(text.clone()));
        let cells = Node::Map((0..POINTS).map(|n| (n.into(), 1.into())).collect());
        file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id"), cells);
    });
    for budget in [1, 256 << 20] {
        let storage = RefusingStorage::default();
        let source = SourceFile::in_memory(Path::new("source.db"), file.clone());
        Import::new().memory_budget(budget).run_in(&source, Arc::new(storage.clone())).unwrap();
        let written = storage.scratch_written();
        assert!(written < 20 * LEN as u64, "{written} bytes of temporary files with a budget of {budget}");
        // A cell that looks at its value reads it.
        let read = storage.scratch_read();
        assert!(read < 20 * LEN as u64, "{read} bytes read of temporary files with a budget of {budget}");
        let db = Options::new().open_in(Arc::new(storage)).unwrap();
        assert_eq!(db.lookup(POINTS - 1, "name").unwrap(), Some(Value::from(text.as_str())));
    }
}

/// Values whose order is not that of the slots are put in order by ranges of numbers: of those that there are.
#[test]
fn values_in_any_order_are_copied_a_few_times() {
    const POINTS: i32 = 3000;
    const LEN: usize = 1000;
    let file = edited(|file| {
        file.set("database/central_axis/vector_points", Node::Array((0..POINTS).map(Node::from).collect()));
        file.remove("database/central_axis", "coordinate_map");
        let values = (0..POINTS).map(|n| (n.into(), Node::Text(format!("{n:>LEN$}"))));
        file.set(&format!("{SPACES}/name/value_domain"), Node::Map(values.collect()));
        let cells = Node::Map((0..POINTS).map(|n| (n.into(), (POINTS - 1 - n).into())).collect());
        file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id"), cells);
    });
    let storage = RefusingStorage::default();
    let source = SourceFile::in_memory(Path::new("source.db"), file);
    Import::new().memory_budget(1).run_in(&source, Arc::new(storage.clone())).unwrap();
    let copies = storage.scratch_written() as f64 / (POINTS as usize * LEN) as f64;
    assert!(copies < 6.5, "temporary files take {copies} times the length of the values");
    let db = Options::new().open_in(Arc::new(storage)).unwrap();
    assert_eq!(db.lookup(7, "name").unwrap(), Some(Value::from(format!("{:>LEN$}", POINTS - 8))));
}
