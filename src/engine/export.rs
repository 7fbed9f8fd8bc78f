//! The canonical `.db` file of a state.

use super::database::State;
use super::state::DimensionView;
use crate::error::{Error, Result};
use crate::format::canonical::{self, Source, WriteError};
use crate::format::manifest::NO_COMMIT_TIME;
use crate::model::nested;
use crate::model::{KeyRef, Slot, Value, ValueRef};
use crate::progress::{Progress, ProgressFn};
use std::io::Write;
use std::path::Path;

/// What a database says of itself as a whole, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// When the database was made: UTC, ISO 8601 without a zone.
    pub created_at: String,
    /// When it was last changed, in the same form; when it was made, if it never was.
    pub last_modified: String,
    /// The version that the canonical file states.
    pub version: String,
}

struct Points<'s> {
    state: &'s State,
    dimensions: Vec<DimensionView<'s>>,
}

impl Source for Points<'_> {
    type Error = Error;

    fn slot_count(&self) -> u32 {
        self.state.slot_count()
    }

    fn key(&self, slot: Slot) -> Result<Option<KeyRef<'_>>> {
        self.state.key_at(slot)
    }

    fn dimension_count(&self) -> usize {
        self.dimensions.len()
    }

    fn dimension_name(&self, dimension: usize) -> &str {
        self.dimensions.get(dimension).map_or("", |dimension| dimension.name())
    }

    fn cell(&self, dimension: usize, slot: Slot) -> Result<Option<ValueRef<'_>>> {
        self.dimensions.get(dimension).map_or(Ok(None), |dimension| dimension.get(slot))
    }
}

impl State {
    /// What the canonical file says in `metadata`.
    pub(crate) fn metadata(&self) -> Metadata {
        let created_at = canonical::isoformat(self.created_at());
        let last_modified = match self.commit_time() {
            NO_COMMIT_TIME => created_at.clone(),
            time => canonical::isoformat(time),
        };
        let version = self.property("version").unwrap_or_else(|| canonical::VERSION.to_owned());
        Metadata { created_at, last_modified, version }
    }

    /// A property that is text.
    fn property(&self, name: &str) -> Option<String> {
        let Ok(Value::Map(pairs)) = nested::decode(self.properties()) else { return None };
        let found = pairs.into_iter().find(|(key, _)| key.as_str() == Some(name));
        found.and_then(|(_, value)| value.as_str().map(str::to_owned))
    }

    /// Writes the canonical file. `path` is for messages.
    pub(crate) fn export(&self, out: impl Write, path: &Path, progress: &mut ProgressFn<'_>) -> Result<()> {
        let Metadata { created_at, last_modified, version } = self.metadata();
        let metadata = canonical::Metadata { version, created_at, last_modified };
        let points = Points { state: self, dimensions: self.dimensions() };
        let mut report =
            |done, total| progress(Progress { phase: "exporting", done, total: Some(total), unit: "cells" });
        match canonical::write(&points, &metadata, out, &mut report) {
            Ok(_) => Ok(()),
            Err(WriteError::Source(error)) => Err(error),
            Err(WriteError::Cancelled) => Err(Error::Cancelled),
            Err(WriteError::Io(source)) => Err(crate::storage::StorageError::new(path, "write", source).into()),
        }
    }
}
