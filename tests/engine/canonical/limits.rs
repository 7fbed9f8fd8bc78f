//! Limits: each is enforced, names itself, and can be raised.

use super::case::{import, points_only};
use super::draft::{SPACES, edited, points};
use super::node::{NIL, Node, array, ext};
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
    let allows = format!(", where ImportLimits::{name} allows {allowed}; raise that for a file that you trust");
    for part in ["source.db has ".to_owned(), value.to_string(), allows] {
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
    check("names_len", &file, 7, |limits, value| limits.names_len = value);
    check("name_len", &file, 4, |limits, value| limits.name_len = value);
    check("depth", &file, 5, |limits, value| limits.depth = value);
}

#[test]
fn levels_within_a_wrapped_value_count() {
    let with = |value: Node| edited(|file| file.set(&format!("{SPACES}/name/value_domain/1"), value));
    let set = |limits: &mut ImportLimits, value| limits.depth = value;
    check("depth", &with(array([array([array([])])])), 8, set);
    check("depth", &with(ext(0x56, &[2, 0x91, 0x91, 0x90])), 8, set);
    check("depth", &with(ext(0x56, &[2, 0x92, 0x91, 0x90, 0x90])), 8, set);
    // What no writer wraps so is data.
    check("depth", &with(ext(0x56, &[4, 0x91, 0x91, 0x90])), 5, set);
}

#[test]
fn only_slots_that_are_needed_count_as_points() {
    let file = edited(|file| {
        for coordinate in [1, 3, 9, 10, 11] {
            file.push("database/central_axis/vector_points", NIL);
            file.add("database/coordinate_mappings/age/coordinate_to_value_id", coordinate, 1);
        }
    });
    check("points", &file, 3, |limits, value| limits.points = value);
}

#[test]
fn what_a_file_is_made_of_does_not_count_as_strings() {
    // The value "Alice", beside longer names and times.
    let set = |limits: &mut ImportLimits, value| limits.string_len = value;
    check("string_len", &edited(|_| {}), 5, set);
    let long = edited(|file| {
        file.pairs(SPACES)[0].0 = "a dimension with a name".into();
        file.pairs("database/coordinate_mappings")[0].0 = "a dimension with a name".into();
        file.pairs("database/coordinate_mappings")[1].0 = "name".into();
        file.add("metadata", "a field that nobody knows", 1);
        file.set(&format!("{SPACES}/name/next_id"), "        2");
    });
    check("string_len", &long, 5, set);
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

/// What it names is left out in a salvage, but it is read.
#[test]
fn a_name_that_is_no_text_is_not_read_beyond_the_length_of_names() {
    let file = edited(|file| file.pairs(SPACES)[0].0 = Node::Array(vec![1.into(); 1 << 20]));
    let mut limits = ImportLimits::default();
    limits.string_len = 1000;
    limits.name_len = 100;
    let error = import(&file, &Import::new().limits(limits).salvage(true)).unwrap().err().unwrap();
    assert!(matches!(error, Error::Limit { limit: "name_len", value: 101..200, allowed: 100, .. }), "{error}");
}

#[test]
fn honest_files_pass_the_default_limits() {
    let many = || Node::Array((0..100_000).map(|n| Node::Int(n % 7)).collect());
    let file = edited(|file| file.add("database", "later", array([many(), many()])));
    assert_eq!(points_only(&file), points());
}
