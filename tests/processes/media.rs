//! A disk that is really full.

use super::setting::{Mount, alone, copy_as_after_a_crash, is_root, open_directory, skip};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use vector_datalib::{CompactOptions, Durability, Options, VectorDb, attrs};

const MEBIBYTE: usize = 1 << 20;

/// Fills the disk but for what is smaller than a page.
fn fill(path: &Path) {
    let mut ballast = fs::File::create(path).unwrap();
    while std::io::Write::write_all(&mut ballast, &[7; 4096]).is_ok() {}
}

fn assert_holds(db: &VectorDb, expected: &BTreeMap<u64, String>, state: &str) {
    assert_eq!(db.len(), expected.len() as u64, "{state}");
    for (&key, text) in expected {
        assert_eq!(db.lookup(key, "text").unwrap(), Some((&**text).into()), "{state}: key {key}");
    }
    assert!(db.verify().unwrap().is_sound(), "{state}");
}

/// What a crash now would leave, opened elsewhere.
fn assert_survives(db: &VectorDb, expected: &BTreeMap<u64, String>, state: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("a.vdb");
    copy_as_after_a_crash(db.path(), &path);
    assert_holds(&VectorDb::open_read_only(&path).unwrap(), expected, &format!("{state}, after a crash"));
    assert_holds(&VectorDb::open(&path).unwrap(), expected, &format!("{state}, after a crash"));
}

fn a_full_disk(durability: Durability) {
    let dir = open_directory();
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], &dir.path().join("disk")) else {
        return skip("mounting is not allowed here");
    };
    let disk = dir.path().join("disk");
    let path = disk.join("a.vdb");
    let ballast = disk.join("ballast");
    let db = Options::new().durability(durability).create(&path).unwrap();
    let mut expected = BTreeMap::new();
    let mut next = 0u64;
    let mut commit_until_full = |db: &VectorDb, expected: &mut BTreeMap<u64, String>, at_most: usize| {
        for _ in 0..at_most {
            next += 1;
            let text = format!("{next} ").repeat((next % 900) as usize + 1);
            match db.upsert(next, attrs! { "text" => &*text, "n" => next }) {
                Ok(_) => drop(expected.insert(next, text)),
                Err(error) => {
                    assert!(error.is_no_space(), "{error}");
                    assert!(!db.contains(next).unwrap(), "a commit that failed is not seen");
                    return true;
                }
            }
        }
        false
    };

    // No room even to start a log.
    fill(&ballast);
    assert!(commit_until_full(&db, &mut expected, 1));
    fs::remove_file(&ballast).unwrap();
    assert!(!commit_until_full(&db, &mut expected, 20));
    assert_survives(&db, &expected, "after the first room");

    for round in 0..4 {
        fill(&ballast);
        assert!(commit_until_full(&db, &mut expected, 10_000), "round {round}: the disk was full");
        assert_holds(&db, &expected, "full");
        assert_survives(&db, &expected, "full");
        for _ in 0..3 {
            assert!(db.save().unwrap_err().is_no_space());
            assert!(db.compact(&CompactOptions::new().reassign_slots(true)).unwrap_err().is_no_space());
            assert!(db.insert_at("front", 0, attrs! { "n" => 0 }).unwrap_err().is_no_space());
        }
        // After a failed checkpoint the next commit needs a log of its own.
        commit_until_full(&db, &mut expected, 10);
        assert_holds(&db, &expected, "full, after failed checkpoints");
        assert_survives(&db, &expected, "full, after failed checkpoints");

        fs::remove_file(&ballast).unwrap();
        assert!(!commit_until_full(&db, &mut expected, 10), "round {round}: there is room again");
        if round % 2 == 1 {
            db.save().unwrap();
        }
        assert!(!commit_until_full(&db, &mut expected, 10), "round {round}: there is room again");
        assert_holds(&db, &expected, "with room");
    }

    // To the very end of the medium, without ballast.
    assert!(commit_until_full(&db, &mut expected, 100_000));
    assert!(expected.values().map(String::len).sum::<usize>() > MEBIBYTE / 2);
    assert_holds(&db, &expected, "at the end");
    assert_survives(&db, &expected, "at the end");
    drop(db);
    let reader = VectorDb::open_read_only(&path).unwrap();
    assert_holds(&reader, &expected, "opened on the full disk to read");
    let db = Options::new().durability(durability).open(&path).unwrap();
    assert_holds(&db, &expected, "opened on the full disk to write");
    db.close().unwrap_or_else(|error| assert!(error.is_no_space(), "{error}"));
    assert_holds(&VectorDb::open(&path).unwrap(), &expected, "opened again");
}

#[test]
fn a_full_disk_undoes_the_write_and_loses_nothing() {
    let _alone = alone();
    if !is_root() {
        return skip("not root");
    }
    a_full_disk(Durability::Immediate);
    a_full_disk(Durability::Eventual);
}
