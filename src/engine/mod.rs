//! One writer, many snapshots: overlay, commit, recovery, checkpoint, compaction, bulk load, verification.
//!
//! The engine knows the layers below it (model, format, storage), the error type and the progress callback, and nothing else of
//! the public face.

mod arena;
mod axis_builder;
mod axis_tiers;
mod background;
mod base_axis;
mod base_column;
mod batch;
mod block_file;
mod block_writer;
mod cells;
mod checkpoint;
mod column_builder;
mod column_tiers;
mod counts;
mod database;
mod delta;
mod delta_encoding;
mod dictionary_builder;
mod export;
mod generation;
mod heap_builder;
mod index_builder;
mod key_index;
mod late_values;
mod loader;
mod log_reader;
mod log_writer;
mod meter;
mod numbering;
mod overlay;
mod patch;
mod patch_writer;
mod patching;
mod plan;
mod rebuild;
mod replay;
mod segment_writer;
mod spill;
mod state;
mod verify;
mod verify_patch;
mod view;
mod writer;

pub(crate) use background::{AutoCheckpoint, Handle};
pub(crate) use batch::{Outcome, Step, attributes};
pub(crate) use checkpoint::SlotOrder;
pub(crate) use database::{Database, EngineOptions, State};
pub use database::{Durability, OpenReport};
pub use export::Metadata;
pub(crate) use loader::Loader;
pub(crate) use state::{DimensionView, Occupied};
pub use verify::VerifyReport;
