//! Checking patches: every touched cell, and that the counts of all tiers are those of a scan.

use super::generation::{BaseDimension, Generation};
use super::patch::{DeltaColumn, Patch};
use super::verify::{PROGRESS_STEP, Run};
use crate::error::{Error, Result};
use crate::format::Invalid;
use hashbrown::HashMap;

fn problem(column: &DeltaColumn, reason: String) -> Error {
    column.file().corrupt(Invalid::with(0, "delta column", reason))
}

/// Every touched cell decodes, and the dictionaries' counts are those of the cells.
pub(super) fn check_patch(patch: &Patch, run: &mut Run<'_, '_>) -> Result<()> {
    let mut touched = 0;
    for (_, column) in patch.dimensions() {
        check_delta(column, run)?;
        touched += column.touched_count().unwrap_or_default();
    }
    if let Some(axis) = patch.axis() {
        check_delta(&axis.column, run)?;
        touched += axis.column.touched_count().unwrap_or_default();
        let mut slots = Vec::new();
        run.check(axis.column.for_each_touched(|slot| slots.push(slot)));
        for slot in slots {
            run.check(axis.get(slot).and_then(|key| match key.flatten() {
                Some(key) if axis.slot_of(key)? != Some(slot) => {
                    Err(problem(&axis.column, format!("the key of slot {slot} is not found through the index")))
                }
                _ => Ok(()),
            }));
        }
    }
    if touched != patch.file().header().value_count {
        let invalid = Invalid::new(96, "file header", "the number of touched cells does not match");
        run.check(Err(patch.file().corrupt(invalid)));
    }
    Ok(())
}

fn check_delta(column: &DeltaColumn, run: &mut Run<'_, '_>) -> Result<()> {
    let (descriptor, cells) = match column.resolve() {
        Ok(resolved) => resolved,
        Err(error) => {
            run.check(Err(error));
            return Ok(());
        }
    };
    let mut slots = Vec::new();
    run.check(column.for_each_touched(|slot| slots.push(slot)));
    let mut used = vec![0u32; descriptor.dictionary_count as usize];
    let mut nulls = 0;
    for (done, slot) in (0..).zip(slots) {
        if done % u64::from(PROGRESS_STEP) == 0 {
            run.step("checking patches", done, cells.present_count(), "cells")?;
        }
        let value = match column.get(slot) {
            Ok(Some(Some(value))) => value,
            Ok(_) => continue,
            Err(error) => {
                run.check(Err(error));
                continue;
            }
        };
        nulls += u64::from(value.is_null());
        if let Err(error) = value.to_value() {
            run.check(Err(problem(column, format!("the value of slot {slot}: {error}"))));
        }
        if cells.has_dictionary()
            && let Ok(Some(number)) = cells.entry_number(column.file(), slot)
            && let Some(count) = used.get_mut(number as usize)
        {
            *count += 1;
        }
    }
    if nulls != descriptor.null_count {
        run.check(Err(problem(column, "the number of nulls does not match".to_owned())));
    }
    for (number, counted) in (0..).zip(used) {
        match column.count(number) {
            Ok(stored) if stored == counted => {}
            Ok(stored) => run.check(Err(problem(
                column,
                format!("dictionary entry {number} is used {counted} times, and counted as {stored}"),
            ))),
            Err(error) => run.check(Err(error)),
        }
    }
    Ok(())
}

/// The counts that column file and patches add up to are those of a scan.
pub(super) fn check_counts(generation: &Generation, dimension: &BaseDimension, run: &mut Run<'_, '_>) -> Result<()> {
    let Some(newest) = dimension.column.patches().first() else { return Ok(()) };
    let slot_count = generation.manifest.slot_count;
    let has_counts = dimension.column.has_counts().unwrap_or(false);
    let (mut points, mut nulls, mut values) = (0u64, 0u64, HashMap::new());
    for slot in 0..slot_count {
        if slot % PROGRESS_STEP == 0 {
            run.step("counting values", slot.into(), slot_count.into(), "slots")?;
        }
        match generation.cell(dimension.id, slot) {
            Ok(Some(value)) => {
                points += 1;
                nulls += u64::from(value.is_null());
                if has_counts {
                    *values.entry(value).or_insert(0u64) += 1;
                }
            }
            Ok(None) => {}
            Err(error) => {
                run.check(Err(error));
                return Ok(());
            }
        }
    }
    let stated = dimension.column.point_counts();
    run.check(stated.and_then(|stated| {
        let wrong = || problem(newest, format!("{points} points and {nulls} nulls, counted as {stated:?}"));
        if stated == (points, nulls) { Ok(()) } else { Err(wrong()) }
    }));
    if has_counts {
        run.check(check_values(dimension, newest, &values));
    }
    Ok(())
}

fn check_values(
    dimension: &BaseDimension,
    newest: &DeltaColumn,
    values: &HashMap<crate::model::ValueRef<'_>, u64>,
) -> Result<()> {
    let mut stated = dimension.column.value_counts()?;
    stated.retain(|_, count| *count != 0);
    for (value, count) in &stated {
        if values.get(value) != Some(count) {
            return Err(problem(newest, format!("a value counted as {count} points has {:?}", values.get(value))));
        }
    }
    if stated.len() == values.len() {
        return Ok(());
    }
    Err(problem(newest, format!("{} distinct values, counted as {}", values.len(), stated.len())))
}
