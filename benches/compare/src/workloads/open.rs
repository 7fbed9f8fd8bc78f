//! Opening a database in a process that has not had it open, with all files in the page cache.

use super::lookups::{Attribute, check};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, Unsupported};
use crate::files;
use crate::records::Key;
use std::hint::black_box;
use std::time::Instant;

/// Milliseconds until it is open, and until the first lookup is answered.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    if E::IN_MEMORY {
        return Err(Unsupported("it has to be loaded").into());
    }
    files::read_all(&context.path)?;
    let key = K::of(context.records.count / 2);
    let start = Instant::now();
    let engine = E::open(&context.path, context.records, context.order)?;
    let opened = start.elapsed();
    let engine: &'static E = Box::leak(Box::new(engine));
    let score = engine.reader()?.score(&key)?;
    let answered = start.elapsed();
    let found = black_box(score).map(f64::to_bits);
    check(found, Some(Attribute::Score.expected(context.records, context.records.count / 2)))?;
    Ok(vec![
        Figure::new("ms", opened.as_secs_f64() * 1e3),
        Figure { part: "first-lookup", unit: "ms", value: answered.as_secs_f64() * 1e3 },
    ])
}
