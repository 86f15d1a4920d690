//! Slots that no controller decided in time, and clocks that are wrong.

use backstay_api::conditions::reasons as words;
use backstay_api::{RECENT_SLOTS, SlotCounts};

use super::cluster::Cluster;
use super::*;
use crate::plan::{AnchorCause, PlanVerdict, Recorded, reasons};

const MIDNIGHT: &str = "2026-03-04T00:00:00Z";

/// Returns a Plan of every minute that ran from midnight until just after 10:00 and has fired 600 slots.
fn until_ten(cron: &str) -> Cluster {
    let mut cluster = Cluster::new(MIDNIGHT, cron);
    cluster.run(at(MIDNIGHT), at("2026-03-04T10:00:30Z"), millis(100));
    cluster
}

fn recorded(cluster: &Cluster, now: &str) -> Recorded {
    match cluster.decide(&cluster.state(), at(now)) {
        PlanVerdict::Scheduled { recorded, .. } | PlanVerdict::Invalid { recorded, .. } => recorded,
    }
}

#[test]
fn one_hour_down_gives_59_missed_and_one_late_run() {
    let mut cluster = until_ten("* * * * *");
    let jobs_before = cluster.jobs.len();
    let look = cluster.reconcile(at("2026-03-04T11:00:30Z")).unwrap();
    assert_eq!(look.fired.unwrap().at, at("2026-03-04T11:00:00Z"));
    assert_eq!(look.wake_at, Some(at("2026-03-04T11:01:00Z")));
    assert_eq!(cluster.counts(), (601, 0, 59));
    assert_eq!(cluster.jobs.len(), jobs_before + 1);
    let recent = cluster.recent();
    assert_eq!(recent[0], ("11:00:00".to_owned(), "Fired", words::LATE));
    assert_eq!(cluster.status.recent[0].message.as_deref(), Some("30 s after its time"));
    // 10:56 to 10:59 could still have run; 10:55 and before could not.
    for (index, minute) in (56..60).rev().enumerate() {
        assert_eq!(recent[1 + index], (format!("10:{minute}:00"), "Missed", reasons::SUPERSEDED_BY_LATER));
    }
    assert_eq!(recent[5], ("10:55:00".to_owned(), "Missed", reasons::STARTING_DEADLINE_EXCEEDED));
    let message = cluster.status.recent[5].message.as_deref().unwrap();
    assert!(
        message.contains("330 s") && message.contains("startingDeadlineSeconds allows 300 s"),
        "{message}"
    );
    assert_eq!(recent.len(), RECENT_SLOTS);
}

#[test]
fn a_slot_whose_backup_job_was_refused_until_its_deadline_says_why() {
    let mut cluster = Cluster::new("2026-03-04T10:30:00Z", "0 * * * *");
    cluster.refused =
        Some((at("2026-03-04T11:00:00Z"), "creating BackupJob failed: exceeded quota".to_owned()));
    cluster.reconcile(at("2026-03-04T11:05:01Z")).unwrap();
    assert_eq!(cluster.recent()[0].2, reasons::STARTING_DEADLINE_EXCEEDED);
    let message = cluster.status.recent[0].message.as_deref().unwrap();
    assert!(message.contains("could not be created") && message.contains("exceeded quota"), "{message}");
    assert!(!message.contains("looked at"), "{message}");
}

#[test]
fn a_slot_as_old_as_the_starting_deadline_fires_and_one_second_older_is_missed() {
    for (now, fires) in [("2026-03-04T11:05:00Z", true), ("2026-03-04T11:05:01Z", false)] {
        let mut cluster = Cluster::new("2026-03-04T10:30:00Z", "0 * * * *");
        let look = cluster.reconcile(at(now)).unwrap();
        assert_eq!(look.fired.is_some(), fires, "{now}");
        assert_eq!(look.wake_at, Some(at("2026-03-04T12:00:00Z")));
        assert_eq!(cluster.counts(), if fires { (1, 0, 0) } else { (0, 0, 1) }, "{now}");
    }
}

#[test]
fn the_starting_deadline_is_the_plans_own() {
    let mut cluster = Cluster::new("2026-03-04T10:30:00Z", "0 * * * *");
    cluster.deadline = Some(7200);
    let look = cluster.reconcile(at("2026-03-04T12:59:00Z")).unwrap();
    assert_eq!(look.fired.unwrap().at, at("2026-03-04T12:00:00Z"));
    assert_eq!(cluster.counts(), (1, 0, 1));
    assert_eq!(cluster.recent()[1], ("11:00:00".to_owned(), "Missed", reasons::SUPERSEDED_BY_LATER));
}

#[test]
fn a_starting_deadline_of_zero_still_fires_slots_on_time_but_none_after_an_outage() {
    for deadline in [0, -5] {
        let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
        cluster.deadline = Some(deadline);
        cluster.run(at(MIDNIGHT), at("2026-03-04T10:01:00Z"), seconds(2));
        assert_eq!(cluster.counts(), (120, 0, 0));
        assert_eq!(cluster.reconcile(at("2026-03-04T10:10:30Z")).unwrap().fired, None);
        assert_eq!(cluster.counts(), (120, 0, 2));
    }
}

#[test]
fn a_year_down_is_counted_to_the_minute() {
    let mut cluster = until_ten("* * * * *");
    cluster.reconcile(at("2027-03-04T10:00:30Z")).unwrap();
    assert_eq!(cluster.counts(), (601, 0, 365 * 1440 - 1));
    assert_eq!(cluster.status.recent.len(), RECENT_SLOTS);
    cluster.time_zone = Some("Europe/Berlin".to_owned());
    cluster.reconcile(at("2027-03-04T10:00:31Z")).unwrap();
    cluster.reconcile(at("2028-03-04T10:00:31Z")).unwrap();
    assert_eq!(cluster.counts(), (602, 0, 365 * 1440 - 1 + 366 * 1440 - 1));
}

#[test]
fn more_than_ten_years_down_is_counted_at_least() {
    let cluster = until_ten("* * * * *");
    assert!(!recorded(&cluster, "2035-03-04T10:00:30Z").at_least);
    let much = recorded(&cluster, "2096-03-04T10:00:30Z");
    assert!(much.at_least);
    assert_eq!(much.counts, SlotCounts { fired: 0, skipped: 0, missed: 3660 * 1440 - 1 });
    assert_eq!(much.latest.len(), RECENT_SLOTS);
    assert!(recorded(&cluster, "9999-12-01T00:00:30Z").at_least);
}

#[test]
fn slots_of_an_outage_of_a_suspended_plan_are_skipped() {
    let mut cluster = until_ten("* * * * *");
    cluster.suspend = true;
    assert_eq!(cluster.reconcile(at("2026-03-04T11:00:30Z")).unwrap().fired, None);
    assert_eq!(cluster.counts(), (600, 60, 0));
}

#[test]
fn what_a_verdict_recorded_is_what_it_added_to_the_state() {
    let cluster = until_ten("* * * * *");
    let verdict = cluster.decide(&cluster.state(), at("2026-03-04T10:03:30Z"));
    let PlanVerdict::Scheduled { state, recorded, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(recorded.counts, SlotCounts { fired: 0, skipped: 0, missed: 2 });
    assert_eq!(recorded.latest, state.recent[..2]);
    assert_eq!(state.counts, SlotCounts { fired: 600, skipped: 0, missed: 2 });
    assert_eq!(state.last_slot, Some(at("2026-03-04T10:02:00Z")), "10:03 is recorded once it has fired");
}

#[test]
fn runs_that_the_reference_made_are_found_and_not_made_again() {
    let mut cluster = Cluster::new("2026-03-04T09:58:00Z", "* * * * *");
    // Another controller fired 09:59 and 10:01 of this Plan and recorded neither.
    for minute in ["2026-03-04T09:59:00Z", "2026-03-04T10:01:00Z"] {
        let name = backstay_api::names::plan_run_name(&cluster.name, at(minute).as_second());
        cluster.jobs.insert(name, ("uid-of-the-plan".to_owned(), at(minute)));
    }
    let look = cluster.reconcile(at("2026-03-04T10:01:30Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:02:00Z"))));
    assert_eq!(cluster.counts(), (2, 0, 1));
    let expected = [
        ("10:01:00", "Fired", reasons::ALREADY_CREATED),
        ("10:00:00", "Missed", reasons::SUPERSEDED_BY_LATER),
        ("09:59:00", "Fired", reasons::ALREADY_CREATED),
    ];
    assert_eq!(cluster.recent(), expected.map(|(time, outcome, reason)| (time.to_owned(), outcome, reason)));
    assert_eq!(cluster.status.recent[0].backup_job.as_deref(), Some("cache-nightly-29543641"));
}

#[test]
fn slots_of_the_old_schedule_do_not_fire_after_an_edit_during_an_outage() {
    let mut cluster = until_ten("*/5 * * * *");
    cluster.cron = "0 2 * * *".to_owned();
    let look = cluster.reconcile(at("2026-03-04T10:21:00Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-05T02:00:00Z"))));
    assert_eq!(cluster.counts(), (120, 0, 4));
    assert_eq!(cluster.recent()[0], ("10:20:00".to_owned(), "Missed", reasons::SCHEDULE_CHANGED));
}

#[test]
fn an_edit_during_an_outage_counts_from_its_own_time_where_that_is_known() {
    let mut cluster = until_ten("*/5 * * * *");
    cluster.cron = "*/2 * * * *".to_owned();
    cluster.changed_at = Some(at("2026-03-04T10:11:00Z"));
    // Old schedule: 10:05 and 10:10. New schedule: 10:12 to 10:20, of which the last runs late.
    let look = cluster.reconcile(at("2026-03-04T10:21:00Z")).unwrap();
    assert_eq!(look.fired.unwrap().at, at("2026-03-04T10:20:00Z"));
    assert_eq!(cluster.counts(), (121, 0, 2 + 4));
    assert_eq!(cluster.status.anchor.as_ref().unwrap().0, at("2026-03-04T10:11:00Z"));
}

#[test]
fn a_time_of_change_outside_of_what_is_possible_is_not_believed() {
    for (changed_at, anchor) in
        [("2026-03-04T09:00:00Z", "2026-03-04T10:00:00Z"), ("2026-03-04T23:00:00Z", "2026-03-04T10:21:00Z")]
    {
        let mut cluster = until_ten("*/5 * * * *");
        cluster.cron = "*/2 * * * *".to_owned();
        cluster.changed_at = Some(at(changed_at));
        cluster.reconcile(at("2026-03-04T10:21:00Z")).unwrap();
        assert_eq!(cluster.status.anchor.as_ref().unwrap().0, at(anchor), "{changed_at}");
    }
}

#[test]
fn a_clock_that_goes_back_fires_and_records_no_slot_again() {
    for back in
        ["2026-03-04T10:00:29Z", "2026-03-04T09:55:10Z", "2026-03-04T05:00:00Z", "2026-03-03T10:00:30Z"]
    {
        let mut cluster = until_ten("* * * * *");
        let before = cluster.status.clone();
        let look = cluster.reconcile(at(back)).unwrap();
        assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:01:00Z"))), "{back}");
        assert_eq!(cluster.status, before, "{back}");
        // Real time reaches the recorded slots.
        cluster.run(at("2026-03-04T10:01:00.1Z"), at("2026-03-04T10:11:00Z"), millis(100));
        assert_eq!(cluster.counts(), (610, 0, 0), "{back}");
    }
}

#[test]
fn an_edit_under_a_clock_that_went_back_does_not_reach_before_recorded_slots() {
    let mut cluster = until_ten("* * * * *");
    cluster.cron = "*/5 * * * *".to_owned();
    let look = cluster.reconcile(at("2026-03-04T09:00:00Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:05:00Z"))));
    assert_eq!(cluster.counts(), (600, 0, 0));
}

#[test]
fn a_clock_that_was_days_ahead_does_not_stop_backups_once_it_is_right() {
    let mut cluster = until_ten("0 * * * *");
    cluster.reconcile(at("2029-01-01T00:00:30Z")).unwrap();
    let now = at("2026-03-04T10:30:00Z");
    let verdict = cluster.decide(&cluster.state(), now);
    let PlanVerdict::Scheduled { anchored, .. } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(*anchored, Some(AnchorCause::ClockMovedBack));
    let (fired_before, _, missed_before) = cluster.counts();
    let look = cluster.reconcile(now).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T11:00:00Z"))));
    cluster.run(at("2026-03-04T11:00:00.1Z"), at("2026-03-04T13:30:00Z"), millis(100));
    assert_eq!(cluster.counts(), (fired_before + 3, 0, missed_before));
}

#[test]
fn a_clock_far_behind_the_api_server_waits_for_the_creation_and_writes_nothing_twice() {
    let mut cluster = Cluster::new("2026-03-04T10:00:00Z", "0 * * * *");
    for _ in 0..3 {
        let look = cluster.reconcile(at("2020-01-01T00:00:00Z")).unwrap();
        assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T11:00:00Z"))));
    }
    assert_eq!(cluster.writes, 1);
}
