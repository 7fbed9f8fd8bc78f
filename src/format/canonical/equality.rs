//! What Python calls equal.

use crate::model::ValueRef;

/// The integer that Python calls equal to a value, where it can also meet it: `1` for `1`, `true` and `1.0`. Integers outside
/// of 64 bits travel as ext values and equal no number.
pub(crate) fn python_integer(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Bool(bool) => Some(i128::from(bool)),
        ValueRef::Int(int) if i64::try_from(int).is_ok() || u64::try_from(int).is_ok() => Some(int),
        ValueRef::Float(float) if (-TWO_POW_63..TWO_POW_64).contains(&float) && float.trunc() == float =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within 65 bits")]
            Some(float as i128)
        }
        _ => None,
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;
