//! get, put, delete.

use crate::Place;
use vector_datalib::VectorDb;

#[test]
fn get_prints_all_attributes_one_or_some() {
    let place = Place::new();
    let db = place.people();
    assert_eq!(place.line(&["get", db, "101"]), r#"{"name":"Alice","age":25,"height":1.7}"#);
    assert_eq!(place.line(&["get", db, "102"]), r#"{"name":"Bob","height":1.8}"#);
    assert_eq!(place.line(&["get", db, "103", "name"]), r#""Carol \"C\", Jr.""#);
    assert_eq!(place.line(&["get", db, "101", "age"]), "25");
    assert_eq!(place.line(&["get", db, "101", "height", "age"]), r#"{"height":1.7,"age":25}"#);
    assert_eq!(place.line(&["get", db, "102", "age", "name", "name"]), r#"{"name":"Bob"}"#);
    assert_eq!(place.line(&["get", db, "103", "height", "height"]), "{}");
}

#[test]
fn what_is_missing_is_null_and_code_1() {
    let place = Place::new();
    let db = place.people();
    for (arguments, said) in [
        (&["get", db, "999"][..], ""),
        (&["get", db, "999", "name"], ""),
        (&["get", db, "102", "age"], ""),
        (&["get", db, "101", "agee"], "vdb: the database has no dimension \"agee\"\n"),
        (&["get", db, "\"101\""], "vdb: no point has the key \"101\"; there is a key that is no text: 101\n"),
        (&["get", db, "101.0"], ""),
        (&["get", db, "nobody"], ""),
    ] {
        let run = place.run(arguments);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, "null\n", said), "{arguments:?}");
    }
    assert_eq!(place.run(&["get", db, "\"101\"", "-q"]).stderr, "");
}

#[test]
fn put_merges_and_prints_the_coordinate() {
    let place = Place::new();
    let db = place.people();
    assert_eq!(place.line(&["put", db, "102", r#"{"age": 26, "city": null}"#]), "1");
    assert_eq!(place.line(&["get", db, "102"]), r#"{"name":"Bob","age":26,"height":1.8,"city":null}"#);
    assert_eq!(place.line(&["get", db, "102", "city"]), "null");
    assert_eq!(place.line(&["put", db, "x", "{}"]), "3");
    assert_eq!(place.line(&["get", db, "x"]), "{}");
    assert_eq!(place.line(&["delete", db, "101"]), r#"{"deleted":1}"#);
    assert_eq!(place.line(&["put", db, "y", r#"{"name":"Dave"}"#]), "0");
}

#[test]
fn four_types_are_four_keys_and_every_value_comes_back() {
    let place = Place::new();
    place.fails_without(&["put", "t.vdb", "1", "{}"]);
    assert_eq!(place.line(&["put", "t.vdb", "1", "{}", "--create"]), "0");
    let values = [
        ("-5", "12345678901234567890123456789012345678901234567890"),
        ("1.0", "-0.0"),
        ("true", r#"{"$float":"NaN"}"#),
        ("\"1\"", r#"{"$bytes":"AP8="}"#),
        (r#"["EWR",1545]"#, r#"{"$timestamp":"2013-01-01T10:00:00.000000001Z"}"#),
        (r#"{"$bytes":"AA=="}"#, r#"{"$map":[[1,[{"$ext":[5,""]}]]]}"#),
        (r#"{"$timestamp":"2013-01-01T10:00:00Z"}"#, r#"{"a":{"$map":[["$x",1]]},"b":"é\n"}"#),
        ("plain text", "1e16"),
    ];
    for (index, (key, value)) in values.iter().enumerate() {
        assert_eq!(
            place.line(&["put", "t.vdb", key, &format!("{{\"v\":{value}}}"), "--create"]),
            (index + 1).to_string(),
            "{key}"
        );
    }
    for (key, value) in values {
        assert_eq!(place.line(&["get", "t.vdb", key, "v"]), value, "{key}");
    }
    assert_eq!(place.line(&["get", "t.vdb", "1"]), "{}");
    let lines = place.line(&["export", "t.vdb", "-", "--format", "jsonl"]);
    for (index, (line, (key, value))) in lines.lines().skip(1).zip(values).enumerate() {
        let key = if key == "plain text" { "\"plain text\"" } else { key };
        assert_eq!(line, format!("{{\"key\":{key},\"coordinate\":{},\"attributes\":{{\"v\":{value}}}}}", index + 1));
    }
}

impl Place {
    fn fails_without(&self, arguments: &[&str]) {
        let run = self.run(arguments);
        assert_eq!(run.code, 5);
        assert!(run.stderr.ends_with("; --create makes one\n"), "{run:?}");
        assert!(self.names().is_empty());
    }
}

#[test]
fn keys_and_attributes_that_make_no_sense_are_refused() {
    let place = Place::new();
    let db = place.people();
    let key = "a key is an integer of 64 bits, text, bytes, a float, a boolean, a timestamp, an ext value or an array of these; not null, not a map";
    place.fails(&["get", db, "null"], 2, &format!("KEY null: {key}; if the text itself is the key, write '\"null\"'"));
    place.fails(
        &["put", db, "{\"a\":1}", "{}"],
        2,
        &format!("KEY {{\"a\":1}}: {key}; if the text itself is the key, write '\"{{\\\"a\\\":1}}\"'"),
    );
    let like = "attributes look like '{\"name\":\"Alice\",\"age\":25}'";
    place.fails(&["put", db, "1", "name=x"], 2, &format!("JSON-OBJECT: an object is expected at byte 0; {like}"));
    place.fails(&["put", db, "1", "{\"a\":1"], 2, &format!("JSON-OBJECT: ',' or '}}' is expected at byte 6; {like}"));
    place.fails(&["put", db, "1", "{\"a\":{\"$x\":1}}"], 2, &format!("JSON-OBJECT: \"$x\" is not a tag that this version knows; a map with that key is {{\"$map\":[[\"$x\", value]]}} at byte 5; {like}"));
}

#[test]
fn delete_says_which_keys_were_not_there() {
    let place = Place::new();
    let db = place.people();
    let run = place.run(&["delete", db, "101", "999", "\"102\"", "103"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "{\"deleted\":2}\n"));
    assert_eq!(
        run.stderr,
        "vdb: no point has the key 999\nvdb: no point has the key \"102\"; there is a key that is no text: 102\n"
    );
    assert_eq!(place.run(&["get", db, "101"]).code, 1);
    assert_eq!(place.line(&["get", db, "102", "name"]), "\"Bob\"");
    assert_eq!(place.json(&["stats", db])["vector_points"], 1);
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let place = Place::new();
    let name = place.people();
    let writer = VectorDb::open(place.path(name)).unwrap();
    for arguments in
        [&["put", name, "1", "{}"][..], &["delete", name, "101"], &["checkpoint", name], &["compact", name]]
    {
        let run = place.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{arguments:?}: {run:?}");
        assert!(
            run.stderr.starts_with("vdb: ") && run.stderr.contains(name) && run.stderr.lines().count() == 1,
            "{run:?}"
        );
    }
    assert_eq!(place.line(&["get", name, "101", "age"]), "25");
    assert_eq!(place.run(&["verify", name]).code, 0);
    writer.close().unwrap();
    assert_eq!(place.line(&["put", name, "101", r#"{"age":26}"#]), "0");
}
