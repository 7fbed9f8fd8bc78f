//! Applying log records to an overlay: each one checked against the state before it, so that replay is exact or fails.

use super::log_reader::ApplyError;
use super::overlay::{CellRuns, Commit, Overlay};
use super::plan::Allocation;
use super::view::View;
use crate::format::Invalid;
use crate::format::wal::{Cells, Kind, Operation, Record, operations};
use crate::model::{DimensionId, Slot};
use std::collections::HashSet;
use std::sync::Arc;

/// The state that replay carries from record to record.
pub(super) struct Replay<'a> {
    view: &'a View,
    overlay: &'a Overlay,
    allocation: &'a mut Allocation,
    stamp: u64,
    dimensions: HashSet<DimensionId>,
}

impl<'a> Replay<'a> {
    /// Goes on after the last step in the view's active overlay.
    pub(super) fn new(view: &'a View, allocation: &'a mut Allocation, stamp: u64) -> Self {
        let dimensions = view.dimensions(u64::MAX).into_iter().map(|dimension| dimension.id).collect();
        Self { view, overlay: &view.active, allocation, stamp, dimensions }
    }

    /// The stamp of the last step.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Applies one commit.
    pub(super) fn apply(&mut self, record: &Record<'_>) -> Result<(), ApplyError> {
        let Kind::Commit { operation_count } = record.kind else { return Ok(()) };
        // In as few runs as the writer had, so that what it had room for has room here. No operation looks at cells.
        let mut runs = self.overlay.cells(operation_count as usize);
        for operation in operations(record.body, operation_count) {
            self.stamp += 1;
            self.operation(operation?, &mut runs)?;
        }
        runs.finish()?;
        self.overlay.add_commit(Commit {
            sequence: record.sequence,
            time: record.commit_time,
            stamp: self.stamp,
            slot_count: self.allocation.free.slot_count(),
            point_count: self.allocation.point_count,
        })?;
        Ok(())
    }

    fn operation(&mut self, operation: Operation<'_>, runs: &mut CellRuns<'_>) -> Result<(), ApplyError> {
        let invalid = |reason| ApplyError::Invalid(Invalid::new(0, "log record", reason));
        match operation {
            Operation::Define { dimension_id, name } => {
                let id = DimensionId(dimension_id);
                if self.view.dimension(name, u64::MAX).is_some() || !self.dimensions.insert(id) {
                    return Err(invalid("a dimension that is defined already"));
                }
                self.allocation.next_dimension = self.allocation.next_dimension.max(dimension_id + 1);
                self.overlay.add_definition(self.stamp, id, Arc::from(name))?;
            }
            Operation::Insert { slot, key, cells } => {
                if self.view.resolve(key, u64::MAX)?.is_some() {
                    return Err(invalid("an inserted key that is there already"));
                }
                let view = self.view;
                let is_free = |slot| view.generation.is_used(slot).map(|used| !used);
                if !self.allocation.free.take_at(Slot(slot), is_free)? {
                    return Err(invalid("a key inserted at a slot that is not free"));
                }
                self.allocation.point_count += 1;
                self.overlay.add_occupant(self.stamp, slot, key.to_key(), true)?;
                self.cells(slot, cells, runs)?;
            }
            Operation::Update { slot, cells } => {
                if self.view.origin(slot, u64::MAX)?.is_none() {
                    return Err(invalid("an update of a free slot"));
                }
                self.cells(slot, cells, runs)?;
            }
            Operation::Delete { slot, key } => {
                if self.view.resolve(key, u64::MAX)?.map(|(at, _)| at) != Some(slot) {
                    return Err(invalid("a deleted key that is not at its slot"));
                }
                let view = self.view;
                self.allocation.point_count = view.generation.one_point_less(self.allocation.point_count)?;
                self.allocation.free.free(Slot(slot), |slot| view.generation.is_used(slot).map(|used| !used))?;
                self.overlay.add_occupant(self.stamp, slot, key.to_key(), false)?;
            }
        }
        Ok(())
    }

    fn cells(&self, slot: u32, cells: Cells<'_>, runs: &mut CellRuns<'_>) -> Result<(), ApplyError> {
        if cells.iter().any(|(id, _)| !self.dimensions.contains(&DimensionId(id))) {
            return Err(Invalid::new(0, "log record", "a value of a dimension that is not defined").into());
        }
        let cells = cells.iter().map(|(id, value)| (DimensionId(id), value.map(|value| value.to_buf())));
        Ok(runs.add(self.stamp, slot, cells)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{AutoCheckpoint, Database, Durability, EngineOptions, Handle, Step};
    use crate::model::{Key, Value};
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    const OPTIONS: EngineOptions = EngineOptions {
        durability: Durability::Immediate,
        merge_fraction: 1e9,
        auto_checkpoint: AutoCheckpoint { log_len: None, in_background: false },
        memory_budget: 1 << 20,
        threads: None,
    };

    #[test]
    fn replay_takes_no_more_room_for_cells_than_the_writer_did() {
        let storage = Arc::new(MemoryStorage::new());
        let handle = Handle::new(Database::create(Arc::clone(&storage) as _, OPTIONS).unwrap());
        for first in [0, 1000, 500] {
            let steps = (first..first + 1000).map(|n| {
                let attributes = crate::engine::attributes([("n", Some(Value::from(n)))]).unwrap();
                Step::Upsert { key: Key::from(n), attributes, position: None }
            });
            handle.commit(steps.collect()).unwrap();
        }
        let written = handle.state().view.active.run_count();
        assert_eq!(written, 3 * 1000u32.div_ceil(64));
        handle.close().unwrap();
        let replayed = Handle::new(Database::open(storage, OPTIONS).unwrap()).state().view.active.run_count();
        assert_eq!(replayed, written);
    }
}
