//! Dimensions whose name is no text: the original takes any, and no name here can be one.

use super::keys::shown;
use std::collections::HashSet;

/// Those that a salvage leaves out.
#[derive(Default, Debug)]
pub(super) struct Unnamed {
    /// Whether any may be there.
    is_salvage: bool,
    /// Their names, tagged: most come twice, with values and with cells.
    names: HashSet<Box<[u8]>>,
    /// Each of them in words, as far as there is room for them.
    places: Vec<String>,
}

impl Unnamed {
    pub(super) fn new(is_salvage: bool) -> Self {
        Self { is_salvage, ..Self::default() }
    }

    /// Counts one; whether it is to be left out.
    pub(super) fn leave_out(&mut self, name: &[u8]) -> bool {
        if self.is_salvage && self.names.insert(name.into()) && self.places.len() < super::LOST_MAX {
            self.places.push(format!("the dimension {}, whose name is no text, with all its values", shown(name)));
        }
        self.is_salvage
    }

    /// How many there are, and the first of them in words.
    pub(super) fn into_losses(self) -> (u64, Vec<String>) {
        (self.names.len() as u64, self.places)
    }
}
