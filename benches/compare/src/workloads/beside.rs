//! Lookups while others commit.

use super::lookups::numbers;
use super::upserts::Writer;
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, fold_text};
use crate::files;
use crate::records::{Key, Records};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: u64 = 4;

/// Upserts of a commit, and how often each writer commits: 10,000 upserts a second in all.
const BATCH: u64 = 250;
const INTERVAL: Duration = Duration::from_millis(100);

/// So often a new thread with a new reader goes on, which sees what was committed until then.
const READERS: u32 = 10;

/// How long is read without, and with writers, at most.
const TIME_MAX: f64 = 10.0;

/// How many times as long lookups of names take beside four writers, and the upserts a second that those committed.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    let path = files::copy_beside(&context.path)?;
    let result = measure::<K, E>(context, &path);
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(context: &Context, path: &Path) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(path, context.records, context.order)?));
    let time = Duration::from_secs_f64(context.setting.seconds.min(TIME_MAX));
    super::lookups::warm_names(&engine.reader()?, context.records)?;
    let alone = read(engine, context.records, time)?;
    let is_over = AtomicBool::new(false);
    let start = Instant::now();
    let (beside, upserts, elapsed) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let writer = Writer { records: context.records, number, writers: WRITERS };
                let is_over = &is_over;
                scope.spawn(move || write(engine, writer, is_over))
            })
            .collect();
        let beside = read(engine, context.records, time);
        is_over.store(true, Ordering::Relaxed);
        let elapsed = start.elapsed();
        let upserts: Outcome<u64> =
            writers.into_iter().map(|writer| writer.join().map_err(|_| "a thread panicked")?).sum();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((beside?, upserts?, elapsed))
    })?;
    Ok(vec![
        Figure::new("ratio", beside / alone),
        Figure { part: "upserts", unit: "upserts/s", value: upserts as f64 / elapsed.as_secs_f64() },
    ])
}

/// Nanoseconds for each lookup, over a time.
fn read<K: Key, E: Engine<K>>(engine: &'static E, records: Records, time: Duration) -> Outcome<f64> {
    let (mut lookups, mut spent) = (0, Duration::ZERO);
    for turn in 0..READERS {
        let (done, elapsed) =
            thread::scope(|scope| scope.spawn(|| read_once(engine, records, time / READERS, turn.into())).join())
                .map_err(|_| "a thread panicked")??;
        lookups += done;
        spent += elapsed;
    }
    Ok(spent.as_nanos() as f64 / lookups as f64)
}

fn read_once<K: Key, E: Engine<K>>(
    engine: &'static E,
    records: Records,
    time: Duration,
    seed: u64,
) -> Outcome<(u64, Duration)> {
    let keys: Vec<K> = numbers(records, 1 << 16, seed + 100).map(K::of).collect();
    let reader = engine.reader()?;
    let mut lookups = 0;
    let start = Instant::now();
    loop {
        // The clock is looked at once in a while.
        for keys in keys.chunks(1024) {
            for key in keys {
                let name = reader.name(key, fold_text)?;
                black_box(name.ok_or("wrong answers: a key is not found")?);
            }
            lookups += keys.len() as u64;
            let elapsed = start.elapsed();
            if elapsed >= time {
                return Ok((lookups, elapsed));
            }
        }
    }
}

/// Commits at a steady rate, or as fast as it can, until it is told to stop. How many upserts.
fn write<K: Key, E: Engine<K>>(engine: &'static E, writer: Writer, is_over: &AtomicBool) -> Outcome<u64> {
    let mut upserts = 0;
    let start = Instant::now();
    let mut commits = 0;
    while !is_over.load(Ordering::Relaxed) {
        let changes: Vec<_> = (upserts..upserts + BATCH).map(|index| writer.change(index)).collect();
        engine.upsert(&changes)?;
        upserts += BATCH;
        commits += 1;
        thread::sleep((INTERVAL * commits).saturating_sub(start.elapsed()));
    }
    Ok(upserts)
}
