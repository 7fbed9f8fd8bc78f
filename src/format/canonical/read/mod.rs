//! Reading the `.db` files of every release (chapter `format-spec/canonical.md`).
//!
//! Layers, each of which trusts nothing of the one below: [`frame`] and `gzip` undo the compression block by block, [`input`] hands
//! out bytes and counts them, [`msgpack`] and `json` cut them into [`tokens`], and [`contents`] knows what they mean and tells it to a
//! [`Sink`](sink::Sink). Memory is bounded by a block, the longest string and the depth, whatever the file declares.

pub(crate) mod contents;
pub(crate) mod frame;
#[cfg(feature = "legacy-import")]
pub(crate) mod gzip;
pub(crate) mod input;
#[cfg(feature = "legacy-import")]
pub(crate) mod json;
mod limits;
pub(crate) mod msgpack;
pub(crate) mod sink;
pub(crate) mod tokens;
pub(crate) mod transcode;

pub use limits::ImportLimits;

use std::borrow::Cow;
use std::fmt;
use std::io;

/// Why a file is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It could not be read.
    Io(io::Error),
    /// It is not what a canonical file must be.
    Malformed { place: Place, reason: Cow<'static, str> },
    /// It has what no writer should have put there, and what a salvage leaves out.
    Torn { place: Place, reason: Cow<'static, str> },
    /// Whoever watches has had enough.
    Cancelled,
    /// It has more than the limits allow.
    Limit {
        /// The name of the field of [`ImportLimits`].
        limit: &'static str,
        /// What the file has or declares.
        value: u64,
        allowed: u64,
    },
}

/// Where in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Bytes from the start of the file.
    File(u64),
    /// Bytes from the start of what the file holds, uncompressed.
    Content(u64),
    /// A part of the contents, as in `coordinate_mappings["age"]`.
    Part(String),
}

impl Refused {
    pub(crate) fn file(offset: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { place: Place::File(offset), reason: reason.into() }
    }

    pub(crate) fn content(offset: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { place: Place::Content(offset), reason: reason.into() }
    }
}

/// A text in quotes, for messages, of which only the start is shown if it is long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(offset) => write!(f, "at byte {offset} of the file"),
            Self::Content(offset) => write!(f, "at byte {offset} of its uncompressed content"),
            Self::Part(part) => write!(f, "in {part}"),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
