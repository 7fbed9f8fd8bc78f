//! LZ4 frames by hand, also such as no encoder writes.

use twox_hash::XxHash32;

/// A frame, part by part. All checksums are right unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) magic: [u8; 4],
    /// The flags; those of checksums and lengths say what is written.
    pub(crate) flags: u8,
    pub(crate) block_descriptor: u8,
    pub(crate) content_len: u64,
    pub(crate) dictionary: u32,
    /// Added to the checksum of the header.
    pub(crate) header_error: u8,
    pub(crate) blocks: Vec<Block>,
    pub(crate) end_mark: bool,
    /// Added to the checksum of the content.
    pub(crate) content_error: u32,
    pub(crate) content: Vec<u8>,
}

/// One block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) is_stored: bool,
    pub(crate) bytes: Vec<u8>,
    /// The length that it states.
    pub(crate) len: u32,
    /// Added to its checksum.
    pub(crate) error: u32,
}

pub(crate) const INDEPENDENT: u8 = 0x20;
pub(crate) const BLOCK_CHECKSUMS: u8 = 0x10;
pub(crate) const CONTENT_LEN: u8 = 0x08;
pub(crate) const CONTENT_CHECKSUM: u8 = 0x04;
pub(crate) const DICTIONARY: u8 = 0x01;

impl Block {
    pub(crate) fn stored(bytes: &[u8]) -> Self {
        Self { is_stored: true, bytes: bytes.to_vec(), len: bytes.len() as u32, error: 0 }
    }

    /// A block of its own, compressed.
    pub(crate) fn compressed(content: &[u8]) -> Self {
        let bytes = lz4_flex::block::compress(content);
        Self { is_stored: false, len: bytes.len() as u32, bytes, error: 0 }
    }
}

impl Frame {
    /// Content in stored blocks of so many bytes, with independent blocks and the flags given.
    pub(crate) fn stored(content: &[u8], block_len: usize, flags: u8) -> Self {
        Self {
            magic: [0x04, 0x22, 0x4D, 0x18],
            flags: 0x40 | INDEPENDENT | flags,
            block_descriptor: 0x40,
            content_len: content.len() as u64,
            dictionary: 0,
            header_error: 0,
            blocks: content.chunks(block_len).map(Block::stored).collect(),
            end_mark: true,
            content_error: 0,
            content: content.to_vec(),
        }
    }

    /// The bytes of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let has = |flag: u8| self.flags & flag != 0;
        let mut out = self.magic.to_vec();
        out.extend([self.flags, self.block_descriptor]);
        if has(CONTENT_LEN) {
            out.extend(self.content_len.to_le_bytes());
        }
        if has(DICTIONARY) {
            out.extend(self.dictionary.to_le_bytes());
        }
        let checksum = XxHash32::oneshot(0, &out[4..]).to_le_bytes()[1];
        out.push(checksum.wrapping_add(self.header_error));
        for block in &self.blocks {
            out.extend((block.len | u32::from(block.is_stored) << 31).to_le_bytes());
            out.extend(&block.bytes);
            if has(BLOCK_CHECKSUMS) {
                out.extend(XxHash32::oneshot(0, &block.bytes).wrapping_add(block.error).to_le_bytes());
            }
        }
        if self.end_mark {
            out.extend([0; 4]);
        }
        if has(CONTENT_CHECKSUM) {
            out.extend(XxHash32::oneshot(0, &self.content).wrapping_add(self.content_error).to_le_bytes());
        }
        out
    }
}
