//! Sums and extremes of a dimension's numbers.

use super::kernels::{float_extremes, integer_extremes, sum_f64, sum_i64, sum_u64};
use super::numeric_order::compare_numbers;
use super::parallel;
use super::scan::Segments;
use super::segment::{Dictionary, Segment, SegmentValues};
use super::state::DimensionView;
use super::value_range::NUMBER_TYPES;
use crate::error::Result;
use crate::format::column::Statistics;
use crate::model::ValueRef;

/// The sum of the numbers of a dimension: of its integers, exactly, and of its floats. Got from
/// [`Dimension::sum`](crate::Dimension::sum).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sum {
    /// The integers' sum is `high` × 2^64 + `low`: 2^32 integers of 128 bits do not overflow the halves.
    high: i128,
    low: i128,
    /// Whether an integer of more than 128 bits is left out.
    incomplete: bool,
    integer_count: u64,
    floats: f64,
    float_count: u64,
}

impl Sum {
    pub(super) const ZERO: Self =
        Self { high: 0, low: 0, incomplete: false, integer_count: 0, floats: 0.0, float_count: 0 };

    /// The exact sum of the integers; `None` when it takes more than 128 bits, or one of the integers does.
    #[must_use]
    pub fn integers(&self) -> Option<i128> {
        let high = i64::try_from(self.high + (self.low >> 64)).ok().filter(|_| !self.incomplete)?;
        Some((i128::from(high) << 64) | (self.low & LOW_HALF))
    }

    /// How many integers there are.
    #[must_use]
    pub fn integer_count(&self) -> u64 {
        self.integer_count
    }

    /// The sum of the floats; NaN when one of them is, or when there are infinities of both signs. The floats of each
    /// segment of 65,536 slots are added in eight lanes, the n-th in slot order to lane n mod 8, then the lanes in
    /// pairs, then the segments in slot order: the same points give the same bits, however they are stored.
    #[must_use]
    pub fn floats(&self) -> f64 {
        self.floats
    }

    /// How many floats there are.
    #[must_use]
    pub fn float_count(&self) -> u64 {
        self.float_count
    }

    /// The sum of all numbers, rounded to a float; `None` when that of the integers is.
    #[must_use]
    pub fn to_f64(&self) -> Option<f64> {
        let integers = self.integers()? as f64;
        Some(if self.float_count == 0 { integers } else { integers + self.floats })
    }

    /// The mean of all numbers, rounded; `None` when the sum is.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        Some(self.to_f64()? / (self.integer_count + self.float_count) as f64)
    }

    /// The sum of integers within 64 bits.
    pub(super) fn of_integers(sum: i128, count: u32) -> Self {
        let mut total = Self::ZERO;
        total.add_sum(sum, count as usize);
        total
    }

    /// The sum of floats.
    pub(super) fn of_floats(floats: f64, count: u32) -> Self {
        Self { floats, float_count: count.into(), ..Self::ZERO }
    }

    /// Leaves out the sum of the floats, and returns it.
    pub(super) fn take_floats(&mut self) -> f64 {
        std::mem::take(&mut self.floats)
    }

    /// Adds a sum of floats that was left out.
    pub(super) fn put_floats(&mut self, floats: f64) {
        self.floats += floats;
    }

    /// `None` when there are no numbers.
    pub(super) fn if_any(self) -> Option<Self> {
        (self.integer_count + self.float_count > 0).then_some(self)
    }

    /// Adds a value, if it is a number.
    pub(super) fn add_number(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Int(int) => self.add_integers(int, 1),
            ValueRef::BigInt(_) => {
                self.incomplete = true;
                self.integer_count += 1;
            }
            ValueRef::Float(float) => {
                self.floats += float;
                self.float_count += 1;
            }
            _ => {}
        }
    }

    fn add_integers(&mut self, each: i128, count: u64) {
        self.high += (each >> 64) * i128::from(count);
        self.low += (each & LOW_HALF) * i128::from(count);
        self.integer_count += count;
    }

    /// Adds a sum of less than 128 bits.
    fn add_sum(&mut self, sum: i128, count: usize) {
        self.add_integers(sum, 1);
        self.integer_count += count as u64 - 1;
    }

    /// Adds the sum of a later segment.
    pub(super) fn merge(&mut self, other: &Self) {
        self.high += other.high;
        self.low += other.low;
        self.incomplete |= other.incomplete;
        self.integer_count += other.integer_count;
        if other.float_count > 0 {
            self.floats += other.floats;
            self.float_count += other.float_count;
        }
    }

    fn add_floats(&mut self, floats: &[f64]) {
        if !floats.is_empty() {
            self.floats += sum_f64(floats);
            self.float_count += floats.len() as u64;
        }
    }

    fn add_value(&mut self, value: ValueRef<'_>, floats: &mut Vec<f64>) {
        match value {
            ValueRef::Float(float) => floats.push(float),
            value => self.add_number(value),
        }
    }

    fn add(&mut self, segment: &Segment<'_>, floats: &mut Vec<f64>) -> Result<()> {
        floats.clear();
        match segment.values() {
            SegmentValues::I64(values) if !values.is_empty() => self.add_sum(sum_i64(values), values.len()),
            SegmentValues::U64(values) if !values.is_empty() => self.add_sum(sum_u64(values), values.len()),
            SegmentValues::F64(values) => self.add_floats(values),
            SegmentValues::Dictionary8(numbers, dictionary) => self.add_dictionary(numbers, dictionary, floats)?,
            SegmentValues::Dictionary16(numbers, dictionary) => self.add_dictionary(numbers, dictionary, floats)?,
            SegmentValues::Constant(ValueRef::Float(float)) => floats.resize(segment.value_count(), *float),
            SegmentValues::Constant(ValueRef::Int(int)) => self.add_integers(*int, segment.value_count() as u64),
            _ => {
                for index in 0..segment.value_count() {
                    self.add_value(segment.value(index)?, floats);
                }
            }
        }
        self.add_floats(floats);
        Ok(())
    }

    fn add_dictionary<N: Copy + Into<usize>>(
        &mut self,
        numbers: &[N],
        dictionary: &Dictionary<'_>,
        floats: &mut Vec<f64>,
    ) -> Result<()> {
        let mut table: Vec<Option<f64>> = Vec::with_capacity(dictionary.len());
        let mut is_mixed = false;
        for (number, count) in dictionary.count(numbers)?.into_iter().enumerate() {
            let value = if count > 0 { dictionary.get(number)? } else { ValueRef::Null };
            table.push(value.as_f64());
            is_mixed |= count > 0 && value.as_f64().is_none();
            match value {
                ValueRef::Int(int) => self.add_integers(int, count.into()),
                ValueRef::BigInt(_) => {
                    self.incomplete = true;
                    self.integer_count += u64::from(count);
                }
                _ => {}
            }
        }
        // In slot order, so that the sum does not depend on the encoding.
        if !is_mixed {
            let table: Vec<f64> = table.into_iter().map(Option::unwrap_or_default).collect();
            floats.extend(numbers.iter().map(|&number| table.get(number.into()).copied().unwrap_or_default()));
        } else if table.iter().any(Option::is_some) {
            floats.extend(numbers.iter().filter_map(|&number| table.get(number.into()).copied().flatten()));
        }
        Ok(())
    }
}

const LOW_HALF: i128 = u64::MAX as i128;

/// The least and the greatest number so far.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(super) struct Extremes<'s>(Option<(ValueRef<'s>, ValueRef<'s>)>);

impl<'s> Extremes<'s> {
    pub(super) const NONE: Self = Self(None);

    /// Of numbers that are not NaN.
    pub(super) const fn of(range: Option<(ValueRef<'s>, ValueRef<'s>)>) -> Self {
        Self(range)
    }

    /// The least and the greatest.
    pub(super) const fn range(&self) -> Option<(ValueRef<'s>, ValueRef<'s>)> {
        self.0
    }

    pub(super) fn add(&mut self, value: ValueRef<'s>) {
        let is_number = match value {
            ValueRef::Int(_) | ValueRef::BigInt(_) => true,
            ValueRef::Float(float) => !float.is_nan(),
            _ => false,
        };
        if !is_number {
            return;
        }
        let (least, greatest) = self.0.get_or_insert((value, value));
        if compare_numbers(value, *least).is_lt() {
            *least = value;
        }
        if compare_numbers(value, *greatest).is_gt() {
            *greatest = value;
        }
    }

    pub(super) fn add_range<T: Into<ValueRef<'s>>>(&mut self, range: Option<(T, T)>) {
        if let Some((least, greatest)) = range {
            self.add(least.into());
            self.add(greatest.into());
        }
    }

    fn add_dictionary<N: Copy + Into<usize>>(&mut self, numbers: &[N], dictionary: &Dictionary<'s>) -> Result<()> {
        let counts = dictionary.count(numbers)?;
        for (number, _) in counts.into_iter().enumerate().filter(|&(_, count)| count > 0) {
            self.add(dictionary.get(number)?);
        }
        Ok(())
    }

    /// Adds what the descriptor of a segment states, and what was changed since. Returns false, and adds nothing, where the descriptor
    /// does not state extremes, or where a value that is one of them was changed.
    fn add_stated(&mut self, segments: &Segments<'s>, number: usize) -> Result<bool> {
        let Some((base, summary)) = segments.stated(number)? else { return Ok(false) };
        let stated: Option<(ValueRef<'s>, ValueRef<'s>)> = match summary.statistics {
            Statistics::I64(least, greatest) => Some((least.into(), greatest.into())),
            Statistics::U64(least, greatest) => Some((least.into(), greatest.into())),
            Statistics::F64(least, greatest) => Some((least.into(), greatest.into())),
            Statistics::None if summary.value_types & NUMBER_TYPES == 0 => None,
            Statistics::None => return Ok(false),
        };
        let mut values = Vec::new();
        for slot in segments.touched_slots(number)? {
            let before = base.get(slot.0)?;
            if before.zip(stated).is_some_and(|(before, (least, greatest))| before == least || before == greatest) {
                return Ok(false);
            }
            values.extend(segments.view.get_through_tiers(slot.0)?);
        }
        self.add_range(stated);
        values.into_iter().for_each(|value| self.add(value.canonical()));
        Ok(true)
    }

    fn add_segment(&mut self, segment: &Segment<'s>) -> Result<()> {
        match segment.values() {
            SegmentValues::Constant(value) => self.add(*value),
            SegmentValues::I64(values) => self.add_range(integer_extremes(values)),
            SegmentValues::U64(values) => self.add_range(integer_extremes(values)),
            SegmentValues::F64(values) => self.add_range(float_extremes(values)),
            SegmentValues::Dictionary8(numbers, dictionary) => self.add_dictionary(numbers, dictionary)?,
            SegmentValues::Dictionary16(numbers, dictionary) => self.add_dictionary(numbers, dictionary)?,
            SegmentValues::Values(values) => {
                for index in 0..values.len() {
                    self.add(values.get(index)?);
                }
            }
        }
        Ok(())
    }
}

impl<'s> DimensionView<'s> {
    pub(crate) fn sum(self, threads: usize) -> Result<Option<Sum>> {
        let segments = Segments::of(self);
        let start = || (Vec::new(), Vec::new());
        let sums = parallel::for_each(threads, segments.end, start, |(sums, floats), number| {
            let mut sum = Sum::ZERO;
            sum.add(&segments.read(number)?, floats)?;
            sums.push((number, sum));
            Ok(())
        })?;
        let mut sums: Vec<(usize, Sum)> = sums.into_iter().flat_map(|(sums, _)| sums).collect();
        sums.sort_unstable_by_key(|&(number, _)| number);
        let mut total = Sum::ZERO;
        sums.iter().for_each(|(_, sum)| total.merge(sum));
        Ok(total.if_any())
    }

    /// The least and the greatest number.
    pub(crate) fn extremes(self, threads: usize) -> Result<Option<(ValueRef<'s>, ValueRef<'s>)>> {
        let segments = Segments::of(self);
        let found = parallel::for_each(threads, segments.end, Extremes::default, |extremes, number| {
            if !extremes.add_stated(&segments, number)? {
                extremes.add_segment(&segments.read(number)?)?;
            }
            Ok(())
        })?;
        let mut extremes = Extremes::default();
        found.into_iter().for_each(|found| extremes.add_range(found.range()));
        Ok(extremes.range())
    }
}
