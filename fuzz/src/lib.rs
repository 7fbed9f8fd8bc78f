//! What the fuzz targets do with their input.
//!
//! Each target is a function of bytes that panics when the library is wrong. The binaries in `fuzz_targets/` hand it
//! what the fuzzer makes up; the library's own tests (`tests/engine/corpus.rs`) include these modules and hand it the
//! committed corpus.
//!
//! Files are taken apart and put together again here by what `format-spec/` says, not with the library's code, so that
//! the two cannot be wrong together.

pub mod bases;
pub mod block_file;
pub mod canonical_bytes;
pub mod canonical_lies;
pub mod canonical_round;
pub mod column_file;
pub mod draft;
pub mod imports;
pub mod input;
pub mod log_file;
pub mod manifest;
pub mod manifest_file;
pub mod model;
pub mod node;
pub mod operations;
pub mod packing;
pub mod probe;
pub mod values;
pub mod wal;

use std::collections::BTreeMap;

/// The files of a database directory, by name.
pub type Files = BTreeMap<String, Vec<u8>>;
