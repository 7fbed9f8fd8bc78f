//! What a program asks for once in a while: that changes are written down apart from the log, and that files are made as small as they get.

use super::anonymous::watch;
use super::lookups::{Attribute, check, distinct};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader};
use crate::files;
use crate::records::{Key, Records};
use std::path::Path;
use std::time::Instant;

/// Changed records of a checkpoint: as many whatever the database has, as long as it has as many.
const CHANGED: u64 = 10_000;

/// What a program asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Maintenance {
    /// That changes are written down.
    Checkpoint,
    /// That after this all files are made anew.
    Compaction,
}

/// Milliseconds of a checkpoint of so many changed records, or seconds of the compaction after it; and the memory that it took.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context, maintenance: Maintenance) -> Outcome<Vec<Figure>> {
    E::check_changes()?;
    let path = files::copy_beside(&context.path)?;
    let result = measure::<K, E>(context, &path, maintenance);
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(context: &Context, path: &Path, maintenance: Maintenance) -> Outcome<Vec<Figure>> {
    let records = context.records;
    let changed = distinct(records, CHANGED, 300);
    let engine: &'static E = Box::leak(Box::new(E::open(path, records, context.order)?));
    for numbers in changed.chunks(1000) {
        let changes: Vec<_> = numbers.iter().map(|&number| (number, records.get(another(records, number)))).collect();
        engine.upsert(&changes)?;
    }
    rustix::fs::sync();
    let (figure, memory) = match maintenance {
        Maintenance::Checkpoint => {
            let (seconds, memory) = timed(|| engine.checkpoint())?;
            (Figure::new("ms", seconds * 1e3), memory)
        }
        Maintenance::Compaction => {
            engine.checkpoint()?;
            let (seconds, memory) = timed(|| engine.compact())?;
            (Figure::new("s", seconds), memory)
        }
    };
    let reader = engine.reader()?;
    for &number in &changed {
        let expected = Attribute::Point.expected(records, another(records, number));
        check(reader.point(&K::of(number))?, Some(expected))?;
    }
    Ok(vec![figure, Figure { part: "memory", unit: "MB", value: memory }])
}

/// The seconds of a call, and the memory that it took, in megabytes.
fn timed(call: impl FnOnce() -> Outcome<()>) -> Outcome<(f64, f64)> {
    let ((result, seconds), memory) = watch(|| {
        let start = Instant::now();
        (call(), start.elapsed().as_secs_f64())
    })?;
    result?;
    Ok((seconds, memory))
}

/// The number of the record whose attributes another one takes.
fn another(records: Records, number: u64) -> u64 {
    (number + records.count / 2) % records.count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_records_take_the_attributes_of_others() {
        for count in [2, 101, 5000] {
            let records = Records::new(count);
            let others = (0..count).map(|number| another(records, number));
            assert!(others.enumerate().all(|(number, other)| other < count && other != number as u64));
        }
    }
}
