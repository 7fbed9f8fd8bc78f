//! Canonical files that nobody should have written, and those that anybody may: what the import makes of each.

mod case;
mod changes;
mod contradictions;
mod draft;
mod frame;
mod frames;
#[cfg(feature = "legacy-import")]
mod legacy;
mod lengths;
mod limits;
mod memory;
mod node;
mod progress;
mod salvage;
mod tolerated;
mod values;
