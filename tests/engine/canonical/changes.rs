//! Files with one thing changed, in every place: a bit, a byte, a value of another type. Each is refused, or makes a sound database.

use super::case::import_in_memory;
use super::draft::{draft, edited, packed};
use super::node::{Node, Width, array, bytes, ext, map};
use crate::support::contents::Contents;
use crate::support::random::Random;
use crate::support::values;
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
        exported(|db| {
            db.upsert(101, attrs! { "age" => 25, "name" => "Alice" }).unwrap();
        }),
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
    for (number, (file, contents)) in files.iter().enumerate() {
        each_flip(file, |flipped, bit| {
            let what = format!("file {number}, {bit}");
            if let Ok(imported) = import_in_memory(flipped, Import::new(), &what) {
                assert_eq!(imported.contents.difference(contents), None, "{what}");
            }
        });
    }
}

#[test]
fn any_bit_of_files_without_checksums_turned_over_is_refused_or_sound() {
    for name in ["o01_empty", "o02_single", "o27_whole_second"] {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures", &format!("{name}.db")].iter().collect();
        let file = std::fs::read(path).unwrap();
        assert_eq!(file[4] & 0x14, 0, "{name} has checksums");
        each_flip(&file, |flipped, bit| drop(import_in_memory(flipped, Import::new(), &format!("{name}, {bit}"))));
    }
}

#[test]
fn content_with_any_byte_changed_is_refused_or_sound() {
    let content = draft().encode(Width::Shortest);
    for at in 0..content.len() {
        for byte in [0x00, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC1, 0xC6, 0xC9, 0xCB, 0xCF, 0xD3, 0xDB, 0xDD, 0xDF, 0xFF] {
            let mut changed = content.clone();
            changed[at] = byte;
            drop(import_in_memory(&packed(&changed), Import::new(), &format!("byte {at} is {byte:#x}")));
        }
    }
}

#[test]
fn wrong_types_anywhere_are_refused_or_sound() {
    let wrong = [
        super::node::NIL,
        (-1).into(),
        Node::Int(u64::MAX.into()),
        "x".into(),
        "".into(),
        bytes(b"\xFF"),
        true.into(),
        f64::NAN.into(),
        1e300.into(),
        array([]),
        array([array([]), 1.into()]),
        Node::Map(vec![]),
        map([("x", Node::Map(vec![]))]),
        ext(0x56, b"\x02\x90"),
        ext(5, b""),
    ];
    let mut count = 0;
    draft().each(&mut |_| count += 1);
    let mut refused = 0;
    for at in 0..count {
        for (number, wrong) in wrong.iter().enumerate() {
            let file = edited(|file| {
                let mut index = 0;
                file.each(&mut |node| {
                    if index == at {
                        *node = wrong.clone();
                    }
                    index += 1;
                });
            });
            refused +=
                usize::from(import_in_memory(&file, Import::new(), &format!("node {at}, type {number}")).is_err());
        }
    }
    assert!(refused * 2 > count * wrong.len(), "{refused} of {} were refused", count * wrong.len());
}
