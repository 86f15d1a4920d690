//! The dialect: accepted expressions with their activations, and refused ones with their errors.

use super::*;
use crate::schedule::{ScheduleError, canonical};

/// Expression, and its first activations after 2026-03-04T10:07:30Z, a Wednesday.
const VALID: &[(&str, &[&str])] = &[
    ("* * * * *", &["2026-03-04T10:08:00Z", "2026-03-04T10:09:00Z"]),
    ("? ? ? ? ?", &["2026-03-04T10:08:00Z", "2026-03-04T10:09:00Z"]),
    ("*/5 * * * *", &["2026-03-04T10:10:00Z", "2026-03-04T10:15:00Z"]),
    ("?/5 * * * *", &["2026-03-04T10:10:00Z", "2026-03-04T10:15:00Z"]),
    ("7 10 * * *", &["2026-03-05T10:07:00Z"]),
    ("8 10 * * *", &["2026-03-04T10:08:00Z", "2026-03-05T10:08:00Z"]),
    ("15 2 * * *", &["2026-03-05T02:15:00Z", "2026-03-06T02:15:00Z"]),
    ("0 */6 * * *", &["2026-03-04T12:00:00Z", "2026-03-04T18:00:00Z", "2026-03-05T00:00:00Z"]),
    ("  15\t2  *   * *  ", &["2026-03-05T02:15:00Z"]),
    // Lists, ranges and steps.
    ("1,3,5 11 * * *", &["2026-03-04T11:01:00Z", "2026-03-04T11:03:00Z", "2026-03-04T11:05:00Z"]),
    ("5,1,5 11 * * *", &["2026-03-04T11:01:00Z", "2026-03-04T11:05:00Z"]),
    ("1,,3, 11 * * *", &["2026-03-04T11:01:00Z", "2026-03-04T11:03:00Z", "2026-03-05T11:01:00Z"]),
    ("10-12 11 * * *", &["2026-03-04T11:10:00Z", "2026-03-04T11:11:00Z", "2026-03-04T11:12:00Z"]),
    ("10-20/7 11 * * *", &["2026-03-04T11:10:00Z", "2026-03-04T11:17:00Z", "2026-03-05T11:10:00Z"]),
    ("10-10 11 * * *", &["2026-03-04T11:10:00Z", "2026-03-05T11:10:00Z"]),
    ("50/4 11 * * *", &["2026-03-04T11:50:00Z", "2026-03-04T11:54:00Z", "2026-03-04T11:58:00Z"]),
    ("0 20/3 * * *", &["2026-03-04T20:00:00Z", "2026-03-04T23:00:00Z", "2026-03-05T20:00:00Z"]),
    ("59/1 11 * * *", &["2026-03-04T11:59:00Z", "2026-03-05T11:59:00Z"]),
    ("*/100 11 * * *", &["2026-03-04T11:00:00Z", "2026-03-05T11:00:00Z"]),
    ("*/59 11 * * *", &["2026-03-04T11:00:00Z", "2026-03-04T11:59:00Z"]),
    ("00 002 * * *", &["2026-03-05T02:00:00Z"]),
    ("+5 2 * * *", &["2026-03-05T02:05:00Z"]),
    ("0-59 23 31 12 *", &["2026-12-31T23:00:00Z", "2026-12-31T23:01:00Z"]),
    // Names, in any case.
    ("0 0 1 jan *", &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
    ("0 0 1 JAN,Jul *", &["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
    ("0 0 1 oct-DEC *", &["2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"]),
    ("0 0 1 nov/1 *", &["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-11-01T00:00:00Z"]),
    ("0 0 * * sun", &["2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z"]),
    ("0 0 * * 0", &["2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z"]),
    ("0 0 * * Mon-FRI", &["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z", "2026-03-09T00:00:00Z"]),
    ("0 0 * * 5/1", &["2026-03-06T00:00:00Z", "2026-03-07T00:00:00Z", "2026-03-13T00:00:00Z"]),
    ("0 0 * * sun-6/3", &["2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-11T00:00:00Z"]),
    // Both day fields restricted: either. One of them a star: both.
    ("0 0 13 * 5", &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"]),
    ("0 0 13 * ?", &["2026-03-13T00:00:00Z", "2026-04-13T00:00:00Z"]),
    ("0 0 */1 * 5", &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"]),
    ("0 0 13 * 1,*", &["2026-03-13T00:00:00Z", "2026-04-13T00:00:00Z"]),
    // A star with another step restricts: the 1st, 11th, 21st and 31st, or a Friday.
    ("0 0 */10 * 5", &["2026-03-06T00:00:00Z", "2026-03-11T00:00:00Z", "2026-03-13T00:00:00Z"]),
    ("0 0 13 * */3", &["2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-11T00:00:00Z"]),
    ("0 0 1-31 * 5", &["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]),
    // No day of the month at all, but a day of the week.
    ("0 0 , * 1", &["2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"]),
    // A day that exists through the other field: 30 February, or a Monday in February.
    ("0 0 30 2 1", &["2027-02-01T00:00:00Z", "2027-02-08T00:00:00Z"]),
    // Dates that some months or years lack.
    ("0 0 31 * *", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z"]),
    ("0 0 29 2 *", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
    ("0 0 30 2,4 *", &["2026-04-30T00:00:00Z", "2027-04-30T00:00:00Z"]),
    // Descriptors.
    ("@yearly", &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
    ("@annually", &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
    ("@monthly", &["2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"]),
    ("@weekly", &["2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z"]),
    ("@daily", &["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]),
    ("@midnight", &["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]),
    ("@hourly", &["2026-03-04T11:00:00Z", "2026-03-04T12:00:00Z"]),
    // Durations, from the anchor.
    ("@every 10m", &["2026-03-04T10:17:30Z", "2026-03-04T10:27:30Z"]),
    ("@every 1m", &["2026-03-04T10:08:30Z", "2026-03-04T10:09:30Z"]),
    ("@every 60s", &["2026-03-04T10:08:30Z"]),
    ("@every 1h30m", &["2026-03-04T11:37:30Z", "2026-03-04T13:07:30Z"]),
    ("@every 1.5h", &["2026-03-04T11:37:30Z", "2026-03-04T13:07:30Z"]),
    ("@every +.5h", &["2026-03-04T10:37:30Z"]),
    ("@every 90000ms", &["2026-03-04T10:09:00Z"]),
    ("@every 90.9s", &["2026-03-04T10:09:00Z"]),
    ("@every 60000000us1\u{b5}s1\u{3bc}s1ns", &["2026-03-04T10:08:30Z"]),
    ("@every 1m0s", &["2026-03-04T10:08:30Z"]),
    ("@every 48h", &["2026-03-06T10:07:30Z"]),
    // Zones: Tokyo is UTC+9 all year.
    ("TZ=Asia/Tokyo 0 0 * * *", &["2026-03-04T15:00:00Z", "2026-03-05T15:00:00Z"]),
    ("CRON_TZ=Asia/Tokyo 0 0 * * *", &["2026-03-04T15:00:00Z"]),
    ("CRON_TZ=Asia/Tokyo   @daily ", &["2026-03-04T15:00:00Z"]),
    ("CRON_TZ=Asia/Tokyo @every 10m", &["2026-03-04T10:17:30Z"]),
    ("CRON_TZ=Asia/Kathmandu 0 0 * * *", &["2026-03-04T18:15:00Z"]),
    ("TZ=UTC 0 0 * * *", &["2026-03-05T00:00:00Z"]),
    ("TZ=Etc/UTC 0 0 * * *", &["2026-03-05T00:00:00Z"]),
    ("TZ= 0 0 * * *", &["2026-03-05T00:00:00Z"]),
    ("TZ=Local 0 0 * * *", &["2026-03-05T00:00:00Z"]),
];

/// Expression, and words of its error: the offending part, and the remedy.
const INVALID: &[(&str, &[&str])] = &[
    ("", &["has 0 fields", "exactly five"]),
    ("   ", &["has 0 fields", "exactly five"]),
    ("* * * *", &["`* * * *` has 4 fields", "exactly five"]),
    ("0 * * * * *", &["has 6 fields", "without seconds"]),
    ("0 0 * * * * 2027", &["has 7 fields", "a year"]),
    ("0, 5 * * * *", &["has 6 fields", "without spaces inside a field"]),
    (" @daily", &["has 1 fields"]),
    ("60 * * * *", &["minute `60` is out of range", "0 to 59"]),
    ("-1 * * * *", &["minute `-1` is not understood", "0 to 59"]),
    ("1- * * * *", &["minute `1-` is not understood"]),
    ("1-2-3 * * * *", &["minute `1-2-3` is not understood"]),
    ("1-60 * * * *", &["minute `1-60` is out of range"]),
    ("61-62/1 * * * *", &["minute `61-62/1` is out of range"]),
    ("30-10 * * * *", &["minute `30-10` is a range that ends before it begins", "split it in two"]),
    ("*/0 * * * *", &["minute `*/0` has step 0", "1 or more"]),
    ("*/-1 * * * *", &["minute `*/-1` has a step that is no number"]),
    ("*/ * * * *", &["minute `*/` has a step"]),
    ("/5 * * * *", &["minute `/5` is not understood"]),
    ("*/5/5 * * * *", &["minute `*/5/5` has a step"]),
    ("*-5 * * * *", &["minute `*-5` is not understood"]),
    ("** * * * *", &["minute `**` is not understood"]),
    ("1.5 * * * *", &["minute `1.5` is not understood"]),
    ("jan * * * *", &["minute `jan` is not understood"]),
    ("4294967301 * * * *", &["minute `4294967301` is out of range"]),
    ("99999999999999999999999 * * * *", &["is not understood"]),
    ("5 24 * * *", &["hour `24` is out of range", "0 to 23"]),
    ("5 22-2 * * *", &["hour `22-2` is a range that ends before it begins"]),
    ("5 5 0 * *", &["day-of-month `0` is out of range", "1 to 31"]),
    ("5 5 32 * *", &["day-of-month `32` is out of range"]),
    ("5 5 L * *", &["day-of-month `L` is not understood", "L, W and #"]),
    ("5 5 15W * *", &["day-of-month `15W` is not understood"]),
    ("5 5 LW * *", &["day-of-month `LW` is not understood"]),
    ("5 5 1,L * *", &["day-of-month `L` is not understood"]),
    ("5 5 * 0 *", &["month `0` is out of range", "jan to dec"]),
    ("5 5 * 13 *", &["month `13` is out of range"]),
    ("5 5 * january *", &["month `january` is not understood"]),
    ("5 5 * nov-feb *", &["month `nov-feb` is a range that ends before it begins"]),
    ("5 5 * */feb *", &["month `*/feb` has a step"]),
    ("5 5 * * 7", &["day-of-week `7` is out of range", "Sunday is 0"]),
    ("5 5 * * 5-7", &["day-of-week `5-7` is out of range"]),
    ("5 5 * * fri-sun", &["day-of-week `fri-sun` is a range that ends before it begins"]),
    ("5 5 * * sunday", &["day-of-week `sunday` is not understood"]),
    ("5 5 * * 5#2", &["day-of-week `5#2` is not understood"]),
    ("5 5 * * 5L", &["day-of-week `5L` is not understood"]),
    ("0 0 30 2 *", &["`0 0 30 2 *` has no activation within five years", "a date and a time that exist"]),
    ("0 0 31 4,6,9,11 *", &["no activation"]),
    ("0 0 31 2 ?", &["no activation"]),
    (", * * * *", &["no activation"]),
    ("0 , * * *", &["no activation"]),
    ("0 0 , * *", &["no activation"]),
    ("0 0 * , *", &["no activation"]),
    ("0 0 1 , 1", &["no activation"]),
    ("0 0 * * ,", &["no activation"]),
    ("0 0 , * ,", &["no activation"]),
    ("@", &["`@` is no known descriptor", "lower case"]),
    ("@Daily", &["`@Daily` is no known descriptor", "lower case"]),
    ("@DAILY", &["no known descriptor"]),
    ("@daily ", &["`@daily ` is no known descriptor", "without further spaces"]),
    ("@reboot", &["no known descriptor"]),
    ("@secondly", &["no known descriptor"]),
    ("@every", &["no known descriptor"]),
    ("@every10m", &["no known descriptor"]),
    ("@every ", &["no duration", "1h30m"]),
    ("@every  10m", &["no duration"]),
    ("@every 10", &["@every `10` is no duration"]),
    ("@every 10M", &["no duration"]),
    ("@every 1d", &["no duration"]),
    ("@every 1h 30m", &["no duration"]),
    ("@every .h", &["no duration"]),
    ("@every 1..5h", &["no duration"]),
    ("@every 9999999h", &["no duration"]),
    ("@every 99999999999999999999999999999999999999999h", &["no duration"]),
    ("@every 0", &["@every `0` is shorter than a minute", "1m or more"]),
    ("@every -10m", &["shorter than a minute"]),
    ("@every 59s", &["shorter than a minute"]),
    ("@every 59.999s", &["shorter than a minute"]),
    ("@every 50000h", &["no activation within five years"]),
    ("TZ=UTC", &["has a time zone but no schedule"]),
    ("CRON_TZ=Europe/Berlin", &["`CRON_TZ=Europe/Berlin` has a time zone but no schedule", "put a space"]),
    ("CRON_TZ=", &["has a time zone but no schedule"]),
    ("CRON_TZ=UTC ", &["has 0 fields"]),
    ("CRON_TZ=UTC\t0 0 * * *", &["no time zone `UTC\\t0`"]),
    ("CRON_TZ=Mars/Olympus 0 0 * * *", &["spec.schedule.cron: there is no time zone `Mars/Olympus`"]),
    ("CRON_TZ=europe/berlin 0 0 * * *", &["no time zone `europe/berlin`", "such as Europe/Berlin"]),
    ("CRON_TZ=+02:00 0 0 * * *", &["no time zone `+02:00`"]),
    ("CRON_TZ=Etc/Unknown 0 0 * * *", &["no time zone"]),
    ("cron_tz=UTC 0 0 * * *", &["has 6 fields"]),
    (" TZ=UTC 0 0 * * *", &["has 6 fields"]),
];

#[test]
fn valid_expressions_fire_when_the_reference_does() {
    for (cron, expected) in VALID {
        let schedule = Schedule::parse(cron, None).unwrap_or_else(|error| panic!("{cron:?}: {error}"));
        assert_eq!(next(&schedule, "2026-03-04T10:07:30Z", expected.len()), *expected, "{cron:?}");
    }
}

#[test]
fn invalid_expressions_are_refused_and_the_error_names_field_part_and_remedy() {
    for (cron, words) in INVALID {
        let error = Schedule::parse(cron, None).err().unwrap_or_else(|| panic!("{cron:?} is accepted"));
        let message = error.to_string();
        assert_eq!(error.reason(), "InvalidCron");
        for word in ["spec.schedule.cron"].iter().chain(*words) {
            assert!(message.contains(word), "{cron:?}: {message:?} lacks {word:?}");
        }
        assert!(message.len() < 400 && !message.ends_with('.'), "{message}");
    }
}

#[test]
fn the_time_zone_field_is_the_zone_of_the_schedule() {
    let schedule = Schedule::parse("0 0 * * *", Some("Asia/Tokyo")).unwrap();
    assert_eq!(next(&schedule, "2026-03-04T10:07:30Z", 1), ["2026-03-04T15:00:00Z"]);
    let twice = Schedule::parse("TZ=Asia/Tokyo 0 0 * * *", Some("Asia/Tokyo")).unwrap();
    assert_eq!(next(&twice, "2026-03-04T10:07:30Z", 1), ["2026-03-04T15:00:00Z"]);
}

#[test]
fn a_time_zone_field_that_differs_from_the_prefix_is_an_error_that_names_both() {
    let error = Schedule::parse("CRON_TZ=Asia/Tokyo 0 0 * * *", Some("Europe/Berlin")).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, ScheduleError::ZonesDiffer { .. }), "{message}");
    for word in ["spec.timeZone `Europe/Berlin`", "`Asia/Tokyo`", "spec.schedule.cron", "remove one"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn an_unknown_time_zone_field_is_an_error_that_names_the_field() {
    for zone in ["", "Local", "utc", "Berlin", "../Europe/Berlin", "Europe/Berlin ", "EST5EDT,M3.2.0,M11.1.0"]
    {
        let message = Schedule::parse("0 0 * * *", Some(zone)).unwrap_err().to_string();
        assert!(message.starts_with("spec.timeZone: there is no time zone `"), "{zone:?}: {message}");
    }
}

#[test]
fn an_error_about_a_long_expression_stays_short_and_on_one_line() {
    for (times, says) in [(400, "..."), (100_000, "spec.schedule.cron is longer than 1024 bytes")] {
        let long = format!("{}\n{}", "x ".repeat(20), "y ".repeat(times));
        let message = Schedule::parse(&long, None).unwrap_err().to_string();
        assert!(message.len() < 400 && !message.contains('\n') && message.contains(says), "{message}");
    }
}

#[test]
fn twenty_ninth_of_february_is_found_across_a_century_that_is_no_leap_year() {
    let schedule = Schedule::parse("0 0 29 2 *", None).unwrap();
    assert_eq!(next(&schedule, "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
}

#[test]
fn next_is_strictly_after_also_for_fractions_of_a_second() {
    let schedule = Schedule::parse("*/5 * * * *", None).unwrap();
    let next = |after: &str| schedule.next_after(at(after), at(after)).unwrap().to_string();
    assert_eq!(next("2026-03-04T10:10:00Z"), "2026-03-04T10:15:00Z");
    assert_eq!(next("2026-03-04T10:09:59.999999999Z"), "2026-03-04T10:10:00Z");
    assert_eq!(next("2026-03-04T10:10:00.000000001Z"), "2026-03-04T10:15:00Z");
    assert_eq!(next("1969-12-31T23:54:59.5Z"), "1969-12-31T23:55:00Z");
    assert_eq!(next("1969-12-31T23:55:00.5Z"), "1970-01-01T00:00:00Z");
}

#[test]
fn every_counts_from_the_anchor_however_much_later_one_looks() {
    let schedule = Schedule::parse("@every 7m", None).unwrap();
    let anchor = at("2026-03-04T10:07:30.75Z");
    let next = |after: &str| schedule.next_after(at(after), anchor).unwrap().to_string();
    assert_eq!(next("2026-03-04T00:00:00Z"), "2026-03-04T10:14:30Z", "before the anchor");
    assert_eq!(next("2026-03-04T10:14:30Z"), "2026-03-04T10:21:30Z");
    // A day has 1440 minutes: 205 times 7, and 5 more.
    assert_eq!(next("2026-03-05T10:07:30Z"), "2026-03-05T10:09:30Z");
    assert_eq!(schedule.count(anchor, at("2026-03-05T10:07:30Z"), anchor), 205);
    assert_eq!(
        schedule.latest(anchor, at("2026-03-05T10:07:30Z"), anchor, 2),
        [at("2026-03-05T10:02:30Z"), at("2026-03-05T09:55:30Z")]
    );
    assert_eq!(schedule.count(at("2020-01-01T00:00:00Z"), anchor, anchor), 0, "none before the anchor");
}

#[test]
fn nothing_is_found_beyond_the_end_of_time() {
    for cron in ["* * * * *", "@every 1m", "0 0 29 2 *"] {
        let schedule = Schedule::parse(cron, None).unwrap();
        assert_eq!(schedule.next_after(jiff::Timestamp::MAX, jiff::Timestamp::MAX), None, "{cron}");
    }
}

#[test]
fn the_canonical_text_is_the_same_wherever_the_zone_is_written_and_means_the_same() {
    let prefixed = canonical("CRON_TZ=Asia/Tokyo 0 0 * * *", None);
    assert_eq!(prefixed, canonical("0 0 * * *", Some("Asia/Tokyo")));
    assert_eq!(prefixed, canonical("CRON_TZ=Asia/Tokyo 0 0 * * *", Some("Asia/Tokyo")));
    assert_ne!(prefixed, canonical("0 0 * * *", None));
    assert_ne!(prefixed, canonical("CRON_TZ=Asia/Tokyo 0 0 * * *", Some("Europe/Berlin")));
    let schedule = Schedule::parse(&prefixed, None).unwrap();
    assert_eq!(next(&schedule, "2026-03-04T10:07:30Z", 1), ["2026-03-04T15:00:00Z"]);
}
