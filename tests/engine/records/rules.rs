//! The rules at `to_attributes`: what becomes of what, and what a struct asks for.

use super::{TIERS, create, settle, with_base};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use vector_datalib::{BulkLoader, Key, Timestamp, Value, VectorDb, attrs, to_attributes, to_value};

fn attributes<T: Serialize>(record: &T) -> Vec<(String, Value)> {
    to_attributes(record).unwrap().into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
}

#[test]
fn each_type_becomes_what_the_table_says() {
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct New(i8);
    #[derive(Serialize)]
    struct Two(i8, &'static str);
    #[derive(Serialize)]
    enum Enum {
        Unit,
        New(i8),
        Tuple(i8, bool),
        Struct { a: Option<i8> },
    }
    let array = |values: &[Value]| Value::Array(values.to_vec());
    let map = |pairs: &[(&str, Value)]| Value::Map(pairs.iter().map(|(n, v)| (Value::from(*n), v.clone())).collect());
    let time = Timestamp::new(1, 2).unwrap();
    for (value, expected) in [
        (to_value(&Unit), Value::Null),
        (to_value(&()), Value::Null),
        (to_value(&None::<u8>), Value::Null),
        (to_value(&Some(1)), 1.into()),
        (to_value(&u128::MAX), u128::MAX.into()),
        (to_value(&i128::MIN), i128::MIN.into()),
        (to_value(&1u8), 1.into()),
        (to_value(&0.5f32), 0.5.into()),
        (to_value(&0.1f32), f64::from(0.1f32).into()),
        (to_value(&'é'), "é".into()),
        (to_value("text"), "text".into()),
        (to_value(b"ab"), array(&[97.into(), 98.into()])),
        (to_value(&serde_bytes::Bytes::new(b"ab")), b"ab".into()),
        (to_value(&New(1)), 1.into()),
        (to_value(&Two(1, "b")), array(&[1.into(), "b".into()])),
        (to_value(&Enum::Unit), "Unit".into()),
        (to_value(&Enum::New(1)), map(&[("New", 1.into())])),
        (to_value(&Enum::Tuple(1, true)), map(&[("Tuple", array(&[1.into(), true.into()]))])),
        (to_value(&Enum::Struct { a: None }), map(&[("Struct", map(&[("a", Value::Null)]))])),
        (to_value(&BTreeMap::from([(1, "a")])), Value::Map(vec![(1.into(), "a".into())])),
        (to_value(&time), time.into()),
        (to_value(&Value::ext(5, vec![1])), Value::ext(5, vec![1])),
        (to_value(&IpAddr::from([127, 0, 0, 1])), "127.0.0.1".into()),
    ] {
        assert_eq!(value.unwrap(), expected);
    }
    assert_eq!(attributes(&Unit), []);
    assert_eq!(attributes(&Some(BTreeMap::from([('k', 1)]))), [("k".to_owned(), 1.into())]);
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Optional {
    text: Option<String>,
    nested: Option<Option<u8>>,
    null: Value,
}

#[test]
fn none_is_missing_and_both_missing_and_null_are_none() {
    let none = Optional { text: None, nested: Some(None), null: Value::Null };
    assert_eq!(attributes(&none), [("null".to_owned(), Value::Null)]);
    for tier in TIERS {
        let db = with_base();
        db.upsert(1, to_attributes(&none).unwrap()).unwrap();
        db.upsert(2, attrs! { "text" => Value::Null, "null" => 5 }).unwrap();
        settle(&db, tier);
        assert_eq!(db.lookup(1, "text").unwrap(), None);
        let read: Optional = db.point_as(1).unwrap().unwrap();
        assert_eq!(read, Optional { text: None, nested: None, null: Value::Null });
        let read: Optional = db.point_as(2).unwrap().unwrap();
        assert_eq!(read, Optional { text: None, nested: None, null: 5.into() });
        let map: BTreeMap<String, Option<u8>> = db.point_as(2).unwrap().unwrap();
        assert_eq!(map, BTreeMap::from([("text".to_owned(), None), ("null".to_owned(), Some(5))]));
    }
}

#[test]
fn an_upsert_of_a_record_merges() {
    let db = create();
    let full = Optional { text: Some("kept".into()), nested: None, null: 1.into() };
    db.upsert(1, to_attributes(&full).unwrap()).unwrap();
    db.upsert(1, to_attributes(&Optional { text: None, nested: Some(Some(2)), null: 3.into() }).unwrap()).unwrap();
    let read: Optional = db.point_as(1).unwrap().unwrap();
    assert_eq!(read, Optional { text: Some("kept".into()), nested: Some(Some(2)), null: 3.into() });
    assert!(db.remove_attribute(1, "text").unwrap());
    assert_eq!(db.point_as::<Optional>(1).unwrap().unwrap().text, None);
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributed {
    first_name: String,
    #[serde(rename = "the age", alias = "age")]
    age: u8,
    #[serde(default = "boston", skip_serializing_if = "String::is_empty")]
    city: String,
    #[serde(skip)]
    cached: u32,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

fn boston() -> String {
    "Boston".to_owned()
}

#[test]
fn the_attributes_of_serde_work() {
    let record = |city: &str, others: &[(&str, i32)]| Attributed {
        first_name: "Alice".to_owned(),
        age: 25,
        city: city.to_owned(),
        cached: 0,
        others: others.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect(),
    };
    let db = create();
    db.upsert(1, to_attributes(&record("", &[("height", 170)])).unwrap()).unwrap();
    let mut names = db.dimensions();
    names.sort();
    assert_eq!(names, ["firstName", "height", "the age"]);
    assert_eq!(db.point_as::<Attributed>(1).unwrap().unwrap(), record("Boston", &[("height", 170)]));

    #[derive(Deserialize)]
    struct Aliased {
        #[serde(alias = "the age")]
        age: u8,
    }
    assert_eq!(db.point_as::<Aliased>(1).unwrap().unwrap().age, 25);

    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Animal {
        Cat { lives: u8 },
        Dog,
    }
    for animal in [Animal::Cat { lives: 9 }, Animal::Dog] {
        let db = create();
        db.upsert(1, to_attributes(&animal).unwrap()).unwrap();
        assert!(db.lookup(1, "kind").unwrap().is_some());
        assert_eq!(db.point_as::<Animal>(1).unwrap().unwrap(), animal);
    }

    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Wrapper(Aged);
    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Aged {
        age: u8,
    }
    db.upsert(2, to_attributes(&Wrapper(Aged { age: 5 })).unwrap()).unwrap();
    assert_eq!(db.point_as::<Option<Wrapper>>(2).unwrap(), Some(Some(Wrapper(Aged { age: 5 }))));
}

#[test]
fn records_go_wherever_attributes_go() {
    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Numbered {
        n: i64,
        tags: Vec<String>,
    }
    let numbered = |n: i64| Numbered { n, tags: vec![n.to_string()] };
    let db = create();
    let records: Vec<_> = (0..5).map(|n| (n, to_attributes(&numbered(n)).unwrap())).collect();
    db.batch_upsert(records).unwrap();
    db.insert_at(5, 0, to_attributes(&numbered(5)).unwrap()).unwrap();
    let snapshot = db.snapshot();
    let read: Vec<(Key, Numbered)> = snapshot
        .iter_as()
        .map(|item| item.map(|(key, record)| (key.to_key(), record)))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(read, [5, 0, 1, 2, 3, 4].map(|n| (Key::from(n), numbered(n))));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push_record("a", &numbered(7)).unwrap();
    assert!(loader.push_record("b", &5).unwrap_err().is_record());
    assert_eq!(loader.finish().unwrap().points, 1);
    assert_eq!(VectorDb::open(&path).unwrap().point_as::<Numbered>("a").unwrap(), Some(numbered(7)));
}

#[test]
fn a_struct_reads_its_own_dimensions_and_no_others() {
    #[derive(Debug, Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Exact {
        #[serde(rename = "name")]
        _name: String,
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let db = VectorDb::create(&path).unwrap();
    db.upsert(1, attrs! { "name" => "Alice", "age" => 25 }).unwrap();
    db.compact(&Default::default()).unwrap();
    db.close().unwrap();
    let column = |name: &str| name.starts_with("dim-1-");
    let mut files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let age = files.find(|file| column(file.file_name().unwrap().to_str().unwrap())).unwrap();
    let sound = std::fs::read(&age).unwrap();
    let mut damaged = 0;
    for at in (0..sound.len()).step_by(8) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xFF;
        std::fs::write(&age, bytes).unwrap();
        let Ok(db) = VectorDb::open_read_only(&path) else { continue };
        let Err(error) = db.point(1) else { continue };
        assert!(error.is_corrupt(), "{error}");
        assert_eq!(db.point_as::<Named>(1).unwrap().unwrap().name, "Alice");
        assert!(db.point_as::<Exact>(1).unwrap_err().is_corrupt());
        assert!(db.point_as::<HashMap<String, Value>>(1).unwrap_err().is_corrupt());
        damaged += 1;
    }
    assert!(damaged > 0, "no damage was seen");
}

#[test]
fn a_struct_read_by_hand_with_text_for_names_gets_its_fields_and_nothing_else() {
    struct ByHand(Vec<String>);
    impl<'de> Deserialize<'de> for ByHand {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = ByHand;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("names")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<ByHand, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        names.push(name);
                    }
                    Ok(ByHand(names))
                }
            }
            deserializer.deserialize_struct("ByHand", &["b", "a", "x"], Visitor)
        }
    }
    let db = create();
    db.upsert(1, attrs! { "a" => 1, "b" => 2, "c" => 3 }).unwrap();
    assert_eq!(db.point_as::<ByHand>(1).unwrap().unwrap().0, ["b", "a"]);
}

/// One of two structs, in turn: what was found out about the fields of one must not be taken for the other's.
enum InTurn {
    First(i64),
    Second(i64),
}

impl<'de> Deserialize<'de> for InTurn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct First {
            a: i64,
        }
        #[derive(Deserialize)]
        struct Second {
            b: i64,
        }
        thread_local! {
            static TURN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        if TURN.replace(!TURN.get()) {
            Second::deserialize(deserializer).map(|second| Self::Second(second.b))
        } else {
            First::deserialize(deserializer).map(|first| Self::First(first.a))
        }
    }
}

#[test]
fn an_iterator_over_two_structs_in_turn_gives_each_its_fields() {
    let db = create();
    db.batch_upsert((0..10i64).map(|n| (n, attrs! { "a" => n, "b" => -n }))).unwrap();
    let read = |item: vector_datalib::Result<(_, InTurn)>| match item.unwrap().1 {
        InTurn::First(a) => a,
        InTurn::Second(b) => b,
    };
    let snapshot = db.snapshot();
    assert_eq!(snapshot.iter_as().map(read).collect::<Vec<_>>(), [0, -1, 2, -3, 4, -5, 6, -7, 8, -9]);
}

#[test]
fn timestamps_and_their_like_survive_other_formats() {
    let time = Timestamp::new(-5, 7).unwrap();
    assert_eq!(serde_json::to_string(&time).unwrap(), "[-5,7]");
    assert_eq!(serde_json::from_str::<Timestamp>("[-5,7]").unwrap(), time);
    assert!(serde_json::from_str::<Timestamp>("[0,1000000000]").is_err());
    let Value::Ext(ext) = Value::ext(5, vec![1, 2]) else { panic!("it is one") };
    assert_eq!(serde_json::to_string(&ext).unwrap(), "[5,[1,2]]");
    assert_eq!(serde_json::from_str::<vector_datalib::Ext>("[5,[1,2]]").unwrap(), ext);
    let Value::BigInt(big) = Value::from(u128::MAX) else { panic!("it is one") };
    let text = serde_json::to_string(&big).unwrap();
    assert!(text.starts_with("[0,255,255"), "{text}");
    assert_eq!(serde_json::from_str::<vector_datalib::BigInt>(&text).unwrap(), big);
    assert!(serde_json::from_str::<vector_datalib::BigInt>("[0,5]").is_err(), "fits in 128 bits");
    // No fraction: where another crate turns on serde_json's arbitrary precision, it gives those as maps of its own.
    let value: Value = serde_json::from_str(r#"{"a": [1, -1, null, true, "x"]}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a": [1, -1, null, true, "x"]}"#);
    assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"a":[1,-1,null,true,"x"]}"#);
}
