//! Crashes: processes killed, disks full or broken, power lost. What was acknowledged is there, and nothing half done.

pub(crate) mod disk;
mod faults;
mod kill;
mod power;
mod script;
