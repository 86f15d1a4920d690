//! When a Plan fires: the cron dialect of `spec.schedule.cron`, in a time zone.
//!
//! The dialect is that of the Go implementation: five fields, names, lists, ranges, steps, descriptors, `@every`
//! and the prefixes `TZ=` and `CRON_TZ=`. An activation is **every instant whose local time has second zero and
//! matches the fields**. So a local time that the clock skips does not fire, and one that it repeats fires twice.
//!
//! The crate `croner` differs: it moves a skipped time to the end of the gap, fires a fixed time once in an overlap, and
//! accepts a wider dialect. Here the fields become bit sets, and the search runs over stretches of one UTC offset, inside
//! which local time is plain arithmetic, so that a year of activations is counted without visiting each. Zone data is
//! embedded in the binary.

mod error;
mod every;
mod field;
mod fields;
mod pattern;
mod stretch;
mod zone;

#[cfg(test)]
mod tests;

pub use error::{ItemProblem, ScheduleError};
pub use zone::canonical;

use backstay_api::bounds::{CRON_BYTES, NAME_BYTES};
use every::Every;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pattern::Pattern;
use stretch::{floor_second, instant};

/// How far [`Schedule::next_after`] searches. The rarest valid schedule, 29 February, has gaps of eight years around
/// 2100, and longer ones if a clock change skips its local time.
const SEARCH_SECONDS: i64 = 20 * 366 * 86_400;

/// A parsed schedule. Parsing is the only check: a `Schedule` always has activations.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Local times that match the five fields.
    Fields(Pattern),
    /// Multiples of a duration after the anchor; the zone plays no part.
    Every(Every),
}

impl Schedule {
    /// Parses `spec.schedule.cron`, and `spec.timeZone` where it is set. Without a zone in either place it is UTC.
    ///
    /// # Errors
    /// Anything outside the dialect, an unknown zone, two zones that differ, a schedule that never fires, and
    /// `@every` with less than a minute or more than five years. The error names the field, the part and the remedy.
    pub fn parse(cron: &str, time_zone: Option<&str>) -> Result<Schedule, ScheduleError> {
        for (place, text, bound) in [
            ("spec.schedule.cron", cron, CRON_BYTES),
            ("spec.timeZone", time_zone.unwrap_or_default(), NAME_BYTES),
        ] {
            if text.len() > bound {
                return Err(ScheduleError::TooLong { place, bound });
            }
        }
        let (prefix, text) = zone::split_prefix(cron)?;
        let zone = zone::resolve(prefix, time_zone)?;
        let rule = match text.strip_prefix('@') {
            Some("yearly" | "annually") => Rule::Fields(Pattern::parse("0 0 1 1 *")?),
            Some("monthly") => Rule::Fields(Pattern::parse("0 0 1 * *")?),
            Some("weekly") => Rule::Fields(Pattern::parse("0 0 * * 0")?),
            Some("daily" | "midnight") => Rule::Fields(Pattern::parse("0 0 * * *")?),
            Some("hourly") => Rule::Fields(Pattern::parse("0 * * * *")?),
            Some(descriptor) => match descriptor.strip_prefix("every ") {
                Some(duration) => Rule::Every(Every::parse(duration)?),
                None => return Err(ScheduleError::descriptor(text)),
            },
            None => Rule::Fields(Pattern::parse(text)?),
        };
        Ok(Schedule { rule, zone })
    }

    /// Returns the first activation strictly after `after`. `@every` counts from `anchor`, which never fires itself.
    /// `None` only within 20 years of the end of representable time.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let from = floor_second(after) + 1;
        let second = match &self.rule {
            Rule::Every(every) => every.first_from(from, floor_second(anchor)),
            Rule::Fields(pattern) => stretch::forward(&self.zone, from, from + SEARCH_SECONDS)
                .find_map(|s| pattern.first_in(&s.local_minutes()).map(|minute| s.second_of(minute))),
        };
        second.and_then(instant)
    }

    /// Counts the activations strictly after `after` and not after `until`. Costs a few nanoseconds a day,
    /// however many activations a day has.
    pub fn count(&self, after: Timestamp, until: Timestamp, anchor: Timestamp) -> u64 {
        let (from, end) = (floor_second(after) + 1, floor_second(until) + 1);
        match &self.rule {
            Rule::Every(every) => every.count_in(from, end, floor_second(anchor)),
            Rule::Fields(pattern) => {
                stretch::forward(&self.zone, from, end).map(|s| pattern.count_in(&s.local_minutes())).sum()
            }
        }
    }

    /// Returns the last activations that are strictly after `after` and not after `until`, newest first, at most `limit`.
    pub fn latest(
        &self,
        after: Timestamp,
        until: Timestamp,
        anchor: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let (from, end) = (floor_second(after) + 1, floor_second(until) + 1);
        let seconds: Vec<i64> = match &self.rule {
            Rule::Every(every) => every.backward(from, end, floor_second(anchor)).take(limit).collect(),
            Rule::Fields(pattern) => stretch::backward(&self.zone, from, end)
                .flat_map(|s| pattern.backward(s.local_minutes()).map(move |minute| s.second_of(minute)))
                .take(limit)
                .collect(),
        };
        seconds.into_iter().filter_map(instant).collect()
    }
}

/// Returns the last whole second that is not after an instant: slots and anchors are whole seconds.
#[must_use]
pub fn whole_second(at: Timestamp) -> Timestamp {
    instant(floor_second(at)).unwrap_or(Timestamp::MIN)
}
