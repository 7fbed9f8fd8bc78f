//! How many points have each value: from counts where they are kept, by a scan otherwise.

use super::column_tiers::ColumnTiers;
use super::groups::Groups;
use super::scan::Segments;
use super::segment::{Bits, Segment};
use super::state::DimensionView;
use crate::error::{Error, Result};
use crate::model::ValueRef;
use hashbrown::HashMap;
use std::cmp::Reverse;

/// Distinct values, each with the number of points that have it: most points first, and in the order of values where
/// these are the same. Got from [`Dimension::value_counts`](crate::Dimension::value_counts).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueCounts<'s> {
    entries: Vec<(ValueRef<'s>, u64)>,
    scanned: bool,
}

impl<'s> ValueCounts<'s> {
    fn new(mut entries: Vec<(ValueRef<'s>, u64)>, scanned: bool) -> Self {
        entries.sort_unstable_by_key(|&(value, count)| (Reverse(count), value));
        Self { entries, scanned }
    }

    /// The `n` values with the most points.
    fn top(mut entries: Vec<(ValueRef<'s>, u64)>, n: usize, scanned: bool) -> Self {
        if n < entries.len() {
            entries.select_nth_unstable_by_key(n, |&(value, count)| (Reverse(count), value));
            entries.truncate(n);
        }
        Self::new(entries, scanned)
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether every value was read to count them, because no counts are kept.
    #[must_use]
    pub fn scanned(&self) -> bool {
        self.scanned
    }

    /// The values with their counts.
    pub fn iter(&self) -> std::slice::Iter<'_, (ValueRef<'s>, u64)> {
        self.entries.iter()
    }
}

impl<'s> IntoIterator for ValueCounts<'s> {
    type Item = (ValueRef<'s>, u64);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, 's> IntoIterator for &'a ValueCounts<'s> {
    type Item = &'a (ValueRef<'s>, u64);
    type IntoIter = std::slice::Iter<'a, (ValueRef<'s>, u64)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A row of [`Dimension::cross_counts`](crate::Dimension::cross_counts): a value, and how many of the points that have
/// it have each value of the other dimension.
pub type CrossCounts<'s> = (ValueRef<'s>, ValueCounts<'s>);

impl<'s> DimensionView<'s> {
    /// Whether the number of points of each value is known without a scan.
    pub(crate) fn has_counts(self) -> Result<bool> {
        self.column.map_or(Ok(true), ColumnTiers::has_counts)
    }

    /// All distinct values with their counts, and whether a scan found them.
    fn entries(self) -> Result<(Vec<(ValueRef<'s>, u64)>, bool)> {
        if !self.has_counts()? {
            let mut counts = Tally::default();
            for segment in Segments::of(self) {
                counts.add_all(&segment?)?;
            }
            return Ok((counts.entries(), true));
        }
        let mut counts = match self.column {
            Some(column) => column.value_counts()?,
            None => HashMap::new(),
        };
        let state = self.state;
        let changes = state.view.count_changes(self.id, &state.changes(), state.moment.stamp, true)?;
        for (value, change) in changes.values {
            let count = counts.entry(value).or_default();
            *count = count.wrapping_add_signed(change);
        }
        Ok((counts.into_iter().filter(|&(_, count)| count > 0).collect(), false))
    }

    pub(crate) fn value_counts(self) -> Result<ValueCounts<'s>> {
        let (entries, scanned) = self.entries()?;
        Ok(ValueCounts::new(entries, scanned))
    }

    pub(crate) fn top(self, n: usize) -> Result<ValueCounts<'s>> {
        let (entries, scanned) = self.entries()?;
        Ok(ValueCounts::top(entries, n, scanned))
    }

    pub(crate) fn distinct_count(self) -> Result<u64> {
        let counts = self.counts()?;
        if counts.distinct_exact { Ok(counts.distinct) } else { Ok(self.entries()?.0.len() as u64) }
    }

    pub(crate) fn count_of(self, value: ValueRef<'_>) -> Result<u64> {
        let value = value.canonical();
        if !self.has_counts()? {
            let mut count = 0;
            for slot in self.find(value)? {
                slot?;
                count += 1;
            }
            return Ok(count);
        }
        let state = self.state;
        let changes = state.view.count_changes(self.id, &state.changes(), state.moment.stamp, true)?;
        let mut change = changes.values.get(&value).copied().unwrap_or_default();
        let Some(column) = self.column else { return Ok(0u64.wrapping_add_signed(change)) };
        for patch in column.patches() {
            patch.for_each_change(|changed, by| {
                if changed == value {
                    change = change.wrapping_add(by);
                }
            })?;
        }
        Ok(column.base_count(value)?.wrapping_add_signed(change))
    }

    /// Refuses a dimension of another snapshot: its slots may be other points.
    fn check_same_snapshot(self, other: Self) -> Result<()> {
        if std::ptr::eq(self.state, other.state) {
            return Ok(());
        }
        let reason = "the two dimensions are not of the same snapshot; take both from one `Snapshot`, and not from a clone of it";
        Err(Error::invalid_argument(reason))
    }

    pub(crate) fn map_to(self, other: Self) -> Result<ValueCounts<'s>> {
        self.check_same_snapshot(other)?;
        let mut counts = Tally::default();
        for (this, other) in Segments::of(self).zip(Segments::of(other)) {
            counts.add_some(&other?, &this?.bits())?;
        }
        Ok(ValueCounts::new(counts.entries(), true))
    }

    pub(crate) fn cross_counts(self, other: Self) -> Result<Vec<CrossCounts<'s>>> {
        self.check_same_snapshot(other)?;
        let mut counts = CrossTally::default();
        for (this, other) in Segments::of(self).zip(Segments::of(other)) {
            counts.add(&this?, &other?)?;
        }
        Ok(counts.rows())
    }
}

/// Counts by value while scanning.
#[derive(Default)]
struct Tally<'s> {
    groups: Groups<'s>,
    counts: Vec<u64>,
    /// The values of a segment as numbers of groups.
    numbers: Vec<u32>,
}

impl<'s> Tally<'s> {
    fn add_all(&mut self, segment: &Segment<'s>) -> Result<()> {
        let Self { groups, counts, .. } = self;
        groups.counts(segment, |number, count| {
            let number = number as usize;
            if number >= counts.len() {
                counts.resize(number + 1, 0);
            }
            if let Some(sum) = counts.get_mut(number) {
                *sum += u64::from(count);
            }
        })
    }

    /// Counts the slots whose bit is set.
    fn add_some(&mut self, segment: &Segment<'s>, bits: &Bits) -> Result<()> {
        if segment.bits().iter().zip(bits).all(|(present, counted)| present & !counted == 0) {
            return self.add_all(segment);
        }
        self.groups.numbers(segment, &mut self.numbers)?;
        self.counts.resize(self.groups.values().len(), 0);
        for (&number, offset) in self.numbers.iter().zip(segment.offsets()) {
            if is_set(bits, offset)
                && let Some(count) = self.counts.get_mut(number as usize)
            {
                *count += 1;
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<(ValueRef<'s>, u64)> {
        let entries = self.groups.values().iter().copied().zip(self.counts.iter().copied());
        entries.filter(|&(_, count)| count > 0).collect()
    }
}

fn is_set(bits: &Bits, offset: u16) -> bool {
    bits[usize::from(offset >> 6)] & (1 << (offset & 63)) != 0
}

/// Counts by pairs of values while scanning.
#[derive(Default)]
struct CrossTally<'s> {
    this: Groups<'s>,
    other: Groups<'s>,
    counts: HashMap<(u32, u32), u64>,
    this_numbers: Vec<u32>,
    other_numbers: Vec<u32>,
    /// Counts of one segment, where there are few enough pairs for a table.
    table: Vec<u32>,
}

/// Pairs that a table has a place for: what a cache holds.
const TABLE_LEN_MAX: usize = 1 << 16;

impl<'s> CrossTally<'s> {
    fn add(&mut self, this: &Segment<'s>, other: &Segment<'s>) -> Result<()> {
        self.this.numbers(this, &mut self.this_numbers)?;
        self.other.numbers(other, &mut self.other_numbers)?;
        let width = self.other.values().len();
        let table_len = self.this.values().len().saturating_mul(width);
        let has_table = table_len <= TABLE_LEN_MAX;
        if has_table {
            self.table.clear();
            self.table.resize(table_len, 0);
        }
        let other_bits = other.bits();
        for (offset, &row) in this.offsets().zip(&self.this_numbers) {
            if !is_set(&other_bits, offset) {
                continue;
            }
            let index = other.index_of(offset);
            let Some(&column) = index.and_then(|index| self.other_numbers.get(index)) else { continue };
            if !has_table {
                *self.counts.entry((row, column)).or_default() += 1;
            } else if let Some(count) = self.table.get_mut(row as usize * width + column as usize) {
                *count += 1;
            }
        }
        if has_table {
            for (place, &count) in self.table.iter().enumerate().filter(|&(_, &count)| count > 0) {
                let pair = ((place / width) as u32, (place % width) as u32);
                *self.counts.entry(pair).or_default() += u64::from(count);
            }
        }
        Ok(())
    }

    /// In the order of this dimension's values.
    fn rows(self) -> Vec<CrossCounts<'s>> {
        let mut rows: Vec<Vec<(ValueRef<'s>, u64)>> = vec![Vec::new(); self.this.values().len()];
        for ((row, column), count) in self.counts {
            if let (Some(row), Some(&value)) = (rows.get_mut(row as usize), self.other.values().get(column as usize)) {
                row.push((value, count));
            }
        }
        let rows = self.this.values().iter().copied().zip(rows).filter(|(_, row)| !row.is_empty());
        let mut rows: Vec<_> = rows.map(|(value, row)| (value, ValueCounts::new(row, true))).collect();
        rows.sort_unstable_by_key(|(value, _)| *value);
        rows
    }
}
