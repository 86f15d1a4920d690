//! The five fields as sets, and the local minutes that match them.

use std::ops::Range;

use jiff::tz::Offset;

use super::error::ScheduleError;
use super::field::Field;
use super::fields::{self, Values};
use super::stretch::instant;

const MINUTES_PER_DAY: i64 = 1440;

/// Days in the longest form of each month, January first.
const LONGEST_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The local minutes that fire, counted from 1970-01-01T00:00 local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    minutes: Values,
    hours: Values,
    days_of_month: Values,
    months: Values,
    days_of_week: Values,
}

impl Pattern {
    /// Parses five fields and refuses those that match no date of any year.
    pub(super) fn parse(text: &str) -> Result<Pattern, ScheduleError> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = parts[..] else {
            return Err(ScheduleError::field_count(text, parts.len()));
        };
        let pattern = Pattern {
            minutes: fields::parse(Field::Minute, minute)?,
            hours: fields::parse(Field::Hour, hour)?,
            days_of_month: fields::parse(Field::DayOfMonth, day_of_month)?,
            months: fields::parse(Field::Month, month)?,
            days_of_week: fields::parse(Field::DayOfWeek, day_of_week)?,
        };
        if pattern.can_fire() { Ok(pattern) } else { Err(ScheduleError::never(text)) }
    }

    /// Returns whether some date of some year matches: then one matches within five years, except 29 February around 2100.
    fn can_fire(&self) -> bool {
        let first_day = self.days_of_month.first_from(1);
        let date_exists = (1..)
            .zip(LONGEST_MONTHS)
            .any(|(month, longest)| self.months.has(month) && first_day.is_some_and(|day| day <= longest));
        let weekday_exists = !self.months.is_empty() && !self.days_of_week.is_empty();
        let day_exists = if self.days_are_both_needed() {
            date_exists && weekday_exists
        } else {
            date_exists || weekday_exists
        };
        day_exists && !self.hours.is_empty() && !self.minutes.is_empty()
    }

    /// Returns whether both day fields must match: if both are restricted, either suffices.
    fn days_are_both_needed(&self) -> bool {
        self.days_of_month.is_star() || self.days_of_week.is_star()
    }

    fn matches_day(&self, day: i64) -> bool {
        let Some(midnight) = instant(day * 86_400) else { return false };
        let date = Offset::UTC.to_datetime(midnight).date();
        let in_month = self.days_of_month.has(date.day().unsigned_abs().into());
        // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
        let in_week = self.days_of_week.has((day + 4).rem_euclid(7) as u32);
        self.months.has(date.month().unsigned_abs().into())
            && if self.days_are_both_needed() { in_month && in_week } else { in_month || in_week }
    }

    /// Returns the first matching minute of a range.
    pub(super) fn first_in(&self, range: &Range<i64>) -> Option<i64> {
        let mut at = range.start;
        while at < range.end {
            let (day, minute) = split(at);
            if self.matches_day(day)
                && let Some(found) = self.first_of_day_from(minute)
            {
                return Some(day * MINUTES_PER_DAY + found).filter(|found| *found < range.end);
            }
            at = (day + 1) * MINUTES_PER_DAY;
        }
        None
    }

    /// Returns the matching minutes of a range, last first.
    pub(super) fn backward(self, range: Range<i64>) -> impl Iterator<Item = i64> {
        let mut end = range.end;
        std::iter::from_fn(move || {
            while end > range.start {
                let (day, minute) = split(end - 1);
                end = day * MINUTES_PER_DAY;
                if self.matches_day(day)
                    && let Some(found) = self.last_of_day_until(minute)
                {
                    end += found;
                    return Some(end).filter(|found| *found >= range.start);
                }
            }
            None
        })
    }

    /// Counts the matching minutes of a range.
    pub(super) fn count_in(&self, range: &Range<i64>) -> u64 {
        let mut count = 0;
        let mut at = range.start;
        while at < range.end {
            let (day, minute) = split(at);
            let next_day = (day + 1) * MINUTES_PER_DAY;
            if self.matches_day(day) {
                let end = range.end.min(next_day) - day * MINUTES_PER_DAY;
                count += self.count_of_day_before(end) - self.count_of_day_before(minute);
            }
            at = next_day;
        }
        count
    }

    fn first_of_day_from(&self, minute: i64) -> Option<i64> {
        let (hour, minute) = (minute as u32 / 60, minute as u32 % 60);
        let in_this_hour = self.minutes.first_from(minute).filter(|_| self.hours.has(hour));
        let found = match in_this_hour {
            Some(minute) => hour * 60 + minute,
            None => self.hours.first_from(hour + 1)? * 60 + self.minutes.first_from(0)?,
        };
        Some(found.into())
    }

    fn last_of_day_until(&self, minute: i64) -> Option<i64> {
        let (hour, minute) = (minute as u32 / 60, minute as u32 % 60);
        let in_this_hour = self.minutes.last_before(minute + 1).filter(|_| self.hours.has(hour));
        let found = match in_this_hour {
            Some(minute) => hour * 60 + minute,
            None => self.hours.last_before(hour)? * 60 + self.minutes.last_before(60)?,
        };
        Some(found.into())
    }

    /// Counts the matching minutes of a matching day before `minute`; 1440 counts the whole day.
    fn count_of_day_before(&self, minute: i64) -> u64 {
        let (hour, minute) = (minute as u32 / 60, minute as u32 % 60);
        let in_this_hour = if self.hours.has(hour) { self.minutes.count_before(minute) } else { 0 };
        u64::from(self.hours.count_before(hour) * self.minutes.count_before(60) + in_this_hour)
    }
}

/// Splits a minute into the day and the minute of that day.
fn split(local_minute: i64) -> (i64, i64) {
    (local_minute.div_euclid(MINUTES_PER_DAY), local_minute.rem_euclid(MINUTES_PER_DAY))
}
