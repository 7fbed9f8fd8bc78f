//! Segments as scans hand them out: typed cells, and which slots they belong to.

use super::block_file::BlockFile;
use super::cells::{Cells, SegmentSummary, SegmentView};
use super::kernels::Histogram;
use crate::error::Result;
use crate::format::Invalid;
use crate::format::column::SEGMENT_LEN;
use crate::model::{Slot, ValueRef};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The values of up to 65,536 consecutive slots of a dimension: which slots have one, and the values of these in slot
/// order.
///
/// Borrowed from the mapped file where nothing changed the segment since its file was written; put together from file,
/// patches and overlay otherwise. Got from [`Dimension::segments`](crate::Dimension::segments).
#[derive(Clone, Debug)]
pub struct Segment<'s> {
    pub(super) first: u32,
    pub(super) slot_count: u32,
    pub(super) value_count: u32,
    pub(super) presence: SegmentPresence<'s>,
    pub(super) values: SegmentValues<'s>,
    /// Where the segment is as its file has it.
    pub(super) summary: Option<SegmentSummary>,
}

/// Which slots of a [`Segment`] have a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SegmentPresence<'s> {
    /// None of them.
    None,
    /// All of them.
    All,
    /// For each 64 slots two words: a bit for each slot that has one, the lowest for the first; and the number of bits
    /// that are set in the words before.
    Bitmap(Cow<'s, [[u64; 2]]>),
    /// These offsets from the segment's first slot, ascending.
    Sorted(Cow<'s, [u16]>),
}

/// The values of a [`Segment`]: one for each slot that has one, in slot order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SegmentValues<'s> {
    /// All values are this one.
    Constant(ValueRef<'s>),
    /// Integers.
    I64(Cow<'s, [i64]>),
    /// Integers, some of which may need the 64th bit.
    U64(Cow<'s, [u64]>),
    /// Floats.
    F64(Cow<'s, [f64]>),
    /// Numbers of values in a dictionary of at most 256.
    Dictionary8(Cow<'s, [u8]>, Dictionary<'s>),
    /// Numbers of values in a dictionary of at most 65,536.
    Dictionary16(Cow<'s, [u16]>, Dictionary<'s>),
    /// Values of any types, one by one.
    Values(CellValues<'s>),
}

/// The distinct values that the numbers of a [`Segment`] stand for.
///
/// Numbers below [`shared_len`](Self::shared_len) stand for the same value in every segment of the dimension. Those
/// from there on are of values that are not in the column file, and stand for other values in other segments.
#[derive(Clone)]
pub struct Dictionary<'s> {
    pub(super) file: &'s BlockFile,
    pub(super) cells: &'s Cells,
    pub(super) shared_len: usize,
    pub(super) others: Vec<ValueRef<'s>>,
}

/// Values that are read one by one: text, bytes, nested values, and values of several types.
#[derive(Clone)]
pub struct CellValues<'s>(pub(super) CellSource<'s>);

#[derive(Clone)]
pub(super) enum CellSource<'s> {
    File { file: &'s BlockFile, cells: &'s Cells, segment: SegmentView },
    Memory(Vec<ValueRef<'s>>),
}

impl fmt::Debug for Dictionary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared_len;
        f.debug_struct("Dictionary").field("len", &self.len()).field("shared_len", &shared).finish_non_exhaustive()
    }
}

impl fmt::Debug for CellValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellValues").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<'s> Dictionary<'s> {
    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared_len + self.others.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers below this stand for the same value in every segment.
    #[must_use]
    pub fn shared_len(&self) -> usize {
        self.shared_len
    }

    /// The value of a number. O(1).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of the value are damaged, or there is no such number.
    pub fn get(&self, number: usize) -> Result<ValueRef<'s>> {
        match number.checked_sub(self.shared_len) {
            None => self.cells.entry(self.file, number),
            Some(other) => self.others.get(other).copied().ok_or_else(|| self.past_the_end()),
        }
    }

    #[cold]
    pub(super) fn past_the_end(&self) -> crate::error::Error {
        self.file.corrupt(Invalid::new(0, "cells", "a number past the end of the dictionary"))
    }

    /// How many cells have each number.
    pub(super) fn count<N: Copy + Into<usize>>(&self, numbers: &[N]) -> Result<Vec<u32>> {
        let mut histogram = Histogram::new(self.len());
        if histogram.add(numbers) { Ok(histogram.counts()) } else { Err(self.past_the_end()) }
    }
}

impl<'s> CellValues<'s> {
    pub(super) const fn none() -> Self {
        Self(CellSource::Memory(Vec::new()))
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            CellSource::File { segment, .. } => segment.present_count as usize,
            CellSource::Memory(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a position among the segment's values. O(1).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of the value are damaged.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Result<ValueRef<'s>> {
        assert!(index < self.len(), "value {index} of {}", self.len());
        match &self.0 {
            CellSource::File { file, cells, segment } => cells.cell(file, segment, index as u32),
            CellSource::Memory(values) => Ok(values[index]),
        }
    }

    /// Asks for the contents of values that will be read soon.
    pub(super) fn prefetch(&self, indexes: Range<usize>) {
        if let CellSource::File { file, cells, segment } = &self.0 {
            let end = indexes.end.min(self.len());
            (indexes.start..end).for_each(|index| cells.prefetch_content(file, segment, index as u32));
        }
    }
}

impl<'s> Segment<'s> {
    /// Slots of a segment, but for the last one of a dimension, which may have fewer.
    pub const SLOT_COUNT: usize = SEGMENT_LEN as usize;

    /// The first slot.
    #[must_use]
    pub const fn first_slot(&self) -> Slot {
        Slot(self.first)
    }

    /// The number of slots, free ones included.
    #[must_use]
    pub const fn slot_count(&self) -> usize {
        self.slot_count as usize
    }

    /// The number of slots that have a value; nulls are values.
    #[must_use]
    pub const fn value_count(&self) -> usize {
        self.value_count as usize
    }

    /// Whether the segment is as the column file has it, so that nothing was copied.
    #[must_use]
    pub const fn is_borrowed(&self) -> bool {
        self.summary.is_some()
    }

    /// Which slots have a value.
    #[must_use]
    pub const fn presence(&self) -> &SegmentPresence<'s> {
        &self.presence
    }

    /// The values, one for each slot that has one, in slot order.
    #[must_use]
    pub const fn values(&self) -> &SegmentValues<'s> {
        &self.values
    }

    /// The slots that have a value, ascending, as offsets from the first.
    #[must_use]
    pub fn offsets(&self) -> Offsets<'_> {
        Offsets(match &self.presence {
            SegmentPresence::None => Remaining::Range(0..0),
            SegmentPresence::All => Remaining::Range(0..self.slot_count),
            SegmentPresence::Bitmap(words) => Remaining::Words { words: words.iter(), start: 0, bits: 0 },
            SegmentPresence::Sorted(offsets) => Remaining::List(offsets.iter()),
        })
    }

    /// Where among the values the one of a slot is, given as offset from the first; `None` when it has none. O(1).
    #[must_use]
    pub fn index_of(&self, offset: u16) -> Option<usize> {
        match &self.presence {
            SegmentPresence::None => None,
            SegmentPresence::All => (u32::from(offset) < self.slot_count).then_some(offset.into()),
            SegmentPresence::Bitmap(words) => {
                let [bits, rank] = *words.get(usize::from(offset >> 6))?;
                let bit = 1u64 << (offset & 63);
                (bits & bit != 0).then(|| rank as usize + (bits & (bit - 1)).count_ones() as usize)
            }
            SegmentPresence::Sorted(offsets) => offsets.binary_search(&offset).ok(),
        }
    }

    /// The value at a position among the values. O(1).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of the value are damaged.
    ///
    /// # Panics
    /// When `index` is not below [`value_count`](Self::value_count).
    pub fn value(&self, index: usize) -> Result<ValueRef<'s>> {
        assert!(index < self.value_count(), "value {index} of {}", self.value_count());
        match &self.values {
            SegmentValues::Constant(value) => Ok(*value),
            SegmentValues::I64(values) => Ok(values[index].into()),
            SegmentValues::U64(values) => Ok(values[index].into()),
            SegmentValues::F64(values) => Ok(values[index].into()),
            SegmentValues::Dictionary8(numbers, dictionary) => dictionary.get(numbers[index].into()),
            SegmentValues::Dictionary16(numbers, dictionary) => dictionary.get(numbers[index].into()),
            SegmentValues::Values(values) => values.get(index),
        }
    }

    /// The slots that have a value, ascending, with it. An item is [`Error::Corrupt`](crate::Error::Corrupt) where the
    /// bytes of a value are damaged.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Slot, ValueRef<'s>)>> {
        let offsets = self.offsets().enumerate();
        offsets.map(|(index, offset)| Ok((Slot(self.first + u32::from(offset)), self.value(index)?)))
    }

    /// The number of values that are null. O(1) where the segment [is borrowed](Self::is_borrowed), else O(values).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn null_count(&self) -> Result<usize> {
        if let Some(summary) = &self.summary {
            return Ok(summary.null_count as usize);
        }
        match &self.values {
            SegmentValues::I64(_) | SegmentValues::U64(_) | SegmentValues::F64(_) => Ok(0),
            _ => {
                let mut count = 0;
                for index in 0..self.value_count() {
                    count += usize::from(self.value(index)?.is_null());
                }
                Ok(count)
            }
        }
    }

    /// How many slots before an offset have a value. O(1).
    pub(super) fn rank(&self, offset: u32) -> usize {
        match &self.presence {
            SegmentPresence::None => 0,
            SegmentPresence::All => offset.min(self.slot_count) as usize,
            SegmentPresence::Bitmap(words) => match words.get((offset >> 6) as usize) {
                Some([bits, rank]) => *rank as usize + (bits & ((1 << (offset & 63)) - 1)).count_ones() as usize,
                None => self.value_count(),
            },
            SegmentPresence::Sorted(offsets) => offsets.partition_point(|&before| u32::from(before) < offset),
        }
    }

    /// A bit for each slot that has a value.
    pub(super) fn bits(&self) -> Bits {
        let mut bits = [0; BIT_WORDS];
        match &self.presence {
            SegmentPresence::All => {
                let (whole, rest) = (self.slot_count as usize / 64, self.slot_count % 64);
                bits.iter_mut().take(whole).for_each(|word| *word = u64::MAX);
                if let Some(word) = bits.get_mut(whole) {
                    *word = (1 << rest) - 1;
                }
            }
            SegmentPresence::Bitmap(words) => {
                for (bits, [word, _]) in bits.iter_mut().zip(words.iter()) {
                    *bits = *word;
                }
            }
            _ => self.offsets().for_each(|offset| bits[usize::from(offset >> 6)] |= 1 << (offset & 63)),
        }
        bits
    }

    /// The positions among the values of those whose slot's bit is set, ascending, instead of what is in `out`.
    pub(super) fn positions_in(&self, bits: &Bits, out: &mut Vec<u16>) {
        out.clear();
        match &self.presence {
            SegmentPresence::None => {}
            SegmentPresence::All => {
                let words = self.bits().into_iter().zip(bits).zip((0u32..).step_by(64));
                words.for_each(|((present, bits), rank)| positions(present, rank, present & bits, out));
            }
            SegmentPresence::Bitmap(words) => {
                let words = words.iter().zip(bits);
                words.for_each(|([present, rank], bits)| positions(*present, *rank as u32, present & bits, out));
            }
            SegmentPresence::Sorted(offsets) => {
                let is_set = |offset: u16| bits[usize::from(offset >> 6)] & 1 << (offset & 63) != 0;
                let set = offsets.iter().enumerate().filter(|&(_, &offset)| is_set(offset));
                out.extend(set.map(|(position, _)| position as u16));
            }
        }
    }
}

/// Appends the positions of the chosen ones among the values of 64 slots, `rank` of which come before.
fn positions(present: u64, rank: u32, mut chosen: u64, out: &mut Vec<u16>) {
    while chosen != 0 {
        let below = (chosen & chosen.wrapping_neg()) - 1;
        out.push((rank + (present & below).count_ones()) as u16);
        chosen &= chosen - 1;
    }
}

const BIT_WORDS: usize = Segment::SLOT_COUNT / 64;

/// A bit for each slot of a segment.
pub(super) type Bits = [u64; BIT_WORDS];

/// Slots of a [`Segment`], as offsets from its first, ascending.
#[derive(Clone, Debug)]
pub struct Offsets<'a>(Remaining<'a>);

#[derive(Clone, Debug)]
enum Remaining<'a> {
    Range(std::ops::Range<u32>),
    Words {
        words: std::slice::Iter<'a, [u64; 2]>,
        /// The first offset behind the word that `bits` are left of.
        start: u32,
        bits: u64,
    },
    List(std::slice::Iter<'a, u16>),
}

impl Iterator for Offsets<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        match &mut self.0 {
            Remaining::Range(range) => range.next().map(|offset| offset as u16),
            Remaining::List(offsets) => offsets.next().copied(),
            Remaining::Words { words, start, bits } => {
                while *bits == 0 {
                    [*bits, _] = *words.next()?;
                    *start += 64;
                }
                let bit = bits.trailing_zeros();
                *bits &= *bits - 1;
                Some((*start - 64 + bit) as u16)
            }
        }
    }

    fn nth(&mut self, mut skipped: usize) -> Option<u16> {
        match &mut self.0 {
            Remaining::Range(range) => range.nth(skipped).map(|offset| offset as u16),
            Remaining::List(offsets) => offsets.nth(skipped).copied(),
            Remaining::Words { words, start, bits } => {
                while bits.count_ones() as usize <= skipped {
                    skipped -= bits.count_ones() as usize;
                    [*bits, _] = *words.next()?;
                    *start += 64;
                }
                (0..skipped).for_each(|_| *bits &= *bits - 1);
                self.next()
            }
        }
    }
}
