//! Bytes of a block file as reads that take the direct way see them: only where a block has been verified.

use crate::format::block_file::{BLOCK_LEN, BLOCK_SHIFT, Section};
use crate::format::heap::{self, ENTRY_ALIGNMENT};
use crate::storage::prefetch;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the direct way of a read has found: the answer, which may be that there is none. `None` where something unusual has to be
/// looked at, such as a block that is used for the first time: the reader then takes the long way, which checks, and explains what is
/// wrong.
pub(super) type Settled<T> = Option<Option<T>>;

/// Bytes up to the end of most entries.
const SHORT_ENTRY_LEN: usize = 24;

/// The offset of a place in its block.
const fn offset_in_block(at: usize) -> usize {
    at & (BLOCK_LEN as usize - 1)
}

/// Whether a block has been verified, by its place.
#[inline(always)]
fn is_verified(blocks: &[AtomicBool], block: usize) -> bool {
    blocks.get(block).is_some_and(|verified| verified.load(Ordering::Relaxed))
}

/// Items of `N` bytes, a power of two, one behind the other in a file. Those in blocks that have been verified can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedSlice<'a, const N: usize> {
    items: &'a [[u8; N]],
    /// Of the block in which the first item is, and of those behind it.
    blocks: &'a [AtomicBool],
    /// So many items would fit between the start of the first block and the first item.
    before: usize,
}

impl<'a, const N: usize> VerifiedSlice<'a, N> {
    const ITEMS_SHIFT: u32 = {
        assert!(N.is_power_of_two() && N as u64 <= BLOCK_LEN);
        BLOCK_SHIFT - N.ilog2()
    };

    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    /// An item; nothing where there are not so many. `WHOLE`: all blocks have been verified.
    #[inline(always)]
    pub(super) fn get<const WHOLE: bool>(&self, index: usize) -> Settled<&'a [u8; N]> {
        match self.items.get(index) {
            Some(item) if WHOLE || is_verified(self.blocks, (index + self.before) >> Self::ITEMS_SHIFT) => {
                Some(Some(item))
            }
            Some(_) => None,
            None => Some(None),
        }
    }

    /// An item that has to be there.
    #[inline(always)]
    pub(super) fn at<const WHOLE: bool>(&self, index: usize) -> Option<&'a [u8; N]> {
        self.get::<WHOLE>(index).flatten()
    }

    /// Asks for the cache line where an item starts, which will be read soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, index: usize) {
        prefetch(self.items, index);
    }
}

/// A heap in a file. Entries in blocks that have been verified can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedHeap<'a> {
    bytes: &'a [u8],
    /// Of the block in which the heap starts, and of those behind it.
    blocks: &'a [AtomicBool],
    /// So many bytes of the first block are before the heap.
    before: usize,
}

impl<'a> VerifiedHeap<'a> {
    /// The content of the entry at a position, where its length is one byte and it lies in one block. In a heap of text it may cut characters.
    #[inline(always)]
    pub(super) fn content<const WHOLE: bool>(&self, position: usize) -> Option<&'a [u8]> {
        let at = position.wrapping_mul(ENTRY_ALIGNMENT as usize);
        let len = heap::short_len(*self.bytes.get(at)?)?;
        let content = self.bytes.get(at + 1..at + 1 + len)?;
        let fits = offset_in_block(at + self.before) + len < BLOCK_LEN as usize;
        let is_verified = WHOLE || is_verified(self.blocks, (at + self.before) >> BLOCK_SHIFT);
        (fits && is_verified).then_some(content)
    }

    /// The text of the entry at a position of a heap of text, where its length is one byte, and it and the byte behind it lie in one block.
    #[inline(always)]
    pub(super) fn text<const WHOLE: bool>(&self, position: usize) -> Option<&'a str> {
        let at = position.wrapping_mul(ENTRY_ALIGNMENT as usize);
        let len = heap::short_len(*self.bytes.get(at)?)?;
        let fits = offset_in_block(at + self.before) + len + 1 < BLOCK_LEN as usize;
        let is_verified = WHOLE || is_verified(self.blocks, (at + self.before) >> BLOCK_SHIFT);
        if fits && is_verified { heap::text_within(self.bytes.get(at + 1..at + 2 + len)?) } else { None }
    }

    /// The text of `len` bytes at an offset of a heap of text, where it and the byte behind it lie in one block.
    #[inline(always)]
    pub(super) fn text_at<const WHOLE: bool>(&self, start: usize, len: usize) -> Option<&'a str> {
        let content = self.bytes.get(start..start.checked_add(len)?.checked_add(1)?)?;
        let fits = offset_in_block(start + self.before) + len < BLOCK_LEN as usize;
        let is_verified = WHOLE || is_verified(self.blocks, (start + self.before) >> BLOCK_SHIFT);
        if fits && is_verified { heap::text_within(content) } else { None }
    }

    /// Asks for the cache line where the entry at a position starts, which will be read soon, and for the one where a short entry ends.
    #[inline(always)]
    pub(super) fn prefetch(&self, position: usize) {
        let at = position.wrapping_mul(ENTRY_ALIGNMENT as usize);
        prefetch(self.bytes, at);
        prefetch(self.bytes, at.wrapping_add(SHORT_ENTRY_LEN));
    }
}

/// The bytes of a file up to its checksum table, and which of its blocks have been verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedBytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) blocks: &'a [AtomicBool],
    /// Whether all blocks have been verified that lookups use.
    pub(super) whole: &'a AtomicBool,
}

impl<'a> VerifiedBytes<'a> {
    /// `count` items of `N` bytes from an offset that is a multiple of it; `None` where the file has no such.
    #[inline]
    pub(super) fn slice<const N: usize>(self, start: usize, count: usize) -> Option<VerifiedSlice<'a, N>> {
        let bytes = self.bytes.get(start..start.checked_add(count.checked_mul(N)?)?)?;
        let (items, _) = bytes.as_chunks();
        let blocks = self.blocks.get(start >> BLOCK_SHIFT..).unwrap_or_default();
        start.is_multiple_of(N).then_some(VerifiedSlice { items, blocks, before: offset_in_block(start) / N })
    }

    /// The heap that is a section; `None` where the file has no such.
    #[inline]
    pub(super) fn heap(self, heap: Section) -> Option<VerifiedHeap<'a>> {
        let (start, end) = (usize::try_from(heap.offset).ok()?, usize::try_from(heap.offset + heap.len).ok()?);
        let blocks = self.blocks.get(start >> BLOCK_SHIFT..).unwrap_or_default();
        Some(VerifiedHeap { bytes: self.bytes.get(start..end)?, blocks, before: offset_in_block(start) })
    }

    /// Whether the block of an offset has been verified.
    #[inline(always)]
    fn is_verified(self, at: usize) -> bool {
        is_verified(self.blocks, at >> BLOCK_SHIFT)
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
}
