//! The domain: values, keys, ids and the rules of slots. Pure data and functions: no I/O, no `unsafe`,
//! and nothing of the layers above.
//!
//! Words: a *key* names a point on the central axis; its *slot* is its coordinate; a *dimension* maps slots to *values*.

mod any_value;
mod big_int;
mod display;
mod free_slots;
mod id;
mod key;
pub(crate) mod nested;
mod order;
mod timestamp;
mod value;
mod value_ref;

pub use any_value::AnyValue;
pub(crate) use any_value::StoredValue;
pub use big_int::{BigInt, BigIntRef};
pub(crate) use free_slots::FreeSlots;
pub use id::{DimensionId, Slot};
pub(crate) use key::is_key_integer;
pub use key::{Key, KeyError, KeyRef};
pub use nested::{Nested, NestedBuf, NestedError};
pub use timestamp::Timestamp;
pub(crate) use timestamp::civil_from_days;
pub use value::{Ext, Value};
pub use value_ref::{ExtRef, ValueBuf, ValueRef, ValueTooLarge};

/// The longest value or key, in bytes of its payload (1 GiB). A longer one is refused with a typed error.
pub const VALUE_LEN_MAX: usize = 1 << 30;

/// How deep arrays and maps may nest.
pub const NESTING_MAX: usize = 128;

/// The longest name of a dimension, in bytes.
pub const NAME_LEN_MAX: usize = 65_535;
