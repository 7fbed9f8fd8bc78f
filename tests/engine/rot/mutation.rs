//! What can happen to the bytes of a file.

use super::fixture::Files;
use super::log;
use crate::support::environment;
use std::fmt;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Bits of one byte are not what they were.
    Flip { file: String, at: usize, mask: u8 },
    /// The file ends early.
    Cut { file: String, len: usize },
    /// Bytes follow that were not written.
    Extend { file: String, bytes: Vec<u8> },
    /// A range reads as zeros.
    Zero { file: String, from: usize, to: usize },
    /// The file has the content of another one, or of another time.
    Replace { file: String, by: String, bytes: Vec<u8> },
}

impl fmt::Debug for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { file, at, mask } => write!(f, "byte {at} of {file} xor {mask:#04x}"),
            Self::Cut { file, len } => write!(f, "{file} cut to {len}"),
            Self::Extend { file, bytes } => write!(f, "{file} with {} more bytes", bytes.len()),
            Self::Zero { file, from, to } => write!(f, "{file} zero from {from} to {to}"),
            Self::Replace { file, by, .. } => write!(f, "{file} replaced by {by}"),
        }
    }
}

/// The unit in which media lose data.
const PAGE_LEN: usize = 4096;
/// The unit of checksums.
const BLOCK_LEN: usize = 65_536;

impl Mutation {
    pub(crate) fn file(&self) -> &str {
        match self {
            Self::Flip { file, .. }
            | Self::Cut { file, .. }
            | Self::Extend { file, .. }
            | Self::Zero { file, .. }
            | Self::Replace { file, .. } => file,
        }
    }

    /// The bytes of the file, mutated.
    pub(crate) fn apply(&self, content: &[u8]) -> Vec<u8> {
        let mut content = content.to_vec();
        match self {
            Self::Flip { at, mask, .. } => content[*at] ^= mask,
            Self::Cut { len, .. } => content.truncate(*len),
            Self::Extend { bytes, .. } => content.extend_from_slice(bytes),
            Self::Zero { from, to, .. } => content[*from..*to].fill(0),
            Self::Replace { bytes, .. } => content.clone_from(bytes),
        }
        content
    }

    /// Every byte changed in two ways, every length, some garbage, every page zero, every file in the place of every
    /// other. In files of more than a block each byte is changed in one of the two ways, unless `ROT_THOROUGH` asks for
    /// both.
    pub(crate) fn all_of(files: &Files) -> Vec<Self> {
        let thorough = environment::<u8>("ROT_THOROUGH").is_some();
        let mut mutations = Vec::new();
        for (name, content) in files {
            let file = || name.clone();
            for at in 0..content.len() {
                // The bit goes up and down with the position, so that all eight are met in every field.
                let masks = [1 << ((at ^ (at >> 3)) % 8), 0xFF];
                let all = thorough || content.len() <= BLOCK_LEN;
                let masks = if all { &masks[..] } else { &masks[at % 2..][..1] };
                mutations.extend(masks.iter().map(|&mask| Self::Flip { file: file(), at, mask }));
                mutations.push(Self::Cut { file: file(), len: at });
            }
            for bytes in [vec![0], vec![0; 8], vec![0; PAGE_LEN], vec![0xA5; 3], vec![0xA5; PAGE_LEN]] {
                mutations.push(Self::Extend { file: file(), bytes });
            }
            mutations.push(Self::Extend { file: file(), bytes: content.clone() });
            for from in (0..content.len()).step_by(PAGE_LEN) {
                let to = (from + PAGE_LEN).min(content.len());
                if content[from..to].iter().any(|&byte| byte != 0) {
                    mutations.push(Self::Zero { file: file(), from, to });
                }
            }
            for (other, bytes) in files.iter().filter(|(_, bytes)| *bytes != content) {
                mutations.push(Self::Replace { file: file(), by: other.clone(), bytes: bytes.clone() });
                // What a log is before its first record.
                if log::number(other).is_some() && log::number(name).is_some() {
                    let bytes = bytes.get(..log::HEADER_LEN).unwrap_or(bytes).to_vec();
                    mutations.push(Self::Replace { file: file(), by: format!("the header of {other}"), bytes });
                }
            }
        }
        mutations
    }
}
