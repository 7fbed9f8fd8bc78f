//! The records of a load, taken apart into streams by row: keys, their hashes, and the values of each dimension.

use super::key_hashes::KeyHashes;
use super::record_batch::{BatchColumn, LongValues, RecordBatch, next_value};
use super::spill::Spill;
use super::value_streams::{Allowance, LoadFile, RowValues, Taking, ValueStreams};
use crate::error::Result;
use crate::format::value::{self, TAG_INT, TAG_UINT, tag_and_cell};
use crate::model::ValueRef;
use crate::storage::Storage;
use std::sync::Arc;

/// Dimensions whose values are looked at as they come; there are few in most databases, and of thousands each takes memory.
const FORMED_MAX: usize = 256;
/// Bytes of buffers for each dimension whose texts are dealt out, so that what is written at once is not in small pieces, and for each file
/// that is begun.
pub(super) const DEALT_LEN: usize = 16 << 20;

/// What is settled of the database before the first record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) database_id: [u8; 16],
    pub(super) hash_seed: u64,
}

/// The streams of all records so far.
#[derive(Debug)]
pub(super) struct RecordStreams {
    pub(super) spill: Spill,
    pub(super) keys: Keys,
    pub(super) columns: Vec<ValueStreams>,
    allowance: Allowance,
    row_count: u32,
}

/// The keys of all rows.
#[derive(Debug)]
pub(super) struct Keys {
    /// The first key, while all keys are consecutive integers. They are not stored then.
    pub(super) dense: Option<i128>,
    /// The last key, while all keys are integers in ascending order and so cannot repeat.
    pub(super) ascending: Option<i128>,
    pub(super) values: ValueStreams,
    /// The hashes of all keys, if these are stored and may repeat, and there is memory for the buffers.
    pub(super) hashes: Option<KeyHashes>,
}

impl Keys {
    /// Whether hashes are needed: else no key repeats.
    pub(super) const fn may_repeat(&self) -> bool {
        self.ascending.is_none()
    }
}

impl RecordStreams {
    pub(super) fn new(storage: Arc<dyn Storage>, memory_budget: usize) -> Self {
        let mut spill = Spill::new(storage, 0);
        let keys = Keys {
            dense: None,
            ascending: Some(i128::MIN),
            values: ValueStreams::new(LoadFile::Axis, &mut spill),
            hashes: None,
        };
        let allowance = Allowance { dictionaries: 0, dealt: 0, begun: 0 };
        let mut streams = Self { spill, keys, columns: Vec::new(), allowance, row_count: 0 };
        streams.set_memory_budget(memory_budget);
        streams
    }

    /// Changes how much memory may be used from here on: half of it, an eighth of that for dictionaries.
    pub(super) fn set_memory_budget(&mut self, memory_budget: usize) {
        let share = memory_budget / 2;
        self.spill.set_limit(share - share / 8);
        if self.row_count == 0 {
            let (dealt, begun) = (share / DEALT_LEN, share / DEALT_LEN);
            self.allowance = Allowance { dictionaries: share / 8, dealt, begun };
            self.keys.hashes = (share >= DEALT_LEN).then(|| KeyHashes::new(&mut self.spill));
        }
    }

    /// Adds records. The long values of the last one are in `long`.
    pub(super) fn take(&mut self, batch: &RecordBatch, long: &LongValues<'_>, origin: Origin) -> Result<()> {
        let first_row = self.row_count;
        self.take_keys(batch.keys(), origin)?;
        self.row_count = first_row + batch.record_count();
        let dimension_count = long.iter().map(|&(dimension, _)| dimension + 1).max().unwrap_or(0);
        self.define(dimension_count.max(batch.columns().len()));
        let Self { spill, allowance, columns, .. } = self;
        let Origin { database_id, hash_seed } = origin;
        let mut taking = Taking { spill, allowance, hash_seed, database_id };
        for (values, column) in columns.iter_mut().zip(batch.columns()).filter(|(_, column)| column.count > 0) {
            values.push_all(first_row, column, &mut taking)?;
        }
        for (dimension, value) in long {
            let mut tagged = Vec::with_capacity(value::payload_len(value.as_ref()) + 1);
            value::encode(value.as_ref().canonical(), &mut tagged);
            if let Some(values) = columns.get_mut(*dimension) {
                values.push(self.row_count - 1, &tagged, &mut taking)?;
            }
        }
        Ok(())
    }

    /// Makes streams for so many dimensions.
    pub(super) fn define(&mut self, count: usize) {
        while self.columns.len() < count {
            let file = LoadFile::Column(self.columns.len() as u32);
            self.columns.push(if self.columns.len() < FORMED_MAX {
                ValueStreams::new(file, &mut self.spill)
            } else {
                ValueStreams::tagged(file, &mut self.spill)
            });
        }
    }

    fn take_keys(&mut self, column: &BatchColumn, origin: Origin) -> Result<()> {
        let (mut rest, mut row) = (&*column.bytes, self.row_count);
        while let Some((_, tagged)) = next_value(&mut rest) {
            let int = match tag_and_cell(tagged) {
                (TAG_INT, cell) => Some(i128::from(cell.cast_signed())),
                (TAG_UINT, cell) => Some(i128::from(cell)),
                _ => None,
            };
            if let Some(last) = self.keys.ascending {
                self.keys.ascending = int.filter(|&int| int > last);
                if self.keys.may_repeat() {
                    self.hash_keys(origin)?;
                }
            }
            if row == 0 {
                self.keys.dense = int;
            }
            if let Some(first) = self.keys.dense
                && int != Some(first + i128::from(row))
            {
                self.keys.dense = None;
                self.append_dense_keys(first, row, origin)?;
            }
            if self.keys.dense.is_none() {
                self.append_key(row, tagged, origin)?;
            }
            row += 1;
        }
        Ok(())
    }

    /// Appends the keys of so many rows, which were consecutive integers.
    #[cold]
    fn append_dense_keys(&mut self, first: i128, rows: u32, origin: Origin) -> Result<()> {
        let mut tagged = Vec::new();
        for row in 0..rows {
            tagged.clear();
            value::encode(ValueRef::Int(first + i128::from(row)), &mut tagged);
            self.append_key(row, &tagged, origin)?;
        }
        Ok(())
    }

    #[inline]
    fn append_key(&mut self, row: u32, tagged: &[u8], Origin { database_id, hash_seed }: Origin) -> Result<()> {
        let Self { spill, allowance, keys, .. } = self;
        if let Some(hashes) = &keys.hashes
            && keys.may_repeat()
        {
            hashes.push(value::hash_tagged(tagged, hash_seed), row, spill)?;
        }
        keys.values.push(row, tagged, &mut Taking { spill, allowance, hash_seed, database_id })
    }

    /// Adds the hashes of the keys that are stored so far, none of which repeats.
    #[cold]
    fn hash_keys(&mut self, origin: Origin) -> Result<()> {
        let Self { spill, keys, .. } = self;
        let Some(hashes) = &keys.hashes else { return Ok(()) };
        let mut stored = RowValues::new(&keys.values, spill)?;
        while let Some((row, tagged)) = stored.next(spill)? {
            hashes.push(value::hash_tagged(tagged, origin.hash_seed), row, spill)?;
        }
        Ok(())
    }
}
