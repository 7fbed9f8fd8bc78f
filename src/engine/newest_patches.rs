//! Which patch touched each slot of a dimension last, for many slots in ascending order: patches are read one after the other for each segment,
//! instead of being asked about each slot.

use super::cells::Filled;
use super::patch::DeltaColumn;
use crate::error::Result;
use crate::format::column::{SEGMENT_LEN, SEGMENT_SHIFT};
use crate::model::ValueRef;

/// What reading a segment of a patch costs, in slots that the patch is asked about one by one.
const SEGMENT_COST: u64 = 32;

/// The newest cells of slots in some delta columns of a dimension.
pub(super) struct NewestPatches<'a, 's> {
    /// The newest first.
    patches: Vec<&'a DeltaColumn>,
    /// Slots that it will be asked about, ascending; all, where there are none.
    slots: Option<&'s [u32]>,
    by_segment: bool,
    /// The segment that was read last.
    segment: Option<u32>,
    /// The slots of it that were looked for, a bit for each.
    sought: Vec<u64>,
    /// For each of them the number of the newest patch that touches it, from 1 on, above 16 bits with the index of the cell there; 0 where
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

impl<'a, 's> NewestPatches<'a, 's> {
    /// Of delta columns, the newest first, that will be asked mostly about these slots, which ascend.
    pub(super) fn new(patches: impl Iterator<Item = &'a DeltaColumn>, slots: &'s [u32]) -> Self {
        let count = slots.len() as u64;
        let number = |slot: Option<&u32>| slot.map_or(0, |slot| u64::from(slot >> SEGMENT_SHIFT));
        let segments = (number(slots.last()) - number(slots.first()) + 1).min(count);
        let all = Self::by_segment(patches.collect());
        Self { slots: Some(slots), by_segment: all.by_segment && count > segments * SEGMENT_COST, ..all }
    }

    /// The same for most slots that they touch.
    pub(super) fn by_segment(patches: Vec<&'a DeltaColumn>) -> Self {
        let by_segment = patches.len() < usize::from(u16::MAX);
        Self { patches, slots: None, by_segment, segment: None, sought: Vec::new(), places: Vec::new() }
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
        let offset = (slot % SEGMENT_LEN) as usize;
        if self.sought.get(offset >> 6).is_none_or(|word| word & 1 << (offset & 63) == 0) {
            return self.ask(slot);
        }
        let place = self.places.get(offset).copied().unwrap_or_default();
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
        self.seek(number);
        let mut missing = self.sought.clone();
        for (patch, from) in self.patches.iter().zip(1u32..) {
            patch.take_touched(number as usize, &mut missing, |offset, index| {
                if let Some(place) = self.places.get_mut(offset as usize) {
                    *place = from << 16 | index;
                }
            })?;
        }
        self.segment = Some(number);
        Ok(())
    }

    /// Sets which slots of a segment are looked for, and that nothing is known of them.
    fn seek(&mut self, number: u32) {
        self.places.resize(SEGMENT_LEN as usize, 0);
        self.sought.clear();
        let Some(slots) = self.slots else {
            self.sought.resize(SEGMENT_LEN as usize / 64, u64::MAX);
            self.places.fill(0);
            return;
        };
        self.sought.resize(SEGMENT_LEN as usize / 64, 0);
        let start = slots.partition_point(|slot| slot >> SEGMENT_SHIFT < number);
        let rest = slots.get(start..).unwrap_or_default();
        for slot in rest.iter().take_while(|&slot| slot >> SEGMENT_SHIFT == number) {
            let offset = (slot % SEGMENT_LEN) as usize;
            if let (Some(word), Some(place)) = (self.sought.get_mut(offset >> 6), self.places.get_mut(offset)) {
                *word |= 1 << (offset & 63);
                *place = 0;
            }
        }
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
