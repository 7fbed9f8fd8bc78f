//! A second writer is refused at once, by whatever path and from wherever it comes, and the lock ends with its holder.

use super::child::Child;
use super::setting::alone;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vector_datalib::{VectorDb, attrs};

#[test]
fn a_second_writer_is_refused_at_once() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let link = dir.path().join("link.vdb");
    symlink(&path, &link).unwrap();
    let db = VectorDb::create(&path).unwrap();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();

    let start = Instant::now();
    for other in [&path, &link, &dir.path().join("./link.vdb/../a.vdb")] {
        let error = VectorDb::open(other).unwrap_err();
        assert!(error.is_locked(), "{}: {error}", other.display());
        let error = VectorDb::create(other).unwrap_err();
        assert!(error.is_locked() || error.is_already_exists(), "{}: {error}", other.display());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "refused after {:?}", start.elapsed());
    for other in [&path, &link] {
        let mut child = Child::start(other);
        assert!(child.ask("open").starts_with("error: locked:"), "another process, {}", other.display());
    }

    // Refusals have not loosened it, and readers are always welcome.
    assert!(VectorDb::open(&path).unwrap_err().is_locked());
    assert_eq!(VectorDb::open_read_only(&link).unwrap().lookup(1, "n").unwrap(), Some(1.into()));
    db.upsert(1, attrs! { "n" => 2 }).unwrap();
    let clone = db.clone();
    db.close().unwrap();
    assert!(clone.upsert(1, attrs! { "n" => 3 }).unwrap_err().is_closed());
    let mut child = Child::start(&link);
    assert_eq!(child.ask("open"), "open");
    assert!(VectorDb::open(&path).unwrap_err().is_locked());
    assert_eq!(child.ask("close"), "closed");
    assert_eq!(clone.lookup(1, "n").unwrap(), Some(2.into()));
}

#[test]
fn the_lock_of_a_killed_writer_is_free() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    VectorDb::create(&path).unwrap().close().unwrap();
    let mut child = Child::start(&path);
    assert_eq!(child.ask("open"), "open");
    assert!(VectorDb::open(&path).unwrap_err().is_locked());
    child.kill();
    VectorDb::open(&path).unwrap();
}

#[test]
fn a_program_started_by_the_writer_does_not_keep_the_lock() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let db = VectorDb::create(&path).unwrap();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();
    db.save().unwrap();
    db.upsert(2, attrs! { "n" => 2 }).unwrap();
    // Ends when its input does.
    let mut started = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let inherited: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", started.id()))
        .map(|entries| entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect())
        .unwrap_or_default();
    assert!(!inherited.iter().any(|file| file.starts_with(dir.path())), "{inherited:?}");
    db.close().unwrap();
    let reopened = VectorDb::open(&path);
    drop(started.stdin.take());
    started.wait().unwrap();
    assert_eq!(reopened.unwrap().len(), 2);
}
