//! What calls take and what they refuse: positions, values in every form, names, options; and which error comes first.

use std::ops::Bound;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    BulkLoader, Dimension, Key, NAME_LEN_MAX, NESTING_MAX, Options, Slot, VALUE_LEN_MAX, Value, ValueBuf, VectorDb,
    attrs,
};

fn create() -> VectorDb {
    Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap()
}

#[test]
fn a_position_is_a_number_or_a_slot_that_a_read_gave() {
    let db = create();
    let none: [(&str, i64); 0] = [];
    assert_eq!(db.insert_at("b", 0, none).unwrap(), Slot(0));
    assert_eq!(db.insert_at("d", 1_u32, none).unwrap(), Slot(1));
    let d = db.snapshot().slot("d").unwrap().unwrap();
    assert_eq!(db.insert_at("c", d, none).unwrap(), Slot(1));
    assert_eq!(db.batch_insert_at([("a", Some(0), none), ("f", None, none)]).unwrap(), [Slot(0), Slot(4)]);
    let f = db.snapshot().slot("f").unwrap();
    assert_eq!(db.batch_insert_at([("e", f, none)]).unwrap(), [Slot(4)]);
    let keys: Vec<Key> = db.snapshot().iter().map(|point| point.unwrap().key().to_key()).collect();
    assert_eq!(keys, ["a", "b", "c", "d", "e", "f"].map(Key::from));
}

#[test]
fn a_loader_takes_names_and_values_lent_or_owned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    let list = Value::Array(vec![1.into(), "x".into()]);
    let owned: Vec<(String, Value)> = vec![("list".into(), list.clone()), ("n".into(), 5.into())];
    loader.push(1, owned.iter().map(|(name, value)| (name, value))).unwrap();
    loader.push(2, owned.clone()).unwrap();
    loader.push(3, attrs! { "list" => list.clone(), "n" => 5 }).unwrap();
    loader.push(4, [("list", &ValueBuf::try_from(list.clone()).unwrap())]).unwrap();
    loader.push(4, [(String::from("n"), 5)]).unwrap();
    loader.push(5, [("text", String::from("owned"))]).unwrap();
    let deep = (0..=NESTING_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let error = loader.push(6, [("list", &deep)]).unwrap_err();
    assert!(error.is_invalid_argument() && error.to_string().starts_with("record 6: a value has"), "{error}");
    loader.finish().unwrap();
    let db = VectorDb::open(&path).unwrap();
    for key in 1..=4 {
        assert_eq!(db.point(key).unwrap().unwrap().into_attributes(), owned, "{key}");
    }
    assert_eq!(db.lookup(5, "text").unwrap(), Some("owned".into()));
    assert_eq!(db.len(), 5);
}

#[test]
fn values_are_found_and_counted_in_whatever_form_they_are() {
    let db = create();
    let list = Value::Array(vec![1.into(), Value::Null]);
    db.batch_upsert([(1, [("v", list.clone())]), (2, [("v", "text".into())]), (3, [("v", list.clone())])]).unwrap();
    for saved in [false, true] {
        if saved {
            db.compact(&Default::default()).unwrap();
        }
        let snapshot = db.snapshot();
        let dimension = snapshot.dimension("v").unwrap();
        let slots = |found: vector_datalib::Find<'_>| found.map(Result::unwrap).collect::<Vec<_>>();
        let text = Value::from("text");
        assert_eq!(slots(dimension.find(&list).unwrap()), [Slot(0), Slot(2)]);
        assert_eq!(slots(dimension.find(list.clone()).unwrap()), [Slot(0), Slot(2)]);
        assert_eq!(slots(dimension.find(&text).unwrap()), [Slot(1)]);
        assert_eq!([dimension.count_of(&list).unwrap(), dimension.count_of(text.clone()).unwrap()], [2, 1]);
        assert_eq!([dimension.count_of("text").unwrap(), dimension.count_of(String::from("text")).unwrap()], [1, 1]);
        let deep = (0..=NESTING_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(dimension.find(&deep).unwrap_err().is_invalid_argument());
        assert!(dimension.count_of(deep).unwrap_err().is_invalid_argument());
    }
}

#[test]
fn names_are_any_text_and_the_last_value_of_one_counts() {
    let longest = "x".repeat(NAME_LEN_MAX);
    let names = ["", "\0", "a\0b", "../x", "/", " ", "\u{1F600}", &longest];
    let dir = tempfile::tempdir().unwrap();
    let (created, loaded) = (dir.path().join("created"), dir.path().join("loaded"));
    let db = VectorDb::create(&created).unwrap();
    db.upsert(1, names.map(|name| (name, "first"))).unwrap();
    db.batch_upsert([(1, names.into_iter().chain(names).zip(0..16).collect::<Vec<_>>())]).unwrap();
    let mut loader = BulkLoader::create(&loaded).unwrap();
    loader.push(1, names.into_iter().chain(names).zip(0..16)).unwrap();
    loader.finish().unwrap();
    db.close().unwrap();
    for path in [created, loaded] {
        let db = VectorDb::open(&path).unwrap();
        db.compact(&Default::default()).unwrap();
        assert_eq!(db.dimensions(), names);
        for (name, last) in names.into_iter().zip(8..) {
            assert_eq!(db.lookup(1, name).unwrap(), Some(last.into()), "{:?}", name.get(..3));
        }
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn an_option_that_makes_no_sense_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x/a.vdb");
    let there = dir.path().join("there.vdb");
    drop(VectorDb::create(&there).unwrap());
    for (options, name) in [
        (Options::new().merge_fraction(f64::NAN), "merge_fraction is NaN"),
        (Options::new().merge_fraction(-0.5), "merge_fraction is -0.5"),
        (Options::new().merge_fraction(f64::INFINITY), "merge_fraction is inf"),
        (Options::new().auto_checkpoint(Some(0)), "auto_checkpoint is 0 bytes"),
        (Options::new().memory_budget(0), "memory_budget is 0 bytes"),
    ] {
        let memory = Arc::new(MemoryStorage::new());
        for result in [
            options.create(&path),
            options.open(&there),
            options.open_read_only(&there),
            options.create_in(memory.clone()),
            options.open_in(memory.clone()),
        ] {
            let error = result.unwrap_err();
            assert!(error.is_invalid_argument() && error.to_string().starts_with(name), "{error}");
        }
        assert!(memory.files().is_empty());
    }
    assert!(!dir.path().join("x").exists());
    let least = Options::new().merge_fraction(0.0).auto_checkpoint(Some(1)).memory_budget(1).value_cache(0);
    assert!(least.open(&there).is_ok());

    let mut loader = BulkLoader::create(&path).unwrap().memory_budget(0);
    for error in [loader.push(1, [("a", 1)]).unwrap_err(), loader.finish().map(drop).unwrap_err()] {
        assert!(error.is_invalid_argument() && error.to_string().contains("memory_budget is 0 bytes"), "{error}");
    }
    assert!(!dir.path().join("x").exists());
}

#[test]
fn attributes_are_checked_before_the_handle_and_the_handle_before_the_key() {
    let storage = Arc::new(MemoryStorage::new());
    let writer = Options::new().create_in(storage.clone()).unwrap();
    let reader = Options::new().open_read_only_in(storage).unwrap();
    let closed = writer.clone();
    writer.close().unwrap();
    let long = "x".repeat(NAME_LEN_MAX + 1);
    for (db, is_its) in [(&reader, true), (&closed, false)] {
        assert!(db.upsert(1, [(&*long, 1)]).unwrap_err().is_invalid_argument());
        for error in [
            db.upsert("x".repeat(VALUE_LEN_MAX + 1), attrs! {}).unwrap_err(),
            db.insert_at(1, 7, attrs! {}).unwrap_err(),
            db.upsert(1, attrs! {}).unwrap_err(),
        ] {
            assert_eq!((error.is_read_only(), error.is_closed()), (is_its, !is_its), "{error}");
        }
    }
}

#[test]
fn dimensions_of_two_snapshots_are_not_mapped_to_each_other() {
    let db = create();
    db.upsert(1, attrs! { "a" => 1, "b" => 2 }).unwrap();
    let (one, clone, later) = (db.snapshot(), db.snapshot().clone(), db.snapshot());
    let a = one.dimension("a").unwrap();
    assert!(a.map_to(one.dimension("b").unwrap()).is_ok());
    for other in [&clone, &later] {
        let b: Dimension<'_> = other.dimension("b").unwrap();
        for error in [
            a.map_to(b).map(drop).unwrap_err(),
            a.cross_counts(b).map(drop).unwrap_err(),
            a.aggregate_by(b).map(drop).unwrap_err(),
        ] {
            assert!(error.is_invalid_argument() && error.to_string().contains("not of the same snapshot"), "{error}");
        }
    }
}

#[test]
fn a_range_has_bounds_that_are_compared_with_each_other() {
    let db = create();
    db.batch_upsert([(1, attrs! { "a" => 1 }), (2, attrs! { "a" => "text" }), (3, attrs! { "a" => f64::NAN })])
        .unwrap();
    let snapshot = db.snapshot();
    let a = snapshot.dimension("a").unwrap();
    let pair = |start, end| (Bound::Included(start), Bound::Included(end));
    for range in [pair(Value::from(1), Value::from("a")), pair(Value::Null, 1.into()), pair(true.into(), 1.into())] {
        assert!(a.find_in(range.clone()).unwrap_err().is_invalid_argument(), "{range:?}");
        assert!(a.count_in(range.clone()).unwrap_err().is_invalid_argument(), "{range:?}");
    }
    assert_eq!(a.count_in(pair(1.into(), 1.5.into())).unwrap(), 1, "numbers of all types are compared");
    assert_eq!(a.count_in::<i64>(..).unwrap(), 3);
    assert_eq!([a.count_in(f64::NAN..), a.count_in(..=f64::NAN)].map(Result::unwrap), [0; 2]);
    assert_eq!(a.count_in(pair(5.into(), 1.into())).unwrap(), 0);
    assert!(a.count_in("x".repeat(VALUE_LEN_MAX + 1)..).unwrap_err().is_invalid_argument());
}
