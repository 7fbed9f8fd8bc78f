//! A mapped, immutable file whose blocks are verified before their first use.

use super::verified::VerifiedBytes;
use crate::error::{Error, Result};
use crate::format::block_file::{BLOCK_SHIFT, HEADER_LEN, Header, Section, block_bounds};
use crate::format::column::{SECTION_COUNTS, SECTION_DICTIONARY_INDEX, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP};
use crate::format::manifest::FileEntry;
use crate::format::{Invalid, heap};
use crate::storage::{Region, Storage};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const _: () = assert!(Region::HEAD_LEN as u64 >= HEADER_LEN);

/// An open axis or column file.
#[derive(Debug)]
pub(super) struct BlockFile {
    region: Region,
    header: Header,
    entry: FileEntry,
    path: PathBuf,
    text_heap: Section,
    value_heap: Section,
    /// Set once the checksum table has been verified.
    table_verified: AtomicBool,
    /// For each block whether it has been verified. Relaxed: they guard immutable bytes, not other memory. A byte each, as a bit costs
    /// reads three instructions more.
    verified: Box<[AtomicBool]>,
    /// Blocks that lookups use and that have not been verified, and whether there are none.
    unverified_count: AtomicUsize,
    whole: AtomicBool,
}

/// A failure to open that may mean no more than that a newer manifest is in place.
pub(super) enum OpenError {
    /// A file that the manifest names is missing; with the error that this is if the manifest is current.
    Gone(Error),
    Failed(Error),
}

impl OpenError {
    /// The error, where the manifest is known to be current.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Gone(error) | Self::Failed(error) => error,
        }
    }
}

impl<E: Into<Error>> From<E> for OpenError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn section(header: &Header, kind: u32) -> Section {
    header.section(kind).unwrap_or(Section { kind, offset: 0, len: 0 })
}

/// Whether lookups read a section: all but those that count values, or find them in a dictionary.
const fn is_for_lookups(section: &Section) -> bool {
    !matches!(section.kind, SECTION_COUNTS | SECTION_DICTIONARY_INDEX) && section.len > 0
}

/// The first and the last block of a section that is not empty.
const fn blocks_of(section: &Section) -> (u64, u64) {
    (section.offset >> BLOCK_SHIFT, (section.offset + section.len - 1) >> BLOCK_SHIFT)
}

/// Whether lookups read anything in a block.
fn is_lookup_block(header: &Header, block: u64) -> bool {
    header.sections.iter().filter(|section| is_for_lookups(section)).any(|section| {
        let (first, last) = blocks_of(section);
        (first..=last).contains(&block)
    })
}

/// How many such blocks there are.
fn lookup_block_count(header: &Header) -> usize {
    let mut blocks: Vec<_> = header.sections.iter().filter(|section| is_for_lookups(section)).map(blocks_of).collect();
    blocks.sort_unstable();
    let (mut count, mut counted_up_to) = (0, 0);
    for (first, last) in blocks {
        count += (last + 1).saturating_sub(counted_up_to.max(first));
        counted_up_to = counted_up_to.max(last + 1);
    }
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl BlockFile {
    /// Maps a file and checks its header against the manifest's entry. Reads nothing else.
    pub(super) fn open(
        storage: &dyn Storage,
        name: &str,
        entry: FileEntry,
        magic: &[u8; 8],
        database_id: [u8; 16],
        dimension_id: u32,
    ) -> Result<Self, OpenError> {
        let path = storage.path().join(name);
        let Some(region) = storage.map(name)? else {
            let missing = Invalid::new(0, "file", "it is missing, and the manifest names it");
            return Err(OpenError::Gone(Error::corrupt(&path, missing)));
        };
        let corrupt = |invalid| OpenError::Failed(Error::corrupt(&path, invalid));
        let invalid = |reason| Invalid::new(0, "file header", reason);
        if region.len() as u64 != entry.file_len {
            return Err(corrupt(invalid("the file does not have the length that the manifest states")));
        }
        let (header, checksum) = Header::decode(region.head(), entry.file_len, magic).map_err(corrupt)?;
        let same = checksum == entry.header_checksum
            && header.identity.database_id == database_id
            && header.identity.file_id == entry.file_id
            && header.generation == entry.generation
            && header.dimension_id == dimension_id;
        if !same {
            return Err(corrupt(invalid("this is not the file that the manifest names")));
        }
        let blocks = usize::try_from(header.block_count()).unwrap_or(usize::MAX);
        let used = lookup_block_count(&header);
        Ok(Self {
            unverified_count: AtomicUsize::new(used),
            whole: AtomicBool::new(used == 0),
            text_heap: section(&header, SECTION_TEXT_HEAP),
            value_heap: section(&header, SECTION_VALUE_HEAP),
            verified: (0..blocks).map(|_| AtomicBool::new(false)).collect(),
            table_verified: AtomicBool::new(false),
            region,
            header,
            entry,
            path,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn entry(&self) -> FileEntry {
        self.entry
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The section of a kind; an empty one where the file has none.
    pub(super) fn section(&self, kind: u32) -> Section {
        section(&self.header, kind)
    }

    /// The heap of text; an empty one where the file has none.
    #[inline]
    pub(super) fn text_heap(&self) -> Section {
        self.text_heap
    }

    /// The heap of tagged values; an empty one where the file has none.
    #[inline]
    pub(super) fn value_heap(&self) -> Section {
        self.value_heap
    }

    /// An error that names this file.
    #[cold]
    pub(super) fn corrupt(&self, invalid: Invalid) -> Error {
        Error::corrupt(&self.path, invalid)
    }

    /// Verified bytes of the file.
    #[inline]
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Result<&[u8]> {
        let end = offset.saturating_add(len);
        let first = offset >> BLOCK_SHIFT;
        let last = end.saturating_sub(1) >> BLOCK_SHIFT;
        self.ensure(first)?;
        if last > first {
            for block in first + 1..=last {
                self.ensure(block)?;
            }
        }
        match self.region.get(offset as usize..end as usize) {
            Some(bytes) if end <= self.header.table_offset => Ok(bytes),
            _ => Err(self.corrupt(Invalid::new(offset, "file", "an offset past the end"))),
        }
    }

    /// The bytes, for reads that look themselves whether a block has been verified.
    pub(super) fn verified_bytes(&self) -> VerifiedBytes<'_> {
        let table = usize::try_from(self.header.table_offset).unwrap_or_default();
        VerifiedBytes {
            bytes: self.region.get(..table).unwrap_or_default(),
            blocks: &self.verified,
            whole: &self.whole,
        }
    }

    /// The verified bytes of a whole section.
    pub(super) fn section_bytes(&self, section: Section) -> Result<&[u8]> {
        if section.len == 0 { Ok(&[]) } else { self.bytes(section.offset, section.len) }
    }

    #[inline]
    fn ensure(&self, block: u64) -> Result<()> {
        match self.verified.get(block as usize) {
            Some(verified) if verified.load(Ordering::Relaxed) => Ok(()),
            _ => self.verify_first(block),
        }
    }

    /// The content and the file offset of the heap entry at `position` (in units of 2 bytes) of a heap.
    #[inline]
    pub(super) fn heap_entry(&self, heap: Section, position: u64) -> Result<(u64, u64)> {
        let at = position.saturating_mul(heap::ENTRY_ALIGNMENT);
        let Some(available) = heap.len.checked_sub(at).filter(|&left| left > 0) else {
            return Err(self.corrupt(Invalid::new(heap.offset, "heap", "a cell that points past the end of its heap")));
        };
        let start = heap.offset + at;
        let prefix = self.bytes(start, heap::prefix_window(available))?;
        let (prefix_len, len) = heap::decode_prefix(prefix).map_err(|invalid| self.corrupt(invalid.at(start)))?;
        let total = (prefix_len as u64).saturating_add(len as u64);
        if total > available {
            return Err(self.corrupt(Invalid::new(start, "heap", "an entry that goes past the end of its heap")));
        }
        Ok((start + prefix_len as u64, len as u64))
    }

    /// The text at a place of the text heap.
    #[inline]
    pub(super) fn text(&self, offset: u64, len: u64) -> Result<&str> {
        if len == 0 {
            return Ok("");
        }
        let end = offset.saturating_add(len);
        let heap = self.text_heap;
        let heap_end = heap.offset + heap.len;
        if offset < heap.offset || end > heap_end {
            return Err(self.corrupt(Invalid::new(offset, "text heap", "text past the end of its heap")));
        }
        let content = self.bytes(offset, len)?;
        let follows = if end < heap_end { self.region.get(end as usize).copied() } else { None };
        heap::text(content, follows, offset).map_err(|invalid| self.corrupt(invalid.at(offset)))
    }

    #[cold]
    fn verify_first(&self, block: u64) -> Result<()> {
        if !self.table_verified.load(Ordering::Relaxed) {
            self.verify_table()?;
            self.table_verified.store(true, Ordering::Relaxed);
        }
        self.verify_block(block)?;
        if let Some(verified) = self.verified.get(block as usize)
            && !verified.swap(true, Ordering::Relaxed)
            && is_lookup_block(&self.header, block)
            && self.unverified_count.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.whole.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn table(&self) -> &[u8] {
        self.region.get(self.header.table_offset as usize..).unwrap_or_default()
    }

    fn verify_table(&self) -> Result<()> {
        if self.header.identity.table_checksum(self.table()) == self.header.table_checksum {
            return Ok(());
        }
        Err(self.corrupt(Invalid::new(self.header.table_offset, "checksum table", "the checksum does not match")))
    }

    /// Checks one block against the table, whether or not it was checked before.
    fn verify_block(&self, block: u64) -> Result<()> {
        let (start, end) = block_bounds(block, self.header.table_offset);
        let bytes = self.region.get(start as usize..end as usize);
        let stored = crate::format::bytes::u32_at(self.table(), (block as usize).saturating_mul(4));
        let (Some(bytes), Some(stored)) = (bytes, stored) else {
            return Err(self.corrupt(Invalid::new(start, "file", "an offset past the end")));
        };
        if self.header.identity.block_checksum(block, bytes) != stored {
            return Err(self.corrupt(Invalid::new(start, "block", "the checksum does not match")));
        }
        let heap = self.text_heap;
        let from = heap.offset.max(start);
        let to = (heap.offset + heap.len).min(end);
        if from < to {
            let part = self.region.get(from as usize..to as usize).unwrap_or_default();
            heap::check_text_block(part).map_err(|invalid| self.corrupt(invalid.at(from)))?;
        }
        Ok(())
    }

    /// Checks the table and every block, ignoring what was checked before. Calls `problem` for each bad place and
    /// goes on; `progress` gets the number of bytes read since its last call.
    pub(super) fn verify_all(
        &self,
        mut problem: impl FnMut(Error),
        mut progress: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        if let Err(error) = self.verify_table() {
            problem(error);
            return Ok(());
        }
        for block in 0..self.header.block_count() {
            if let Err(error) = self.verify_block(block) {
                problem(error);
            }
            let (start, end) = block_bounds(block, self.header.table_offset);
            progress(end.saturating_sub(start))?;
        }
        Ok(())
    }
}
