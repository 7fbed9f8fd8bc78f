//! More than one process, more than one user, and media that are full or cannot be written.
//!
//! A program of its own: starting a process copies, for a moment, every descriptor of this one, the writer's locks included, so a
//! database that another test has just closed would seem locked. Here each test that starts processes or reopens databases has the
//! program to itself ([`setting::alone`]).

mod child;
mod followers;
mod forked;
mod locking;
mod media;
mod read_only;
mod setting;

#[path = "../engine/support/random.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine, which use all of it")]
mod random;
