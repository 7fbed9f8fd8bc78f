//! From values to the points that have them.

use super::kernels::Selection;
use super::parallel;
use super::predicate::{Condition, Predicate, Stated};
use super::scan::Segments;
use super::segment::{Offsets, Segment, SegmentPresence};
use super::state::DimensionView;
use super::value_range::ValueRange;
use crate::error::Result;
use crate::model::{Slot, ValueRef};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// The slots of the points whose value was asked for, ascending; got from [`Dimension::find`](crate::Dimension::find),
/// [`find_in`](crate::Dimension::find_in) and [`find_where`](crate::Dimension::find_where). Reads a segment when the slots of the
/// one before are used up. An item is [`Error::Corrupt`](crate::Error::Corrupt) where a segment is damaged; the iterator goes on
/// behind it.
#[derive(Clone)]
pub struct Find<'s> {
    segments: Segments<'s>,
    predicate: Predicate<'s>,
    selection: Selection,
    first: u32,
    /// What was found in the segment that begins there, and how many of these were handed out.
    offsets: Vec<u16>,
    used: usize,
}

impl fmt::Debug for Find<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { predicate, segments, .. } = self;
        f.debug_struct("Find").field("predicate", predicate).field("segments", segments).finish_non_exhaustive()
    }
}

impl<'s> DimensionView<'s> {
    pub(crate) fn find(self, value: ValueRef<'_>) -> Result<Find<'s>> {
        self.find_by(Condition::Equals(value.canonical().to_buf()))
    }

    /// The slots of the values between two bounds.
    pub(crate) fn find_in(self, start: Bound<ValueRef<'_>>, end: Bound<ValueRef<'_>>) -> Result<Find<'s>> {
        self.find_by(Condition::Within(ValueRange::new(start, end)?))
    }

    /// The slots of the values that pass a test.
    pub(crate) fn find_where(self, test: impl Fn(ValueRef<'_>) -> bool + Send + Sync + 's) -> Result<Find<'s>> {
        self.find_by(Condition::Passes(Arc::new(test)))
    }

    fn find_by(self, condition: Condition<'s>) -> Result<Find<'s>> {
        let segments = Segments::of(self);
        let predicate = Predicate::new(condition, &segments)?;
        let selection = Selection::default();
        Ok(Find { segments, predicate, selection, first: 0, offsets: Vec::new(), used: 0 })
    }

    /// How many points have a value between two bounds.
    pub(crate) fn count_in(self, start: Bound<ValueRef<'_>>, end: Bound<ValueRef<'_>>, threads: usize) -> Result<u64> {
        self.count_by(Condition::Within(ValueRange::new(start, end)?), threads)
    }

    /// How many points have a value that passes a test.
    pub(crate) fn count_where(
        self,
        test: impl Fn(ValueRef<'_>) -> bool + Send + Sync + 's,
        threads: usize,
    ) -> Result<u64> {
        self.count_by(Condition::Passes(Arc::new(test)), threads)
    }

    /// How many points have a value for which a condition holds: from counts where they are kept.
    fn count_by(self, condition: Condition<'s>, threads: usize) -> Result<u64> {
        if self.has_counts()? {
            let (entries, _) = self.entries(threads)?;
            return Ok(entries.into_iter().filter(|&(value, _)| condition.holds(value)).map(|(_, count)| count).sum());
        }
        self.scan_count(condition, threads)
    }

    /// The same by a scan.
    pub(super) fn scan_count(self, condition: Condition<'s>, threads: usize) -> Result<u64> {
        let segments = Segments::of(self);
        let predicate = Predicate::new(condition, &segments)?;
        let counts =
            parallel::for_each(threads, segments.end, <(Selection, u64)>::default, |(selection, sum), number| {
                *sum += predicate.count(&segments, number, selection)?;
                Ok(())
            })?;
        Ok(counts.into_iter().map(|(_, sum)| sum).sum())
    }
}

impl Predicate<'_> {
    /// For how many values of a segment the condition holds.
    fn count(&self, segments: &Segments<'_>, number: usize, selection: &mut Selection) -> Result<u64> {
        if let Some(untouched) = segments.untouched(number)? {
            match self.stated(&untouched) {
                Stated::None => return Ok(0),
                Stated::All => return Ok(untouched.segment.present_count.into()),
                Stated::Some => {}
            }
        }
        self.select(&segments.read(number)?, selection)?;
        Ok(selection.count() as u64)
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
            && self.predicate.stated(&untouched) == Stated::None
        {
            return Ok(());
        }
        let segment = self.segments.read(number)?;
        self.first = segment.first;
        self.predicate.select(&segment, &mut self.selection)?;
        selected_offsets(&segment, &self.selection, &mut self.offsets);
        Ok(())
    }
}

/// Appends the slots of the selected values, as offsets into the segment.
fn selected_offsets(segment: &Segment<'_>, selection: &Selection, out: &mut Vec<u16>) {
    match &segment.presence {
        SegmentPresence::All => out.extend(selection.positions().map(|position| position as u16)),
        SegmentPresence::Sorted(offsets) => {
            out.extend(selection.positions().filter_map(|position| offsets.get(position)));
        }
        _ => {
            let mut offsets: Offsets<'_> = segment.offsets();
            let mut behind = 0;
            out.extend(selection.positions().filter_map(|position| {
                let offset = offsets.nth(position - behind);
                behind = position + 1;
                offset
            }));
        }
    }
}
