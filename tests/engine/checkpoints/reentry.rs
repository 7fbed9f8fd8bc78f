//! What a program does in the progress callback of a checkpoint or a compaction does not wait for that to end.

use super::{LIMIT, fill, options};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Error, VectorDb, attrs};

/// Runs a test that may hang.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    if is_done.recv_timeout(Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("it waits for itself");
    }
    thread.join().unwrap();
}

fn database(background: bool) -> VectorDb {
    let db = options().background(background).create_in(Arc::new(MemoryStorage::new())).unwrap();
    fill(&db, 0, LIMIT / 2);
    db
}

#[test]
fn commits_in_the_callback_of_a_checkpoint_are_made_and_start_none() {
    for background in [true, false] {
        in_time(move || {
            let db = database(background);
            let mut calls = 0;
            let result = db.save_with(&mut |_| {
                calls += 1;
                fill(&db, 1000 * calls, 6 * LIMIT);
                std::ops::ControlFlow::Continue(())
            });
            result.unwrap();
            assert!(calls > 0);
            assert_eq!(db.len(), LIMIT / 2 / 60 + calls * (6 * LIMIT / 60));
            db.upsert("after", attrs! {}).unwrap();
            db.save().unwrap();
            assert!(db.verify().unwrap().is_sound());
        });
    }
}

#[test]
fn checkpoints_and_compactions_in_a_callback_are_refused() {
    in_time(|| {
        let db = database(true);
        let mut results = Vec::new();
        let result = db.save_with(&mut |_| {
            results.push(db.save());
            results.push(db.compact(&CompactOptions::new()));
            std::ops::ControlFlow::Continue(())
        });
        result.unwrap();
        assert!(!results.is_empty());
        assert!(results.iter().all(|result| matches!(result, Err(Error::InvalidArgument { .. }))), "{results:?}");
        db.save().unwrap();
    });
}

#[test]
fn commits_in_the_callback_of_what_makes_writes_wait_are_refused_and_reads_go_on() {
    in_time(|| {
        let db = database(true);
        db.delete(0).unwrap();
        let (mut refused, mut made) = (0, 0);
        let options = CompactOptions::new().reassign_slots(true);
        let result = db.compact_with(&options, &mut |_| {
            match db.upsert("in the callback", attrs! {}) {
                Ok(_) => made += 1,
                Err(Error::InvalidArgument { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            assert_eq!(db.lookup(5, "n").unwrap(), Some(5.into()));
            std::ops::ControlFlow::Continue(())
        });
        result.unwrap();
        assert!(refused > 0, "{made} were made");
        db.upsert("after", attrs! {}).unwrap();
    });
}

#[test]
fn commits_checkpoints_and_compactions_in_the_callback_of_a_merge_are_made() {
    for compacts in [false, true] {
        in_time(move || {
            let options = vector_datalib::Options::new().merge_fraction(1e9).background(false);
            let db = options.create_in(Arc::new(MemoryStorage::new())).unwrap();
            let (mut merging, mut written) = (0u64, 0);
            for round in 0..20 {
                db.upsert(round, attrs! { "n" => round }).unwrap();
                let result = db.save_with(&mut |progress| {
                    if progress.phase == "merging changes" {
                        merging += 1;
                        db.upsert(1000 + merging, attrs! { "n" => -1 }).unwrap();
                        db.save().unwrap();
                        written += 1;
                        if compacts {
                            db.compact(&CompactOptions::new()).unwrap();
                        }
                    }
                    std::ops::ControlFlow::Continue(())
                });
                result.unwrap();
            }
            assert!(merging > 0);
            assert_eq!(db.len(), 20 + written);
            assert!(db.stats().unwrap().patches <= 16);
            let report = db.verify().unwrap();
            assert!(report.is_sound(), "{report:?}");
        });
    }
}
