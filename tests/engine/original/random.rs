//! Random databases with keys and values of every type, to the original and back.
//!
//! `VECTOR_DATABASES` of them, from the seed `VECTOR_SEED` on; `scripts/original.sh` runs more than the default.

use super::python;
use crate::support::contents::Contents;
use crate::support::environment;
use crate::support::random::Random;
use crate::support::values::{self, Flavor};
use serde_json::Value as Json;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Key, Options, Value, VectorDb};

/// Names that are somebody's trouble.
const NAMES: [&str; 10] = ["", "a", "A", "é😀", "value_domain", "../x", "\0", "1", "ref_counts", "a b"];

/// A database that a seed decides.
fn database(seed: u64) -> VectorDb {
    let mut random = Random::new(seed);
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    let first = random.below(NAMES.len());
    let is_long = random.one_in(20);
    let dimensions: Vec<(&str, Flavor)> =
        (0..random.below(6)).map(|n| (NAMES[(first + n) % NAMES.len()], Flavor::new(&mut random, is_long))).collect();
    // A few keys that are put and deleted again and again, among them twins.
    let keys: Vec<Key> =
        (0..random.within(1..60)).map(|_| Key::try_from(values::key(&mut random, 0)).unwrap()).collect();
    for _ in 0..random.below(150) {
        let key = random.pick::<Key>(&keys).clone();
        match random.below(12) {
            0 | 1 => drop(db.delete(&key).unwrap()),
            2 if !dimensions.is_empty() => {
                let name = random.pick::<(&str, Flavor)>(&dimensions).0;
                db.remove_attribute(&key, name).unwrap();
            }
            3 if random.one_in(3) => db.save().unwrap(),
            _ => {
                let mut attributes: Vec<(&str, Value)> = Vec::new();
                for (name, flavor) in &dimensions {
                    if !random.one_in(3) {
                        attributes.push((name, flavor.value(&mut random)));
                    }
                }
                db.upsert(key, attributes).unwrap();
            }
        }
    }
    db
}

#[test]
fn random_databases_survive_the_original() {
    let Some(mut command) = python("batch.py") else { return };
    let count = environment("VECTOR_DATABASES").unwrap_or(60);
    let first: u64 = environment("VECTOR_SEED").unwrap_or(1);
    println!("seeds {first} to {}", first + count - 1);
    let dir = tempfile::tempdir().unwrap();
    let path = |seed: u64, ending: &str| dir.path().join(format!("{seed}.{ending}"));
    let mut lines = String::new();
    let mut all = Vec::new();
    for seed in first..first + count {
        let db = database(seed);
        db.export(path(seed, "db")).unwrap();
        check_same_bytes(&db, dir.path(), seed);
        lines.push_str(&format!("{}\t{}\n", path(seed, "db").display(), path(seed, "resaved").display()));
        all.push((seed, Contents::of(&db)));
    }
    std::fs::write(dir.path().join("lines"), lines).unwrap();
    let stdin = Stdio::from(File::open(dir.path().join("lines")).unwrap());
    let output = command.stdin(stdin).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{said}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count() as u64, count);
    for ((seed, contents), line) in all.into_iter().zip(said.lines()) {
        let report: Json = serde_json::from_str(line).unwrap();
        assert_eq!(report["wrong"], Json::Array(vec![]), "seed {seed}");
        assert_eq!(report["resaved_points"], report["points"], "seed {seed}");
        VectorDb::import(path(seed, "resaved"), path(seed, "vdb"))
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let again = VectorDb::open_read_only(path(seed, "vdb")).unwrap();
        assert_eq!(Contents::of(&again).difference(&contents), None, "seed {seed}");
        assert!(again.verify().unwrap().is_sound(), "seed {seed}");
    }
}

/// An export is the same each time, also from the import of one.
fn check_same_bytes(db: &VectorDb, dir: &Path, seed: u64) {
    let path = |name: &str| dir.join(format!("{seed}-{name}"));
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    db.export(path("1.db")).unwrap();
    db.export(path("2.db")).unwrap();
    let report =
        VectorDb::import(path("1.db"), path("again.vdb")).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert!(report.repairs.is_empty() && report.losses.is_empty(), "seed {seed}: {report:?}");
    let again = VectorDb::open_read_only(path("again.vdb")).unwrap();
    assert_eq!(Contents::of(&again).difference(&Contents::of(db)), None, "seed {seed}");
    again.export(path("3.db")).unwrap();
    assert!(bytes("1.db") == bytes("2.db"), "seed {seed}: two exports differ");
    assert!(bytes("1.db") == bytes("3.db"), "seed {seed}: the export of an import differs");
}

#[test]
fn random_databases_have_every_type() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..=60 {
        for (_, key, attributes) in Contents::of(&database(seed)).points {
            seen.insert(format!("key {}", type_name(&key)));
            seen.extend(attributes.iter().map(|(_, value)| format!("value {}", type_name(value))));
        }
    }
    assert_eq!(seen.len(), 8 + 11, "{seen:?}");
}

fn type_name(value: &Value) -> String {
    format!("{value:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
