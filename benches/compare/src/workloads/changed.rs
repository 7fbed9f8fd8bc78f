//! Lookups of a database of which a part was changed since its files were written as a whole.

use super::lookups::{Attribute, Pattern, time};
use super::{Context, Figure};
use crate::engine::{Engine, Outcome};
use crate::files;
use crate::records::{Key, Records};
use std::path::Path;

/// What is looked up, and what the figures are called.
const LOOKUPS: [(&str, Attribute, Pattern); 7] = [
    ("name-independent", Attribute::Name, Pattern::Independent),
    ("name-dependent", Attribute::Name, Pattern::Dependent),
    ("name-batched", Attribute::Name, Pattern::Batched),
    ("score-independent", Attribute::Score, Pattern::Independent),
    ("score-dependent", Attribute::Score, Pattern::Dependent),
    ("score-batched", Attribute::Score, Pattern::Batched),
    ("missing-independent", Attribute::Missing, Pattern::Independent),
];

/// How many times as long lookups take with so many records of 10,000 changed, against none.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context, changed: u64) -> Outcome<Vec<Figure>> {
    E::check_changes()?;
    // Both are copies: the system may keep files in larger pages that were written as they were loaded.
    let (unchanged, path) = (files::copy_as(&context.path, "unchanged")?, files::copy_beside(&context.path)?);
    let result = measure::<K, E>(context, (&unchanged, &path), changed);
    files::remove(&unchanged)?;
    files::remove(&path)?;
    result
}

fn measure<K: Key, E: Engine<K>>(
    context: &Context,
    (unchanged, path): (&Path, &Path),
    changed: u64,
) -> Outcome<Vec<Figure>> {
    let records = context.records;
    let before: &'static E = Box::leak(Box::new(E::open(unchanged, records, context.order)?));
    let before = before.reader()?;
    let changed = Records { changed, ..records };
    let after: &'static E = Box::leak(Box::new(E::open_changed(path, changed)?));
    let after = after.reader()?;
    let mut figures = Vec::new();
    for (part, attribute, pattern) in LOOKUPS {
        let before = time::<K, _>(&before, records, context.setting.lookups, attribute, pattern)?;
        let after = time::<K, _>(&after, changed, context.setting.lookups, attribute, pattern)?;
        figures.push(Figure { part, unit: "ratio", value: after / before });
    }
    Ok(figures)
}
