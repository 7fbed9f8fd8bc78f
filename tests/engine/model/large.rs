//! Databases of more than one segment, loaded in bulk, in which every encoding and every kind of presence occurs.

use super::place::Place;
use super::plain::{Plain, PlainKey};
use super::profile::{PlainDimension, Profile};
use crate::support::random::Random;
use crate::support::values::{Flavor, value};
use std::collections::BTreeSet;
use std::sync::Arc;
use vector_datalib::{BulkLoader, Options, Value, ValueBuf, ValueRef, VectorDb};

/// Slots of a segment.
pub(crate) const SEGMENT_LEN: usize = 65_536;

/// Encodings that a large database has among its dimensions.
const ENCODINGS: [&str; 8] =
    ["constant", "dictionary8", "dictionary16", "plain_i64", "plain_u64", "plain_f64", "text32", "value32"];
const PRESENCES: [&str; 4] = ["none", "all", "bitmap", "sorted"];

/// How keys are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keys {
    Dense,
    Texts,
    Mixed,
}

/// A dimension with a value in every n-th record, from one slot on.
fn dimension(name: &str, flavor: Flavor, sparsity: usize, from: usize) -> (PlainDimension, usize) {
    (PlainDimension { name: name.into(), flavor, sparsity }, from)
}

fn dimensions() -> Vec<(PlainDimension, usize)> {
    let texts = |count: usize| Flavor::Few((0..count).map(|n| Value::from(format!("text {n}"))).collect());
    let mixed = Flavor::Few(vec![Value::from(1), Value::from(1.0), Value::from("1"), Value::from(true), Value::Null]);
    vec![
        dimension("constant", Flavor::Exactly(Value::from("the same for all")), 1, 0),
        dimension("dictionary8", mixed, 1, 0),
        dimension("dictionary16", texts(1000), 1, 0),
        dimension("plain_i64", Flavor::Signed, 1, 0),
        dimension("plain_u64", Flavor::Unsigned, 1, 0),
        dimension("plain_f64", Flavor::Numbered(|n| Value::from(f64::from_bits(n))), 1, 0),
        dimension("text32", Flavor::Numbered(|n| Value::from(format!("{n:x} é"))), 1, 0),
        dimension("value32", Flavor::Any, 1, 0),
        dimension("half", texts(300), 2, 0),
        dimension("few", Flavor::Signed, 1000, 0),
        dimension("late", Flavor::Numbered(|n| Value::from(n as i64)), 1, SEGMENT_LEN),
        dimension("later and few", Flavor::Any, 300, SEGMENT_LEN),
    ]
}

fn key(random: &mut Random, keys: Keys, slot: usize) -> Value {
    match keys {
        Keys::Dense => Value::from(slot as i64 - 7),
        Keys::Texts => Value::from(format!("key {slot}")),
        Keys::Mixed => match slot % 4 {
            0 => Value::from(slot as u64),
            1 => Value::from(slot as f64),
            2 => Value::Array(vec![Value::from("composite"), Value::from(slot as u64), value_as_key(random)]),
            _ => Value::from(format!("{slot}").into_bytes()),
        },
    }
}

fn value_as_key(random: &mut Random) -> Value {
    crate::support::values::key(random, 1)
}

/// Loads so many records into a database on disk, one in a hundred of a key that came before.
pub(crate) fn load(random: &mut Random, place: &Place, keys: Keys, count: usize) -> (VectorDb, Plain, Profile) {
    let path = place.path().expect("a bulk load is on disk");
    let dimensions = dimensions();
    let budget = *random.pick(&[1, 1 << 20, 256 << 20]);
    let mut loader = BulkLoader::create(&path).unwrap().memory_budget(budget);
    let mut plain = Plain::default();
    let mut pool: Vec<PlainKey> = Vec::new();
    let (mut slot, mut merged) = (0, 0);
    for _ in 0..count {
        let again = slot > 0 && random.one_in(100);
        let key = if again {
            random.pick(&pool).clone()
        } else {
            slot += 1;
            pool.push(PlainKey::new(key(random, keys, slot - 1)));
            pool[slot - 1].clone()
        };
        merged += u64::from(again);
        let mut attributes: Vec<(Arc<str>, Value)> = Vec::new();
        for (dimension, from) in &dimensions {
            if slot > *from && random.one_in(dimension.sparsity) {
                attributes.push((Arc::clone(&dimension.name), dimension.flavor.value(random)));
            }
        }
        if again && random.one_in(20) {
            // A dimension may come into being by a record that is merged; a name may come twice.
            attributes.push(("rare".into(), value(random, 0)));
            attributes.push(("rare".into(), value(random, 0)));
        }
        if random.one_in(1000) {
            attributes.push(("dictionary8".into(), Value::from("another")));
        }
        plain.upsert(&key, None, &attributes);
        let values: Vec<_> = attributes.iter().map(|(_, value)| ValueBuf::try_from(value.clone()).unwrap()).collect();
        let refs: Vec<(&str, ValueRef<'_>)> =
            attributes.iter().zip(&values).map(|((name, _), value)| (&**name, value.as_ref())).collect();
        loader.push(&key.key, refs).unwrap();
    }
    let report = loader.finish().unwrap();
    assert_eq!((report.points, report.merged), (slot as u64, merged));
    let db = place.open(&Options::new()).unwrap();
    assert!(!db.open_report().unclean_close);
    plain.contents.sequence = db.snapshot().sequence();
    let dimensions = dimensions.into_iter().map(|(dimension, _)| dimension).collect();
    (db, plain, Profile::large(random, pool, dimensions))
}

/// Every layout that the specification has for databases of this size is there.
pub(crate) fn check_layouts(db: &VectorDb) {
    let stats = db.stats().unwrap();
    let encodings: BTreeSet<_> = stats.dimension_details.iter().map(|details| details.encoding).collect();
    for encoding in ENCODINGS {
        assert!(encodings.contains(encoding), "no dimension is {encoding}: {stats:#?}");
    }
    for presence in PRESENCES {
        let found = stats.dimension_details.iter().any(|details| details.presence.split('+').any(|p| p == presence));
        assert!(found, "no segment has presence {presence}: {stats:#?}");
    }
}
