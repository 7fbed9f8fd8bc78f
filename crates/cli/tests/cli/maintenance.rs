//! stats, verify, checkpoint, compact; and what they say about a damaged database.

use crate::{Place, names_in};
use std::fs;
use std::path::Path;

#[test]
fn stats_have_the_names_of_the_library() {
    let place = Place::new();
    let db = place.people();
    place.line(&["delete", db, "101"]);
    let stats = place.json(&["stats", db]);
    assert_eq!((&stats["vector_points"], &stats["dimensions"]), (&2.into(), &3.into()));
    assert_eq!((&stats["slots"], &stats["free_slots"]), (&3.into(), &1.into()));
    assert!(stats["file_size_bytes"].as_u64().unwrap() > 0);
    assert_eq!((&stats["patches"], &stats["patch_bytes"]), (&0.into(), &0.into()));
    assert_eq!(stats["checkpoint_failure"], serde_json::Value::Null);
    let bytes = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"));
    assert!(bytes("live_bytes") > bytes("garbage_bytes") && bytes("garbage_bytes") > 0, "a third was deleted: {stats}");
    assert_eq!(stats["pinned_bytes"], 0);
    let names: Vec<_> =
        stats["dimension_details"].as_array().unwrap().iter().map(|dimension| dimension["name"].clone()).collect();
    assert_eq!(names, ["name", "age", "height"]);
    assert_eq!(stats["dimension_details"][1]["points"], 1);
}

#[test]
fn checkpoint_and_compact_keep_every_answer() {
    let place = Place::new();
    let db = place.people();
    place.line(&["put", db, "104", r#"{"name":"Dave"}"#]);
    place.line(&["delete", db, "102"]);
    let lines = || place.line(&["export", db, "-", "--format", "jsonl", "-q"]);
    let before = lines();
    let run = place.run(&["checkpoint", db]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("people.vdb: checkpoint done in "), "{run:?}");
    assert!(run.stdout.starts_with("{\"generation\":"), "{run:?}");
    assert_eq!(lines(), before);
    let stats = place.json(&["stats", db]);
    assert!(stats["patches"] == 1 && stats["patch_bytes"].as_u64().unwrap() > 0, "{stats}");
    let report = place.json(&["compact", db]);
    assert_eq!((&report["points"], &report["slots"]), (&3.into(), &4.into()));
    assert_eq!(lines(), before);
    let report = place.json(&["compact", db, "--export", "out.csv"]);
    assert_eq!(report["export"]["points"], 3);
    assert_eq!(place.read("out.csv").lines().count(), 4);
    place.fails(
        &["compact", db, "--export", "out"],
        2,
        "out: this name does not tell what to write; end it in .db, .jsonl or .csv",
    );
}

#[test]
fn compact_can_close_the_gaps() {
    let place = Place::new();
    let db = place.people();
    place.line(&["delete", db, "101"]);
    assert_eq!(place.json(&["compact", db, "--reassign-slots"])["slots"], 2);
    assert_eq!(place.line(&["put", db, "103", "{}"]), "1");
}

#[test]
fn compact_lays_out_points_as_it_is_told() {
    let place = Place::new();
    // So many that a frozen order is not that of the keys by chance.
    let more = "e,5\nf,6\ng,7\nh,8\ni,9\nj,10";
    place.write("rows.csv", format!("id,n\nb,2\nd,4\na,1\nc,3\n{more}\n"));
    place.line(&["import", "rows.csv", "rows.vdb", "--key", "id", "-q"]);
    let keys = || place.line(&["export", "rows.vdb", "-", "--format", "csv", "-q"]);
    assert_eq!(keys(), format!("key,n\nb,2\nd,4\na,1\nc,3\n{more}"));
    let compact = |layout: &str| {
        let run = place.run(&["compact", "rows.vdb", "--layout", layout]);
        assert_eq!(run.code, 0, "{run:?}");
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        (report["axis_encoding"].as_str().unwrap().to_owned(), run.stderr)
    };
    let (axis, said) = compact("frozen");
    assert!(axis == "frozen" && said.contains("frozen: coordinates are worked out"), "{axis}: {said}");
    assert_eq!(place.json(&["stats", "rows.vdb"])["axis_encoding"], "frozen");
    assert_eq!(place.line(&["get", "rows.vdb", "c", "n"]), "3");
    assert_eq!(compact("keep").0, "frozen");
    assert_eq!(place.json(&["verify", "rows.vdb"])["sound"], true);
    assert_eq!(compact("by-key").0, "text32");
    assert_eq!(keys(), format!("key,n\na,1\nb,2\nc,3\nd,4\n{more}"));
    place.line(&["delete", "rows.vdb", "b"]);
    assert_eq!(place.json(&["compact", "rows.vdb", "--layout", "packed"])["slots"], 9);
    assert_eq!(keys(), format!("key,n\na,1\nc,3\nd,4\n{more}"));
    assert_eq!(place.run(&["compact", "rows.vdb", "--layout", "packed", "--reassign-slots"]).code, 2);
    assert_eq!(place.run(&["compact", "rows.vdb", "--layout", "melted"]).code, 2);

    place.write("dense.csv", "n\n1\n2\n3\n");
    place.line(&["import", "dense.csv", "dense.vdb", "-q"]);
    let run = place.run(&["compact", "dense.vdb", "--layout", "frozen"]);
    assert!(run.stderr.contains("not frozen: the keys are consecutive integers"), "{run:?}");
}

#[test]
fn compact_says_when_and_why_it_has_made_a_database_larger() {
    let place = Place::new();
    let rows: String = (0..5000).map(|row| format!("{row},{}\n", row % 7)).collect();
    place.write("rows.csv", format!("id,n\n{rows}"));
    place.line(&["import", "rows.csv", "rows.vdb", "--key", "id", "-q"]);
    place.line(&["delete", "rows.vdb", "2500", "-q"]);
    let run = place.run(&["compact", "rows.vdb"]);
    assert!(!run.stderr.contains("larger"), "{run:?}");
    let run = place.run(&["compact", "rows.vdb", "--reassign-slots"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["file_size_bytes"].as_u64() > report["file_size_bytes_before"].as_u64(), "{report}");
    assert_eq!(report["axis_encoding_before"], "dense");
    assert_ne!(report["axis_encoding"], "dense");
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("vdb: rows.vdb: compacted in ") && lines[0].contains(" -> "), "{run:?}");
    assert!(lines[1].starts_with("vdb: the database is larger than before: each key was the first"), "{run:?}");
    let help = place.line(&["compact", "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("This can make a database larger"), "{help}");
}

#[test]
fn a_sound_database_is_called_sound() {
    let place = Place::new();
    let db = place.people();
    let report = place.json(&["verify", db]);
    assert_eq!((&report["sound"], &report["problems"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(report["opened"], true);
    let path = place.path(db);
    let data_files = names_in(&path).into_iter().filter(|name| name.starts_with("axis-") || name.starts_with("dim-"));
    let lens: Vec<u64> = data_files.map(|name| fs::metadata(path.join(name)).unwrap().len()).collect();
    assert_eq!((&report["files"], &report["bytes"]), (&lens.len().into(), &lens.iter().sum::<u64>().into()));
}

#[test]
fn what_keeps_a_database_from_being_opened_is_a_finding() {
    let place = Place::new();
    let db = place.people();
    place.line(&["put", db, "104", r#"{"name":"Dave"}"#]);
    for name in names_in(&place.path(db)).into_iter().filter(|name| name != "LOCK") {
        let (path, aside) = (place.path(db).join(&name), place.path("aside"));
        fs::rename(&path, &aside).unwrap();
        // Missing, empty, and a directory.
        for replace in [|_: &Path| Ok(()), |path: &Path| fs::write(path, ""), |path: &Path| fs::create_dir(path)] {
            replace(&path).unwrap();
            let run = place.run(&["verify", db]);
            assert_eq!(run.code, 3, "{name}: {run:?}");
            let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!((&report["sound"], &report["opened"]), (&false.into(), &false.into()));
            let problem = report["problems"][0].as_str().unwrap();
            assert!(problem.contains(db) && (problem.contains(&name) || problem.contains("MANIFEST")), "{problem}");
            assert_eq!(run.stderr, "vdb: people.vdb: 1 problem; it cannot be opened, and nothing else was checked\n");
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        fs::rename(&aside, &path).unwrap();
    }
    // What is no damage: no database.
    fs::create_dir(place.path("empty.vdb")).unwrap();
    place.fails(&["verify", "empty.vdb"], 5, "there is no database at empty.vdb");
}

#[test]
fn a_flipped_byte_in_any_file_is_found() {
    let place = Place::new();
    let db = place.people();
    place.line(&["put", db, "104", r#"{"name":"Dave"}"#]);
    for name in names_in(&place.path(db)) {
        let path = place.path(db).join(&name);
        let sound = fs::read(&path).unwrap();
        if sound.is_empty() || name == "LOCK" {
            continue;
        }
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let run = place.run(&["verify", db]);
            assert_eq!(run.code, 3, "{name} at {at}: {run:?}");
            let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            let problem = report["problems"][0].as_str().unwrap();
            assert!(report["sound"] == false && problem.contains(&name), "{name} at {at}: {problem}");
            assert!(run.stderr.starts_with("vdb: people.vdb: 1 problem"), "{run:?}");
            assert_eq!(run.stderr.contains("cannot be opened"), report["opened"] == false, "{run:?}");
            // A command that reads the damage says so; one that does not gives the right answer.
            let run = place.run(&["get", db, "101"]);
            assert!(
                run.code == 3 || run.stdout == "{\"name\":\"Alice\",\"age\":25,\"height\":1.7}\n",
                "{name} at {at}: {run:?}"
            );
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(place.run(&["verify", db]).code, 0);
}
