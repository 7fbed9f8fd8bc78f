//! Immutable bytes of one file, aligned, mapped or read.
//!
//! Invariants: the bytes start at a multiple of [`Region::ALIGNMENT`], never change, and do not move
//! when the `Region` is moved. This file has the only `unsafe` of `storage`.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::unix::fs::FileExt;

use bytemuck::{Pod, Zeroable};
use memmap2::{Mmap, MmapOptions};

/// The unit of a heap buffer: it gives the buffer its alignment without any `unsafe`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Block([u8; Region::ALIGNMENT]);

const _: () = assert!(align_of::<Block>() == Region::ALIGNMENT);

enum Bytes {
    /// With a copy of the first bytes.
    Mapped(Mmap, Vec<u8>),
    // The last block is filled up with zeros that are not part of the region.
    Heap {
        blocks: Vec<Block>,
        len: usize,
    },
}

/// Immutable, aligned bytes: a mapped file, or a copy of one on the heap.
pub struct Region {
    bytes: Bytes,
}

impl Region {
    /// Every region starts at a multiple of this many bytes: a cache line, and the alignment of the
    /// arrays inside the files.
    pub const ALIGNMENT: usize = 64;

    /// Bytes that [`head`](Self::head) has of a longer file.
    pub const HEAD_LEN: usize = 512;

    /// A copy of `bytes` on the heap.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut blocks = vec![Block::zeroed(); bytes.len().div_ceil(Self::ALIGNMENT)];
        let room: &mut [u8] = bytemuck::cast_slice_mut(&mut blocks);
        if let Some(room) = room.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
        Self::from_blocks(blocks, bytes.len())
    }

    /// Reads all of `file`, which has `len` bytes, into an aligned buffer, wherever its cursor is.
    ///
    /// When the file is cut meanwhile, the region has what was left of it; what is appended
    /// meanwhile is not part of it. A length that memory cannot hold is an error, not an abort.
    pub(super) fn read(file: &File, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let block_count = len.div_ceil(Self::ALIGNMENT);
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(block_count)?;
        blocks.resize(block_count, Block::zeroed());
        let room: &mut [u8] = bytemuck::cast_slice_mut(&mut blocks);
        let filled_len = read_up_to(file, 0, room.get_mut(..len).unwrap_or_default())?;
        Ok(Self::from_blocks(blocks, filled_len))
    }

    /// Maps all of `file`, which has `len` bytes, read-only. The file may be closed, renamed and removed afterwards. Its first bytes are
    /// read as well, which costs a fraction of the page fault that looking at them there would.
    ///
    /// The file must have that many bytes, and never be written or cut again: see the comment inside.
    pub(super) fn map(file: &File, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        if len == 0 {
            // The kernel refuses to map nothing.
            return Ok(Self::from_blocks(Vec::new(), 0));
        }
        let mut head = vec![0; Self::HEAD_LEN];
        let head_len = read_up_to(file, 0, &mut head)?;
        head.truncate(head_len);
        // SAFETY: the mapping is private to this `Region`, read-only, and unmapped only when the
        // region is dropped, so its bytes are valid for as long as they can be borrowed; what has to
        // be shown is that nobody changes them in between. Every file that the engine maps is
        // immutable by then: it was written under a fresh name (`create_new`) and synced before a
        // manifest named it, and a file named by a manifest is never written, truncated or reused;
        // it is only unlinked, which leaves the mapped inode alone. Files that do change (the log,
        // the manifest) are read, not mapped. Outside the model, as the crate's documentation says,
        // are other programs that write to or truncate files of a database in use, and media that
        // fail under a mapped page; `MapMode::Heap` is the way to do without mappings.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self { bytes: Bytes::Mapped(map, head) })
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map, _) => map,
            Bytes::Heap { blocks, len } => bytemuck::cast_slice(blocks).get(..*len).unwrap_or_default(),
        }
    }

    /// The first bytes, up to [`HEAD_LEN`](Self::HEAD_LEN); of a mapping without touching it.
    pub fn head(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(_, head) => head,
            Bytes::Heap { .. } => {
                let bytes = self.as_bytes();
                bytes.get(..Self::HEAD_LEN).unwrap_or(bytes)
            }
        }
    }

    /// True for a mapping, false for a copy on the heap.
    pub fn is_mapped(&self) -> bool {
        matches!(self.bytes, Bytes::Mapped(..))
    }

    fn from_blocks(blocks: Vec<Block>, len: usize) -> Self {
        Self { bytes: Bytes::Heap { blocks, len } }
    }
}

impl Deref for Region {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Region")
            .field("len", &self.as_bytes().len())
            .field("is_mapped", &self.is_mapped())
            .finish()
    }
}

/// Asks the processor to fetch the cache line of a byte, which will be read soon. Nothing happens where there is no such byte, or where
/// it is not known how to ask.
#[inline(always)]
pub(crate) fn prefetch<T>(items: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction belongs to SSE, which every x86-64 processor has; it reads nothing that the program could see, and
        // faults at no address. The address is that of something that may be read, besides.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
}

/// Fills `room` from an offset of `file` on and returns how much of it the file could fill.
pub(super) fn read_up_to(file: &File, offset: u64, room: &mut [u8]) -> io::Result<usize> {
    let mut filled_len = 0;
    while let Some(rest) = room.get_mut(filled_len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled_len as u64) {
            Ok(0) => break,
            Ok(read_len) => filled_len += read_len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn assert_send_sync<T: Send + Sync + 'static>(_: &T) {}

    #[test]
    fn all_three_kinds_have_the_same_bytes_and_alignment() {
        for len in [0_usize, 1, 63, 64, 65, 128, 4095, 4096, 4097, 300_000] {
            let bytes: Vec<u8> = (0..len).map(|index| (index % 253) as u8).collect();
            let file = file_of(&bytes);
            let len = bytes.len() as u64;
            let regions =
                [Region::from_bytes(&bytes), Region::read(&file, len).unwrap(), Region::map(&file, len).unwrap()];
            for region in regions {
                assert_eq!(region.as_bytes(), bytes, "{region:?}");
                assert_eq!(region.as_ptr().addr() % Region::ALIGNMENT, 0, "{region:?}");
                assert_send_sync(&region);
            }
        }
    }

    #[test]
    fn kinds_are_what_was_asked_for() {
        let file = file_of(b"some bytes");
        assert!(Region::map(&file, 10).unwrap().is_mapped());
        assert!(!Region::read(&file, 10).unwrap().is_mapped());
        assert!(!Region::from_bytes(b"some bytes").is_mapped());
    }

    #[test]
    fn bytes_do_not_move_with_the_region() {
        let file = file_of(&[7; 1000]);
        for region in [Region::read(&file, 1000).unwrap(), Region::map(&file, 1000).unwrap()] {
            let address = region.as_ptr().addr();
            let moved = Box::new(region);
            assert_eq!(moved.as_ptr().addr(), address);
        }
    }

    #[test]
    fn an_absurd_length_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        // Sparse, and more than the address space has; the largest files differ between file
        // systems, so one that does not allow it proves nothing here.
        if file.set_len(1 << 60).is_ok() {
            assert!(Region::read(&file, 1 << 60).is_err());
            assert!(Region::map(&file, 1 << 60).is_err());
        }
    }

    #[test]
    fn reading_stops_where_a_shrinking_file_ends() {
        let file = file_of(b"short");
        let mut room = [0; 10];
        assert_eq!(read_up_to(&file, 0, &mut room).unwrap(), 5);
        assert_eq!(&room, b"short\0\0\0\0\0");
    }
}
