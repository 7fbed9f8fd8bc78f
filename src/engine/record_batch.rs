//! Records on their way from those who push them to the streams that take them.

use crate::format::value;
use crate::model::{StoredValue, ValueRef};

/// Longer values are not copied before it is known that the record can be taken, and then one at a time.
const BATCH_VALUE_LEN_MAX: usize = 4096;
/// In place of a dimension: the cell is the key of the next record, or counts no more.
const KEY: u32 = u32::MAX;
const REPLACED: u32 = u32::MAX - 1;
/// In place of a length: the value is the next of the long ones.
const LONG: u32 = u32::MAX;

/// Records one behind the other.
#[derive(Default, Debug)]
pub(super) struct RecordBatch {
    cells: Vec<Cell>,
    /// Tagged values of all cells that are not long.
    bytes: Vec<u8>,
    /// Where the last record starts.
    last: (usize, usize),
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    dimension: u32,
    len: u32,
}

/// What a cell of a batch is.
pub(super) enum BatchCell<'b> {
    /// The key of the next record.
    Key(&'b [u8]),
    /// A value of a dimension.
    Value(usize, &'b [u8]),
    /// The next of the long values, and the dimension whose it is, if it counts.
    Long(Option<usize>),
}

impl RecordBatch {
    pub(super) const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Bytes that it takes.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() + self.cells.len() * size_of::<Cell>()
    }

    /// Forgets all records, and memory beyond `len` bytes.
    pub(super) fn clear(&mut self, len: usize) {
        self.cells.clear();
        self.bytes.clear();
        self.cells.shrink_to(len / size_of::<Cell>());
        self.bytes.shrink_to(len);
        self.last = (0, 0);
    }

    /// Starts a record.
    #[inline]
    pub(super) fn begin(&mut self, key: ValueRef<'_>) {
        self.last = (self.cells.len(), self.bytes.len());
        self.push(KEY, key);
    }

    /// Takes the last record back.
    pub(super) fn take_back(&mut self) {
        self.cells.truncate(self.last.0);
        self.bytes.truncate(self.last.1);
    }

    #[inline]
    fn push(&mut self, dimension: u32, value: ValueRef<'_>) {
        let start = self.bytes.len();
        value::encode(value, &mut self.bytes);
        self.cells.push(Cell { dimension, len: (self.bytes.len() - start) as u32 });
    }

    /// Adds a value whose payload has `len` bytes to the last record, or puts it in `long`.
    #[inline]
    pub(super) fn add<'v>(
        &mut self,
        dimension: usize,
        (value, len): (StoredValue<'v>, usize),
        long: &mut Vec<StoredValue<'v>>,
    ) {
        if len <= BATCH_VALUE_LEN_MAX {
            self.push(dimension as u32, value.as_ref().canonical());
        } else {
            long.push(value);
            self.cells.push(Cell { dimension: dimension as u32, len: LONG });
        }
    }

    /// Makes a value that the last record has of a dimension count no more.
    pub(super) fn replace(&mut self, dimension: usize) {
        let cells = self.cells.get_mut(self.last.0..).unwrap_or_default();
        for cell in cells.iter_mut().filter(|cell| cell.dimension == dimension as u32) {
            cell.dimension = REPLACED;
        }
    }

    /// All cells that count, and those that stand for long values.
    pub(super) fn cells(&self) -> impl Iterator<Item = BatchCell<'_>> {
        let mut rest = &*self.bytes;
        self.cells.iter().filter_map(move |&Cell { dimension, len }| {
            let tagged = if len == LONG { None } else { rest.split_off(..len as usize) };
            match (dimension, tagged) {
                (REPLACED, Some(_)) => None,
                (REPLACED, None) => Some(BatchCell::Long(None)),
                (KEY, tagged) => Some(BatchCell::Key(tagged.unwrap_or_default())),
                (dimension, Some(tagged)) => Some(BatchCell::Value(dimension as usize, tagged)),
                (dimension, None) => Some(BatchCell::Long(Some(dimension as usize))),
            }
        })
    }
}
