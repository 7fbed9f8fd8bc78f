//! Comparing scans and counts with the model.

use super::compare::{check_value, shorten};
use super::plain::{Contents, Moment};
use crate::support::order::{Ordered, same};
use std::collections::BTreeMap;
use std::ops::Bound;
use vector_datalib::{
    Dimension, Segment, SegmentPresence, SegmentValues, Slot, Snapshot, Value, ValueBuf, ValueCounts, ValueRef,
};

/// A larger database is scanned one dimension at a time.
const SMALL: usize = 300;

/// Whether a dimension's turn has come.
pub(crate) fn is_due(contents: &Contents, number: usize) -> bool {
    contents.slots.len() <= SMALL || contents.sequence % contents.dimensions.len() as u64 == number as u64
}

type Counts<'a> = BTreeMap<Ordered<&'a Value>, u64>;

fn cells(contents: &Contents, number: usize) -> Vec<(u32, &Value)> {
    let points = contents.points();
    points.filter_map(|(slot, point)| Some((slot, &**point.attributes.get(&number)?))).collect()
}

fn count<'a>(values: impl IntoIterator<Item = &'a Value>) -> Counts<'a> {
    let mut counts = Counts::new();
    for value in values {
        *counts.entry(Ordered(value)).or_default() += 1;
    }
    counts
}

/// Compares all that can be asked of a dimension as a whole.
pub(crate) fn check_scans(snapshot: &Snapshot, number: usize, contents: &Moment) {
    let dimension = snapshot.dimension(&contents.dimensions[number]).expect("a dimension that was used");
    let cells = cells(contents, number);
    check_segments(dimension, &cells, contents.slots.len());
    check_numbers(dimension, &cells);
    let counts = count(cells.iter().map(|&(_, value)| value));
    assert_eq!(dimension.distinct_count().unwrap(), counts.len() as u64, "distinct values of {dimension:?}");
    let found = dimension.value_counts().unwrap();
    assert_eq!(found.scanned(), !dimension.has_counts().unwrap());
    check_counts(&found, &counts);
    let top: Vec<_> = dimension.top(3).unwrap().into_iter().collect();
    assert!(found.iter().take(3).eq(&top), "{top:?}");
    check_find(dimension, &cells, &counts, contents.sequence);
    check_ranges(dimension, &cells, contents.sequence);
    let other = (number + contents.sequence as usize) % contents.dimensions.len();
    check_mapping(snapshot, dimension, &cells, other, contents);
}

fn check_counts(found: &ValueCounts<'_>, expected: &Counts<'_>) {
    assert_eq!(found.len(), expected.len(), "distinct values");
    assert_eq!(found.is_empty(), expected.is_empty());
    let in_order = found.iter().is_sorted_by(|(a, many), (b, few)| many > few || (many == few && a < b));
    assert!(in_order, "{}", shorten(found));
    for (value, count) in found {
        let value = value.to_value().unwrap();
        assert_eq!(expected.get(&Ordered(&value)), Some(count), "points with {}", shorten(&value));
    }
}

fn check_find(dimension: Dimension<'_>, cells: &[(u32, &Value)], counts: &Counts<'_>, sequence: u64) {
    let pick = |times: u64| cells.get((sequence * times % cells.len().max(1) as u64) as usize).map(|&(_, value)| value);
    let mut asked: Vec<&Value> = [1, 7, 31].into_iter().filter_map(pick).collect();
    let others =
        [Value::from("is not there"), Value::from(7), Value::from(f64::NAN), Value::Null, Value::from(1u64 << 63)];
    asked.extend(&others);
    for value in asked {
        let buf = ValueBuf::try_from(value.clone()).unwrap();
        let found: Vec<u32> = dimension.find(&buf).unwrap().map(|slot| slot.unwrap().0).collect();
        let expected = cells.iter().filter(|(_, other)| Ordered(*other) == Ordered(value)).map(|&(slot, _)| slot);
        assert!(found.iter().copied().eq(expected), "{} in {dimension:?}: {found:?}", shorten(value));
        let count = counts.get(&Ordered(value)).copied().unwrap_or_default();
        assert_eq!(dimension.count_of(&buf).unwrap(), count, "points with {}", shorten(value));
    }
}

/// Ranges between values that are there, of one type, where the order of values says what is within.
fn check_ranges(dimension: Dimension<'_>, cells: &[(u32, &Value)], sequence: u64) {
    let pick = |times: u64| cells.get((sequence * times % cells.len().max(1) as u64) as usize).map(|&(_, value)| value);
    for (start, end) in [3, 5, 11].into_iter().filter_map(|times| pick(times).zip(pick(times * 13 + 1))) {
        let compared = |a: &Value, b: &Value| {
            let of_float = |value: &Value| matches!(value, Value::Float(_));
            let of_number = |value: &Value| of_float(value) || matches!(value, Value::Int(_) | Value::BigInt(_));
            let same_type = std::mem::discriminant(a) == std::mem::discriminant(b);
            same_type || (of_number(a) && of_number(b) && of_float(a) == of_float(b))
        };
        let is_nan = |value: &Value| value.as_f64().is_some_and(f64::is_nan);
        let range = (Bound::Included(start.clone()), Bound::Excluded(end.clone()));
        if !compared(start, end) {
            continue;
        }
        let found: Vec<u32> = dimension.find_in(range.clone()).unwrap().map(|slot| slot.unwrap().0).collect();
        assert_eq!(dimension.count_in(range.clone()).unwrap(), found.len() as u64, "{range:?} in {dimension:?}");
        assert!(found.is_sorted());
        for (slot, value) in cells.iter().filter(|(_, value)| compared(value, start)) {
            // Zeros are worth the same.
            let less = |a: &Value, b: &Value| a.as_f64().zip(b.as_f64()).map_or_else(|| a < b, |(a, b)| a < b);
            let expected = ![*value, start, end].into_iter().any(is_nan) && !less(value, start) && less(value, end);
            let message = || format!("{} in {} of {dimension:?}", shorten(value), shorten(&range));
            assert_eq!(found.binary_search(slot).is_ok(), expected, "{}", message());
        }
    }
}

fn check_mapping(
    snapshot: &Snapshot,
    dimension: Dimension<'_>,
    cells: &[(u32, &Value)],
    other: usize,
    contents: &Contents,
) {
    let other_dimension = snapshot.dimension(&contents.dimensions[other]).expect("a dimension that was used");
    let pairs = || cells.iter().filter_map(|&(slot, value)| Some((value, contents.value(slot as usize, other)?)));
    check_counts(&dimension.map_to(other_dimension).unwrap(), &count(pairs().map(|(_, value)| value)));
    let mut expected: BTreeMap<Ordered<&Value>, Vec<&Value>> = BTreeMap::new();
    for (value, other) in pairs() {
        expected.entry(Ordered(value)).or_default().push(other);
    }
    let rows = dimension.cross_counts(other_dimension).unwrap();
    assert_eq!(rows.len(), expected.len(), "values of points that have both");
    assert!(rows.is_sorted_by(|(a, _), (b, _)| a < b));
    for (value, row) in rows {
        let value = value.to_value().unwrap();
        check_counts(&row, &count(expected[&Ordered(&value)].iter().copied()));
    }
}

fn check_segments(dimension: Dimension<'_>, cells: &[(u32, &Value)], slot_count: usize) {
    let segments = dimension.segments();
    assert_eq!(segments.len(), slot_count.div_ceil(Segment::SLOT_COUNT), "segments");
    let mut left = cells;
    for (number, segment) in segments.clone().enumerate() {
        let segment = segment.unwrap();
        let first = number * Segment::SLOT_COUNT;
        assert_eq!(segment.first_slot(), Slot(first as u32));
        assert_eq!(segment.slot_count(), (slot_count - first).min(Segment::SLOT_COUNT));
        let count = left.iter().take_while(|&&(slot, _)| (slot as usize) < first + segment.slot_count()).count();
        let (expected, rest) = left.split_at(count);
        left = rest;
        check_segment(&segment, expected);
        let again = segments.clone().nth(number).expect("as many as were stated").unwrap();
        assert_eq!((again.first_slot(), again.value_count()), (segment.first_slot(), segment.value_count()));
    }
    assert!(left.is_empty());
}

fn check_segment(segment: &Segment<'_>, expected: &[(u32, &Value)]) {
    assert_eq!(segment.value_count(), expected.len());
    let first = segment.first_slot().0;
    let mut read = segment.iter();
    for &(slot, value) in expected {
        let (found, read) = read.next().expect("another value").unwrap();
        assert_eq!(found, Slot(slot));
        check_value(Some(read), Some(value), || format!("slot {slot} of {:?}", segment.values()));
    }
    assert!(read.next().is_none(), "a value too many");
    let offsets: Vec<u16> = expected.iter().map(|&(slot, _)| (slot - first) as u16).collect();
    assert!(segment.offsets().eq(offsets.iter().copied()));
    let step = segment.slot_count() / 300 + 1;
    for offset in (0..Segment::SLOT_COUNT.min(segment.slot_count() + 3)).step_by(step) {
        assert_eq!(segment.index_of(offset as u16), offsets.binary_search(&(offset as u16)).ok(), "offset {offset}");
    }
    let nulls = expected.iter().filter(|(_, value)| matches!(value, Value::Null)).count();
    assert_eq!(segment.null_count().unwrap(), nulls, "nulls");
    let stated = match segment.presence() {
        SegmentPresence::None => 0,
        SegmentPresence::All => segment.slot_count(),
        SegmentPresence::Bitmap(words) => words.iter().map(|[bits, _]| bits.count_ones() as usize).sum(),
        SegmentPresence::Sorted(offsets) => offsets.len(),
        other => panic!("{other:?} is new"),
    };
    assert_eq!(stated, expected.len(), "{:?}", segment.presence());
    let cells = match segment.values() {
        SegmentValues::Constant(_) => expected.len(),
        SegmentValues::I64(cells) => cells.len(),
        SegmentValues::U64(cells) => cells.len(),
        SegmentValues::F64(cells) => cells.len(),
        SegmentValues::Dictionary8(cells, _) => cells.len(),
        SegmentValues::Dictionary16(cells, _) => cells.len(),
        SegmentValues::Values(cells) => cells.len(),
        other => panic!("{other:?} is new"),
    };
    assert_eq!(cells, expected.len(), "{:?}", segment.values());
}

fn check_numbers(dimension: Dimension<'_>, cells: &[(u32, &Value)]) {
    let numbers: Vec<&Value> = cells.iter().map(|&(_, value)| value).filter(|value| is_number(value)).collect();
    let floats = numbers.iter().filter(|value| matches!(value, Value::Float(_))).count();
    match dimension.sum().unwrap() {
        None => assert!(numbers.is_empty(), "no sum of {dimension:?}"),
        Some(sum) => {
            assert!(!numbers.is_empty());
            let counts = ((numbers.len() - floats) as u64, floats as u64);
            assert_eq!((sum.integer_count(), sum.float_count()), counts);
            assert_eq!(sum.integers(), integer_sum(&numbers), "sum of {dimension:?}");
            let expected = float_sum(cells);
            let equal = sum.floats().to_bits() == expected.to_bits() || (sum.floats().is_nan() && expected.is_nan());
            assert!(equal, "{} instead of {expected}", sum.floats());
        }
    }
    let ordered: Vec<&Value> =
        numbers.into_iter().filter(|value| value.as_f64().is_none_or(|float| !float.is_nan())).collect();
    let range = dimension.min_max().unwrap();
    assert_eq!((dimension.min().unwrap(), dimension.max().unwrap()), range.unzip());
    let Some((least, greatest)) = range else {
        assert!(ordered.is_empty(), "no extremes of {dimension:?}");
        return;
    };
    check_extreme(least, &ordered, |a, b| a < b);
    check_extreme(greatest, &ordered, |a, b| a > b);
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_))
}

/// Of one type the order of values says which it is; between types rounding to a float, which keeps the order, must not
/// contradict.
fn check_extreme(found: ValueRef<'_>, numbers: &[&Value], beyond: fn(&Value, &Value) -> bool) {
    assert!(numbers.iter().any(|number| same(found, number)), "{found:?} is not there");
    let found = found.to_value().unwrap();
    let of_integers = |value: &Value| !matches!(value, Value::Float(_));
    for number in numbers {
        if of_integers(number) == of_integers(&found) {
            assert!(!beyond(number, &found), "{number:?} is beyond {found:?}");
        } else {
            let (rounded, found_rounded) = (Value::from(rounded(number)), Value::from(rounded(&found)));
            let by_worth = rounded.as_f64() != found_rounded.as_f64() && beyond(&rounded, &found_rounded);
            assert!(!by_worth, "{number:?} is beyond {found:?}");
        }
    }
}

fn rounded(number: &Value) -> f64 {
    match number {
        Value::Int(int) => *int as f64,
        Value::Float(float) => *float,
        Value::BigInt(big) => {
            let big = big.as_ref();
            let magnitude = big.magnitude().iter().fold(0.0, |sum: f64, &byte| sum * 256.0 + f64::from(byte));
            // Not the nearest float: a little less, so that it contradicts nothing.
            if big.is_negative() { -magnitude } else { magnitude }
        }
        _ => unreachable!("only numbers are compared"),
    }
}

/// Each step goes towards zero while it can, so that the sum leaves 128 bits only when it ends beyond them.
fn integer_sum(numbers: &[&Value]) -> Option<i128> {
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for number in numbers {
        match number {
            Value::BigInt(_) => return None,
            Value::Int(int) if *int < 0 => negative.push(*int),
            Value::Int(int) => positive.push(*int),
            _ => {}
        }
    }
    let mut sum = 0i128;
    while let Some(next) =
        if sum < 0 { positive.pop().or_else(|| negative.pop()) } else { negative.pop().or_else(|| positive.pop()) }
    {
        sum = sum.checked_add(next)?;
    }
    Some(sum)
}

/// As documented: eight lanes a segment, added in pairs, segment after segment.
fn float_sum(cells: &[(u32, &Value)]) -> f64 {
    let mut sum = 0.0;
    for cells in cells.chunk_by(|(a, _), (b, _)| a / 65_536 == b / 65_536) {
        let floats: Vec<f64> = cells.iter().filter_map(|(_, value)| value.as_f64()).collect();
        let lane = |lane: usize| floats.iter().skip(lane).step_by(8).fold(0.0, |sum, float| sum + float);
        let pair = |at: usize| lane(at) + lane(at + 1);
        sum += (pair(0) + pair(2)) + (pair(4) + pair(6));
    }
    sum
}
