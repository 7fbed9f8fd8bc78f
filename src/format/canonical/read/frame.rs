//! The LZ4 frame, as the "LZ4 Frame Format Description" 1.6 has it: magic, descriptor, blocks, end mark, checksum.
//!
//! The blocks themselves are lz4_flex's business; all around them is checked here: every checksum that is there, the length of the content
//! where it is declared, the longest block, and that nothing is cut off. Not read: skippable and legacy frames, and frames that need a
//! dictionary. What follows the frame is counted, whatever it is.
//!
//! Memory is one compressed block, the block that is appended to the caller's buffer, and twice the window, whatever the file declares; the
//! longest block is 4 MiB. The work is linear in the file and its content, however short the blocks are. The reader should be buffered.

use super::input::{Blocks, check_inflated};
use super::{ImportLimits, Refused};
use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use std::hash::Hasher;
use std::io::{ErrorKind, Read};
use twox_hash::XxHash32;

const MAGIC: u32 = 0x184D_2204;
const LEGACY_MAGIC: u32 = 0x184C_2102;
/// The last four bits of the magic of a skippable frame may be anything.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
const SKIPPABLE_MASK: u32 = !0xF;

/// Where the descriptor starts, and in it the byte about blocks.
const DESCRIPTOR_AT: u64 = 4;
const BLOCK_DESCRIPTOR_AT: u64 = 5;

const FLAG_VERSION: u8 = 0b1100_0000;
const FLAG_VERSION_1: u8 = 0b0100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUMS: u8 = 0b0001_0000;
const FLAG_CONTENT_LEN: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_RESERVED: u8 = 0b0000_0010;
const FLAG_DICTIONARY: u8 = 0b0000_0001;

/// The flag in the length of a block whose bytes are as they are, and the length that means the end.
const BLOCK_STORED: u32 = 1 << 31;
const END_MARK: u32 = 0;

/// How far back a match can reach, in bytes, and one more.
const WINDOW_LEN: usize = 64 << 10;

/// One byte of a compressed block makes this many bytes of content at most: the last byte of the length of a long match.
const EXPANSION_MAX: usize = 255;

/// Reads one frame, block by block.
pub(crate) struct LzFrame<R> {
    source: Source<R>,
    header: Header,
    /// The compressed block.
    compressed: Vec<u8>,
    window: Window,
    content_len: u64,
    content_hash: XxHash32,
    trailing: u64,
    is_ended: bool,
}

impl<R: Read> LzFrame<R> {
    /// Reads the header of a file of `file_len` bytes.
    pub(crate) fn new(reader: R, limits: &ImportLimits, file_len: u64) -> Result<Self, Refused> {
        let mut source = Source { reader, offset: 0 };
        let header = Header::read(&mut source)?;
        if let Some(len) = header.content_len {
            check_inflated(len, file_len, limits)?;
        }
        Ok(Self {
            source,
            header,
            compressed: Vec::new(),
            window: Window::default(),
            content_len: 0,
            content_hash: XxHash32::with_seed(0),
            trailing: 0,
            is_ended: false,
        })
    }

    /// The block at `at`, which is stored in `len` bytes as they are.
    fn read_stored(&mut self, at: u64, len: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
        let start = out.len();
        out.resize(start.saturating_add(len), 0);
        let block = out.get_mut(start..).unwrap_or_default();
        self.source.exact(block)?;
        self.check_block(at, block)
    }

    /// The block at `at`, which is compressed to `len` bytes.
    fn read_compressed(&mut self, at: u64, len: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
        let mut compressed = std::mem::take(&mut self.compressed);
        compressed.resize(len, 0);
        self.source.exact(&mut compressed)?;
        self.check_block(at, &compressed)?;

        // No more room than the block can use, or short blocks would take long.
        let room = len.saturating_mul(EXPANSION_MAX).min(self.header.block_len_max);
        let start = out.len();
        out.resize(start.saturating_add(room), 0);
        let block = out.get_mut(start..).unwrap_or_default();
        let decompressed = match self.window.bytes() {
            [] => decompress_into(&compressed, block),
            window => decompress_into_with_dict(&compressed, block, window),
        };
        let block_len = decompressed.map_err(|error| self.not_decompressed(at, error))?;
        out.truncate(start.saturating_add(block_len));
        self.compressed = compressed;
        Ok(())
    }

    /// Reads and compares the checksum of the block at `at`, where blocks have one.
    fn check_block(&mut self, at: u64, stored: &[u8]) -> Result<(), Refused> {
        if self.header.has_block_checksums && self.source.u32()? != XxHash32::oneshot(0, stored) {
            return Err(Refused::file(at, "a block of the LZ4 frame does not match its checksum"));
        }
        Ok(())
    }

    /// Counts the block at `at` as content.
    fn add_content(&mut self, at: u64, block: &[u8]) -> Result<(), Refused> {
        self.content_len = self.content_len.saturating_add(block.len() as u64);
        if let Some(declared) = self.header.content_len
            && self.content_len > declared
        {
            let reason = format!("the content of the LZ4 frame is longer than the {declared} bytes that it declares");
            return Err(Refused::file(at, reason));
        }
        if self.header.has_content_checksum {
            self.content_hash.write(block);
        }
        if self.header.is_linked {
            self.window.push(block);
        }
        Ok(())
    }

    /// What follows the end mark, which is at `at`.
    fn finish(&mut self, at: u64) -> Result<(), Refused> {
        if let Some(declared) = self.header.content_len
            && self.content_len != declared
        {
            let len = self.content_len;
            let reason =
                format!("the content of the LZ4 frame ends after {len} of the {declared} bytes that it declares");
            return Err(Refused::file(at, reason));
        }
        let checksum_at = self.source.offset;
        if self.header.has_content_checksum && self.source.u32()? != self.content_hash.finish_32() {
            return Err(Refused::file(checksum_at, "the content of the LZ4 frame does not match its checksum"));
        }
        self.trailing = self.source.count_rest()?;
        self.is_ended = true;
        Ok(())
    }

    #[cold]
    fn not_decompressed(&self, at: u64, error: DecompressError) -> Refused {
        match error {
            // There was room for all but a block that is too long.
            DecompressError::OutputTooSmall { .. } => {
                let max = self.header.block_len_max;
                Refused::file(at, format!("a block of the LZ4 frame has more than the {max} bytes that it may have"))
            }
            error => Refused::file(at, format!("a block of the LZ4 frame cannot be decompressed: {error}")),
        }
    }
}

impl<R: Read> Blocks for LzFrame<R> {
    /// A block may be empty, stored or compressed; the format has such blocks as signs of life in a stream. Only the end mark is the end.
    fn next_block(&mut self, out: &mut Vec<u8>) -> Result<bool, Refused> {
        if self.is_ended {
            return Ok(false);
        }
        let (at, start) = (self.source.offset, out.len());
        let field = self.source.u32()?;
        if field == END_MARK {
            self.finish(at)?;
            return Ok(false);
        }
        let len = self.header.check_block_len(at, field & !BLOCK_STORED)?;
        if field & BLOCK_STORED == 0 {
            self.read_compressed(at, len, out)?;
        } else {
            self.read_stored(at, len, out)?;
        }
        self.add_content(at, out.get(start..).unwrap_or_default())?;
        Ok(true)
    }

    fn declared_len(&self) -> Option<u64> {
        self.header.content_len
    }

    fn trailing(&self) -> u64 {
        self.trailing
    }
}

/// What the header of a frame says.
struct Header {
    is_linked: bool,
    has_block_checksums: bool,
    has_content_checksum: bool,
    block_len_max: usize,
    /// Bytes of content, where they are declared. A length of 0 is an unknown one, to the reference implementation and the original too.
    content_len: Option<u64>,
}

impl Header {
    fn read<R: Read>(source: &mut Source<R>) -> Result<Self, Refused> {
        check_magic(source.u32()?)?;
        let [flags, block_descriptor] = source.array()?;
        if flags & FLAG_VERSION != FLAG_VERSION_1 {
            return Err(Refused::file(DESCRIPTOR_AT, "the LZ4 frame is of a version that is not known"));
        }
        let mut hash = XxHash32::with_seed(0);
        hash.write(&[flags, block_descriptor]);
        let mut content_len = None;
        if flags & FLAG_CONTENT_LEN != 0 {
            let bytes = source.array()?;
            hash.write(&bytes);
            content_len = Some(u64::from_le_bytes(bytes)).filter(|len| *len > 0);
        }
        let dictionary_at = source.offset;
        if flags & FLAG_DICTIONARY != 0 {
            hash.write(&source.array::<4>()?);
        }
        let [checksum] = source.array()?;
        let [_, expected, ..] = hash.finish_32().to_le_bytes();
        if checksum != expected {
            return Err(Refused::file(DESCRIPTOR_AT, "the header of the LZ4 frame does not match its checksum"));
        }
        if flags & FLAG_RESERVED != 0 {
            return Err(Refused::file(DESCRIPTOR_AT, "the LZ4 frame has a reserved flag set"));
        }
        if flags & FLAG_DICTIONARY != 0 {
            return Err(Refused::file(dictionary_at, "the LZ4 frame needs a dictionary"));
        }
        Ok(Self {
            is_linked: flags & FLAG_INDEPENDENT == 0,
            has_block_checksums: flags & FLAG_BLOCK_CHECKSUMS != 0,
            has_content_checksum: flags & FLAG_CONTENT_CHECKSUM != 0,
            block_len_max: block_len_max(block_descriptor)?,
            content_len,
        })
    }

    /// The length of the block at `at`, if it may have it. Compressed blocks may be no longer than others: such ones are to be stored.
    fn check_block_len(&self, at: u64, len: u32) -> Result<usize, Refused> {
        let max = self.block_len_max;
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or_else(|| {
            Refused::file(
                at,
                format!("a block of the LZ4 frame takes {len} bytes, more than the {max} that it may take"),
            )
        })
    }
}

/// Whether LZ4 has a name for what starts so: a frame, a skippable one, or one of the legacy format. Which of them is read is up to
/// [`LzFrame::new`].
pub(crate) const fn is_lz4(start: [u8; 4]) -> bool {
    let magic = u32::from_le_bytes(start);
    matches!(magic, MAGIC | LEGACY_MAGIC) || magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC
}

fn check_magic(magic: u32) -> Result<(), Refused> {
    match magic {
        MAGIC => Ok(()),
        LEGACY_MAGIC => {
            Err(Refused::file(0, "the file starts with an LZ4 frame of the legacy format, which is not read"))
        }
        _ if magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC => {
            Err(Refused::file(0, "the file starts with a skippable LZ4 frame, where its content should be"))
        }
        _ => Err(Refused::file(0, "the file does not start with an LZ4 frame")),
    }
}

/// Bytes of content that a block has at most. All other bits of the byte are reserved.
fn block_len_max(descriptor: u8) -> Result<usize, Refused> {
    match descriptor {
        0x40 => Ok(64 << 10),
        0x50 => Ok(256 << 10),
        0x60 => Ok(1 << 20),
        0x70 => Ok(4 << 20),
        0x00 | 0x10 | 0x20 | 0x30 => {
            Err(Refused::file(BLOCK_DESCRIPTOR_AT, "the LZ4 frame has no known longest block"))
        }
        _ => Err(Refused::file(BLOCK_DESCRIPTOR_AT, "the LZ4 frame has a reserved bit set")),
    }
}

/// The end of the content so far, which a linked block can repeat.
#[derive(Default)]
struct Window {
    recent: Vec<u8>,
}

impl Window {
    fn bytes(&self) -> &[u8] {
        // More than a match can reach is no harm: matches count from the end.
        &self.recent
    }

    /// Takes up a block. Short blocks are gathered, so that bytes move once in a while only.
    fn push(&mut self, block: &[u8]) {
        if let Some(end) = block.last_chunk::<WINDOW_LEN>() {
            self.recent.clear();
            self.recent.extend_from_slice(end);
            return;
        }
        let len = self.recent.len();
        if len.saturating_add(block.len()) > 2 * WINDOW_LEN {
            self.recent.drain(..len.saturating_sub(WINDOW_LEN));
        }
        self.recent.extend_from_slice(block);
    }
}

/// The file, and how much of it was read.
struct Source<R> {
    reader: R,
    offset: u64,
}

impl<R: Read> Source<R> {
    /// Reads until `buffer` is full or the file ends, and says how many bytes there are.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Refused> {
        let mut len = 0_usize;
        while let Some(rest @ [_, ..]) = buffer.get_mut(len..) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(more) => len = len.saturating_add(more),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Refused::Io(error)),
            }
        }
        self.offset = self.offset.saturating_add(len as u64);
        Ok(len)
    }

    /// Fills `buffer`.
    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), Refused> {
        if self.read(buffer)? < buffer.len() {
            return Err(Refused::file(self.offset, "the file is cut short in the middle of its LZ4 frame"));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Refused> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads what is left and says how many bytes it was.
    fn count_rest(&mut self) -> Result<u64, Refused> {
        let (start, mut piece) = (self.offset, [0; 8 << 10]);
        while self.read(&mut piece)? > 0 {}
        Ok(self.offset.saturating_sub(start))
    }
}

#[cfg(test)]
mod tests;
