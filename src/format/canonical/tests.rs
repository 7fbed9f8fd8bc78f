//! Files are taken apart by a small decoder of their own here; `tests/python` holds them against the original library.

use super::encode::EXT_KIND_SCALAR;
use super::*;
use crate::model::{Key, Timestamp, Value, ValueBuf};
use std::collections::BTreeMap;
use std::io::Read;

const SPECIFICATION: &str = include_str!("../../../format-spec/canonical.md");

/// A database in memory. Its slots and dimensions can be made to fail.
#[derive(Default)]
struct Database {
    keys: Vec<Option<ValueBuf>>,
    dimensions: Vec<(String, BTreeMap<u32, ValueBuf>)>,
    broken_slot: Option<u32>,
}

impl Source for Database {
    type Error = &'static str;

    fn slot_count(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap()
    }

    fn key(&self, slot: Slot) -> Result<Option<KeyRef<'_>>, Self::Error> {
        Ok(self.keys[slot.index()].as_ref().map(|key| KeyRef::checked(key.as_ref()).unwrap()))
    }

    fn dimension_count(&self) -> usize {
        self.dimensions.len()
    }

    fn dimension_name(&self, dimension: usize) -> &str {
        &self.dimensions[dimension].0
    }

    fn cell(&self, dimension: usize, slot: Slot) -> Result<Option<ValueRef<'_>>, Self::Error> {
        if self.broken_slot == Some(slot.0) {
            return Err("broken");
        }
        Ok(self.dimensions[dimension].1.get(&slot.0).map(ValueBuf::as_ref))
    }
}

impl Database {
    fn with_dimensions(names: &[&str]) -> Self {
        Self { dimensions: names.iter().map(|&name| (name.to_owned(), BTreeMap::new())).collect(), ..Self::default() }
    }

    fn tombstone(&mut self) {
        self.keys.push(None);
    }

    /// Appends a point; a value for each of the first dimensions.
    fn add(&mut self, key: impl Into<Value>, values: Vec<Value>) {
        let slot = self.slot_count();
        let key = Key::try_from(key.into()).unwrap();
        self.keys.push(Some(key.as_ref().value().to_buf()));
        for (dimension, value) in self.dimensions.iter_mut().zip(values) {
            dimension.1.insert(slot, ValueBuf::try_from(value).unwrap());
        }
    }

    fn write(&self, kept_len_max: usize) -> (Vec<u8>, Summary) {
        let metadata = Metadata { version: VERSION.to_owned(), created_at: isoformat(0), last_modified: isoformat(1) };
        let mut file = Vec::new();
        let (mut last, mut end) = (0, 0);
        let mut progress = |done, total| {
            assert!(last <= done && done <= total, "{last} {done} {total}");
            (last, end) = (done, total);
            ControlFlow::Continue(())
        };
        let summary = write_keeping(self, &metadata, &mut file, &mut progress, kept_len_max).unwrap();
        assert_eq!(last, end, "progress ends at its end");
        (file, summary)
    }

    /// Writes the file, whichever way gives the same, and decodes it.
    fn decoded(&self) -> Raw {
        let (file, summary) = self.write(KEPT_LEN_MAX);
        for kept_len_max in [0, 1, 100] {
            assert_eq!(self.write(kept_len_max), (file.clone(), summary), "same state, same bytes");
        }
        let content = content(&file);
        assert_eq!(u64::try_from(content.len()).unwrap(), summary.content_len);
        let mut rest = content.as_slice();
        let raw = Raw::decode(&mut rest);
        assert!(rest.is_empty());
        raw
    }
}

fn content(file: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    lz4_flex::frame::FrameDecoder::new(file).read_to_end(&mut content).unwrap();
    content
}

/// MessagePack as it lies in the file.
#[derive(Clone, PartialEq, Debug)]
enum Raw {
    Nil,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn decode(rest: &mut &[u8]) -> Self {
        use rmp::Marker;
        fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
            let (taken, after) = rest.split_at(len);
            *rest = after;
            taken
        }
        fn number(rest: &mut &[u8], len: usize) -> u64 {
            take(rest, len).iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
        }
        fn len(rest: &mut &[u8], len: usize) -> usize {
            usize::try_from(number(rest, len)).unwrap()
        }
        fn ext(rest: &mut &[u8], len: usize) -> Raw {
            let code = i8::from_be_bytes([take(rest, 1)[0]]);
            Raw::Ext(code, take(rest, len).to_vec())
        }
        fn text(rest: &mut &[u8], len: usize) -> Raw {
            Raw::Text(String::from_utf8(take(rest, len).to_vec()).unwrap())
        }
        fn array(rest: &mut &[u8], count: usize) -> Raw {
            Raw::Array((0..count).map(|_| Raw::decode(rest)).collect())
        }
        fn map(rest: &mut &[u8], count: usize) -> Raw {
            Raw::Map((0..count).map(|_| (Raw::decode(rest), Raw::decode(rest))).collect())
        }
        let marker = Marker::from_u8(take(rest, 1)[0]);
        match marker {
            Marker::Null => Self::Nil,
            Marker::True => Self::Bool(true),
            Marker::False => Self::Bool(false),
            Marker::FixPos(int) => Self::Int(int.into()),
            Marker::FixNeg(int) => Self::Int(int.into()),
            Marker::U8 => Self::Int(number(rest, 1).into()),
            Marker::U16 => Self::Int(number(rest, 2).into()),
            Marker::U32 => Self::Int(number(rest, 4).into()),
            Marker::U64 => Self::Int(number(rest, 8).into()),
            Marker::I8 => Self::Int(i8::from_be_bytes(take(rest, 1).try_into().unwrap()).into()),
            Marker::I16 => Self::Int(i16::from_be_bytes(take(rest, 2).try_into().unwrap()).into()),
            Marker::I32 => Self::Int(i32::from_be_bytes(take(rest, 4).try_into().unwrap()).into()),
            Marker::I64 => Self::Int(i64::from_be_bytes(take(rest, 8).try_into().unwrap()).into()),
            Marker::F64 => Self::Float(number(rest, 8)),
            Marker::FixStr(len) => text(rest, len.into()),
            Marker::Str8 => len(rest, 1).pipe(|len| text(rest, len)),
            Marker::Str16 => len(rest, 2).pipe(|len| text(rest, len)),
            Marker::Str32 => len(rest, 4).pipe(|len| text(rest, len)),
            Marker::Bin8 => len(rest, 1).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::Bin16 => len(rest, 2).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::Bin32 => len(rest, 4).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::FixExt1 => ext(rest, 1),
            Marker::FixExt2 => ext(rest, 2),
            Marker::FixExt4 => ext(rest, 4),
            Marker::FixExt8 => ext(rest, 8),
            Marker::FixExt16 => ext(rest, 16),
            Marker::Ext8 => len(rest, 1).pipe(|len| ext(rest, len)),
            Marker::Ext16 => len(rest, 2).pipe(|len| ext(rest, len)),
            Marker::Ext32 => len(rest, 4).pipe(|len| ext(rest, len)),
            Marker::FixArray(count) => array(rest, count.into()),
            Marker::Array16 => len(rest, 2).pipe(|count| array(rest, count)),
            Marker::Array32 => len(rest, 4).pipe(|count| array(rest, count)),
            Marker::FixMap(count) => map(rest, count.into()),
            Marker::Map16 => len(rest, 2).pipe(|count| map(rest, count)),
            Marker::Map32 => len(rest, 4).pipe(|count| map(rest, count)),
            Marker::F32 | Marker::Reserved => panic!("{marker:?} is never written"),
        }
    }

    fn get(&self, path: &[&str]) -> &Self {
        path.iter().fold(self, |raw, name| match raw {
            Self::Map(pairs) => &pairs.iter().find(|(key, _)| *key == text(name)).unwrap().1,
            _ => panic!("no map at {name}"),
        })
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Map(pairs) => {
                pairs.iter().map(|(key, _)| if let Self::Text(name) = key { name.as_str() } else { panic!() }).collect()
            }
            _ => panic!("no map"),
        }
    }
}

/// Lets a length be read before the reader is borrowed again.
trait Pipe: Sized {
    fn pipe<T>(self, then: impl FnOnce(Self) -> T) -> T {
        then(self)
    }
}

impl Pipe for usize {}

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

fn int(int: impl Into<i128>) -> Raw {
    Raw::Int(int.into())
}

fn ints(numbers: &[i128]) -> Raw {
    Raw::Array(numbers.iter().map(|&number| int(number)).collect())
}

fn pairs(numbers: &[(i128, i128)]) -> Raw {
    Raw::Map(numbers.iter().map(|&(a, b)| (int(a), int(b))).collect())
}

fn domain(values: &[Raw]) -> Raw {
    Raw::Map((1..).map(Raw::Int).zip(values.iter().cloned()).collect())
}

/// The bytes of a value that no other equals.
fn encoded(value: Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode::value(&mut out, ValueBuf::try_from(value).unwrap().as_ref(), encode::Form::Plain).unwrap();
    out
}

#[test]
fn an_empty_database_has_the_fields_of_the_original_in_its_order() {
    let raw = Database::default().decoded();
    assert_eq!(raw.names(), ["metadata", "database"]);
    let empty = || Raw::Map(vec![]);
    let metadata = Raw::Map(vec![
        (text("version"), text("1.4.0-beta")),
        (text("created_at"), text("1970-01-01T00:00:00")),
        (text("last_modified"), text("1970-01-01T00:00:00.000001")),
        (text("total_vector_points"), int(0)),
        (text("total_dimensions"), int(0)),
    ]);
    assert_eq!(raw.get(&["metadata"]), &metadata);
    let axis = ["vector_points", "coordinate_map", "free_slots"].map(|name| (text(name), Raw::Array(vec![])));
    let database = Raw::Map(vec![
        (text("central_axis"), Raw::Map(axis.to_vec())),
        (text("dimensional_spaces"), empty()),
        (text("coordinate_mappings"), empty()),
    ]);
    assert_eq!(raw.get(&["database"]), &database);
}

#[test]
fn the_frame_is_as_specified() {
    let mut database = Database::with_dimensions(&["d"]);
    for i in 0..30_000 {
        database.add(i, vec![Value::from(format!("value {i}"))]);
    }
    let (file, summary) = database.write(KEPT_LEN_MAX);
    assert_eq!(file[..6], [0x04, 0x22, 0x4d, 0x18, 0x5c, 0x40]);
    assert_eq!(file[6..14], summary.content_len.to_le_bytes());
    let mut at = 15;
    let mut blocks = 0;
    loop {
        let header = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        at += 4;
        if header == 0 {
            break;
        }
        let len = header & 0x7fff_ffff;
        assert!(len <= 65_536);
        at += len as usize + 4;
        blocks += 1;
    }
    assert_eq!(at + 4, file.len(), "the end mark and the checksum of the content are the last");
    assert_eq!(blocks, summary.content_len.div_ceil(65_536));
    assert!(blocks > 10);
    assert_eq!(summary, Summary { points: 30_000, cells: 30_000, content_len: summary.content_len });
}

#[test]
fn tombstones_ids_and_counts() {
    let mut database = Database::with_dimensions(&["b", "", "never", "a"]);
    database.tombstone();
    database.add("x", vec!["red".into(), 5.into()]);
    database.tombstone();
    database.add("y", vec!["blue".into()]);
    database.add("z", vec!["red".into(), Value::Null]);
    database.tombstone();
    database.dimensions[3].1.insert(4, ValueBuf::Bool(true));
    let raw = database.decoded();

    let axis = |name| raw.get(&["database", "central_axis", name]);
    assert_eq!(axis("vector_points"), &Raw::Array(vec![Raw::Nil, text("x"), Raw::Nil, text("y"), text("z")]));
    let entry = |key, slot: i128| Raw::Array(vec![text(key), int(slot)]);
    assert_eq!(axis("coordinate_map"), &Raw::Array(vec![entry("x", 1), entry("y", 3), entry("z", 4)]));
    assert_eq!(axis("free_slots"), &ints(&[2, 0]));
    assert_eq!(raw.get(&["metadata", "total_vector_points"]), &int(3));
    assert_eq!(raw.get(&["metadata", "total_dimensions"]), &int(4));

    for part in ["dimensional_spaces", "coordinate_mappings"] {
        assert_eq!(raw.get(&["database", part]).names(), ["b", "", "never", "a"]);
    }
    let space = |name, values: &[Raw], next: i128| {
        let space = Raw::Map(vec![(text("value_domain"), domain(values)), (text("next_id"), int(next))]);
        assert_eq!(raw.get(&["database", "dimensional_spaces", name]), &space);
    };
    space("b", &[text("red"), text("blue")], 3);
    space("", &[int(5), Raw::Nil], 3);
    space("never", &[], 1);
    space("a", &[Raw::Bool(true)], 2);
    let mapping = |name, ids: &[(i128, i128)], counts: &[(i128, i128)]| {
        let mapping = Raw::Map(vec![(text("coordinate_to_value_id"), pairs(ids)), (text("ref_counts"), pairs(counts))]);
        assert_eq!(raw.get(&["database", "coordinate_mappings", name]), &mapping);
    };
    mapping("b", &[(1, 1), (3, 2), (4, 1)], &[(1, 2), (2, 1)]);
    mapping("", &[(1, 1), (4, 2)], &[(1, 1), (2, 1)]);
    mapping("never", &[], &[]);
    mapping("a", &[(4, 1)], &[(1, 1)]);
}

#[test]
fn a_database_of_tombstones_writes_none() {
    let mut database = Database::with_dimensions(&["gone"]);
    for _ in 0..3 {
        database.tombstone();
    }
    let raw = database.decoded();
    for name in ["vector_points", "coordinate_map", "free_slots"] {
        assert_eq!(raw.get(&["database", "central_axis", name]), &Raw::Array(vec![]));
    }
}

/// The first of the values that Python calls equal is plain, wherever it comes.
#[test]
fn what_python_calls_equal_is_wrapped_from_the_second_on() {
    let two_53 = 9_007_199_254_740_992.0;
    let groups: [&[Value]; 7] = [
        &[true.into(), 1.into(), 1.0.into()],
        &[false.into(), 0.into(), 0.0.into(), (-0.0).into()],
        &[two_53.into(), (1i64 << 53).into()],
        &[(-9_223_372_036_854_775_808.0).into(), i64::MIN.into()],
        &[9_223_372_036_854_775_808.0.into(), (1u64 << 63).into()],
        &[300.into(), 300.0.into()],
        &[Value::from(-7), (-7.0).into()],
    ];
    let alone: Vec<Value> = vec![
        "1".into(),
        vec![b'1'].into(),
        1.5.into(),
        ((1i64 << 53) + 1).into(),
        u64::MAX.into(),
        18_446_744_073_709_551_616.0.into(),
        i64::MAX.into(),
        f64::NAN.into(),
        (-f64::NAN).into(),
        f64::INFINITY.into(),
        Timestamp::new(1, 0).unwrap().into(),
        Value::ext(1, vec![1]),
    ];
    for rotation in 0..4 {
        let mut database = Database::with_dimensions(&["d"]);
        let mut expected = Vec::new();
        for group in groups {
            let mut group = group.to_vec();
            let middle = rotation % group.len();
            group.rotate_left(middle);
            for (i, value) in group.into_iter().enumerate() {
                let plain = encoded(value.clone());
                let raw = match i {
                    0 => Raw::decode(&mut plain.as_slice()),
                    _ => Raw::Ext(0x56, [&[EXT_KIND_SCALAR], plain.as_slice()].concat()),
                };
                expected.push(raw);
                database.add(value.clone(), vec![value]);
            }
        }
        for value in &alone {
            expected.push(Raw::decode(&mut encoded(value.clone()).as_slice()));
            database.add(value.clone(), vec![value.clone()]);
        }
        let raw = database.decoded();
        assert_eq!(raw.get(&["database", "dimensional_spaces", "d", "value_domain"]), &domain(&expected));
        assert_eq!(raw.get(&["database", "central_axis", "vector_points"]), &Raw::Array(expected.clone()));
        let map = expected.into_iter().zip(0..).map(|(key, slot)| Raw::Array(vec![key, Raw::Int(slot)])).collect();
        assert_eq!(raw.get(&["database", "central_axis", "coordinate_map"]), &Raw::Array(map));
    }
}

#[test]
fn wrapping_is_decided_for_each_dimension_alone() {
    let mut database = Database::with_dimensions(&["a", "b"]);
    database.add("x", vec![1.into(), true.into()]);
    database.add("y", vec![1.into(), true.into()]);
    let raw = database.decoded();
    assert_eq!(raw.get(&["database", "dimensional_spaces", "a", "value_domain"]), &domain(&[int(1)]));
    assert_eq!(raw.get(&["database", "dimensional_spaces", "b", "value_domain"]), &domain(&[Raw::Bool(true)]));
}

/// The table "Examples" of the chapter, row by row.
#[test]
fn examples_of_the_specification() {
    let bytes_of = |row: &str| {
        let line = SPECIFICATION
            .lines()
            .find(|line| line.starts_with(&format!("| {row} |")))
            .unwrap_or_else(|| panic!("{row}"));
        let hex = line.split('`').nth_back(1).unwrap();
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<_>>()
    };
    let wrapped = |value: Value| {
        let mut out = Vec::new();
        encode::value(&mut out, ValueBuf::try_from(value).unwrap().as_ref(), encode::Form::Wrapped).unwrap();
        out
    };
    assert_eq!(wrapped(true.into()), bytes_of("`true` after `1`"));
    assert_eq!(wrapped(1.0.into()), bytes_of("`1.0` after `1`"));
    assert_eq!(encoded(Value::Array(vec![])), bytes_of("an empty array"));
    assert_eq!(encoded(Value::Map(vec![("a".into(), Value::Null)])), bytes_of("the map `{\"a\": null}`"));
    assert_eq!(encoded(Value::from(1i128 << 64)), bytes_of("2^64"));
    assert_eq!(encoded(Value::ext(0x56, vec![b'a'])), bytes_of("ext of type 0x56, data `61`"));
    assert_eq!(encoded(Value::ext(-2, vec![b'a'])), bytes_of("ext of type -2, data `61`"));
    assert_eq!(encoded(Value::ext(-1, vec![])), bytes_of("ext of type -1, no data (no timestamp)"));
}

#[test]
fn integers_of_any_size_and_negative_ext_codes_become_ext_values() {
    let huge = Value::big_int(true, &[0xab; 40]);
    assert_eq!(Raw::decode(&mut encoded(huge).as_slice()), Raw::Ext(0x56, [&[1, 1][..], &[0xab; 40]].concat()));
    for code in i8::MIN..=i8::MAX {
        let value = Value::ext(code, vec![9; 3]);
        let expected = match code {
            i8::MIN..0 => Raw::Ext(0x56, vec![EXT_KIND_SCALAR, 0xc7, 3, code.to_be_bytes()[0], 9, 9, 9]),
            0x56 => Raw::Ext(0x56, vec![0, 9, 9, 9]),
            _ => Raw::Ext(code, vec![9; 3]),
        };
        assert_eq!(Raw::decode(&mut encoded(value).as_slice()), expected);
    }
}

#[test]
fn many_values_keep_their_order() {
    let mut database = Database::with_dimensions(&["d"]);
    // Every value twice, the second time in another order.
    for i in 0..20_000u64 {
        database.add(i, vec![Value::from(format!("{}", if i < 10_000 { i } else { (i * 7_919) % 10_000 }))]);
    }
    let raw = database.decoded();
    let values: Vec<Raw> = (0..10_000).map(|i| text(&i.to_string())).collect();
    assert_eq!(raw.get(&["database", "dimensional_spaces", "d", "value_domain"]), &domain(&values));
    let counts: Vec<(i128, i128)> = (1..=10_000).map(|id| (id, 2)).collect();
    assert_eq!(raw.get(&["database", "coordinate_mappings", "d", "ref_counts"]), &pairs(&counts));
    let ids: Vec<(i128, i128)> =
        (0..20_000).map(|i| (i, 1 + if i < 10_000 { i } else { (i * 7_919) % 10_000 })).collect();
    assert_eq!(raw.get(&["database", "coordinate_mappings", "d", "coordinate_to_value_id"]), &pairs(&ids));
}

#[test]
fn failures_come_back_and_cancelling_stops() {
    let mut database = Database::with_dimensions(&["d"]);
    for i in 0..10_000 {
        database.add(i, vec![Value::from(i)]);
    }
    let metadata = Metadata { version: VERSION.to_owned(), created_at: isoformat(0), last_modified: isoformat(0) };
    let go_on = &mut |_, _| ControlFlow::Continue(());

    let mut short = [0u8; 1000];
    let full = write(&database, &metadata, &mut short[..], go_on);
    assert!(matches!(full, Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::WriteZero));

    let mut reports = 0;
    let mut stop = |_, _| {
        reports += 1;
        if reports == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(write(&database, &metadata, io::sink(), &mut stop), Err(WriteError::Cancelled)));
    assert_eq!(reports, 5);

    database.broken_slot = Some(9_000);
    assert!(matches!(write(&database, &metadata, io::sink(), go_on), Err(WriteError::Source("broken"))));
}

/// A source that answers otherwise each time gives an error, never a file that lies.
#[test]
fn a_source_that_changes_is_refused() {
    struct Changing(std::cell::Cell<u32>);
    impl Source for Changing {
        type Error = &'static str;
        fn slot_count(&self) -> u32 {
            10
        }
        fn key(&self, slot: Slot) -> Result<Option<KeyRef<'_>>, Self::Error> {
            self.0.set(self.0.get() + 1);
            Ok(Some(KeyRef::from(u64::from(slot.0) + if self.0.get() > 10 { 1_000 } else { 0 })))
        }
        fn dimension_count(&self) -> usize {
            0
        }
        fn dimension_name(&self, _: usize) -> &str {
            ""
        }
        fn cell(&self, _: usize, _: Slot) -> Result<Option<ValueRef<'_>>, Self::Error> {
            Ok(None)
        }
    }
    let metadata = Metadata { version: VERSION.to_owned(), created_at: isoformat(0), last_modified: isoformat(0) };
    let result = write(&Changing(0.into()), &metadata, io::sink(), &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::InvalidData));
}
