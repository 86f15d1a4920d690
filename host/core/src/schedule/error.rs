//! Errors of schedules.

use super::field::Field;

/// A schedule that cannot be used. The text names the field of the Plan, the offending part and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Not five fields: empty, a seconds field, a year field, spaces inside a list.
    #[error(
        "spec.schedule.cron {text} has {found} fields: write exactly five, minute hour day-of-month month \
         day-of-week, without seconds or a year, and without spaces inside a field"
    )]
    FieldCount {
        /// The expression, shortened.
        text: String,
        /// Number of its fields.
        found: usize,
    },
    /// The text is longer than any schedule.
    #[error("{place} is longer than {bound} bytes: write a shorter one")]
    TooLong {
        /// The Plan's field.
        place: &'static str,
        /// What it may have.
        bound: usize,
    },
    /// An item of a field's list is outside the dialect.
    #[error("spec.schedule.cron: {field} {item} {problem}; allowed are {allowed}")]
    Item {
        /// Name of the field.
        field: &'static str,
        /// The item, shortened.
        item: String,
        /// The problem with the item.
        problem: ItemProblem,
        /// The values that the field takes.
        allowed: &'static str,
    },
    /// An `@` word that is not known, or not written in lower case.
    #[error(
        "spec.schedule.cron {text} is no known descriptor: use @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight, @hourly or @every <duration>, in lower case and without further spaces"
    )]
    Descriptor {
        /// The expression, shortened.
        text: String,
    },
    /// The duration of `@every` cannot be read.
    #[error("spec.schedule.cron: @every {text} is no duration: write it like 90m or 1h30m")]
    Duration {
        /// The duration, shortened.
        text: String,
    },
    /// The duration of `@every` is below a minute.
    #[error("spec.schedule.cron: @every {text} is shorter than a minute: write 1m or more")]
    TooShort {
        /// The duration, shortened.
        text: String,
    },
    /// No activation within five years.
    #[error(
        "spec.schedule.cron {text} has no activation within five years: name a date and a time that exist, such \
         as `15 2 * * *`"
    )]
    Never {
        /// The expression, shortened.
        text: String,
    },
    /// A zone prefix with nothing behind it.
    #[error(
        "spec.schedule.cron {text} has a time zone but no schedule: put a space and five fields after it, or move \
         the zone to spec.timeZone"
    )]
    NoSpace {
        /// The expression, shortened.
        text: String,
    },
    /// The embedded zone data has no zone of exactly this name.
    #[error(
        "{place}: there is no time zone {name}: use an exact name of the IANA database, such as {instead}"
    )]
    Zone {
        /// The Plan's field that names the zone.
        place: &'static str,
        /// The name, shortened.
        name: String,
        /// A name that exists; the right one where only the case differs.
        instead: String,
    },
    /// `spec.timeZone` and the prefix name different zones.
    #[error("spec.timeZone {field} and the prefix {prefix} of spec.schedule.cron differ: remove one of them")]
    ZonesDiffer {
        /// The zone of the field, shortened.
        field: String,
        /// The zone of the prefix, shortened.
        prefix: String,
    },
}

/// The problem with one item of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemProblem {
    /// Neither a number nor a name of the field.
    #[error("is not understood (L, W and # are not part of the dialect)")]
    NotAValue,
    /// A number outside of the field's values.
    #[error("is out of range")]
    OutOfRange,
    /// A range whose end lies before its beginning.
    #[error("is a range that ends before it begins: split it in two, separated by a comma")]
    Wrapped,
    /// A step that is no positive number.
    #[error("has a step that is no number")]
    NotAStep,
    /// Step 0.
    #[error("has step 0: write 1 or more")]
    ZeroStep,
}

impl ScheduleError {
    /// Returns the reason of the condition, the Event and the metric.
    pub const fn reason(&self) -> &'static str {
        "InvalidCron"
    }

    pub(super) fn field_count(text: &str, found: usize) -> Self {
        Self::FieldCount { text: quoted(text), found }
    }

    pub(super) fn item(field: Field, item: &str, problem: ItemProblem) -> Self {
        Self::Item { field: field.name(), item: quoted(item), problem, allowed: field.allowed() }
    }

    pub(super) fn descriptor(text: &str) -> Self {
        Self::Descriptor { text: quoted(text) }
    }

    pub(super) fn duration(text: &str) -> Self {
        Self::Duration { text: quoted(text) }
    }

    pub(super) fn too_short(text: &str) -> Self {
        Self::TooShort { text: quoted(text) }
    }

    pub(super) fn never(text: &str) -> Self {
        Self::Never { text: quoted(text) }
    }

    pub(super) fn no_space(text: &str) -> Self {
        Self::NoSpace { text: quoted(text) }
    }

    pub(super) fn zone(place: &'static str, name: &str, instead: &str) -> Self {
        Self::Zone { place, name: quoted(name), instead: instead.to_owned() }
    }

    pub(super) fn zones_differ(field: &str, prefix: &str) -> Self {
        Self::ZonesDiffer { field: quoted(field), prefix: quoted(prefix) }
    }
}

/// Puts a user's text in backticks, escaped and shortened.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    let more = if chars.next().is_some() { "..." } else { "" };
    format!("`{start}{more}`")
}
