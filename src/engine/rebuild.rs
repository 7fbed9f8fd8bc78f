//! Writing a new generation: the files of what changed, or of everything, from a base and what was committed since.

use super::axis_builder::AxisBuilder;
use super::block_writer::{BlockWriter, FileSpec, Unsynced};
use super::column_builder::{ColumnBuilder, PresentSlots, Values};
use super::column_tiers::ColumnTiers;
use super::meter::Meter;
use super::numbering::Build;
use super::patch::{DeltaColumn, Patch};
use super::perfect_hash::PerfectHashSections;
use super::perfect_hash_builder::BuiltPerfectHash;
use super::view::{Changes, DimensionName, Moment, View};
use crate::error::Result;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, Identity, NO_DIMENSION};
use crate::format::manifest::{DimensionEntry, FileEntry, Manifest, axis_name, column_name};
use crate::model::{DimensionId, ValueRef};
use crate::progress::ProgressFn;
use crate::storage::Storage;
use std::sync::Arc;

/// What to write.
pub(super) struct Rebuild<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    /// Memory that building may take, in bytes.
    pub(super) memory_budget: usize,
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

/// The keys by slot, as they are to be.
struct RebuiltKeys<'r, 'a> {
    rebuild: &'r Rebuild<'a>,
    /// Slots that have something else than the base.
    changed: &'r PresentSlots,
    next: u32,
    end: u32,
}

impl Values for RebuiltKeys<'_, '_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        let view = self.rebuild.view;
        while self.next < self.end {
            let slot = self.next;
            self.next += 1;
            let old = self.rebuild.old_slot(slot);
            let key = if self.changed.contains(old) {
                view.key_at(old, u64::MAX)?.map(|(key, _)| key)
            } else {
                view.generation.axis().base().map_or(Ok(None), |axis| axis.key_at(old))?
            };
            if let Some(key) = key {
                return Ok(Some((slot, key.value())));
            }
        }
        Ok(None)
    }
}

/// The values of a dimension by slot, as they are to be.
struct RebuiltValues<'r, 'a> {
    rebuild: &'r Rebuild<'a>,
    dimension: DimensionId,
    /// Slots that have something else than the base.
    changed: &'r PresentSlots,
    next: u32,
    end: u32,
}

impl Values for RebuiltValues<'_, '_> {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        let view = self.rebuild.view;
        let base = view.generation.column(self.dimension).and_then(ColumnTiers::base);
        while self.next < self.end {
            let slot = self.next;
            self.next += 1;
            let old = self.rebuild.old_slot(slot);
            let value = if self.changed.contains(old) {
                view.cell(self.dimension, old, u64::MAX)?
            } else {
                base.map_or(Ok(None), |column| column.get(old))?
            };
            if let Some(value) = value {
                return Ok(Some((slot, value)));
            }
        }
        Ok(None)
    }
}

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

        if axis_changes {
            let mut changed = patched.clone();
            changes.slots.iter().for_each(|&slot| changed.insert(slot));
            self.write_axis(&mut manifest, &changed, slot_count, written, &mut meter)?;
        }
        manifest.dimensions = kept;
        for (index, dimension) in rebuilt {
            let mut changed = self.patched_slots(|patch| patch.dimension(dimension.id).map(|column| &**column))?;
            changed.insert_all(&patched);
            changes.of(dimension.id, true).for_each(|slot| changed.insert(slot));
            let file = self.write_column(&mut manifest, dimension, &changed, slot_count, written, &mut meter)?;
            if let Some(entry) = manifest.dimensions.get_mut(index) {
                entry.file = file;
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

    fn old_slot(&self, slot: u32) -> u32 {
        self.order.map_or(slot, |order| order.get(slot as usize).copied().unwrap_or(u32::MAX))
    }

    fn writer(
        &self,
        manifest: &mut Manifest,
        name: String,
        magic: [u8; 8],
        dimension_id: u32,
        written: &mut Vec<String>,
    ) -> Result<BlockWriter<'_>> {
        let file_id = manifest.next_file_id;
        manifest.next_file_id += 1;
        written.push(name.clone());
        BlockWriter::create(FileSpec {
            storage: &**self.storage,
            unsynced: &self.unsynced,
            name,
            magic,
            identity: Identity { database_id: manifest.database_id, file_id },
            generation: manifest.generation,
            dimension_id,
        })
    }

    fn write_axis(
        &self,
        manifest: &mut Manifest,
        changed: &PresentSlots,
        slot_count: u32,
        written: &mut Vec<String>,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        let mut keys = RebuiltKeys { rebuild: self, changed, next: 0, end: slot_count };
        let mut build = self.build(manifest.hash_seed, meter);
        let builder = AxisBuilder::new(&mut build, &mut keys, slot_count)?;
        let builder = builder.with_perfect_hash(self.perfect_hash_sections(changed)?);
        manifest.slot_count = builder.slot_count();
        manifest.point_count = builder.point_count() as u32;
        manifest.axis = None;
        if builder.slot_count() > 0 {
            let writer = self.writer(manifest, axis_name(manifest.generation), AXIS_MAGIC, NO_DIMENSION, written)?;
            manifest.axis = Some(builder.write(&mut build, writer)?);
        }
        Ok(())
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

    fn write_column(
        &self,
        manifest: &mut Manifest,
        dimension: DimensionName<'_>,
        changed: &PresentSlots,
        slot_count: u32,
        written: &mut Vec<String>,
        meter: &mut Meter<'_>,
    ) -> Result<Option<FileEntry>> {
        let mut values = RebuiltValues { rebuild: self, dimension: dimension.id, changed, next: 0, end: slot_count };
        let mut build = self.build(manifest.hash_seed, meter);
        let Some(builder) = ColumnBuilder::new(&mut build, &mut values, slot_count)? else { return Ok(None) };
        let name = column_name(dimension.id.0, manifest.generation);
        let writer = self.writer(manifest, name, COLUMN_MAGIC, dimension.id.0, written)?;
        builder.write(&mut build, writer).map(|(file, _)| Some(file))
    }

    fn build<'b, 'p>(&self, hash_seed: u64, meter: &'b mut Meter<'p>) -> Build<'b, 'p> {
        Build::new(Arc::clone(self.storage), self.memory_budget, hash_seed, meter)
    }
}
