//! Points in time in the format of a recovery target of PostgreSQL.
//!
//! PostgreSQL refuses RFC 3339 with `Z` at its start, after the database has been deleted. So times of users and
//! operators are read in every format that the operator accepts, and written in a format that PostgreSQL accepts too.

use std::fmt;
use std::str::FromStr;

use backstay_sdk::serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// A point in time to the microsecond, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i64);

/// The error of a text that is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoInstant;

impl Instant {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[cfg(test)]
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self(seconds * MICROS)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub(crate) fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Returns this time if it has a fraction of a second, else one second more: a time cut to whole seconds is
    /// certainly before the result.
    pub(crate) fn not_before_its_second(self) -> Self {
        if self.0.rem_euclid(MICROS) == 0 { Self(self.0 + MICROS) } else { self }
    }
}

impl FromStr for Instant {
    type Err = NoInstant;

    fn from_str(text: &str) -> Result<Self, NoInstant> {
        read(text.trim()).ok_or(NoInstant)
    }
}

/// Formats as `YYYY-MM-DD HH:MM:SS.ffffff+00`, which the operator and PostgreSQL both accept.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
        let of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let micros = self.0.rem_euclid(MICROS);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00")
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NoInstant| backstay_sdk::serde::de::Error::custom("is no point in time"))
    }
}

fn read(text: &str) -> Option<Instant> {
    let (year, rest) = (number(text.get(..4)?)?, text.get(4..)?);
    let (month, rest) = field(rest, "-")?;
    let (day, rest) = field(rest, "-")?;
    let (hour, rest) = ["T", "t", " "].iter().find_map(|mark| field(rest, mark))?;
    let (minute, rest) = field(rest, ":")?;
    let (second, rest) = field(rest, ":")?;
    let (micros, rest) = fraction(rest)?;
    let offset = offset(rest)?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let seconds = days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
    Some(Instant(seconds * MICROS + micros))
}

/// Parses digits.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads two digits after `mark`, and returns the rest.
fn field<'a>(text: &'a str, mark: &str) -> Option<(i64, &'a str)> {
    let text = text.strip_prefix(mark)?;
    Some((number(text.get(..2)?)?, text.get(2..)?))
}

/// Reads a fraction of 1 to 9 digits, if there is one, as microseconds, and returns the rest.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, rest) = text.split_at(digits);
    let micros = number(&format!("{fraction:0<6}")[..6])?;
    Some((micros, rest))
}

/// Parses an offset in seconds east of UTC. No zone means UTC.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.bytes().next() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (text.len() == 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let digits = text[1..].replacen(':', "", 1);
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days since 1970-01-01. Years start in March here, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Returns the year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        text.parse::<Instant>().ok().map(|i| i.to_string())
    }

    #[test]
    fn every_form_that_the_operator_takes_is_written_as_postgresql_takes_it() {
        for (text, expected) in [
            ("2026-01-31T10:15:00.5Z", "2026-01-31 10:15:00.500000+00"),
            ("2026-01-31t10:15:00z", "2026-01-31 10:15:00.000000+00"),
            ("2026-01-31T10:15:00+02:00", "2026-01-31 08:15:00.000000+00"),
            ("2026-01-31 10:15:00.123456789-0130", "2026-01-31 11:45:00.123456+00"),
            ("2026-01-31 10:15:00", "2026-01-31 10:15:00.000000+00"),
            ("2026-01-31 10:15:00.000001+00", "2026-01-31 10:15:00.000001+00"),
            ("2026-01-31T10:15:00", "2026-01-31 10:15:00.000000+00"),
            ("2024-02-29T23:59:59-02", "2024-03-01 01:59:59.000000+00"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
            assert_eq!(written(expected).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_point_in_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "2026-02-30 10:00:00",
            "2026-13-01T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T10:15Z",
            "2026-01-31T10:15:00.Z",
            "2026-01-31T10:15:00ZZ",
            "2026-01-31T10:15:00+2",
            "26-01-31T10:15:00Z",
            "2026-01-31T10:15:00+25:00",
            "éééé-01-31T10:15:00Z",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_dates_agree_over_four_centuries() {
        let mut day = days(1970, 1, 1);
        assert_eq!(day, 0);
        for year in 1970..2370 {
            for month in 1..=12 {
                for of_month in 1..=days_of_month(year, month) {
                    assert_eq!((days(year, month, of_month), civil(day)), (day, (year, month, of_month)));
                    day += 1;
                }
            }
        }
    }

    #[test]
    fn whole_seconds_are_taken_for_cut_ones() {
        let whole = Instant::from_seconds(10);
        assert_eq!(whole.not_before_its_second(), Instant::from_seconds(11));
        let exact: Instant = "1970-01-01T00:00:10.25Z".parse().unwrap();
        assert_eq!(exact.not_before_its_second(), exact);
    }
}
