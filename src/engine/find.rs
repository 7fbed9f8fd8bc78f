//! From a value to the points that have it.

use super::scan::{Segments, Untouched};
use super::segment::{Dictionary, Segment, SegmentValues};
use super::state::DimensionView;
use crate::error::Result;
use crate::format::column::Statistics;
use crate::format::value;
use crate::model::{Slot, ValueBuf, ValueRef};
use std::fmt;

/// The slots of the points that have a value, ascending; got from [`Dimension::find`](crate::Dimension::find). Reads a
/// segment when the slots of the one before are used up. An item is [`Error::Corrupt`](crate::Error::Corrupt) where a
/// segment is damaged; the iterator goes on behind it.
#[derive(Clone)]
pub struct Find<'s> {
    segments: Segments<'s>,
    value: ValueBuf,
    /// Its number in the column file's dictionary, if there is one that has it.
    number: Option<u32>,
    first: u32,
    /// What was found in the segment that begins there, and how many of these were handed out.
    offsets: Vec<u16>,
    used: usize,
}

impl fmt::Debug for Find<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find").field("value", &self.value).field("segments", &self.segments).finish_non_exhaustive()
    }
}

impl<'s> DimensionView<'s> {
    pub(crate) fn find(self, value: ValueRef<'_>) -> Result<Find<'s>> {
        let (segments, value) = (Segments::of(self), value.to_buf());
        let number = match segments.base() {
            Some(base) if base.resolve()?.1.has_dictionary() => base.find(value.as_ref())?,
            _ => None,
        };
        Ok(Find { segments, value, number, first: 0, offsets: Vec::new(), used: 0 })
    }
}

impl Iterator for Find<'_> {
    type Item = Result<Slot>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(&offset) = self.offsets.get(self.used) {
                self.used += 1;
                return Some(Ok(Slot(self.first + u32::from(offset))));
            }
            self.offsets.clear();
            self.used = 0;
            if self.segments.next >= self.segments.end {
                return None;
            }
            let number = self.segments.next;
            self.segments.next += 1;
            if let Err(error) = self.search(number) {
                self.offsets.clear();
                return Some(Err(error));
            }
        }
    }
}

impl Find<'_> {
    fn search(&mut self, number: usize) -> Result<()> {
        if let Some(untouched) = self.segments.untouched(number)?
            && !self.may_hold(&untouched)?
        {
            return Ok(());
        }
        let segment = self.segments.read(number)?;
        self.first = segment.first;
        let value = self.value.as_ref();
        let out = &mut self.offsets;
        match &segment.values {
            SegmentValues::Constant(constant) if *constant == value => out.extend(segment.offsets()),
            SegmentValues::Constant(_) => {}
            SegmentValues::I64(cells) => match_all(&segment, cells, value.as_i64(), out),
            SegmentValues::U64(cells) => match_all(&segment, cells, value.as_u64(), out),
            SegmentValues::F64(cells) => {
                let bits: &[u64] = bytemuck::must_cast_slice(cells);
                match_all(&segment, bits, value.as_f64().map(f64::to_bits), out);
            }
            SegmentValues::Dictionary8(numbers, dictionary) => {
                let number = number_in(self.number, value, dictionary).and_then(|number| u8::try_from(number).ok());
                match_all(&segment, numbers, number, out);
            }
            SegmentValues::Dictionary16(numbers, dictionary) => {
                let number = number_in(self.number, value, dictionary).and_then(|number| u16::try_from(number).ok());
                match_all(&segment, numbers, number, out);
            }
            SegmentValues::Values(cells) => {
                for (index, offset) in segment.offsets().enumerate() {
                    if cells.get(index)? == value {
                        out.push(offset);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a segment of the column file may have the value, by its descriptor.
    fn may_hold(&self, untouched: &Untouched<'_>) -> Result<bool> {
        let (segment, summary) = (untouched.segment, untouched.summary);
        let value = self.value.as_ref();
        if segment.present_count == 0 || summary.value_types & (1 << value::tag(value)) == 0 {
            return Ok(false);
        }
        if segment.encoding.is_dictionary() && self.number.is_none() {
            return Ok(false);
        }
        Ok(match (summary.statistics, value) {
            (Statistics::I64(minimum, maximum), ValueRef::Int(int)) => (minimum.into()..=maximum.into()).contains(&int),
            (Statistics::U64(minimum, maximum), ValueRef::Int(int)) => (minimum.into()..=maximum.into()).contains(&int),
            (Statistics::F64(minimum, maximum), ValueRef::Float(float)) if !float.is_nan() => {
                minimum.total_cmp(&float).is_le() && maximum.total_cmp(&float).is_ge()
            }
            (_, ValueRef::Float(float)) if float.is_nan() => summary.has_nan,
            _ => true,
        })
    }
}

/// The number of a value in a segment's dictionary, given that in the column file's.
fn number_in(shared: Option<u32>, value: ValueRef<'_>, dictionary: &Dictionary<'_>) -> Option<usize> {
    let other = || Some(dictionary.shared_len() + dictionary.others.iter().position(|&other| other == value)?);
    shared.map(|number| number as usize).or_else(other)
}

/// Values that are compared at a time.
const STEP: usize = 128;

/// Appends the offsets of the cells that are equal to `wanted`.
fn match_all<T: Copy + PartialEq>(segment: &Segment<'_>, cells: &[T], wanted: Option<T>, out: &mut Vec<u16>) {
    let Some(wanted) = wanted else { return };
    let mut offsets = segment.offsets();
    let mut behind = 0;
    for (step, cells) in cells.chunks(STEP).enumerate() {
        // Without a branch for each cell, so that the compiler compares several at once.
        if !cells.iter().fold(false, |any, &cell| any | (cell == wanted)) {
            continue;
        }
        for (index, _) in cells.iter().enumerate().filter(|&(_, &cell)| cell == wanted) {
            let index = step * STEP + index;
            out.extend(offsets.nth(index - behind));
            behind = index + 1;
        }
    }
}
