//! A child that was forked without exec has the handles of its parent, but none of its threads.

use super::setting::alone;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use vector_datalib::{Durability, Options, Result, VectorDb, attrs};

type Call = fn(VectorDb) -> Result<()>;

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn kill(process: i32, signal: i32) -> i32;
    fn _exit(status: i32) -> !;
}

const WNOHANG: i32 = 1;
const SIGKILL: i32 = 9;

/// The status of a child that panicked.
const PANICKED: u8 = 101;
/// Of one that found all as it should be; not that of a process whose last thread just ends.
const DONE: u8 = 42;

/// Runs `work` in a forked child; returns its status, or `None` when it did not end in time and was killed.
fn in_child(work: impl FnOnce() -> u8) -> Option<i32> {
    // SAFETY: the child runs this thread alone, in memory of its own, and ends in `_exit`, so that nothing of the test program runs twice.
    // The C library makes its allocator usable after a fork; no lock of this program that another thread may hold is waited for unless
    // what is tested is broken, and then the child is killed.
    let child = unsafe { fork() };
    assert!(child >= 0, "the system refused");
    if child == 0 {
        let status = catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED);
        // SAFETY: ends the process.
        unsafe { _exit(status.into()) }
    }
    let start = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: the child is ours, and `status` is there for as long as the call takes.
        if unsafe { waitpid(child, &raw mut status, WNOHANG) } == child {
            return Some(status >> 8);
        }
        if start.elapsed() > Duration::from_secs(30) {
            // SAFETY: it was not waited for, so that the number is still that of the child.
            unsafe {
                kill(child, SIGKILL);
                waitpid(child, &raw mut status, 0);
            }
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The threads of the parent hold locks, and one is to be waited for when the database closes: neither exists in the child.
#[test]
fn a_forked_child_closes_and_is_refused_at_once_while_its_parent_makes_a_checkpoint() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let options = Options::new().durability(Durability::Eventual).auto_checkpoint(Some(4096));
    let db = options.create(&path).unwrap();
    db.upsert(0, attrs! { "n" => 0 }).unwrap();

    let (entered, is_entered) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let saving = db.clone();
    let checkpoint = std::thread::spawn(move || {
        saving.save_with(&mut |_| {
            entered.send(()).unwrap();
            let _parent_has_gone = may_go_on.recv();
            ControlFlow::Continue(())
        })
    });
    is_entered.recv().unwrap();
    // Enough for a thread that waits to make the next checkpoint.
    for n in 1..100 {
        db.upsert(n, attrs! { "n" => n }).unwrap();
    }

    let calls: [(&str, Call); 3] = [
        ("close", VectorDb::close),
        ("save", |db| db.save()),
        ("upsert", |db| db.upsert(1000, attrs! { "n" => 1000 }).map(drop)),
    ];
    for (what, call) in calls {
        let clone = db.clone();
        let status = in_child(|| {
            // What the child reads is of when it was forked.
            match (call(clone), db.lookup(99, "n")) {
                (Err(error), Ok(Some(_))) if error.is_closed() => DONE,
                (Err(_), Ok(Some(_))) => 1,
                (Ok(()), Ok(Some(_))) => 2,
                _ => 3,
            }
        });
        let meaning =
            "waited for ever (None), panicked (101), another error (1), not refused (2), a read that failed (3)";
        assert_eq!(status, Some(DONE.into()), "{what}: {meaning}");
    }

    drop(go_on);
    checkpoint.join().unwrap().unwrap();
    db.upsert(100, attrs! { "n" => 100 }).unwrap();
    db.close().unwrap();
    let db = options.open(&path).unwrap();
    assert_eq!((db.len(), db.lookup(100, "n").unwrap()), (101, Some(100.into())));
    assert!(db.verify().unwrap().is_sound());
}
