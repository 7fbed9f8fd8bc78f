//! What a run is like: how many keys and dimensions, which values, how often each kind of operation.

use super::plain::PlainKey;
use crate::support::order::Ordered;
use crate::support::random::Random;
use crate::support::values::{self, Flavor};
use std::collections::BTreeSet;
use std::sync::Arc;
use vector_datalib::{Durability, Value};

/// Kinds of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Change,
    Read,
    Refused,
    Hold,
    CheckHeld,
    Reader,
    Refresh,
    Full,
    Save,
    Compact,
    Pack,
    ByKey,
    Freeze,
    Position,
    Reopen,
    Crash,
    Export,
}

/// A dimension of a run.
#[derive(Clone, Debug)]
pub(crate) struct PlainDimension {
    pub(crate) name: Arc<str>,
    pub(crate) flavor: Flavor,
    /// A record has it once in so many times.
    pub(crate) sparsity: usize,
}

impl PlainDimension {
    /// A value; now and then one of another kind, so that the column changes its encoding.
    pub(crate) fn value(&self, random: &mut Random) -> Value {
        if random.one_in(100) { values::value(random, 0) } else { self.flavor.value(random) }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) operations: usize,
    pub(crate) keys: Vec<PlainKey>,
    /// The key of slot 0, when keys mostly follow their slots.
    pub(crate) dense: Option<i64>,
    pub(crate) dimensions: Vec<PlainDimension>,
    pub(crate) batch_max: usize,
    pub(crate) durability: Durability,
    /// How soon patches are merged.
    pub(crate) merge_fraction: f64,
    weights: Vec<(Kind, usize)>,
}

/// Names that are paths, or empty, or long, are names as any other.
const NAMES: [&str; 14] =
    ["age", "", "../x", "/", "name", "Ä", "\0", "a b", "LOCK", "MANIFEST", "dim-0-1.col", "\u{1F600}", "1", "{}"];

impl Profile {
    /// A database of a few points, where each deletion meets the end of the axis.
    pub(crate) fn tiny(random: &mut Random) -> Self {
        let operations = random.within(20..400);
        let (keys, dimensions) = (random.within(2..12), random.within(1..5));
        Self::new(random, operations, keys, dimensions, 4, 1)
    }

    pub(crate) fn small(random: &mut Random) -> Self {
        let operations = random.within(200..2000);
        let (keys, dimensions) = (random.within(20..150), random.within(1..9));
        Self::new(random, operations, keys, dimensions, 20, 3)
    }

    /// Some thousand points, with checkpoints far apart.
    pub(crate) fn medium(random: &mut Random) -> Self {
        let operations = random.within(2000..6000);
        let (keys, dimensions) = (random.within(500..3000), random.within(1..13));
        Self::new(random, operations, keys, dimensions, 200, 40)
    }

    /// For a database that was loaded in bulk.
    pub(crate) fn large(random: &mut Random, keys: Vec<PlainKey>, dimensions: Vec<PlainDimension>) -> Self {
        let any = Self::new(random, 0, 2, 1, 30, 40);
        Self { keys, dimensions, dense: None, ..any }
    }

    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(20) {
            0 => Self::medium(random),
            1..=5 => Self::small(random),
            _ => Self::tiny(random),
        }
    }

    /// `rarity`: how much rarer than in a tiny database the operations are that cost as much as it is large.
    fn new(
        random: &mut Random,
        operations: usize,
        key_count: usize,
        dimension_count: usize,
        batch_max: usize,
        rarity: usize,
    ) -> Self {
        let long = rarity < 40 && random.one_in(6);
        let operations = if long { operations / 3 + 1 } else { operations };
        let dense = random.one_in(3).then(|| *random.pick(&[0, 1, -5, i64::MIN, i64::MAX - 2, 1000]));
        let keys = keys(random, key_count, dense, long);
        let first_name = random.below(NAMES.len());
        let dimensions = (0..dimension_count).map(|number| PlainDimension {
            name: NAMES[(first_name + number) % NAMES.len()].into(),
            flavor: Flavor::new(random, long),
            sparsity: *random.pick(&[1, 1, 2, 3, 10, 60]),
        });
        let mut dimensions: Vec<_> = dimensions.collect();
        if random.one_in(8) {
            dimensions[0].name = "é€😀".repeat(random.within(50..200)).into();
        }
        let durability = if random.one_in(2) { Durability::Immediate } else { Durability::Eventual };
        // Never a patch, as few as by default, up to some, as many as there are checkpoints.
        let merge_fraction = *random.pick(&[0.0, 0.5, 3.0, 1e9]);
        let rare = |weight: usize| (weight * 40 / rarity).max(1);
        let weights = vec![
            (Kind::Change, 1600),
            (Kind::Read, 400),
            (Kind::Refused, 20),
            (Kind::Hold, rare(2)),
            (Kind::CheckHeld, rare(2)),
            (Kind::Reader, rare(1) / 2 + 1),
            (Kind::Refresh, rare(2)),
            (Kind::Full, rare(2)),
            (Kind::Save, rare(5)),
            (Kind::Compact, rare(1)),
            (Kind::Pack, rare(1)),
            (Kind::ByKey, rare(1)),
            (Kind::Freeze, rare(1)),
            (Kind::Position, rare(2)),
            (Kind::Reopen, rare(2)),
            (Kind::Crash, rare(1)),
            (Kind::Export, rare(1) / 8 + 1),
        ];
        Self { operations, keys, dense, dimensions, batch_max, durability, merge_fraction, weights }
    }

    pub(crate) fn kind(&self, random: &mut Random) -> Kind {
        let mut at = random.below(self.weights.iter().map(|(_, weight)| weight).sum());
        for &(kind, weight) in &self.weights {
            if at < weight {
                return kind;
            }
            at -= weight;
        }
        Kind::Change
    }
}

/// Distinct keys: integers in a row, or of all types.
fn keys(random: &mut Random, count: usize, dense: Option<i64>, long: bool) -> Vec<PlainKey> {
    let mut taken = BTreeSet::new();
    let mut keys = Vec::with_capacity(count);
    let style = random.below(3);
    let mut next = i128::from(dense.unwrap_or(7));
    while keys.len() < count {
        let value = match style {
            _ if long && random.one_in(12) => Value::from(values::long_text(random)),
            0 if dense.is_some() => {
                next += 1;
                Value::Int(next - 1)
            }
            1 if count > 100 => Value::from(format!("key {}", random.below(count * 2))),
            // Enough of each type even where the generator repeats itself.
            _ if random.one_in(2) => values::key(random, 0),
            _ => Value::from(random.below(count * 4) as u64),
        };
        let key = PlainKey::new(value);
        if taken.insert(Ordered(Arc::clone(&key.value))) {
            keys.push(key);
        }
    }
    keys
}
