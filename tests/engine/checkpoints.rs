//! Checkpoints that start by themselves, and the patches that they write.

mod failing;
mod reentry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Durability, Options, Value, ValueRef, VectorDb, attrs};

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
    let db = Options::new().merge_fraction(0.5).background(false).create_in(Arc::new(storage.clone())).unwrap();
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
    assert!((4..=16).contains(&most), "{most} patches");
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

/// What is too much for memory is merged piece by piece, and where equal texts are too many to be remembered, some are stored again.
#[test]
fn patches_too_large_for_the_memory_budget_are_merged_in_pieces() {
    const POINTS: i64 = 200_000;
    let mut files = Vec::new();
    for budget in [64 << 20, 4096] {
        let options = Options::new().merge_fraction(1e9).memory_budget(budget).background(false);
        let db = options.create_in(Arc::new(MemoryStorage::new())).unwrap();
        let mut expected = BTreeMap::new();
        let upsert = |n: i64, round: i64, expected: &mut BTreeMap<i64, (i64, String)>| {
            let text = format!("text {}", n % 20_000 + round);
            expected.insert(n, (round, text.clone()));
            (n, attrs! { "round" => round, "text" => text, "big" => Value::Array(vec![(n / 7).into()]) })
        };
        db.batch_upsert((0..POINTS).map(|n| upsert(n, 0, &mut expected))).unwrap();
        db.save().unwrap();
        for round in 1..=8 {
            // Every segment, updates and insertions, and deletions of what an older patch has.
            let changed = (0..POINTS + round * 100).skip(round as usize).step_by(37);
            db.batch_upsert(changed.map(|n| upsert(n, round, &mut expected))).unwrap();
            let deleted: Vec<i64> = (0..POINTS).skip(round as usize - 1).step_by(97 * 37).collect();
            deleted.iter().for_each(|n| drop(expected.remove(n)));
            db.batch_delete(deleted).unwrap();
            db.save().unwrap();
        }
        assert_eq!(db.stats().unwrap().patches, 1, "merged into one another, not into the files");
        let report = db.verify().unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        let snapshot = db.snapshot();
        assert_eq!(snapshot.len(), expected.len() as u64);
        let (rounds, texts) = (snapshot.dimension("round").unwrap(), snapshot.dimension("text").unwrap());
        for (&n, (round, text)) in &expected {
            assert_eq!(rounds.lookup(n).unwrap(), Some(ValueRef::from(*round)), "{n}, budget {budget}");
            assert_eq!(texts.lookup(n).unwrap(), Some(ValueRef::from(text.as_str())), "{n}, budget {budget}");
        }
        let counts = snapshot.dimension("round").unwrap().value_counts().unwrap();
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), expected.len() as u64);
        files.push(db.stats().unwrap().patch_bytes);
    }
    assert!(files[0] < files[1], "texts were remembered all the same: {files:?}");
}

/// The heap of nested values follows that of text; entries of either that do not fit into the rest of a block start the next one.
#[test]
fn patches_with_both_heaps_are_sound_and_small_ones_stay_small() {
    for (texts, text_len, nested, nested_len) in [
        (1, 10, 1, 1),
        (1, 65_000, 1, 1),
        (1, 65_400, 3, 30),
        (40, 3000, 50, 900),
        (3, 10, 2, 40_000),
        (0, 0, 9, 9_000),
    ] {
        let db = Options::new().merge_fraction(1e9).create_in(Arc::new(MemoryStorage::new())).unwrap();
        db.upsert(-1, attrs! { "text" => "", "nested" => Vec::<Value>::new() }).unwrap();
        db.save().unwrap();
        let text = |n: i64| format!("{n}{}", "t".repeat(text_len));
        let value = |n: i64| Value::Array((0..nested_len).map(|i| (n + i).into()).collect());
        db.batch_upsert((0..texts).map(|n| (n, attrs! { "text" => text(n) }))).unwrap();
        db.batch_upsert((0..nested).map(|n| (n, attrs! { "nested" => value(n) }))).unwrap();
        db.save().unwrap();
        let case = format!("{texts} texts of {text_len}, {nested} arrays of {nested_len}");
        let report = db.verify().unwrap();
        assert!(report.is_sound(), "{case}: {report:?}");
        for n in 0..texts {
            assert_eq!(db.lookup(n, "text").unwrap(), Some(text(n).into()), "{case}");
        }
        for n in 0..nested {
            assert_eq!(db.lookup(n, "nested").unwrap(), Some(value(n)), "{case}");
        }
        let stats = db.stats().unwrap();
        assert_eq!(stats.patches, 1);
        let content = (texts * text_len as i64 + nested * nested_len * 3) as u64;
        assert!(stats.patch_bytes < content * 2 + 4096 + 65_536 * u64::from(content > 60_000), "{case}: {stats:?}");
    }
}

/// A checkpoint asks the patches about each slot where it changes few, and reads them one after the other where it changes many.
#[test]
fn counts_follow_changes_of_few_and_of_many_slots_over_many_patches() {
    const POINTS: u64 = 6000;
    let options = Options::new().merge_fraction(1e9).background(false);
    let db = options.create_in(Arc::new(MemoryStorage::new())).unwrap();
    // Of each key its kind, which may be null, if it has one.
    let mut expected: BTreeMap<u64, Option<Value>> = BTreeMap::new();
    for round in 0..12u64 {
        let changed = if round % 2 == 0 { POINTS } else { 5 };
        for key in (0..changed).map(|n| (n * 7 + round) % POINTS).filter(|key| (key + round) % 3 > 0) {
            let kind = match (key + round) % 11 {
                0 => Value::Null,
                n if n < 7 => Value::from(n),
                n => format!("kind {}", n % 9).into(),
            };
            db.upsert(key, attrs! { "kind" => kind.clone(), "text" => format!("{key} {round}") }).unwrap();
            expected.insert(key, Some(kind));
        }
        for key in (round..POINTS).step_by(if round % 4 < 2 { 50 } else { 3000 }) {
            db.delete(key).unwrap();
            expected.remove(&key);
            if db.remove_attribute(key + 1, "kind").unwrap() {
                expected.insert(key + 1, None);
            }
        }
        db.save().unwrap();
        let report = db.verify().unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for kind in expected.values().flatten() {
            *counts.entry(format!("{kind:?}")).or_default() += 1;
        }
        let snapshot = db.snapshot();
        let counted = snapshot.dimension("kind").unwrap().value_counts().unwrap();
        let counted = counted.iter().map(|(kind, count)| (format!("{:?}", kind.to_value().unwrap()), *count));
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), counts, "round {round}");
    }
}
