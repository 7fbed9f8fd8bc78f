//! Lookups by two threads at a time, each with a reader of its own, against one.

use super::lookups::{Attribute, check, numbers, warm_names};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, fold_text};
use crate::records::{Key, Records};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Millions of independent lookups of names a second, of two threads together and of one.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, context.records, context.order)?));
    warm_names(&engine.reader()?, context.records)?;
    let lookups = context.setting.lookups;
    let one = rate::<K, E>(engine, context.records, lookups, 1)?;
    let two = rate::<K, E>(engine, context.records, lookups, 2)?;
    Ok(vec![Figure::new("million/s", two), Figure { part: "one", unit: "million/s", value: one }])
}

/// Millions of lookups a second of so many threads.
fn rate<K: Key, E: Engine<K>>(engine: &'static E, records: Records, lookups: u64, threads: u64) -> Outcome<f64> {
    let ready = Barrier::new(threads as usize);
    let seconds = thread::scope(|scope| {
        let each = (0..threads).map(|thread| {
            let ready = &ready;
            scope.spawn(move || -> Outcome<f64> {
                let seed = 16 * threads + thread;
                let keys: Vec<K> = numbers(records, lookups, seed).map(K::of).collect();
                let expected = numbers(records, lookups, seed)
                    .fold(0, |sum: u64, number| sum.wrapping_add(Attribute::Name.expected(records, number)));
                let reader = engine.reader();
                ready.wait();
                let reader = reader?;
                let mut sum = 0u64;
                let start = Instant::now();
                for key in &keys {
                    sum = sum.wrapping_add(reader.name(key, fold_text)?.unwrap_or_default());
                }
                let elapsed = start.elapsed();
                check(sum, expected)?;
                Ok(elapsed.as_secs_f64())
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect::<Outcome<Vec<f64>>>()
    })?;
    Ok(seconds.iter().map(|seconds| lookups as f64 / seconds / 1e6).sum())
}
