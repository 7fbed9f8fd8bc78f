//! Numbers about a database.

use crate::engine::{Handle, Metadata, State};
use crate::error::Result;
use crate::value_cache::CacheCounts;

/// What [`VectorDb::stats`](crate::VectorDb::stats) tells. The first five fields have the names of the Python package.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Points.
    pub vector_points: u64,
    /// Dimensions, those without any value included.
    pub dimensions: u64,
    /// Each dimension, in the order of first use.
    pub dimension_details: Vec<DimensionStats>,
    /// Bytes of all files of the database, the log included.
    pub file_size_bytes: u64,
    /// Times and version.
    pub metadata: Metadata,
    /// One above the highest slot in use.
    pub slots: u64,
    /// Slots below it that are free.
    pub free_slots: u64,
    /// The current generation of files.
    pub generation: u64,
    /// The last commit.
    pub sequence: u64,
    /// Bytes of the log. They shrink to nothing at a checkpoint.
    pub wal_bytes: u64,
    /// Patch files: what checkpoints wrote since axis and column files were last written.
    pub patches: u64,
    /// Bytes of these.
    pub patch_bytes: u64,
    /// Of the bytes of axis, columns and patches, those of what is read: an estimate, by the share of their cells. A compaction
    /// writes about as many, and needs that much room.
    pub live_bytes: u64,
    /// The rest of these bytes: of what was changed or deleted since. A compaction frees about as many.
    pub garbage_bytes: u64,
    /// Bytes of files that are no longer part of the database, and go when the snapshots of this process do that keep them.
    pub pinned_bytes: u64,
    /// Why the last checkpoint that started by itself failed; `None` when it did not, or there was none.
    pub checkpoint_failure: Option<String>,
    /// Arrays and maps that [`lookup_shared`](crate::VectorDb::lookup_shared) found in its cache.
    pub value_cache_hits: u64,
    /// Those that had to be decoded. 0 without such a cache.
    pub value_cache_misses: u64,
    /// Bytes of memory that it takes now.
    pub value_cache_bytes: u64,
    /// Bytes of the keys and their index.
    pub axis_bytes: u64,
    /// How keys are stored: `dense`, `frozen`, or, where they are indexed, the encoding of the key column.
    pub axis_encoding: &'static str,
}

/// Numbers about one dimension.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DimensionStats {
    /// The name.
    pub name: String,
    /// Distinct values.
    pub distinct_values: u64,
    /// Whether `distinct_values` is of now; otherwise it is of when the column file was written, for a dimension that is stored
    /// without a dictionary.
    pub distinct_exact: bool,
    /// Points that have a value.
    pub points: u64,
    /// Of these, points whose value is null.
    pub nulls: u64,
    /// How the column file stores values; `none` when there is none.
    pub encoding: &'static str,
    /// How the column file says which slots have a value.
    pub presence: String,
    /// Bytes of the column file.
    pub bytes: u64,
}

pub(crate) fn stats(database: &Handle, state: &State, cache: CacheCounts) -> Result<Stats> {
    let mut details = Vec::new();
    let changes = state.changes();
    for dimension in state.dimensions() {
        let counts = dimension.counts_since(&changes)?;
        details.push(DimensionStats {
            name: dimension.name().to_owned(),
            distinct_values: counts.distinct,
            distinct_exact: counts.distinct_exact,
            points: counts.points,
            nulls: counts.nulls,
            encoding: counts.encoding,
            presence: counts.presence,
            bytes: counts.file_len,
        });
    }
    let (axis_encoding, axis_bytes) = state.axis_description()?;
    let (slots, points) = (u64::from(state.slot_count()), u64::from(state.point_count()));
    let (patches, patch_bytes) = state.patch_sizes();
    let (stored_cells, stored_bytes) = state.stored();
    let live_cells = points + details.iter().map(|details| details.points).sum::<u64>();
    let garbage_cells = stored_cells.saturating_sub(live_cells);
    let garbage_bytes = (u128::from(stored_bytes) * u128::from(garbage_cells) / u128::from(stored_cells.max(1))) as u64;
    let (file_size_bytes, wal_bytes) = database.sizes(state)?;
    Ok(Stats {
        vector_points: points,
        dimensions: details.len() as u64,
        dimension_details: details,
        file_size_bytes,
        metadata: state.metadata(),
        slots,
        free_slots: slots.saturating_sub(points),
        generation: state.generation(),
        sequence: state.sequence(),
        wal_bytes,
        patches,
        patch_bytes,
        live_bytes: stored_bytes - garbage_bytes,
        garbage_bytes,
        pinned_bytes: database.pinned_bytes(),
        checkpoint_failure: database.checkpoint_failure(),
        value_cache_hits: cache.hits,
        value_cache_misses: cache.misses,
        value_cache_bytes: cache.bytes,
        axis_bytes,
        axis_encoding,
    })
}
