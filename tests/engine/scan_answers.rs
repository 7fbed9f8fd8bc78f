//! Every scan answers as a plain loop over what lookups read: of each encoding and presence, in files, patches and overlay, with
//! points deleted and added, in snapshots from before, and on any number of threads.

use crate::scans::{LAYOUTS, POINTS, load};
use crate::support::order::Ordered;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Aggregates, Dimension, Slot, Snapshot, Value, ValueBuf, ValueRef, VectorDb};

/// The values of a dimension, by slot.
type Column = Vec<(u32, Value)>;

fn read(snapshot: &Snapshot, name: &str) -> Column {
    let dimension = snapshot.dimension(name).unwrap();
    let slots = 0..snapshot.slot_count() as u32;
    let value = |slot| Some((slot, dimension.get(Slot(slot)).unwrap()?.to_value().unwrap()));
    slots.filter_map(value).collect()
}

/// Numbers by what they are worth; those that are compared here are floats without loss wherever types differ. `None` for values
/// that are not compared.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

type Range = (Bound<Value>, Bound<Value>);

fn is_within((start, end): &Range, value: &Value) -> bool {
    let keeps = |bound: &Bound<Value>, beyond: Ordering| match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) => compare(value, bound).is_some_and(|ordering| ordering != beyond),
        Bound::Excluded(bound) => compare(value, bound) == Some(beyond.reverse()),
    };
    keeps(start, Ordering::Less) && keeps(end, Ordering::Greater)
}

fn ranges() -> Vec<Range> {
    use Bound::{Excluded, Included, Unbounded};
    vec![
        (Unbounded, Unbounded),
        (Included(100.into()), Excluded(500.into())),
        (Excluded(100.into()), Included(500.into())),
        (Excluded(99.5.into()), Unbounded),
        (Unbounded, Included(0.into())),
        (Included((-0.0).into()), Included(0.0.into())),
        (Included(u64::MAX.into()), Unbounded),
        (Included((u64::MAX - 60_000).into()), Excluded(u64::MAX.into())),
        (Included(1e9.into()), Included(5.into())),
        (Included(f64::NEG_INFINITY.into()), Included(f64::INFINITY.into())),
        (Included("text 2".into()), Excluded("text 5".into())),
        (Excluded("65".into()), Unbounded),
        (Unbounded, Included("text 0".into())),
        (Included(true.into()), Included(true.into())),
        (Included("text 77".into()), Included("text 77".into())),
    ]
}

fn check_ranges(dimension: Dimension<'_>, column: &Column) {
    for range in ranges() {
        let expected: Vec<u32> =
            column.iter().filter(|(_, value)| is_within(&range, value)).map(|&(slot, _)| slot).collect();
        let found: Vec<u32> = dimension.find_in(range.clone()).unwrap().map(|slot| slot.unwrap().0).collect();
        assert!(found == expected, "{range:?} in {dimension:?}: {} instead of {}", found.len(), expected.len());
        for threads in 0..4 {
            let count = dimension.parallel(threads).count_in(range.clone()).unwrap();
            assert_eq!(count, expected.len() as u64, "{range:?} in {dimension:?}, {threads} threads");
        }
    }
}

/// Some condition that values of all types pass or fail.
fn passes(value: ValueRef<'_>) -> bool {
    format!("{value:?}").bytes().map(u32::from).sum::<u32>() % 3 == 0
}

fn check_tests(dimension: Dimension<'_>, column: &Column) {
    let tests: [fn(ValueRef<'_>) -> bool; 3] = [passes, |_| true, |_| false];
    for test in tests {
        let of = |value: &Value| test(ValueBuf::try_from(value.clone()).unwrap().as_ref());
        let expected: Vec<u32> = column.iter().filter(|(_, value)| of(value)).map(|&(slot, _)| slot).collect();
        let found: Vec<u32> = dimension.find_where(test).unwrap().map(|slot| slot.unwrap().0).collect();
        assert!(found == expected, "{dimension:?}: {} instead of {}", found.len(), expected.len());
        assert_eq!(dimension.parallel(2).count_where(test).unwrap(), expected.len() as u64);
    }
}

/// A value, and those of another dimension beside it, with their slots.
type Group<'a> = (&'a Value, Vec<(u32, &'a Value)>);

/// The values of one dimension beside those of another, by these, in the order of values.
fn grouped<'a>(column: &'a Column, by: &'a Column) -> Vec<Group<'a>> {
    let by: BTreeMap<u32, &Value> = by.iter().map(|(slot, value)| (*slot, value)).collect();
    let mut groups: BTreeMap<Ordered<&Value>, Vec<_>> = BTreeMap::new();
    for (slot, value) in column {
        if let Some(group) = by.get(slot) {
            groups.entry(Ordered(*group)).or_default().push((*slot, value));
        }
    }
    in_order(groups)
}

/// In the order of values.
fn in_order<T>(map: BTreeMap<Ordered<&Value>, T>) -> Vec<(&Value, T)> {
    let mut entries: Vec<_> = map.into_iter().map(|(value, entry)| (value.0, entry)).collect();
    entries.sort_by_key(|&(value, _)| value);
    entries
}

fn check_aggregates(aggregates: &Aggregates<'_>, values: &[(u32, &Value)]) {
    assert_eq!(aggregates.point_count(), values.len() as u64);
    let integers: Vec<i128> =
        values.iter().filter_map(|(_, value)| if let Value::Int(int) = value { Some(*int) } else { None }).collect();
    let floats: Vec<(u32, f64)> = values.iter().filter_map(|(slot, value)| Some((*slot, value.as_f64()?))).collect();
    // Segment after segment, each in the order of slots.
    let segments = floats.chunk_by(|(a, _), (b, _)| a >> 16 == b >> 16);
    let sum = segments.map(|segment| segment.iter().fold(0.0, |sum, (_, float)| sum + float)).fold(0.0, |a, b| a + b);
    match aggregates.sum() {
        None => assert!(integers.is_empty() && floats.is_empty()),
        Some(found) => {
            assert_eq!((found.integers(), found.integer_count()), (Some(integers.iter().sum()), integers.len() as u64));
            assert_eq!((found.floats().to_bits(), found.float_count()), (sum.to_bits(), floats.len() as u64));
        }
    }
    // Of equal worth integers come first, and -0.0 before 0.0.
    let order = |a: &&Value, b: &&Value| compare(a, b).unwrap().then_with(|| a.cmp(b));
    let numbers =
        || values.iter().map(|(_, value)| *value).filter(|value| matches!(value, Value::Int(_) | Value::Float(_)));
    let found = aggregates.min_max().map(|(least, greatest)| [least, greatest].map(|value| value.to_value().unwrap()));
    let expected = numbers().min_by(order).zip(numbers().max_by(order)).map(|(a, b)| [a.clone(), b.clone()]);
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

fn check_groups(dimension: Dimension<'_>, by: Dimension<'_>, groups: &[Group<'_>]) {
    let found = dimension.aggregate_by(by).unwrap();
    assert_eq!(found.len(), groups.len(), "{dimension:?} by {by:?}");
    for ((value, aggregates), (group, values)) in found.iter().zip(groups) {
        assert_eq!(Ordered(&value.to_value().unwrap()), Ordered(*group), "{dimension:?} by {by:?}");
        check_aggregates(aggregates, values);
    }
    let mut mapped: BTreeMap<Ordered<&Value>, u64> = BTreeMap::new();
    let beside = groups.iter().flat_map(|(_, values)| values);
    beside.for_each(|(_, value)| *mapped.entry(Ordered(*value)).or_default() += 1);
    let found = by.map_to(dimension).unwrap();
    let found: Vec<_> = found.iter().map(|(value, count)| (value.to_value().unwrap(), *count)).collect();
    for (value, count) in &found {
        let expected = mapped.remove(&Ordered(value));
        assert_eq!(Some(*count), expected, "{value:?} of {dimension:?} where {by:?} has a value");
    }
    assert!(mapped.is_empty(), "{dimension:?} where {by:?} has a value");
    let rows = by.cross_counts(dimension).unwrap();
    assert_eq!(rows.len(), groups.len());
    for ((value, row), (group, values)) in rows.iter().zip(groups) {
        assert_eq!(Ordered(&value.to_value().unwrap()), Ordered(*group));
        let mut counts: BTreeMap<Ordered<&Value>, u64> = BTreeMap::new();
        values.iter().for_each(|(_, value)| *counts.entry(Ordered(*value)).or_default() += 1);
        let mut counts = in_order(counts);
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let found: Vec<_> = row.iter().map(|(value, count)| (value.to_value().unwrap(), *count)).collect();
        let found = found.iter().map(|(value, count)| (Ordered(value), *count));
        assert!(found.eq(counts.into_iter().map(|(value, count)| (Ordered(value), count))), "{dimension:?} by {by:?}");
    }
}

/// On several threads all is as on one, to the last bit.
fn check_threads(dimension: Dimension<'_>, by: Dimension<'_>) {
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    for threads in [2, 3] {
        let several = dimension.parallel(threads);
        assert_eq!(several.value_counts().unwrap(), dimension.value_counts().unwrap());
        assert_eq!(several.top(3).unwrap(), dimension.top(3).unwrap());
        assert_eq!(several.distinct_count().unwrap(), dimension.distinct_count().unwrap());
        assert_eq!(text(&several.sum().unwrap()), text(&dimension.sum().unwrap()));
        assert_eq!(several.min_max().unwrap(), dimension.min_max().unwrap());
        assert_eq!(several.map_to(by).unwrap(), dimension.map_to(by).unwrap());
        assert_eq!(several.cross_counts(by).unwrap(), dimension.cross_counts(by).unwrap());
        assert_eq!(text(&several.aggregate_by(by).unwrap()), text(&dimension.aggregate_by(by).unwrap()));
        assert_eq!(several.count_of("text 77").unwrap(), dimension.count_of("text 77").unwrap());
    }
}

fn check(snapshot: &Snapshot, columns: &BTreeMap<&str, Column>) {
    let dimension = |name: &str| snapshot.dimension(name).unwrap();
    for (name, column) in columns {
        check_ranges(dimension(name), column);
        check_tests(dimension(name), column);
        // One that is as long, one that is shorter, each with and without a dictionary.
        for by in ["dictionary8", "dictionary16", "constant", "half", "few"] {
            let groups = grouped(column, &columns[by]);
            if groups.len() < 5000 || *name == "f64" {
                check_groups(dimension(name), dimension(by), &groups);
            }
        }
        check_threads(dimension(name), dimension("dictionary16"));
        check_threads(dimension(name), dimension("half"));
    }
}

/// A part of it, for snapshots that were checked before they were old.
fn check_again(snapshot: &Snapshot, columns: &BTreeMap<&str, Column>) {
    for (name, column) in columns {
        let dimension = |name: &str| snapshot.dimension(name).unwrap();
        check_ranges(dimension(name), column);
        check_groups(dimension(name), dimension("dictionary8"), &grouped(column, &columns["dictionary8"]));
    }
}

fn read_all(snapshot: &Snapshot) -> BTreeMap<&'static str, Column> {
    LAYOUTS.iter().map(|(name, ..)| (*name, read(snapshot, name))).collect()
}

/// Changes some points of all dimensions, to values that they have, to new ones and to none, deletes some and adds some.
fn change(db: &VectorDb, seed: u64) {
    let value = |n: u64, at: usize| match (n + at as u64) % 7 {
        0 => Value::from("text 77"),
        1 => Value::from(n % 150),
        2 => Value::from(-0.0),
        3 => Value::from(0.0),
        4 => Value::Null,
        5 => Value::from(format!("new {}", n % 5)),
        _ => Value::from((n as f64).sqrt()),
    };
    let record = |n: u64| {
        let names = LAYOUTS.iter().enumerate().filter(|(at, _)| (n + *at as u64).is_multiple_of(3));
        (n, names.map(|(at, (name, ..))| (*name, value(n, at))).collect::<Vec<_>>())
    };
    db.batch_upsert((seed..POINTS).step_by(911).map(record)).unwrap();
    db.batch_upsert((0..40).map(|n| (POINTS + seed * 100 + n, record(n * 3).1))).unwrap();
    // Of the type that the cells have, so that they stay typed.
    db.batch_upsert(
        (seed..POINTS).step_by(1999).map(|n| (n, [("i64", Value::from(n % 300)), ("f64", Value::from(-0.0))])),
    )
    .unwrap();
    for n in (seed + 3..POINTS).step_by(4001) {
        db.remove_attribute(n, "dictionary8").unwrap();
        db.delete(n + 1).unwrap();
    }
}

#[test]
fn scans_of_files_answer_as_lookups_do() {
    let (db, _) = load();
    let snapshot = db.snapshot();
    check(&snapshot, &read_all(&snapshot));
}

#[test]
fn scans_of_what_was_changed_answer_as_lookups_do_and_older_snapshots_as_before() {
    let (db, _) = load();
    let before = db.snapshot();
    let columns_before = read_all(&before);
    change(&db, 1);
    let in_overlay = db.snapshot();
    let columns = read_all(&in_overlay);
    assert_ne!(columns["i64"], columns_before["i64"]);
    check(&in_overlay, &columns);
    db.save().unwrap();
    change(&db, 2);
    let snapshot = db.snapshot();
    check(&snapshot, &read_all(&snapshot));
    check_again(&in_overlay, &columns);
    check_again(&before, &columns_before);
}

#[test]
fn the_error_of_a_scan_is_that_of_the_first_damaged_segment_whatever_the_number_of_threads() {
    let (db, storage) = load();
    db.close().unwrap();
    let db = crate::scans::damage_all(&storage, "i64");
    let snapshot = db.snapshot();
    let dimension = snapshot.dimension("i64").unwrap();
    let expected = dimension.sum().unwrap_err().to_string();
    for threads in [1, 2, 5] {
        for _ in 0..20 {
            assert_eq!(dimension.parallel(threads).sum().unwrap_err().to_string(), expected);
        }
    }
}

#[test]
fn floats_of_many_segments_are_added_in_their_order_on_any_number_of_threads() {
    let db = crate::scans::create(&MemoryStorage::new());
    // What is left of one segment depends on those before it.
    let float = |n: u64| {
        f64::from(n as u32 + 2).sqrt()
            * 10f64.powi((n >> 16) as i32 * 5 % 17)
            * if n.is_multiple_of(2) { 1.0 } else { -1.0 }
    };
    for start in (0..300_000).step_by(50_000) {
        db.batch_upsert((start..start + 50_000).map(|n| (n, [("f", float(n)), ("by", (n % 3) as f64)]))).unwrap();
    }
    let snapshot = db.snapshot();
    let (floats, by) = (snapshot.dimension("f").unwrap(), snapshot.dimension("by").unwrap());
    let sum = floats.sum().unwrap().unwrap().floats();
    let column: Column = (0..300_000u32).map(|n| (n, Value::from(float(n.into())))).collect();
    let by_column: Column = (0..300_000u32).map(|n| (n, Value::from(f64::from(n % 3)))).collect();
    let groups = grouped(&column, &by_column);
    for threads in [1, 2, 3, 4, 3, 2] {
        assert_eq!(floats.parallel(threads).sum().unwrap().unwrap().floats().to_bits(), sum.to_bits());
        for ((_, aggregates), (_, values)) in floats.parallel(threads).aggregate_by(by).unwrap().iter().zip(&groups) {
            check_aggregates(aggregates, values);
        }
    }
}
