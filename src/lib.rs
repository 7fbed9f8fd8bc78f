//! VECTOR
mod format;
mod model;
mod storage;
pub use model::*;
/// hidden
#[doc(hidden)]
pub mod internals { pub use crate::storage::*; }
