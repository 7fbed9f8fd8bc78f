//! export: JSON lines, CSV and the canonical file.

use crate::Place;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

#[test]
fn csv_comes_back_as_it_was() {
    let place = Place::new();
    let csv = "key,text,int,float,bool\n\
               a,\"x, \"\"y\"\"\nz\",1,1.5,true\n\
               b,,-2,,false\n\
               c,é,,-0.25,\n\
               d,,,,\n";
    place.write("in.csv", csv);
    place.line(&["import", "in.csv", "t.vdb", "--key", "key"]);
    let run = place.run(&["export", "t.vdb", "out.csv"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(place.read("out.csv"), csv);
    assert!(run.stderr.starts_with("vdb: exported 4 points to out.csv ("), "{run:?}");
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["points"], &summary["file_size_bytes"]), (&4.into(), &csv.len().into()));

    place.line(&["import", "out.csv", "again.vdb", "--key", "key"]);
    let lines = |db| place.line(&["export", db, "-", "--format", "jsonl"]);
    assert_eq!(lines("again.vdb"), lines("t.vdb"));
}

#[test]
fn the_help_says_what_a_dash_is() {
    let help = Place::new().line(&["export", "--help"]);
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("If OUT is -, the points go to stdout and --format says how, jsonl or csv"), "{help}");
}

#[test]
fn csv_has_options_for_the_names_it_needs() {
    let place = Place::new();
    let db = place.people();
    assert_eq!(
        place.line(&["export", db, "-", "--format", "csv", "--null", "NA", "--key", "id"]),
        "id,name,age,height\n101,Alice,25,1.7\n102,Bob,NA,1.8\n103,\"Carol \"\"C\"\", Jr.\",31,NA"
    );
    place.line(&["put", db, "104", r#"{"key":1,"name":"NA"}"#]);
    place.fails(
        &["export", db, "out.csv"],
        2,
        "a dimension is named \"key\", like the column of keys; give that column another name with --key",
    );
    assert!(!place.path("out.csv").exists());
    let run = place.run(&["export", db, "-", "--format", "csv", "--key", "id", "--null", "NA"]);
    assert!(
        run.stderr.contains(
            "vdb: 1 value written as \"NA\", like what is missing; choose another text for that with --null\n"
        ),
        "{run:?}"
    );
}

#[test]
fn options_of_csv_are_refused_where_they_mean_nothing() {
    let place = Place::new();
    let db = place.people();
    for (out, format) in [("out.jsonl", "jsonl"), ("out.db", "db")] {
        for (flag, value) in [("--null", "NA"), ("--null", ""), ("--key", "key")] {
            let sentence = format!("{flag} does not apply to {format}, only to csv; leave it out");
            place.fails(&["export", db, out, flag, value], 2, &sentence);
        }
    }
    assert_eq!(place.names(), ["people.csv", "people.vdb"]);
    place.fails(
        &["export", db, "-"],
        2,
        "-: that is stdout, which has no name to tell what to write; say --format jsonl or --format csv",
    );
}

#[test]
fn what_csv_cannot_hold_is_json_text() {
    let place = Place::new();
    place.line(&[
        "put",
        "t.vdb",
        "1",
        r#"{"a":null,"b":{"$bytes":"AA=="},"c":[1,"x"],"d":{"$float":"NaN"},"e":1.0}"#,
        "--create",
    ]);
    assert_eq!(
        place.line(&["export", "t.vdb", "-", "--format", "csv"]),
        "key,a,b,c,d,e\n1,null,\"{\"\"$bytes\"\":\"\"AA==\"\"}\",\"[1,\"\"x\"\"]\",NaN,1.0"
    );
}

#[test]
fn json_lines_are_in_slot_order_and_hold_points_without_attributes() {
    let place = Place::new();
    let db = place.people();
    place.line(&["delete", db, "101"]);
    place.line(&["put", db, "new", "{}"]);
    place.line(&["export", db, "out.jsonl", "-q"]);
    assert_eq!(
        place.read("out.jsonl"),
        "{\"key\":\"new\",\"coordinate\":0,\"attributes\":{}}\n\
         {\"key\":102,\"coordinate\":1,\"attributes\":{\"name\":\"Bob\",\"height\":1.8}}\n\
         {\"key\":103,\"coordinate\":2,\"attributes\":{\"name\":\"Carol \\\"C\\\", Jr.\",\"age\":31}}\n"
    );
}

#[test]
fn the_canonical_file_is_an_lz4_frame_and_repeatable() {
    let place = Place::new();
    let db = place.people();
    let run = place.run(&["export", db, "a.db"]);
    assert_eq!(run.code, 0, "{run:?}");
    place.line(&["export", db, "b", "--format", "db"]);
    let bytes = fs::read(place.path("a.db")).unwrap();
    assert_eq!(bytes[..4], [0x04, 0x22, 0x4d, 0x18]);
    assert_eq!(bytes, fs::read(place.path("b")).unwrap());
    place.fails(
        &["export", db, "-", "--format", "db"],
        2,
        "a .db file cannot be written to stdout; name a file, or say --format jsonl",
    );
}

#[test]
fn the_file_is_replaced_whole_with_the_usual_permissions() {
    let place = Place::new();
    let db = place.people();
    place.write("usual", "");
    place.write("out.jsonl", "old and much longer than what comes".repeat(100));
    place.line(&["export", db, "out.jsonl"]);
    assert_eq!(place.read("out.jsonl").lines().count(), 3);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("out.jsonl"), mode("usual"));
    assert_eq!(place.names(), ["out.jsonl", "people.csv", "people.vdb", "usual"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    let db = place.people();
    place.fails(&["export", db, "no/such/dir.csv"], 5, "no/such/dir.csv: No such file or directory");
    place.fails(&["export", db, ".", "--format", "csv"], 5, ".: this is a directory");
    place.fails(
        &["export", db, "x.xml"],
        2,
        "x.xml: this name does not tell what to write; end it in .db, .jsonl or .csv; or say --format",
    );
    // A device is written to, not replaced.
    assert_eq!(place.run(&["export", db, "/dev/null", "--format", "csv"]).code, 0);
    let full = place.run(&["export", db, "/dev/full", "--format", "csv"]);
    assert_eq!((full.code, full.stderr.as_str()), (5, "vdb: /dev/full: No space left on device\n"));
}

#[test]
fn an_export_over_the_files_of_the_database_is_refused_in_every_form() {
    let place = Place::new();
    let db = place.people();
    let before = place.line(&["export", db, "-", "--format", "jsonl"]);
    let manifest = format!("{db}/MANIFEST");
    for format in ["jsonl", "csv", "db"] {
        let run = place.run(&["export", db, &manifest, "--format", format]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("inside of the database"), "{run:?}");
    }
    symlink("people.vdb/MANIFEST", place.path("link.jsonl")).unwrap();
    fs::create_dir(place.path("people.vdb/deep")).unwrap();
    place.line(&["put", "other.vdb", "1", "{}", "--create"]);
    for from in [db, "other.vdb"] {
        let out = "people.vdb/deep/x.jsonl";
        let sentence = format!("{out} is inside of the database people.vdb; choose a place outside of it");
        place.fails(&["export", from, out], 2, &sentence);
        let run = place.run(&["export", from, "link.jsonl"]);
        assert!(run.code == 2 && run.stderr.starts_with("vdb: link.jsonl is inside of the database "), "{run:?}");
    }
    let run = place.run(&["compact", db, "--export", &format!("{db}/x.jsonl")]);
    assert_eq!(run.code, 2, "{run:?}");
    assert_eq!(place.line(&["export", db, "-", "--format", "jsonl"]), before);
}
