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

/// Seconds of a compaction and milliseconds of the checkpoint before it, of so many changed records; and the memory that each took.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    E::check_changes()?;
    let path = files::copy_beside(&context.path)?;
    let result = measure::<K, E>(context, &path);
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(context: &Context, path: &Path) -> Outcome<Vec<Figure>> {
    let records = context.records;
    let changed = distinct(records, CHANGED, 300);
    let engine: &'static E = Box::leak(Box::new(E::open(path, records, context.order)?));
    for numbers in changed.chunks(1000) {
        let changes: Vec<_> = numbers.iter().map(|&number| (number, records.get(another(records, number)))).collect();
        engine.upsert(&changes)?;
    }
    rustix::fs::sync();
    let ((), checkpoint_memory, checkpoint) = timed(|| engine.checkpoint())?;
    let ((), compaction_memory, compaction) = timed(|| engine.compact())?;
    let reader = engine.reader()?;
    for &number in &changed {
        let expected = Attribute::Point.expected(records, another(records, number));
        check(reader.point(&K::of(number))?, Some(expected))?;
    }
    Ok(vec![
        Figure { part: "checkpoint", unit: "ms", value: checkpoint * 1e3 },
        Figure { part: "checkpoint-memory", unit: "MB", value: checkpoint_memory },
        Figure { part: "compaction", unit: "s", value: compaction },
        Figure { part: "compaction-memory", unit: "MB", value: compaction_memory },
    ])
}

/// What a call gives, the memory that it took, in megabytes, and its seconds.
fn timed<T: Send>(call: impl FnOnce() -> Outcome<T> + Send) -> Outcome<(T, f64, f64)> {
    let ((result, seconds), memory) = watch(|| {
        let start = Instant::now();
        (call(), start.elapsed().as_secs_f64())
    })?;
    Ok((result?, memory, seconds))
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
