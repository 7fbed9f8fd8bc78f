//! Sums and extremes of one dimension's numbers by the values of another.

use super::groups::Groups;
use super::numbers::{Extremes, Sum};
use super::parallel;
use super::scan::Segments;
use super::segment::{Dictionary, Segment, SegmentValues};
use super::state::DimensionView;
use crate::error::Result;
use crate::model::ValueRef;
use std::borrow::Cow;

/// What is known of the values of a group of points: how many there are, and of the numbers among them the sum, the least and the
/// greatest. Got from [`Dimension::aggregate_by`](crate::Dimension::aggregate_by).
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregates<'s> {
    points: u64,
    sum: Sum,
    extremes: Extremes<'s>,
}

impl<'s> Aggregates<'s> {
    const NONE: Self = Self { points: 0, sum: Sum::ZERO, extremes: Extremes::NONE };

    /// The number of points that have a value.
    #[must_use]
    pub fn point_count(&self) -> u64 {
        self.points
    }

    /// The sum of all numbers, as of [`Dimension::sum`](crate::Dimension::sum), but that floats are added in the order of slots within
    /// each segment of 65,536 slots; `None` when there are none.
    #[must_use]
    pub fn sum(&self) -> Option<Sum> {
        self.sum.if_any()
    }

    /// The mean of all numbers, rounded; `None` when there are none, or the sum is not known.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.sum()?.mean()
    }

    /// The least and the greatest number, as of [`Dimension::min_max`](crate::Dimension::min_max); `None` when there are none.
    #[must_use]
    pub fn min_max(&self) -> Option<(ValueRef<'s>, ValueRef<'s>)> {
        self.extremes.range()
    }

    fn add(&mut self, value: ValueRef<'s>) {
        self.points += 1;
        self.sum.add_number(value);
        self.extremes.add(value);
    }

    /// Adds those of later segments.
    fn merge(&mut self, other: &Self) {
        self.points += other.points;
        self.sum.merge(&other.sum);
        self.extremes.add_range(other.extremes.range());
    }
}

/// A value of the dimension that points are grouped by, and what is known of the group.
pub type GroupAggregates<'s> = (ValueRef<'s>, Aggregates<'s>);

impl<'s> DimensionView<'s> {
    /// The aggregates of this dimension for each value of another, in the order of these.
    pub(crate) fn aggregate_by(self, by: Self, threads: usize) -> Result<Vec<GroupAggregates<'s>>> {
        self.check_same_snapshot(by)?;
        let (these, others) = (Segments::of(self), Segments::of(by));
        let start = || Part { is_alone: threads <= 1, ..Part::default() };
        let parts = parallel::for_each(threads, these.end, start, |part, number| {
            part.add(number, &these.read(number)?, &others.read(number)?)
        })?;
        Ok(Part::finish(parts))
    }
}

/// What one thread has found, by group.
#[derive(Default)]
struct Part<'s> {
    /// Whether there is no other thread.
    is_alone: bool,
    groups: Groups<'s>,
    integers: Vec<Accumulator<i64>>,
    floats: Vec<Accumulator<f64>>,
    values: Vec<Aggregates<'s>>,
    /// The floats' sums of whole segments.
    float_sums: Vec<f64>,
    /// Where other threads have some segments: number of segment, group, and sum of its floats there, to be added in the order of segments.
    apart: Vec<(usize, u32, f64)>,
    /// Whether a float is `-0.0`.
    has_negative_zero: bool,
    group_numbers: Vec<u32>,
    these_positions: Vec<u16>,
    other_positions: Vec<u16>,
}

impl<'s> Part<'s> {
    fn add(&mut self, number: usize, these: &Segment<'s>, others: &Segment<'s>) -> Result<()> {
        if these.value_count() == 0 || others.value_count() == 0 {
            return Ok(());
        }
        self.groups.numbers(others, &mut self.group_numbers)?;
        let whole = these.value_count() == these.slot_count() && others.value_count() == these.slot_count();
        if !whole {
            these.positions_in(&others.bits(), &mut self.these_positions);
            others.positions_in(&these.bits(), &mut self.other_positions);
            self.group_numbers = at(&self.group_numbers, Some(&self.other_positions)).into_owned();
        }
        let positions = (!whole).then_some(&*self.these_positions);
        let (groups, len) = (&*self.group_numbers, self.groups.values().len());
        match Cells::of(these)? {
            Cells::I64(cells) => accumulate(groups, &at(&cells, positions), len, &mut self.integers),
            Cells::F64(cells) => {
                let cells = at(&cells, positions);
                let before = self.has_negative_zero;
                self.has_negative_zero = accumulate_floats(groups, &cells, len, &mut self.floats, before);
            }
            Cells::Other => aggregate(groups, these, positions, len, &mut self.values)?,
        }
        self.end_segment(number);
        Ok(())
    }

    /// Puts the sums of a segment's floats to those of whole segments.
    fn end_segment(&mut self, number: usize) {
        let (groups, len) = (&*self.group_numbers, self.groups.values().len());
        self.float_sums.resize(len, 0.0);
        for_each_used(groups, len, |group| {
            let index = group as usize;
            let typed = self.floats.get_mut(index).map(|floats| std::mem::take(&mut floats.sum));
            let other = self.values.get_mut(index).map(|values| values.sum.take_floats());
            let sum = typed.unwrap_or_default() + other.unwrap_or_default();
            if !self.is_alone && sum != 0.0 {
                self.apart.push((number, group, sum));
            } else if let Some(total) = self.float_sums.get_mut(index) {
                *total += sum;
            }
        });
    }

    fn finish(parts: Vec<Self>) -> Vec<GroupAggregates<'s>> {
        let mut groups = Groups::default();
        let mut totals: Vec<Aggregates<'s>> = Vec::new();
        let mut apart = Vec::new();
        for part in parts {
            let numbers: Vec<u32> = part.groups.values().iter().map(|&value| groups.number(value)).collect();
            totals.resize(groups.values().len(), Aggregates::NONE);
            for (index, &group) in numbers.iter().enumerate() {
                if let Some(total) = totals.get_mut(group as usize) {
                    part.integers.get(index).into_iter().for_each(|integers| total.merge(&integers.aggregates()));
                    part.floats.get(index).into_iter().for_each(|floats| total.merge(&floats.aggregates()));
                    part.values.get(index).into_iter().for_each(|values| total.merge(values));
                    part.float_sums.get(index).into_iter().for_each(|&sum| total.sum.put_floats(sum));
                }
            }
            let known = |group: u32| numbers.get(group as usize).copied();
            apart
                .extend(part.apart.into_iter().filter_map(|(segment, group, sum)| Some((segment, known(group)?, sum))));
        }
        apart.sort_unstable_by_key(|&(segment, group, _)| (segment, group));
        for (_, group, sum) in apart {
            if let Some(total) = totals.get_mut(group as usize) {
                total.sum.put_floats(sum);
            }
        }
        let rows = groups.values().iter().copied().zip(totals).filter(|(_, total)| total.points > 0);
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by_key(|&(value, _)| value);
        rows
    }
}

/// The numbers of a segment as cells of one type, where they have one.
enum Cells<'a> {
    I64(Cow<'a, [i64]>),
    F64(Cow<'a, [f64]>),
    Other,
}

impl<'a> Cells<'a> {
    fn of(segment: &'a Segment<'_>) -> Result<Self> {
        Ok(match &segment.values {
            SegmentValues::I64(cells) => Self::I64(Cow::Borrowed(cells)),
            SegmentValues::F64(cells) => Self::F64(Cow::Borrowed(cells)),
            SegmentValues::Dictionary8(numbers, dictionary) => Self::translated(numbers, dictionary)?,
            SegmentValues::Dictionary16(numbers, dictionary) => Self::translated(numbers, dictionary)?,
            _ => Self::Other,
        })
    }

    fn translated<N: Copy + Into<usize>>(numbers: &[N], dictionary: &Dictionary<'_>) -> Result<Self> {
        let counts = dictionary.count(numbers)?;
        let used = |number: usize| counts.get(number).is_some_and(|&count| count > 0);
        // What is not used has no part in it.
        let entry = |number| if used(number) { dictionary.get(number).map(Some) } else { Ok(None) };
        let entries = (0..dictionary.len()).map(entry).collect::<Result<Vec<_>>>()?;
        let all = |is: fn(ValueRef<'_>) -> bool| entries.iter().flatten().all(|&value| is(value));
        if all(|value| value.as_i64().is_some()) {
            return Ok(Self::I64(translate(numbers, &entries, |value| value.as_i64().unwrap_or_default()).into()));
        }
        if all(|value| value.as_f64().is_some()) {
            return Ok(Self::F64(translate(numbers, &entries, |value| value.as_f64().unwrap_or_default()).into()));
        }
        Ok(Self::Other)
    }
}

fn translate<T: Copy + Default, N: Copy + Into<usize>>(
    numbers: &[N],
    entries: &[Option<ValueRef<'_>>],
    cell: impl Fn(ValueRef<'_>) -> T,
) -> Vec<T> {
    let table: Vec<T> = entries.iter().map(|entry| entry.map(&cell).unwrap_or_default()).collect();
    numbers.iter().map(|&number| table.get(number.into()).copied().unwrap_or_default()).collect()
}

/// The cells at some positions, or all.
fn at<'a, T: Copy>(cells: &'a [T], positions: Option<&[u16]>) -> Cow<'a, [T]> {
    match positions {
        None => Cow::Borrowed(cells),
        Some(positions) => positions.iter().filter_map(|&at| cells.get(usize::from(at)).copied()).collect(),
    }
}

/// Count, sum and extremes of the cells of one group.
#[derive(Clone, Copy)]
struct Accumulator<T: Cell> {
    count: u32,
    least: T,
    greatest: T,
    /// Of floats only those of one segment.
    sum: T::Sum,
}

/// A type of cells.
trait Cell: Copy {
    type Sum: Copy + Default;

    /// What is beyond all others: the least and the greatest of none.
    const BEYOND: (Self, Self);

    fn add(self, to: Self::Sum) -> Self::Sum;

    fn lower(self, than: Self) -> Self;

    fn higher(self, than: Self) -> Self;
}

impl Cell for i64 {
    type Sum = i128;

    const BEYOND: (Self, Self) = (Self::MAX, Self::MIN);

    fn add(self, to: i128) -> i128 {
        to + i128::from(self)
    }

    fn lower(self, than: Self) -> Self {
        self.min(than)
    }

    fn higher(self, than: Self) -> Self {
        self.max(than)
    }
}

impl Cell for f64 {
    type Sum = f64;

    const BEYOND: (Self, Self) = (Self::INFINITY, Self::NEG_INFINITY);

    fn add(self, to: f64) -> f64 {
        to + self
    }

    // Nothing compares with NaN, so it is never taken.
    fn lower(self, than: Self) -> Self {
        if self < than { self } else { than }
    }

    fn higher(self, than: Self) -> Self {
        if self > than { self } else { than }
    }
}

impl<T: Cell> Accumulator<T> {
    fn none() -> Self {
        Self { count: 0, least: T::BEYOND.0, greatest: T::BEYOND.1, sum: T::Sum::default() }
    }
}

impl Accumulator<i64> {
    fn aggregates<'s>(&self) -> Aggregates<'s> {
        if self.count == 0 {
            return Aggregates::NONE;
        }
        let extremes = Extremes::of(Some((self.least.into(), self.greatest.into())));
        Aggregates { points: self.count.into(), sum: Sum::of_integers(self.sum, self.count), extremes }
    }
}

impl Accumulator<f64> {
    /// Without the sum, which is kept apart.
    fn aggregates<'s>(&self) -> Aggregates<'s> {
        let range = (self.least <= self.greatest).then(|| (self.least.into(), self.greatest.into()));
        Aggregates { points: self.count.into(), sum: Sum::of_floats(0.0, self.count), extremes: Extremes::of(range) }
    }
}

/// Adds each cell to the accumulator of its group. `len` is the number of groups.
fn accumulate<T: Cell>(groups: &[u32], cells: &[T], len: usize, accumulators: &mut Vec<Accumulator<T>>) {
    accumulators.resize_with(len, Accumulator::none);
    for (&group, &cell) in groups.iter().zip(cells) {
        let Some(accumulator) = accumulators.get_mut(group as usize) else { continue };
        accumulator.count += 1;
        accumulator.sum = cell.add(accumulator.sum);
        accumulator.least = cell.lower(accumulator.least);
        accumulator.greatest = cell.higher(accumulator.greatest);
    }
}

/// The same for floats, where zeros compare as equal: the least of them is `-0.0`, and the greatest `0.0`, where a group has one. Returns
/// whether there is a `-0.0`; `has_negative_zero` is whether there was one before.
fn accumulate_floats(
    groups: &[u32],
    cells: &[f64],
    len: usize,
    accumulators: &mut Vec<Accumulator<f64>>,
    has_negative_zero: bool,
) -> bool {
    accumulate(groups, cells, len, accumulators);
    let is_negative_zero = |cell: &f64| cell.to_bits() == (-0.0f64).to_bits();
    let has_negative_zero = cells.iter().fold(has_negative_zero, |any, cell| any | is_negative_zero(cell));
    if has_negative_zero {
        for (&group, &cell) in groups.iter().zip(cells).filter(|&(_, &cell)| cell == 0.0) {
            if let Some(Accumulator { least, greatest, .. }) = accumulators.get_mut(group as usize) {
                let extreme = if cell.is_sign_negative() { least } else { greatest };
                *extreme = if *extreme == 0.0 { cell } else { *extreme };
            }
        }
    }
    has_negative_zero
}

/// What [`accumulate`] does, for values of any type, those of a segment at some positions, or all.
fn aggregate<'s>(
    groups: &[u32],
    segment: &Segment<'s>,
    positions: Option<&[u16]>,
    len: usize,
    aggregates: &mut Vec<Aggregates<'s>>,
) -> Result<()> {
    aggregates.resize(len, Aggregates::NONE);
    for (index, &group) in groups.iter().enumerate() {
        let position = positions.map_or(Some(index), |positions| positions.get(index).map(|&at| at.into()));
        if let (Some(aggregates), Some(position)) = (aggregates.get_mut(group as usize), position) {
            aggregates.add(segment.value(position)?);
        }
    }
    Ok(())
}

/// Calls `each` with the numbers of all groups of some cells, and maybe with others below `len`, whichever are fewer.
fn for_each_used(groups: &[u32], len: usize, each: impl FnMut(u32)) {
    if len <= groups.len() { (0..len as u32).for_each(each) } else { groups.iter().copied().for_each(each) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOATS: [f64; 7] = [0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

    #[test]
    fn extremes_of_groups_of_floats_tell_zeros_apart_across_segments() {
        for seed in 0..2000u64 {
            let mut state = seed;
            let mut below = |count: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % count
            };
            let (mut part, mut has_negative_zero) = (Vec::new(), false);
            let mut all: Vec<Vec<f64>> = vec![Vec::new(); 3];
            for _ in 0..4 {
                // Some segments have zeros alone, of one sign or of both.
                let (kinds, first) = (1 + below(FLOATS.len()), below(2));
                let len = below(9);
                let groups: Vec<u32> = (0..len).map(|_| below(3) as u32).collect();
                let cells: Vec<f64> = (0..len).map(|_| FLOATS[(first + below(kinds)) % FLOATS.len()]).collect();
                has_negative_zero = accumulate_floats(&groups, &cells, 3, &mut part, has_negative_zero);
                groups.iter().zip(&cells).for_each(|(&group, &cell)| all[group as usize].push(cell));
            }
            for (accumulator, cells) in part.iter().zip(&all) {
                let numbers = || cells.iter().copied().filter(|cell| !cell.is_nan());
                let expected = numbers().min_by(f64::total_cmp).zip(numbers().max_by(f64::total_cmp));
                let expected = expected.map(|(least, greatest)| (ValueRef::from(least), ValueRef::from(greatest)));
                assert_eq!(accumulator.aggregates().min_max(), expected, "{cells:?}, seed {seed}");
            }
        }
    }
}
