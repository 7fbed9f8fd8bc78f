//! What readers are promised: they allocate nothing, wait for nobody, and their answers never change.

mod allocation_free;
pub(crate) mod allocations;
mod blocked;
pub(crate) mod gate;
mod group_commit;
mod held;
pub(crate) mod hooked;
mod merges;
pub(crate) mod slow_disk;
