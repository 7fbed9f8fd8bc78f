//! import: packings, types, missing cells, keys, refusals.

use crate::{Place, names_in};
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const CSV: &str = "code,name,size\r\nA,\"one, \"\"two\"\"\nthree\",1\r\nB,é,2\r\n";

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn plain_gzip_zip_and_stdin_give_the_same_database() {
    let place = Place::new();
    let packed = [
        ("plain.csv", CSV.as_bytes().to_vec()),
        // Names do not matter.
        ("gzip.csv", gzip(CSV)),
        ("zip.gz", zip(&[("inner.csv", CSV)])),
        ("several.zip", zip(&[("README", "x"), ("data/inner.csv", CSV)])),
    ];
    let expected = "{\"key\":\"A\",\"coordinate\":0,\"attributes\":{\"name\":\"one, \\\"two\\\"\\nthree\",\"size\":1}}\n\
                    {\"key\":\"B\",\"coordinate\":1,\"attributes\":{\"name\":\"é\",\"size\":2}}";
    for (index, (name, bytes)) in packed.iter().enumerate() {
        place.write(name, bytes);
        let by_file = format!("{index}.vdb");
        let run = place.run(&["import", name, &by_file, "--key", "code"]);
        assert_eq!(run.code, 0, "{run:?}");
        let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            (&summary["rows"], &summary["points"], &summary["merged"], &summary["dimensions"]),
            (&2.into(), &2.into(), &0.into(), &2.into())
        );
        assert_eq!(summary["key_type"], "text");
        assert_eq!(
            summary["columns"].to_string(),
            r#"[{"name":"name","type":"text"},{"name":"size","type":"integer"}]"#
        );
        assert!(run.stderr.starts_with("vdb: imported 2 points x 2 dimensions in "), "{run:?}");
        assert_eq!(place.line(&["export", &by_file, "-", "--format", "jsonl", "-q"]), expected);

        let by_pipe = format!("{index}-stdin.vdb");
        let run = place.run_with(&["import", "-", &by_pipe, "--key", "code", "-q"], Some(bytes));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        assert_eq!(place.line(&["export", &by_pipe, "-", "--format", "jsonl"]), expected);
    }
}

#[test]
fn a_column_has_a_type_only_where_every_cell_prints_back() {
    let place = Place::new();
    place.write(
        "t.csv",
        "int,big,float,mixed,bool,zero,exact,text\n\
         1,18446744073709551615,1.5,1,true,007,1.50,a\n\
         -2,-9223372036854775808,-0.25,2.5,false,8,2.5,\n\
         ,,,,,,,\n",
    );
    let columns = place.json(&["import", "t.csv", "t.vdb"])["columns"].clone();
    let types: Vec<_> =
        columns.as_array().unwrap().iter().map(|column| column["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["integer", "integer", "float", "float", "boolean", "text", "text", "text"]);
    assert_eq!(
        place.line(&["get", "t.vdb", "0"]),
        r#"{"int":1,"big":18446744073709551615,"float":1.5,"mixed":1.0,"bool":true,"zero":"007","exact":"1.50","text":"a"}"#
    );
    assert_eq!(place.run(&["get", "t.vdb", "1", "text"]).code, 1);
    assert_eq!(place.line(&["get", "t.vdb", "2"]), "{}");
}

#[test]
fn the_type_of_a_column_can_be_said() {
    let place = Place::new();
    place.write("t.csv", "price,size,lat\n1.50,1,48.053808600000004\n,2,1e5\n");
    place.line(&["import", "t.csv", "t.vdb", "--float", "price", "--text", "size", "--float", "lat"]);
    assert_eq!(place.line(&["get", "t.vdb", "0"]), r#"{"price":1.5,"size":"1","lat":48.0538086}"#);
    assert_eq!(place.line(&["get", "t.vdb", "1"]), r#"{"size":"2","lat":100000.0}"#);
    place.write("t.csv", "a,b\n1,2\n3,x\n");
    place.fails(
        &["import", "t.csv", "x.vdb", "--float", "b"],
        5,
        "t.csv, line 3, column \"b\": \"x\" is not a float, as --float says it is",
    );
    place.fails(
        &["import", "t.csv", "x.vdb", "--float", "b", "--text", "b"],
        2,
        "t.csv: column \"b\" cannot be both --text and --float",
    );
}

#[test]
fn null_texts_are_missing_and_the_empty_cell_is_one_by_default() {
    let place = Place::new();
    place.write("n.csv", "a,b,c\n1,NA,x\nNA,-,\n,2,NA\n");
    let import = |name: &str, nulls: &[&str]| {
        let mut arguments = vec!["import", "n.csv", name];
        nulls.iter().for_each(|null| arguments.extend(["--null", null]));
        place.line(&arguments);
        place
            .line(&["export", name, "-", "--format", "jsonl"])
            .lines()
            .map(|line| line.split_once("\"attributes\":").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        import("1", &[]),
        [r#"{"a":"1","b":"NA","c":"x"}}"#, r#"{"a":"NA","b":"-"}}"#, r#"{"b":"2","c":"NA"}}"#]
    );
    assert_eq!(import("2", &["NA"]), [r#"{"a":"1","c":"x"}}"#, r#"{"b":"-","c":""}}"#, r#"{"a":"","b":"2"}}"#]);
    assert_eq!(import("3", &["NA", "", "-"]), [r#"{"a":1,"c":"x"}}"#, "{}}", r#"{"b":2}}"#]);
}

#[test]
fn the_key_column_is_no_dimension_and_repeated_keys_merge() {
    let place = Place::new();
    place.write("k.csv", "v,id,w\n1,7,a\n2,8,b\n3,7,\n");
    let run = place.run(&["import", "k.csv", "k.vdb", "--key", "id"]);
    assert!(run.stderr.ends_with("; 1 row with the key of an earlier one merged into it\n"), "{run:?}");
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["rows"], &summary["points"], &summary["merged"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(place.line(&["get", "k.vdb", "7"]), r#"{"v":3,"w":"a"}"#);
    assert_eq!(place.line(&["put", "k.vdb", "7", "{}"]), "0");
    place.line(&["import", "k.csv", "text.vdb", "--key", "id", "--text", "id", "--text", "v"]);
    assert_eq!(place.line(&["get", "text.vdb", "\"8\""]), r#"{"v":"2","w":"b"}"#);
    let run = place.run(&["get", "text.vdb", "8"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (1, "vdb: no point has the key 8; there is a key that is text: '\"8\"'\n")
    );
}

#[test]
fn a_tiny_import_is_told_in_units_that_fit() {
    let place = Place::new();
    place.write("one.csv", "a\nx\n");
    let run = place.run(&["import", "one.csv", "one.vdb"]);
    let took = run.stderr.strip_prefix("vdb: imported 1 point x 1 dimension in ").unwrap();
    assert!(!took.starts_with("0.0"), "{run:?}");
    let run = place.run(&["export", "one.vdb", "out.csv"]);
    let took = run.stderr.strip_prefix("vdb: exported 1 point to out.csv (10 B) in ").unwrap();
    assert!(!took.starts_with("0.0"), "{run:?}");
}

#[test]
fn columns_without_values_are_dimensions_too() {
    let place = Place::new();
    place.write("h.csv", "id,a,b\n");
    let run = place.run(&["import", "h.csv", "h.vdb", "--key", "id"]);
    assert!(run.stderr.starts_with("vdb: imported 0 points x 2 dimensions in "), "{run:?}");
    assert!(run.stderr.ends_with("; there are no records, only a header line\n"), "{run:?}");
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["rows"], &summary["key_type"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(summary["columns"].to_string(), r#"[{"name":"a","type":null},{"name":"b","type":null}]"#);
    assert_eq!(place.json(&["stats", "h.vdb"])["dimensions"], summary["dimensions"]);

    place.write("e.csv", "a,b\n1,\n2,\n");
    let run = place.run(&["import", "e.csv", "e.vdb"]);
    assert!(run.stderr.starts_with("vdb: imported 2 points x 2 dimensions in "), "{run:?}");
    assert!(!run.stderr.contains("no records"), "{run:?}");
    assert_eq!(place.json(&["stats", "e.vdb"])["dimensions"], 2);
}

#[test]
fn without_a_key_rows_are_numbered_and_a_header_alone_is_an_empty_database() {
    let place = Place::new();
    place.write("r.csv", "a\nx\ny\n");
    place.line(&["import", "r.csv", "r.vdb"]);
    assert_eq!(place.line(&["get", "r.vdb", "1", "a"]), "\"y\"");
    place.write("h.csv", "a,b\n");
    assert_eq!(place.json(&["import", "h.csv", "h.vdb"])["points"], 0);
    assert_eq!(place.json(&["stats", "h.vdb"])["vector_points"], 0);
}

#[test]
fn what_is_rejected_is_rejected_in_one_sentence_and_leaves_nothing() {
    let place = Place::new();
    for (content, options, code, sentence) in [
        (&b""[..], &[][..], 5, "s.csv: there is no header line"),
        (b"a,a\n1,2\n", &[], 5, "s.csv, line 1: two columns are named \"a\""),
        (
            b"a,b\r\n1,2\r\n\r\n1\r\n",
            &[],
            5,
            "s.csv, line 4: 1 field where the header has 2, nothing from column \"b\" on",
        ),
        (b"a,b\n1,2,3\n", &[], 5, "s.csv, line 2: 3 fields where the header has 2, something after the last column"),
        (b"a,b\n1,\xff\n", &[], 5, "s.csv, line 2, column \"b\": this is not UTF-8"),
        (b"a,b\n1,\"2\n3,4\n", &[], 5, "s.csv, line 2: a quote is not closed; is the file complete?"),
        (b"a,b\n1,2\n", &["--key", "c"], 2, "s.csv: there is no column \"c\" for --key; the columns are \"a\", \"b\""),
        (
            b"a,b\n1,2\n",
            &["--float", "c"],
            2,
            "s.csv: there is no column \"c\" for --float; the columns are \"a\", \"b\"",
        ),
        (
            b"a,b\n1,2\n",
            &["--text", "c"],
            2,
            "s.csv: there is no column \"c\" for --text; the columns are \"a\", \"b\"",
        ),
        (b"a,b\n1,2\n,3\n", &["--key", "a"], 5, "s.csv, line 3, column \"a\": the key is empty"),
        (
            b"a,b\n1,2\nNA,3\n",
            &["--key", "a", "--null", "NA"],
            5,
            "s.csv, line 3, column \"a\": the key is \"NA\", which --null says is missing",
        ),
        (
            b"\x04\x22\x4d\x18x",
            &[],
            3,
            "s.csv at byte 5 of the file: the file is cut short in the middle of its LZ4 frame",
        ),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &[], 5, "s.csv: the archive holds no .csv file"),
    ] {
        place.write("s.csv", content);
        place.fails(&[&["import", "s.csv", "s.vdb"], options].concat(), code, sentence);
        assert_eq!(place.names(), ["s.csv"], "{sentence}");
    }
    let cut = gzip(CSV);
    place.write("s.csv", &cut[..cut.len() - 9]);
    place.fails(&["import", "s.csv", "s.vdb"], 5, "s.csv: the compressed data ends too soon; is the file complete?");
    place.fails(&["import", "no.csv", "s.vdb"], 5, "no.csv: No such file or directory");
    place.fails(&["import", ".", "s.vdb"], 5, ".: this is a directory, not a file of records");
    assert_eq!(place.names(), ["s.csv"]);
}

#[test]
fn a_rejected_import_leaves_no_folders_and_none_goes_into_a_database() {
    let place = Place::new();
    let db = place.people();
    place.write("bad.csv", "a,b\n1,2\n1\n");
    let before = place.names();
    for (source, target) in [("bad.csv", "x/y/z.vdb"), ("no.csv", "x/y/z.vdb"), (".", "x/z.vdb")] {
        assert_eq!(place.run(&["import", source, target]).code, 5);
        assert_eq!(place.names(), before, "{source}");
    }
    let inside = names_in(&place.path(db));
    for target in ["people.vdb/inner", "people.vdb/deep/inner"] {
        let sentence = format!("{target} is inside of the database people.vdb; choose a place outside of it");
        place.fails(&["import", "people.csv", target], 2, &sentence);
        place.fails(&["put", target, "1", "{}", "--create"], 2, &sentence);
    }
    assert_eq!(names_in(&place.path(db)), inside);
    place.line(&["import", "people.csv", "x/y/z.vdb"]);
    assert_eq!(place.line(&["get", "x/y/z.vdb", "0", "name"]), "\"Alice\"");
}

#[test]
fn what_a_killed_import_leaves_is_removed_by_the_next_and_not_while_it_is_alive() {
    let place = Place::new();
    let rows: String = (0..400_000).map(|row| format!("{row},text of row {row}\n")).collect();
    place.write("large.csv", format!("id,text\n{rows}"));
    place.write("small.csv", "id\n1\n");
    let mut child = place.command(&["import", "large.csv", "a.vdb"]).spawn().unwrap();
    let loading = || place.names().into_iter().find(|name| name.starts_with(".a.vdb.") && name.ends_with(".loading"));
    while loading().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it was done before it was seen");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let signal = |name: &str| {
        let status = std::process::Command::new("sh").args(["-c", &format!("kill {name} {}", child.id())]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let left = loading().unwrap();
    place.line(&["import", "small.csv", "b.vdb"]);
    place.line(&["import", "small.csv", "a.vdb"]);
    assert_eq!(loading().as_ref(), Some(&left), "it is alive");
    signal("-KILL");
    child.wait().unwrap();
    std::fs::remove_dir_all(place.path("a.vdb")).unwrap();
    place.line(&["import", "small.csv", "b2.vdb"]);
    assert_eq!(loading(), Some(left), "it is not that of another database");
    place.line(&["import", "small.csv", "a.vdb"]);
    assert_eq!(place.names(), ["a.vdb", "b.vdb", "b2.vdb", "large.csv", "small.csv"]);
}

#[test]
fn what_later_versions_import_is_named() {
    let place = Place::new();
    for (name, words) in [("x.parquet", "Parquet"), ("x.arrow", "Arrow")] {
        place.write(name, "");
        let rest = "is not supported in this version yet; the source must be CSV, JSON lines or a .db file, \
                    which --format says of any name";
        place.fails(&["import", name, "x.vdb"], 2, &format!("{name}: importing {words} {rest}"));
    }
    place.write("table.db", "a\n1\n");
    assert_eq!(place.json(&["import", "table.db", "x.vdb", "--format", "csv"])["points"], 1);
}

#[test]
fn an_existing_database_is_refused_and_unharmed() {
    let place = Place::new();
    let db = place.people();
    let run = place.run(&["import", "people.csv", db]);
    assert_eq!((run.code, run.stdout.as_str()), (5, ""));
    assert!(run.stderr.starts_with("vdb: ") && run.stderr.contains(db), "{run:?}");
    assert!(
        run.stderr.ends_with("; an import makes a new database: give it another name, or remove the old one first\n"),
        "{run:?}"
    );
    assert_eq!(place.line(&["get", db, "101", "age"]), "25");
    assert_eq!(place.names(), ["people.csv", "people.vdb"]);
}
