//! Limits: each is enforced, names itself, and can be raised.

use super::case::{import, points_only};
use super::draft::{SPACES, edited, points};
use super::node::{Node, array};
use vector_datalib::{Error, Import, ImportLimits};

/// A limit, set to what the file needs, and to one less.
#[track_caller]
fn check(name: &'static str, file: &[u8], needed: u64, set: fn(&mut ImportLimits, u64)) {
    let with = |value| {
        let mut limits = ImportLimits::default();
        set(&mut limits, value);
        import(file, &Import::new().limits(limits)).unwrap()
    };
    let enough = with(needed);
    assert!(enough.is_ok(), "{name} = {needed}: {}", enough.err().unwrap());
    let error = with(needed - 1).err().unwrap_or_else(|| panic!("{name} = {}: imported", needed - 1));
    let Error::Limit { limit, value, allowed, .. } = &error else { panic!("{name}: {error}") };
    assert_eq!((*limit, *allowed), (name, needed - 1), "{error}");
    assert!(*value > *allowed, "{error}");
    assert!(error.is_limit() && !error.is_rejected());
    let message = error.to_string();
    for part in ["source.db".to_owned(), name.to_owned(), value.to_string(), allowed.to_string()] {
        assert!(message.contains(&part), "{part:?} is not said: {message}");
    }
}

#[test]
fn each_limit_is_enforced_and_says_its_name_and_both_numbers() {
    let file = edited(|_| {});
    let content_len = super::draft::draft().encode(super::node::Width::Shortest).len() as u64;
    check("file_len", &file, file.len() as u64, |limits, value| limits.file_len = value);
    check("inflated_len", &file, content_len, |limits, value| limits.inflated_len = value);
    check("points", &file, 3, |limits, value| limits.points = value);
    check("dimensions", &file, 2, |limits, value| limits.dimensions = value);
    check("values", &file, 2, |limits, value| limits.values = value);
    check("name_len", &file, 4, |limits, value| limits.name_len = value);
    check("depth", &file, 5, |limits, value| limits.depth = value);
}

#[test]
fn the_length_of_strings_is_limited_wherever_they_are() {
    let long = || Node::Text("x".repeat(1000));
    let value = edited(|file| file.set(&format!("{SPACES}/name/value_domain/1"), long()));
    check("string_len", &value, 1000, |limits, value| limits.string_len = value);
    let bytes = edited(|file| file.set(&format!("{SPACES}/name/value_domain/1"), Node::Bytes(vec![0; 1000])));
    check("string_len", &bytes, 1000, |limits, value| limits.string_len = value);
    let unknown = edited(|file| file.add("metadata", "later", long()));
    check("string_len", &unknown, 1000, |limits, value| limits.string_len = value);
    let key = edited(|file| {
        file.set("database/central_axis/vector_points/0", long());
        file.set("database/central_axis/coordinate_map/0/0", long());
    });
    check("string_len", &key, 1000, |limits, value| limits.string_len = value);
}

#[test]
fn honest_files_pass_the_default_limits() {
    let many = || Node::Array((0..100_000).map(|n| Node::Int(n % 7)).collect());
    let file = edited(|file| file.add("database", "later", array([many(), many()])));
    assert_eq!(points_only(&file), points());
}
