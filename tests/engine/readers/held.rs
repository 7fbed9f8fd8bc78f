//! While one thread commits, checkpoints, compacts and moves slots without pause, four readers hold snapshots: no answer of
//! theirs ever changes, every new one is whole, and none goes back in time.

use crate::support::{environment, random::Random};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vector_datalib::{CompactOptions, Durability, Layout, Options, Slot, Snapshot, VectorDb, attrs};

const READERS: usize = 4;
const ACCOUNTS: u64 = 64;
const OPENING_BALANCE: i64 = 1000;
/// Snapshots that a reader holds at a time.
const HELD: usize = 6;
const DURATION: Duration = Duration::from_secs(3);

/// Reads everything in several ways, checks what each commit keeps true, and returns a digest of all answers.
fn full_read(snapshot: &Snapshot) -> u64 {
    let mut digest = DefaultHasher::new();
    (snapshot.sequence(), snapshot.len(), snapshot.slot_count()).hash(&mut digest);
    let (balance, left, right) =
        (snapshot.dimension("balance"), snapshot.dimension("left").unwrap(), snapshot.dimension("right").unwrap());
    let balance = balance.unwrap();
    let mut sum = 0;
    for account in 0..ACCOUNTS {
        let of =
            |dimension: vector_datalib::Dimension<'_>| dimension.lookup(account).unwrap().unwrap().as_i64().unwrap();
        assert_eq!(of(left), of(right), "account {account} at commit {}", snapshot.sequence());
        assert_eq!(snapshot.lookup(account, "name").unwrap().unwrap().as_str(), Some(&*format!("account {account}")));
        sum += of(balance);
        (account, of(left), of(balance)).hash(&mut digest);
    }
    assert_eq!(sum, ACCOUNTS as i64 * OPENING_BALANCE, "commit {}", snapshot.sequence());

    let (mut points, mut last_slot) = (0, None);
    for point in snapshot {
        let point = point.unwrap();
        assert!(last_slot < Some(point.coordinate()), "slots ascend");
        last_slot = Some(point.coordinate());
        assert_eq!(snapshot.slot(point.key()).unwrap(), Some(point.coordinate()));
        assert_eq!(snapshot.key(point.coordinate()).unwrap(), Some(point.key()));
        let copy = point.to_point().unwrap();
        assert_eq!(left.get(point.coordinate()).unwrap().map(|v| v.to_value().unwrap()), copy.get("left").cloned());
        format!("{copy:?}").hash(&mut digest);
        // Extra points come and go in pairs.
        if let Some(name) = copy.key().to_value().as_str() {
            if let Some(twin) = name.strip_suffix(" a").map(|name| format!("{name} b")) {
                let twin = snapshot.lookup(&twin, "pair").unwrap().map(|v| v.to_value().unwrap());
                assert_eq!(twin, copy.get("pair").cloned(), "{name:?} at commit {}", snapshot.sequence());
            } else if let Some(twin) = name.strip_suffix(" b").map(|name| format!("{name} a")) {
                assert!(snapshot.contains(&twin).unwrap(), "{name:?} at commit {}", snapshot.sequence());
            }
        }
        points += 1;
    }
    assert_eq!(points, snapshot.len());
    assert!(last_slot.is_none_or(|slot: Slot| u64::from(slot.0) < snapshot.slot_count()));
    digest.finish()
}

fn read_on(db: &VectorDb, done: &AtomicBool, acknowledged: &AtomicU64) -> u64 {
    let mut held: VecDeque<(Snapshot, u64)> = VecDeque::new();
    let (mut last, mut reads, mut distinct) = (0, 0, 0);
    while !done.load(Ordering::Relaxed) {
        let at_least = acknowledged.load(Ordering::Acquire);
        let fresh = db.snapshot();
        assert!(
            fresh.sequence() >= at_least,
            "commit {at_least} was acknowledged, and {} is the last",
            fresh.sequence()
        );
        assert!(fresh.sequence() >= last, "went back from commit {last} to {}", fresh.sequence());
        distinct += u64::from(fresh.sequence() > last);
        last = fresh.sequence();
        let digest = full_read(&fresh);
        held.push_back((fresh, digest));
        for (snapshot, digest) in &held {
            assert_eq!(full_read(snapshot), *digest, "the snapshot of commit {} changed", snapshot.sequence());
            reads += 1;
        }
        if held.len() > HELD {
            // The oldest stays for the whole test; the others move on.
            held.remove(1);
        }
    }
    assert!(distinct > 3, "a reader saw only {distinct} states");
    reads
}

/// One change, after which the thread that made it reads it.
fn change(db: &VectorDb, random: &mut Random, round: usize) {
    match random.below(100) {
        0..60 => {
            let (from, to) = (random.below(ACCOUNTS as usize), random.below(ACCOUNTS as usize - 1));
            let (from, to) = (from as u64, if to >= from { to + 1 } else { to } as u64);
            let before = db.snapshot();
            let balance = |account| before.lookup(account, "balance").unwrap().unwrap().as_i64().unwrap();
            let (amount, mark) = (random.below(50) as i64, round as i64);
            db.batch_upsert([
                (from, attrs! { "balance" => balance(from) - amount, "left" => mark, "right" => mark }),
                (to, attrs! { "balance" => balance(to) + amount, "left" => mark, "right" => mark }),
            ])
            .unwrap();
            assert_eq!(db.lookup(from, "left").unwrap(), Some(mark.into()), "its own write");
        }
        60..78 => {
            let name = format!("extra {}", random.below(40));
            let keys = [format!("{name} a"), format!("{name} b")];
            db.batch_upsert(keys.each_ref().map(|key| (&**key, attrs! { "pair" => round as u64, "text" => &*name })))
                .unwrap();
            assert_eq!(db.lookup(&keys[1], "pair").unwrap(), Some((round as u64).into()), "its own write");
        }
        78..92 => {
            let name = format!("extra {}", random.below(40));
            let keys = [format!("{name} a"), format!("{name} b")];
            db.batch_delete(&keys).unwrap();
            assert!(!db.contains(&keys[0]).unwrap(), "its own write");
        }
        92..96 => db.save().unwrap(),
        96 => db.compact(&CompactOptions::new()).unwrap(),
        97 => db.compact(&CompactOptions::new().reassign_slots(true)).unwrap(),
        98 => db.compact(&CompactOptions::new().layout(Layout::Frozen)).unwrap(),
        _ => {
            let position = random.below(db.snapshot().slot_count() as usize + 1) as u32;
            let key = format!("filler {}", random.below(20));
            let known = db.contains(&key).unwrap();
            let slot = db.insert_at(key.clone(), position, attrs! { "pair" => round as u64 }).unwrap();
            assert!(known || slot == Slot(position));
            assert_eq!(db.snapshot().slot(&key).unwrap(), Some(slot), "its own write");
        }
    }
}

fn readers_hold_on(durability: Durability) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let db = Options::new().durability(durability).create(&path).unwrap();
    db.batch_upsert((0..ACCOUNTS).map(|account| {
        let name = format!("account {account}");
        (account, attrs! { "balance" => OPENING_BALANCE, "left" => 0, "right" => 0, "name" => name })
    }))
    .unwrap();
    let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let seed = environment("VECTOR_SEED").unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed} (VECTOR_SEED={seed} makes the same changes again)");
    let mut random = Random::new(seed);
    let (rounds, reads) = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read_on(&db, &done, &acknowledged))).collect();
        // However this ends, the readers do too.
        let stop = scope.spawn(|| {
            thread::sleep(DURATION);
            done.store(true, Ordering::Relaxed);
        });
        let (start, mut rounds) = (Instant::now(), 0);
        while start.elapsed() < DURATION {
            rounds += 1;
            change(&db, &mut random, rounds);
            acknowledged.store(db.snapshot().sequence(), Ordering::Release);
        }
        stop.join().unwrap();
        (rounds, readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>())
    });
    println!("{rounds} changes, {} generations, {reads} full reads", db.stats().unwrap().generation);
    assert!(rounds > 100 && reads > 100, "{rounds} changes and {reads} reads prove little");
    let last = full_read(&db.snapshot());
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify().unwrap().problems);
    db.close().unwrap();
    assert_eq!(full_read(&VectorDb::open_read_only(&path).unwrap().snapshot()), last);
}

#[test]
fn held_snapshots_never_change_while_a_thread_commits_and_checkpoints() {
    readers_hold_on(Durability::Eventual);
}

#[test]
fn held_snapshots_never_change_while_every_commit_is_synced() {
    readers_hold_on(Durability::Immediate);
}
