//! Readers never wait: while the writer is held up in the middle of its work, reads and new snapshots complete.
//!
//! Deterministic: a gate in the storage holds the writer where the test wants it, for as long as the test wants.

use super::gate::Gate;
use super::hooked::{HookedStorage, Moment};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use vector_datalib::internals::MemoryStorage;
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
pub(super) fn completes<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
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
