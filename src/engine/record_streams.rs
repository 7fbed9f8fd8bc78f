//! The records of a load, taken apart into streams by row: keys, their hashes, and the values of each dimension.

use super::key_hashes::KeyHashes;
use super::record_batch::{BatchCell, RecordBatch};
use super::spill::Spill;
use super::value_streams::{Allowance, Taking, ValueStreams};
use crate::error::Result;
use crate::format::value::{self, TAG_INT, TAG_UINT, tag_and_cell};
use crate::model::{StoredValue, ValueRef};
use crate::storage::Storage;
use std::sync::Arc;

/// Dimensions whose values are looked at as they come; there are few in most databases, and of thousands each takes memory.
const FORMED_MAX: usize = 256;
/// Bytes of buffers for each dimension whose texts are dealt out, so that what is written at once is not in small pieces.
const DEALT_LEN: usize = 16 << 20;

/// The streams of all records so far.
#[derive(Debug)]
pub(super) struct RecordStreams {
    pub(super) spill: Spill,
    pub(super) keys: Keys,
    pub(super) columns: Vec<ValueStreams>,
    allowance: Allowance,
    row_count: u32,
    scratch: Vec<u8>,
}

/// The keys of all rows.
#[derive(Debug)]
pub(super) struct Keys {
    /// The first key, while all keys are consecutive integers. They are not stored then.
    pub(super) dense: Option<i128>,
    /// The last key, while all keys are integers in ascending order and so cannot repeat.
    pub(super) ascending: Option<i128>,
    pub(super) values: ValueStreams,
    /// The hashes of all keys, if these are stored and there is memory for the buffers.
    pub(super) hashes: Option<KeyHashes>,
}

impl RecordStreams {
    pub(super) fn new(storage: Arc<dyn Storage>, memory_budget: usize) -> Self {
        let mut spill = Spill::new(storage, 0);
        let keys = Keys {
            dense: None,
            ascending: Some(i128::MIN),
            values: ValueStreams::new(false, &mut spill),
            hashes: None,
        };
        let allowance = Allowance { dictionaries: 0, dealt: 0 };
        let mut streams = Self { spill, keys, columns: Vec::new(), allowance, row_count: 0, scratch: Vec::new() };
        streams.set_memory_budget(memory_budget);
        streams
    }

    /// Changes how much memory may be used from here on: half of it, an eighth of that for dictionaries.
    pub(super) fn set_memory_budget(&mut self, memory_budget: usize) {
        let share = memory_budget / 2;
        self.spill.set_limit(share - share / 8);
        if self.row_count == 0 {
            self.allowance = Allowance { dictionaries: share / 8, dealt: share / DEALT_LEN };
            self.keys.hashes = (share >= DEALT_LEN).then(|| KeyHashes::new(&mut self.spill));
        }
    }

    /// Adds records. The long values of the last one are in `long`.
    pub(super) fn take(&mut self, batch: &RecordBatch, long: &[StoredValue<'_>], hash_seed: u64) -> Result<()> {
        let mut long = long.iter();
        for cell in batch.cells() {
            match cell {
                BatchCell::Key(tagged) => {
                    self.take_key(tagged, hash_seed)?;
                    self.row_count += 1;
                }
                BatchCell::Value(dimension, tagged) => self.take_value(dimension, tagged, hash_seed)?,
                BatchCell::Long(dimension) => {
                    if let (Some(value), Some(dimension)) = (long.next(), dimension) {
                        let mut tagged = Vec::with_capacity(value::payload_len(value.as_ref()) + 1);
                        value::encode(value.as_ref().canonical(), &mut tagged);
                        self.take_value(dimension, &tagged, hash_seed)?;
                    }
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn take_value(&mut self, dimension: usize, tagged: &[u8], hash_seed: u64) -> Result<()> {
        if dimension >= self.columns.len() {
            self.define(dimension + 1);
        }
        let Self { spill, allowance, row_count, .. } = self;
        match self.columns.get_mut(dimension) {
            Some(column) => column.push(*row_count - 1, tagged, &mut Taking { spill, allowance, hash_seed }),
            None => Ok(()),
        }
    }

    /// Makes streams for so many dimensions.
    pub(super) fn define(&mut self, count: usize) {
        while self.columns.len() < count {
            self.columns.push(if self.columns.len() < FORMED_MAX {
                ValueStreams::new(true, &mut self.spill)
            } else {
                ValueStreams::tagged(&mut self.spill)
            });
        }
    }

    #[inline]
    fn take_key(&mut self, tagged: &[u8], hash_seed: u64) -> Result<()> {
        let row = self.row_count;
        let int = match tag_and_cell(tagged) {
            (TAG_INT, cell) => Some(i128::from(cell.cast_signed())),
            (TAG_UINT, cell) => Some(i128::from(cell)),
            _ => None,
        };
        if row == 0 {
            self.keys.dense = int;
        }
        if let Some(first) = self.keys.dense
            && int != Some(first + i128::from(row))
        {
            self.keys.dense = None;
            for row in 0..row {
                let mut tagged = std::mem::take(&mut self.scratch);
                tagged.clear();
                value::encode(ValueRef::Int(first + i128::from(row)), &mut tagged);
                self.append_key(row, &tagged, hash_seed)?;
                self.scratch = tagged;
            }
        }
        if self.keys.dense.is_none() {
            self.append_key(row, tagged, hash_seed)?;
        }
        self.keys.ascending = int.filter(|&int| self.keys.ascending.is_some_and(|last| int > last));
        Ok(())
    }

    #[inline]
    fn append_key(&mut self, row: u32, tagged: &[u8], hash_seed: u64) -> Result<()> {
        let Self { spill, allowance, keys, .. } = self;
        if let Some(hashes) = &keys.hashes {
            hashes.push(value::hash_tagged(tagged, hash_seed), row, spill)?;
        }
        keys.values.push(row, tagged, &mut Taking { spill, allowance, hash_seed })
    }
}
