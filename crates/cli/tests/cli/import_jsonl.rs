//! import of JSON lines: what an export wrote, plain objects, refusals.

use crate::Place;
use crate::import::{gzip, zip};

/// One value of every type, and those that JSON has no word for.
const VALUES: [&str; 27] = [
    "null",
    "true",
    "false",
    "0",
    "-9223372036854775808",
    "18446744073709551615",
    "12345678901234567890123456789012345678901234567890",
    "-12345678901234567890123456789012345678901234567890",
    "1.0",
    "-0.0",
    "5e-324",
    "1.7976931348623157e308",
    r#"{"$float":"NaN"}"#,
    r#"{"$float":"-Infinity"}"#,
    r#"{"$float":"0x7ff0000000000001"}"#,
    r#""""#,
    r#""é\n\u0000😀 \"1\"""#,
    r#"{"$bytes":""}"#,
    r#"{"$bytes":"AP8="}"#,
    r#"{"$timestamp":"2013-01-01T10:00:00.000000001Z"}"#,
    r#"{"$timestamp":[9223372036854775807,5]}"#,
    r#"{"$ext":[-7,"AQ=="]}"#,
    "[]",
    r#"[1,"1",1.0,[null,{"$bytes":"AA=="}]]"#,
    "{}",
    r#"{"b":1,"a":{"$map":[["$x",1]]}}"#,
    r#"{"$map":[[1,"x"],["a",2],["a",3]]}"#,
];

const KEYS: [&str; 9] = [
    "-5",
    "18446744073709551615",
    "1.0",
    "true",
    r#""1""#,
    r#"["EWR",1545]"#,
    r#"{"$bytes":"AA=="}"#,
    r#"{"$timestamp":"2013-01-01T10:00:00Z"}"#,
    r#"{"$ext":[5,""]}"#,
];

impl Place {
    fn export(&self, db: &str) -> String {
        self.line(&["export", db, "-", "--format", "jsonl", "-q"])
    }

    /// A database of every type of key and value, whose first points do not have its first dimensions.
    fn every_type(&self) -> &'static str {
        self.line(&["put", "every.vdb", "seed", r#"{"first":1,"second":2,"$bytes":3,"null":null}"#, "--create"]);
        for (index, value) in VALUES.iter().enumerate() {
            let key = KEYS.get(index).map_or_else(|| format!("\"v{index}\""), |key| (*key).to_owned());
            let name = ["second", "$bytes", "value"][index % 3];
            self.line(&["put", "every.vdb", &key, &format!("{{\"last\":{index},\"{name}\":{value}}}")]);
        }
        self.line(&["put", "every.vdb", "\"bare\"", "{}"]);
        // Attributes that would be a tag anywhere else.
        self.line(&["put", "every.vdb", "\"like a tag\"", r#"{"$bytes":1}"#]);
        // Only now is the first slot a point that does not have the first dimension.
        self.line(&["delete", "every.vdb", "seed"]);
        self.line(&["put", "every.vdb", "\"reborn\"", r#"{"last":true,"value":1}"#]);
        self.line(&["put", "every.vdb", "\"all\"", r#"{"first":1,"second":2,"$bytes":3,"value":4,"last":5}"#]);
        "every.vdb"
    }
}

#[test]
fn what_an_export_wrote_is_read_back_line_for_line_in_every_packing() {
    let place = Place::new();
    let db = place.every_type();
    let lines = place.export(db) + "\n";
    assert!(lines.starts_with(r#"{"key":"reborn","coordinate":0,"attributes":{"last":true,"value":1}}"#), "{lines}");
    for value in VALUES {
        assert!(lines.contains(&format!(":{value}")), "{value}");
    }
    for (name, bytes) in [
        ("plain.jsonl", lines.as_bytes().to_vec()),
        ("packed.ndjson.gz", gzip(&lines)),
        ("packed.jsonl.zip", zip(&[("README.csv", "a\n1\n"), ("points.jsonl", &lines)])),
    ] {
        place.write(name, &bytes);
        let again = format!("{name}.vdb");
        let run = place.run(&["import", name, &again]);
        let points = lines.lines().count();
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.starts_with(&format!("vdb: imported {points} points x 5 dimensions in ")), "{run:?}");
        assert!(!run.stderr.contains("coordinates"), "{run:?}");
        let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            (&summary["rows"], &summary["points"], &summary["merged"], &summary["dimensions"], &summary["renumbered"]),
            (&points.into(), &points.into(), &0.into(), &5.into(), &0.into())
        );
        assert_eq!(place.export(&again) + "\n", lines, "{name}");
        let by_pipe = format!("{name}-stdin.vdb");
        let run = place.run_with(&["import", "-", &by_pipe, "--format", "jsonl", "-q"], Some(&bytes));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        assert_eq!(place.export(&by_pipe) + "\n", lines, "{name}");
    }
}

#[test]
fn coordinates_are_not_kept_and_it_is_said_where_that_matters() {
    let place = Place::new();
    let db = place.people();
    place.line(&["delete", db, "101"]);
    place.line(&["export", db, "gap.jsonl"]);
    let run = place.run(&["import", "gap.jsonl", "gap.vdb"]);
    assert!(run.stderr.ends_with("; coordinates are not kept: 2 rows had another one\n"), "{run:?}");
    assert!(run.stdout.contains("\"renumbered\":2"), "{run:?}");
    assert_eq!(
        place.export("gap.vdb"),
        "{\"key\":102,\"coordinate\":0,\"attributes\":{\"name\":\"Bob\",\"height\":1.8}}\n\
         {\"key\":103,\"coordinate\":1,\"attributes\":{\"name\":\"Carol \\\"C\\\", Jr.\",\"age\":31}}"
    );
    let bare = "{\"attributes\":{},\"key\":1}\n";
    place.write("bare.jsonl", bare);
    assert!(!place.run(&["import", "bare.jsonl", "bare.vdb"]).stderr.contains("coordinates"));
}

#[test]
fn repeated_keys_merge_and_are_counted() {
    let place = Place::new();
    let line = |key: &str, attributes: &str| format!("{{\"key\":{key},\"attributes\":{attributes}}}\n");
    let lines = [line("1", r#"{"a":1,"b":1}"#), line("2", "{}"), line("1", r#"{"b":2,"c":null}"#)].concat();
    place.write("k.jsonl", lines);
    let run = place.run(&["import", "k.jsonl", "k.vdb"]);
    assert!(run.stderr.ends_with("; 1 row with the key of an earlier one merged into it\n"), "{run:?}");
    assert_eq!(place.line(&["get", "k.vdb", "1"]), r#"{"a":1,"b":2,"c":null}"#);
    assert_eq!(place.json(&["stats", "k.vdb"])["vector_points"], 2);
}

#[test]
fn plain_objects_have_a_field_of_keys_or_are_numbered() {
    let place = Place::new();
    place.write(
        "p.jsonl",
        "{\"id\":\"a\",\"n\":1,\"in\":{\"x\":[1]}}\n\n{\"n\":null,\"id\":7,\"t\":{\"$timestamp\":\"2013-01-01T10:00:00Z\"}}\n",
    );
    place.line(&["import", "p.jsonl", "keyed.vdb", "--key", "id"]);
    assert_eq!(place.line(&["get", "keyed.vdb", "a"]), r#"{"n":1,"in":{"x":[1]}}"#);
    assert_eq!(place.line(&["get", "keyed.vdb", "7"]), r#"{"n":null,"t":{"$timestamp":"2013-01-01T10:00:00Z"}}"#);
    place.line(&["import", "p.jsonl", "numbered.vdb"]);
    assert_eq!(place.line(&["get", "numbered.vdb", "0"]), r#"{"id":"a","n":1,"in":{"x":[1]}}"#);
    assert_eq!(place.line(&["get", "numbered.vdb", "1", "id"]), "7");
    // With --key, lines of an export are plain objects too.
    place.write("e.jsonl", "{\"key\":1,\"coordinate\":0,\"attributes\":{\"a\":1}}\n");
    place.line(&["import", "e.jsonl", "plain.vdb", "--key", "key"]);
    assert_eq!(place.line(&["get", "plain.vdb", "1"]), r#"{"coordinate":0,"attributes":{"a":1}}"#);
    // What looks like one but is more is none.
    place.write("m.jsonl", "{\"key\":1,\"attributes\":{\"a\":1},\"more\":2}\n");
    place.line(&["import", "m.jsonl", "more.vdb"]);
    assert_eq!(place.line(&["get", "more.vdb", "0", "more"]), "2");
}

#[test]
fn a_file_without_lines_is_an_empty_database() {
    let place = Place::new();
    place.write("none.jsonl", "\n");
    let run = place.run(&["import", "none.jsonl", "none.vdb"]);
    assert!(run.code == 0 && run.stderr.ends_with("; there are no records\n"), "{run:?}");
    assert_eq!(place.export("none.vdb"), "");
}

#[test]
fn a_refusal_names_the_place_and_the_flag_that_helps_and_leaves_nothing() {
    let place = Place::new();
    let point = "{\"key\":1,\"attributes\":{}}\n";
    let key = "a key is an integer of 64 bits, text, bytes, a float, a boolean, a timestamp, an ext value or an array of these; not null, not a map";
    let none_of_it = "this is no point, {\"key\":...,\"coordinate\":...,\"attributes\":{...}}, and the first line is one; --key FIELD takes all lines for plain objects";
    for (content, options, code, sentence) in [
        ("a,b\n1,2\n".to_owned(), &[][..], 5, "s.jsonl, line 1, column 1: an object is expected; each line is one JSON object, all of it (--format says what else SOURCE is)".to_owned()),
        ("{\"a\":1}\n{\"a\":\n1}\n".to_owned(), &[], 5, "s.jsonl, line 2, column 6: a value is expected; each line is one JSON object, all of it".to_owned()),
        (format!("{point}{{\"key\":2,\"attribute\":{{}}}}\n"), &[], 5, format!("s.jsonl, line 2: {none_of_it}")),
        (format!("{point}{{\"key\":null,\"attributes\":{{}}}}\n"), &[], 5, format!("s.jsonl, line 2: field \"key\": {key}")),
        (
            format!("{point}\n{{\"key\":2,\"coordinate\":-1,\"attributes\":{{}}}}\n"),
            &[],
            5,
            "s.jsonl, line 3: field \"coordinate\": a coordinate is an integer from 0 to 4294967294".to_owned(),
        ),
        (
            "{\"id\":1}\n{\"Id\":2}\n".to_owned(),
            &["--key", "id"],
            5,
            "s.jsonl, line 2: there is no field \"id\", which --key says is the key".to_owned(),
        ),
        (
            point.to_owned(),
            &["--null", "NA"],
            2,
            "--null does not apply to jsonl, only to csv; JSON lines say of each value what it is".to_owned(),
        ),
    ] {
        place.write("s.jsonl", content);
        place.fails(&[&["import", "s.jsonl", "s.vdb"], options].concat(), code, &sentence);
        assert_eq!(place.names(), ["s.jsonl"], "{sentence}");
    }
    let cut = gzip(point);
    place.write("s.jsonl", &cut[..cut.len() - 9]);
    place.fails(
        &["import", "s.jsonl", "s.vdb"],
        5,
        "s.jsonl: the compressed data ends too soon; is the file complete?",
    );
}
