//! Points in time, and the calendar that shows them.

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time: seconds since 1970-01-01T00:00:00Z and nanoseconds below one second.
///
/// Shown as RFC 3339 text; a year that has not four digits is shown with its sign, as in ISO 8601.
///
/// ```
/// use vector_datalib::Timestamp;
/// let time = Timestamp::new(1_767_323_045, 500_000_000).expect("half a second is less than one");
/// assert_eq!(time.to_string(), "2026-01-02T03:04:05.500Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Makes a timestamp; `None` if `nanoseconds` is 1,000,000,000 or more.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 { Some(Self { seconds, nanoseconds }) } else { None }
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds past [`seconds`](Self::seconds).
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        if (0..=9_999).contains(&year) { write!(f, "{year:04}") } else { write!(f, "{year:+05}") }?;
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.nanoseconds {
            0 => {}
            whole if whole % 1_000_000 == 0 => write!(f, ".{:03}", whole / 1_000_000)?,
            whole if whole % 1_000 == 0 => write!(f, ".{:06}", whole / 1_000)?,
            whole => write!(f, ".{whole:09}")?,
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, which may be any that an `i64` of seconds reaches.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: days are counted from
/// 0000-03-01, so that leap days fall on the ends of years; 400 years have 146,097 days.
pub(crate) fn civil_from_days(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_as_rfc_3339_text() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (4_107_542_400, 120_000_000, "2100-03-01T00:00:00.120Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (-62_167_219_201, 0, "-0001-12-31T23:59:59Z"),
            (253_402_300_800, 0, "+10000-01-01T00:00:00Z"),
            (i64::MIN, 0, "-292277022657-01-27T08:29:52Z"),
            (i64::MAX, 999_999_999, "+292277026596-12-04T15:30:07.999999999Z"),
        ] {
            assert_eq!(Timestamp::new(seconds, nanoseconds).unwrap().to_string(), text);
        }
    }
}
