//! Counting by value, and by pairs of values, while scanning.

use super::groups::Groups;
use super::kernels::{Histogram, all_below};
use super::segment::{Bits, Dictionary, Segment, SegmentValues};
use super::value_counts::{CrossCounts, ValueCounts};
use crate::error::Result;
use crate::model::ValueRef;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::cmp::Reverse;

/// Counts by value.
#[derive(Default)]
pub(super) struct Tally<'s> {
    groups: Groups<'s>,
    /// By number of group.
    counts: Vec<u64>,
    /// What segments have that share the column file's dictionary, and that dictionary.
    shared: Option<(Dictionary<'s>, Histogram)>,
    positions: Vec<u16>,
}

impl<'s> Tally<'s> {
    /// Counts all values of a segment.
    pub(super) fn add_all(&mut self, segment: &Segment<'s>) -> Result<()> {
        match &segment.values {
            SegmentValues::Dictionary8(numbers, dictionary) if dictionary.others.is_empty() => {
                self.add_shared(numbers, dictionary)
            }
            SegmentValues::Dictionary16(numbers, dictionary) if dictionary.others.is_empty() => {
                self.add_shared(numbers, dictionary)
            }
            _ => {
                let Self { groups, counts, .. } = self;
                groups.counts(segment, |group, count| add(counts, group, count.into()))
            }
        }
    }

    /// Counts the values of the slots whose bit is set.
    pub(super) fn add_some(&mut self, segment: &Segment<'s>, bits: &Bits) -> Result<()> {
        if segment.bits().iter().zip(bits).all(|(present, counted)| present & !counted == 0) {
            return self.add_all(segment);
        }
        let mut positions = std::mem::take(&mut self.positions);
        segment.positions_in(bits, &mut positions);
        if let Some((numbers, dictionary)) = shared_numbers(segment, Some(&positions)) {
            self.add_shared(&numbers, dictionary)?;
        } else {
            for &position in &positions {
                let group = self.groups.number(segment.value(position.into())?);
                add(&mut self.counts, group, 1);
            }
        }
        self.positions = positions;
        Ok(())
    }

    fn add_shared<N: Copy + Into<usize>>(&mut self, numbers: &[N], dictionary: &Dictionary<'s>) -> Result<()> {
        let (_, histogram) =
            self.shared.get_or_insert_with(|| (dictionary.clone(), Histogram::new(dictionary.shared_len())));
        if histogram.add(numbers) { Ok(()) } else { Err(dictionary.past_the_end()) }
    }

    /// The values with their counts, in no settled order, of what several tallies have counted.
    pub(super) fn entries(tallies: Vec<Self>) -> Result<Vec<(ValueRef<'s>, u64)>> {
        let mut sum = Self::default();
        for mut tally in tallies {
            if sum.counts.is_empty() {
                (sum.groups, sum.counts) = (std::mem::take(&mut tally.groups), std::mem::take(&mut tally.counts));
            }
            let mut add_value = |value, count| {
                let group = sum.groups.number(value);
                add(&mut sum.counts, group, count);
            };
            for (&value, &count) in tally.groups.values().iter().zip(&tally.counts) {
                add_value(value, count);
            }
            let Some((dictionary, histogram)) = tally.shared else { continue };
            for (number, count) in histogram.counts().into_iter().enumerate().filter(|&(_, count)| count > 0) {
                add_value(dictionary.get(number)?, count.into());
            }
        }
        let entries = sum.groups.values().iter().copied().zip(sum.counts);
        Ok(entries.filter(|&(_, count)| count > 0).collect())
    }
}

fn add(counts: &mut Vec<u64>, group: u32, count: u64) {
    let group = group as usize;
    if group >= counts.len() {
        counts.resize(group + 1, 0);
    }
    if let Some(sum) = counts.get_mut(group) {
        *sum += count;
    }
}

/// The numbers of a segment's values, or of those at some positions, where they all are in the column file's dictionary.
fn shared_numbers<'a, 's>(
    segment: &'a Segment<'s>,
    positions: Option<&[u16]>,
) -> Option<(Cow<'a, [u16]>, &'a Dictionary<'s>)> {
    let (numbers, dictionary): (Cow<'a, [u16]>, _) = match (&segment.values, positions) {
        (SegmentValues::Dictionary8(numbers, dictionary), None) => {
            (numbers.iter().map(|&number| number.into()).collect(), dictionary)
        }
        (SegmentValues::Dictionary16(numbers, dictionary), None) => (Cow::Borrowed(&**numbers), dictionary),
        (SegmentValues::Dictionary8(numbers, dictionary), Some(positions)) => {
            let chosen = positions.iter().filter_map(|&position| numbers.get(usize::from(position)));
            (chosen.map(|&number| number.into()).collect(), dictionary)
        }
        (SegmentValues::Dictionary16(numbers, dictionary), Some(positions)) => {
            let chosen = positions.iter().filter_map(|&position| numbers.get(usize::from(position)));
            (chosen.copied().collect(), dictionary)
        }
        _ => return None,
    };
    dictionary.others.is_empty().then_some((numbers, dictionary))
}

/// Counts by pairs of values.
#[derive(Default)]
pub(super) struct CrossTally<'s> {
    this: Groups<'s>,
    other: Groups<'s>,
    /// By number of group.
    counts: HashMap<(u32, u32), u64>,
    /// What pairs of segments have that share the dictionaries of two column files.
    matrix: Option<Matrix<'s>>,
    this_numbers: Vec<u32>,
    other_numbers: Vec<u32>,
    this_positions: Vec<u16>,
    other_positions: Vec<u16>,
}

impl<'s> CrossTally<'s> {
    /// Counts the pairs of the slots that have a value in both segments.
    pub(super) fn add(&mut self, this: &Segment<'s>, other: &Segment<'s>) -> Result<()> {
        let whole = this.value_count() == this.slot_count() && other.value_count() == this.slot_count();
        let mut positions = None;
        if !whole {
            this.positions_in(&other.bits(), &mut self.this_positions);
            other.positions_in(&this.bits(), &mut self.other_positions);
            positions = Some((&*self.this_positions, &*self.other_positions));
        }
        let (these, others) = positions.unzip();
        if let (Some((these, rows)), Some((others, columns))) =
            (shared_numbers(this, these), shared_numbers(other, others))
            && rows.shared_len().saturating_mul(columns.shared_len()) <= MATRIX_LEN_MAX
        {
            return self.matrix.get_or_insert_with(|| Matrix::new(rows, columns)).add(&these, &others);
        }
        self.this.numbers(this, &mut self.this_numbers)?;
        self.other.numbers(other, &mut self.other_numbers)?;
        let counts = &mut self.counts;
        let mut count = |row: Option<&u32>, column: Option<&u32>| {
            if let (Some(&row), Some(&column)) = (row, column) {
                *counts.entry((row, column)).or_default() += 1;
            }
        };
        match positions {
            None => self.this_numbers.iter().zip(&self.other_numbers).for_each(|(a, b)| count(Some(a), Some(b))),
            Some((these, others)) => these.iter().zip(others).for_each(|(&a, &b)| {
                count(self.this_numbers.get(usize::from(a)), self.other_numbers.get(usize::from(b)));
            }),
        }
        Ok(())
    }

    /// For each value the values beside it with their counts, as [`CrossCounts`] has them, of what several tallies have counted.
    pub(super) fn rows(tallies: Vec<Self>) -> Result<Vec<CrossCounts<'s>>> {
        let mut sum = Self::default();
        for tally in tallies {
            let rows: Vec<u32> = tally.this.values().iter().map(|&value| sum.this.number(value)).collect();
            let columns: Vec<u32> = tally.other.values().iter().map(|&value| sum.other.number(value)).collect();
            for ((row, column), count) in tally.counts {
                if let (Some(&row), Some(&column)) = (rows.get(row as usize), columns.get(column as usize)) {
                    *sum.counts.entry((row, column)).or_default() += count;
                }
            }
            if let Some(matrix) = tally.matrix {
                sum.add_matrix(&matrix)?;
            }
        }
        Ok(sum.sorted())
    }

    fn add_matrix(&mut self, Matrix { rows, columns, histogram }: &Matrix<'s>) -> Result<()> {
        let width = columns.shared_len();
        let (mut row_groups, mut column_groups) = (vec![None; rows.shared_len()], vec![None; width]);
        for (place, count) in histogram.counts().into_iter().enumerate().filter(|&(_, count)| count > 0) {
            let row = group_of(place / width, rows, &mut row_groups, &mut self.this)?;
            let column = group_of(place % width, columns, &mut column_groups, &mut self.other)?;
            *self.counts.entry((row, column)).or_default() += u64::from(count);
        }
        Ok(())
    }

    /// Values are compared once for all rows.
    fn sorted(self) -> Vec<CrossCounts<'s>> {
        let mut columns: Vec<(ValueRef<'s>, usize)> = self.other.values().iter().copied().zip(0..).collect();
        columns.sort_unstable();
        let mut ranks = vec![0; columns.len()];
        for (rank, &(_, column)) in columns.iter().enumerate() {
            if let Some(place) = ranks.get_mut(column) {
                *place = rank;
            }
        }
        let mut rows: Vec<Vec<(Reverse<u64>, usize)>> = vec![Vec::new(); self.this.values().len()];
        for ((row, column), count) in self.counts {
            if let (Some(row), Some(&rank)) = (rows.get_mut(row as usize), ranks.get(column as usize)) {
                row.push((Reverse(count), rank));
            }
        }
        let rows = self.this.values().iter().zip(rows).filter(|(_, row)| !row.is_empty());
        let mut rows: Vec<CrossCounts<'s>> = rows
            .map(|(&value, mut row)| {
                row.sort_unstable();
                let entry = |(Reverse(count), rank): (_, usize)| Some((columns.get(rank)?.0, count));
                (value, ValueCounts::scanned_in_order(row.into_iter().filter_map(entry).collect()))
            })
            .collect();
        rows.sort_unstable_by_key(|(value, _)| *value);
        rows
    }
}

/// The group of a dictionary's value, remembered in `groups`.
fn group_of<'s>(
    number: usize,
    dictionary: &Dictionary<'s>,
    known: &mut [Option<u32>],
    groups: &mut Groups<'s>,
) -> Result<u32> {
    if let Some(&Some(group)) = known.get(number) {
        return Ok(group);
    }
    let group = groups.number(dictionary.get(number)?);
    if let Some(known) = known.get_mut(number) {
        *known = Some(group);
    }
    Ok(group)
}

/// Counts by pairs of numbers of two dictionaries: row × number of columns + column.
struct Matrix<'s> {
    rows: Dictionary<'s>,
    columns: Dictionary<'s>,
    histogram: Histogram,
}

/// Pairs that a matrix has a place for: 4 MiB.
const MATRIX_LEN_MAX: usize = 1 << 20;

impl<'s> Matrix<'s> {
    fn new(rows: &Dictionary<'s>, columns: &Dictionary<'s>) -> Self {
        let histogram = Histogram::new(rows.shared_len() * columns.shared_len());
        Self { rows: rows.clone(), columns: columns.clone(), histogram }
    }

    fn add(&mut self, rows: &[u16], columns: &[u16]) -> Result<()> {
        let width = self.columns.shared_len();
        if !all_below(rows, self.rows.shared_len()) {
            return Err(self.rows.past_the_end());
        }
        let is_sound = all_below(columns, width) && self.histogram.add_pairs(rows, columns, width);
        if is_sound { Ok(()) } else { Err(self.columns.past_the_end()) }
    }
}
