//! Times as Python's `datetime.isoformat` writes them.

/// 0001-01-01T00:00:00, in microseconds since the epoch: the first time that Python can read.
const FIRST: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999: the last one.
const LAST: i64 = 253_402_300_799_999_999;

/// Formats microseconds since 1970-01-01T00:00:00Z as `YYYY-MM-DDTHH:MM:SS.ffffff`, without the fraction when it is zero.
/// Times outside of the years 1 to 9999 become the nearest one inside.
pub(crate) fn isoformat(microseconds: i64) -> String {
    let microseconds = microseconds.clamp(FIRST, LAST);
    let (second, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));

    let (year, month, day) = crate::model::civil_from_days(day);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        text.push_str(&format!(".{fraction:06}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_writes_them() {
        for (microseconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (1, "1970-01-01T00:00:00.000001"),
            (-1, "1969-12-31T23:59:59.999999"),
            (1_767_323_045_678_901, "2026-01-02T03:04:05.678901"),
            (951_782_400_000_000, "2000-02-29T00:00:00"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00"),
            (FIRST, "0001-01-01T00:00:00"),
            (LAST, "9999-12-31T23:59:59.999999"),
            (i64::MIN, "0001-01-01T00:00:00"),
            (i64::MAX, "9999-12-31T23:59:59.999999"),
        ] {
            assert_eq!(isoformat(microseconds), text);
        }
    }
}
