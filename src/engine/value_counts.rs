//! How many points have each value: from counts where they are kept, by a scan otherwise.

use super::column_tiers::ColumnTiers;
use super::parallel;
use super::predicate::Condition;
use super::scan::Segments;
use super::state::DimensionView;
use super::tally::{CrossTally, Tally};
use crate::error::{Error, Result};
use crate::model::ValueRef;
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

    /// Of entries in their order.
    pub(super) fn scanned_in_order(entries: Vec<(ValueRef<'s>, u64)>) -> Self {
        Self { entries, scanned: true }
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
    pub(super) fn entries(self, threads: usize) -> Result<(Vec<(ValueRef<'s>, u64)>, bool)> {
        if !self.has_counts()? {
            let segments = Segments::of(self);
            let tallies = parallel::for_each(threads, segments.end, Tally::default, |tally, number| {
                tally.add_all(&segments.read(number)?)
            })?;
            return Ok((Tally::entries(tallies)?, true));
        }
        let state = self.state;
        let changes = state.view.count_changes(self.id, &state.changes(), state.moment.stamp, true)?.values;
        let counts = match self.column {
            Some(column) => column.value_counts(changes)?,
            None => changes
                .into_iter()
                .filter(|&(_, change)| change > 0)
                .map(|(value, count)| (value, count as u64))
                .collect(),
        };
        Ok((counts, false))
    }

    pub(crate) fn value_counts(self, threads: usize) -> Result<ValueCounts<'s>> {
        let (entries, scanned) = self.entries(threads)?;
        Ok(ValueCounts::new(entries, scanned))
    }

    pub(crate) fn top(self, n: usize, threads: usize) -> Result<ValueCounts<'s>> {
        let (entries, scanned) = self.entries(threads)?;
        Ok(ValueCounts::top(entries, n, scanned))
    }

    pub(crate) fn distinct_count(self, threads: usize) -> Result<u64> {
        let counts = self.counts()?;
        if counts.distinct_exact { Ok(counts.distinct) } else { Ok(self.entries(threads)?.0.len() as u64) }
    }

    pub(crate) fn count_of(self, value: ValueRef<'_>, threads: usize) -> Result<u64> {
        let value = value.canonical();
        if !self.has_counts()? {
            return self.scan_count(Condition::Equals(value.to_buf()), threads);
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
    pub(super) fn check_same_snapshot(self, other: Self) -> Result<()> {
        if std::ptr::eq(self.state, other.state) {
            return Ok(());
        }
        let reason = "the two dimensions are not of the same snapshot; take both from one `Snapshot`, and not from a clone of it";
        Err(Error::invalid_argument(reason))
    }

    pub(crate) fn map_to(self, other: Self, threads: usize) -> Result<ValueCounts<'s>> {
        self.check_same_snapshot(other)?;
        let (these, others) = (Segments::of(self), Segments::of(other));
        let tallies = parallel::for_each(threads, these.end, Tally::default, |tally, number| {
            let segment = others.read(number)?;
            if these.is_whole(number)? {
                tally.add_all(&segment)
            } else {
                tally.add_some(&segment, &these.bits(number)?)
            }
        })?;
        Ok(ValueCounts::new(Tally::entries(tallies)?, true))
    }

    pub(crate) fn cross_counts(self, other: Self, threads: usize) -> Result<Vec<CrossCounts<'s>>> {
        self.check_same_snapshot(other)?;
        let (these, others) = (Segments::of(self), Segments::of(other));
        let tallies = parallel::for_each(threads, these.end, CrossTally::default, |tally, number| {
            tally.add(&these.read(number)?, &others.read(number)?)
        })?;
        CrossTally::rows(tallies)
    }
}
