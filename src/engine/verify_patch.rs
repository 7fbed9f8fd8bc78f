//! Checking patches: every touched cell, and that the counts of all tiers are those of a scan.

use super::cells::{Cells, SegmentSummary};
use super::generation::{BaseDimension, Generation};
use super::patch::{AxisDelta, DeltaColumn, Patch};
use super::segment_writer::Gathered;
use super::verify::{PROGRESS_STEP, Run};
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::column::{SEGMENT_RECORD_LEN, SEGMENT_SHIFT};
use crate::format::patch::AXIS_DELTA;
use hashbrown::HashMap;

fn problem(column: &DeltaColumn, reason: &str) -> Error {
    problem_at(column, 0, "delta column", reason)
}

/// The same for a known place; says which dimension it is about.
fn problem_at(column: &DeltaColumn, offset: u64, section: &'static str, reason: &str) -> Error {
    let reason = match column.entry().dimension_id {
        AXIS_DELTA => format!("axis: {reason}"),
        id => format!("dimension {id}: {reason}"),
    };
    column.file().corrupt(Invalid::with(offset, section, reason))
}

/// Every touched cell decodes, and what the descriptors state of the cells is so.
pub(super) fn check_patch(patch: &Patch, run: &mut Run<'_, '_>) -> Result<()> {
    let mut touched = 0;
    for (_, column) in patch.dimensions() {
        check_delta(column, run)?;
        touched += column.touched_count().unwrap_or_default();
    }
    if let Some(axis) = patch.axis() {
        check_delta(&axis.column, run)?;
        touched += axis.column.touched_count().unwrap_or_default();
        check_keys(axis, run)?;
    }
    if touched != patch.file().header().value_count {
        let invalid = Invalid::new(96, "file header", "the number of touched cells does not match");
        run.check(Err(patch.file().corrupt(invalid)));
    }
    Ok(())
}

/// Every key that the patch puts somewhere leads back to its slot.
fn check_keys(axis: &AxisDelta, run: &mut Run<'_, '_>) -> Result<()> {
    // What cannot be resolved has been told.
    let Ok((_, cells)) = axis.column.resolve() else { return Ok(()) };
    let (mut done, mut offsets) = (0, Vec::new());
    for number in cells.touched_segments(0) {
        run.step("checking patches", done, cells.present_count(), "keys")?;
        if axis.column.touched_in(number, &mut offsets).is_err() {
            continue;
        }
        for offset in &offsets {
            let slot = ((number as u32) << SEGMENT_SHIFT) + u32::from(*offset);
            run.check(axis.get(slot).and_then(|key| match key.flatten() {
                Some(key) if axis.slot_of(key)? != Some(slot) => {
                    Err(problem(&axis.column, &format!("the key of slot {slot} is not found through the index")))
                }
                _ => Ok(()),
            }));
        }
        done += offsets.len() as u64;
        offsets.clear();
    }
    Ok(())
}

/// What the cells of a delta column are, to be compared with what its descriptor and its counts state.
struct Counted {
    /// Cells that refer to each dictionary entry.
    used: Vec<u32>,
    null_count: u64,
    value_types: u16,
}

fn check_delta(column: &DeltaColumn, run: &mut Run<'_, '_>) -> Result<()> {
    let (descriptor, cells) = match column.resolve() {
        Ok(resolved) => resolved,
        Err(error) => {
            run.check(Err(error));
            return Ok(());
        }
    };
    let used = vec![0; descriptor.dictionary_count as usize];
    let mut counted = Counted { used, null_count: 0, value_types: 0 };
    let mut done = 0;
    for (place, number) in cells.touched_segments(0).enumerate() {
        run.step("checking patches", done, cells.present_count(), "cells")?;
        check_segment(column, cells, (place, number), &mut counted, run);
        done += cells.segment(number).map_or(0, |segment| u64::from(segment.present_count));
    }
    for (is_so, reason) in [
        (counted.null_count == descriptor.null_count, "the number of nulls does not match"),
        (counted.value_types == descriptor.value_types, "the types of values do not match"),
        (
            descriptor.distinct_count == u64::from(descriptor.dictionary_count),
            "the number of distinct values is not that of the dictionary's",
        ),
    ] {
        if !is_so {
            run.check(Err(problem_at(column, column.descriptor_offset(), "column descriptor", reason)));
        }
    }
    for (number, counted) in (0..).zip(counted.used) {
        match column.count(number) {
            Ok(stored) if stored == counted => {}
            Ok(stored) => run.check(Err(problem(
                column,
                &format!("dictionary entry {number} is used {counted} times, and counted as {stored}"),
            ))),
            Err(error) => run.check(Err(error)),
        }
    }
    Ok(())
}

/// Checks a segment, by place and number: its touched slots, the removed ones among them, and the values of the others.
fn check_segment(
    column: &DeltaColumn,
    cells: &Cells,
    (place, number): (usize, usize),
    counted: &mut Counted,
    run: &mut Run<'_, '_>,
) {
    let (mut touched, mut removed) = (Vec::new(), Vec::new());
    let found = cells.present_in(column.file(), number, &mut touched);
    let found = found.and_then(|()| cells.removed_in(column.file(), number, &mut removed));
    if let Err(error) = found {
        run.check(Err(error));
        return;
    }
    let extents = column.extents();
    let offset = extents.segments.offset + (place * SEGMENT_RECORD_LEN) as u64;
    let wrong = |reason: &str| {
        problem_at(column, offset, "segment descriptor", &format!("{reason} of segment {number} do not match"))
    };
    if removed.iter().any(|slot| touched.binary_search(slot).is_err()) {
        run.check(Err(wrong("the removed and the touched slots")));
    }
    let mut gathered = Gathered::default();
    for slot in touched.iter().map(|&offset| ((number as u32) << SEGMENT_SHIFT) + u32::from(offset)) {
        match column.get(slot) {
            Ok(Some(Some(value))) => {
                gathered.add(value);
                if let Err(error) = value.to_value() {
                    run.check(Err(problem(column, &format!("the value of slot {slot}: {error}"))));
                }
                if cells.has_dictionary()
                    && let Ok(Some(entry)) = cells.entry_number(column.file(), slot)
                    && let Some(count) = counted.used.get_mut(entry as usize)
                {
                    *count += 1;
                }
            }
            Ok(_) => {}
            Err(error) => run.check(Err(error)),
        }
    }
    counted.null_count += u64::from(gathered.null_count);
    counted.value_types |= gathered.value_types;
    run.check(extents.segment(column.file(), place).and_then(|segment| {
        let is_so = gathered.is_stated_by(&SegmentSummary::of(&segment));
        if is_so { Ok(()) } else { Err(wrong("the statistics and the values")) }
    }));
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
        let wrong = || problem(newest, &format!("{points} points and {nulls} nulls, counted as {stated:?}"));
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
    let stated = dimension.column.value_counts(HashMap::new())?;
    for (value, count) in &stated {
        if values.get(value) != Some(count) {
            return Err(problem(newest, &format!("a value counted as {count} points has {:?}", values.get(value))));
        }
    }
    if stated.len() == values.len() {
        return Ok(());
    }
    Err(problem(newest, &format!("{} distinct values, counted as {}", values.len(), stated.len())))
}
