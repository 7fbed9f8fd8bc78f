//! Every single bit of a file, turned over.

use super::case::import_in;
use crate::support::contents::Contents;
use crate::support::values;
use crate::support::random::Random;
use std::path::PathBuf;
use vector_datalib::{Import, Value, VectorDb, attrs};

/// Calls a function with the file in which each bit in turn is the other one.
fn each_flip(file: &[u8], mut check: impl FnMut(&[u8], &str)) {
    let mut flipped = file.to_vec();
    for bit in 0..file.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, &format!("bit {} of byte {}", bit % 8, bit / 8));
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Exports a database that `fill` fills; it has to be short.
fn exported(fill: impl FnOnce(&VectorDb)) -> (Vec<u8>, Contents) {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("a.vdb")).unwrap();
    fill(&db);
    db.export(dir.path().join("a.db")).unwrap();
    let file = std::fs::read(dir.path().join("a.db")).unwrap();
    assert!(file.len() < 2048, "{} bytes", file.len());
    (file, Contents::of(&db))
}

#[test]
fn any_bit_of_our_own_files_turned_over_is_an_error_or_changes_nothing() {
    let seed = 7;
    println!("seed {seed}");
    let files = [
        exported(|db| drop(db.upsert(101, attrs! { "age" => 25, "name" => "Alice" }).unwrap())),
        exported(|db| {
            db.batch_upsert((0..60).map(|n| (n, [("name", format!("name {n}"))]))).unwrap();
            db.batch_delete([3, 17, 18]).unwrap();
        }),
        exported(|db| {
            let mut random = Random::new(seed);
            let rows = (0..12).map(|n| (n, [("a", values::value(&mut random, 1)), ("b", Value::from(n % 3))]));
            db.batch_upsert(rows.collect::<Vec<_>>()).unwrap();
        }),
    ];
    let place = tempfile::tempdir().unwrap();
    for (file, contents) in files {
        each_flip(&file, |flipped, what| {
            let result = import_in(place.path(), flipped, &Import::new());
            match result.unwrap_or_else(|failure| panic!("{what}: {failure}")) {
                Ok(imported) => assert_eq!(imported.contents.difference(&contents), None, "{what}"),
                Err(error) => assert!(error.is_rejected() || error.is_limit(), "{what}: {error}"),
            }
        });
    }
}

/// `import_in` fails where an import panics, leaves something behind or makes a database that is not sound.
#[test]
fn any_bit_of_files_without_checksums_turned_over_is_refused_or_sound() {
    let place = tempfile::tempdir().unwrap();
    for name in ["o01_empty", "o02_single", "o27_whole_second"] {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures", &format!("{name}.db")].iter().collect();
        let file = std::fs::read(path).unwrap();
        assert_eq!(file[4] & 0x14, 0, "{name} has checksums");
        each_flip(&file, |flipped, what| {
            let result = import_in(place.path(), flipped, &Import::new());
            if let Err(error) = result.unwrap_or_else(|failure| panic!("{name}, {what}: {failure}")) {
                assert!(error.is_rejected() || error.is_limit(), "{name}, {what}: {error}");
            }
        });
    }
}
