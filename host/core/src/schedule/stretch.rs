//! Stretches of one UTC offset: inside one, local time is instants plus a constant.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Instants from `from` to before `end`, in seconds since the epoch, that share one UTC offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    from: i64,
    end: i64,
    offset: i64,
}

impl Stretch {
    /// Returns the local minutes that begin in this stretch, counted from 1970-01-01T00:00 local time.
    pub(super) fn local_minutes(&self) -> Range<i64> {
        (self.from + self.offset + 59).div_euclid(60)..(self.end + self.offset + 59).div_euclid(60)
    }

    /// Returns the instant at which a local minute of this stretch begins.
    pub(super) fn second_of(&self, local_minute: i64) -> i64 {
        local_minute * 60 - self.offset
    }
}

/// Returns the stretches that cover `from..end`, oldest first.
pub(super) fn forward(zone: &TimeZone, from: i64, end: i64) -> impl Iterator<Item = Stretch> {
    let mut from = from;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let start = instant(from)?;
        let change = zone.following(start).next().map_or(end, |t| t.timestamp().as_second());
        let stretch = Stretch { from, end: change.min(end), offset: offset_at(zone, start) };
        from = stretch.end;
        Some(stretch)
    })
}

/// Returns the stretches that cover `from..end`, newest first.
pub(super) fn backward(zone: &TimeZone, from: i64, end: i64) -> impl Iterator<Item = Stretch> {
    let mut end = end;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let last = instant(end - 1)?;
        let change = zone.preceding(instant(end)?).next().map_or(from, |t| t.timestamp().as_second());
        let stretch = Stretch { from: change.max(from), end, offset: offset_at(zone, last) };
        end = stretch.from;
        Some(stretch)
    })
}

fn offset_at(zone: &TimeZone, at: Timestamp) -> i64 {
    i64::from(zone.to_offset(at).seconds())
}

/// Returns the instant at a second; `None` outside of the years that can be represented.
pub(super) fn instant(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

/// Returns the last whole second that is not after `at`.
pub(super) fn floor_second(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}
