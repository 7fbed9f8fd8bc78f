//! inspect: the tree as JSON, its exit codes, damaged files. How it is drawn is tested beside the drawing.

use crate::{Place, names_in};
use serde_json::Value;
use std::fs;

fn child<'t>(tree: &'t Value, name: &str) -> &'t Value {
    tree["children"]
        .as_array()
        .unwrap()
        .iter()
        .find(|child| child["name"] == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

impl Place {
    fn column(&self, db: &str, dimension: &str) -> Value {
        let tree = self.json(&["inspect", db]);
        let files = tree["children"].as_array().unwrap();
        files.iter().find(|file| file["fields"]["dimension"] == dimension).unwrap().clone()
    }
}

#[test]
fn a_database_and_each_of_its_files_is_a_tree() {
    let place = Place::new();
    let rows: String = (0..60).map(|row| format!("{row},{}\n", ["red", "green"][row % 2])).collect();
    place.write("c.csv", format!("id,colour\n{rows}"));
    place.line(&["import", "c.csv", "c.vdb", "--key", "id", "-q"]);
    let db = "c.vdb";
    place.line(&["put", db, "104", r#"{"colour":"blue"}"#]);
    let tree = place.json(&["inspect", db]);
    let names: Vec<_> = tree["children"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names.len(), names_in(&place.path(db)).len());
    assert_eq!(child(child(&tree, "MANIFEST"), "header")["fields"]["point_count"], 60);

    let name = place.column(db, "colour");
    let segments = child(&name, "segments");
    assert_eq!(segments["fields"]["present_count"], 60);
    assert_eq!(child(segments, "0")["fields"]["encoding"], "dictionary8");
    let dictionary = child(&name, "dictionary");
    assert_eq!(child(dictionary, "1")["fields"], serde_json::json!({"value": "green", "cells": 30}));

    let file = format!("{db}/{}", name["name"].as_str().unwrap());
    let alone = place.json(&["inspect", &file]);
    assert_eq!(alone["children"], name["children"]);
    let short = place.json(&["inspect", &file, "--limit", "1"]);
    assert_eq!(child(&short, "dictionary")["children"].as_array().unwrap().len(), 1);
}

#[test]
fn damage_is_told_in_its_place_and_by_the_exit_code() {
    let place = Place::new();
    let db = place.people();
    let file = format!("{db}/{}", place.column(db, "name")["name"].as_str().unwrap());
    let sound = fs::read(place.path(&file)).unwrap();
    for at in [0, 100, 520, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        place.write(&file, &damaged);
        for path in [db, file.as_str()] {
            let run = place.run(&["inspect", path]);
            assert_eq!(run.code, 3, "{at}: {run:?}");
            assert_eq!(run.stderr, format!("vdb: {path}: 1 problem\n"), "{at}: {run:?}");
            let is_block = run.stdout.contains("block at byte");
            assert!(!is_block || run.stdout.contains("\"problems_told_above\":[\"block at byte 512\"]"), "{run:?}");
            assert_eq!(run.stderr.lines().count(), 1);
            let tree: Value = serde_json::from_str(&run.stdout).unwrap();
            assert!(tree.to_string().contains("\"problems\":["), "{tree}");
            let whole = if path == db { child(&tree, file.rsplit('/').next().unwrap()) } else { &tree };
            assert_eq!(child(whole, "header")["fields"]["dimension_id"], 0, "what can be read is shown");
        }
    }
    fs::remove_file(place.path(&file)).unwrap();
    let run = place.run(&["inspect", db]);
    assert!(run.code == 3 && run.stdout.contains("it is missing, and the manifest names it"), "{run:?}");
    assert!(run.stdout.contains("\"dimension\":\"age\""), "the other files are shown: {run:?}");
}

#[test]
fn what_is_no_database_and_no_file_of_one_is_refused() {
    let place = Place::new();
    place.write("other.csv", "a,b\n");
    fs::create_dir(place.path("empty.vdb")).unwrap();
    place.fails(&["inspect", "other.csv"], 2, "other.csv is no manifest, axis, column, patch or log of a database");
    for name in ["no.vdb", "./no.vdb", "empty.vdb", "empty.vdb/../empty.vdb"] {
        place.fails(&["inspect", name], 5, &format!("there is no database at {name}"));
    }
}
