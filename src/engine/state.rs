//! Reading at a point in time.

use super::column_tiers::ColumnTiers;
use super::counts::DimensionCounts;
use super::database::State;
use super::view::{Changes, DimensionName};
use crate::error::{Error, Result};
use crate::model::{DimensionId, KeyRef, Slot, Value, ValueRef};
use std::path::Path;

impl State {
    /// The directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.view.generation.path
    }

    /// The last commit that this state includes.
    pub(crate) fn sequence(&self) -> u64 {
        self.moment.sequence
    }

    /// When it was made, in microseconds since 1970; `i64::MIN` before the first.
    pub(crate) fn commit_time(&self) -> i64 {
        self.moment.time
    }

    pub(crate) fn slot_count(&self) -> u32 {
        self.moment.slot_count
    }

    pub(crate) fn point_count(&self) -> u32 {
        self.moment.point_count
    }

    pub(crate) fn generation(&self) -> u64 {
        self.view.generation.manifest.generation
    }

    pub(crate) fn created_at(&self) -> i64 {
        self.view.generation.manifest.created_at
    }

    /// The properties of the database, as MessagePack.
    pub(crate) fn properties(&self) -> &[u8] {
        &self.view.generation.manifest.properties
    }

    /// Copies a value that was read.
    pub(crate) fn to_value(&self, value: ValueRef<'_>) -> Result<Value> {
        value.to_value().map_err(|error| Error::nested(&self.view.generation.path, error))
    }

    /// The key of a slot.
    pub(crate) fn key_at(&self, slot: Slot) -> Result<Option<KeyRef<'_>>> {
        Ok(self.view.key_at(slot.0, self.moment.stamp)?.map(|(key, _)| key))
    }

    /// The dimension of a name, ready for reading.
    pub(crate) fn dimension(&self, name: &str) -> Option<DimensionView<'_>> {
        self.view.dimension(name, self.moment.stamp).map(|found| self.open(found))
    }

    /// All dimensions, in the order of their first use.
    pub(crate) fn dimensions(&self) -> Vec<DimensionView<'_>> {
        self.view.dimensions(self.moment.stamp).into_iter().map(|found| self.open(found)).collect()
    }

    fn open<'a>(&'a self, found: DimensionName<'a>) -> DimensionView<'a> {
        DimensionView { state: self, id: found.id, name: found.name, column: found.column }
    }
}

/// A dimension at a point in time, found once and read many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DimensionView<'a> {
    pub(super) state: &'a State,
    pub(super) id: DimensionId,
    name: &'a str,
    pub(super) column: Option<&'a ColumnTiers>,
}

impl<'a> DimensionView<'a> {
    pub(crate) fn name(self) -> &'a str {
        self.name
    }

    /// The same, where what was changed is known.
    pub(crate) fn counts_since(self, since: &Changes) -> Result<DimensionCounts> {
        self.state.counts(self.id, since)
    }

    /// How many values there are.
    pub(crate) fn counts(self) -> Result<DimensionCounts> {
        self.state.counts(self.id, &self.state.changes())
    }
}
