//! Merging patches into one, or folding them into the column files, while commits and checkpoints go on: a read asks each patch that may
//! concern it, so there must be few.

use super::block_writer::Unsynced;
use super::checkpoint::remove_files;
use super::database::Database;
use super::generation::Generation;
use super::maintenance::{Entered, Maintenance};
use super::overlay::Overlay;
use super::patching::{PatchFile, axis_is_current, files_are_due};
use super::rebuild::Rebuild;
use super::view::View;
use crate::error::{Error, Result};
use crate::format::block_file::Identity;
use crate::format::manifest::{FileEntry, Manifest};
use crate::progress::{Progress, ProgressFn};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// With so many patches, those are merged that it costs little to merge.
const PATCH_COUNT_LOW: usize = 8;

/// With so many, some are merged whatever it costs.
const PATCH_COUNT_HIGH: usize = 16;

/// With so many, checkpoints wait for a merge.
const PATCH_COUNT_WAIT: usize = 24;

/// The same while all that were there when it started are being folded into the column files.
const PATCH_COUNT_WAIT_FOLDING: usize = 32;

/// Patches with this part of what makes folding due are not worth merging before.
const FOLDED_SOON: f64 = 0.5;

/// What a merge holds while it runs.
#[derive(Debug)]
pub(super) struct Merging {
    /// One merge at a time. Taken before the lock of maintenance, which is held at the start and at the end of a merge only.
    running: Maintenance,
    /// The last generation that a merge took for its patch, and the file id after the one that it took. Checkpoints that are made
    /// meanwhile go on from there.
    generation: AtomicU64,
    next_file_id: AtomicU64,
    /// The merge that runs folds all patches there were when it started.
    is_folding: AtomicBool,
}

impl Merging {
    pub(super) fn new() -> Self {
        Self {
            running: Maintenance::new(),
            generation: AtomicU64::new(0),
            next_file_id: AtomicU64::new(0),
            is_folding: AtomicBool::new(false),
        }
    }

    /// Leaves out of a manifest's numbers those that a merge took.
    pub(super) fn skip_taken(&self, manifest: &mut Manifest) {
        manifest.generation = manifest.generation.max(self.generation.load(Ordering::Acquire));
        manifest.next_file_id = manifest.next_file_id.max(self.next_file_id.load(Ordering::Acquire));
    }
}

/// The number of patches to merge, the newest ones, given the sizes of all, the newest first: those that are no larger than all younger ones
/// together, so that the patch that a cell is in at least doubles each time that the cell is written anew. Where there are none, the
/// number of patches may grow; when it is high, two are merged all the same, and what then is no larger. None where there are fewer than
/// `count_low`.
fn merged_count(sizes: &[u64], count_low: usize) -> Option<usize> {
    if sizes.len() < count_low {
        return None;
    }
    let least = if sizes.len() < PATCH_COUNT_HIGH { 1 } else { 2 };
    let (mut count, mut sum) = (0, 0u64);
    for &size in sizes {
        if count >= least && size > sum {
            break;
        }
        sum = sum.saturating_add(size);
        count += 1;
    }
    (count >= 2).then_some(count)
}

/// A generation with nothing committed after it.
fn alone(generation: &Arc<Generation>) -> View {
    let manifest = &generation.manifest;
    let nothing = Overlay::new(manifest.last_sequence, manifest.hash_seed, manifest.slot_count);
    View { generation: Arc::clone(generation), frozen: None, active: Arc::new(nothing) }
}

impl Database {
    /// Whether this thread is in the progress callback of a checkpoint, a compaction or a merge.
    pub(super) fn is_in_callback(&self) -> bool {
        self.maintenance.is_mine() || self.merging.running.is_mine()
    }

    /// Whether there are too many patches, or so much in them that they are to be folded into the column files.
    pub(crate) fn merge_is_due(&self) -> bool {
        self.due(&self.view.load().generation).is_some()
    }

    /// Whether a merge folds what changed into the files, or the next one will, so that a checkpoint need not.
    pub(super) fn folds_beside(&self, source: &View) -> bool {
        self.may_fold(source) || self.merging.is_folding.load(Ordering::Acquire)
    }

    fn may_fold(&self, view: &View) -> bool {
        self.options.auto_checkpoint.in_background && axis_is_current(view)
    }

    /// What is to be merged in a generation, and the number of patches, the newest ones.
    fn due(&self, generation: &Arc<Generation>) -> Option<(Into, usize)> {
        let view = alone(generation);
        let (may_fold, merge_fraction) = (self.may_fold(&view), self.options.merge_fraction);
        if may_fold && files_are_due(&view, merge_fraction) {
            return Some((Into::Columns, generation.patches().len()));
        }
        let is_folded_soon = may_fold && files_are_due(&view, merge_fraction * FOLDED_SOON);
        let count_low = if is_folded_soon { PATCH_COUNT_HIGH } else { PATCH_COUNT_LOW };
        let sizes: Vec<u64> = generation.patches().iter().map(|patch| patch.file().header().value_count).collect();
        merged_count(&sizes, count_low).map(|count| (Into::Patch, count))
    }

    /// Whether there are so many patches that checkpoints wait for a merge.
    fn has_too_many_patches(&self) -> bool {
        let is_folding = self.merging.is_folding.load(Ordering::Acquire);
        let count = if is_folding { PATCH_COUNT_WAIT_FOLDING } else { PATCH_COUNT_WAIT };
        self.view.load().generation.patches().len() >= count
    }

    /// Returns once no checkpoint, no compaction and no merge that a checkpoint waits for is being made.
    pub(super) fn wait_for_maintenance(&self) {
        if self.has_too_many_patches() {
            drop(self.merging.running.enter());
        }
        drop(self.maintenance.enter());
    }

    /// Merges patches if there are so many that more must wait; a merge that fails holds up files, and nothing that is durable.
    pub(super) fn catch_up(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        while self.has_too_many_patches() && !self.merging.running.is_mine() {
            self.sync_through(self.appended.load(Ordering::Acquire))?;
            self.merge(progress)?;
        }
        Ok(())
    }

    /// Waits for the merge that runs, and lets none start while the guard is held.
    pub(super) fn no_merge(&self) -> Result<Entered<'_>> {
        // That lock comes after this one: in the callback of what holds it, waiting here could be for ever.
        self.maintenance.check_not_mine()?;
        self.merging.running.enter()
    }

    /// Merges patches into one if there are too many, or folds them into the column files. Commits and checkpoints go on meanwhile.
    pub(crate) fn merge(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        let _running = self.no_merge()?;
        let Some(plan) = self.plan_merge()? else { return Ok(()) };
        let mut is_stale = false;
        let result = plan.write(self, &mut |report: Progress| {
            is_stale = !plan.is_current(&self.view.load().generation);
            if is_stale { ControlFlow::Break(()) } else { progress(report) }
        });
        let result = match result {
            Ok(made) => self.install_merged(&plan, &made),
            // The patches were merged into the files meanwhile.
            Err(Error::Cancelled) if is_stale => Ok(()),
            Err(error) => Err(error),
        };
        self.merging.is_folding.store(false, Ordering::Release);
        result
    }

    fn plan_merge(&self) -> Result<Option<Plan>> {
        let _maintenance = self.maintenance.enter()?;
        // A handle that may not write, or has let go of the lock, writes no file either.
        drop(self.writer()?);
        let generation = Arc::clone(&self.view.load().generation);
        let Some((into, merged)) = self.due(&generation) else { return Ok(None) };
        let mut before = generation.manifest.clone();
        self.merging.skip_taken(&mut before);
        let file_count = match into {
            Into::Patch => 1,
            Into::Columns => before.dimensions.len() as u64,
        };
        self.merging.generation.store(before.generation + 1, Ordering::Release);
        self.merging.next_file_id.store(before.next_file_id + file_count, Ordering::Release);
        self.merging.is_folding.store(into == Into::Columns, Ordering::Release);
        Ok(Some(Plan { into, merged, generation, before }))
    }

    /// Puts what was made of patches in their place; `made` has them as the manifest of the plan would.
    fn install_merged(&self, plan: &Plan, made: &Manifest) -> Result<()> {
        let _maintenance = self.maintenance.enter()?;
        let mut writer = self.writer()?;
        let mut manifest = self.view.load().generation.manifest.clone();
        let Some(place) = plan.place(&manifest) else {
            remove_files(self, made, &manifest);
            return Ok(());
        };
        // Patches that a checkpoint wrote meanwhile are the last ones, and dimensions that came meanwhile as well.
        manifest.patches.splice(..place + plan.merged, made.patches.iter().copied());
        for (dimension, made) in manifest.dimensions.iter_mut().zip(&made.dimensions) {
            dimension.file = made.file;
        }
        self.merging.skip_taken(&mut manifest);
        manifest.generation += 1;
        manifest.seal = None;
        let replaced = self.install_files(&mut writer, manifest)?;
        drop(writer);
        replaced.remove_files(self);
        Ok(())
    }
}

/// What patches are merged into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Into {
    /// One patch.
    Patch,
    /// New column files; these are all patches of a generation.
    Columns,
}

/// What is merged.
struct Plan {
    into: Into,
    /// The newest patches of the generation.
    merged: usize,
    generation: Arc<Generation>,
    /// The manifest of the generation, with the numbers after which those of the new files come.
    before: Manifest,
}

impl Plan {
    /// Writes the files; returns the manifest as it would be if nothing had happened meanwhile.
    fn write(&self, database: &Database, progress: &mut ProgressFn<'_>) -> Result<Manifest> {
        let mut manifest = self.before.clone();
        let (view, storage, memory_budget) =
            (&alone(&self.generation), &database.storage, database.options.memory_budget);
        if self.into == Into::Columns {
            let rebuild = Rebuild {
                storage,
                memory_budget,
                threads: database.options.threads,
                view,
                moment: view.moment(u64::MAX),
                everything: false,
                order: None,
                perfect_hash: None,
                unsynced: Unsynced::default(),
            };
            return rebuild.write(manifest, progress);
        }
        let file = PatchFile {
            storage,
            memory_budget,
            view,
            merged: self.merged,
            identity: Identity { database_id: manifest.database_id, file_id: manifest.next_file_id },
            generation: manifest.generation + 1,
            slot_count: manifest.slot_count,
        };
        let entry = file.write("merging changes", progress)?;
        manifest.patches.truncate(manifest.patches.len().saturating_sub(self.merged));
        manifest.patches.extend(entry);
        Ok(manifest)
    }

    /// The entries of the merged patches, in the order of a manifest.
    fn entries(&self) -> &[FileEntry] {
        let all = &self.generation.manifest.patches;
        all.get(all.len().saturating_sub(self.merged)..).unwrap_or_default()
    }

    /// Where the merged patches are among those of a manifest, if they still are.
    fn place(&self, manifest: &Manifest) -> Option<usize> {
        manifest.patches.windows(self.merged.max(1)).position(|patches| patches == self.entries())
    }

    fn is_current(&self, generation: &Generation) -> bool {
        self.place(&generation.manifest).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells written by merges for each cell that came, and the most patches that there were.
    fn amplification(mut sizes: Vec<u64>, saves: u64, size: impl Fn(u64) -> u64) -> (f64, usize) {
        let (mut came, mut written, mut most) = (0, 0, 0);
        for save in 0..saves {
            sizes.insert(0, size(save));
            came += size(save);
            most = most.max(sizes.len());
            if let Some(count) = merged_count(&sizes, PATCH_COUNT_LOW) {
                assert!(count >= 2);
                let sum = sizes[..count].iter().sum();
                written += sum;
                sizes.splice(..count, [sum]);
            }
        }
        (written as f64 / came as f64, most)
    }

    #[test]
    fn a_cell_is_written_anew_a_few_times_only() {
        let falling: Vec<u64> = (9..16).map(|n| 3u64.pow(n)).collect();
        let cases = [
            ("equal", amplification(Vec::new(), 1000, |_| 1), 4.0),
            ("many equal", amplification(Vec::new(), 100_000, |_| 1), 9.0),
            ("small after large", amplification(falling, 20_000, |_| 1), 11.0),
            ("growing", amplification(Vec::new(), 50, |save| 1 << save), 2.0),
            ("mixed", amplification(Vec::new(), 10_000, |save| 1 + save * 7919 % 1000), 7.0),
        ];
        for (name, (times, most), limit) in cases {
            assert!(times <= limit, "{name}: {times} times");
            assert!(most <= PATCH_COUNT_HIGH, "{name}: {most} patches");
        }
    }

    #[test]
    fn sizes_without_end_do_not_overflow() {
        assert_eq!(merged_count(&[u64::MAX; 20], PATCH_COUNT_LOW), Some(20));
    }
}
