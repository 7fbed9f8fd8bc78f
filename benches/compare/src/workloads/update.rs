//! One durable change after the other, each timed by itself.

use super::lookups::check;
use super::upserts::Writer;
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader};
use crate::files;
use crate::records::Key;
use crate::report::median;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

/// Updates of a process.
const UPDATES: u64 = 1000;

/// Microseconds of an update, the median of a thousand: a whole record is put in place of another one, which survives a loss of power.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    let path = files::copy_beside(&context.path)?;
    let result = measure::<K, E>(context, &path);
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(context: &Context, path: &Path) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(path, context.records, context.order)?));
    rustix::fs::sync();
    let writer = Writer { records: context.records, number: 0, writers: 1 };
    let (mut times, mut newest) = (Vec::new(), HashMap::new());
    for index in 0..UPDATES {
        let change = writer.change(index);
        let start = Instant::now();
        engine.upsert(&[change])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        newest.insert(change.0, change.1);
    }
    let reader = engine.reader()?;
    for (number, record) in newest {
        check(reader.point(&K::of(number))?, Some(record.fold()))?;
    }
    Ok(vec![Figure::new("us", median(&times))])
}
