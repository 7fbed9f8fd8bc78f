//! What the cells of a dimension held before an overlay, for many slots in ascending order, to count what became of them.

use super::cells::Filled;
use super::column_tiers::{BASE, ColumnTiers, Tier};
use super::counts::CountChanges;
use super::newest_patches::NewestPatches;
use crate::error::Result;
use crate::model::ValueRef;

/// The number of slots of a column file, if all of them have a value, and a patch has changed none to null or removed it; else 0.
fn filled_end(column: &ColumnTiers) -> Result<u32> {
    let Some(base) = column.base() else { return Ok(0) };
    let slot_count = base.file().header().slot_count;
    if base.value_count() != slot_count || base.resolve()?.0.null_count > 0 {
        return Ok(0);
    }
    for patch in column.patches() {
        if !patch.has_values_only()? {
            return Ok(0);
        }
    }
    Ok(u32::try_from(slot_count).unwrap_or(0))
}

/// The cells of a dimension in the files.
pub(super) struct OldCells<'a, 's> {
    column: Option<&'a ColumnTiers>,
    patches: NewestPatches<'a, 's>,
    /// Where an occupant of the axis file is at a slot below, the slot has a value, and that is not null.
    filled_end: u32,
    /// How often each entry of a dictionary was met: that of the column file, then those of the patches, the newest first.
    tallies: Vec<Vec<i64>>,
}

impl<'a, 's> OldCells<'a, 's> {
    /// Of a dimension, which will be asked mostly about these slots, which ascend.
    pub(super) fn new(column: Option<&'a ColumnTiers>, slots: &'s [u32]) -> Result<Self> {
        let patches = column.map_or(&[][..], ColumnTiers::patches);
        let tallies = vec![Vec::new(); patches.len() + 1];
        let filled_end = column.map_or(Ok(0), filled_end)?;
        let patches = NewestPatches::new(patches.iter().map(|patch| &**patch), slots);
        Ok(Self { column, patches, filled_end, tallies })
    }

    /// Whether a slot whose occupant comes from `tier` has a value, and whether that is null.
    pub(super) fn state(&mut self, slot: u32, tier: Option<Tier>) -> Result<Option<Filled>> {
        let Some((column, tier)) = self.column.zip(tier) else { return Ok(None) };
        if tier == BASE && slot < self.filled_end {
            return Ok(Some(Filled::Value));
        }
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
