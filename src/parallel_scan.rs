//! Scans of one dimension on several threads.

use crate::dimension::Dimension;
use crate::engine::{CrossCounts, GroupAggregates, Sum, ValueCounts};
use crate::error::Result;
use crate::model::{AnyValue, StoredValue, ValueRef};
use std::ops::{Bound, RangeBounds};

/// The scans of a [`Dimension`] on several threads, which divide the segments of 65,536 slots among them. Got from
/// [`Dimension::parallel`].
///
/// Answers, and errors, are the same whatever the number of threads, to the last bit of a sum of floats. Threads are started for each
/// scan and end with it; there are no more of them than segments. Any number is valid; 0 is as good as 1. What needs no scan, such as
/// counts that are kept, takes none.
#[derive(Clone, Copy, Debug)]
pub struct ParallelScan<'s> {
    dimension: Dimension<'s>,
    threads: usize,
}

impl<'s> ParallelScan<'s> {
    pub(crate) const fn new(dimension: Dimension<'s>, threads: usize) -> Self {
        Self { dimension, threads }
    }

    /// [`Dimension::distinct_count`].
    ///
    /// # Errors
    /// As there.
    pub fn distinct_count(self) -> Result<u64> {
        self.dimension.view().distinct_count(self.threads)
    }

    /// [`Dimension::value_counts`]. Each thread takes memory for the values that it meets.
    ///
    /// # Errors
    /// As there.
    pub fn value_counts(self) -> Result<ValueCounts<'s>> {
        self.dimension.view().value_counts(self.threads)
    }

    /// [`Dimension::top`].
    ///
    /// # Errors
    /// As there.
    pub fn top(self, n: usize) -> Result<ValueCounts<'s>> {
        self.dimension.view().top(n, self.threads)
    }

    /// [`Dimension::count_of`].
    ///
    /// # Errors
    /// As there.
    pub fn count_of<'v>(self, value: impl Into<AnyValue<'v>>) -> Result<u64> {
        self.dimension.view().count_of(value.into().stored()?.as_ref(), self.threads)
    }

    /// [`Dimension::count_in`].
    ///
    /// # Errors
    /// As there.
    pub fn count_in<'v, T: Into<AnyValue<'v>> + Clone>(self, range: impl RangeBounds<T>) -> Result<u64> {
        let (start, end) = bounds(&range)?;
        self.dimension.view().count_in(as_ref(&start), as_ref(&end), self.threads)
    }

    /// [`Dimension::count_where`].
    ///
    /// # Errors
    /// As there.
    pub fn count_where(self, test: impl Fn(ValueRef<'_>) -> bool + Send + Sync + 's) -> Result<u64> {
        self.dimension.view().count_where(test, self.threads)
    }

    /// [`Dimension::map_to`].
    ///
    /// # Errors
    /// As there.
    pub fn map_to(self, other: Dimension<'s>) -> Result<ValueCounts<'s>> {
        self.dimension.view().map_to(other.view(), self.threads)
    }

    /// [`Dimension::cross_counts`].
    ///
    /// # Errors
    /// As there.
    pub fn cross_counts(self, other: Dimension<'s>) -> Result<Vec<CrossCounts<'s>>> {
        self.dimension.view().cross_counts(other.view(), self.threads)
    }

    /// [`Dimension::aggregate_by`].
    ///
    /// # Errors
    /// As there.
    pub fn aggregate_by(self, by: Dimension<'s>) -> Result<Vec<GroupAggregates<'s>>> {
        self.dimension.view().aggregate_by(by.view(), self.threads)
    }

    /// [`Dimension::sum`].
    ///
    /// # Errors
    /// As there.
    pub fn sum(self) -> Result<Option<Sum>> {
        self.dimension.view().sum(self.threads)
    }

    /// [`Dimension::min_max`].
    ///
    /// # Errors
    /// As there.
    pub fn min_max(self) -> Result<Option<(ValueRef<'s>, ValueRef<'s>)>> {
        self.dimension.view().extremes(self.threads)
    }
}

type Bounds<'v> = (Bound<StoredValue<'v>>, Bound<StoredValue<'v>>);

/// The bounds of a range as they are stored.
pub(crate) fn bounds<'v, T: Into<AnyValue<'v>> + Clone>(range: &impl RangeBounds<T>) -> Result<Bounds<'v>> {
    Ok((stored(range.start_bound())?, stored(range.end_bound())?))
}

fn stored<'v, T: Into<AnyValue<'v>> + Clone>(bound: Bound<&T>) -> Result<Bound<StoredValue<'v>>> {
    Ok(match bound.cloned() {
        Bound::Included(value) => Bound::Included(value.into().stored()?),
        Bound::Excluded(value) => Bound::Excluded(value.into().stored()?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

pub(crate) fn as_ref<'a>(bound: &'a Bound<StoredValue<'_>>) -> Bound<ValueRef<'a>> {
    bound.as_ref().map(StoredValue::as_ref)
}
