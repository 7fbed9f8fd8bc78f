//! Timestamps as RFC 3339 text, for the years 0 to 9999 of the Gregorian calendar extended backwards.
//!
//! The two calendar functions are Howard Hinnant's `days_from_civil` and `civil_from_days`, which count years from
//! March so that the leap day comes last.

use vector_datalib::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// The text of a timestamp, with as many of 0, 3, 6 or 9 fractional digits as it needs; `None` where its year has not
/// four digits.
pub(super) fn to_text(timestamp: Timestamp) -> Option<String> {
    let days = timestamp.seconds().div_euclid(SECONDS_PER_DAY);
    let second_of_day = timestamp.seconds().rem_euclid(SECONDS_PER_DAY);
    // Far outside of the years that are printed, and far from overflow.
    if days.abs() > 4_000_000 {
        return None;
    }
    let (year, month, day) = civil_from_days(days);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let nanoseconds = timestamp.nanoseconds();
    let fraction = match nanoseconds {
        0 => String::new(),
        whole if whole % 1_000_000 == 0 => format!(".{:03}", whole / 1_000_000),
        whole if whole % 1_000 == 0 => format!(".{:06}", whole / 1_000),
        whole => format!(".{whole:09}"),
    };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Reads RFC 3339 text with `Z` or an offset from UTC and at most nine fractional digits.
pub(super) fn from_text(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let separators = [(4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")];
    if separators.iter().any(|(at, byte)| bytes.get(*at..at + 1) != Some(byte.as_slice())) {
        return None;
    }
    let field = |from, to| digits(bytes.get(from..to)?);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let mut rest = bytes.get(19..)?;
    let mut nanoseconds = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, offset) = after.split_at(count);
        if count == 0 || count > 9 {
            return None;
        }
        nanoseconds = digits(fraction)? * 10i64.pow(9 - count as u32);
        rest = offset;
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let (hours, minutes) = (digits(&[*h1, *h0])?, digits(&[*m1, *m0])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (if *sign == b'-' { -1 } else { 1 }) * (hours * 3600 + minutes * 60)
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    Timestamp::new(seconds, u32::try_from(nanoseconds).ok()?)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = (month_from_march + 2) % 12 + 1;
    let year = days.div_euclid(ERA_DAYS) * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn both_ways(seconds: i64, nanoseconds: u32, text: &str) {
        let timestamp = Timestamp::new(seconds, nanoseconds).unwrap();
        assert_eq!(to_text(timestamp).as_deref(), Some(text));
        assert_eq!(from_text(text), Some(timestamp), "{text}");
    }

    #[test]
    fn known_instants() {
        both_ways(0, 0, "1970-01-01T00:00:00Z");
        both_ways(-1, 999_999_999, "1969-12-31T23:59:59.999999999Z");
        both_ways(951_782_400, 500_000_000, "2000-02-29T00:00:00.500Z");
        both_ways(4_107_542_400, 1_000, "2100-03-01T00:00:00.000001Z");
        both_ways(-62_167_219_200, 0, "0000-01-01T00:00:00Z");
        both_ways(253_402_300_799, 0, "9999-12-31T23:59:59Z");
    }

    #[test]
    fn every_day_of_ten_thousand_years() {
        let mut previous = String::new();
        for day in -719_528..2_932_897 {
            let timestamp = Timestamp::new(day * SECONDS_PER_DAY, 0).unwrap();
            let text = to_text(timestamp).unwrap();
            assert!(text > previous, "{previous} {text}");
            assert_eq!(from_text(&text), Some(timestamp));
            previous = text;
        }
    }

    #[test]
    fn outside_of_four_digit_years_there_is_no_text() {
        for seconds in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
            assert_eq!(to_text(Timestamp::new(seconds, 0).unwrap()), None);
        }
    }

    #[test]
    fn an_offset_is_applied() {
        assert_eq!(from_text("2013-01-01T05:30:00+05:30"), from_text("2013-01-01T00:00:00Z"));
        assert_eq!(from_text("2012-12-31T19:00:00.5-05:00"), from_text("2013-01-01T00:00:00.500Z"));
    }

    #[test]
    fn what_is_no_timestamp() {
        for text in [
            "",
            "2013",
            "2013-01-01",
            "2013-01-01 10:00:00Z",
            "2013-01-01T10:00:00",
            "2013-13-01T10:00:00Z",
            "2013-02-29T10:00:00Z",
            "2013-01-00T10:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-01-01T10:60:00Z",
            "2013-01-01T10:00:60Z",
            "2013-01-01T10:00:00.Z",
            "2013-01-01T10:00:00.1234567890Z",
            "2013-01-01T10:00:00+5:30",
            "2013-01-01T10:00:00+24:00",
            "+013-01-01T10:00:00Z",
            "2013-01-01T10:00:00Zé",
            "2013-01-0é10:00:00Z",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }
}
