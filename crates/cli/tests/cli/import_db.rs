//! import: `.db` files.

use crate::Place;
use crate::import::gzip;
use std::fs;
use std::path::Path;

/// A point whose value id has no value, in MessagePack.
const TORN: &[u8] =
    b"\x81\xA8database\x83\xACcentral_axis\x81\xADvector_points\x91\xA1a\xB2dimensional_spaces\x81\xA1n\x81\
\xACvalue_domain\x80\xB3coordinate_mappings\x81\xA1n\x81\x00\x05";

/// An LZ4 frame around content, without checksums.
fn frame(content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32 | 1 << 31).to_le_bytes();
    [b"\x04\x22\x4D\x18\x60\x40\x82", &len[..], content, &[0; 4]].concat()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)).unwrap()
}

#[test]
fn a_db_file_is_imported_whatever_its_name_and_comes_back_the_same() {
    let place = Place::new();
    let people = place.people();
    place.line(&["delete", people, "101"]);
    place.line(&["put", people, "true", r#"{"list":[1,{"$float":"NaN"}]}"#]);
    place.line(&["put", people, "1", r#"{"age":null}"#]);
    place.line(&["export", people, "people.db"]);
    let expected = place.line(&["export", people, "-", "--format", "jsonl"]);
    fs::copy(place.path("people.db"), place.path("people.csv")).unwrap();
    for (index, source) in ["people.db", "people.csv"].into_iter().enumerate() {
        let db = format!("{index}.vdb");
        let run = place.run(&["import", source, &db]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.starts_with("vdb: imported 4 points x 4 dimensions from LZ4(MessagePack) in "), "{run:?}");
        assert!(!run.stderr.contains(';'), "{run:?}");
        assert_eq!(place.line(&["export", &db, "-", "--format", "jsonl"]), expected);
        let again = format!("{index}.db");
        place.line(&["export", &db, &again]);
        assert!(fs::read(place.path(&again)).unwrap() == fs::read(place.path("people.db")).unwrap(), "{source}");
    }
    let file = fs::read(place.path("people.db")).unwrap();
    let run = place.run_with(&["import", "-", "piped.vdb", "--format", "db", "-q"], Some(&file));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(place.line(&["export", "piped.vdb", "-", "--format", "jsonl"]), expected);
    let run = place.run_with(&["import", "-", "x.vdb"], Some(&file));
    assert_eq!((run.code, run.stderr.as_str()), (2, "vdb: stdin: this is a .db file; say --format db\n"));
}

#[test]
fn files_of_old_releases_are_imported() {
    let place = Place::new();
    for (name, container) in [("o17_release_1_0_1", "gzip(JSON)"), ("o19_release_1_2_0", "gzip(MessagePack)")] {
        let file = format!("{name}.db");
        place.write(&file, fixture(&file));
        let report = place.json(&["import", &file, name]);
        assert_eq!(report["container"], container);
        assert_eq!(report["version"].as_str().unwrap(), format!("{}-beta", &name[12..].replace('_', ".")));
        assert!(report["points"].as_u64().unwrap() > 0, "{report}");
    }
}

#[test]
fn files_of_old_releases_are_told_by_their_content() {
    let place = Place::new();
    for (name, container) in [("o17_release_1_0_1", "gzip(JSON)"), ("o19_release_1_2_0", "gzip(MessagePack)")] {
        let file = fixture(&format!("{name}.db"));
        for ending in ["csv", "gz", "jsonl", "old"] {
            let source = format!("{name}.{ending}");
            place.write(&source, &file);
            let report = place.json(&["import", &source, &format!("{source}.vdb")]);
            assert_eq!(report["container"], container, "{source}");
        }
        let run = place.run_with(&["import", "-", "x.vdb"], Some(&file));
        assert_eq!((run.code, run.stderr.as_str()), (2, "vdb: stdin: this is a .db file; say --format db\n"));
        place.json(&["import", &format!("{name}.old"), "x.vdb"]);
        std::fs::remove_dir_all(place.path("x.vdb")).unwrap();
    }
    // Nothing else that gzip packs is taken for one.
    place.write("rows.gz", gzip("a,b\n1,2\n"));
    assert_eq!(place.json(&["import", "rows.gz", "rows.vdb"])["points"], 1);
    place.write("lines.jsonl.gz", gzip("{\"metadata\":1}\n{\"key\":2,\"metadata\":{}}\n"));
    assert_eq!(place.json(&["import", "lines.jsonl.gz", "lines.vdb"])["points"], 2);
}

#[test]
fn a_db_file_is_read_from_a_pipe() {
    let place = Place::new();
    place.write("a.db", fixture("o06_tombstones.db"));
    let expected = place.json(&["import", "a.db", "a.vdb"])["points"].clone();
    let file = fs::read(place.path("a.db")).unwrap();
    let run = place.run_with(&["import", "/dev/stdin", "b.vdb", "--format", "db", "--json"], Some(&file));
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &report["points"]), (0, &expected), "{run:?}");
}

#[test]
fn the_help_says_what_the_original_does_not_tell() {
    let place = Place::new();
    for (command, sentence) in [
        ("import", "Files of release 1.4 of the package carry no checksums"),
        ("export", "appears there as ext values of type 86"),
        ("import", "and the exit code is 3; so is one that exceeds a limit"),
    ] {
        let help = place.line(&["help", command]);
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(sentence), "{help}");
    }
}

#[test]
fn what_was_put_right_is_said_in_words_and_in_json() {
    let place = Place::new();
    place.write("drift.db", [fixture("o15_refcount_drift.db"), b"junk".to_vec()].concat());
    let run = place.run(&["import", "drift.db", "drift.vdb"]);
    assert_eq!(run.code, 0, "{run:?}");
    for words in ["; put right: reference counts of ", " that no point has", "4 bytes behind the LZ4 frame"] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["repairs"]["trailing_bytes"], 4);
    assert!(report["repairs"]["ref_counts"].as_u64().unwrap() > 0, "{report}");
    assert_eq!((&report["losses"]["cells"], &report["lost"]), (&0.into(), &serde_json::Value::Array(vec![])));
    for field in ["points", "dimensions", "cells", "seconds"] {
        assert!(report[field].is_number(), "{field}: {report}");
    }
}

#[test]
fn a_rejected_file_is_one_sentence_with_place_reason_and_what_helps() {
    let place = Place::new();
    let file = fixture("o02_single.db");
    place.write("cut.db", &file[..file.len() - 1]);
    place.write("cut.old.db", &fixture("o19_release_1_2_0.db")[..500]);
    place.write("torn.db", frame(TORN));
    place.write("text.db", "not a database");
    place.write("packed.db", gzip("a,b\n1,2\n"));
    place.write("sqlite.db", b"SQLite format 3\0\x10\x00");
    for (name, words) in [
        ("cut.db", &["cut.db at byte ", "cut short"][..]),
        ("cut.old.db", &["cut.old.db at byte ", "gzip"]),
        ("torn.db", &["torn.db in ", "\"n\"", "; --salvage imports what can be saved, and says what is lost\n"]),
        (
            "text.db",
            &[
                "text.db at byte 0 of the file: ",
                "; it looks like text: say --format csv or --format jsonl if it is that",
            ],
        ),
        ("packed.db", &["packed.db at byte 0 of its uncompressed content: ", "; it looks like text: say --format csv"]),
        (
            "sqlite.db",
            &["sqlite.db at byte 0 of the file: ", "; it is a database of SQLite: export a table of it as CSV"],
        ),
    ] {
        let run = place.run(&["import", name, "x.vdb"]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (3, "", 1), "{run:?}");
        for part in words {
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
        assert_eq!(run.stderr.contains("--salvage"), name == "torn.db", "{run:?}");
    }
    let run = place.run_with(&["import", "-", "x.vdb", "--format", "db"], Some(&file[..50]));
    assert!(run.code == 3 && run.stderr.starts_with("vdb: stdin at byte 50 of the file: "), "{run:?}");
    assert_eq!(place.names(), ["cut.db", "cut.old.db", "packed.db", "sqlite.db", "text.db", "torn.db"]);
    assert_eq!(place.json(&["import", "packed.db", "x.vdb", "--format", "csv"])["points"], 1);
}

#[test]
fn salvage_says_what_is_lost() {
    let place = Place::new();
    place.write("torn.db", frame(TORN));
    let run = place.run(&["import", "torn.db", "saved.vdb", "--salvage"]);
    assert_eq!(run.code, 0, "{run:?}");
    for words in
        ["; lost: 1 cell without a value, or of a point that is lost\n", "\nvdb: note: there is no ", "\nvdb: lost: "]
    {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["losses"]["cells"], report["lost"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!(place.line(&["get", "saved.vdb", "a"]), "{}");
    let run = place.run(&["import", "torn.db", "quiet.vdb", "--salvage", "-q"]);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!((run.code, lines.len()), (0, 2), "{run:?}");
    assert_eq!(lines[0], "vdb: torn.db: lost: 1 cell without a value, or of a point that is lost");
    assert!(lines[1].starts_with("vdb: lost: "), "{run:?}");
}

#[test]
fn limits_are_named_where_they_are_exceeded_and_can_be_raised() {
    let place = Place::new();
    place.write("a.db", fixture("o06_tombstones.db"));
    let run = place.run(&["import", "a.db", "a.vdb", "--limit", "points=5", "--limit", "string_len=1KiB"]);
    assert_eq!((run.code, run.stderr.lines().count()), (3, 1), "{run:?}");
    for words in ["a.db has 7 slots or more, ", "where --limit points allows 5; raise that for a file that you trust"] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    place.line(&["import", "a.db", "a.vdb", "--limit", "points=50"]);
    for limit in ["speed=5", "points", "points=x"] {
        assert_eq!(place.run(&["import", "a.db", "b.vdb", "--limit", limit]).code, 2, "{limit}");
    }
    let run = place.run(&["import", "a.db", "b.vdb", "--limit", "speed=5"]);
    assert!(run.stderr.contains("there is no limit \"speed\"; there are file-len, inflated-len, "), "{run:?}");
    let help = place.line(&["import", "--help"]);
    for name in ["file-len", "inflated-ratio", "string-len", "[default: 100000]"] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn options_are_refused_where_they_mean_nothing() {
    let place = Place::new();
    place.write("a.db", fixture("o02_single.db"));
    place.write("a.csv", "a\n1\n");
    place.write("a.jsonl", "{}\n");
    let said = "a .db file says of each value what it is";
    place.fails(
        &["import", "a.db", "x", "--null", ""],
        2,
        &format!("--null does not apply to db, only to csv; {said}"),
    );
    place.fails(&["import", "a.db", "x", "--key", "a"], 2, "--key does not apply to db, whose points have their keys");
    for source in ["a.csv", "a.jsonl"] {
        let rest = "applies to db only; say --format db if SOURCE is a .db file";
        place.fails(&["import", source, "x", "--salvage"], 2, &format!("--salvage {rest}"));
        place.fails(&["import", source, "x", "--limit", "points=1"], 2, &format!("--limit {rest}"));
    }
    assert_eq!(place.names(), ["a.csv", "a.db", "a.jsonl"]);
}

#[test]
fn an_existing_database_is_refused_and_unharmed() {
    let place = Place::new();
    let db = place.people();
    place.write("a.db", fixture("o02_single.db"));
    let run = place.run(&["import", "a.db", db]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(run.stderr.contains("; an import makes a new database: give it another name"), "{run:?}");
    assert_eq!(place.line(&["get", db, "101", "age"]), "25");
}

#[test]
fn json_is_not_taken_for_csv() {
    let place = Place::new();
    for (name, content) in [
        ("lines", b"{\"a\":1}\n".to_vec()),
        ("array.csv", b"\n  [1]".to_vec()),
        ("packed.gz", gzip("{\"metadata\": 1}\n")),
    ] {
        place.write(name, content);
        let rest = "this looks like JSON, not like CSV; say --format jsonl for JSON lines, --format db for a file of \
                    vector_datalib, --format csv if it is CSV nevertheless";
        place.fails(&["import", name, "x.vdb"], 2, &format!("{name}: {rest}"));
    }
    assert_eq!(place.json(&["import", "lines", "x.vdb", "--format", "jsonl"])["points"], 1);
    assert_eq!(place.json(&["import", "array.csv", "y.vdb", "--format", "csv"])["points"], 0);
}
