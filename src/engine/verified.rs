//! Bytes of a block file as reads that take the direct way see them: only where a block has been verified.

use crate::format::block_file::BLOCK_SHIFT;
use crate::format::column::ENTRY_LEN;
use crate::format::heap;
use crate::storage::prefetch;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the direct way of a read has found: the answer, which may be that there is none. `None` where something unusual has to be
/// looked at, such as a block that is used for the first time: the reader then takes the long way, which checks, and explains what is
/// wrong.
pub(super) type Settled<T> = Option<Option<T>>;

/// The bytes of a file up to its checksum table, and which of its blocks have been verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedBytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) blocks: &'a [AtomicBool],
    /// The end of the heap of text, and of that of tagged values.
    pub(super) text_end: usize,
    pub(super) value_end: usize,
}

impl<'a> VerifiedBytes<'a> {
    /// Whether the block of an offset has been verified.
    #[inline(always)]
    fn is_verified(self, at: usize) -> bool {
        self.blocks.get(at >> BLOCK_SHIFT).is_some_and(|verified| verified.load(Ordering::Relaxed))
    }

    /// `N` bytes that are aligned to `N`, a power of two, so that they are in one block.
    #[inline(always)]
    pub(super) fn array<const N: usize>(self, at: usize) -> Option<&'a [u8; N]> {
        if !self.is_verified(at) {
            return None;
        }
        self.bytes.get(at..)?.first_chunk()
    }

    /// Asks for the cache line of a byte, which will be read soon.
    #[inline(always)]
    pub(super) fn prefetch(self, at: usize) {
        prefetch(self.bytes, at);
    }

    /// Two words of a presence bitmap.
    #[inline(always)]
    pub(super) fn word_pair(self, at: usize) -> Option<[u64; 2]> {
        // They may lie across the end of a block.
        let pair: &[u8; 16] = if self.is_verified(at + 15) { self.array(at)? } else { return None };
        let (bits, rank) = pair.split_at(8);
        Some([u64::from_le_bytes(*bits.first_chunk()?), u64::from_le_bytes(*rank.first_chunk()?)])
    }

    /// A dictionary entry: tag, length, payload.
    #[inline(always)]
    pub(super) fn entry(self, at: usize) -> Option<(u8, u32, u64)> {
        let entry: &[u8; ENTRY_LEN] = self.array(at)?;
        let (head, payload) = entry.split_at(8);
        let head = u64::from_le_bytes(*head.first_chunk()?);
        Some((head as u8, (head >> 32) as u32, u64::from_le_bytes(*payload.first_chunk()?)))
    }

    /// The content of the entry that starts at `at` in a heap that ends at `end`, where its length is one byte and it lies in one block,
    /// and where that is.
    #[inline(always)]
    pub(super) fn heap_entry(self, at: usize, end: usize) -> Option<(usize, &'a [u8])> {
        if !self.is_verified(at) {
            return None;
        }
        let len = heap::short_len(*self.bytes.get(at)?)?;
        let (start, stop) = (at + 1, at + 1 + len);
        if stop > end || (stop - 1) >> BLOCK_SHIFT != at >> BLOCK_SHIFT {
            return None;
        }
        Some((start, self.bytes.get(start..stop)?))
    }

    /// The text of an entry of the heap of text.
    #[inline(always)]
    pub(super) fn text_entry(self, at: usize) -> Option<&'a str> {
        let (start, content) = self.heap_entry(at, self.text_end)?;
        self.checked_text(start, content)
    }

    /// The text at a place of the heap of text, where it lies in one block.
    #[inline(always)]
    pub(super) fn text(self, start: usize, len: usize) -> Option<&'a str> {
        let stop = start.checked_add(len)?;
        if stop > self.text_end
            || !self.is_verified(start)
            || (stop.wrapping_sub(1) >> BLOCK_SHIFT) != start >> BLOCK_SHIFT
        {
            return None;
        }
        self.checked_text(start, self.bytes.get(start..stop)?)
    }

    #[inline(always)]
    fn checked_text(self, start: usize, content: &'a [u8]) -> Option<&'a str> {
        let stop = start + content.len();
        let follows = if stop < self.text_end { self.bytes.get(stop).copied() } else { None };
        heap::text(content, follows, start as u64).ok()
    }
}
