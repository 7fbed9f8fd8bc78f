//! Durable changes: whole records are put in place of others, each call a commit that survives a loss of power.

use super::lookups::check;
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader};
use crate::files;
use crate::records::{Key, Record, Records, below, mix};
use std::collections::HashSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Of the last commits of each writer, so many are read back.
const CHECKED: u64 = 1000;

/// The changes of one writer. No two writers change the same record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    /// The records as they were loaded.
    pub(super) records: Records,
    /// Which of the writers it is.
    pub(super) number: u64,
    /// How many there are.
    pub(super) writers: u64,
}

impl Writer {
    /// The number of a record, and what it becomes, which differs from what it was.
    pub(super) fn change(self, index: u64) -> (u64, Record) {
        let random = mix(index ^ (self.number + 1) << 48);
        let own = self.records.count.div_ceil(self.writers);
        let number = (below(random, own) * self.writers + self.number).min(self.records.count - 1);
        (number, self.records.get(below(mix(random), self.records.count)))
    }
}

/// Upserts a second, sustained; and the longest commit, in milliseconds.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context, writers: u64, batch: u64) -> Outcome<Vec<Figure>> {
    let path = files::copy_beside(&context.path)?;
    let result = measure::<K, E>(context, &path, writers, batch);
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(context: &Context, path: &Path, writers: u64, batch: u64) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(path, context.records, context.order)?));
    rustix::fs::sync();
    let time = Duration::from_secs_f64(context.setting.seconds);
    let start = Instant::now();
    let done = thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|number| {
                let writer = Writer { records: context.records, number, writers };
                scope.spawn(move || write::<K, E>(engine, writer, batch, start, time))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect::<Outcome<Vec<_>>>()
    })?;
    let elapsed = start.elapsed();
    let reader = engine.reader()?;
    for (number, &(upserts, _)) in done.iter().enumerate() {
        let writer = Writer { records: context.records, number: number as u64, writers };
        let mut seen = HashSet::new();
        for index in (0..upserts).rev().take(CHECKED as usize) {
            let (number, record) = writer.change(index);
            // The last record of all may be that of several writers.
            if seen.insert(number) && number + 1 < context.records.count {
                check(reader.point(&K::of(number))?, Some(record.fold()))?;
            }
        }
    }
    let upserts: u64 = done.iter().map(|&(upserts, _)| upserts).sum();
    let longest = done.iter().map(|&(_, longest)| longest).max().unwrap_or_default();
    Ok(vec![
        Figure::new("upserts/s", upserts as f64 / elapsed.as_secs_f64()),
        Figure { part: "longest", unit: "ms", value: longest.as_secs_f64() * 1e3 },
    ])
}

/// Commits until the time is over. How many upserts, and the longest commit.
fn write<K: Key, E: Engine<K>>(
    engine: &'static E,
    writer: Writer,
    batch: u64,
    start: Instant,
    time: Duration,
) -> Outcome<(u64, Duration)> {
    let (mut upserts, mut longest) = (0, Duration::ZERO);
    let mut changes = Vec::with_capacity(batch as usize);
    let mut now = start.elapsed();
    while now < time {
        changes.clear();
        changes.extend((upserts..upserts + batch).map(|index| writer.change(index)));
        engine.upsert(&changes)?;
        upserts += batch;
        let after = start.elapsed();
        longest = longest.max(after - now);
        now = after;
    }
    Ok((upserts, longest))
}
