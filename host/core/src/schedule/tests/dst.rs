//! Clock changes: a local time that is skipped does not fire, one that is repeated fires twice.

use super::*;

fn in_zone(cron: &str, zone: &str) -> Schedule {
    Schedule::parse(cron, Some(zone)).unwrap()
}

#[test]
fn berlin_in_spring_skips_the_hour_that_does_not_exist() {
    // 2026-03-29: from 02:00 to 03:00, UTC+1 to UTC+2.
    let schedule = in_zone("30 2 * * *", "Europe/Berlin");
    let expected = ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"];
    assert_eq!(next(&schedule, "2026-03-28T00:00:00Z", 3), expected);
}

#[test]
fn berlin_in_autumn_fires_in_both_of_the_repeated_hours() {
    // 2026-10-25: from 03:00 back to 02:00, UTC+2 to UTC+1.
    let schedule = in_zone("30 2 * * *", "Europe/Berlin");
    let expected =
        ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(next(&schedule, "2026-10-24T00:00:00Z", 4), expected);
}

#[test]
fn sydney_in_spring_skips_and_in_autumn_fires_twice() {
    let schedule = in_zone("30 2 * * *", "Australia/Sydney");
    // 2026-04-05: from 03:00 back to 02:00, UTC+11 to UTC+10.
    let autumn =
        ["2026-04-03T15:30:00Z", "2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z", "2026-04-05T16:30:00Z"];
    assert_eq!(next(&schedule, "2026-04-03T12:00:00Z", 4), autumn);
    // 2026-10-04: from 02:00 to 03:00, UTC+10 to UTC+11.
    let spring = ["2026-10-02T16:30:00Z", "2026-10-04T15:30:00Z", "2026-10-05T15:30:00Z"];
    assert_eq!(next(&schedule, "2026-10-02T12:00:00Z", 3), spring);
}

#[test]
fn the_edges_of_a_gap_and_of_an_overlap() {
    let edge = |cron: &str, after: &str, count| next(&in_zone(cron, "Europe/Berlin"), after, count);
    // 02:00 is skipped, 03:00 is the first minute after it; 01:59 comes just before.
    assert_eq!(edge("0 2 29 3 *", "2026-01-01T00:00:00Z", 1), ["2027-03-29T00:00:00Z"]);
    assert_eq!(edge("0 3 29 3 *", "2026-01-01T00:00:00Z", 1), ["2026-03-29T01:00:00Z"]);
    assert_eq!(edge("59 1 29 3 *", "2026-01-01T00:00:00Z", 1), ["2026-03-29T00:59:00Z"]);
    // 02:00 comes twice, 03:00 and 01:59 once.
    let after = "2026-10-24T12:00:00Z";
    assert_eq!(edge("0 2 25 10 *", after, 2), ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]);
    assert_eq!(edge("0 3 25 10 *", after, 2), ["2026-10-25T02:00:00Z", "2027-10-25T01:00:00Z"]);
    assert_eq!(edge("59 1 25 10 *", after, 2), ["2026-10-24T23:59:00Z", "2027-10-24T23:59:00Z"]);
}

#[test]
fn midnight_that_does_not_exist_skips_the_daily_slot() {
    // Cairo 2026-04-24: from 00:00 to 01:00, UTC+2 to UTC+3.
    let schedule = in_zone("@daily", "Africa/Cairo");
    let expected = ["2026-04-22T22:00:00Z", "2026-04-24T21:00:00Z"];
    assert_eq!(next(&schedule, "2026-04-22T12:00:00Z", 2), expected);
}

#[test]
fn a_day_that_a_country_left_out_has_no_slots() {
    // Samoa had no 2011-12-30.
    let schedule = in_zone("0 12 * * *", "Pacific/Apia");
    let expected = ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"];
    assert_eq!(next(&schedule, "2011-12-29T00:00:00Z", 2), expected);
    assert_eq!(
        schedule.count(at("2011-12-28T12:00:00Z"), at("2011-12-31T12:00:00Z"), at("2011-12-28T12:00:00Z")),
        3
    );
}

#[test]
fn hourly_fires_each_real_hour_through_both_changes() {
    for zone in ["Europe/Berlin", "Australia/Sydney", "America/Santiago"] {
        let schedule = in_zone("@hourly", zone);
        let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert_eq!(schedule.count(from, until, from), 8760, "{zone}");
    }
}

#[test]
fn every_minute_fires_1380_times_in_spring_and_1500_times_in_autumn() {
    let schedule = in_zone("* * * * *", "Europe/Berlin");
    let before = |text: &str| at(text).checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
    let day = |from: &str, until: &str| schedule.count(before(from), before(until), at(from));
    assert_eq!(day("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 1380);
    assert_eq!(day("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), 1500);
}

#[test]
fn every_takes_no_notice_of_clock_changes() {
    let schedule = in_zone("@every 30m", "Europe/Berlin");
    let expected = ["2026-03-29T00:45:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:45:00Z"];
    assert_eq!(next(&schedule, "2026-03-29T00:15:00Z", 3), expected);
}
