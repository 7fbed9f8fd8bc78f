//! Rich records come back as they went in, wherever their cells are; borrowing ones allocate nothing.

use super::{TIERS, create, settle, with_base};
use crate::readers::allocations;
use crate::support::environment;
use crate::support::random::Random;
use crate::support::values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use vector_datalib::{BigInt, Ext, Timestamp, Value, to_attributes, to_value};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Meters(f32);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(Meters),
    Line(i64, i64),
    Named { name: String, inner: Option<Box<Shape>> },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Something { shape: Shape, amount: f64 },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Time(Timestamp),
    Number(u64),
    Pair(bool, String),
    Named { value: Value },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Address {
    street: String,
    lines: Vec<Option<String>>,
    unit: (),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Rich {
    truth: bool,
    small: i8,
    byte: u8,
    wide: u64,
    signed: i64,
    huge: u128,
    low: i128,
    single: f32,
    double: Double,
    letter: char,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    time: Timestamp,
    big: BigInt,
    ext: Ext,
    any: Value,
    maybe: Option<String>,
    unit: Unit,
    length: Meters,
    shape: Shape,
    tagged: Tagged,
    either: Either,
    address: Option<Address>,
    pairs: BTreeMap<i64, (char, Meters)>,
    shapes: Vec<Shape>,
}

/// A float that is equal when its bits are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Double(f64);

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

fn option<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    random.one_in(2).then(|| value(random))
}

fn list<T>(random: &mut Random, value: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(20)).map(|_| value(random)).collect()
}

fn meters(random: &mut Random) -> Meters {
    Meters(*random.pick(&[0.0, -0.5, 0.1, f32::MAX, f32::INFINITY, f32::MIN_POSITIVE]))
}

fn letter(random: &mut Random) -> char {
    *random.pick(&['a', 'é', '€', '😀', '\0'])
}

fn shape(random: &mut Random) -> Shape {
    match random.below(5) {
        0 => Shape::Point,
        1 => Shape::Circle(meters(random)),
        2 => Shape::Line(random.next() as i64, values::integer(random) as i64),
        _ => Shape::Named {
            name: values::text(random),
            inner: if random.one_in(3) { None } else { Some(Box::new(shape(random))) },
        },
    }
}

fn either(random: &mut Random) -> Either {
    match random.below(4) {
        0 => Either::Time(values::timestamp(random)),
        1 => Either::Number(random.next()),
        2 => Either::Pair(true, values::text(random)),
        _ => Either::Named { value: values::value(random, 0) },
    }
}

fn big(random: &mut Random) -> BigInt {
    let magnitude = vec![random.next() as u8 | 1; random.within(17..60)];
    match Value::big_int(random.one_in(2), &magnitude) {
        Value::BigInt(big) => big,
        other => panic!("{other} has more than 128 bits"),
    }
}

fn ext(random: &mut Random) -> Ext {
    match Value::ext(*random.pick(&[0x56, -2, 0, 127, -128]), values::bytes(random)) {
        Value::Ext(ext) => ext,
        other => panic!("{other} is no ext value"),
    }
}

fn address(random: &mut Random) -> Address {
    let lines = list(random, |random| option(random, values::text));
    Address { street: values::text(random), lines, unit: () }
}

fn tagged(random: &mut Random) -> Tagged {
    match random.below(2) {
        0 => Tagged::Nothing,
        _ => Tagged::Something { shape: shape(random), amount: random.below(100) as f64 / 8.0 },
    }
}

fn rich(random: &mut Random) -> Rich {
    Rich {
        truth: random.one_in(2),
        small: random.next() as i8,
        byte: random.next() as u8,
        wide: random.next(),
        signed: random.next() as i64,
        huge: *random.pick(&[0, 1, u128::MAX, i128::MAX as u128 + 1, u128::from(u64::MAX) + 1]),
        low: *random.pick(&[0, -1, i128::MIN, i128::MAX, i128::from(i64::MIN) - 1]),
        single: meters(random).0,
        double: Double(values::float(random)),
        letter: letter(random),
        text: values::text(random),
        bytes: values::bytes(random),
        time: values::timestamp(random),
        big: big(random),
        ext: ext(random),
        any: values::value(random, 0),
        maybe: option(random, values::text),
        unit: Unit,
        length: meters(random),
        shape: shape(random),
        tagged: tagged(random),
        either: either(random),
        address: option(random, address),
        pairs: (0..random.below(20)).map(|n| (n as i64 - 5, (letter(random), meters(random)))).collect(),
        shapes: list(random, shape),
    }
}

fn seed() -> u64 {
    let seed = environment("VECTOR_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("VECTOR_SEED={seed}");
    seed
}

#[test]
fn random_records_come_back_from_every_tier() {
    let mut random = Random::new(seed());
    for tier in TIERS {
        let db = with_base();
        let records: Vec<Rich> = (0..60).map(|_| rich(&mut random)).collect();
        let attributes = |record| to_attributes(record).unwrap();
        db.batch_upsert((0i64..).zip(records.iter().map(attributes))).unwrap();
        settle(&db, tier);
        let snapshot = db.snapshot();
        for (key, record) in (0i64..).zip(&records) {
            assert_eq!(snapshot.point_as::<Rich>(key).unwrap().as_ref(), Some(record), "{tier:?} {key}");
            assert_eq!(db.point_as::<Rich>(key).unwrap().as_ref(), Some(record), "{tier:?} {key}");
        }
        assert!(snapshot.point_as::<Rich>(60).unwrap().is_none());
        let read: Vec<Rich> =
            snapshot.iter_as::<Rich>().filter_map(|item| item.ok().map(|(_, record)| record)).collect();
        assert!(read == records, "{tier:?}");
    }
}

#[test]
fn random_values_come_back_alone_in_a_map_and_through_the_buffers_of_serde() {
    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Flat {
        first: Value,
        #[serde(flatten)]
        others: BTreeMap<String, Value>,
    }
    let mut random = Random::new(seed());
    let db = create();
    for _ in 0..300 {
        let mut value = || values::value(&mut random, 0);
        let others = BTreeMap::from(["a", "b"].map(|name| (name.to_owned(), value())));
        let record = Flat { first: value(), others };
        for value in record.others.values() {
            assert_eq!(to_value(value).unwrap(), *value);
        }
        db.upsert(1, to_attributes(&record).unwrap()).unwrap();
        let snapshot = db.snapshot();
        assert_eq!(snapshot.point_as::<Flat>(1).unwrap(), Some(record));
        let map: BTreeMap<&str, Value> = snapshot.point_as(1).unwrap().unwrap();
        let point = snapshot.point(1).unwrap().unwrap();
        assert_eq!(map.into_iter().collect::<Vec<_>>().len(), 3);
        for (name, value) in point.attributes() {
            let read: Value = snapshot.lookup(1, name).unwrap().unwrap().deserialize().unwrap();
            assert_eq!(read, *value);
        }
    }
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Lent<'a> {
    name: &'a str,
    #[serde(with = "serde_bytes")]
    raw: &'a [u8],
    age: u8,
    inner: Inner<'a>,
    missing: Option<&'a str>,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Inner<'a> {
    text: &'a str,
    pair: (i64, &'a str),
}

#[test]
fn a_record_that_borrows_allocates_nothing_and_lies_where_the_values_do() {
    let text = "x".repeat(300);
    let record = Lent {
        name: "Alice",
        raw: b"\x00raw",
        age: 25,
        inner: Inner { text: &text, pair: (7, "seven") },
        missing: None,
    };
    for tier in TIERS {
        let db = with_base();
        // A thousand dimensions that the record has no fields for.
        let others: Vec<(String, i32)> = (0..1000).map(|n| (format!("dimension {n}"), n)).collect();
        db.upsert(101, others).unwrap();
        db.upsert(101, to_attributes(&record).unwrap()).unwrap();
        settle(&db, tier);
        let snapshot = db.snapshot();
        let mut read: Option<Lent<'_>> = snapshot.point_as(101).unwrap();
        let allocated = allocations::count(|| read = snapshot.point_as(101).unwrap());
        assert_eq!((read.as_ref(), allocated), (Some(&record), 0), "{tier:?}");
        let read = read.unwrap();
        let name = snapshot.lookup(101, "name").unwrap().and_then(|value| value.as_str()).unwrap();
        assert_eq!(read.name.as_ptr(), name.as_ptr(), "{tier:?}");
        let raw = snapshot.lookup(101, "raw").unwrap().and_then(|value| value.as_bytes()).unwrap();
        assert_eq!(read.raw.as_ptr(), raw.as_ptr(), "{tier:?}");
        let inner = snapshot.lookup(101, "inner").unwrap().and_then(|value| value.as_map()).unwrap();
        assert!(inner.as_bytes().as_ptr_range().contains(&read.inner.text.as_ptr()), "{tier:?}");
        assert!(inner.as_bytes().as_ptr_range().contains(&read.inner.pair.1.as_ptr()), "{tier:?}");
    }
}
