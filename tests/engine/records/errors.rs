//! Every error names the point and the field, what was expected and what was found.

use super::create;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, HashMap};
use vector_datalib::{Error, Timestamp, VALUE_LEN_MAX, Value, attrs, to_attributes, to_value};

/// What reading the attribute `field` of a point as `T` says.
fn read<T: for<'de> Deserialize<'de>>(value: impl Into<Value>) -> String {
    #[derive(Deserialize)]
    struct Record<T> {
        #[serde(rename = "field")]
        _field: T,
    }
    let db = create();
    db.upsert(7, [("field", value.into())]).unwrap();
    let told = |error: Error| {
        assert!(error.is_record(), "{error}");
        error.to_string()
    };
    let error = told(db.point_as::<Record<T>>(7).map(|_| ()).unwrap_err());
    let snapshot = db.snapshot();
    let by_iterator = snapshot.iter_as::<Record<T>>().next().unwrap().map(|_| ()).unwrap_err();
    assert_eq!(error, told(by_iterator));
    let by_map = told(snapshot.point_as::<HashMap<String, T>>(7).map(|_| ()).unwrap_err());
    assert_eq!(error, by_map);
    error.strip_prefix("point 7: field `field").unwrap_or_else(|| panic!("{error} names no field")).to_owned()
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only reading fails here")]
enum Shape {
    Point,
    Circle(f64),
    Line { from: i64, to: i64 },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only reading fails here")]
struct Address {
    lines: Vec<String>,
    #[serde(default)]
    zip: u16,
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(name, value)| (Value::from(name), value)).collect())
}

#[test]
fn a_scalar_of_another_type_is_told_by_field_expected_and_found() {
    assert_eq!(read::<u8>("text"), "`: expected u8, found text");
    assert_eq!(read::<u8>(300), "`: expected u8, found integer 300");
    assert_eq!(read::<u8>(-1), "`: expected u8, found integer -1");
    assert_eq!(read::<u64>(i128::MAX), format!("`: expected u64, found integer {}", i128::MAX));
    assert_eq!(read::<i64>(u64::MAX), format!("`: expected i64, found integer {}", u64::MAX));
    assert_eq!(read::<i128>(u128::MAX), "`: expected i128, found an integer of more than 128 bits");
    assert_eq!(read::<u128>(-1), "`: expected u128, found integer -1");
    assert_eq!(
        read::<u128>(Value::big_int(true, &[1; 17])),
        "`: expected u128, found an integer of more than 128 bits"
    );
    assert_eq!(read::<i64>(1.0), "`: expected i64, found float 1.0");
    assert_eq!(read::<f64>(1), "`: expected f64, found integer 1");
    assert_eq!(read::<f32>(0.1), "`: expected f32, found float 0.1");
    assert_eq!(read::<f32>(1e300), "`: expected f32, found float 1e300");
    assert_eq!(read::<bool>(1), "`: expected a boolean, found integer 1");
    assert_eq!(read::<i32>(true), "`: expected i32, found boolean true");
    assert_eq!(read::<String>(b"text"), "`: expected a string, found bytes");
    assert_eq!(read::<char>("ab"), "`: expected a character, found text");
    assert_eq!(read::<serde_bytes::ByteBuf>("text"), "`: expected byte array, found text");
    assert_eq!(read::<String>(Value::Null), "`: expected a string, found null");
    assert_eq!(read::<()>(0), "`: expected unit, found integer 0");
    assert_eq!(read::<Timestamp>(0), "`: expected a timestamp, found integer 0");
    assert_eq!(read::<i64>(Timestamp::new(1, 2).unwrap()), "`: expected i64, found a timestamp");
    assert_eq!(
        read::<vector_datalib::Ext>(Timestamp::new(1, 2).unwrap()),
        "`: expected an ext value, found a timestamp"
    );
    assert_eq!(read::<String>(Value::ext(5, vec![])), "`: expected a string, found an ext value");
}

#[test]
fn a_place_inside_of_a_nested_value_is_told() {
    let texts = |texts: &[&str]| Value::Array(texts.iter().map(|&text| text.into()).collect());
    assert_eq!(read::<Vec<u8>>(Value::Array(vec![1.into(), 256.into()])), "[1]`: expected u8, found integer 256");
    assert_eq!(read::<Vec<u8>>("x"), "`: expected a sequence, found text");
    assert_eq!(read::<(u8, u8)>(Value::Array(vec![1.into()])), "`: expected a tuple of size 2, found 1 values");
    let three = Value::Array(vec![1.into(), 2.into(), 3.into()]);
    assert_eq!(read::<(u8, u8)>(three.clone()), "`: expected 2 values, found an array of 3");
    assert_eq!(read::<Address>(three), "`: expected struct Address, found an array");
    assert_eq!(read::<Address>(map(vec![])), ".lines`: missing");
    let lines = Value::Array(vec!["a".into(), Value::Null]);
    assert_eq!(read::<Address>(map(vec![("lines", lines)])), ".lines[1]`: expected a string, found null");
    let address = map(vec![("lines", texts(&[])), ("zip", 70_000.into())]);
    assert_eq!(read::<Vec<Address>>(Value::Array(vec![address])), "[0].zip`: expected u16, found integer 70000");
    let twice = map(vec![("lines", texts(&[])), ("lines", texts(&[]))]);
    assert_eq!(read::<Address>(twice), ".lines`: given more than once");
    let numbered = Value::Map(vec![(5.into(), "x".into())]);
    assert_eq!(read::<BTreeMap<i64, bool>>(numbered.clone()), "[5]`: expected a boolean, found text");
    assert_eq!(read::<BTreeMap<String, bool>>(numbered), "`: expected a string, found integer 5");
}

#[test]
fn a_variant_that_is_none_is_told() {
    let listed = "expected `Point`, `Circle`, `Line`";
    assert_eq!(read::<Shape>("Square"), format!("`: there is no variant `Square`; {listed}"));
    assert_eq!(read::<Shape>(1), "`: expected enum Shape, found integer 1");
    let two = map(vec![("Point", Value::Null), ("Circle", 1.0.into())]);
    assert_eq!(read::<Shape>(two), "`: expected text or a map of one pair, for a variant, found a map of 2 pairs");
    assert_eq!(read::<Shape>("Circle"), "`: expected newtype variant, found unit variant");
    assert_eq!(read::<Shape>(map(vec![("Circle", 1.into())])), ".Circle`: expected f64, found integer 1");
    assert_eq!(read::<Shape>(map(vec![("Point", 1.into())])), ".Point`: expected unit, found integer 1");
    let line = map(vec![("Line", map(vec![("from", 1.into()), ("to", "x".into())]))]);
    assert_eq!(read::<Shape>(line), ".Line.to`: expected i64, found text");
}

#[test]
fn what_is_missing_or_unknown_is_told() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading fails here")]
    struct Exact {
        name: String,
        age: Option<u8>,
    }
    let db = create();
    db.upsert("a", attrs! { "name" => "Alice", "age" => 25, "city" => "Boston" }).unwrap();
    db.upsert("b", attrs! { "age" => 25 }).unwrap();
    db.upsert("c", attrs! {}).unwrap();
    let told = |key: &str| db.point_as::<Exact>(key).unwrap_err().to_string();
    assert_eq!(told("a"), "point \"a\": field `city`: there is no such field; expected `name`, `age`");
    assert_eq!(told("b"), "point \"b\": field `name`: missing");
    assert_eq!(told("c"), "point \"c\": field `name`: missing");
    assert!(db.remove_attribute("a", "city").unwrap());
    assert_eq!(db.point_as::<Exact>("a").unwrap().unwrap().name, "Alice");
}

#[test]
fn what_takes_no_point_is_told() {
    let db = create();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();
    let told = |error: Error| error.to_string();
    let a_point = "found a point, which only a struct or a map takes";
    assert_eq!(told(db.point_as::<u8>(1).unwrap_err()), format!("point 1: expected u8, {a_point}"));
    assert_eq!(told(db.point_as::<Vec<u8>>(1).unwrap_err()), format!("point 1: expected a sequence, {a_point}"));
    let error = told(db.point_as::<Shape>(1).unwrap_err());
    assert!(error.starts_with("point 1: expected enum Shape, found a point; an enum needs #[serde(tag"), "{error}");
    let error = told(db.point_as::<HashMap<u8, u8>>(1).unwrap_err());
    assert_eq!(error, "point 1: expected u8, found text");
}

#[test]
fn an_iterator_goes_on_behind_a_point_that_does_not_fit() {
    #[derive(Deserialize)]
    struct Numbered {
        n: u8,
    }
    let db = create();
    db.batch_upsert([1, 300, 3].map(|n| (n, attrs! { "n" => n }))).unwrap();
    let snapshot = db.snapshot();
    let told: Vec<Result<u8, String>> = snapshot
        .iter_as::<Numbered>()
        .map(|item| item.map(|(_, record)| record.n).map_err(|error| error.to_string()))
        .collect();
    assert_eq!(told, [Ok(1), Err("point 300: field `n`: expected u8, found integer 300".to_owned()), Ok(3)]);
}

#[derive(Serialize)]
struct Outer<T> {
    inner: Vec<T>,
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[test]
fn what_cannot_be_written_is_told_by_its_field() {
    let told = |error: Error| {
        assert!(error.is_record(), "{error}");
        error.to_string()
    };
    let refused = told(to_attributes(&Outer { inner: vec![Outer { inner: vec![Refuses] }] }).unwrap_err());
    assert_eq!(refused, "field `inner[0].inner[0]`: not today");
    let refused = told(to_attributes(&HashMap::from([("a", BTreeMap::from([((1, 2), Refuses)]))])).unwrap_err());
    assert_eq!(refused, "field `a[[1, 2]]`: not today");
    let refused = told(to_attributes(&BTreeMap::from([(5, 1)])).unwrap_err());
    assert_eq!(refused, "field `[5]`: the name of an attribute is text");
    #[derive(Serialize)]
    enum Held {
        Tuple(u8, Refuses),
        Struct { field: Refuses },
        Newtype(Refuses),
    }
    for (held, place) in [
        (Held::Tuple(1, Refuses), "Tuple[1]"),
        (Held::Struct { field: Refuses }, "Struct.field"),
        (Held::Newtype(Refuses), "Newtype"),
    ] {
        assert_eq!(told(to_value(&held).unwrap_err()), format!("field `{place}`: not today"));
        let error = told(to_attributes(&held).unwrap_err());
        assert!(error.contains("an enum needs #[serde(tag"), "{error}");
    }
    for (error, found) in [
        (to_attributes(&5).unwrap_err(), "an integer"),
        (to_attributes("text").unwrap_err(), "text"),
        (to_attributes(&[1, 2]).unwrap_err(), "an array"),
        (to_attributes(&None::<u8>).unwrap_err(), "null"),
        (to_attributes(&()).unwrap_err(), "null"),
    ] {
        assert_eq!(told(error), format!("expected a struct or a map as the record, found {found}"));
    }
}

#[test]
fn a_type_that_nests_without_end_is_an_error_and_not_the_end() {
    #[derive(Serialize)]
    struct Chain {
        next: Option<Box<Chain>>,
    }
    let chain = (0..3000).fold(None, |next, _| Some(Box::new(Chain { next })));
    let error = to_attributes(&chain).unwrap_err();
    assert!(error.is_record() && error.to_string().ends_with("nested deeper than 128 levels"), "{error}");
}

#[test]
fn an_attribute_that_is_too_large_is_named() {
    let db = create();
    let deep = (0..200).fold(Value::Null, |deep, _| Value::Array(vec![deep]));
    let error = db.upsert(1, [("fine", Value::Null), ("deep", deep)]).unwrap_err();
    assert!(error.is_invalid_argument(), "{error}");
    let limit = format!("attribute `deep`: a value has at most {VALUE_LEN_MAX} bytes and 128 levels of nesting");
    assert_eq!(error.to_string(), limit);
}

/// A type that takes nothing of what it is offered.
struct Blind;

impl<'de> Deserialize<'de> for Blind {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[test]
fn what_a_type_leaves_unread_does_not_shift_what_follows() {
    let nested = |n: i64| map(vec![("a", Value::Array(vec![n.into(), Value::Array(vec![])])), ("b", Value::Null)]);
    let value = Value::Array(vec![nested(1), 5.into(), map(vec![("skipped", nested(2)), ("zip", 6.into())]), 7.into()]);
    #[derive(Deserialize)]
    struct Zip {
        zip: u8,
    }
    let db = create();
    db.upsert(1, [("v", value)]).unwrap();
    let snapshot = db.snapshot();
    let (_, five, zip, seven): (Blind, u8, Zip, u8) = snapshot.lookup(1, "v").unwrap().unwrap().deserialize().unwrap();
    assert_eq!((five, zip.zip, seven), (5, 6, 7));
    let by_key: Vec<(Blind, u8)> = {
        let pairs = vec![(nested(1), 1.into()), (nested(2), 2.into())];
        db.upsert(2, [("v", Value::Map(pairs))]).unwrap();
        let pairs: Pairs = db.snapshot().lookup(2, "v").unwrap().unwrap().deserialize().unwrap();
        pairs.0
    };
    assert_eq!(by_key.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), [1, 2]);
}

/// The pairs of a map, its keys left unread.
struct Pairs(Vec<(Blind, u8)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
