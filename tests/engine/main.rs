//! Tests of the engine as a whole, through the public face and the storage seam. One program, so that they are linked once.

mod arguments;
#[cfg(feature = "tokio")]
mod async_db;
mod bulk;
mod canonical;
mod canonical_review;
mod checkpoints;
mod corpus;
mod crash;
mod direct;
mod export;
mod face;
mod fixtures;
mod forged;
mod import;
mod inspect;
mod large_files;
mod layers;
mod layouts;
mod misuse;
mod model;
mod newer;
mod original;
mod paths;
mod readers;
mod records;
mod rot;
mod scan_answers;
mod scans;
mod spec;
mod support;
