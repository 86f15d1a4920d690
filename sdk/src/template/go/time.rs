//! Times and durations. There is no clock and no zone data here: `now` is the time at which the run began, and every
//! named zone is UTC, as in an image without zone data.

use super::float;
use crate::time::date_of;
pub(super) use crate::time::days_to;

/// A time in a zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Time {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    /// Seconds east of UTC.
    pub(super) offset: i32,
    /// Abbreviation of the zone; empty if only the offset is known.
    pub(super) zone: String,
}

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    /// Starts at 1.
    pub(super) day_of_year: u32,
    /// Sunday is 0.
    pub(super) weekday: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
}

impl Time {
    pub(super) fn utc(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0, offset: 0, zone: "UTC".into() }
    }

    /// Returns Go's zero time: the first of January of year 1.
    pub(super) fn zero() -> Self {
        Self::utc(days_to(1, 1, 1) * 86_400)
    }

    pub(super) fn in_utc(&self) -> Self {
        Self { offset: 0, zone: "UTC".into(), ..*self }
    }

    pub(super) fn plus(&self, nanoseconds: i64) -> Self {
        let total = i128::from(self.nanoseconds) + i128::from(nanoseconds);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or_default();
        let nanoseconds = u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or_default();
        Self { seconds: self.seconds.saturating_add(seconds), nanoseconds, ..self.clone() }
    }

    /// Returns the nanoseconds from `earlier` to this time, within the range of the type.
    pub(super) fn since(&self, earlier: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let total = seconds * 1_000_000_000 + i128::from(self.nanoseconds) - i128::from(earlier.nanoseconds);
        i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
    }

    pub(super) fn civil(&self) -> Civil {
        let local = self.seconds.saturating_add(self.offset.into());
        let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400) as u32);
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            day_of_year: (days - days_to(year, 1, 1)) as u32 + 1,
            weekday: (days + 4).rem_euclid(7) as u32,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// Returns the number of days in a month.
pub(super) fn days_in(year: i64, month: u32) -> u32 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    (days_to(next_year, next_month, 1) - days_to(year, month, 1)) as u32
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration such as `-1h30m` or `1.5s` to nanoseconds. `None` if it is no duration or out of range.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part = if fraction.is_empty() { 0.0 } else { float::parse(&format!("0.{fraction}"))? };
        total += u128::from(whole) * u128::from(unit) + (part * unit as f64) as u128;
        if total > 1 << 63 {
            return None;
        }
        rest = tail;
    }
    let signed = if negative { -(total as i128) } else { total as i128 };
    i64::try_from(signed).ok()
}

/// Formats a duration as Go does: `1h2m3.5s`, `1.2ms`, `0s`.
pub(super) fn print_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    match total {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(total, 1_000_000)),
        _ => {
            let minutes = total / 60_000_000_000;
            let seconds = fraction(total % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn fraction(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
