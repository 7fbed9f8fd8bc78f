//! The filter of a delta column: one word of the patch tells of most slots that it says nothing of them.

use super::block_file::BlockFile;
use super::patch::DeltaColumn;
use crate::error::Result;
use crate::format::block_file::Section;
use crate::format::bytes;
use crate::format::filter::{FilterShape, WORD_LEN};
use std::sync::{Arc, OnceLock};

/// Where a filter is.
#[derive(Clone, Debug)]
pub(super) struct PatchFilter {
    file: Arc<BlockFile>,
    start: usize,
    shape: FilterShape,
}

impl PatchFilter {
    /// The filter that is a part of a file; `None` where that has not the length of one.
    pub(super) fn new(file: &Arc<BlockFile>, part: Section) -> Option<Self> {
        Some(Self {
            file: Arc::clone(file),
            start: usize::try_from(part.offset).ok()?,
            shape: FilterShape::of_len(part.len)?,
        })
    }

    #[inline(always)]
    fn place(&self, slot: u32) -> (usize, u64) {
        let (word, mask) = self.shape.place(slot.into());
        (self.start + word * WORD_LEN, mask)
    }

    /// Whether the patch may say anything of a slot. What cannot be read may.
    #[inline(always)]
    pub(super) fn may_touch(&self, slot: u32) -> bool {
        let (at, mask) = self.place(slot);
        match self.file.verified_bytes().array(at) {
            Some(&word) => u64::from_le_bytes(word) & mask == mask,
            None => self.has(slot).unwrap_or(true),
        }
    }

    /// Whether the filter has a slot.
    #[cold]
    pub(super) fn has(&self, slot: u32) -> Result<bool> {
        let (at, mask) = self.place(slot);
        let word = bytes::u64_at(self.file.bytes(at as u64, WORD_LEN as u64)?, 0).unwrap_or_default();
        Ok(word & mask == mask)
    }

    /// Asks for the cache line that tells of a slot.
    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        self.file.verified_bytes().prefetch(self.place(slot).0);
    }
}

/// The filters of some delta columns, found at first use.
#[derive(Clone, Default, Debug)]
pub(super) struct PatchFilters(OnceLock<Option<Box<[PatchFilter]>>>);

impl PatchFilters {
    /// Not found yet.
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Those of the columns that touch any slot; `None` where a descriptor is damaged.
    #[inline]
    pub(super) fn get<'a, I>(&self, columns: impl FnOnce() -> I) -> Option<&[PatchFilter]>
    where
        I: Iterator<Item = &'a DeltaColumn>,
    {
        self.0
            .get_or_init(|| columns().filter_map(|column| column.filter().transpose()).collect::<Result<_>>().ok())
            .as_deref()
    }
}
