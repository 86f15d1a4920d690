//! The time zone of a schedule: `spec.timeZone`, or a `TZ=` or `CRON_TZ=` prefix.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;

/// Splits a `TZ=<zone> ` or `CRON_TZ=<zone> ` prefix off the text. The rest is trimmed only after a prefix, as in the Go
/// implementation.
pub(super) fn split_prefix(cron: &str) -> Result<(Option<&str>, &str), ScheduleError> {
    let Some(text) = cron.strip_prefix("TZ=").or_else(|| cron.strip_prefix("CRON_TZ=")) else {
        return Ok((None, cron));
    };
    let (zone, rest) = text.split_once(' ').ok_or_else(|| ScheduleError::no_space(cron))?;
    Ok((Some(zone), rest.trim()))
}

/// Returns one text for a schedule and its zone, with the zone as a prefix. Equal texts are equal schedules, wherever
/// the zone was written, and the text of a valid schedule parses to the same schedule.
#[must_use]
pub fn canonical(cron: &str, time_zone: Option<&str>) -> String {
    let prefix = split_prefix(cron).ok().and_then(|(prefix, _)| prefix);
    match time_zone {
        Some(zone) if prefix != Some(zone) => format!("CRON_TZ={zone} {cron}"),
        _ => cron.to_owned(),
    }
}

/// Returns the zone that both places agree on; UTC if neither names one.
pub(super) fn resolve(prefix: Option<&str>, time_zone: Option<&str>) -> Result<TimeZone, ScheduleError> {
    match (prefix, time_zone) {
        (Some(prefix), Some(field)) if prefix != field => Err(ScheduleError::zones_differ(field, prefix)),
        (_, Some(field)) => lookup("spec.timeZone", field),
        // An empty prefix is UTC to Go, and so is the local zone of the reference's image.
        (Some("" | "Local") | None, None) => Ok(TimeZone::UTC),
        (Some(prefix), None) => lookup("spec.schedule.cron", prefix),
    }
}

/// Finds a zone by its exact name. The library ignores case; the Go implementation does not.
fn lookup(place: &'static str, name: &str) -> Result<TimeZone, ScheduleError> {
    let zone = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
    match zone {
        Some(zone) if zone.iana_name() == Some(name) => Ok(zone),
        other => {
            let instead = other.as_ref().and_then(TimeZone::iana_name);
            Err(ScheduleError::zone(place, name, instead.unwrap_or("Europe/Berlin")))
        }
    }
}
