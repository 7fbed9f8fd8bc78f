//! Checkpoints that fail for a while: when commits are refused, what is left, and how it goes on.

use super::{LIMIT, fill, options, wait_until};
use crate::support::refusing::{Refused, RefusingStorage};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vector_datalib::internals::{MemoryStorage, Storage};
use vector_datalib::{CompactOptions, Error, Options, VectorDb, attrs};

/// Upserts until one is refused; returns how many were not, and why.
fn fill_until_refused(db: &VectorDb) -> (u64, Error) {
    for n in 0..100_000 {
        match db.upsert(n, attrs! { "n" => n }) {
            Ok(_) => {}
            Err(error) => return (n, error),
        }
    }
    panic!("100,000 commits went to a log that nobody writes down");
}

/// Without a bound, the overlay and the log would take all memory and the whole disk.
#[test]
fn commits_are_refused_while_checkpoints_fail_and_go_on_when_they_succeed_again() {
    for background in [true, false] {
        let storage = RefusingStorage::default();
        let options = options().background(background);
        let db = options.create_in(Arc::new(storage.clone())).unwrap();
        storage.refuse(Some(Refused::Create));
        let (count, error) = fill_until_refused(&db);
        assert!(error.is_no_space(), "{error}");
        let logged = count * 72;
        // A thread of its own tells of its failure when it gets to run.
        let most = if background { 100 } else { 5 };
        assert!((3 * LIMIT..most * LIMIT).contains(&logged), "background {background}: {logged} bytes were logged");
        assert!(db.delete(0).unwrap_err().is_no_space() && db.batch_upsert([(0, attrs! { "n" => 7 })]).is_err());
        assert!(db.stats().unwrap().checkpoint_failure.is_some());
        assert_eq!((db.len(), db.lookup(count - 1, "n").unwrap()), (count, Some((count - 1).into())), "reads go on");
        assert_eq!((db.lookup(0, "n").unwrap(), db.lookup(count, "n").unwrap()), (Some(0.into()), None));

        storage.refuse(None);
        wait_until("commits are refused for ever", || db.upsert(count, attrs! { "n" => count }).is_ok());
        assert_eq!(db.stats().unwrap().checkpoint_failure, None);
        assert!(db.stats().unwrap().generation > 0, "it was tried again");
        db.close().unwrap();
        let db = options.open_in(Arc::new(storage)).unwrap();
        assert_eq!((db.len(), db.lookup(0, "n").unwrap()), (count + 1, Some(0.into())));
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn a_save_that_succeeds_ends_the_refusal_at_once() {
    let storage = RefusingStorage::default();
    let db = options().create_in(Arc::new(storage.clone())).unwrap();
    storage.refuse(Some(Refused::Create));
    let (count, _) = fill_until_refused(&db);
    assert!(db.save().unwrap_err().is_no_space());
    storage.refuse(None);
    db.save().unwrap();
    db.upsert(count, attrs! { "n" => count }).unwrap();
}

/// A checkpoint of a large database may take minutes to find the disk full.
#[test]
fn commits_are_refused_at_once_between_two_tries() {
    let storage = RefusingStorage::default();
    let db = options().background(false).create_in(Arc::new(storage.clone())).unwrap();
    storage.refuse(Some(Refused::Create));
    fill_until_refused(&db);
    storage.set_delay(Duration::from_millis(50));
    let before = storage.refusal_count();
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(500) {
        assert!(db.upsert(0, attrs! { "n" => 1 }).unwrap_err().is_no_space());
        commits += 1;
    }
    let tries = storage.refusal_count() - before;
    assert!(tries > 0 && commits > 20 * tries, "{commits} commits made {tries} tries");
}

#[test]
fn without_a_limit_nothing_is_refused() {
    let storage = RefusingStorage::default();
    let db = options().auto_checkpoint(None).create_in(Arc::new(storage.clone())).unwrap();
    storage.refuse(Some(Refused::Create));
    fill(&db, 0, 2 * LIMIT);
    assert!(db.save().unwrap_err().is_no_space());
    fill(&db, 1000, 20 * LIMIT);
}

#[test]
fn files_that_cannot_be_opened_once_they_are_written_are_removed() {
    let storage = RefusingStorage::default();
    let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..100).map(|n| (n, attrs! { "n" => n, "m" => -n }))).unwrap();
    db.save().unwrap();
    let before = storage.data_files();
    for compact in [false, true] {
        db.upsert(5, attrs! { "n" => 1000 }).unwrap();
        storage.refuse(Some(Refused::Map));
        let result = if compact { db.compact(&CompactOptions::new()) } else { db.save() };
        assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
        assert_eq!(storage.data_files(), before);
        storage.refuse(None);
    }
    db.save().unwrap();
    assert_eq!(db.lookup(5, "n").unwrap(), Some(1000.into()));
    assert!(db.verify().unwrap().is_sound());
}

/// What the earlier checkpoint had begun to write is written first, and only then is everything written anew.
#[test]
fn a_compaction_after_a_checkpoint_that_failed_writes_every_file_once() {
    let storage = RefusingStorage::default();
    // A checkpoint rewrites what changed.
    let db = Options::new().merge_fraction(0.0).create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..100).map(|n| (n, attrs! { "n" => n, "m" => -n }))).unwrap();
    db.save().unwrap();
    db.upsert(5, attrs! { "n" => 1000 }).unwrap();
    storage.refuse(Some(Refused::Create));
    assert!(db.save().unwrap_err().is_no_space());
    storage.refuse(None);
    storage.created();
    db.compact(&CompactOptions::new()).unwrap();
    assert_eq!(storage.created(), ["patch-2", "axis-3", "dim-0-3.col", "dim-1-3.col"]);
    assert_eq!(db.lookup(5, "n").unwrap(), Some(1000.into()));
}

#[test]
fn all_logs_that_are_replayed_count_when_a_database_is_opened() {
    let storage = RefusingStorage::default();
    let options = options().background(false);
    let db = options.create_in(Arc::new(storage.clone())).unwrap();
    fill(&db, 0, LIMIT / 2);
    storage.refuse(Some(Refused::Create));
    assert!(db.save().unwrap_err().is_no_space());
    // In a log of its own.
    fill(&db, 1000, LIMIT / 2);
    storage.refuse(None);
    db.close().unwrap();
    let db = options.open_in(Arc::new(storage)).unwrap();
    assert_eq!(db.stats().unwrap().generation, 0);
    db.upsert(0, attrs! { "n" => 0 }).unwrap();
    assert_eq!(db.stats().unwrap().generation, 1, "two halves make a log that is long enough");
}

/// Where a file system cannot make files without a name, a crash leaves one that was about to lose its own.
#[test]
fn scratch_files_that_a_crash_left_are_removed_by_the_next_writer_and_other_files_stay() {
    let storage = MemoryStorage::new();
    Options::new().create_in(Arc::new(storage.clone())).unwrap().close().unwrap();
    for name in [".tmpAb12Cd", ".tmpAb12Cde", "notes.tmp"] {
        storage.create(name).unwrap();
    }
    drop(Options::new().open_read_only_in(Arc::new(storage.clone())).unwrap());
    assert_eq!(storage.list().unwrap(), [".tmpAb12Cd", ".tmpAb12Cde", "LOCK", "MANIFEST", "notes.tmp"]);
    drop(Options::new().open_in(Arc::new(storage.clone())).unwrap());
    assert_eq!(storage.list().unwrap(), [".tmpAb12Cde", "LOCK", "MANIFEST", "notes.tmp"]);
}

/// Programs that open, commit once and close leave a log each, which takes a file however short it is.
#[test]
fn many_short_logs_make_a_checkpoint_due() {
    let storage = MemoryStorage::new();
    let options = Options::new().background(false);
    options.create_in(Arc::new(storage.clone())).unwrap();
    let mut most = 0;
    for n in 0..150 {
        let db = options.open_in(Arc::new(storage.clone())).unwrap();
        db.upsert(n, attrs! { "n" => n }).unwrap();
        db.close().unwrap();
        most = most.max(storage.list().unwrap().iter().filter(|name| name.starts_with("wal-")).count());
    }
    assert!((60..70).contains(&most), "{most} logs");
    let db = options.open_in(Arc::new(storage)).unwrap();
    assert_eq!(db.len(), 150);
    assert!(db.stats().unwrap().generation >= 2);
}
