//! The filter of a delta column: one word of the patch tells of most slots that it says nothing of them.

use super::block_file::BlockFile;
use super::patch::DeltaColumn;
use crate::error::Result;
use crate::format::block_file::Section;
use crate::format::bytes;
use crate::format::filter::{FilterNumber, FilterShape, WORD_LEN};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Where a filter is.
#[derive(Clone, Debug)]
pub(super) struct PatchFilter {
    file: Arc<BlockFile>,
    start: usize,
    shape: FilterShape,
    /// Whether all of it has been verified, which is done when it is first asked.
    whole: Arc<AtomicBool>,
}

impl PatchFilter {
    /// The filter that is a part of a file; `None` where that has not the length of one.
    pub(super) fn new(file: &Arc<BlockFile>, part: Section) -> Option<Self> {
        Some(Self {
            file: Arc::clone(file),
            start: usize::try_from(part.offset).ok()?,
            shape: FilterShape::of_len(part.len)?,
            whole: Arc::default(),
        })
    }

    /// Where the word of a slot is in the file.
    #[inline(always)]
    fn place(&self, slot: FilterNumber) -> usize {
        self.start + self.shape.word(slot) * WORD_LEN
    }

    /// Whether the patch may say anything of a slot. What cannot be read may.
    #[inline(always)]
    pub(super) fn may_touch(&self, slot: FilterNumber) -> bool {
        match self.file.verified_word(self.place(slot)) {
            Some(word) if self.whole.load(Ordering::Relaxed) => word & slot.mask == slot.mask,
            _ => self.find(slot).unwrap_or(true),
        }
    }

    /// Whether the filter has a slot.
    pub(super) fn has(&self, slot: u32) -> Result<bool> {
        self.find(FilterNumber::new(slot.into()))
    }

    #[cold]
    fn find(&self, slot: FilterNumber) -> Result<bool> {
        let all = self.file.bytes(self.start as u64, self.len() as u64)?;
        self.whole.store(true, Ordering::Relaxed);
        let word = bytes::u64_at(all, self.shape.word(slot) * WORD_LEN).unwrap_or_default();
        Ok(word & slot.mask == slot.mask)
    }

    /// Bytes that it takes.
    fn len(&self) -> usize {
        (self.shape.word_count() as usize).saturating_mul(WORD_LEN)
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
