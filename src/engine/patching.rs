//! Checkpoints that write one patch: when they do, which older patches they merge, and the writing itself.

use super::block_writer::{BlockWriter, FileSpec};
use super::delta::Delta;
use super::meter::Meter;
use super::numbering::Build;
use super::patch_writer::{DeltaSource, PatchSummary, write_patch};
use super::view::{Moment, View};
use crate::error::{Error, Result};
use crate::format::block_file::{Identity, NO_DIMENSION, PATCH_MAGIC};
use crate::format::manifest::{DimensionEntry, Manifest, patch_name};
use crate::format::patch::AXIS_DELTA;
use crate::progress::{Progress, ProgressFn};
use crate::storage::Storage;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A read asks each patch that may concern it, so there are no more than this.
const PATCH_COUNT_MAX: usize = 8;

/// Bytes of memory that a cell takes while patches are merged, about.
const CELL_MEMORY: u64 = 64;

/// How a checkpoint writes down an overlay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// New axis and column files for everything that changed since these were written.
    Rebuild,
    /// A patch, which takes the place of the newest `merged` patches.
    Patch { merged: usize },
}

impl Form {
    /// Patches are merged into the files that they belong to once they have more than `merge_fraction` of the cells of these, and into
    /// each other when they are too many: then those that are no larger than all younger ones together. Where memory does not
    /// suffice for that, they too are merged into the files.
    pub(super) fn choose(view: &View, merge_fraction: f64, memory_budget: usize) -> Self {
        let generation = &view.generation;
        let Some(axis) = generation.axis().base() else { return Self::Rebuild };
        let columns = generation.dimensions().iter().filter_map(|dimension| dimension.column.base());
        let base = axis.file().header().value_count + columns.map(|column| column.value_count()).sum::<u64>();
        let sizes: Vec<u64> = generation.patches().iter().map(|patch| patch.file().header().value_count).collect();
        let changed = view.active.changed_count() + sizes.iter().sum::<u64>();
        if changed as f64 > merge_fraction * base as f64 {
            return Self::Rebuild;
        }
        let mut merged = 0;
        if sizes.len() >= PATCH_COUNT_MAX {
            let mut sum = view.active.changed_count();
            for &size in &sizes {
                let fits = (sum + size).saturating_mul(CELL_MEMORY) <= memory_budget as u64;
                // At least two, so that fewer remain.
                if merged >= 2 && (size > sum || !fits) {
                    break;
                }
                // A rebuild needs no more memory than it is given.
                if !fits {
                    return Self::Rebuild;
                }
                sum += size;
                merged += 1;
            }
        }
        Self::Patch { merged }
    }
}

/// A generation that differs from the one before it by a patch.
pub(super) struct Patching<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    /// Memory that building the key index may take, in bytes.
    pub(super) memory_budget: usize,
    /// The files, and the overlay to write down as the active one; nothing else may be committed to it.
    pub(super) view: &'a View,
    pub(super) moment: Moment,
    /// Patches to merge, the newest ones.
    pub(super) merged: usize,
}

impl Patching<'_> {
    /// Writes the patch, makes it and its name durable, and returns the manifest that names it, which is not in place yet. After a
    /// failure nothing is left.
    pub(super) fn write(&self, progress: &mut ProgressFn<'_>) -> Result<Manifest> {
        let mut manifest = self.view.generation.manifest.clone();
        manifest.generation += 1;
        manifest.last_sequence = self.moment.sequence;
        manifest.last_commit_time = self.moment.time;
        manifest.slot_count = self.moment.slot_count;
        manifest.point_count = self.moment.point_count;
        manifest.seal = None;
        let dimensions = self.view.dimensions(u64::MAX);
        for dimension in dimensions.iter().skip(manifest.dimensions.len()) {
            let entry = DimensionEntry { id: dimension.id.0, name: dimension.name.to_owned(), file: None };
            manifest.next_dimension_id = manifest.next_dimension_id.max(u64::from(entry.id) + 1);
            manifest.dimensions.push(entry);
        }
        let (sources, base_next) = self.sources(progress)?;
        manifest.patches.truncate(manifest.patches.len() - self.merged);
        if !sources.is_empty() {
            let name = patch_name(manifest.generation);
            let result = self.write_file(&mut manifest, &name, &sources, base_next);
            if let Err(error) = result.and_then(|()| Ok(self.storage.sync_directory()?)) {
                // What cannot be removed now is removed when the database is next opened.
                let _left_over = self.storage.remove(&name);
                return Err(error);
            }
        }
        Ok(manifest)
    }

    fn write_file(
        &self,
        manifest: &mut Manifest,
        name: &str,
        sources: &[DeltaSource<'_>],
        base_next: u32,
    ) -> Result<()> {
        let identity = Identity { database_id: manifest.database_id, file_id: manifest.next_file_id };
        manifest.next_file_id += 1;
        let writer = BlockWriter::create(FileSpec {
            storage: &**self.storage,
            name: name.to_owned(),
            magic: PATCH_MAGIC,
            identity,
            generation: manifest.generation,
            dimension_id: NO_DIMENSION,
        })?;
        let summary = PatchSummary { slot_count: manifest.slot_count, base_next, hash_seed: manifest.hash_seed };
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, 0);
        let mut build = Build::new(Arc::clone(self.storage), self.memory_budget, summary.hash_seed, &mut meter);
        manifest.patches.push(write_patch(&mut build, sources, summary, writer)?);
        Ok(())
    }

    /// The delta columns, in the order of their ids, and the new `base_next`.
    fn sources(&self, progress: &mut ProgressFn<'_>) -> Result<(Vec<DeltaSource<'_>>, u32)> {
        let delta = Delta::new(self.view, self.merged)?;
        let mut sources = Vec::new();
        let mut ids: Vec<_> = self.view.dimensions(u64::MAX).into_iter().map(|dimension| dimension.id).collect();
        ids.sort_unstable();
        let total = Some(ids.len() as u64);
        for (done, id) in (1..).zip(ids) {
            let report = Progress { phase: "writing changes", done, total, unit: "dimensions" };
            if progress(report) == ControlFlow::Break(()) {
                return Err(Error::Cancelled);
            }
            if !delta.concerns(id) {
                continue;
            }
            let cells = delta.column(id)?;
            let (changes, has_counts) = delta.counts(id, &cells)?;
            let unchanged = cells.slots.is_empty() && changes.is_none();
            if !unchanged || (!has_counts && delta.is_merged(id)) {
                sources.push(DeltaSource { dimension_id: id.0, cells, changes, has_counts });
            }
        }
        let cells = delta.axis()?;
        let base_next = delta.base_next(&cells)?;
        if !cells.slots.is_empty() {
            let changes = Default::default();
            sources.push(DeltaSource { dimension_id: AXIS_DELTA, cells, changes, has_counts: true });
        }
        Ok((sources, base_next))
    }
}
