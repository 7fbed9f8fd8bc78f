//! Building a new database from records, without the log.

use super::axis_builder::AxisBuilder;
use super::background::AutoCheckpoint;
use super::batch::{Step, encoded_attributes};
use super::block_writer::{BlockWriter, FileSpec};
use super::column_builder::ColumnBuilder;
use super::database::{Database, Durability, EngineOptions, new_manifest, replace_manifest};
use super::writer::now;
use crate::error::{Error, Result};
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, Identity, NO_DIMENSION};
use crate::format::manifest::{DimensionEntry, Manifest, axis_name, column_name};
use crate::format::value;
use crate::model::{KeyRef, NAME_LEN_MAX, Slot, VALUE_LEN_MAX, ValueRef, ValueTooLarge};
use crate::progress::{Progress, ProgressFn};
use crate::storage::{ReplaceError, Storage};
use hashbrown::HashTable;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Records of a key that came before, committed at the end in batches of so many.
const BATCH_LEN: usize = 10_000;

/// Gathers records; writes nothing before [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Loader {
    manifest: Manifest,
    axis: AxisBuilder,
    next_slot: u32,
    /// The last key, while all keys are integers in ascending order and so cannot repeat.
    ascending: Option<i128>,
    /// Slots by key, once keys can repeat.
    slots: Option<HashTable<u32>>,
    columns: Vec<(Box<str>, ColumnBuilder)>,
    by_name: HashMap<Box<str>, usize>,
    /// Changes of points that are there already, to be committed at the end.
    repeated: Vec<Step>,
    /// Records whose key came before.
    merged: u64,
    scratch: Vec<u8>,
}

impl Loader {
    pub(crate) fn new() -> Self {
        Self {
            manifest: new_manifest(Vec::new()),
            axis: AxisBuilder::new(),
            next_slot: 0,
            ascending: Some(i128::MIN),
            slots: None,
            columns: Vec::new(),
            by_name: HashMap::new(),
            repeated: Vec::new(),
            merged: 0,
            scratch: Vec::new(),
        }
    }

    /// Adds a record. One whose key came before changes that point.
    pub(crate) fn push<'a>(
        &mut self,
        key: KeyRef<'_>,
        attributes: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>,
    ) -> Result<()> {
        let attributes: Vec<_> = attributes.into_iter().map(|(name, value)| (name, value.canonical())).collect();
        let too_long = |value: ValueRef<'_>| value::payload_len(value) > VALUE_LEN_MAX;
        if too_long(key.value()) || attributes.iter().any(|&(_, value)| too_long(value)) {
            return Err(ValueTooLarge.into());
        }
        // All names before the first is defined: a record that is refused leaves nothing.
        attributes.iter().try_for_each(|(name, _)| check_name(name))?;
        for (name, _) in &attributes {
            self.dimension(name)?;
        }
        if self.is_repeated(key) {
            self.merged += 1;
            return self.change(key, attributes);
        }
        if self.next_slot > Slot::MAX.0 {
            return Err(Error::TooManyPoints);
        }
        let slot = self.next_slot;
        self.axis.push(slot, key)?;
        self.next_slot += 1;
        self.remember(key, slot);
        let mut again = Vec::new();
        for (name, value) in attributes {
            let index = self.by_name.get(name).copied().unwrap_or(usize::MAX);
            match self.columns.get_mut(index) {
                Some((_, column)) if !column.contains(slot) => column.push(slot, value, &mut self.scratch)?,
                // A name that comes twice: the last value counts.
                _ => again.push((name, value)),
            }
        }
        if again.is_empty() { Ok(()) } else { self.change(key, again) }
    }

    /// Puts off the change of a point that is there already.
    fn change(&mut self, key: KeyRef<'_>, attributes: Vec<(&str, ValueRef<'_>)>) -> Result<()> {
        let pairs = attributes.into_iter().map(|(name, value)| Ok((name, Some(value.to_buf()))));
        let attributes = encoded_attributes(pairs)?;
        self.repeated.push(Step::Upsert { key: key.to_key(), attributes, position: None });
        Ok(())
    }

    /// Makes a dimension before it is used, so that it has its place among the others.
    pub(crate) fn dimension(&mut self, name: &str) -> Result<()> {
        if self.by_name.contains_key(name) { Ok(()) } else { self.define(name) }
    }

    fn define(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        let index = self.columns.len();
        self.columns.push((name.into(), ColumnBuilder::new(self.manifest.hash_seed)));
        self.by_name.insert(name.into(), index);
        Ok(())
    }

    fn is_repeated(&mut self, key: KeyRef<'_>) -> bool {
        if let (Some(last), ValueRef::Int(int)) = (self.ascending, key.value())
            && int > last
        {
            return false;
        }
        let seed = self.manifest.hash_seed;
        let axis = &self.axis;
        let hash_of = |slot: &u32| value::hash(axis.key(*slot), seed);
        let slots = self.slots.get_or_insert_with(|| {
            let mut slots = HashTable::with_capacity(self.next_slot as usize);
            for slot in 0..self.next_slot {
                slots.insert_unique(hash_of(&slot), slot, hash_of);
            }
            slots
        });
        self.ascending = None;
        slots.find(value::hash(key.value(), seed), |&slot| axis.key(slot) == key.value()).is_some()
    }

    fn remember(&mut self, key: KeyRef<'_>, slot: u32) {
        if let (Some(last), ValueRef::Int(int)) = (&mut self.ascending, key.value()) {
            *last = int;
        }
        let seed = self.manifest.hash_seed;
        let axis = &self.axis;
        if let Some(slots) = &mut self.slots {
            slots.insert_unique(value::hash(key.value(), seed), slot, |&slot| value::hash(axis.key(slot), seed));
        }
    }

    /// Writes the database into an empty directory. Returns the number of points and of records that were merged.
    pub(crate) fn finish(self, storage: &Arc<dyn Storage>, progress: &mut ProgressFn<'_>) -> Result<(u64, u64)> {
        let Self { mut manifest, axis, columns, repeated, merged, next_slot, .. } = self;
        manifest.generation = 1;
        if next_slot > 0 {
            manifest.last_sequence = 1;
            manifest.last_commit_time = now();
        }
        let total = columns.len() as u64 + 1;
        let mut report = |done: u64| match progress(Progress {
            phase: "writing columns",
            done,
            total: Some(total),
            unit: "columns",
        }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        };
        manifest.slot_count = axis.slot_count();
        manifest.point_count = axis.slot_count();
        let points = u64::from(next_slot);
        if next_slot > 0 {
            let hash_seed = manifest.hash_seed;
            let writer = writer(&**storage, &mut manifest, axis_name(1), AXIS_MAGIC, NO_DIMENSION)?;
            manifest.axis = Some(axis.finish(hash_seed, writer)?);
        }
        for (index, (name, column)) in columns.into_iter().enumerate() {
            report(index as u64 + 1)?;
            let id = index as u32;
            let mut file = None;
            if column.len() > 0 {
                let writer = writer(&**storage, &mut manifest, column_name(id, 1), COLUMN_MAGIC, id)?;
                file = Some(column.finish(next_slot, writer)?);
            }
            manifest.dimensions.push(DimensionEntry { id, name: name.into(), file });
        }
        manifest.next_dimension_id = manifest.dimensions.len() as u64;
        storage.sync_directory()?;
        replace_manifest(&**storage, &manifest).map_err(ReplaceError::into_storage_error)?;
        apply_repeated(storage, repeated, progress)?;
        Ok((points, merged))
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.len() <= NAME_LEN_MAX {
        return Ok(());
    }
    let len = name.len();
    Err(Error::invalid_argument(format!(
        "the name of a dimension has at most {NAME_LEN_MAX} bytes, this one has {len}"
    )))
}

fn writer<'s>(
    storage: &'s dyn Storage,
    manifest: &mut Manifest,
    name: String,
    magic: [u8; 8],
    dimension_id: u32,
) -> Result<BlockWriter<'s>> {
    let identity = Identity { database_id: manifest.database_id, file_id: manifest.next_file_id };
    manifest.next_file_id += 1;
    BlockWriter::create(FileSpec { storage, name, magic, identity, generation: manifest.generation, dimension_id })
}

/// Commits what came for keys that were there already.
fn apply_repeated(storage: &Arc<dyn Storage>, repeated: Vec<Step>, progress: &mut ProgressFn<'_>) -> Result<()> {
    if repeated.is_empty() {
        return Ok(());
    }
    let options = EngineOptions {
        durability: Durability::Eventual,
        merge_fraction: 0.0,
        auto_checkpoint: AutoCheckpoint { log_len: None, in_background: false },
    };
    let database = Database::open(Arc::clone(storage), options)?;
    let mut steps = repeated.into_iter().peekable();
    while steps.peek().is_some() {
        database.commit(steps.by_ref().take(BATCH_LEN).collect())?;
    }
    database.checkpoint(progress)?;
    database.close()
}
