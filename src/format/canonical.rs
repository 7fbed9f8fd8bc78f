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

/// `metadata.version` of a database that was not imported.
pub(crate) const VERSION: &str = "1.4.0-beta";

/// The frame around so many bytes of MessagePack.
pub(crate) fn frame(content_len: u64) -> FrameInfo {
    FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Linked)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(content_len))
}
