//! Whole records by key, a thousand in one call.

use super::lookups::{Attribute, check, distinct, warm_points};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader};
use crate::records::{Key, Records};
use crate::report::median;
use std::time::Instant;

/// Keys of a call.
const ROWS: u64 = 1000;

/// Calls of a process, of which the first is not timed. Each has other keys.
const CALLS: u64 = 12;

/// The numbers of the records of each call: at random, none twice.
pub(crate) fn batches(records: Records) -> Vec<Vec<u64>> {
    (0..CALLS).map(|call| distinct(records, ROWS, 200 + call)).collect()
}

/// Microseconds of a call.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    let records = context.records;
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, records, context.order)?));
    let reader = engine.reader()?;
    warm_points(&reader, records)?;
    let mut times = Vec::new();
    for batch in batches(records) {
        let keys: Vec<K> = batch.iter().map(|&number| K::of(number)).collect();
        let start = Instant::now();
        let sum = reader.points(&keys)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        let expected = |sum: u64, &number: &u64| sum.wrapping_add(Attribute::Point.expected(records, number));
        check(sum, batch.iter().fold(0, expected))?;
    }
    Ok(vec![Figure::new("us", median(&times[1..]))])
}
