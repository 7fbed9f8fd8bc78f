//! A directory that cannot be written opens for reading, without any write, and its log is replayed in memory.

use super::child::{Child, digest_of};
use super::setting::{Mount, alone, copy_as_after_a_crash, inventory, is_root, open_directory, skip};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use vector_datalib::{VectorDb, attrs};

/// A database whose writer was killed: with a base, a log behind it, and no `LOCK`. Returns what must be seen.
fn crashed_database(path: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("a.vdb")).unwrap();
    db.batch_upsert((0..300).map(|n| (n * 7, attrs! { "n" => n, "text" => format!("text {n}") }))).unwrap();
    db.save().unwrap();
    for n in 0..40 {
        db.upsert(n * 7, attrs! { "n" => n + 1000, "later" => true }).unwrap();
    }
    db.delete(0).unwrap();
    copy_as_after_a_crash(db.path(), path);
    fs::remove_file(path.join("LOCK")).unwrap();
    format!("{} {}", db.snapshot().sequence(), digest_of(&db.snapshot()))
}

#[test]
fn a_directory_without_write_permission_opens_and_nothing_is_written() {
    let _alone = alone();
    if !is_root() {
        return skip("not root");
    }
    let dir = open_directory();
    let path = dir.path().join("a.vdb");
    let expected = crashed_database(&path);
    for entry in fs::read_dir(&path).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(&path, Permissions::from_mode(0o555)).unwrap();
    let before = inventory(&path);
    let mut child = Child::start_as_nobody(&path, dir.path());
    assert_eq!(child.ask("open read-only"), expected);
    assert_eq!(child.ask("refresh"), expected);
    assert_eq!(child.ask("verify"), "[]");
    let report = child.ask("report");
    assert!(report.contains("records_replayed: 41") && report.contains("unclean_close: true"), "{report}");
    assert_eq!(child.ask("write through the reader"), "Err(true)");
    let refused = child.ask("open");
    assert!(refused.starts_with("error: other:") && refused.contains("ermission denied"), "{refused}");
    assert_eq!(inventory(&path), before);
    // The refused writer has not left its lock behind.
    VectorDb::open(&path).unwrap().close().unwrap();
}

#[test]
fn a_read_only_medium_opens_and_its_log_is_replayed_in_memory() {
    let _alone = alone();
    if !is_root() {
        return skip("not root");
    }
    let dir = open_directory();
    let source = dir.path().join("source");
    let expected = crashed_database(&source.join("a.vdb"));
    let at = dir.path().join("mounted");
    let mount = Mount::new(&["--bind", source.to_str().unwrap()], &at).filter(|mount| mount.remount("remount,ro,bind"));
    let Some(_mount) = mount else {
        return skip("mounting is not allowed here");
    };
    let path = at.join("a.vdb");
    assert!(fs::write(path.join("x"), "x").is_err(), "the medium is read-only");
    let before = inventory(&path);
    let db = VectorDb::open_read_only(&path).unwrap();
    assert_eq!(format!("{} {}", db.snapshot().sequence(), digest_of(&db.snapshot())), expected);
    assert_eq!(db.open_report().records_replayed, 41);
    assert!(!db.refresh().unwrap());
    assert!(db.verify().unwrap().is_sound());
    assert_eq!(db.len(), 299);
    assert!(db.upsert(1, attrs! { "n" => 1 }).unwrap_err().is_read_only());
    assert!(db.save().unwrap_err().is_read_only());
    let error = VectorDb::open(&path).unwrap_err();
    assert!(error.to_string().contains("ead-only file system"), "{error}");
    db.close().unwrap();
    assert_eq!(inventory(&path), before);
}
