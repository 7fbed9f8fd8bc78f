//! Which patch touched each slot of a dimension last, for many slots in ascending order: patches are read one after the other for each segment,
//! instead of being asked about each slot.

use super::cells::Filled;
use super::patch::DeltaColumn;
use crate::error::Result;
use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::model::ValueRef;

/// What asking one patch about one slot costs, in touched slots that are read one after the other.
const ASKING_COST: u64 = 16;
/// What reading a segment costs besides, in the same.
const SEGMENT_COST: u64 = 1 << 13;

/// The newest cells of slots in some delta columns of a dimension.
pub(super) struct NewestPatches<'a> {
    /// The newest first.
    patches: Vec<&'a DeltaColumn>,
    by_segment: bool,
    /// The segment that was read last.
    segment: Option<u32>,
    /// For each slot of it the number of the newest patch that touches it, from 1 on, above 16 bits with the index of the cell there; 0 where
    /// none does.
    places: Vec<u32>,
}

/// A cell of a patch.
#[derive(Clone, Copy)]
pub(super) struct PatchCell<'a> {
    patch: &'a DeltaColumn,
    /// The number of the patch, from 0 on, the newest first.
    pub(super) number: usize,
    slot: u32,
    index: u32,
}

impl<'a> NewestPatches<'a> {
    /// Of delta columns, the newest first, that will be asked about slots, which ascend.
    pub(super) fn new(patches: impl Iterator<Item = &'a DeltaColumn>, slots: &[u32]) -> Result<Self> {
        let patches: Vec<_> = patches.collect();
        let touched = patches.iter().try_fold(0, |sum, patch| patch.touched_count().map(|count| sum + count))?;
        let count = slots.len() as u64;
        let number = |slot: Option<&u32>| slot.map_or(0, |slot| u64::from(slot >> SEGMENT_SHIFT));
        let segments = (number(slots.last()) - number(slots.first()) + 1).min(count);
        let by_segment = count * patches.len() as u64 * ASKING_COST > touched + segments * SEGMENT_COST;
        Ok(Self { by_segment, ..Self::by_segment(patches) })
    }

    /// The same for most slots that they touch.
    pub(super) fn by_segment(patches: Vec<&'a DeltaColumn>) -> Self {
        let by_segment = patches.len() < usize::from(u16::MAX);
        Self { patches, by_segment, segment: None, places: Vec::new() }
    }

    /// The newest cell of a slot, be it removed; `None` where no patch touches it.
    #[inline]
    pub(super) fn get(&mut self, slot: u32) -> Result<Option<PatchCell<'a>>> {
        if self.patches.is_empty() {
            return Ok(None);
        }
        if !self.by_segment {
            return self.ask(slot);
        }
        if self.segment != Some(slot >> SEGMENT_SHIFT) {
            self.read(slot >> SEGMENT_SHIFT)?;
        }
        let place = self.places.get((slot % SEGMENT_LEN) as usize).copied().unwrap_or_default();
        let Some(number) = (place as usize >> 16).checked_sub(1) else { return Ok(None) };
        let index = place & 0xFFFF;
        Ok(self.patches.get(number).map(|&patch| PatchCell { patch, number, slot, index }))
    }

    fn ask(&self, slot: u32) -> Result<Option<PatchCell<'a>>> {
        for (number, &patch) in self.patches.iter().enumerate() {
            if let Some(index) = patch.index_of(slot)? {
                return Ok(Some(PatchCell { patch, number, slot, index }));
            }
        }
        Ok(None)
    }

    fn read(&mut self, number: u32) -> Result<()> {
        self.segment = None;
        self.places.clear();
        self.places.resize(SEGMENT_LEN as usize, 0);
        let mut offsets = Vec::new();
        // What is newer takes the place of what is older.
        for (at, patch) in self.patches.iter().enumerate().rev() {
            let from = at as u32 + 1;
            offsets.clear();
            patch.touched_in(number as usize, &mut offsets)?;
            for (&offset, index) in offsets.iter().zip(0..) {
                if let Some(place) = self.places.get_mut(usize::from(offset)) {
                    *place = from << 16 | index;
                }
            }
        }
        self.segment = Some(number);
        Ok(())
    }
}

impl<'a> PatchCell<'a> {
    /// The generation of its patch.
    #[inline]
    pub(super) fn generation(self) -> u64 {
        self.patch.generation()
    }

    /// The value; `None` where it is removed.
    #[inline]
    pub(super) fn value(self) -> Result<Option<ValueRef<'a>>> {
        self.patch.value_at(self.slot, self.index)
    }

    /// Whether there is a value, and whether that is null.
    pub(super) fn state(self) -> Result<Option<Filled>> {
        self.patch.state_at(self.slot, self.index)
    }

    /// The number of its value in the dictionary of its patch; `None` where it is removed, or there is no dictionary.
    pub(super) fn entry_number(self) -> Result<Option<u32>> {
        self.patch.entry_number_at(self.slot, self.index)
    }
}
