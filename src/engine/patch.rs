//! Reading a patch file: what one checkpoint changed, as delta columns.

use super::block_file::{BlockFile, OpenError};
use super::cells::{Cells, Filled, entry_value};
use super::column_extents::ColumnExtents;
use super::key_index::KeyIndex;
use crate::error::Result;
use crate::format::axis::SECTION_INDEX;
use crate::format::block_file::{NO_DIMENSION, PATCH_MAGIC, Section};
use crate::format::column::{Column, ENTRY_LEN, SEGMENT_SHIFT, SegmentKind};
use crate::format::manifest::{FileEntry, patch_name};
use crate::format::patch::{
    AXIS_DELTA, DeltaEntry, Part, PatchDescriptor, SECTION_DELTA_COLUMNS, SECTION_PARTS, SECTION_PATCH,
    decode_directory,
};
use crate::format::{Invalid, bytes};
use crate::model::{DimensionId, KeyRef, ValueRef};
use crate::storage::Storage;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// An open patch file.
#[derive(Debug)]
pub(super) struct Patch {
    file: Arc<BlockFile>,
    descriptor: PatchDescriptor,
    axis: Option<AxisDelta>,
    dimensions: HashMap<DimensionId, Arc<DeltaColumn>>,
}

impl Patch {
    /// Maps the file and reads its directory.
    pub(super) fn open(storage: &dyn Storage, entry: FileEntry, database_id: [u8; 16]) -> Result<Self, OpenError> {
        let name = patch_name(entry.generation);
        let file = BlockFile::open(storage, &name, entry, &PATCH_MAGIC, database_id, NO_DIMENSION)?;
        Ok(Self::read(Arc::new(file))?)
    }

    /// Reads the directory of an open file.
    pub(super) fn read(file: Arc<BlockFile>) -> Result<Self> {
        let (section, directory) = (file.section(SECTION_PATCH), file.section(SECTION_DELTA_COLUMNS));
        let (index, parts) = (file.section(SECTION_INDEX), file.section(SECTION_PARTS));
        let descriptor = PatchDescriptor::decode(file.section_bytes(section)?, directory.len, index.len)
            .map_err(|invalid| file.corrupt(invalid.at(section.offset)))?;
        let entries = decode_directory(file.section_bytes(directory)?, (parts.offset, parts.len))
            .map_err(|invalid| file.corrupt(invalid.at(directory.offset)))?;
        let (mut axis, mut dimensions) = (None, HashMap::new());
        for entry in entries {
            let column = DeltaColumn { file: Arc::clone(&file), entry, resolved: OnceLock::new() };
            if entry.dimension_id == AXIS_DELTA {
                let PatchDescriptor { bucket_count, hash_seed, chain_len_max, .. } = descriptor;
                axis = Some(AxisDelta {
                    column,
                    index: KeyIndex { section: index, bucket_count, hash_seed, chain_len_max },
                });
            } else {
                dimensions.insert(DimensionId(entry.dimension_id), Arc::new(column));
            }
        }
        Ok(Self { file, descriptor, axis, dimensions })
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    /// The generation that wrote it.
    pub(super) fn generation(&self) -> u64 {
        self.file.entry().generation
    }

    pub(super) fn base_next(&self) -> u32 {
        self.descriptor.base_next
    }

    pub(super) fn axis(&self) -> Option<&AxisDelta> {
        self.axis.as_ref()
    }

    pub(super) fn dimension(&self, id: DimensionId) -> Option<&Arc<DeltaColumn>> {
        self.dimensions.get(&id)
    }

    /// All delta columns of dimensions, in no order.
    pub(super) fn dimensions(&self) -> impl Iterator<Item = (DimensionId, &DeltaColumn)> {
        self.dimensions.iter().map(|(&id, column)| (id, &**column))
    }
}

/// What a patch changed in one dimension, or in the keys.
#[derive(Debug)]
pub(super) struct DeltaColumn {
    file: Arc<BlockFile>,
    entry: DeltaEntry,
    resolved: OnceLock<(Column, Cells)>,
}

impl DeltaColumn {
    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    pub(super) fn entry(&self) -> &DeltaEntry {
        &self.entry
    }

    pub(super) fn generation(&self) -> u64 {
        self.file.entry().generation
    }

    fn part(&self, part: Part) -> Section {
        let (offset, len) = self.entry.part(part);
        Section { kind: 0, offset, len }
    }

    /// Where the parts are that make it a column.
    pub(super) fn extents(&self) -> ColumnExtents {
        ColumnExtents {
            kind: SegmentKind::Delta,
            segments: self.part(Part::Segments),
            cells: self.part(Part::Cells),
            presence: self.part(Part::Presence),
            dictionary: self.part(Part::Dictionary),
        }
    }

    /// Where the column descriptor is, from the start of the file.
    pub(super) fn descriptor_offset(&self) -> u64 {
        self.part(Part::Column).offset
    }

    /// The descriptors, read and checked at the first call.
    #[inline]
    pub(super) fn resolve(&self) -> Result<&(Column, Cells)> {
        match self.resolved.get() {
            Some(resolved) => Ok(resolved),
            None => self.resolve_first(),
        }
    }

    #[cold]
    fn resolve_first(&self) -> Result<&(Column, Cells)> {
        let file = &*self.file;
        let section = self.part(Part::Column);
        let corrupt = |invalid: Invalid| file.corrupt(invalid.at(section.offset));
        let column = Column::decode(file.section_bytes(section)?).map_err(corrupt)?;
        let extents = self.extents();
        let cells = Cells::resolve(file, &extents)?;
        if u64::from(column.segment_count) != cells.segment_count() as u64 {
            return Err(corrupt(Invalid::new(36, "column descriptor", "the number of segments does not match")));
        }
        let count = u64::from(column.dictionary_count);
        let counts_fit = extents.dictionary.len == count * ENTRY_LEN as u64 && self.part(Part::Counts).len == count * 4;
        if !counts_fit || column.dictionary_index_len != 0 {
            return Err(corrupt(Invalid::new(24, "column descriptor", "a dictionary of another length")));
        }
        let changes = (self.part(Part::ChangedValues).len / ENTRY_LEN as u64).checked_mul(8);
        if changes != Some(self.part(Part::Changes).len)
            || !self.part(Part::ChangedValues).len.is_multiple_of(ENTRY_LEN as u64)
        {
            return Err(corrupt(Invalid::new(0, "changes", "not as many as changed values")));
        }
        Ok(self.resolved.get_or_init(|| (column, cells)))
    }

    /// What the patch says of a slot: nothing, that it is removed, or its value.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Result<Option<Option<ValueRef<'_>>>> {
        self.resolve()?.1.touched(&self.file, slot)
    }

    /// The same, without the value.
    pub(super) fn state(&self, slot: u32) -> Result<Option<Option<Filled>>> {
        self.resolve()?.1.touched_state(&self.file, slot)
    }

    /// Where the cell of a slot is in its segment; `None` where the patch says nothing of it.
    pub(super) fn index_of(&self, slot: u32) -> Result<Option<u32>> {
        self.resolve()?.1.index_of(&self.file, slot)
    }

    /// The value of a touched slot whose cell is at an index of its segment; `None` where it is removed.
    #[inline]
    pub(super) fn value_at(&self, slot: u32, index: u32) -> Result<Option<ValueRef<'_>>> {
        self.resolve()?.1.touched_at(&self.file, slot, index)
    }

    /// Asks for the cell of a touched slot at an index of its segment, or, once that is there, for what it refers to.
    #[inline]
    pub(super) fn prefetch<const CONTENT: bool>(&self, slot: u32, index: u32) {
        if let Some((_, cells)) = self.resolved.get()
            && let Some(segment) = cells.segment((slot >> SEGMENT_SHIFT) as usize)
        {
            if CONTENT {
                cells.prefetch_content(&self.file, segment, index);
            } else {
                Cells::prefetch_cell(&self.file, segment, index);
            }
        }
    }

    /// The same, without the value.
    pub(super) fn state_at(&self, slot: u32, index: u32) -> Result<Option<Filled>> {
        self.resolve()?.1.state_at(&self.file, slot, index)
    }

    /// The same, the number in the dictionary; `None` also without one.
    pub(super) fn entry_number_at(&self, slot: u32, index: u32) -> Result<Option<u32>> {
        self.resolve()?.1.entry_number_at(&self.file, slot, index)
    }

    /// The value of a dictionary entry.
    pub(super) fn dictionary_value(&self, number: u32) -> Result<ValueRef<'_>> {
        self.resolve()?.1.entry(&self.file, number as usize)
    }

    /// Whether the patch says anything of a slot.
    #[inline]
    pub(super) fn touches(&self, slot: u32) -> Result<bool> {
        self.resolve()?.1.touches(&self.file, slot)
    }

    /// Number of touched slots.
    pub(super) fn touched_count(&self) -> Result<u64> {
        Ok(self.resolve()?.1.present_count())
    }

    /// Calls `each` for every segment that has touched slots, with the number of these.
    pub(super) fn for_each_segment(&self, mut each: impl FnMut(usize, u64)) -> Result<()> {
        let cells = &self.resolve()?.1;
        for number in cells.touched_segments(0) {
            each(number, cells.segment(number).map_or(0, |segment| segment.present_count.into()));
        }
        Ok(())
    }

    /// Calls `each` for every touched slot, ascending.
    pub(super) fn for_each_touched(&self, each: impl FnMut(u32)) -> Result<()> {
        self.for_each_touched_in(&(0..u32::MAX), each)
    }

    /// Calls `each` for every touched slot of a range of segments, ascending.
    pub(super) fn for_each_touched_in(&self, range: &Range<u32>, mut each: impl FnMut(u32)) -> Result<()> {
        let cells = &self.resolve()?.1;
        let mut offsets = Vec::new();
        for number in cells.touched_segments(range.start as usize).take_while(|&number| number < range.end as usize) {
            cells.present_in(&self.file, number, &mut offsets)?;
            let start = (number as u32) << SEGMENT_SHIFT;
            offsets.iter().for_each(|&offset| each(start + u32::from(offset)));
        }
        Ok(())
    }

    /// Appends the touched slots of a segment, as offsets into it, ascending.
    pub(super) fn touched_in(&self, number: usize, out: &mut Vec<u16>) -> Result<()> {
        let mut offsets = Vec::new();
        self.resolve()?.1.present_in(&self.file, number, &mut offsets)?;
        out.append(&mut offsets);
        Ok(())
    }

    /// Calls `each` with the touched slots of a segment that are among `slots`, a bit for each, and with the index of their cell; takes them
    /// out of `slots`.
    pub(super) fn take_touched(&self, number: usize, slots: &mut [u64], each: impl FnMut(u32, u32)) -> Result<()> {
        self.resolve()?.1.take_present(&self.file, number, slots, each)
    }

    /// Whether each touched slot has a value that is not null.
    pub(super) fn has_values_only(&self) -> Result<bool> {
        let (column, cells) = self.resolve()?;
        Ok(column.null_count == 0 && !cells.removes_any())
    }

    /// How often a dictionary entry is used.
    pub(super) fn count(&self, number: u32) -> Result<u32> {
        let section = self.part(Part::Counts);
        bytes::u32_at(self.file.section_bytes(section)?, number as usize * 4)
            .ok_or_else(|| self.file.corrupt(Invalid::new(section.offset, "counts", "an entry past the end")))
    }

    /// Calls `each` for every value whose count changed.
    pub(super) fn for_each_change<'a>(&'a self, mut each: impl FnMut(ValueRef<'a>, i64)) -> Result<()> {
        self.resolve()?;
        let values = self.part(Part::ChangedValues);
        let changes = self.file.section_bytes(self.part(Part::Changes))?;
        for (number, change) in changes.as_chunks::<8>().0.iter().enumerate() {
            let value = entry_value(&self.file, values, number)?;
            each(value, i64::from_le_bytes(*change));
        }
        Ok(())
    }
}

/// What a patch changed on the axis.
#[derive(Debug)]
pub(super) struct AxisDelta {
    pub(super) column: DeltaColumn,
    index: KeyIndex,
}

impl AxisDelta {
    /// The slot of a key that this patch inserted; newer patches may have freed it again.
    #[inline]
    pub(super) fn slot_of(&self, key: KeyRef<'_>) -> Result<Option<u32>> {
        let column = &self.column;
        self.index.find(&column.file, key, |slot| Ok(column.get(slot)? == Some(Some(key.value()))))
    }

    /// Whether this patch may have inserted a key.
    pub(super) fn may_have_key(&self, key: KeyRef<'_>) -> bool {
        self.index.may_have(self.column.file.verified_bytes(), key)
    }

    /// What the patch says of a slot: nothing, that it is free, or its key.
    pub(super) fn get(&self, slot: u32) -> Result<Option<Option<KeyRef<'_>>>> {
        match self.column.get(slot)? {
            Some(Some(value)) => match KeyRef::checked(value) {
                Some(key) => Ok(Some(Some(key))),
                None => Err(self.column.file.corrupt(Invalid::new(0, "keys", "a value that cannot be a key"))),
            },
            Some(None) => Ok(Some(None)),
            None => Ok(None),
        }
    }

    /// The first slot at or after one that this patch freed.
    pub(super) fn next_removed(&self, from: u32) -> Result<Option<u32>> {
        self.column.resolve()?.1.next_removed(&self.column.file, from)
    }

    /// Whether this patch freed a slot.
    #[inline]
    pub(super) fn removes(&self, slot: u32) -> Result<Option<bool>> {
        self.column.resolve()?.1.removes(&self.column.file, slot)
    }
}
