//! `@every <duration>`: multiples of a duration after an anchor.

use super::error::ScheduleError;

/// Shortest period: names of runs count minutes, so two slots of one minute would share a name.
const SHORTEST_SECONDS: i64 = 60;
/// Longest period: a schedule that does not fire within five years is taken for a mistake.
const LONGEST_SECONDS: i64 = 5 * 366 * 86_400;

/// A period in whole seconds. All instants are in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Every {
    period: i64,
}

impl Every {
    /// Parses a duration in Go's syntax, such as `1h30m`, and cuts it to whole seconds.
    pub(super) fn parse(text: &str) -> Result<Every, ScheduleError> {
        let nanoseconds = parse_duration(text).ok_or_else(|| ScheduleError::duration(text))?;
        match i64::try_from(nanoseconds / SECOND) {
            Ok(seconds) if seconds < SHORTEST_SECONDS => Err(ScheduleError::too_short(text)),
            Ok(period) if period <= LONGEST_SECONDS => Ok(Every { period }),
            _ => Err(ScheduleError::never(&format!("@every {text}"))),
        }
    }

    /// Returns the first multiple that is not before `from`; the anchor itself is none.
    pub(super) fn first_from(self, from: i64, anchor: i64) -> Option<i64> {
        let elapsed = self.elapsed_before(from, anchor);
        anchor.checked_add(self.period.checked_mul(elapsed + 1)?)
    }

    /// Counts the multiples in `from..end`.
    pub(super) fn count_in(self, from: i64, end: i64, anchor: i64) -> u64 {
        let count = self.elapsed_before(end, anchor) - self.elapsed_before(from, anchor);
        u64::try_from(count).unwrap_or(0)
    }

    /// Returns the multiples in `from..end`, last first.
    pub(super) fn backward(self, from: i64, end: i64, anchor: i64) -> impl Iterator<Item = i64> {
        let (last, first) = (self.elapsed_before(end, anchor), self.elapsed_before(from, anchor));
        (first + 1..=last).rev().map(move |index| anchor + index * self.period)
    }

    /// Counts the multiples before an instant.
    fn elapsed_before(self, end: i64, anchor: i64) -> i64 {
        (end - 1 - anchor).div_euclid(self.period).max(0)
    }
}

const SECOND: i128 = 1_000_000_000;
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// Parses a Go duration to nanoseconds: a sign, then decimal numbers each with a unit; a bare `0` needs no unit.
fn parse_duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_i128;
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(number, scale)?)?;
        // Go holds a duration in 64 bits.
        if total > i128::from(i64::MAX) {
            return None;
        }
        if after.is_empty() {
            return Some(sign * total);
        }
        rest = after;
    }
}

/// Multiplies `number` by `scale` and cuts the product to an integer.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // More digits than these are below a nanosecond for every unit.
    let digits = fraction.get(..fraction.len().min(15))?;
    let part: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let divisor = 10_i128.pow(u32::try_from(digits.len()).ok()?);
    whole.checked_mul(scale)?.checked_add(part * scale / divisor)
}
