//! More than one process, more than one user, and media that are full or cannot be written.

mod child;
mod followers;
mod locking;
mod media;
mod read_only;
mod setting;
