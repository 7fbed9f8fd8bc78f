//! Inspection shows what is in every file, and goes on where bytes are bad.

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vector_datalib::inspect::{Inspection, inspect_database, inspect_file};
use vector_datalib::{Value, VectorDb, attrs};

const ALL: usize = usize::MAX;

/// A database with every kind of file: indexed keys, tombstones, a dictionary, plain columns, a patch, a log.
fn fixture() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.vdb");
    let db = VectorDb::create(&path).unwrap();
    let long = "a long text ".repeat(40);
    for number in 0..300i64 {
        let colour = ["red", "green", "é", long.as_str()][number as usize % 4];
        let attributes = attrs! { "colour" => colour, "size" => number * 7, "ratio" => number as f64 / 3.0 };
        db.upsert(format!("key {number}"), attributes).unwrap();
    }
    db.delete("key 5").unwrap();
    db.compact(&Default::default()).unwrap();
    db.upsert("key 7", attrs! { "colour" => "blue", "new" => vec![Value::from(1)] }).unwrap();
    db.remove_attribute("key 8", "colour").unwrap();
    db.delete("key 9").unwrap();
    db.upsert("another", attrs! { "size" => Value::Null }).unwrap();
    db.save().unwrap();
    db.upsert("in the log", attrs! { "size" => 1 }).unwrap();
    db.delete("key 10").unwrap();
    db.close().unwrap();
    (dir, path)
}

fn file<'t>(tree: &'t Inspection, start: &str) -> &'t Inspection {
    tree.children.iter().find(|file| file.name.starts_with(start)).unwrap_or_else(|| panic!("no {start}"))
}

fn column<'t>(tree: &'t Inspection, dimension: &str) -> &'t Inspection {
    tree.children.iter().find(|file| file.get("dimension") == Some(&dimension.into())).unwrap()
}

fn part<'t>(node: &'t Inspection, names: &[&str]) -> &'t Inspection {
    names
        .iter()
        .fold(node, |node, name| node.child(name).unwrap_or_else(|| panic!("{} has no {name}: {node:?}", node.name)))
}

#[track_caller]
fn says(node: &Inspection, field: &str, value: impl Into<Value>) {
    assert_eq!(node.get(field), Some(&value.into()), "{field} of {node:?}");
}

#[test]
fn a_sound_database_is_shown_with_the_counts_that_it_has() {
    let (_dir, path) = fixture();
    let tree = inspect_database(&path, ALL).unwrap();
    assert!(tree.is_sound(), "{:?}", tree.all_problems());
    let names: Vec<_> = tree.children.iter().map(|file| file.name.clone()).collect();
    let mut listed: Vec<_> =
        fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    listed.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, listed, "every file is there once");
    assert_eq!(names[0], "MANIFEST");
    says(part(&tree, &["MANIFEST", "header"]), "point_count", 299);

    let axis = file(&tree, "axis-");
    says(part(axis, &["axis"]), "free_count", 1);
    says(part(axis, &["tombstones"]), "free", 1);
    says(part(axis, &["index"]), "keys", 299);

    let colour = column(&tree, "colour");
    says(part(colour, &["checksums"]), "bad", 0);
    let segment = part(colour, &["segments", "0"]);
    says(segment, "encoding", "dictionary8");
    says(segment, "present_count", 299);
    let dictionary = part(colour, &["dictionary"]);
    says(dictionary, "entries", 4);
    says(dictionary, "cells", 299);
    says(part(dictionary, &["0"]), "value", "red");
    says(part(dictionary, &["0"]), "cells", 75);
    says(part(dictionary, &["3"]), "value_len", 480);
    let size = part(column(&tree, "size"), &["segments", "0"]);
    says(size, "minimum", 0);
    says(size, "maximum", 299 * 7);
    says(part(column(&tree, "ratio"), &["segments", "0"]), "maximum", 299.0 / 3.0);

    let patch = part(file(&tree, "patch-"), &["delta_columns"]);
    says(part(patch, &["axis", "segments"]), "present_count", 2);
    says(part(patch, &["dimension 0", "segments"]), "removed_count", 1);

    let records: Vec<_> = tree.children.iter().filter_map(|file| file.child("records")).collect();
    let commits = |node: &&Inspection| node.get("commits").and_then(Value::as_i64).unwrap();
    assert_eq!(records.iter().map(commits).sum::<i64>(), 2);
}

#[test]
fn a_file_alone_is_shown_as_in_its_database() {
    let (dir, path) = fixture();
    let tree = inspect_database(&path, 3).unwrap();
    for shown in tree.children.iter().filter(|file| file.name != "LOCK") {
        let alone = inspect_file(path.join(&shown.name), 3).unwrap();
        assert_eq!(format!("{:?}", alone.children), format!("{:?}", shown.children), "{}", shown.name);
        // Under another name it is told by its first bytes.
        let moved = dir.path().join("moved");
        fs::copy(path.join(&shown.name), &moved).unwrap();
        assert_eq!(inspect_file(&moved, 3).unwrap().get("kind"), shown.get("kind"));
    }
    fs::write(dir.path().join("other"), "something else").unwrap();
    assert!(inspect_file(dir.path().join("other"), 3).unwrap_err().is_invalid_argument());
    assert!(inspect_file(dir.path().join("none"), 3).unwrap_err().is_not_found());
    assert!(inspect_database(dir.path().join("none"), 3).unwrap_err().is_not_found());
    assert!(inspect_database(dir.path(), 3).unwrap_err().is_not_found(), "no file of a database");
}

#[test]
fn parts_are_listed_up_to_the_limit_and_all_are_counted() {
    let (_dir, path) = fixture();
    let tree = inspect_database(&path, 2).unwrap();
    let dictionary = part(column(&tree, "colour"), &["dictionary"]);
    assert_eq!(dictionary.children.len(), 2);
    says(dictionary, "entries", 4);
    says(dictionary, "cells", 299);
}

#[test]
fn every_changed_byte_and_every_cut_is_a_problem_in_its_file_and_the_rest_is_shown() {
    let (_dir, path) = fixture();
    let tree = inspect_database(&path, 2).unwrap();
    for file in tree.children.iter().filter(|file| file.name != "LOCK") {
        let sound = fs::read(path.join(&file.name)).unwrap();
        // A closed log is good up to an end that the manifest states; what is behind it means nothing.
        let end = file.child("records").and_then(|records| records.get("end")?.as_i64());
        let end = end.map_or(sound.len(), |end| end as usize);
        let step = end / 120 + 1;
        for at in (0..end).step_by(step) {
            let mut rotten = sound.clone();
            rotten[at] ^= 0x41;
            damaged(&path, &file.name, &rotten, at);
            damaged(&path, &file.name, &sound[..at], at);
        }
        fs::write(path.join(&file.name), &sound).unwrap();
    }
    assert!(inspect_database(&path, 2).unwrap().is_sound());
}

fn damaged(path: &Path, name: &str, bytes: &[u8], at: usize) {
    fs::write(path.join(name), bytes).unwrap();
    let alone = inspect_file(path.join(name), 2).unwrap();
    // A log alone may end in a write that was cut short.
    assert!(name.starts_with("wal-") || !alone.is_sound(), "{name} at {at}");
    let tree = inspect_database(path, 2).unwrap();
    let shown = tree.child(name).unwrap_or_else(|| panic!("{name} at {at} is not there"));
    assert!(!shown.is_sound(), "{name} at {at}");
    for other in tree.children.iter().filter(|file| file.name != name) {
        assert!(other.is_sound(), "{name} at {at}: {:?}", other.all_problems());
    }
}

#[test]
fn parts_that_are_sound_and_do_not_go_together_are_a_problem() {
    let (_dir, path) = fixture();
    let name = path.join(&column(&inspect_database(&path, 2).unwrap(), "size").name);
    let mut bytes = fs::read(&name).unwrap();
    // The header states a value less than the segments have, and its checksum is right.
    bytes[96] -= 1;
    let checksum = crc32fast::hash(&bytes[..508]);
    bytes[508..512].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&name, bytes).unwrap();
    let alone = inspect_file(&name, 2).unwrap();
    assert!(alone.children.iter().all(Inspection::is_sound), "{:?}", alone.all_problems());
    assert_eq!(alone.problems.len(), 1);
}

#[test]
fn files_that_are_missing_or_left_over_are_told() {
    let (dir, path) = fixture();
    let column_name = column(&inspect_database(&path, 2).unwrap(), "size").name.clone();
    fs::rename(path.join(&column_name), dir.path().join("aside")).unwrap();
    fs::copy(dir.path().join("aside"), path.join("dim-77-1.col")).unwrap();
    let tree = inspect_database(&path, 2).unwrap();
    let problems = tree.all_problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].to_string().contains("it is missing, and the manifest names it"), "{problems:?}");
    says(part(&tree, &["dim-77-1.col"]), "state", "not in use");

    fs::remove_file(path.join("MANIFEST")).unwrap();
    let tree = inspect_database(&path, 2).unwrap();
    assert_eq!(tree.all_problems().len(), 1, "{:?}", tree.all_problems());
    says(part(&tree, &["dim-77-1.col", "segments"]), "present_count", 299);

    // A file of another database under the name of one of this.
    let (_other_dir, other) = fixture();
    let (_dir, path) = fixture();
    fs::copy(other.join(&column_name), path.join(&column_name)).unwrap();
    let tree = inspect_database(&path, 2).unwrap();
    let problems = part(&tree, &[column_name.as_str(), "header"]).problems.iter();
    assert!(problems.map(ToString::to_string).any(|problem| problem.contains("not the file that the manifest names")));
}

/// A bad block was once told again for each part that lies in it, and for each of thousands of dictionary entries.
#[test]
fn a_bad_block_is_told_once_and_every_part_in_it_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.vdb");
    let db = VectorDb::create(&path).unwrap();
    let colour = |n: i64| attrs! { "colour" => format!("colour {}", n % 8) };
    db.batch_upsert((0..2000).map(|n| (format!("key {n}"), colour(n)))).unwrap();
    db.compact(&Default::default()).unwrap();
    db.close().unwrap();
    let name = column(&inspect_database(&path, ALL).unwrap(), "colour").name.clone();
    let mut bytes = fs::read(path.join(&name)).unwrap();
    let offset = part(&inspect_file(path.join(&name), ALL).unwrap(), &["sections", "cells"]).get("offset").cloned();
    let offset = offset.and_then(|offset| offset.as_u64()).unwrap() as usize;
    bytes[offset] ^= 1;
    fs::write(path.join(&name), bytes).unwrap();

    for limit in [2, ALL] {
        let tree = inspect_database(&path, limit).unwrap();
        let problems = tree.all_problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().contains("the checksum does not match"), "{problems:?}");
        let file = column(&tree, "colour");
        assert_eq!(file.child("checksums").unwrap().problems.len(), 1, "where it comes first");
        for part in ["column", "segments", "dictionary"] {
            let part = part_of(file, part);
            assert!(!part.is_sound() && part.all_problems().is_empty(), "{part:?}");
        }
        let entries = &part_of(file, "dictionary").children;
        assert_eq!(entries.len(), if limit == ALL { 8 } else { 2 });
        assert!(entries.iter().all(|entry| entry.repeats.len() == 1), "{entries:?}");
    }
}

fn part_of<'t>(node: &'t Inspection, name: &str) -> &'t Inspection {
    node.child(name).unwrap_or_else(|| panic!("no {name} in {node:?}"))
}

#[test]
fn a_log_that_the_manifest_names_and_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.vdb");
    drop(VectorDb::create(&path).unwrap());
    let tree = inspect_database(&path, ALL).unwrap();
    let log = file(&tree, "wal-");
    assert!(tree.is_sound(), "a log is made with its first commit");
    assert!(log.get("state").and_then(Value::as_str).is_some_and(|state| state.starts_with("not there: ")), "{log:?}");
    for n in 0..3 {
        VectorDb::open(&path).unwrap().upsert("k", attrs! { "n" => n }).unwrap();
    }
    let logs: Vec<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("wal-"))
        .collect();
    assert_eq!(logs.len(), 3);
    for name in &logs {
        let aside = dir.path().join("aside");
        fs::rename(path.join(name), &aside).unwrap();
        let tree = inspect_database(&path, ALL).unwrap();
        let problems = file(&tree, name).all_problems();
        assert_eq!(problems.len(), 1, "{name}: {tree:?}");
        assert!(problems[0].to_string().contains("it is missing, and the manifest names it"), "{problems:?}");
        fs::rename(&aside, path.join(name)).unwrap();
    }
}

#[test]
fn a_log_that_is_not_there_though_later_ones_are_is_told_also_where_no_log_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.vdb");
    let db = VectorDb::create(&path).unwrap();
    db.upsert(1, attrs! {}).unwrap();
    // As after a kill.
    let unsealed = fs::read(path.join("MANIFEST")).unwrap();
    db.close().unwrap();
    VectorDb::open(&path).unwrap().upsert(2, attrs! {}).unwrap();
    fs::write(path.join("MANIFEST"), unsealed).unwrap();
    assert!(inspect_database(&path, ALL).unwrap().is_sound());
    fs::remove_file(path.join("wal-1.log")).unwrap();
    let tree = inspect_database(&path, ALL).unwrap();
    let problems = tree.all_problems();
    assert!(
        problems.len() == 1 && problems[0].to_string().contains("it is missing, and later logs are there"),
        "{tree:?}"
    );
}
