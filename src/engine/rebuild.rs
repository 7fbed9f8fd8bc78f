//! Writing a new generation: the files of what changed, or of everything, from a base and what was committed since.

use super::axis_builder::AxisBuilder;
use super::block_writer::{BlockWriter, FileSpec, Unsynced};
use super::column_builder::PresentSlots;
use super::column_tiers::ColumnTiers;
use super::meter::Meter;
use super::numbering::Build;
use super::patch::{DeltaColumn, Patch};
use super::perfect_hash::PerfectHashSections;
use super::perfect_hash_builder::BuiltPerfectHash;
use super::rebuilt::{RebuiltKeys, RebuiltValues, put_aside_keys, put_aside_values};
use super::view::{Changes, DimensionName, Moment, View};
use super::workers::{build_files, thread_count};
use crate::error::Result;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, Identity, NO_DIMENSION};
use crate::format::manifest::{DimensionEntry, FileEntry, Manifest, axis_name, column_name};
use crate::model::DimensionId;
use crate::progress::ProgressFn;
use crate::storage::Storage;
use std::sync::Arc;

/// What to write.
pub(super) struct Rebuild<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    /// Memory that building may take, in bytes.
    pub(super) memory_budget: usize,
    /// At most so many threads build files; `None` for as many as the system runs at a time.
    pub(super) threads: Option<usize>,
    /// The base and the overlay to fold into it; nothing else may be committed to it.
    pub(super) view: &'a View,
    pub(super) moment: Moment,
    /// Also what did not change.
    pub(super) everything: bool,
    /// The old slot of each new one, where slots move; a free old slot makes a tombstone.
    pub(super) order: Option<&'a [u32]>,
    /// Where that is the order of its ranks.
    pub(super) perfect_hash: Option<&'a BuiltPerfectHash>,
    /// For the files that it writes.
    pub(super) unsynced: Unsynced,
}

/// A dimension that gets a new file, and its place in the manifest.
type Rebuilt<'a> = (usize, DimensionName<'a>);

impl<'a> Rebuild<'a> {
    /// Writes the files, makes them and their names durable, and completes the manifest that will name them, which has the numbers of
    /// the last generation. After a failure nothing is left.
    pub(super) fn write(&self, manifest: Manifest, progress: &mut ProgressFn<'_>) -> Result<Manifest> {
        let mut written = Vec::new();
        let result = self.write_files(manifest, &mut written, progress).and_then(|manifest| {
            self.unsynced.sync()?;
            self.storage.sync_directory()?;
            Ok(manifest)
        });
        if result.is_err() {
            for name in &written {
                // What cannot be removed now is removed when the database is next opened.
                let _left_over = self.storage.remove(name);
            }
        }
        result
    }

    fn write_files(
        &self,
        mut manifest: Manifest,
        written: &mut Vec<String>,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Manifest> {
        manifest.generation += 1;
        manifest.last_sequence = self.moment.sequence;
        manifest.last_commit_time = self.moment.time;
        manifest.seal = None;
        manifest.patches.clear();
        let changes = self.view.changes();
        let patched = self.patched_slots(|patch| patch.axis().map(|axis| &axis.column))?;
        let everything = self.everything || self.order.is_some();
        let dimensions = self.view.dimensions(u64::MAX);
        let (rebuilt, kept) = self.split(&dimensions, &changes, everything)?;
        let slot_count = self.order.map_or(self.moment.slot_count, |order| order.len() as u32);
        let axis_changes = everything || !changes.slots.is_empty() || patched.count() > 0;
        let columns = rebuilt.len() as u64 + u64::from(axis_changes);
        let mut meter = Meter::new(progress, "writing columns", columns * u64::from(slot_count));

        manifest.dimensions = kept;
        let mut jobs = self.file_jobs(&mut manifest, axis_changes, rebuilt, written);
        let threads = thread_count(self.threads, columns * u64::from(slot_count));
        let source = Source { changes: &changes, patched: &patched, slot_count, threads };
        if threads > 1 {
            // Those that take longest first.
            jobs.sort_by_key(|job| std::cmp::Reverse(job.work));
        }
        let started = &manifest;
        let files =
            build_files((threads, jobs.len()), &self.unsynced, &mut meter, |index, meter| match jobs.get(index) {
                Some(job) => self.write_file(started, job, source, meter),
                None => Ok(Written::default()),
            })?;
        for (job, Written { file, slot_count, point_count }) in jobs.iter().zip(files) {
            match job.dimension {
                None => (manifest.axis, manifest.slot_count, manifest.point_count) = (file, slot_count, point_count),
                Some((index, _)) => {
                    if let Some(entry) = manifest.dimensions.get_mut(index) {
                        entry.file = file;
                    }
                }
            }
        }
        let next = dimensions.iter().map(|dimension| u64::from(dimension.id.0) + 1).max().unwrap_or(0);
        manifest.next_dimension_id = manifest.next_dimension_id.max(next);
        Ok(manifest)
    }

    /// All dimensions as entries of the manifest, with the files that stay, and those that get a new file.
    fn split(
        &self,
        dimensions: &[DimensionName<'a>],
        changes: &Changes,
        everything: bool,
    ) -> Result<(Vec<Rebuilt<'a>>, Vec<DimensionEntry>)> {
        let mut rebuilt = Vec::new();
        let mut entries = Vec::with_capacity(dimensions.len());
        for (index, dimension) in dimensions.iter().enumerate() {
            let base = self.view.generation.column(dimension.id);
            let changed = changes.touches(dimension.id)
                || base.is_some_and(|column| !column.patches().is_empty())
                || self.loses_cells(dimension.id, changes)?;
            let has_file = base.and_then(ColumnTiers::base);
            let rewrite = changed || (everything && has_file.is_some());
            if rewrite {
                rebuilt.push((index, *dimension));
            }
            let file = has_file.map(|column| column.file().entry()).filter(|_| !rewrite);
            entries.push(DimensionEntry { id: dimension.id.0, name: dimension.name.to_owned(), file });
        }
        Ok((rebuilt, entries))
    }

    /// Whether a slot whose occupant changed has a value in the base of a dimension.
    fn loses_cells(&self, id: DimensionId, changes: &Changes) -> Result<bool> {
        if self.view.generation.column(id).is_none_or(ColumnTiers::is_empty) {
            return Ok(false);
        }
        for &slot in &changes.slots {
            if self.view.generation.cell(id, slot)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The slots that the patches touch in some delta column.
    fn patched_slots(&self, column: impl Fn(&Patch) -> Option<&DeltaColumn>) -> Result<PresentSlots> {
        let mut slots = PresentSlots::default();
        for column in self.view.generation.patches().iter().filter_map(|patch| column(patch)) {
            column.for_each_touched(|slot| slots.insert(slot))?;
        }
        Ok(slots)
    }

    /// Whether all slots of a segment stay where they are, and none of them is in `changed`.
    pub(super) fn is_unchanged(&self, number: u32, changed: &PresentSlots) -> bool {
        self.order.is_none() && !changed.touches_segment(number as usize)
    }

    pub(super) fn old_slot(&self, slot: u32) -> u32 {
        self.order.map_or(slot, |order| order.get(slot as usize).copied().unwrap_or(u32::MAX))
    }

    /// The files to write.
    fn file_jobs(
        &self,
        manifest: &mut Manifest,
        axis_changes: bool,
        rebuilt: Vec<Rebuilt<'a>>,
        written: &mut Vec<String>,
    ) -> Vec<FileJob<'a>> {
        let mut jobs = Vec::with_capacity(rebuilt.len() + 1);
        let mut job = |name: String, dimension, work| {
            written.push(name.clone());
            jobs.push(FileJob { name, file_id: manifest.next_file_id, dimension, work });
            manifest.next_file_id += 1;
        };
        if axis_changes {
            let work = self.view.generation.axis().base().map_or(0, |axis| axis.file().entry().file_len);
            job(axis_name(manifest.generation), None, work);
        }
        for (index, dimension) in rebuilt {
            let base = self.view.generation.column(dimension.id).and_then(ColumnTiers::base);
            let work = base.map_or(0, |column| column.file().entry().file_len);
            job(column_name(dimension.id.0, manifest.generation), Some((index, dimension)), work);
        }
        jobs
    }

    fn write_file(
        &self,
        manifest: &Manifest,
        job: &FileJob<'a>,
        source: Source<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Written> {
        let Source { changes, patched, slot_count, threads } = source;
        // What is put aside, a spill and a table for each thread.
        let share = self.memory_budget / (4 * threads);
        let mut build = Build::with_share(Arc::clone(self.storage), share, manifest.hash_seed, meter);
        let mut taken = patched.clone();
        changes.slots.iter().for_each(|&slot| taken.insert(slot));
        let Some((_, dimension)) = job.dimension else {
            let put_aside = put_aside_keys(&mut build, &RebuiltKeys { rebuild: self, changed: &taken }, slot_count)?;
            let mut keys = put_aside.values()?;
            let builder = AxisBuilder::new(&mut build, &mut keys, slot_count)?;
            let builder = builder.with_perfect_hash(self.perfect_hash_sections(&taken)?);
            let (slot_count, point_count) = (builder.slot_count(), builder.point_count() as u32);
            let file =
                if slot_count > 0 { Some(builder.write(&mut build, self.writer(manifest, job)?)?) } else { None };
            return Ok(Written { file, slot_count, point_count });
        };
        let mut changed = self.patched_slots(|patch| patch.dimension(dimension.id).map(|column| &**column))?;
        changed.insert_all(patched);
        changes.of(dimension.id, true).for_each(|slot| changed.insert(slot));
        let mut values = RebuiltValues::new(self, dimension.id, (&changed, &taken));
        let put_aside = put_aside_values(&mut build, &mut values, slot_count)?;
        let file = put_aside.write_column(&mut build, slot_count, || self.writer(manifest, job))?;
        Ok(Written { file, ..Written::default() })
    }

    fn writer(&self, manifest: &Manifest, job: &FileJob<'_>) -> Result<BlockWriter<'_>> {
        BlockWriter::create(FileSpec {
            storage: &**self.storage,
            unsynced: &self.unsynced,
            name: job.name.clone(),
            magic: if job.dimension.is_some() { COLUMN_MAGIC } else { AXIS_MAGIC },
            identity: Identity { database_id: manifest.database_id, file_id: job.file_id },
            generation: manifest.generation,
            dimension_id: job.dimension.map_or(NO_DIMENSION, |(_, dimension)| dimension.id.0),
        })
    }

    /// The perfect hash that was built for the new slots, or that of the base, if all keys stay where they are.
    fn perfect_hash_sections(&self, changed: &PresentSlots) -> Result<Option<PerfectHashSections<'a>>> {
        if let Some(built) = self.perfect_hash {
            return Ok(Some(built.sections()));
        }
        let stay = |order: &[u32]| {
            order.len() == self.moment.slot_count as usize && order.iter().copied().eq(0..self.moment.slot_count)
        };
        match self.view.generation.axis().base() {
            Some(base) if changed.count() == 0 && self.order.is_none_or(stay) => base.perfect_hash_sections(),
            _ => Ok(None),
        }
    }
}

/// A file to be written.
struct FileJob<'a> {
    name: String,
    file_id: u64,
    /// The dimension whose column it is; none for the axis.
    dimension: Option<Rebuilt<'a>>,
    /// Bytes to read.
    work: u64,
}

/// What all files are written from.
#[derive(Clone, Copy)]
struct Source<'s> {
    changes: &'s Changes,
    /// The slots whose occupant a patch changed.
    patched: &'s PresentSlots,
    slot_count: u32,
    /// Threads that share the memory.
    threads: usize,
}

/// A file that is written, if there was something to write.
#[derive(Default)]
struct Written {
    file: Option<FileEntry>,
    /// Of an axis.
    slot_count: u32,
    point_count: u32,
}
