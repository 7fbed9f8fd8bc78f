//! Comparing everything that a reader can ask with the model.

use super::plain::{Contents, Moment, PlainCounts};
use super::scans;
use crate::support::order::{compare, same};
use crate::support::random::Random;
use std::sync::Arc;
use vector_datalib::{
    Dimension, DimensionStats, KeyRef, Slot, Snapshot, Stats, Value, ValueRef, VectorDb, VectorPoint,
};

pub(crate) fn check_value(read: Option<ValueRef<'_>>, expected: Option<&Value>, what: impl Fn() -> String) {
    let equal = match (read, expected) {
        (None, None) => true,
        (Some(read), Some(expected)) => same(read, expected),
        _ => false,
    };
    assert!(equal, "{}: {} instead of {}", what(), shorten(&read), shorten(&expected));
}

/// Long values tell nothing by their middle.
pub(crate) fn shorten(value: &impl std::fmt::Debug) -> String {
    let mut text = format!("{value:?}");
    if let Some((cut, _)) = text.char_indices().nth(300) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

pub(crate) fn check_key(read: Option<KeyRef<'_>>, expected: Option<&Value>, slot: u32) {
    check_value(read.map(KeyRef::value), expected, || format!("the key of slot {slot}"));
}

/// Compares a snapshot in full: every key, slot, value, count, and the order of dimensions.
pub(crate) fn check_snapshot(snapshot: &Snapshot, contents: &Moment) {
    let Contents { slots, dimensions, sequence } = &**contents;
    assert_eq!(snapshot.sequence(), *sequence, "sequence");
    assert_eq!(snapshot.len(), contents.point_count(), "number of points");
    assert_eq!(snapshot.is_empty(), contents.point_count() == 0);
    assert_eq!(snapshot.slot_count(), slots.len() as u64, "number of slots");
    assert!(snapshot.dimensions().eq(dimensions.iter().map(|name| &**name)), "dimensions and their order");
    for slot in 0..slots.len() as u32 + 2 {
        let point = slots.get(slot as usize).and_then(Option::as_ref);
        let key = snapshot.key(Slot(slot)).unwrap();
        check_key(key, point.map(|point| &*point.key.value), slot);
        if let Some(point) = point {
            assert_eq!(snapshot.slot(&point.key.key).unwrap(), Some(Slot(slot)), "slot of {:?}", point.key.key);
        }
    }
    check_iter(snapshot, contents);
    for (number, name) in dimensions.iter().enumerate() {
        let dimension = snapshot.dimension(name).expect("a dimension that was used");
        assert_eq!(dimension.name(), &**name);
        check_dimension(dimension, number, contents);
        let counts = contents.counts(number);
        assert_eq!(dimension.point_count().unwrap(), counts.points, "points of {name:?}");
        if scans::is_due(contents, number) {
            scans::check_scans(snapshot, number, contents);
        }
    }
}

/// Every value was compared while iterating; of a large database one in some is looked up as well.
fn check_dimension(dimension: Dimension<'_>, number: usize, contents: &Contents) {
    let step = contents.slots.len() / 10_000 + 1;
    for slot in (number as u32 % step as u32..contents.slots.len() as u32 + 2).step_by(step) {
        let expected = contents.value(slot as usize, number);
        let read = dimension.get(Slot(slot)).unwrap();
        check_value(read, expected, || format!("slot {slot} of dimension {:?}", shorten(&dimension.name())));
        if let Some(point) = contents.slots.get(slot as usize).and_then(Option::as_ref) {
            let read = dimension.lookup(&point.key.key).unwrap();
            check_value(read, expected, || format!("{:?} in dimension {:?}", point.key.key, dimension.name()));
        }
    }
}

fn check_iter(snapshot: &Snapshot, contents: &Contents) {
    let mut read = snapshot.iter();
    for (slot, expected) in contents.points() {
        let point = read.next().expect("another point").unwrap();
        assert_eq!(point.coordinate(), Slot(slot));
        check_key(Some(point.key()), Some(&expected.key.value), slot);
        let mut attributes = expected.attributes.iter();
        for attribute in point.attributes() {
            let (name, value) = attribute.unwrap();
            let (&number, expected) = attributes.next().expect("an attribute that the point does not have");
            assert_eq!(name, &*contents.dimensions[number]);
            check_value(Some(value), Some(expected), || format!("slot {slot} of dimension {name:?} while iterating"));
        }
        assert!(attributes.next().is_none(), "an attribute of slot {slot} is missing");
    }
    assert!(read.next().is_none(), "a point too many");
}

/// Compares a few whole points, and batches of lookups.
pub(crate) fn check_samples(db: &VectorDb, contents: &Contents, random: &mut Random) {
    if contents.slots.is_empty() || contents.dimensions.is_empty() {
        return;
    }
    let snapshot = db.snapshot();
    let mut queries = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..random.below(8) {
        let slot = random.below(contents.slots.len());
        let Some(point) = &contents.slots[slot] else {
            assert!(snapshot.point_at(Slot(slot as u32)).unwrap().is_none());
            continue;
        };
        check_point(&db.point(&point.key.key).unwrap().expect("a point"), slot, contents);
        let number = random.below(contents.dimensions.len());
        queries.push((&point.key.key, &*contents.dimensions[number]));
        expected.push(contents.value(slot, number));
    }
    let read = snapshot.batch_lookup(queries.iter().copied()).unwrap();
    let owned = db.batch_lookup(queries.iter().copied()).unwrap();
    assert_eq!((read.len(), owned.len()), (queries.len(), queries.len()));
    for ((read, owned), expected) in read.into_iter().zip(owned).zip(expected) {
        check_value(read, expected, || "batch lookup".to_owned());
        check_owned(owned.as_ref(), expected);
    }
}

pub(crate) fn check_owned(read: Option<&Value>, expected: Option<&Value>) {
    let equal = match (read, expected) {
        (None, None) => true,
        (Some(read), Some(expected)) => compare(read, expected).is_eq(),
        _ => false,
    };
    assert!(equal, "{} instead of {}", shorten(&read), shorten(&expected));
}

pub(crate) fn check_point(point: &VectorPoint, slot: usize, contents: &Contents) {
    let expected = contents.slots[slot].as_ref().expect("a slot in use");
    assert_eq!(point.coordinate(), Slot(slot as u32));
    assert!(compare(&point.key().to_value(), &expected.key.value).is_eq(), "key of slot {slot}");
    assert_eq!(point.attributes().len(), expected.attributes.len(), "attributes of slot {slot}");
    for ((name, value), (&number, expected)) in point.attributes().iter().zip(&expected.attributes) {
        assert_eq!(name, &*contents.dimensions[number]);
        check_owned(Some(value), Some(expected));
        check_owned(point.get(name), Some(expected));
    }
}

/// Compares the numbers about a database. `settled`: nothing was committed since the last
/// checkpoint, so that all are exact where there are no patches.
pub(crate) fn check_stats(stats: &Stats, contents: &Moment, settled: bool) {
    let points = contents.point_count();
    assert_eq!(stats.vector_points, points);
    assert_eq!(stats.slots, contents.slots.len() as u64);
    assert_eq!(stats.free_slots, contents.slots.len() as u64 - points);
    assert_eq!(stats.sequence, contents.sequence);
    assert_eq!(stats.dimensions, contents.dimensions.len() as u64);
    let names = stats.dimension_details.iter().map(|details| details.name.as_str());
    assert!(names.eq(contents.dimensions.iter().map(|name| &**name)));
    for (number, details) in stats.dimension_details.iter().enumerate() {
        check_dimension_stats(details, contents.counts(number), settled && stats.patches == 0);
    }
}

fn check_dimension_stats(details: &DimensionStats, expected: PlainCounts, settled: bool) {
    let counted = PlainCounts { distinct: expected.distinct, points: details.points, nulls: details.nulls };
    assert_eq!(counted, expected, "counts of {:?}", details.name);
    let has_dictionary = ["none", "constant", "dictionary8", "dictionary16"].contains(&details.encoding);
    assert!(details.distinct_exact || !(settled || has_dictionary), "{details:?} should be exact");
    if details.distinct_exact {
        assert_eq!(details.distinct_values, expected.distinct, "distinct values of {details:?}");
    }
    if settled && expected.points == 0 {
        assert_eq!((details.encoding, details.bytes), ("none", 0), "{details:?} has no values");
    }
}

/// A snapshot that must never change its answers.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) snapshot: Snapshot,
    pub(crate) contents: Arc<Moment>,
}

impl Held {
    pub(crate) fn check(&self) {
        check_snapshot(&self.snapshot, &self.contents);
    }
}
