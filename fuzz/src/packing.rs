//! The containers of a canonical file, with right checksums.

use super::node::Xorshift;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;

/// An LZ4 frame: with everything as the library writes it if all of `style` is zeros, else with any options.
pub fn lz4(content: &[u8], style: &mut Xorshift) -> Vec<u8> {
    let sizes = [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB];
    let info = FrameInfo::new()
        .content_size((style.below(2) == 0).then_some(content.len() as u64))
        .block_size(sizes[style.below(4)])
        .block_mode([BlockMode::Linked, BlockMode::Independent][style.below(2)])
        .block_checksums(style.below(2) == 0)
        .content_checksum(style.below(2) == 0);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    // Blocks end where the buffer of the writer is flushed, too.
    let (start, end) = content.split_at(style.below(content.len() + 1));
    for part in [start, end] {
        encoder.write_all(part).expect("memory does not fail");
        encoder.flush().expect("memory does not fail");
    }
    encoder.finish().expect("memory does not fail")
}

/// Gzip of stored blocks: one member, or a few.
pub fn gzip(content: &[u8], style: &mut Xorshift) -> Vec<u8> {
    let (start, end) = content.split_at(style.below(content.len() + 1));
    let mut file = Vec::new();
    for part in if start.is_empty() { vec![end] } else { vec![start, end] } {
        file.extend([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
        let mut chunks = part.chunks(0xFFFF).peekable();
        if part.is_empty() {
            file.extend([1, 0, 0, 0xFF, 0xFF]);
        }
        while let Some(chunk) = chunks.next() {
            let len = chunk.len() as u16;
            file.push(u8::from(chunks.peek().is_none()));
            file.extend(len.to_le_bytes());
            file.extend((!len).to_le_bytes());
            file.extend(chunk);
        }
        file.extend(crc32fast::hash(part).to_le_bytes());
        file.extend((part.len() as u32).to_le_bytes());
    }
    // Zeros behind the last member are padding.
    file.resize(file.len() + style.below(4), 0);
    file
}
