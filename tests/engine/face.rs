//! The public face: what its types say of themselves, and which record an error is about.

use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    BulkLoader, CompactOptions, Key, NAME_LEN_MAX, Options, Slot, Value, ValueBuf, ValueRef, VectorDb, attrs,
};

fn create() -> VectorDb {
    Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap()
}

#[test]
fn an_error_about_a_batch_names_the_record() {
    let db = create();
    let long = "x".repeat(NAME_LEN_MAX + 1);
    let records = [(1, ("a", 1)), (2, ("b", 2)), (3, (&*long, 3)), (4, ("c", 4))];
    let error = db.batch_upsert(records.map(|(key, attribute)| (key, [attribute]))).unwrap_err();
    assert!(error.is_invalid_argument() && error.to_string().starts_with("record 2: the name of"), "{error}");
    let records = [(1, None, attrs! { "a" => 1 }), (2, Some(5), attrs! { "a" => 2 })];
    let error = db.batch_insert_at(records).unwrap_err();
    assert!(error.to_string().starts_with("record 1: position 5 is past the end"), "{error}");
    let error = db.insert_at(2, 5, attrs! { "a" => 2 }).unwrap_err();
    assert!(error.to_string().starts_with("position 5"), "only one record is there to blame: {error}");
    assert!(db.is_empty() && db.dimensions().is_empty());
}

#[test]
fn a_loader_names_the_record_that_it_refused_and_goes_on_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push("a", [("n", 1)]).unwrap();
    let long = "x".repeat(NAME_LEN_MAX + 1);
    for key in ["b", "a"] {
        let error = loader.push(key, [("m", 2), (&*long, 2)]).unwrap_err();
        assert!(error.is_invalid_argument() && error.to_string().starts_with("record 1: "), "{error}");
    }
    loader.push("c", [("n", 3)]).unwrap();
    assert_eq!((loader.len(), loader.finish().unwrap().points), (2, 2));
    let db = VectorDb::open(&path).unwrap();
    assert_eq!(db.dimensions(), ["n"]);
    assert_eq!([db.contains("a").unwrap(), db.contains("b").unwrap(), db.contains("c").unwrap()], [true, false, true]);
}

#[test]
fn a_loader_takes_whatever_converts_into_a_borrowed_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let array = Value::from(vec![Value::from(1), Value::Null]);
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push(1, [("a", 5)]).unwrap();
    loader.push(1, [("b", "text")]).unwrap();
    loader.push(1, [("c", &ValueBuf::try_from(array.clone()).unwrap())]).unwrap();
    loader.push(1, [("d", ValueRef::from(1.5)), ("e", None::<i64>.into())]).unwrap();
    loader.finish().unwrap();
    let values = VectorDb::open(&path).unwrap().point(1).unwrap().unwrap().into_attributes();
    let values: Vec<Value> = values.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [5.into(), "text".into(), array, 1.5.into(), Value::Null]);
}

#[test]
fn a_point_gives_its_attributes_by_name_and_comes_apart() {
    let db = create();
    db.upsert("a", attrs! { "n" => 1, "m" => "x" }).unwrap();
    db.upsert("b", attrs! { "n" => 2 }).unwrap();
    for saved in [false, true] {
        if saved {
            db.save().unwrap();
        }
        let snapshot = db.snapshot();
        let points: Vec<_> = snapshot.iter().map(Result::unwrap).collect();
        assert_eq!(points[0].get("m").unwrap(), Some(ValueRef::Text("x")));
        assert_eq!(points[1].get("m").unwrap(), None);
        assert_eq!(points[1].get("n").unwrap(), Some(2.into()));
        assert_eq!(points[1].get("other").unwrap(), None);
        let (coordinate, key, attributes) = points[0].to_point().unwrap().into_parts();
        assert_eq!((coordinate, key), (Slot(0), Key::from("a")));
        assert_eq!(attributes, [("n".to_owned(), 1.into()), ("m".to_owned(), "x".into())]);
    }
}

#[test]
fn debug_says_which_database_it_is_and_not_what_is_in_it() {
    let db = create();
    db.batch_upsert((0..1000).map(|n| (n, attrs! { "name" => format!("secret {n}") }))).unwrap();
    let snapshot = db.snapshot();
    for text in [format!("{db:?}"), format!("{snapshot:?}")] {
        assert!(text.contains("len: 1000") && text.contains("sequence: 1") && text.contains("path: "), "{text}");
        assert!(text.len() < 200, "{text}");
    }
    let point = snapshot.iter().next().unwrap().unwrap();
    assert_eq!(format!("{point:?}"), "PointRef { coordinate: Slot(0), key: Int(0), .. }");
    let dimension = snapshot.dimension("name").unwrap();
    assert_eq!(format!("{dimension:?}"), "Dimension { name: \"name\", .. }");
}

#[test]
fn shared_lookups_answer_as_others_and_are_counted() {
    let storage = Arc::new(MemoryStorage::new());
    let db = Options::new().value_cache(1 << 20).create_in(storage).unwrap();
    let list = |n: i64| Value::Array(vec![n.into(), "text".into()]);
    db.batch_upsert((0..10).map(|n| (n, [("list", list(n % 3)), ("n", n.into())]))).unwrap();
    for saved in [false, true] {
        if saved {
            db.compact(&CompactOptions::new()).unwrap();
        }
        for n in 0..10 {
            assert_eq!(db.lookup_shared(n, "list").unwrap().as_deref(), Some(&list(n % 3)));
            assert_eq!(db.lookup_shared(n, "n").unwrap().as_deref(), Some(&n.into()));
        }
    }
    assert_eq!(db.lookup_shared(99, "n").unwrap(), None);
    assert_eq!(db.lookup_shared(0, "other").unwrap(), None);
    let stats = db.stats().unwrap();
    assert_eq!((stats.value_cache_hits, stats.value_cache_misses), (17, 3), "the same values, wherever they are");
    assert!(stats.value_cache_bytes > 0);
    db.upsert(0, [("list", list(77))]).unwrap();
    assert_eq!(db.lookup_shared(0, "list").unwrap().as_deref(), Some(&list(77)), "no stale value");
    let without = create();
    without.upsert(0, [("list", list(77))]).unwrap();
    assert_eq!(without.lookup_shared(0, "list").unwrap().as_deref(), Some(&list(77)));
    assert_eq!(without.stats().unwrap().value_cache_misses, 0);
}
