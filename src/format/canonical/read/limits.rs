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
    /// Bytes of one text, byte string or ext value that is a key or a value, and of an array or a map as a whole; also in fields that are passed
    /// over. Names of fields and of dimensions, ids and the texts of `metadata` do not count. [`VALUE_LEN_MAX`] by default; more means that, too.
    pub string_len: u64,
    /// Bytes of the name of a dimension. [`NAME_LEN_MAX`] by default; more means that, too.
    pub name_len: u64,
    /// Bytes of the names of all dimensions together. 64 MiB by default: every handle of the database holds them in memory.
    pub names_len: u64,
    /// Dimensions. 100,000 by default.
    pub dimensions: u64,
    /// Slots: points and the free places between them, but not those behind the last point. 2^32 - 1 by default; more means that, too.
    pub points: u64,
    /// Values in one dimension, distinct or not. 2^32 - 1 by default; more means that, too.
    pub values: u64,
}

/// Names of fields, which are no data, and texts of `metadata` have at most so many bytes.
const STRUCTURE_LEN: u64 = 4096;

impl ImportLimits {
    /// The same for what cuts content into tokens and does not know what is a value: those that are one are looked at later.
    pub(crate) fn of_tokens(self) -> Self {
        Self { string_len: self.string_len.max(self.name_len.min(NAME_LEN_MAX as u64)).max(STRUCTURE_LEN), ..self }
    }
}

impl ImportLimits {
    /// Says of a file that it exceeds a limit, which is named as its field is.
    pub(crate) fn exceeded(limit: &str, value: u64, allowed: u64) -> String {
        let what = match limit {
            "file_len" => format!("has {value} bytes"),
            "inflated_len" => format!("has {value} bytes or more of content, uncompressed"),
            "inflated_ratio" => format!("has content that is {value} times as long as the file, or longer"),
            "depth" => format!("has arrays and maps in one another, {value} levels or more"),
            "string_len" => format!("has a text, byte string, ext value, array or map of {value} bytes or more"),
            "name_len" => format!("has a dimension whose name has {value} bytes"),
            "names_len" => format!("has dimensions whose names have {value} bytes or more together"),
            "dimensions" => format!("has {value} dimensions or more"),
            "points" => format!("has {value} slots or more, points and the free places between them"),
            "values" => format!("has {value} values or more in one dimension"),
            other => format!("has {other} {value}"),
        };
        let most = match limit {
            "string_len" => VALUE_LEN_MAX as u64,
            "name_len" => NAME_LEN_MAX as u64,
            "points" | "values" => u32::MAX.into(),
            _ => u64::MAX,
        };
        let advice = if allowed < most { "raise that for a file that you trust" } else { "no database takes more" };
        format!("{what}, where ImportLimits::{limit} allows {allowed}; {advice}")
    }
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
            names_len: 64 << 20,
            dimensions: 100_000,
            points: u32::MAX as u64,
            values: u32::MAX as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_sentence_with_both_numbers_and_what_helps() {
        let shown = format!("{:?}", ImportLimits::default());
        let fields = shown.split(['{', ',']).filter_map(|part| part.split_once(": "));
        let names: Vec<_> = fields.map(|(name, _)| name.trim()).collect();
        assert_eq!(names.len(), 10);
        for name in names {
            let sentence = ImportLimits::exceeded(name, 17, 16);
            let end = format!(", where ImportLimits::{name} allows 16; raise that for a file that you trust");
            assert!(sentence.starts_with("has ") && sentence.contains("17") && sentence.ends_with(&end), "{sentence}");
            assert!(!sentence.starts_with(&format!("has {name}")), "no words for {name}");
        }
    }

    #[test]
    fn nobody_is_told_to_raise_what_cannot_be_more() {
        let most = ImportLimits::default();
        for (name, allowed) in [
            ("string_len", most.string_len),
            ("name_len", most.name_len),
            ("points", most.points),
            ("values", most.values),
        ] {
            let sentence = ImportLimits::exceeded(name, allowed + 1, allowed);
            assert!(sentence.ends_with("; no database takes more"), "{sentence}");
        }
    }
}
