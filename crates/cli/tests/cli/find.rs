//! find and count.

use crate::Place;

impl Place {
    /// Points whose values look alike, and one that is deleted.
    fn alike(&self) -> &'static str {
        let rows = ["1", "1.0", "\"1\"", "1", "null", "\"JFK\"", "{\"$bytes\":\"AA==\"}", "1"];
        for (key, value) in rows.iter().enumerate() {
            self.line(&["put", "v.vdb", &key.to_string(), &format!("{{\"v\":{value}}}"), "--create"]);
        }
        self.line(&["put", "v.vdb", "none", r#"{"other":1}"#]);
        self.line(&["delete", "v.vdb", "7"]);
        self.line(&["checkpoint", "v.vdb"]);
        self.line(&["put", "v.vdb", "5", r#"{"v":"LGA"}"#]);
        "v.vdb"
    }
}

#[test]
fn find_prints_keys_and_coordinates_in_order_and_keeps_types_apart() {
    let place = Place::new();
    let db = place.alike();
    let line = |number: u32| format!("{{\"key\":{number},\"coordinate\":{number}}}");
    assert_eq!(place.line(&["find", db, "v", "1"]), [line(0), line(3)].join("\n"));
    for (value, number) in [("1.0", 1), ("\"1\"", 2), ("null", 4), ("LGA", 5), (r#"{"$bytes":"AA=="}"#, 6)] {
        assert_eq!(place.line(&["find", db, "v", value]), line(number), "{value}");
    }
    assert_eq!(place.line(&["find", db, "other", "1"]), r#"{"key":"none","coordinate":8}"#);
}

#[test]
fn a_limit_is_kept_and_told_only_where_there_are_more() {
    let place = Place::new();
    let db = place.alike();
    let run = place.run(&["find", db, "v", "1", "--limit", "1"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1));
    assert_eq!(run.stderr, "vdb: there are more points than the 1 that --limit shows\n");
    let run = place.run(&["find", db, "v", "1", "--limit", "2"]);
    assert_eq!((run.code, run.stdout.lines().count(), run.stderr.as_str()), (0, 2, ""));
}

#[test]
fn what_is_not_found_is_code_1_with_what_may_have_been_meant() {
    let place = Place::new();
    let db = place.alike();
    let other = |literal: &str| {
        format!("vdb: no point has that value; there are points with one of another type: '{literal}'\n")
    };
    place.line(&["put", db, "7", r#"{"v":"22","w":7}"#]);
    for (arguments, said) in [
        (["v", "JFK"], String::new()),
        (["v", "-3"], String::new()),
        (["v", "22"], other("\"22\"")),
        (["w", "7.0"], other("7")),
        (["w", "\"7\""], other("7")),
        (["x", "1"], "vdb: the database has no dimension \"x\"\n".to_owned()),
    ] {
        let run = place.run(&["find", db, arguments[0], arguments[1]]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, "", said.as_str()), "{arguments:?}");
    }
}

#[test]
fn count_prints_the_most_frequent_values_first() {
    let place = Place::new();
    let db = place.alike();
    place.line(&["delete", db, "2"]);
    let run = place.run(&["count", db, "v"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr, "vdb: 6 of 7 points with \"v\", 5 distinct values\n");
    let mut lines = run.stdout.lines();
    assert_eq!(lines.next(), Some(r#"{"value":1,"points":2}"#));
    let mut rest: Vec<_> = lines.collect();
    rest.sort_unstable();
    assert_eq!(
        rest,
        [
            r#"{"value":"LGA","points":1}"#,
            r#"{"value":1.0,"points":1}"#,
            r#"{"value":null,"points":1}"#,
            r#"{"value":{"$bytes":"AA=="},"points":1}"#,
        ]
    );
    let run = place.run(&["count", db, "v", "--top", "1"]);
    assert_eq!(run.stdout, "{\"value\":1,\"points\":2}\n");
    let left_out = "4 more values with 4 points left out by --top";
    assert_eq!(run.stderr, format!("vdb: 6 of 7 points with \"v\", 5 distinct values; {left_out}\n"));
    assert!(!place.run(&["count", db, "v", "--top", "5"]).stderr.contains("left out"));
    // The same in every run.
    assert_eq!(place.line(&["count", db, "v"]), place.line(&["count", db, "v"]));
}

#[test]
fn a_dimension_that_is_not_there_or_has_no_value_is_code_1() {
    let place = Place::new();
    let db = place.alike();
    place.line(&["delete", db, "none"]);
    for (dimension, said) in [
        ("x", "vdb: the database has no dimension \"x\"\n"),
        ("other", "vdb: 0 of 7 points with \"other\", 0 distinct values\n"),
    ] {
        let run = place.run(&["count", db, dimension]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, "", said));
    }
}
