//! Reading everything and checking all that can be checked, whatever was checked before.

use super::base_axis::BaseAxis;
use super::base_column::BaseColumn;
use super::block_file::BlockFile;
use super::cells::SegmentSummary;
use super::database::State;
use super::generation::Generation;
use super::segment_writer::Gathered;
use super::verify_patch;
use crate::error::{Error, Result};
use crate::format::column::{SECTION_SEGMENTS, SEGMENT_LEN, SEGMENT_RECORD_LEN};
use crate::format::{Invalid, value};
use crate::model::Slot;
use crate::progress::{Progress, ProgressFn};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// What a verification found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Data files of the current generation that were checked: the axis, the columns and the patches. The manifest and the log are
    /// not among them: they are checked when the database is opened.
    pub files: u64,
    /// Bytes of these files, each counted whole: header, blocks and checksum table.
    pub bytes: u64,
    /// Every bad place that was found.
    pub problems: Vec<Error>,
}

impl VerifyReport {
    /// Whether nothing bad was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

pub(super) struct Run<'p, 'f> {
    report: VerifyReport,
    progress: &'p mut ProgressFn<'f>,
    total: u64,
}

impl Run<'_, '_> {
    pub(super) fn step(&mut self, phase: &'static str, done: u64, total: u64, unit: &'static str) -> Result<()> {
        match (self.progress)(Progress { phase, done, total: Some(total), unit }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }

    /// Checks the checksums of a file; true if all is well.
    fn file(&mut self, file: &BlockFile) -> Result<bool> {
        let before = self.report.problems.len();
        let end = self.report.bytes + file.entry().file_len;
        let mut problems = Vec::new();
        file.verify_all(
            |problem| problems.push(problem),
            |bytes| {
                self.report.bytes += bytes;
                self.step("reading blocks", self.report.bytes, self.total, "bytes")
            },
        )?;
        self.report.problems.extend(problems);
        self.report.files += 1;
        // The header, which was checked when the file was opened, and the checksum table.
        self.report.bytes = end;
        Ok(self.report.problems.len() == before)
    }

    pub(super) fn check(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.report.problems.push(error);
        }
    }
}

/// Slots between two reports of progress.
pub(super) const PROGRESS_STEP: u32 = 65_536;

impl State {
    /// Checks every block of every file, then every key, index entry, cell and count.
    pub(crate) fn verify(&self, progress: &mut ProgressFn<'_>) -> Result<VerifyReport> {
        let generation = &self.view.generation;
        let total = generation.files().iter().map(|(_, len)| len).sum();
        let mut run = Run { report: VerifyReport::default(), progress, total };
        let mut sound_patches = true;
        for patch in generation.patches() {
            let sound = run.file(patch.file())?;
            sound_patches &= sound;
            if sound {
                verify_patch::check_patch(patch, &mut run)?;
            }
        }
        let sound_axis = match generation.axis().base() {
            Some(axis) => run.file(axis.file())?,
            None => true,
        };
        if sound_axis && sound_patches {
            let slot_count = generation.manifest.slot_count;
            for slot in 0..slot_count {
                run.check(check_slot(generation, Slot(slot)));
                if slot % PROGRESS_STEP == 0 {
                    run.step("checking keys", slot.into(), slot_count.into(), "slots")?;
                }
            }
            let result = check_axis_count(generation);
            run.check(result);
        }
        if let Some(axis) = generation.axis().base().filter(|_| sound_axis) {
            check_key_summaries(axis, &mut run)?;
        }
        let mut sound = HashSet::new();
        for dimension in generation.dimensions() {
            let is_sound = match dimension.column.base() {
                Some(column) => run.file(column.file())?,
                None => true,
            };
            if is_sound {
                sound.insert(dimension.id);
            }
        }
        for dimension in generation.dimensions().iter().filter(|dimension| sound.contains(&dimension.id)) {
            if let Some(column) = dimension.column.base() {
                check_column(generation, column, &mut run)?;
            }
            if sound_axis && sound_patches && !dimension.column.patches().is_empty() {
                verify_patch::check_counts(generation, dimension, &mut run)?;
            }
        }
        Ok(run.report)
    }
}

/// A key leads back to its slot.
fn check_slot(generation: &Generation, slot: Slot) -> Result<()> {
    let Some(found) = generation.axis().key_at(slot.0)? else { return Ok(()) };
    if generation.axis().slot_of(found.0)? == Some((slot.0, found.1)) {
        return Ok(());
    }
    let invalid = Invalid::with(0, "index", format!("the key of slot {slot} is not found at its slot"));
    Err(corrupt_axis(generation, invalid))
}

fn corrupt_axis(generation: &Generation, invalid: Invalid) -> Error {
    match (generation.axis().base(), generation.patches().first()) {
        (Some(axis), None) => axis.file().corrupt(invalid),
        (_, Some(patch)) => patch.file().corrupt(invalid),
        (None, None) => Error::corrupt(&generation.path, invalid),
    }
}

fn check_axis_count(generation: &Generation) -> Result<()> {
    let mut free = 0u64;
    let mut from = 0;
    while let Some(slot) = generation.next_free(from)?.filter(|&slot| slot < generation.manifest.slot_count) {
        if generation.is_used(slot)? {
            return Err(corrupt_axis(generation, Invalid::new(0, "tombstones", "the levels do not agree")));
        }
        free += 1;
        from = slot + 1;
    }
    let manifest = &generation.manifest;
    if free + u64::from(manifest.point_count) == u64::from(manifest.slot_count) {
        return Ok(());
    }
    Err(corrupt_axis(generation, Invalid::new(0, "tombstones", "their number does not match")))
}

/// Every cell decodes and belongs to a slot in use; the dictionary's counts are those of the cells.
fn check_column(generation: &Generation, column: &BaseColumn, run: &mut Run<'_, '_>) -> Result<()> {
    let problem = |reason: String| column.file().corrupt(Invalid::with(0, "column", reason));
    let (descriptor, cells) = match column.resolve() {
        Ok(resolved) => resolved,
        Err(error) => {
            run.check(Err(error));
            return Ok(());
        }
    };
    let mut used = vec![0u32; descriptor.dictionary_count as usize];
    let (mut values, mut nulls, mut value_types) = (0u64, 0u64, 0u16);
    let mut gathered = Gathered::default();
    let slot_count = u32::try_from(column.file().header().slot_count).unwrap_or(u32::MAX);
    for slot in 0..slot_count {
        if slot % PROGRESS_STEP == 0 {
            run.step("checking cells", slot.into(), slot_count.into(), "slots")?;
        }
        if slot % SEGMENT_LEN == 0 && slot > 0 {
            run.check(check_summary(column, slot - 1, &std::mem::take(&mut gathered)));
        }
        let value = match column.get(slot) {
            Ok(Some(value)) => value,
            Ok(None) => continue,
            Err(error) => {
                run.check(Err(error));
                continue;
            }
        };
        values += 1;
        nulls += u64::from(value.is_null());
        value_types |= 1 << value::tag(value);
        gathered.add(value);
        if let Err(error) = value.to_value() {
            run.check(Err(problem(format!("the value of slot {slot}: {error}"))));
        }
        // Patches free slots without touching their cells.
        if generation.patches().is_empty() && !generation.is_used(slot).unwrap_or(true) {
            run.check(Err(problem(format!("slot {slot} has a value and no key"))));
        }
        if cells.has_dictionary()
            && let Ok(Some(number)) = cells.entry_number(column.file(), slot)
            && let Some(count) = used.get_mut(number as usize)
        {
            *count += 1;
        }
    }
    if slot_count > 0 {
        run.check(check_summary(column, slot_count - 1, &gathered));
    }
    if values != column.value_count() || nulls != descriptor.null_count {
        run.check(Err(problem("the number of values or of nulls does not match".to_owned())));
    }
    if value_types != descriptor.value_types {
        run.check(Err(problem("the types of values do not match".to_owned())));
    }
    if cells.has_dictionary() && descriptor.distinct_count != u64::from(descriptor.dictionary_count) {
        run.check(Err(problem("the number of distinct values is not that of the dictionary's".to_owned())));
    }
    for (number, counted) in (0..).zip(used) {
        let found = cells.entry(column.file(), number as usize).and_then(|value| column.find(value));
        match (column.count(number), found) {
            (Ok(stored), Ok(Some(found))) if stored == counted && found == number => {}
            (Ok(stored), Ok(_)) if stored != counted => run.check(Err(problem(format!(
                "dictionary entry {number} is used {counted} times, and counted as {stored}"
            )))),
            (Ok(_), Ok(_)) => {
                run.check(Err(problem(format!("dictionary entry {number} is not found through the index"))));
            }
            (Err(error), _) | (_, Err(error)) => run.check(Err(error)),
        }
    }
    Ok(())
}

/// What the descriptor of the segment of a slot states of its values is so.
fn check_summary(column: &BaseColumn, slot: u32, gathered: &Gathered) -> Result<()> {
    let stated = column.resolve()?.1.summary((slot / SEGMENT_LEN) as usize);
    compare_summary(column.file(), slot, stated, gathered)
}

fn compare_summary(file: &BlockFile, slot: u32, stated: Option<&SegmentSummary>, gathered: &Gathered) -> Result<()> {
    if stated.is_some_and(|stated| gathered.is_stated_by(stated)) {
        return Ok(());
    }
    let number = slot / SEGMENT_LEN;
    let offset = file.section(SECTION_SEGMENTS).offset + u64::from(number) * SEGMENT_RECORD_LEN as u64;
    let reason = format!("the statistics of the segment of slot {slot} are not those of its values");
    Err(file.corrupt(Invalid::with(offset, "segment descriptor", reason)))
}

/// The same for the keys of the axis file; a tombstone's cell means nothing.
fn check_key_summaries(axis: &BaseAxis, run: &mut Run<'_, '_>) -> Result<()> {
    let Ok(slot_count) = axis.slot_count() else { return Ok(()) };
    let mut gathered = Gathered::default();
    for slot in 0..slot_count {
        // A key that cannot be read has been told.
        if let Ok(Some(key)) = axis.key_at(slot) {
            gathered.add(key.value());
        }
        if slot % SEGMENT_LEN == SEGMENT_LEN - 1 || slot == slot_count - 1 {
            run.step("checking keys", slot.into(), slot_count.into(), "slots")?;
            let gathered = std::mem::take(&mut gathered);
            // A dense axis states nothing.
            if let Ok(Some(stated)) = axis.summary((slot / SEGMENT_LEN) as usize) {
                run.check(compare_summary(axis.file(), slot, Some(stated), &gathered));
            }
        }
    }
    Ok(())
}
