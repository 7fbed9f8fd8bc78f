//! Random operations of every kind, each held against a plain map, and everything compared at each checkpoint,
//! compaction and reopen.
//!
//! A *seed* stands for a number of operations, which are cut into *runs*, each with a new database. A failure prints
//! how to repeat its run with VECTOR_TRACE=1, which prints each operation. `VECTOR_SEEDS` seeds, from `VECTOR_SEED` on,
//! of `VECTOR_OPERATIONS` operations each; `VECTOR_RUN` is one run of a seed.

pub(crate) mod canonical;
mod compare;
mod large;
mod load;
mod place;
pub(crate) mod plain;
mod profile;
mod run;
mod scans;

use crate::support::environment;
use crate::support::random::Random;
use large::Keys;
use place::Place;
use profile::{Kind, Profile};
use run::Run;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// In the ordinary test run; `scripts/model.sh` asks for more.
const SEEDS: u64 = 4;
const OPERATIONS: usize = 10_000;
/// Changes between two operations of another kind in large databases.
const CHANGES: usize = 200;
/// Of so many seeds one is used for a large database.
const SEEDS_A_LOAD: u64 = 5;

/// Tells how to repeat what failed.
struct Failure<'a> {
    test: &'static str,
    seed: u64,
    run: u64,
    step: &'a Cell<usize>,
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { test, seed, run, step } = self;
            eprintln!(
                "operation {} of run {run} of seed {seed} failed; again with its operations:\n\
                 VECTOR_TRACE=1 VECTOR_SEED={seed} VECTOR_RUN={run} cargo test --test engine {test}",
                step.get()
            );
        }
    }
}

/// Runs one seed's operations, or one of its runs.
fn seed(
    test: &'static str,
    seed: u64,
    operations: usize,
    profile: fn(&mut Random) -> Profile,
    place: fn(&mut Random) -> Place,
) {
    let only: Option<u64> = environment("VECTOR_RUN");
    let mut left = operations;
    for run in only.unwrap_or(0).. {
        if left == 0 {
            break;
        }
        let mut random = Random::new(seed << 32 | run);
        let profile = profile(&mut random);
        let operations = profile.operations.min(left);
        left = if only.is_some() { 0 } else { left - operations };
        let step = Cell::new(0);
        let failure = Failure { test, seed, run, step: &step };
        let place = place(&mut random);
        let mut run = Run::new(random, profile, place);
        run.operations(operations, &step);
        run.finish();
        drop(failure);
    }
}

/// Runs all seeds, on as many threads as there are processors.
fn seeds(test: &'static str, operations: usize, profile: fn(&mut Random) -> Profile, place: fn(&mut Random) -> Place) {
    let first = environment("VECTOR_SEED").unwrap_or(1);
    let alone = environment::<u64>("VECTOR_SEED").is_some();
    let count = environment("VECTOR_SEEDS").unwrap_or(if alone { 1 } else { SEEDS });
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count {
                        break;
                    }
                    seed(test, number, operations, profile, place);
                    eprintln!("seed {number}: {operations} operations");
                }
            });
        }
    });
}

#[test]
fn operations_in_memory_return_what_a_plain_map_returns() {
    let operations = environment("VECTOR_OPERATIONS").unwrap_or(OPERATIONS);
    let test = "operations_in_memory_return_what_a_plain_map_returns";
    seeds(test, operations, Profile::any, |_| Place::memory());
}

#[test]
fn operations_on_disk_return_what_a_plain_map_returns() {
    let operations = environment("VECTOR_OPERATIONS").unwrap_or(OPERATIONS) / 20;
    let test = "operations_on_disk_return_what_a_plain_map_returns";
    seeds(test, operations, Profile::any, |random| Place::disk(random.one_in(2)));
}

/// Loads of more than one segment, each with changes between one of these and the next.
fn load_and_change(test: &'static str, keys: Keys, kinds: &[Kind]) {
    let first = environment("VECTOR_SEED").unwrap_or(1);
    let count = environment("VECTOR_SEEDS").map_or(1, |seeds: u64| seeds.div_ceil(SEEDS_A_LOAD));
    for seed in first..first + count {
        let step = Cell::new(0);
        let failure = Failure { test, seed, run: 0, step: &step };
        let mut random = Random::new(seed);
        let place = Place::disk(random.one_in(2));
        let count = large::SEGMENT_LEN + random.within(1000..8000);
        let (db, plain, profile) = large::load(&mut random, &place, keys, count);
        large::check_layouts(&db);
        let mut run = Run::resume(random, profile, place, db, plain);
        for &kind in kinds {
            for _ in 0..CHANGES {
                run.operation(Kind::Change, &step);
            }
            run.operation(kind, &step);
        }
        run.finish();
        drop(failure);
    }
}

#[test]
fn many_points_with_consecutive_keys_stay_as_a_plain_map_has_them() {
    let test = "many_points_with_consecutive_keys_stay_as_a_plain_map_has_them";
    load_and_change(test, Keys::Dense, &[Kind::Hold, Kind::Save, Kind::Crash]);
}

#[test]
fn many_points_with_text_keys_stay_as_a_plain_map_has_them() {
    let test = "many_points_with_text_keys_stay_as_a_plain_map_has_them";
    load_and_change(
        test,
        Keys::Texts,
        &[Kind::Freeze, Kind::Reader, Kind::Save, Kind::Position, Kind::Refresh, Kind::Export],
    );
}

#[test]
fn many_points_with_keys_of_all_types_stay_as_a_plain_map_has_them() {
    let test = "many_points_with_keys_of_all_types_stay_as_a_plain_map_has_them";
    load_and_change(test, Keys::Mixed, &[Kind::Compact, Kind::Freeze, Kind::Reopen, Kind::Pack, Kind::ByKey]);
}
