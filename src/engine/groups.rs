//! Numbering the distinct values of a dimension while it is scanned.

use super::segment::{Dictionary, Segment, SegmentValues};
use crate::error::Result;
use crate::model::ValueRef;
use std::collections::HashMap;

/// Values in the order in which a scan first met them.
#[derive(Default)]
pub(super) struct Groups<'s> {
    values: Vec<ValueRef<'s>>,
    by_value: HashMap<ValueRef<'s>, u32>,
    /// For the numbers of the column file's dictionary, once met; [`UNKNOWN`] else.
    by_number: Vec<u32>,
    /// The same for a segment's dictionary.
    translation: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl<'s> Groups<'s> {
    pub(super) fn values(&self) -> &[ValueRef<'s>] {
        &self.values
    }

    pub(super) fn number(&mut self, value: ValueRef<'s>) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.by_value.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }

    /// The number of each value of a segment, in order.
    pub(super) fn numbers(&mut self, segment: &Segment<'s>, out: &mut Vec<u32>) -> Result<()> {
        out.clear();
        match segment.values() {
            SegmentValues::Constant(value) => {
                let number = self.number(*value);
                out.resize(segment.value_count(), number);
            }
            SegmentValues::Dictionary8(numbers, dictionary) => self.translate(numbers, dictionary, out)?,
            SegmentValues::Dictionary16(numbers, dictionary) => self.translate(numbers, dictionary, out)?,
            _ => {
                for index in 0..segment.value_count() {
                    let value = segment.value(index)?;
                    out.push(self.number(value));
                }
            }
        }
        Ok(())
    }

    fn translate<N: Copy + Into<usize>>(
        &mut self,
        numbers: &[N],
        dictionary: &Dictionary<'s>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        self.count(numbers, dictionary, |_, _| {})?;
        out.extend(numbers.iter().map(|&number| self.translation.get(number.into()).copied().unwrap_or(UNKNOWN)));
        Ok(())
    }

    /// Calls `each` with the numbers of a segment's distinct values, and how many values have each.
    pub(super) fn counts(&mut self, segment: &Segment<'s>, mut each: impl FnMut(u32, u32)) -> Result<()> {
        match segment.values() {
            SegmentValues::Constant(value) => each(self.number(*value), segment.value_count),
            SegmentValues::Dictionary8(numbers, dictionary) => self.count(numbers, dictionary, each)?,
            SegmentValues::Dictionary16(numbers, dictionary) => self.count(numbers, dictionary, each)?,
            _ => {
                for index in 0..segment.value_count() {
                    let value = segment.value(index)?;
                    each(self.number(value), 1);
                }
            }
        }
        Ok(())
    }

    /// The same for cells of a dictionary, whose translation it leaves behind.
    fn count<N: Copy + Into<usize>>(
        &mut self,
        numbers: &[N],
        dictionary: &Dictionary<'s>,
        mut each: impl FnMut(u32, u32),
    ) -> Result<()> {
        self.by_number.resize(dictionary.shared_len(), UNKNOWN);
        self.translation.clear();
        for (number, count) in dictionary.count(numbers)?.into_iter().enumerate() {
            let mut group = self.by_number.get(number).copied().unwrap_or(UNKNOWN);
            if count > 0 && group == UNKNOWN {
                group = self.number(dictionary.get(number)?);
                if let Some(known) = self.by_number.get_mut(number) {
                    *known = group;
                }
            }
            if count > 0 {
                each(group, count);
            }
            self.translation.push(group);
        }
        Ok(())
    }
}
