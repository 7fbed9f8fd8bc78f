//! What readers are promised: they allocate nothing, wait for nobody, and their answers never change.

mod allocation_free;
pub(crate) mod allocations;
mod blocked;
mod group_commit;
mod held;
mod hooked;
