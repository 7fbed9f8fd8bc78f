//! One record.

use crate::model::{Key, Slot, Value};

/// A point: its coordinate, its key and its attributes. Owned; see [`PointRef`](crate::PointRef) for the borrowed form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorPoint {
    coordinate: Slot,
    key: Key,
    attributes: Vec<(String, Value)>,
}

impl VectorPoint {
    pub(crate) const fn new(coordinate: Slot, key: Key, attributes: Vec<(String, Value)>) -> Self {
        Self { coordinate, key, attributes }
    }

    /// The coordinate: the slot of the key on the central axis.
    #[must_use]
    pub const fn coordinate(&self) -> Slot {
        self.coordinate
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The attributes that the point has, in the order of the dimensions' first use.
    #[must_use]
    pub fn attributes(&self) -> &[(String, Value)] {
        &self.attributes
    }

    /// Coordinate, key and attributes, taken out.
    #[must_use]
    pub fn into_parts(self) -> (Slot, Key, Vec<(String, Value)>) {
        (self.coordinate, self.key, self.attributes)
    }

    /// The attributes, taken out.
    #[must_use]
    pub fn into_attributes(self) -> Vec<(String, Value)> {
        self.attributes
    }

    /// The value of an attribute; `None` when the point has none of that name.
    #[must_use]
    pub fn get(&self, dimension: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| name == dimension).map(|(_, value)| value)
    }
}
