//! How many cells have each id, counted for as many ids at a time as fit in memory.

use super::ids::Ids;
use super::output::WriteError;
use crate::engine::meter::Meter;
use crate::engine::spill::{Spill, StreamReader};
use crate::format::column::DICTIONARY_COUNT_MAX;

/// The counts of the ids of a dimension.
pub(super) struct RefCounts {
    ids: Ids,
    /// The id before the first one that is counted.
    before: u32,
    /// The count of each id after it.
    counts: Vec<u32>,
    /// Ids so far.
    last: u32,
}

impl RefCounts {
    /// Of ids that [`add`](Self::add) is told. `limit`: bytes of memory, but what a dictionary needs.
    pub(super) fn new(ids: Ids, limit: usize) -> Self {
        let count_max = (limit / size_of::<u32>()).max(DICTIONARY_COUNT_MAX);
        Self { ids, before: 0, counts: vec![0; ids.counted().min(count_max)], last: 0 }
    }

    /// Counts a cell.
    #[inline]
    pub(super) fn add(&mut self, id: u32) {
        self.last = self.last.max(id);
        if let Some(count) = id.checked_sub(self.before + 1).and_then(|index| self.counts.get_mut(index as usize)) {
            *count += 1;
        }
    }

    /// Tells the counts in the order of ids, once all cells were told; returns how many there are.
    pub(super) fn each(
        mut self,
        kept: &Spill,
        meter: &mut Meter<'_>,
        mut tell: impl FnMut(u32, u32) -> Result<(), WriteError>,
    ) -> Result<u32, WriteError> {
        let Some(numbers) = self.ids.numbers() else {
            for id in 1..=self.last {
                let count = self.counts.get(id as usize - 1).copied();
                // Where no id comes twice, none is counted.
                tell(id, count.unwrap_or(1))?;
                meter.step()?;
            }
            return Ok(self.last);
        };
        loop {
            for &count in &self.counts {
                self.before += 1;
                tell(self.before, count)?;
                meter.step()?;
            }
            if self.before >= self.last {
                return Ok(self.last);
            }
            self.counts.truncate((self.last - self.before) as usize);
            self.counts.fill(0);
            let mut reader = StreamReader::new(numbers);
            while let Some(number) = reader.u32(kept)? {
                self.add(number.wrapping_add(1));
                meter.step()?;
            }
        }
    }
}
