//! Records of nineteen attributes: the four of every record, and fifteen more of mixed types.

use crate::engine::fold_text;
use crate::records::{Records, Text, below, city, mix};

/// Attributes of each of the three types.
pub(crate) const EACH: usize = 5;

/// Their names: numbers below 1,000; floats; and texts of 6 to 14 bytes, of which there are 10,000.
pub(crate) const INTEGERS: [&str; EACH] = ["visits", "orders", "returns", "level", "rank"];
pub(crate) const FLOATS: [&str; EACH] = ["balance", "limit", "latitude", "longitude", "weight"];
pub(crate) const TEXTS: [&str; EACH] = ["street", "team", "referrer", "device", "plan"];

/// How many attributes records have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Shape {
    /// Age, city, name and score.
    Four,
    /// The four and [`More`].
    Nineteen,
    /// The ten of YCSB, which are none of the four ([`crate::ycsb`]).
    Ycsb,
}

impl Shape {
    /// What file names say.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Four => "four",
            Self::Nineteen => "nineteen",
            Self::Ycsb => "ycsb",
        }
    }
}

/// What a record of nineteen attributes has besides the four.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct More {
    /// Of [`INTEGERS`].
    pub(crate) integers: [u16; EACH],
    /// Of [`FLOATS`].
    pub(crate) floats: [f64; EACH],
    /// Of [`TEXTS`].
    pub(crate) texts: [Text; EACH],
}

impl More {
    /// What reading all of them adds to a checksum.
    pub(crate) fn fold(&self) -> u64 {
        let integers = self.integers.iter().map(|&integer| fold_more(integer.into()));
        let floats = self.floats.iter().map(|float| fold_more(float.to_bits()));
        let texts = self.texts.iter().map(|text| fold_more(fold_text(text.as_bytes())));
        integers.chain(floats).chain(texts).fold(0, u64::wrapping_add)
    }
}

/// What reading one of them adds: equal values do not cancel out.
#[inline]
pub(crate) const fn fold_more(value: u64) -> u64 {
    value.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Records {
    /// What a record has besides the four attributes; `None` if it has only those.
    #[inline]
    pub(crate) fn more(self, number: u64) -> Option<More> {
        if self.shape != Shape::Nineteen {
            return None;
        }
        let random = |index: usize| mix(number ^ (index as u64 + 1) << 44);
        Some(More {
            integers: std::array::from_fn(|index| below(random(index), 1000) as u16),
            floats: std::array::from_fn(|index| (random(index + EACH) >> 11) as f64 / 1e6),
            texts: std::array::from_fn(|index| city(below(random(index + 2 * EACH), 10_000))),
        })
    }

    /// What reading all attributes of a record adds to a checksum.
    pub(crate) fn fold_point(self, number: u64) -> u64 {
        self.get(number).fold().wrapping_add(self.more(number).map_or(0, |more| more.fold()))
    }
}
