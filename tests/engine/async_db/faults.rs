//! A disk that fails under concurrent writes: who is told so may have written, who is told nothing of the kind has.

use super::{create, on_one_thread};
use crate::crash::disk::{Disk, Fault, FaultKind, Survival};
use crate::support::random::Random;
use crate::support::refusing::{Refused, RefusingStorage};
use std::sync::Arc;
use tokio::task::JoinSet;
use vector_datalib::{Error, Options, attrs};

const WRITERS: u64 = 8;
const COMMITS: u64 = 4;

#[test]
fn a_failing_disk_fails_those_writes_whose_fsync_or_log_failed_and_no_acknowledged_one_is_lost() {
    let mut random = Random::new(1);
    let (mut poisoned_runs, mut refused) = (0, 0);
    for from in 0..60 {
        let disk = Disk::default();
        let db = create(Arc::new(disk.clone()), &Options::new());
        let kind = if from % 2 == 0 { FaultKind::Broken } else { FaultKind::NoSpace };
        disk.set_fault(Some(Fault { from: from / 2, count: 1, kind }));
        let results = on_one_thread().block_on(async {
            let mut writers = JoinSet::new();
            for writer in 0..WRITERS {
                let db = db.clone();
                writers.spawn(async move {
                    let mut results = Vec::new();
                    for key in writer * COMMITS..(writer + 1) * COMMITS {
                        results.push((key, db.upsert(key, attrs! { "n" => key }).await));
                    }
                    results
                });
            }
            let results: Vec<(u64, Result<_, Error>)> = writers.join_all().await.into_iter().flatten().collect();
            disk.set_fault(None);
            for (key, result) in &results {
                assert_eq!(db.contains(*key).unwrap(), result.is_ok(), "{result:?} of fault {from}");
            }
            results
        });
        let poisoned = results.iter().filter(|(_, result)| result.as_ref().is_err_and(Error::is_poisoned)).count();
        poisoned_runs += u64::from(poisoned > 0);
        for survival in Survival::ALL {
            let survivor = Options::new().open_in(Arc::new(disk.after_power_loss(survival, &mut random))).unwrap();
            for (key, result) in &results {
                match result {
                    Ok(_) => assert!(survivor.contains(*key).unwrap(), "{key} is lost by fault {from}"),
                    Err(error) if error.is_poisoned() => {}
                    Err(error) => {
                        refused += 1;
                        assert!(!survivor.contains(*key).unwrap(), "{key}: {error}, and it is there");
                    }
                }
            }
        }
    }
    assert!(poisoned_runs > 0 && refused > 0, "{poisoned_runs} runs were poisoned, {refused} writes refused");
}

#[test]
fn writes_are_refused_while_checkpoints_fail_and_much_is_logged() {
    let storage = RefusingStorage::default();
    let db = create(Arc::new(storage.clone()), &Options::new().auto_checkpoint(Some(4096)));
    storage.refuse(Some(Refused::Create));
    on_one_thread().block_on(async {
        let mut count = 0;
        let error = loop {
            match db.upsert(count, attrs! { "n" => count }).await {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
            assert!(count < 100_000, "commits go to a log that nobody writes down");
        };
        assert!(error.is_no_space(), "{error}");
        assert_eq!(db.lookup(count - 1, "n").unwrap(), Some((count - 1).into()));
        storage.refuse(None);
        db.save().await.unwrap();
        db.upsert(count, attrs! { "n" => count }).await.unwrap();
        db.close().await.unwrap();
    });
}
