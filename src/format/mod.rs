//! Bytes to structs and back. One file for each chapter of `format-spec/`, of the same name.
//!
//! Nothing here does I/O, keeps state or panics, whatever the bytes; nothing here knows the storage or the engine.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

pub(crate) mod axis;
pub(crate) mod block_file;
pub(crate) mod bytes;
pub(crate) mod canonical;
pub(crate) mod column;
pub(crate) mod heap;
pub(crate) mod manifest;
pub(crate) mod patch;
pub(crate) mod perfect_hash;
pub(crate) mod value;
pub(crate) mod wal;

use std::borrow::Cow;
use std::fmt;

/// The version that this build writes, of all formats.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Bytes that the format does not allow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Invalid {
    /// From the start of the bytes that were looked at.
    pub(crate) offset: u64,
    /// The part of the file.
    pub(crate) section: &'static str,
    /// What is wrong.
    pub(crate) reason: Cow<'static, str>,
    /// The bytes are as they were written, by a version of this library that is newer than this one.
    pub(crate) newer: bool,
}

impl Invalid {
    pub(crate) const fn new(offset: u64, section: &'static str, reason: &'static str) -> Self {
        Self { offset, section, reason: Cow::Borrowed(reason), newer: false }
    }

    pub(crate) fn with(offset: u64, section: &'static str, reason: String) -> Self {
        Self { offset, section, reason: Cow::Owned(reason), newer: false }
    }

    /// Of bytes that have passed their checksum: what this build does not know, and a newer one may.
    pub(crate) const fn newer(mut self) -> Self {
        self.newer = true;
        self
    }

    /// The same, seen from the start of a file that holds the bytes at `base`.
    pub(crate) fn at(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.section, self.offset, self.reason)
    }
}

/// Checks the fields that start every file: magic, version and flags. The checksum of the header comes first, so that a newer version is
/// told apart from rot.
pub(crate) fn check_start(bytes: &[u8], magic: &[u8; 8], section: &'static str) -> Result<(), Invalid> {
    if bytes.get(..8) != Some(magic) {
        return Err(Invalid::new(0, section, "not a file of this kind"));
    }
    match bytes::u32_at(bytes, 8) {
        Some(FORMAT_VERSION) => {}
        Some(version) => {
            let reason = format!("format version {version}; this build reads {FORMAT_VERSION}");
            let invalid = Invalid::with(8, section, reason);
            return Err(if version > FORMAT_VERSION { invalid.newer() } else { invalid });
        }
        None => return Err(Invalid::new(8, section, "cut short")),
    }
    match bytes::u32_at(bytes, 12) {
        Some(0) => {}
        _ => return Err(Invalid::new(12, section, "a reader flag that this build does not know").newer()),
    }
    match bytes::u32_at(bytes, 16) {
        Some(0) => Ok(()),
        _ => Err(Invalid::new(16, section, "a writer flag that this build does not know").newer()),
    }
}
