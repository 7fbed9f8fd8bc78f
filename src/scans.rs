//! Scans and counts of one dimension.

use crate::dimension::Dimension;
use crate::engine::{CrossCounts, Find, GroupAggregates, Segments, Sum, ValueCounts};
use crate::error::Result;
use crate::model::{AnyValue, ValueRef};
use crate::parallel_scan::{ParallelScan, as_ref, bounds};
use std::ops::RangeBounds;

/// # Counts and scans
/// For a dimension that is stored with a dictionary, up to 65,536 distinct values, the number of points of each value
/// is kept: the counts are answered from it and from what was changed since the column file was written. For any other
/// dimension, [`has_counts`](Self::has_counts) tells, they are answered by reading every value. They are exact either
/// way.
///
/// n is the number of points, v that of distinct values, c that of cells changed since the column file was written.
impl<'s> Dimension<'s> {
    /// Whether the number of points of each value is kept, so that counts need no scan.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the column file is damaged.
    pub fn has_counts(self) -> Result<bool> {
        self.view().has_counts()
    }

    /// The number of distinct values, exactly. O(c) with counts, and where nothing was changed since the column file
    /// was written; else a scan, O(n), and memory for v values.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn distinct_count(self) -> Result<u64> {
        self.view().distinct_count(1)
    }

    /// Every distinct value with the number of points that have it, most points first, then in the order of values. O(c
    /// + v log v) with counts, else a scan, O(n + v log v); memory for v values.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// for (key, city) in ["Boston", "Paris", "Boston"].into_iter().enumerate() {
    ///     db.upsert(key as u64, attrs! { "city" => city })?;
    /// }
    /// let snapshot = db.snapshot();
    /// let city = snapshot.dimension("city").expect("it was just used");
    /// let counts: Vec<_> = city.value_counts()?.into_iter().map(|(value, count)| (value.as_str(), count)).collect();
    /// assert_eq!(counts, [(Some("Boston"), 2), (Some("Paris"), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn value_counts(self) -> Result<ValueCounts<'s>> {
        self.view().value_counts(1)
    }

    /// The first `n` of [`value_counts`](Self::value_counts). O(c + v + n log n) with counts, else a scan.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn top(self, n: usize) -> Result<ValueCounts<'s>> {
        self.view().top(n, 1)
    }

    /// The number of points that have a value, given in any form (see [`AnyValue`]). One probe and O(c) with counts, else a scan as of
    /// [`find`](Self::find).
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): no value can be that large, or nest that deep.
    pub fn count_of<'v>(self, value: impl Into<AnyValue<'v>>) -> Result<u64> {
        self.view().count_of(value.into().stored()?.as_ref(), 1)
    }

    /// The slots of the points that have a value, ascending: the inverse of the mapping from slot to value. The value may be given in
    /// any form (see [`AnyValue`]).
    ///
    /// Lazy, one segment of 65,536 slots at a time, with memory for the slots found in one. Reads no cells where the
    /// dictionary does not have the value, nor of segments whose types, or least and greatest numbers, rule it out;
    /// else O(n).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert("ann", attrs! { "age" => 30 })?;
    /// db.upsert("bob", attrs! { "age" => 25 })?;
    /// let snapshot = db.snapshot();
    /// for slot in snapshot.dimension("age").expect("it was just used").find(25)? {
    ///     assert_eq!(snapshot.key(slot?)?.and_then(|key| key.value().as_str()), Some("bob"));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the dictionary is damaged. An item is one where a segment is damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): no value can be that large, or nest that deep.
    pub fn find<'v>(self, value: impl Into<AnyValue<'v>>) -> Result<Find<'s>> {
        self.view().find(value.into().stored()?.as_ref())
    }

    /// The slots of the points whose value is in a range, ascending.
    ///
    /// Numbers of all types are compared by what they are worth, exactly, so that `1..=2` has `1.0`, and both zeros; NaN is in no range. Other
    /// values are compared with those of their type, in the order of values: text and bytes byte by byte. `..` has every value. The
    /// bounds may be values in any form (see [`AnyValue`]); where they are of different types, a pair of
    /// [`Bound`](std::ops::Bound)s of [`ValueRef`]s is a range.
    ///
    /// Lazy, one segment at a time, with memory for the slots found in one. With a dictionary each distinct value is compared
    /// once, O(v), and no cells are read where none is in the range. Reads no cells of segments whose types, or least and
    /// greatest numbers, rule it out; else O(n).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{Slot, VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert("ann", attrs! { "age" => 30, "city" => "Boston" })?;
    /// db.upsert("bob", attrs! { "age" => 25.5, "city" => "Paris" })?;
    /// let snapshot = db.snapshot();
    /// let dimension = |name| snapshot.dimension(name).expect("it was just used");
    /// let slots: Vec<Slot> = dimension("age").find_in(25..30)?.collect::<Result<_, _>>()?;
    /// assert_eq!(slots, [Slot(1)]);
    /// assert_eq!(dimension("city").find_in("C"..)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the dictionary is damaged. An item is one where a segment is damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): the bounds are of types that are not compared with each other, or no
    ///   value can be that large, or nest that deep.
    pub fn find_in<'v, T: Into<AnyValue<'v>> + Clone>(self, range: impl RangeBounds<T>) -> Result<Find<'s>> {
        let (start, end) = bounds(&range)?;
        self.view().find_in(as_ref(&start), as_ref(&end))
    }

    /// The number of points whose value is [in a range](Self::find_in). O(v + c) with counts. Else a scan that reads no cells of
    /// segments whose types, or least and greatest numbers, answer.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("weather.vdb"))?;
    /// # for hour in 0..48 { db.upsert(hour, attrs! { "degrees" => hour as f64 })?; }
    /// let snapshot = db.snapshot();
    /// let degrees = snapshot.dimension("degrees").expect("it was used");
    /// assert_eq!(degrees.count_in(25.0..)?, 23);
    /// assert_eq!(degrees.count_in(..=25)?, 26);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`find_in`](Self::find_in), and where a segment is damaged.
    pub fn count_in<'v, T: Into<AnyValue<'v>> + Clone>(self, range: impl RangeBounds<T>) -> Result<u64> {
        self.parallel(1).count_in(range)
    }

    /// The slots of the points whose value passes a test, ascending. Lazy, as [`find_in`](Self::find_in) is. With a
    /// dictionary each distinct value is tested once, when this is called, O(v); else each value, O(n). The test may be called for values
    /// that no point has any more.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{Slot, VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert("ann", attrs! { "city" => "Boston" })?;
    /// db.upsert("bob", attrs! { "city" => "Paris" })?;
    /// let snapshot = db.snapshot();
    /// let city = snapshot.dimension("city").expect("it was just used");
    /// let slots: Vec<Slot> = city
    ///     .find_where(|city| city.as_str().is_some_and(|city| city.ends_with("is")))?
    ///     .collect::<Result<_, _>>()?;
    /// assert_eq!(slots, [Slot(1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the dictionary is damaged. An item is one where a segment is damaged.
    pub fn find_where(self, test: impl Fn(ValueRef<'_>) -> bool + Send + Sync + 's) -> Result<Find<'s>> {
        self.view().find_where(test)
    }

    /// The number of points whose value [passes a test](Self::find_where). O(v + c) with counts, else a scan, O(n).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("numbers.vdb"))?;
    /// db.batch_upsert((0..10).map(|n| (n, attrs! { "n" => n })))?;
    /// let snapshot = db.snapshot();
    /// let n = snapshot.dimension("n").expect("it was just used");
    /// assert_eq!(n.count_where(|n| n.as_i64().is_some_and(|n| n % 2 == 0))?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn count_where(self, test: impl Fn(ValueRef<'_>) -> bool + Send + Sync + 's) -> Result<u64> {
        self.parallel(1).count_where(test)
    }

    /// For each value of `by` whose points have a value here, in the order of values: how many they are, and the sum, the
    /// least and the greatest of the numbers among theirs. A scan of both, and memory for the groups of each segment.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("flights.vdb"))?;
    /// for (key, (carrier, delay)) in [("AA", 12), ("UA", -3), ("AA", 4)].into_iter().enumerate() {
    ///     db.upsert(key as u64, attrs! { "carrier" => carrier, "delay" => delay })?;
    /// }
    /// let snapshot = db.snapshot();
    /// let dimension = |name| snapshot.dimension(name).expect("it was just used");
    /// let delays = dimension("delay").aggregate_by(dimension("carrier"))?;
    /// let (carrier, delay) = &delays[0];
    /// assert_eq!((carrier.as_str(), delay.point_count(), delay.mean()), (Some("AA"), 2, Some(8.0)));
    /// assert_eq!(delay.min_max(), Some((4.into(), 12.into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): `by` is of another snapshot.
    pub fn aggregate_by(self, by: Dimension<'s>) -> Result<Vec<GroupAggregates<'s>>> {
        self.parallel(1).aggregate_by(by)
    }

    /// The same scans on up to `threads` threads, the caller's among them.
    ///
    /// A scan of plain numbers or of a dictionary is as fast as memory is read, and one thread reads it nearly as fast as all of
    /// them: so scans take one thread unless they are told otherwise, and leave the others to the program. More help
    /// where values are decoded one by one (text, values of several types), where many groups are counted, and where files are not in
    /// memory yet.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("numbers.vdb"))?;
    /// # db.batch_upsert((0..10).map(|n| (n, attrs! { "name" => format!("{}", n % 3) })))?;
    /// let snapshot = db.snapshot();
    /// let name = snapshot.dimension("name").expect("it was just used");
    /// assert_eq!(name.parallel(4).value_counts()?, name.value_counts()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn parallel(self, threads: usize) -> ParallelScan<'s> {
        ParallelScan::new(self, threads)
    }

    /// The mapping from this dimensional space to another: over the points that have a value here, the values that they
    /// have in `other`, with counts. Points without a value in `other` are not counted. Both dimensions must be of the same
    /// [`Snapshot`](crate::Snapshot) or of clones of it: in another one, slots may be other points. A scan of `other` and of the
    /// presence of this one.
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): `other` is of another snapshot.
    pub fn map_to(self, other: Dimension<'s>) -> Result<ValueCounts<'s>> {
        self.view().map_to(other.view(), 1)
    }

    /// For each value here whose points have values in `other`, in the order of values, these with counts: a cross
    /// table. A value none of whose points has one is not in it. A scan of both, and memory for the pairs that occur.
    ///
    /// # Errors
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): `other` is of another snapshot.
    pub fn cross_counts(self, other: Dimension<'s>) -> Result<Vec<CrossCounts<'s>>> {
        self.view().cross_counts(other.view(), 1)
    }

    /// The segments of 65,536 slots, in slot order: typed slices of values, and which slots they belong to. What was
    /// not changed since the column file was written is borrowed from the mapped file, at the cost of memory bandwidth;
    /// what was is put together, O(65,536) a segment.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{SegmentValues, VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("weather.vdb"))?;
    /// # for hour in 0..48 { db.upsert(hour, attrs! { "degrees" => hour as f64 })?; }
    /// let snapshot = db.snapshot();
    /// let mut warm = 0;
    /// for segment in snapshot.dimension("degrees").expect("it was used").segments() {
    ///     match segment?.values() {
    ///         SegmentValues::F64(degrees) => warm += degrees.iter().filter(|&&degrees| degrees >= 25.0).count(),
    ///         other => println!("other than floats: {other:?}"),
    ///     }
    /// }
    /// assert_eq!(warm, 23);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn segments(self) -> Segments<'s> {
        self.view().segments()
    }

    /// The sum of all numbers; `None` when there are none. Values that are not numbers are left out; integers and
    /// floats are summed apart. A scan.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub fn sum(self) -> Result<Option<Sum>> {
        self.view().sum(1)
    }

    /// The least number, [as of `min_max`](Self::min_max).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn min(self) -> Result<Option<ValueRef<'s>>> {
        Ok(self.min_max()?.map(|(least, _)| least))
    }

    /// The greatest number, [as of `min_max`](Self::min_max).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn max(self) -> Result<Option<ValueRef<'s>>> {
        Ok(self.min_max()?.map(|(_, greatest)| greatest))
    }

    /// The least and the greatest number; `None` when there are none. Values that are not numbers, and NaNs, are left
    /// out. Integers of any size and floats are compared by what they are worth, exactly; of equal ones integers come
    /// before floats, and `-0.0` before `0.0`.
    ///
    /// O(n / 65,536) where the column file's descriptors answer; segments that were changed since, or that have
    /// integers of more than 64 bits or numbers of both types, are read.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn min_max(self) -> Result<Option<(ValueRef<'s>, ValueRef<'s>)>> {
        self.view().extremes(1)
    }
}
