//! Writing a patch: for a checkpoint, or from older patches; and when changes are folded into files instead.

use super::block_writer::{BlockWriter, FileSpec, Unsynced};
use super::counts::CountChanges;
use super::delta::Delta;
use super::delta_encoding::{EncodingSurvey, in_cache};
use super::delta_pieces::{DeltaKeys, Pieces};
use super::meter::Meter;
use super::numbering::Build;
use super::patch_writer::{DeltaSource, PatchWriter};
use super::view::{Moment, View};
use crate::error::{Error, Result};
use crate::format::block_file::{Identity, NO_DIMENSION, PATCH_MAGIC};
use crate::format::manifest::{DimensionEntry, FileEntry, Manifest, patch_name};
use crate::format::patch::AXIS_DELTA;
use crate::model::DimensionId;
use crate::progress::ProgressFn;
use crate::storage::Storage;
use std::sync::Arc;

/// Whether what changed since the axis and column files were written is to be folded into new ones: once patches and overlay have more than
/// `merge_fraction` of the cells of these files.
pub(super) fn files_are_due(view: &View, merge_fraction: f64) -> bool {
    let generation = &view.generation;
    let Some(axis) = generation.axis().base() else { return true };
    let columns = generation.dimensions().iter().filter_map(|dimension| dimension.column.base());
    let base = axis.file().header().value_count + columns.map(|column| column.value_count()).sum::<u64>();
    let sizes = generation.patches().iter().map(|patch| patch.file().header().value_count);
    let patched = sizes.fold(0, u64::saturating_add);
    (view.active.changed_count().saturating_add(patched)) as f64 > merge_fraction * base as f64
}

/// Whether no key came or went since the axis file was written, so that new column files are all that folding takes.
pub(super) fn axis_is_current(view: &View) -> bool {
    let generation = &view.generation;
    generation.axis().base().is_some()
        && generation.patches().iter().all(|patch| patch.axis().is_none())
        && view.active.changed_slots().next().is_none()
}

/// A generation that differs from the one before it by a patch.
pub(super) struct Patching<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    /// Memory that writing may take, in bytes.
    pub(super) memory_budget: usize,
    /// The files, and the overlay to write down as the active one; nothing else may be committed to it.
    pub(super) view: &'a View,
    pub(super) moment: Moment,
}

impl Patching<'_> {
    /// Writes the patch, makes it and its name durable, and completes the manifest that will name it, which has the numbers of the last
    /// generation. After a failure nothing is left.
    pub(super) fn write(&self, mut manifest: Manifest, progress: &mut ProgressFn<'_>) -> Result<Manifest> {
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
        let file = PatchFile {
            storage: self.storage,
            memory_budget: self.memory_budget,
            view: self.view,
            merged: 0,
            identity: Identity { database_id: manifest.database_id, file_id: manifest.next_file_id },
            generation: manifest.generation,
            slot_count: manifest.slot_count,
        };
        if let Some(entry) = file.write("writing changes", progress)? {
            manifest.next_file_id += 1;
            manifest.patches.push(entry);
        }
        Ok(manifest)
    }
}

/// A patch file to be written.
pub(super) struct PatchFile<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    pub(super) memory_budget: usize,
    /// The files, and the overlay to write down as the active one.
    pub(super) view: &'a View,
    /// Patches of these files that it takes the place of, the newest ones.
    pub(super) merged: usize,
    pub(super) identity: Identity,
    pub(super) generation: u64,
    /// Of the axis.
    pub(super) slot_count: u32,
}

impl PatchFile<'_> {
    /// Writes the file, and makes it and its name durable; `None` where it would say nothing. After that and after a failure nothing is
    /// left.
    pub(super) fn write(&self, phase: &'static str, progress: &mut ProgressFn<'_>) -> Result<Option<FileEntry>> {
        let name = patch_name(self.generation);
        let result = self.write_file(&name, phase, progress);
        let result = result.and_then(|entry| self.storage.sync_directory().map_err(Error::from).map(|()| entry));
        if !matches!(result, Ok(Some(_))) {
            // What cannot be removed now is removed when the database is next opened.
            let _left_over = self.storage.remove(&name);
        }
        result
    }

    fn write_file(&self, name: &str, phase: &'static str, progress: &mut ProgressFn<'_>) -> Result<Option<FileEntry>> {
        let hash_seed = self.view.generation.manifest.hash_seed;
        let delta = Delta::new(self.view, self.merged, Build::share(self.memory_budget))?;
        let mut meter = Meter::new(progress, phase, delta.touched_count()?);
        let build = Build::new(Arc::clone(self.storage), self.memory_budget, hash_seed, &mut meter);
        let unsynced = Unsynced::default();
        let writer = BlockWriter::create(FileSpec {
            storage: &**self.storage,
            unsynced: &unsynced,
            name: name.to_owned(),
            magic: PATCH_MAGIC,
            identity: self.identity,
            generation: self.generation,
            dimension_id: NO_DIMENSION,
        })?;
        let mut patch = PatchWriter::begin(build, writer, self.slot_count.max(delta.slot_end()))?;
        let mut ids: Vec<_> = self.view.dimensions(u64::MAX).into_iter().map(|dimension| dimension.id).collect();
        ids.sort_unstable();
        for id in ids {
            patch.build().meter.add(0)?;
            if delta.concerns(id) {
                write_dimension(&mut patch, &delta, id)?;
            }
        }
        let key_count = write_axis(&mut patch, &delta)?;
        if patch.is_empty() {
            return Ok(None);
        }
        let mut keys = DeltaKeys::new(delta.pieces(None));
        let entry = patch.finish(delta.base_next()?, &mut keys, key_count)?;
        unsynced.sync()?;
        Ok(Some(entry))
    }
}

/// Reads a column once: how to encode its values, and how many slots it touches.
fn survey<'a>(
    patch: &mut PatchWriter<'_, '_, '_, 'a>,
    pieces: &mut Pieces<'_, 'a>,
    count_max: u64,
) -> Result<(EncodingSurvey<'a>, u64)> {
    let (mut survey, mut touched) = (EncodingSurvey::new(count_max), 0);
    while let Some(cells) = pieces.next()? {
        touched += cells.slots.len() as u64;
        for value in in_cache(&cells.values).flatten() {
            survey.add(value);
            patch.build().meter.step()?;
        }
    }
    Ok((survey, touched))
}

fn write_dimension<'a>(patch: &mut PatchWriter<'_, '_, '_, 'a>, delta: &Delta<'a>, id: DimensionId) -> Result<()> {
    let mut pieces = delta.pieces(Some(id));
    let touched_max = delta.touched_count_of(Some(id))?;
    let (survey, touched) = survey(patch, &mut pieces, touched_max)?;
    let (changes, has_counts) = delta.counts(id, &mut pieces, survey.dictionary())?;
    let unchanged = touched == 0 && changes.is_none();
    if !unchanged || (!has_counts && delta.is_merged(Some(id))) {
        let source = DeltaSource { dimension_id: id.0, encoding: survey.choose(), changes, has_counts };
        patch.column(&source, &mut pieces)?;
    }
    patch.build().meter.add(touched_max)
}

/// Returns the number of keys.
fn write_axis<'a>(patch: &mut PatchWriter<'_, '_, '_, 'a>, delta: &Delta<'a>) -> Result<u64> {
    let mut pieces = delta.pieces(None);
    let touched_max = delta.touched_count_of(None)?;
    let (survey, touched) = survey(patch, &mut pieces, touched_max)?;
    let key_count = survey.count();
    if touched > 0 {
        let changes = CountChanges::default();
        let encoding = survey.choose();
        let source = DeltaSource { dimension_id: AXIS_DELTA, encoding, changes, has_counts: true };
        patch.column(&source, &mut pieces)?;
    }
    patch.build().meter.add(touched_max)?;
    Ok(key_count)
}
