//! How many values a dimension has, and how many distinct ones: the base's counts, settled with what was committed since.

use super::database::State;
use super::view::Changes;
use crate::error::Result;
use crate::format::value;
use crate::model::{DimensionId, ValueRef};
use std::collections::HashMap;

/// The numbers of one dimension.
#[derive(Clone, Debug)]
pub(crate) struct DimensionCounts {
    /// Points that have a value.
    pub(crate) points: u64,
    /// Of these, points whose value is null.
    pub(crate) nulls: u64,
    /// Distinct values.
    pub(crate) distinct: u64,
    /// Whether `distinct` is of this moment, not of the last checkpoint.
    pub(crate) distinct_exact: bool,
    /// The encoding of the base.
    pub(crate) encoding: &'static str,
    pub(crate) presence: String,
    /// Bytes of the base file.
    pub(crate) file_len: u64,
}

impl State {
    /// What was changed since the base was written; to be passed to [`counts`](Self::counts).
    pub(crate) fn changes(&self) -> Changes {
        self.view.changes()
    }

    /// Counts a dimension. Costs what was changed since the last checkpoint, not the size of the base.
    pub(crate) fn counts(&self, id: DimensionId, since: &Changes) -> Result<DimensionCounts> {
        let base = self.view.generation.column(id);
        let mut counts = DimensionCounts {
            points: 0,
            nulls: 0,
            distinct: 0,
            distinct_exact: true,
            encoding: "none",
            presence: String::new(),
            file_len: 0,
        };
        let mut has_dictionary = true;
        if let Some(column) = base {
            let (descriptor, cells) = column.resolve()?;
            (counts.encoding, counts.presence) = cells.describe();
            counts.points = column.value_count();
            counts.nulls = descriptor.null_count;
            counts.distinct = descriptor.distinct_count;
            counts.file_len = column.file().entry().file_len;
            has_dictionary = cells.has_dictionary();
        }
        let mut changes: HashMap<Vec<u8>, i64> = HashMap::new();
        let mut changed = false;
        for slot in since.of(id, base.is_some()) {
            let old = base.map_or(Ok(None), |column| column.get(slot))?;
            let new = self.view.cell(id, slot, self.moment.stamp)?;
            if old == new {
                continue;
            }
            changed = true;
            for (value, change) in [(old, -1i64), (new, 1)] {
                let Some(value) = value else { continue };
                counts.points = counts.points.wrapping_add_signed(change);
                if value.is_null() {
                    counts.nulls = counts.nulls.wrapping_add_signed(change);
                }
                if has_dictionary {
                    *changes.entry(tagged(value)).or_default() += change;
                }
            }
        }
        counts.distinct_exact = has_dictionary || !changed;
        for (bytes, change) in changes {
            let value = value::decode(&bytes).unwrap_or(ValueRef::Null);
            let before = match base {
                Some(column) => match column.find(value)? {
                    Some(number) => i64::from(column.count(number)?),
                    None => 0,
                },
                None => 0,
            };
            let appears = before == 0 && change > 0;
            let disappears = before > 0 && before + change == 0;
            counts.distinct = (counts.distinct + u64::from(appears)).saturating_sub(u64::from(disappears));
        }
        Ok(counts)
    }

    /// Bytes of the axis file, and its layout.
    pub(crate) fn axis_description(&self) -> Result<(&'static str, u64)> {
        match self.view.generation.axis() {
            Some(axis) => Ok((axis.describe()?, axis.file().entry().file_len)),
            None => Ok(("none", 0)),
        }
    }
}

fn tagged(value: ValueRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    value::encode(value, &mut bytes);
    bytes
}
