//! Records that a bulk load merges.

use vector_datalib::{BulkLoader, ValueRef, VectorDb};

/// A record with a name twice once had two cells in one slot, and the database could not be opened.
#[test]
fn the_last_value_counts_where_a_loaded_record_names_a_dimension_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("twice.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push("a", [("x", ValueRef::Int(1)), ("y", ValueRef::Null), ("x", ValueRef::Int(2))]).unwrap();
    loader.push("b", [("x", ValueRef::Int(3)), ("x", ValueRef::Int(4)), ("x", ValueRef::Int(5))]).unwrap();
    let report = loader.finish().unwrap();
    assert_eq!((report.points, report.merged), (2, 0));
    let db = VectorDb::open(&path).unwrap();
    assert_eq!(db.lookup("a", "x").unwrap(), Some(2.into()));
    assert_eq!(db.lookup("b", "x").unwrap(), Some(5.into()));
    assert!(db.verify().unwrap().is_sound());
}

/// Dimensions that only merged records had once came after all others.
#[test]
fn dimensions_of_merged_records_have_their_place_in_the_order_of_first_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("merged.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push("a", [("x", ValueRef::Int(1))]).unwrap();
    loader.push("a", [("y", ValueRef::Int(2)), ("x", ValueRef::Int(3))]).unwrap();
    loader.push("b", [("z", ValueRef::Int(4))]).unwrap();
    let report = loader.finish().unwrap();
    assert_eq!((report.points, report.merged), (2, 1));
    let db = VectorDb::open(&path).unwrap();
    assert_eq!(db.dimensions(), ["x", "y", "z"]);
    assert_eq!(db.lookup("a", "x").unwrap(), Some(3.into()));
    assert_eq!(db.lookup("a", "y").unwrap(), Some(2.into()));
}
