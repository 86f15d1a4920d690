//! The five fields of a cron expression, and the values that each takes.

/// A field of a cron expression, in the order of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl Field {
    /// Returns the name for messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::DayOfMonth => "day-of-month",
            Field::Month => "month",
            Field::DayOfWeek => "day-of-week",
        }
    }

    /// Returns the allowed values, for messages.
    pub(super) const fn allowed(self) -> &'static str {
        match self {
            Field::Minute => "0 to 59",
            Field::Hour => "0 to 23",
            Field::DayOfMonth => "1 to 31",
            Field::Month => "1 to 12 or jan to dec",
            Field::DayOfWeek => "0 to 6 or sun to sat, where Sunday is 0",
        }
    }

    pub(super) const fn bounds(self) -> (u32, u32) {
        match self {
            Field::Minute => (0, 59),
            Field::Hour => (0, 23),
            Field::DayOfMonth => (1, 31),
            Field::Month => (1, 12),
            Field::DayOfWeek => (0, 6),
        }
    }

    /// Returns the names of the values, smallest first.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Field::Minute | Field::Hour | Field::DayOfMonth => &[],
            Field::Month => {
                &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
            }
            Field::DayOfWeek => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        }
    }

    /// Parses a number or a name in any case. The caller checks the bounds.
    pub(super) fn value(self, text: &str) -> Option<u64> {
        let named = self.names().iter().position(|name| name.eq_ignore_ascii_case(text));
        match named {
            Some(index) => Some(u64::from(self.bounds().0) + index as u64),
            None => text.parse().ok(),
        }
    }
}
