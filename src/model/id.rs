//! Newtypes for positions and identities, so that one is never taken for another.

use std::fmt;

/// A coordinate on the central axis: the position of a key, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// The last slot a database can have: 2^32 - 2. The value above it marks "no slot" on disk.
    pub const MAX: Self = Self(u32::MAX - 1);

    /// This slot as a position in memory.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<u32> for Slot {
    fn from(position: u32) -> Self {
        Self(position)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Identifies a dimension within one database; never reused. File names carry it, so that names never become paths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DimensionId(pub u32);

impl DimensionId {
    /// This id as a position in memory.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for DimensionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
