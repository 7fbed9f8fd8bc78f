//! What the cells of a dimension held before an overlay, for many slots in ascending order, to count what became of them.

use super::cells::Filled;
use super::column_tiers::{BASE, ColumnTiers, Tier};
use super::counts::CountChanges;
use super::newest_patches::NewestPatches;
use crate::error::Result;
use crate::model::ValueRef;

/// The cells of a dimension in the files.
pub(super) struct OldCells<'a> {
    column: Option<&'a ColumnTiers>,
    patches: NewestPatches<'a>,
    /// How often each entry of a dictionary was met: that of the column file, then those of the patches, the newest first.
    tallies: Vec<Vec<i64>>,
}

impl<'a> OldCells<'a> {
    /// Of a dimension, which will be asked about slots, which ascend.
    pub(super) fn new(column: Option<&'a ColumnTiers>, slots: &[u32]) -> Result<Self> {
        let patches = column.map_or(&[][..], ColumnTiers::patches);
        let tallies = vec![Vec::new(); patches.len() + 1];
        Ok(Self { column, patches: NewestPatches::new(patches.iter().map(|patch| &**patch), slots)?, tallies })
    }

    /// Whether a slot whose occupant comes from `tier` has a value, and whether that is null.
    pub(super) fn state(&mut self, slot: u32, tier: Option<Tier>) -> Result<Option<Filled>> {
        let Some((column, tier)) = self.column.zip(tier) else { return Ok(None) };
        match (self.patches.get(slot)?, column.base()) {
            (Some(cell), _) if cell.generation() >= tier => cell.state(),
            (None, Some(base)) if tier == BASE => base.state(slot),
            _ => Ok(None),
        }
    }

    /// The value of such a slot, unless a dictionary has it: then that is counted for [`settle`](Self::settle).
    pub(super) fn value(&mut self, slot: u32, tier: Option<Tier>) -> Result<Option<ValueRef<'a>>> {
        let Some((column, tier)) = self.column.zip(tier) else { return Ok(None) };
        let (tally, number) = match (self.patches.get(slot)?, column.base()) {
            (Some(cell), _) if cell.generation() >= tier => match cell.entry_number()? {
                Some(number) => (cell.number + 1, number),
                None => return cell.value(),
            },
            (None, Some(base)) if tier == BASE => match base.entry_number(slot)? {
                Some(number) => (0, number),
                None => return base.get(slot),
            },
            _ => return Ok(None),
        };
        if let Some(tally) = self.tallies.get_mut(tally) {
            let number = number as usize;
            tally.resize(tally.len().max(number + 1), 0);
            tally.iter_mut().skip(number).take(1).for_each(|count| *count += 1);
        }
        Ok(None)
    }

    /// Takes what dictionaries had out of the counts.
    pub(super) fn settle(self, changes: &mut CountChanges<'a>) -> Result<()> {
        let Some(column) = self.column else { return Ok(()) };
        for (tier, tally) in self.tallies.iter().enumerate() {
            for (number, &count) in (0..).zip(tally).filter(|&(_, &count)| count > 0) {
                let value = match (tier.checked_sub(1), column.base()) {
                    (Some(patch), _) => column.patches().get(patch).map(|patch| patch.dictionary_value(number)),
                    (None, base) => base.map(|base| base.dictionary_value(number)),
                };
                if let Some(value) = value.transpose()? {
                    changes.remove_many(value, count);
                }
            }
        }
        Ok(())
    }
}
