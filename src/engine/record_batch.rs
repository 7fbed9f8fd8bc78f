//! Records on their way from those who push them to the streams that take them.

use super::spill::encode_number;
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_TEXT, TAG_UINT};
use crate::model::{StoredValue, ValueRef};

/// Longer values are not copied before it is known that the record can be taken, and then one at a time.
const SHORT_LEN_MAX: usize = 4096;

/// Memory that a column keeps for the next records.
const CAPACITY_MAX: usize = 1 << 20;
/// Bytes of a tagged number.
pub(super) const NUMBER_LEN: u8 = 9;
/// The same with what is before it.
pub(super) const BATCH_NUMBER_LEN: usize = NUMBER_LEN as usize + 2;

/// Values of the last record that are long, and their dimensions.
pub(super) type LongValues<'v> = Vec<(usize, StoredValue<'v>)>;

/// Records, by column.
#[derive(Default, Debug)]
pub(super) struct RecordBatch {
    keys: BatchColumn,
    columns: Vec<BatchColumn>,
    record_count: u32,
    /// Bytes of values.
    len: usize,
}

/// Short values of a dimension, or keys: each behind the number of records passed over and its length, in the tagged form.
#[derive(Default, Debug)]
pub(super) struct BatchColumn {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    next_record: u32,
    /// Where the last value starts, and what `next_record` was before it.
    last: (usize, u32),
}

impl BatchColumn {
    /// Adds the value of a record, if it is short. Always compiled into its caller: a value that is handed over in memory would be read
    /// before all of its parts are there, and the processor would wait.
    #[inline(always)]
    fn push(&mut self, record: u32, value: ValueRef<'_>, len_max: usize) -> bool {
        self.last = (self.bytes.len(), self.next_record);
        if let Ok(gap @ 0..0x80) = u8::try_from(record - self.next_record)
            && self.push_common(gap, value)
        {
            self.count(record);
            return true;
        }
        self.push_any(record, value, len_max)
    }

    /// Adds a number of 64 bits, a float or a text that is not long.
    #[inline(always)]
    fn push_common(&mut self, gap: u8, value: ValueRef<'_>) -> bool {
        let (tag, cell) = match value {
            ValueRef::Float(float) => (TAG_FLOAT, float.to_bits()),
            ValueRef::Int(int) => match (i64::try_from(int), u64::try_from(int)) {
                (Ok(int), _) => (TAG_INT, int.cast_unsigned()),
                (_, Ok(int)) => (TAG_UINT, int),
                _ => return false,
            },
            ValueRef::Text(text) => {
                let Ok(len @ 0..0x7F) = u8::try_from(text.len()) else { return false };
                self.bytes.reserve(3 + 0x7F);
                self.bytes.extend_from_slice(&[gap, len + 1, TAG_TEXT]);
                self.bytes.extend_from_slice(text.as_bytes());
                return true;
            }
            _ => return false,
        };
        let head = u32::from_le_bytes([gap, NUMBER_LEN, tag, 0]);
        let bytes = (u128::from(cell) << 24 | u128::from(head)).to_le_bytes();
        if let Some(bytes) = bytes.first_chunk::<BATCH_NUMBER_LEN>() {
            self.bytes.extend_from_slice(bytes);
        }
        true
    }

    #[cold]
    fn push_any(&mut self, record: u32, value: ValueRef<'_>, len_max: usize) -> bool {
        let len = value::payload_len(value) + 1;
        if len > len_max {
            return false;
        }
        encode_number((record - self.next_record).into(), &mut self.bytes);
        encode_number(len as u64, &mut self.bytes);
        value::encode(value, &mut self.bytes);
        self.count(record);
        true
    }

    /// The record after the last one that has a value.
    pub(super) const fn next_record(&self) -> u32 {
        self.next_record
    }

    #[inline]
    fn count(&mut self, record: u32) {
        self.next_record = record + 1;
        self.count += 1;
    }

    /// Takes the value of a record back, if it has one, which is the last.
    fn take_back(&mut self, record: u32) {
        if self.count > 0 && self.next_record == record + 1 {
            self.bytes.truncate(self.last.0);
            self.next_record = self.last.1;
            self.count -= 1;
        }
    }

    /// Forgets all values, and the memory of columns that were much longer or have a long key.
    fn clear(&mut self) {
        let capacity = (4 * self.bytes.len() + 64).min(CAPACITY_MAX);
        self.bytes.clear();
        self.bytes.shrink_to(capacity);
        (self.count, self.next_record) = (0, 0);
    }
}

/// Takes the next value off the bytes of a column: the records passed over, and the tagged form.
#[inline]
pub(super) fn next_value<'b>(rest: &mut &'b [u8]) -> Option<(u32, &'b [u8])> {
    if let Some((&[gap @ 0..0x80, len @ 0..0x80], behind)) = rest.split_first_chunk() {
        let (tagged, behind) = behind.split_at_checked(len.into())?;
        *rest = behind;
        return Some((gap.into(), tagged));
    }
    let gap = next_number(rest)?;
    let len = next_number(rest)?;
    let (tagged, behind) = rest.split_at_checked(len as usize)?;
    *rest = behind;
    Some((gap as u32, tagged))
}

fn next_number(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

impl RecordBatch {
    pub(super) const fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Bytes of all values.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn keys(&self) -> &BatchColumn {
        &self.keys
    }

    /// The values of each dimension.
    pub(super) fn columns(&self) -> &[BatchColumn] {
        &self.columns
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.columns.iter_mut().for_each(BatchColumn::clear);
        (self.record_count, self.len) = (0, 0);
    }

    /// Adds a value to the record that is begun, if it is short.
    #[inline(always)]
    pub(super) fn add(&mut self, dimension: usize, value: ValueRef<'_>) -> bool {
        if dimension >= self.columns.len() {
            self.columns.resize_with(dimension + 1, BatchColumn::default);
        }
        let Some(column) = self.columns.get_mut(dimension) else { return true };
        let len = column.bytes.len();
        let is_taken = column.push(self.record_count, value, SHORT_LEN_MAX);
        self.len += column.bytes.len() - len;
        is_taken
    }

    /// Takes back the value that the record has of a dimension.
    pub(super) fn take_back(&mut self, dimension: usize, long: &mut LongValues<'_>) {
        if let Some(column) = self.columns.get_mut(dimension) {
            column.take_back(self.record_count);
        }
        long.retain(|&(other, _)| other != dimension);
    }

    /// Takes back all values of the record that is begun, and the dimensions from an index on, which only it has.
    pub(super) fn take_back_all(&mut self, from: usize) {
        let record = self.record_count;
        self.columns.truncate(from);
        self.columns.iter_mut().for_each(|column| column.take_back(record));
    }

    /// Ends the record that is begun, whose key this is.
    #[inline]
    pub(super) fn end(&mut self, key: ValueRef<'_>) {
        self.keys.push(self.record_count, key, usize::MAX);
        self.len = self.len.max(self.keys.bytes.len());
        self.record_count += 1;
    }
}
