//! Readers never wait: while the writer is held up in the middle of its work, reads and new snapshots complete.
//!
//! Deterministic: a gate in the storage holds the writer where the test wants it, for as long as the test wants.

use super::gate::Gate;
use super::hooked::{HookedStorage, Moment};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use vector_datalib::internals::{MemoryStorage, Storage as _};
use vector_datalib::{CompactOptions, Options, Slot, Snapshot, VectorDb, attrs};

/// Far longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to be sure that a thread that could go on would have.
const A_WHILE: Duration = Duration::from_millis(200);
const POINTS: u64 = 500;

/// A database with something in the base and something in the overlay, over a gate.
fn database() -> (VectorDb, Arc<Gate>) {
    database_with(&Options::new())
}

fn database_with(options: &Options) -> (VectorDb, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let storage = HookedStorage::new(Arc::new(MemoryStorage::new()), move |moment, name| at_gate.pass(moment, name));
    let db = options.create_in(storage).unwrap();
    db.batch_upsert((0..POINTS).map(|n| (n * 3, attrs! { "n" => n, "text" => format!("text {n}") }))).unwrap();
    db.save().unwrap();
    db.batch_upsert((0..POINTS / 2).map(|n| (n * 3, attrs! { "n" => n + 1_000_000 }))).unwrap();
    (db, gate)
}

fn assert_answers(snapshot: &Snapshot) {
    let (n, text) = (snapshot.dimension("n").unwrap(), snapshot.dimension("text").unwrap());
    for number in 0..POINTS {
        let expected = if number < POINTS / 2 { number + 1_000_000 } else { number };
        assert_eq!(n.lookup(number * 3).unwrap().unwrap().as_i64(), Some(expected as i64));
        assert_eq!(text.lookup(number * 3).unwrap().unwrap().as_str(), Some(&*format!("text {number}")));
    }
}

/// Runs `work` in a thread of its own and fails if it does not end.
fn completes<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = channel();
    let thread = thread::spawn(move || done.send(work()));
    match wait.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("{what} waits for the writer"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("{what} ended without a result"),
        },
    }
}

/// Every kind of read, through a snapshot from before and through new ones.
fn reads_complete(db: &VectorDb, held: &Snapshot, state: &str) {
    let (db, held) = (db.clone(), held.clone());
    completes(state, move || {
        for _ in 0..3 {
            assert_answers(&held);
            let snapshot = db.snapshot();
            assert_eq!(snapshot.sequence(), held.sequence());
            assert_answers(&snapshot);
            let points: Vec<_> = snapshot.iter().map(|point| point.unwrap().to_point().unwrap()).collect();
            assert_eq!(points.len() as u64, POINTS);
            assert_eq!(snapshot.key(Slot(1)).unwrap(), Some(3.into()));
            assert!(db.contains(0).unwrap() && !db.contains(1).unwrap());
            assert_eq!(db.lookup(3, "n").unwrap(), Some(1_000_001.into()));
            assert_eq!(db.batch_lookup([(0, "n"), (3, "text")]).unwrap().len(), 2);
            assert!(db.point(3).unwrap().is_some());
            assert_eq!((db.len(), db.dimensions().len()), (POINTS, 2));
            assert_eq!(db.stats().unwrap().vector_points, POINTS);
            assert!(db.verify().unwrap().is_sound());
        }
    });
}

#[test]
fn reads_and_commits_go_on_while_a_checkpoint_is_held_up_writing_files() {
    // A checkpoint writes a patch, or merges all changes into the files.
    for (merge_fraction, prefix) in [(1e9, "patch-"), (0.0, "axis-"), (0.0, "dim-0"), (0.0, "dim-1")] {
        let (db, gate) = database_with(&Options::new().merge_fraction(merge_fraction));
        // New and changed keys, so that the axis and both columns are written.
        db.upsert(1, attrs! { "n" => 0, "text" => "of key 1" }).unwrap();
        db.delete(1).unwrap();
        let held = db.snapshot();
        gate.close_at(Moment::BeforeSync, prefix);
        let saving = thread::spawn({
            let db = db.clone();
            move || db.save()
        });
        gate.wait_for_arrival();
        reads_complete(&db, &held, "a read during a checkpoint");

        let writer = db.clone();
        let sequence = held.sequence();
        completes("a commit during a checkpoint", move || {
            for n in 0..100u64 {
                writer.upsert(10_000 + n, attrs! { "n" => n, "new" => n }).unwrap();
                let snapshot = writer.snapshot();
                assert_eq!(snapshot.sequence(), sequence + n + 1);
                assert_eq!(snapshot.lookup(10_000 + n, "new").unwrap().unwrap().as_i64(), Some(n as i64));
            }
            assert!(writer.delete(10_000).unwrap());
        });
        assert!(!saving.is_finished());
        assert_answers(&held);
        gate.open();
        saving.join().unwrap().unwrap();
        assert_answers(&held);
        assert_eq!(db.len(), POINTS + 99);
        assert_eq!(db.lookup(10_099, "new").unwrap(), Some(99.into()));
        assert!(db.verify().unwrap().is_sound());
    }
}

/// Each of these holds the writer's mutex when it is stopped: commits wait, and reads do not.
#[test]
fn reads_go_on_while_the_writers_mutex_is_held() {
    type Work = fn(&VectorDb);
    let save: Work = |db| db.save().unwrap();
    let pack: Work = |db| db.compact(&CompactOptions::new().reassign_slots(true)).unwrap();
    let insert: Work = |db| assert_eq!(db.insert_at("in front", 0, attrs! { "n" => -1 }).unwrap(), Slot(0));
    let cases: [(&str, Moment, &'static str, Work); 4] = [
        ("a checkpoint replacing MANIFEST", Moment::BeforeRename, "MANIFEST", save),
        ("a compaction that reassigns slots", Moment::BeforeRename, "MANIFEST", pack),
        ("a position insert writing files", Moment::BeforeSync, "axis-", insert),
        ("a position insert replacing MANIFEST", Moment::BeforeRename, "MANIFEST", insert),
    ];
    for (state, moment, prefix, work) in cases {
        let (db, gate) = database();
        let held = db.snapshot();
        gate.close_at(moment, prefix);
        let working = thread::spawn({
            let db = db.clone();
            move || work(&db)
        });
        gate.wait_for_arrival();
        reads_complete(&db, &held, state);

        let committing = thread::spawn({
            let db = db.clone();
            move || db.upsert("afterwards", attrs! { "n" => 7 })
        });
        thread::sleep(A_WHILE);
        assert!(!committing.is_finished(), "{state}: the mutex was to be held, or this test proves nothing");
        reads_complete(&db, &held, state);
        gate.open();
        working.join().unwrap();
        committing.join().unwrap().unwrap();
        assert_answers(&held);
        assert_eq!(db.lookup("afterwards", "n").unwrap(), Some(7.into()));
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn a_commit_is_not_seen_before_its_fsync_and_reads_do_not_wait_for_it() {
    let (db, gate) = database();
    let held = db.snapshot();
    gate.close_at(Moment::BeforeSync, "wal-");
    let committing = thread::spawn({
        let db = db.clone();
        move || db.upsert("new", attrs! { "n" => 7 })
    });
    gate.wait_for_arrival();
    reads_complete(&db, &held, "a read during an fsync of the log");
    assert!(!db.contains("new").unwrap());
    assert!(!committing.is_finished());
    gate.open();
    committing.join().unwrap().unwrap();
    assert_eq!(db.snapshot().sequence(), held.sequence() + 1);
    assert!(db.contains("new").unwrap() && !held.contains("new").unwrap());
}

/// Waits until a background thread has done something.
fn wait_until(what: &str, mut test: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !test() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A database whose eighth patch was just written, and whose merge, which would write the patch after it, is held up.
fn merging() -> (VectorDb, Arc<Gate>, MemoryStorage) {
    const PATCHES: u64 = 8;
    let (gate, storage) = (Arc::new(Gate::default()), MemoryStorage::new());
    let at_gate = Arc::clone(&gate);
    let hooked = HookedStorage::new(Arc::new(storage.clone()), move |moment, name| at_gate.pass(moment, name));
    let db = Options::new().merge_fraction(1e9).create_in(hooked).unwrap();
    db.batch_upsert((0..POINTS).map(|n| (n, attrs! { "n" => n }))).unwrap();
    db.save().unwrap();
    let generation = db.stats().unwrap().generation;
    for round in 1..=PATCHES {
        change(&db, round);
        if round == PATCHES {
            gate.close_at(Moment::BeforeSync, format!("patch-{}", generation + PATCHES + 1).leak());
        }
        db.save().unwrap();
    }
    gate.wait_for_arrival();
    assert_eq!(db.stats().unwrap().patches, PATCHES);
    (db, gate, storage)
}

/// Updates some points, removes the key of the round before, and adds one.
fn change(db: &VectorDb, round: u64) {
    db.batch_upsert((0..POINTS).step_by(7).map(|n| (n, attrs! { "n" => n + round }))).unwrap();
    db.upsert(POINTS + round, attrs! { "new" => round }).unwrap();
    if round > 1 {
        assert!(db.delete(POINTS + round - 1).unwrap());
    }
}

fn assert_changed(db: &VectorDb, round: u64) {
    for n in 0..POINTS {
        let expected = if n % 7 == 0 { n + round } else { n };
        assert_eq!(db.lookup(n, "n").unwrap(), Some(expected.into()), "{n}");
    }
    assert_eq!(db.len(), POINTS + 1);
    assert_eq!(db.lookup(POINTS + round, "new").unwrap(), Some(round.into()));
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn commits_and_checkpoints_go_on_while_patches_are_merged() {
    let (db, gate, storage) = merging();
    let writer = db.clone();
    completes("a checkpoint during a merge", move || {
        for round in 9..12 {
            change(&writer, round);
            writer.save().unwrap();
            assert_changed(&writer, round);
            assert_eq!(writer.stats().unwrap().patches, round);
        }
        change(&writer, 12);
    });
    let held = db.snapshot();
    gate.open();
    wait_until("a merge whose patches are still there", || db.stats().unwrap().patches == 4);
    assert_changed(&db, 12);
    assert_eq!(held.lookup(0, "n").unwrap().unwrap().as_i64(), Some(12));
    drop((held, db));
    let db = Options::new().open_in(Arc::new(storage)).unwrap();
    assert_eq!(db.stats().unwrap().patches, 4);
    assert_changed(&db, 12);
}

#[test]
fn a_merge_of_patches_that_a_compaction_has_folded_in_leaves_nothing() {
    let (db, gate, storage) = merging();
    let compacting = db.clone();
    completes("a compaction during a merge", move || compacting.compact(&CompactOptions::new()).unwrap());
    gate.open();
    assert_changed(&db, 8);
    let patches = || storage.list().unwrap().into_iter().filter(|name| name.starts_with("patch-")).count();
    wait_until("a patch that nobody wants", || patches() == 0);
    assert_eq!(db.stats().unwrap().patches, 0);
    change(&db, 9);
    db.save().unwrap();
    assert_changed(&db, 9);
    assert_eq!(db.stats().unwrap().checkpoint_failure, None);
}

#[test]
fn closing_stops_a_merge_and_the_next_checkpoint_makes_it() {
    let (db, gate, storage) = merging();
    let closing = thread::spawn(move || db.close());
    thread::sleep(A_WHILE);
    gate.open();
    closing.join().unwrap().unwrap();
    let db = Options::new().background(false).open_in(Arc::new(storage)).unwrap();
    assert_changed(&db, 8);
    change(&db, 9);
    db.save().unwrap();
    assert!(db.stats().unwrap().patches <= 2);
    assert_changed(&db, 9);
}
