//! Reading the column file of a dimension.

use super::block_file::BlockFile;
use super::cells::{Cells, Filled};
use crate::error::Result;
use crate::format::column::{
    Column, ENTRY_LEN, NO_ENTRY, SECTION_COLUMN, SECTION_COUNTS, SECTION_DICTIONARY, SECTION_DICTIONARY_INDEX,
};
use crate::format::{Invalid, bytes, value};
use crate::model::ValueRef;
use std::sync::OnceLock;

/// The base file of a dimension.
#[derive(Debug)]
pub(super) struct BaseColumn {
    file: BlockFile,
    resolved: OnceLock<(Column, Cells)>,
}

impl BaseColumn {
    pub(super) const fn new(file: BlockFile) -> Self {
        Self { file, resolved: OnceLock::new() }
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
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
        let section = self.file.section(SECTION_COLUMN);
        let corrupt = |invalid: Invalid| self.file.corrupt(invalid.at(section.offset));
        let column = Column::decode(self.file.section_bytes(section)?).map_err(corrupt)?;
        let cells = Cells::resolve_base(&self.file, self.file.header().value_count)?;
        let count = u64::from(column.dictionary_count);
        let lens = [
            (SECTION_DICTIONARY, count * ENTRY_LEN as u64),
            (SECTION_COUNTS, count * 4),
            (SECTION_DICTIONARY_INDEX, u64::from(column.dictionary_index_len) * 4),
        ];
        if lens.iter().any(|&(kind, len)| self.file.section(kind).len != len) {
            return Err(corrupt(Invalid::new(24, "column descriptor", "a dictionary of another length")));
        }
        if u64::from(column.segment_count) != cells.segment_count() as u64 {
            return Err(corrupt(Invalid::new(36, "column descriptor", "the number of segments does not match")));
        }
        Ok(self.resolved.get_or_init(|| (column, cells)))
    }

    /// What reads that take the direct way need; `None` where the descriptors are damaged.
    pub(super) fn direct(&self) -> Option<&Cells> {
        self.resolve().ok().map(|(_, cells)| cells)
    }

    /// The value of a slot.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Result<Option<ValueRef<'_>>> {
        self.resolve()?.1.get(&self.file, slot)
    }

    /// Whether a slot has a value, and whether that is null.
    pub(super) fn state(&self, slot: u32) -> Result<Option<Filled>> {
        self.resolve()?.1.state(&self.file, slot)
    }

    /// The number of a slot's value in the dictionary; `None` without a value, or without a dictionary.
    pub(super) fn entry_number(&self, slot: u32) -> Result<Option<u32>> {
        let (_, cells) = self.resolve()?;
        if cells.has_dictionary() { cells.entry_number(&self.file, slot) } else { Ok(None) }
    }

    /// The value of a dictionary entry.
    pub(super) fn dictionary_value(&self, number: u32) -> Result<ValueRef<'_>> {
        self.resolve()?.1.entry(&self.file, number as usize)
    }

    /// Number of slots that have a value.
    pub(super) fn value_count(&self) -> u64 {
        self.file.header().value_count
    }

    /// How often a dictionary entry is used.
    pub(super) fn count(&self, number: u32) -> Result<u32> {
        let section = self.file.section(SECTION_COUNTS);
        let counts = self.file.section_bytes(section)?;
        bytes::u32_at(counts, number as usize * 4)
            .ok_or_else(|| self.file.corrupt(Invalid::new(section.offset, "counts", "an entry past the end")))
    }

    /// The dictionary entry of a value.
    pub(super) fn find(&self, value: ValueRef<'_>) -> Result<Option<u32>> {
        let (column, cells) = self.resolve()?;
        let section = self.file.section(SECTION_DICTIONARY_INDEX);
        let index = self.file.section_bytes(section)?;
        let mask = column.dictionary_index_len.wrapping_sub(1);
        let mut place = value::hash(value, column.hash_seed) as u32 & mask;
        for _ in 0..column.dictionary_index_len {
            match bytes::u32_at(index, place as usize * 4) {
                Some(NO_ENTRY) | None => return Ok(None),
                Some(number) => {
                    if cells.entry(&self.file, number as usize)? == value {
                        return Ok(Some(number));
                    }
                }
            }
            place = place.wrapping_add(1) & mask;
        }
        Ok(None)
    }
}
