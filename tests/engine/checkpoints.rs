//! Checkpoints that start by themselves, and the patches that they write.

mod failing;
mod reentry;

use std::sync::Arc;
use std::time::{Duration, Instant};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Durability, Options, VectorDb, attrs};

const LIMIT: u64 = 4096;

fn options() -> Options {
    Options::new().durability(Durability::Eventual).auto_checkpoint(Some(LIMIT))
}

/// Fills the log with about `len` bytes.
fn fill(db: &VectorDb, first: u64, len: u64) {
    for n in first..first + len / 60 {
        db.upsert(n, attrs! { "n" => n }).unwrap();
    }
}

fn wait_until(what: &str, mut test: impl FnMut() -> bool) {
    let start = Instant::now();
    while !test() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_log_that_has_grown_is_checkpointed_in_the_background() {
    let db = options().create_in(Arc::new(MemoryStorage::new())).unwrap();
    fill(&db, 0, LIMIT / 4);
    assert_eq!(db.stats().unwrap().generation, 0, "the log is short");
    fill(&db, 1000, 4 * LIMIT);
    wait_until("no checkpoint was made", || db.stats().unwrap().generation > 0);
    assert_eq!(db.stats().unwrap().checkpoint_failure, None);
    db.close().unwrap();
}

#[test]
fn a_checkpoint_in_the_foreground_is_made_when_the_commit_returns() {
    let db = options().background(false).create_in(Arc::new(MemoryStorage::new())).unwrap();
    let mut generations = Vec::new();
    for round in 0..3 {
        fill(&db, round * 1000, 2 * LIMIT);
        generations.push(db.stats().unwrap().generation);
    }
    assert!(generations.is_sorted_by(|a, b| a < b) && generations[0] > 0, "{generations:?}");
}

#[test]
fn without_a_limit_no_checkpoint_starts_by_itself() {
    let db = options().auto_checkpoint(None).background(false).create_in(Arc::new(MemoryStorage::new())).unwrap();
    fill(&db, 0, 4 * LIMIT);
    assert_eq!(db.stats().unwrap().generation, 0);
}

/// The last handle may go while a checkpoint runs: the lock is free when it is gone.
#[test]
fn a_database_can_be_opened_again_as_soon_as_its_last_handle_is_gone() {
    let storage = Arc::new(MemoryStorage::new());
    let mut db = options().create_in(storage.clone()).unwrap();
    for round in 0..40 {
        fill(&db, round * 1000, 2 * LIMIT);
        if round % 2 == 0 {
            db.close().unwrap();
        } else {
            drop(db);
        }
        db = options().open_in(storage.clone()).unwrap();
        assert_eq!(db.len(), (round + 1) * (2 * LIMIT / 60));
    }
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_checkpoint_of_few_changes_leaves_the_other_files_alone() {
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
    let record = |n: u64| (n, attrs! { "n" => n, "text" => format!("text {n}"), "kind" => n % 5 });
    db.batch_upsert((0..10_000).map(record)).unwrap();
    db.save().unwrap();
    let before = storage.files();
    db.batch_upsert((0..10).map(|n| (n * 700, attrs! { "kind" => 77 }))).unwrap();
    db.batch_delete([5, 6]).unwrap();
    db.upsert("new", attrs! { "text" => "new" }).unwrap();
    db.save().unwrap();
    let after = storage.files();
    let new: Vec<_> = after.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)).collect();
    let names: Vec<_> = new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["MANIFEST", "patch-2"]);
    assert!(new[1].1.len() < 4096, "{} bytes", new[1].1.len());
    assert_eq!(db.stats().unwrap().dimension_details[2].distinct_values, 6);
    assert_eq!(db.upsert("newer", attrs! {}).unwrap().0, 6, "the slot that the patch freed");
}

#[test]
fn patches_are_merged_into_each_other_and_then_into_the_files() {
    let storage = MemoryStorage::new();
    let db = Options::new().merge_fraction(0.5).create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..1000).map(|n| (n, attrs! { "n" => n }))).unwrap();
    db.save().unwrap();
    let (mut most, mut rebuilt) = (0, false);
    for round in 0..60 {
        db.batch_upsert((0..20).map(|n| (n * 50 + round % 50, attrs! { "n" => -n }))).unwrap();
        db.save().unwrap();
        let patches = db.stats().unwrap().patches;
        most = most.max(patches);
        rebuilt |= patches == 0;
    }
    assert!((4..=8).contains(&most), "{most} patches");
    assert!(rebuilt, "the patches were never merged into the files");
    for n in 0..1000 {
        assert_eq!(db.lookup(n, "n").unwrap(), Some((-(n / 50)).into()), "{n}");
    }
}

/// What `stats` says of space is what a compaction then does.
#[test]
fn space_is_told_apart_into_live_garbage_and_pinned() {
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
    let records = || (0..20_000).map(|n| (n, attrs! { "n" => n * 7, "text" => format!("a text, number {n}") }));
    db.batch_upsert(records()).unwrap();
    db.save().unwrap();
    let stats = db.stats().unwrap();
    assert_eq!((stats.garbage_bytes, stats.pinned_bytes), (0, 0));
    let held = db.snapshot();
    db.batch_delete(0..15_000).unwrap();
    db.save().unwrap();
    let before = db.stats().unwrap();
    assert_eq!(before.pinned_bytes, 0, "the files are those of the database still");
    assert!(before.garbage_bytes > before.live_bytes, "{before:?}");
    db.compact(&Default::default()).unwrap();
    let after = db.stats().unwrap();
    assert_eq!(after.garbage_bytes, 0);
    let ratio = before.live_bytes as f64 / after.live_bytes as f64;
    assert!((0.7..1.5).contains(&ratio), "{} estimated, {} needed", before.live_bytes, after.live_bytes);
    assert!(after.pinned_bytes > after.live_bytes, "the snapshot keeps the old files: {after:?}");
    drop(held);
    assert_eq!(db.stats().unwrap().pinned_bytes, 0);
}

/// Merging patches takes memory for all of their cells; what does not fit in the budget is merged into the files instead.
#[test]
fn patches_too_large_to_merge_in_memory_are_merged_into_the_files() {
    for (budget, rebuilds) in [(64 << 20, false), (4096, true)] {
        let options = Options::new().merge_fraction(1e9).memory_budget(budget);
        let db = options.create_in(Arc::new(MemoryStorage::new())).unwrap();
        db.batch_upsert((0..1000).map(|n| (n, attrs! { "n" => n }))).unwrap();
        db.save().unwrap();
        for round in 1..=9 {
            db.batch_upsert((0..40).map(|n| (n * 20 + round, attrs! { "n" => -n }))).unwrap();
            db.save().unwrap();
            let patches = db.stats().unwrap().patches;
            match round {
                9 => assert_eq!(patches == 0, rebuilds, "{patches} patches with a budget of {budget}"),
                _ => assert_eq!(patches, round as u64, "budget {budget}"),
            }
        }
    }
}
