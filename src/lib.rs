//! VECTOR ("VECTOR Encodes Coordinates To Optimize Retrieval"): an N-dimensional coordinate database.
//!
//! It is *not* a similarity-search database. It keeps records, *points*, each with a unique key on a *central axis* and any number of
//! attributes, its *dimensions*. A key's *coordinate* is its slot on the axis. Each dimension is a column file that is mapped to memory
//! and stores each distinct value once where that pays; a lookup by key costs a few cache misses whatever the size.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! use vector_datalib::{VectorDb, attrs};
//!
//! let db = VectorDb::create(dir.path().join("people.vdb"))?;
//! db.upsert(101, attrs! { "name" => "Alice", "age" => 25 })?;
//! db.upsert("bob@example.com", attrs! { "name" => "Bob", "city" => "Boston" })?;
//!
//! let snapshot = db.snapshot();
//! let name = snapshot.dimension("name").expect("it was just used");
//! assert_eq!(name.lookup(101)?.and_then(|value| value.as_str()), Some("Alice"));
//!
//! db.save()?; // into column files
//! db.export(dir.path().join("people.db"))?; // for the Python package vector_datalib
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Start at [`VectorDb`]; read through [`Snapshot`] and [`Dimension`]; load much at once through [`BulkLoader`].
//!
//! # Outside of what it protects against
//! Another program that cuts or changes the files of an open database, or a medium that fails under a mapped page, ends the process
//! with SIGBUS ([`Options::mmap`] turns mapping off); disks that lie about fsync; network file systems. A process has at most 65,530
//! mappings under Linux's default, and an open database takes one for each dimension.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

#[cfg(not(all(unix, target_pointer_width = "64", target_endian = "little")))]
compile_error!("vector-datalib is tested on 64-bit little-endian Unix only");

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "tokio")]
mod async_db;
mod axis;
mod bulk_loader;
mod db;
mod dimension;
mod engine;
mod error;
mod format;
mod import;
pub mod inspect;
mod model;
mod new_database;
mod options;
mod parallel_scan;
mod place;
mod point;
mod progress;
mod record;
mod scans;
mod snapshot;
mod stats;
mod storage;
mod value_cache;

#[cfg(feature = "tokio")]
pub use async_db::{AsyncVectorDb, PendingWork, PendingWrite};
pub use axis::Axis;
pub use bulk_loader::{BulkLoader, LoadReport};
pub use db::{CompactOptions, VectorDb};
pub use dimension::Dimension;
pub use engine::{
    Aggregates, CellValues, CrossCounts, Dictionary, Durability, Find, GroupAggregates, ImportReport, Layout, Losses,
    Metadata, Offsets, OpenReport, Repairs, Segment, SegmentPresence, SegmentValues, Segments, Sum, ValueCounts,
    VerifyReport,
};
pub use error::{Error, Result};
pub use format::canonical::read::ImportLimits;
pub use import::Import;
pub use model::{
    AnyValue, BigInt, BigIntRef, DimensionId, Ext, ExtRef, Key, KeyError, KeyRef, NAME_LEN_MAX, NESTING_MAX, Nested,
    NestedBuf, NestedError, Slot, Timestamp, VALUE_LEN_MAX, Value, ValueBuf, ValueRef, ValueTooLarge,
};
pub use options::Options;
pub use parallel_scan::ParallelScan;
pub use point::VectorPoint;
pub use progress::{Progress, ProgressFn};
pub use record::{to_attributes, to_value};
pub use snapshot::{PointRef, Points, Snapshot};
pub use stats::{DimensionStats, Stats};

/// For tests and fuzzing of this crate: not part of its interface, and free to change.
#[doc(hidden)]
pub mod internals {
    pub use crate::storage::{
        DiskStorage, LOCK_NAME, MapMode, MemoryScratch, MemoryStorage, Region, ReplaceError, ScratchFile, SourceFile,
        StagedDirectory, StagedFile, Storage, StorageError, StorageFile, StorageLock,
    };
}

/// Attributes for [`VectorDb::upsert`]: names and anything that converts into a [`Value`].
///
/// ```
/// use vector_datalib::attrs;
/// let attributes = attrs! { "age" => 25, "name" => "Alice" };
/// assert_eq!(attributes.len(), 2);
/// assert!(attrs! {}.is_empty());
/// ```
#[macro_export]
macro_rules! attrs {
    () => {
        ([] as [(&str, $crate::Value); 0])
    };
    ($($name:expr => $value:expr),+ $(,)?) => {
        [$(($name, $crate::Value::from($value))),+]
    };
}
