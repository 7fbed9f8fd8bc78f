//! Lookups of a database of which nothing is in the page cache.

use super::lookups::{check, numbers};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, Unsupported, fold_text};
use crate::files;
use crate::records::Key;
use std::time::Instant;

/// Lookups of a process: about as many as pages that are read.
const LOOKUPS: u64 = 1000;

/// Microseconds for each of the first thousand lookups of names, opening included. What the disk and a host keep in caches of their own
/// stays there.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    if E::IN_MEMORY {
        return Err(Unsupported("it has no files").into());
    }
    files::evict(&context.path)?;
    let keys: Vec<K> = numbers(context.records, LOOKUPS, 3).map(K::of).collect();
    let mut sum = 0u64;
    let start = Instant::now();
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, context.records, context.order)?));
    let reader = engine.reader()?;
    for key in &keys {
        sum = sum.wrapping_add(reader.name(key, fold_text)?.unwrap_or_default());
    }
    let elapsed = start.elapsed();
    let expected = numbers(context.records, LOOKUPS, 3)
        .fold(0u64, |sum, number| sum.wrapping_add(fold_text(context.records.name(number).as_bytes())));
    check(sum, expected)?;
    Ok(vec![Figure::new("us", elapsed.as_secs_f64() * 1e6 / LOOKUPS as f64)])
}
