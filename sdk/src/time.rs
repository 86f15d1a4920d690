//! Times as text. There is no clock here: a strategy reads the time from its [`crate::Request`].

const DAY: i64 = 86_400;

/// Formats seconds since 1970-01-01T00:00:00Z as Kubernetes does, in RFC 3339: `2026-01-02T03:04:05Z`. Texts of the
/// years 0 to 9999 sort in the order of their times.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar, for any year. Years start in March here, so
/// that the leap day comes last; 400 years have 146,097 days.
#[cfg_attr(not(feature = "go"), allow(dead_code, reason = "used by templates"))]
pub(crate) fn days_to(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let months_since_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * months_since_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Returns the date of a number of days since 1970-01-01: the inverse of [`days_to`].
pub(crate) fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * months_since_march + 2) / 5 + 1) as u32;
    let month = ((months_since_march + 2) % 12 + 1) as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_kubernetes_prints_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
