//! Ranges of values: numbers by what they are worth, whatever their type, and values of any other type in their own order.

use super::numeric_order::compare_worth;
use crate::error::{Error, Result};
use crate::format::value::{self, TAG_BIG_INT, TAG_FLOAT, TAG_INT, TAG_UINT};
use crate::model::{ValueBuf, ValueRef};
use std::ops::Bound;

/// The types of numbers; bit t: tag t.
pub(super) const NUMBER_TYPES: u16 = 1 << TAG_INT | 1 << TAG_UINT | 1 << TAG_BIG_INT | 1 << TAG_FLOAT;

/// Values between two bounds.
#[derive(Clone, Debug)]
pub(super) struct ValueRange {
    start: Bound<ValueBuf>,
    end: Bound<ValueBuf>,
    /// The types of values that can be within; bit t: tag t.
    types: u16,
    signed: Option<(i64, i64)>,
    unsigned: Option<(u64, u64)>,
    floats: Option<(f64, f64)>,
}

impl ValueRange {
    /// Without bounds, all values are within.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: the bounds are of types that are not compared.
    pub(super) fn new(start: Bound<ValueRef<'_>>, end: Bound<ValueRef<'_>>) -> Result<Self> {
        let (start_types, end_types) = (types_beside(start), types_beside(end));
        let types = start_types & end_types;
        let is_nan = [start, end].map(value_of).into_iter().flatten().any(is_nan);
        if types == 0 {
            let reason =
                "the bounds of a range are of different types; both must be numbers, or both of one other type";
            return Err(Error::invalid_argument(reason));
        }
        let owned = |bound: Bound<ValueRef<'_>>| bound.map(|value| value.canonical().to_buf());
        let types = if is_nan { 0 } else { types };
        let mut range =
            Self { start: owned(start), end: owned(end), types, signed: None, unsigned: None, floats: None };
        if types & NUMBER_TYPES != 0 {
            range.signed = range.limits(1 << 64, |key| (key ^ 1 << 63).cast_signed());
            range.unsigned = range.limits(1 << 64, |key| key);
            range.floats = range.limits(FLOAT_COUNT, float_at);
        }
        Ok(range)
    }

    /// The types of values that can be within; bit t: tag t.
    pub(super) const fn types(&self) -> u16 {
        self.types
    }

    /// Whether all values of all types are within.
    pub(super) const fn is_full(&self) -> bool {
        matches!((&self.start, &self.end), (Bound::Unbounded, Bound::Unbounded))
    }

    /// The least and the greatest integer of this type within; `None` when none is.
    pub(super) const fn signed(&self) -> Option<(i64, i64)> {
        self.signed
    }

    /// The same of integers without a sign.
    pub(super) const fn unsigned(&self) -> Option<(u64, u64)> {
        self.unsigned
    }

    /// The least and the greatest float within, as `<=` compares them, which tells no zeros apart; `None` when none is. NaN is in no
    /// range but the one without bounds.
    pub(super) const fn floats(&self) -> Option<(f64, f64)> {
        self.floats
    }

    pub(super) fn contains(&self, value: ValueRef<'_>) -> bool {
        self.is_full()
            || (self.types & 1 << value::tag(value) != 0
                && !is_nan(value)
                && !self.is_before(value)
                && !self.is_behind(value))
    }

    fn is_before(&self, value: ValueRef<'_>) -> bool {
        match &self.start {
            Bound::Included(start) => compare_worth(value, start.as_ref()).is_lt(),
            Bound::Excluded(start) => compare_worth(value, start.as_ref()).is_le(),
            Bound::Unbounded => false,
        }
    }

    fn is_behind(&self, value: ValueRef<'_>) -> bool {
        match &self.end {
            Bound::Included(end) => compare_worth(value, end.as_ref()).is_gt(),
            Bound::Excluded(end) => compare_worth(value, end.as_ref()).is_ge(),
            Bound::Unbounded => false,
        }
    }

    /// The first and the last within, of a type's numbers in ascending order.
    fn limits<'v, T: Into<ValueRef<'v>>>(&self, count: u128, number: impl Fn(u64) -> T) -> Option<(T, T)> {
        let first = partition_point(count, |key| self.is_before(number(key).into()));
        let end = partition_point(count, |key| !self.is_behind(number(key).into()));
        (first < end).then(|| (number(first as u64), number((end - 1) as u64)))
    }
}

/// How many of the keys below `count` come before the first that does not pass.
fn partition_point(count: u128, passes: impl Fn(u64) -> bool) -> u128 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if passes(middle as u64) { low = middle + 1 } else { high = middle }
    }
    low
}

const INFINITY: u64 = f64::INFINITY.to_bits();
/// Floats that are not NaN.
const FLOAT_COUNT: u128 = 2 * (INFINITY as u128 + 1);

/// The floats that are not NaN, in ascending order.
const fn float_at(key: u64) -> f64 {
    match key.checked_sub(INFINITY + 1) {
        Some(bits) => f64::from_bits(bits),
        None => -f64::from_bits(INFINITY - key),
    }
}

const fn value_of(bound: Bound<ValueRef<'_>>) -> Option<ValueRef<'_>> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

fn is_nan(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Float(float) if float.is_nan())
}

/// The types of values that are compared with a bound.
fn types_beside(bound: Bound<ValueRef<'_>>) -> u16 {
    match value_of(bound).map(|value| 1 << value::tag(value.canonical())) {
        None => u16::MAX,
        Some(number) if number & NUMBER_TYPES != 0 => NUMBER_TYPES,
        Some(other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    /// Numbers of all types, some of equal worth, and those beside them.
    fn numbers() -> Vec<ValueBuf> {
        let integers = [0, 1, -1, 1 << 53, (1 << 53) + 1, i64::MAX.into(), i64::MIN.into(), u64::MAX.into(), i128::MAX];
        let floats = [0.0, -0.0, 0.5, -0.5, 5e-324, 9_007_199_254_740_992.0, 9.3e18, 1.9e19, f64::MAX, f64::INFINITY];
        let mut values: Vec<Value> = Vec::new();
        for integer in integers {
            let neighbours = [integer.checked_sub(1), Some(integer), integer.checked_add(1)];
            values.extend(neighbours.into_iter().flatten().map(Value::from));
            values.push(Value::from(integer as f64));
        }
        for float in floats {
            values.extend([float, -float, float.next_up(), float.next_down()].map(Value::from));
        }
        values.extend([(false, 17), (true, 17), (false, 200)].map(|(sign, len)| Value::big_int(sign, &vec![7; len])));
        values.into_iter().filter_map(|value| ValueBuf::try_from(value).ok()).collect()
    }

    fn ranges() -> impl Iterator<Item = ValueRange> {
        let kinds = |value: ValueBuf| [Bound::Included(value.clone()), Bound::Excluded(value), Bound::Unbounded];
        let bounds: Vec<_> = numbers().into_iter().flat_map(kinds).collect();
        let range = |start: &Bound<ValueBuf>, end: &Bound<ValueBuf>| {
            ValueRange::new(start.as_ref().map(ValueBuf::as_ref), end.as_ref().map(ValueBuf::as_ref)).unwrap()
        };
        let ends = bounds.clone();
        let pairs =
            bounds.into_iter().flat_map(move |start| ends.clone().into_iter().map(move |end| (start.clone(), end)));
        pairs.step_by(7).map(move |(start, end)| range(&start, &end))
    }

    #[test]
    fn limits_of_each_type_are_its_first_and_last_number_within() {
        let mut seen = 0;
        for range in ranges() {
            let within = |value: ValueRef<'_>| range.contains(value);
            if let Some((low, high)) = range.signed() {
                assert!(within(low.into()) && within(high.into()), "{range:?}");
                assert!(low.checked_sub(1).is_none_or(|before| !within(before.into())), "{range:?}");
                assert!(high.checked_add(1).is_none_or(|behind| !within(behind.into())), "{range:?}");
                seen += 1;
            }
            if let Some((low, high)) = range.unsigned() {
                assert!(within(low.into()) && within(high.into()), "{range:?}");
                assert!(low.checked_sub(1).is_none_or(|before| !within(before.into())), "{range:?}");
                assert!(high.checked_add(1).is_none_or(|behind| !within(behind.into())), "{range:?}");
            }
            if let Some((low, high)) = range.floats() {
                assert!(within(low.into()) && within(high.into()), "{range:?}");
                assert!(low == f64::NEG_INFINITY || range.is_full() || !within(low.next_down().into()), "{range:?}");
                assert!(high == f64::INFINITY || range.is_full() || !within(high.next_up().into()), "{range:?}");
            }
            for number in numbers() {
                let number = number.as_ref();
                let limits = [
                    number.as_i64().map(|int| range.signed().is_some_and(|(low, high)| (low..=high).contains(&int))),
                    number.as_u64().map(|int| range.unsigned().is_some_and(|(low, high)| (low..=high).contains(&int))),
                    number
                        .as_f64()
                        .map(|float| range.floats().is_some_and(|(low, high)| (low..=high).contains(&float))),
                ];
                let expected = within(number);
                let is_nan = matches!(number, ValueRef::Float(float) if float.is_nan());
                let agrees = limits.into_iter().flatten().all(|limit| limit == expected || is_nan);
                assert!(agrees, "{number:?} in {range:?}: {limits:?}");
            }
        }
        assert!(seen > 100, "only {seen} ranges hold an integer");
    }

    #[test]
    fn numbers_are_within_by_worth_and_other_values_by_their_order() {
        let within = |start: Value, end: Value, value: Value| {
            let [start, end, value] = [start, end, value].map(|value| ValueBuf::try_from(value).unwrap());
            let range = ValueRange::new(Bound::Included(start.as_ref()), Bound::Excluded(end.as_ref())).unwrap();
            range.contains(value.as_ref())
        };
        for zero in [Value::from(0), Value::from(0.0), Value::from(-0.0)] {
            assert!(within(zero.clone(), 1.into(), (-0.0).into()) && within(zero.clone(), 1.into(), 0.0.into()));
            assert!(within(zero.clone(), 1.into(), 0.into()) && !within((-1).into(), zero, 0.into()));
        }
        let exact = (1i64 << 53) + 1;
        assert!(within(exact.into(), i64::MAX.into(), exact.into()));
        assert!(!within(exact.into(), i64::MAX.into(), ((1i64 << 53) as f64).into()));
        assert!(!within(0.into(), f64::INFINITY.into(), f64::NAN.into()));
        assert!(within("b".into(), "c".into(), "bz".into()) && !within("b".into(), "c".into(), "c".into()));
        assert!(!within("b".into(), "c".into(), vec![b'b', b'z'].into()));
        assert!(within(false.into(), true.into(), false.into()) && !within(false.into(), true.into(), true.into()));
    }

    #[test]
    fn the_keys_of_floats_are_in_their_order() {
        let last = (FLOAT_COUNT - 1) as u64;
        assert_eq!((float_at(0), float_at(last)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!([float_at(INFINITY), float_at(INFINITY + 1)].map(f64::to_bits), [-0.0f64, 0.0].map(f64::to_bits));
        assert_eq!([float_at(INFINITY - 1), float_at(INFINITY + 2)], [-5e-324, 5e-324]);
    }
}
