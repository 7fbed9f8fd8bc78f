//! How many values a dimension has, and how many distinct ones: the files' counts, settled with what was committed since.

use super::cells::Filled;
use super::column_tiers::ColumnTiers;
use super::database::State;
use super::view::{Changes, View};
use crate::error::Result;
use crate::model::{DimensionId, ValueRef};
use hashbrown::HashMap;

/// The numbers of one dimension.
#[derive(Clone, Debug)]
pub(crate) struct DimensionCounts {
    /// Points that have a value.
    pub(crate) points: u64,
    /// Of these, points whose value is null.
    pub(crate) nulls: u64,
    /// Distinct values.
    pub(crate) distinct: u64,
    /// Whether `distinct` is of this moment, not of when the column file was written.
    pub(crate) distinct_exact: bool,
    /// The encoding of the column file.
    pub(crate) encoding: &'static str,
    pub(crate) presence: String,
    /// Bytes of the column file.
    pub(crate) file_len: u64,
}

/// How the numbers of a dimension change.
#[derive(Default, Debug)]
pub(super) struct CountChanges<'a> {
    pub(super) points: i64,
    pub(super) nulls: i64,
    /// Changes of the number of points by value, where asked for; some may be 0.
    pub(super) values: HashMap<ValueRef<'a>, i64>,
}

impl<'a> CountChanges<'a> {
    /// Whether nothing changes.
    pub(super) fn is_none(&self) -> bool {
        self.points == 0 && self.nulls == 0 && self.values.values().all(|&change| change == 0)
    }

    /// A slot that held one value holds another; for counts of points and nulls only.
    pub(super) fn replace_state(&mut self, old: Option<Filled>, new: Option<Filled>) {
        self.add(old, -1);
        self.add(new, 1);
    }

    /// A slot that held one value holds another.
    pub(super) fn replace_value(&mut self, old: Option<ValueRef<'a>>, new: Option<ValueRef<'a>>) {
        if old != new {
            self.add_value(old, -1);
            self.add_value(new, 1);
        }
    }

    /// The same where the new value is counted elsewhere, but for its state.
    pub(super) fn replace_counted(&mut self, old: Option<ValueRef<'a>>, new: Option<Filled>) {
        self.add_value(old, -1);
        self.add(new, 1);
    }

    /// So many slots that held a value do not any more.
    pub(super) fn remove_many(&mut self, value: ValueRef<'a>, count: i64) {
        self.points -= count;
        if value.is_null() {
            self.nulls -= count;
        }
        *self.values.entry(value).or_default() -= count;
    }

    fn add(&mut self, state: Option<Filled>, change: i64) {
        if state.is_some() {
            self.points += change;
        }
        if state == Some(Filled::Null) {
            self.nulls += change;
        }
    }

    fn add_value(&mut self, value: Option<ValueRef<'a>>, change: i64) {
        self.add(value.map(Filled::of), change);
        if let Some(value) = value {
            *self.values.entry(value).or_default() += change;
        }
    }
}

impl View {
    /// What the overlays change in a dimension up to a stamp, given the cells that they may have changed.
    pub(super) fn count_changes(
        &self,
        id: DimensionId,
        since: &Changes,
        stamp: u64,
        with_values: bool,
    ) -> Result<CountChanges<'_>> {
        let has_files = self.generation.column(id).is_some_and(|column| !column.is_empty());
        let mut changes = CountChanges::default();
        for slot in since.of(id, has_files) {
            let new = self.cell(id, slot, stamp)?;
            if with_values {
                changes.replace_value(self.generation.cell(id, slot)?, new);
            } else {
                changes.replace_state(self.generation.state(id, slot)?, new.map(Filled::of));
            }
        }
        Ok(changes)
    }
}

impl ColumnTiers {
    /// What the patches change in the counts of values. Meaningful where the dimension [has counts](Self::has_counts).
    pub(super) fn changed_values(&self) -> Result<HashMap<ValueRef<'_>, i64>> {
        let mut values = HashMap::new();
        self.add_changes(&mut values)?;
        Ok(values)
    }

    fn add_changes<'a>(&'a self, values: &mut HashMap<ValueRef<'a>, i64>) -> Result<()> {
        for patch in self.patches() {
            patch.for_each_change(|value, change| {
                let sum = values.entry(value).or_default();
                *sum = sum.wrapping_add(change);
            })?;
        }
        Ok(())
    }

    /// The number of points of each value, where the dimension [has counts](Self::has_counts), with what changed since the files were written.
    pub(super) fn value_counts<'a>(
        &'a self,
        mut changes: HashMap<ValueRef<'a>, i64>,
    ) -> Result<Vec<(ValueRef<'a>, u64)>> {
        self.add_changes(&mut changes)?;
        let mut counts = Vec::new();
        if let Some(base) = self.base() {
            let (descriptor, cells) = base.resolve()?;
            for number in 0..descriptor.dictionary_count {
                let value = cells.entry(base.file(), number as usize)?;
                // Values are looked up only if some changed at all.
                let change = if changes.is_empty() { None } else { changes.remove(&value) };
                counts.push((value, u64::from(base.count(number)?).wrapping_add_signed(change.unwrap_or_default())));
            }
        }
        counts.extend(changes.into_iter().map(|(value, change)| (value, 0u64.wrapping_add_signed(change))));
        counts.retain(|&(_, count)| count > 0);
        Ok(counts)
    }

    /// How many points have a value by the column file's dictionary.
    pub(super) fn base_count(&self, value: ValueRef<'_>) -> Result<u64> {
        let Some(base) = self.base() else { return Ok(0) };
        match base.find(value)? {
            Some(number) => base.count(number).map(u64::from),
            None => Ok(0),
        }
    }
}

impl State {
    /// What was changed since the files were written; to be passed to [`counts`](Self::counts).
    pub(crate) fn changes(&self) -> Changes {
        self.view.changes()
    }

    /// Counts a dimension. Costs what was changed since the column file was written, not its size.
    pub(crate) fn counts(&self, id: DimensionId, since: &Changes) -> Result<DimensionCounts> {
        static NO_FILES: ColumnTiers = ColumnTiers::new(None, Vec::new());
        let column = self.view.generation.column(id).unwrap_or(&NO_FILES);
        let (points, nulls) = column.point_counts()?;
        let mut counts = DimensionCounts {
            points,
            nulls,
            distinct: 0,
            distinct_exact: true,
            encoding: "none",
            presence: String::new(),
            file_len: 0,
        };
        if let Some(base) = column.base() {
            let (descriptor, cells) = base.resolve()?;
            (counts.encoding, counts.presence) = cells.describe();
            counts.distinct = descriptor.distinct_count;
            counts.file_len = base.file().entry().file_len;
        }
        let has_counts = column.has_counts()?;
        let changes = self.view.count_changes(id, since, self.moment.stamp, has_counts)?;
        counts.points = counts.points.wrapping_add_signed(changes.points);
        counts.nulls = counts.nulls.wrapping_add_signed(changes.nulls);
        if !has_counts {
            let patched = column.patches().iter().try_fold(false, |some, patch| {
                Ok::<_, crate::error::Error>(some || patch.touched_count()? > 0 || patch.entry().points_change != 0)
            })?;
            counts.distinct_exact = !patched && changes.points == 0 && !since.touches(id);
            return Ok(counts);
        }
        let mut values = column.changed_values()?;
        for (value, change) in changes.values {
            let sum = values.entry(value).or_default();
            *sum = sum.wrapping_add(change);
        }
        for (value, change) in values {
            let before = column.base_count(value)?;
            let after = before.saturating_add_signed(change);
            let appears = before == 0 && after > 0;
            let disappears = before > 0 && after == 0;
            counts.distinct = (counts.distinct + u64::from(appears)).saturating_sub(u64::from(disappears));
        }
        Ok(counts)
    }

    /// Cells in all data files, keys and superseded ones included, and the bytes of these files.
    pub(crate) fn stored(&self) -> (u64, u64) {
        let generation = &self.view.generation;
        let axis = generation.axis().base().map(|axis| axis.file());
        let columns = generation.dimensions().iter().filter_map(|dimension| dimension.column.base());
        let files = axis.into_iter().chain(columns.map(|column| column.file()));
        let files = files.chain(generation.patches().iter().map(|patch| patch.file()));
        files.fold((0u64, 0), |(cells, bytes), file| {
            (cells.saturating_add(file.header().value_count), bytes + file.entry().file_len)
        })
    }

    /// Number and bytes of the patch files.
    pub(crate) fn patch_sizes(&self) -> (u64, u64) {
        let patches = self.view.generation.patches();
        (patches.len() as u64, patches.iter().map(|patch| patch.file().entry().file_len).sum())
    }

    /// Bytes of the axis file, and its layout.
    pub(crate) fn axis_description(&self) -> Result<(&'static str, u64)> {
        match self.view.generation.axis().base() {
            Some(axis) => Ok((axis.describe()?, axis.file().entry().file_len)),
            None => Ok(("none", 0)),
        }
    }
}
