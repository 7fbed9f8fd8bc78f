//! What a file may have.

use crate::model::{NAME_LEN_MAX, NESTING_MAX, VALUE_LEN_MAX};

/// What a canonical file may have and declare, checked before memory is spent on it.
///
/// The defaults accept every file that a program has filled with data of its own kind, whatever its size, but not one that is mostly the
/// same bytes again and again. Raise them for those, lower them for files of strangers.
///
/// ```
/// use vector_datalib::ImportLimits;
/// let mut limits = ImportLimits::default();
/// limits.points = 1_000_000;
/// limits.inflated_len = 1 << 30;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ImportLimits {
    /// Bytes of the file. 1 TiB by default.
    pub file_len: u64,
    /// Bytes of its content, uncompressed. 16 TiB by default.
    pub inflated_len: u64,
    /// How many times as long as the file its content may be, once it is longer than 64 MiB. 100 by default; the two compressions
    /// that occur can reach 255 and 1,030.
    pub inflated_ratio: u64,
    /// Levels of arrays and maps in one another, those of the file's own structure (5) included. 133 by default: values nest
    /// [`NESTING_MAX`] deep at most.
    pub depth: u64,
    /// Bytes of one text, byte string or ext value, and of an array or a map as a whole. [`VALUE_LEN_MAX`] by default, and at most.
    pub string_len: u64,
    /// Bytes of the name of a dimension. [`NAME_LEN_MAX`] by default, and at most.
    pub name_len: u64,
    /// Dimensions. 100,000 by default.
    pub dimensions: u64,
    /// Slots: points and the free places between them. 2^32 - 1 by default, and at most.
    pub points: u64,
    /// Values in one dimension, distinct or not. 2^32 - 1 by default.
    pub values: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            file_len: 1 << 40,
            inflated_len: 1 << 44,
            inflated_ratio: 100,
            depth: (NESTING_MAX as u64).saturating_add(5),
            string_len: VALUE_LEN_MAX as u64,
            name_len: NAME_LEN_MAX as u64,
            dimensions: 100_000,
            points: u32::MAX as u64,
            values: u32::MAX as u64,
        }
    }
}
