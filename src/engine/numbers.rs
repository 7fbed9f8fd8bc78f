//! Sums and extremes of a dimension's numbers.

use super::numeric_order::compare_numbers;
use super::scan::Segments;
use super::segment::{Dictionary, Segment, SegmentValues};
use super::state::DimensionView;
use crate::error::Result;
use crate::format::column::Statistics;
use crate::format::value::{TAG_BIG_INT, TAG_FLOAT, TAG_INT, TAG_UINT};
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
    const ZERO: Self = Self { high: 0, low: 0, incomplete: false, integer_count: 0, floats: 0.0, float_count: 0 };

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

    fn add_floats(&mut self, floats: &[f64]) {
        if !floats.is_empty() {
            self.floats += sum_floats(floats);
            self.float_count += floats.len() as u64;
        }
    }

    fn add_value(&mut self, value: ValueRef<'_>, floats: &mut Vec<f64>) {
        match value {
            ValueRef::Int(int) => self.add_integers(int, 1),
            ValueRef::BigInt(_) => {
                self.incomplete = true;
                self.integer_count += 1;
            }
            ValueRef::Float(float) => floats.push(float),
            _ => {}
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
        for (number, count) in dictionary.count(numbers)?.into_iter().enumerate() {
            let value = if count > 0 { dictionary.get(number)? } else { ValueRef::Null };
            table.push(value.as_f64());
            match value {
                ValueRef::Int(int) => self.add_integers(int, count.into()),
                ValueRef::BigInt(_) => {
                    self.incomplete = true;
                    self.integer_count += u64::from(count);
                }
                _ => {}
            }
        }
        if table.iter().any(Option::is_some) {
            // In slot order, so that the sum does not depend on the encoding.
            floats.extend(numbers.iter().filter_map(|&number| table.get(number.into()).copied().flatten()));
        }
        Ok(())
    }
}

const LOW_HALF: i128 = u64::MAX as i128;

/// In halves that do not overflow for as many as a segment has, and that are added several at once.
fn sum_i64(values: &[i64]) -> i128 {
    let (mut high, mut low) = (0i64, 0u64);
    for &value in values {
        high += value >> 32;
        low += u64::from(value as u32);
    }
    (i128::from(high) << 32) + i128::from(low)
}

fn sum_u64(values: &[u64]) -> i128 {
    let (mut high, mut low) = (0u64, 0u64);
    for &value in values {
        high += value >> 32;
        low += u64::from(value as u32);
    }
    (i128::from(high) << 32) + i128::from(low)
}

const LANES: usize = 8;

fn sum_floats(floats: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (rows, rest) = floats.as_chunks::<LANES>();
    for row in rows {
        for (lane, &float) in lanes.iter_mut().zip(row) {
            *lane += float;
        }
    }
    for (lane, &float) in lanes.iter_mut().zip(rest) {
        *lane += float;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The least and the greatest number so far.
#[derive(Clone, Copy, Default, Debug)]
struct Extremes<'s>(Option<(ValueRef<'s>, ValueRef<'s>)>);

impl<'s> Extremes<'s> {
    fn add(&mut self, value: ValueRef<'s>) {
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

    fn add_range<T: Into<ValueRef<'s>>>(&mut self, range: Option<(T, T)>) {
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

    fn add_segment(&mut self, segment: &Segment<'s>) -> Result<()> {
        match segment.values() {
            SegmentValues::Constant(value) => self.add(*value),
            SegmentValues::I64(values) => self.add_range(range(values)),
            SegmentValues::U64(values) => self.add_range(range(values)),
            SegmentValues::F64(values) => self.add_range(float_range(values)),
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

fn range<T: Copy + Ord>(values: &[T]) -> Option<(T, T)> {
    let first = *values.first()?;
    Some(values.iter().fold((first, first), |(least, greatest), &value| (least.min(value), greatest.max(value))))
}

/// In IEEE 754's total order, without NaNs. The order of floats is that of the integers that [`total_key`] makes of
/// them.
fn float_range(values: &[f64]) -> Option<(f64, f64)> {
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for &value in values {
        let key = total_key(value.to_bits().cast_signed());
        least = least.min(if value.is_nan() { i64::MAX } else { key });
        greatest = greatest.max(if value.is_nan() { i64::MIN } else { key });
    }
    let float = |key| f64::from_bits(total_key(key).cast_unsigned());
    (least <= greatest).then(|| (float(least), float(greatest)))
}

/// Flips the bits behind the sign of negative floats; its own inverse.
const fn total_key(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

impl<'s> DimensionView<'s> {
    pub(crate) fn sum(self) -> Result<Option<Sum>> {
        let (mut sum, mut floats) = (Sum::ZERO, Vec::new());
        for segment in Segments::of(self) {
            sum.add(&segment?, &mut floats)?;
        }
        Ok((sum.integer_count + sum.float_count > 0).then_some(sum))
    }

    /// The least and the greatest number.
    pub(crate) fn extremes(self) -> Result<Option<(ValueRef<'s>, ValueRef<'s>)>> {
        let mut extremes = Extremes::default();
        let segments = Segments::of(self);
        for number in 0..segments.end {
            let untouched = segments.untouched(number)?;
            match untouched.map(|untouched| (untouched.summary.statistics, untouched.summary.value_types)) {
                Some((Statistics::I64(least, greatest), _)) => extremes.add_range(Some((least, greatest))),
                Some((Statistics::U64(least, greatest), _)) => extremes.add_range(Some((least, greatest))),
                Some((Statistics::F64(least, greatest), _)) => extremes.add_range(Some((least, greatest))),
                Some((Statistics::None, types)) if types & NUMBER_TYPES == 0 => {}
                _ => extremes.add_segment(&segments.read(number)?)?,
            }
        }
        Ok(extremes.0)
    }
}

const NUMBER_TYPES: u16 = 1 << TAG_INT | 1 << TAG_UINT | 1 << TAG_BIG_INT | 1 << TAG_FLOAT;
