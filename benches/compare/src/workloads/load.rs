//! Making a database from all records. Making up the records is part of the time, and the same for every engine.

use super::anonymous::watch;
use super::{Context, Figure};
use crate::engine::{Engine, Outcome};
use crate::records::Key;
use std::time::Instant;

/// Seconds until the database would survive a loss of power, and the memory that the process took for it.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    // What others wrote before does not wait to be written meanwhile.
    rustix::fs::sync();
    let ((result, seconds), memory) = watch(|| {
        let start = Instant::now();
        (E::load(&context.path, context.records, context.order), start.elapsed().as_secs_f64())
    })?;
    result?;
    Ok(vec![Figure::new("s", seconds), Figure { part: "memory", unit: "MB", value: memory }])
}
