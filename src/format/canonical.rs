//! The `.db` file of the Python package `vector_datalib` (chapter `format-spec/canonical.md`): its frame, its structure, and the bytes
//! of every value. What fills the structure is the engine's.
//!
//! Depends on the model.

pub(crate) mod encode;
mod equality;
pub(crate) mod read;
pub(crate) mod structure;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use equality::python_integer;
pub(crate) use time::isoformat;

use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
use std::hash::Hasher;
use twox_hash::XxHash32;

/// `metadata.version` of a database that was not imported.
pub(crate) const VERSION: &str = "1.4.0-beta";

/// The frame around MessagePack whose length is told at the end, by [`length_fields`].
pub(crate) fn frame() -> FrameInfo {
    FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Linked)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(0))
}

/// Where [`length_fields`] belong in the file.
pub(crate) const LENGTH_OFFSET: u64 = 6;

/// `content_size` and `header_checksum` of the frame around so many bytes.
pub(crate) fn length_fields(content_len: u64) -> [u8; 9] {
    let mut fields = [0; 9];
    let mut hasher = XxHash32::with_seed(0);
    // Flags and block descriptor, which the checksum covers too.
    hasher.write(&[0x5C, 0x40]);
    hasher.write(&content_len.to_le_bytes());
    let [_, checksum, ..] = hasher.finish_32().to_le_bytes();
    for (to, from) in fields.iter_mut().zip(content_len.to_le_bytes().into_iter().chain([checksum])) {
        *to = from;
    }
    fields
}
