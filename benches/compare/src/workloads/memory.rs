//! What a process has in memory once everything was looked at, by what it is.

use super::lookups::{check, numbers, warm_names};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, fold_text};
use crate::records::Key;
use std::fs;

/// Megabytes of the process's own memory, and of mapped files, which the page cache would have anyway.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, context.records, context.order)?));
    let reader = engine.reader()?;
    warm_names(&reader, context.records)?;
    for number in numbers(context.records, context.setting.lookups, 1) {
        let name = reader.name(&K::of(number), fold_text)?;
        check(name, Some(fold_text(context.records.name(number).as_bytes())))?;
    }
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let megabytes = |field: &str| -> Outcome<f64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(field)).ok_or("a field is not there")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
    };
    let (resident, anonymous) = (megabytes("Rss:")?, megabytes("Anonymous:")?);
    Ok(vec![
        Figure { part: "anonymous", unit: "MB", value: anonymous },
        Figure { part: "file", unit: "MB", value: resident - anonymous },
    ])
}
