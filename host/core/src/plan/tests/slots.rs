//! Slots without trouble.

use backstay_api::conditions::reasons as words;
use backstay_api::{PlanStatus, RECENT_SLOTS};

use super::cluster::Cluster;
use super::*;
use crate::plan::{AnchorCause, FireResult, PlanState, PlanVerdict, fired, reasons};

const MIDNIGHT: &str = "2026-03-04T00:00:00Z";

#[test]
fn a_day_of_every_minute_makes_1440_backup_jobs_each_less_than_a_second_late() {
    let mut cluster = Cluster::new(MIDNIGHT, "* * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-05T00:00:01Z"), millis(40));
    assert_eq!(cluster.counts(), (1440, 0, 0));
    assert_eq!(cluster.jobs.len(), 1440);
    for (name, (_, created)) in &cluster.jobs {
        let minute: i64 = name.rsplit_once('-').unwrap().1.parse().unwrap();
        let late = created.duration_since(Timestamp::from_second(minute * 60).unwrap());
        assert!(late < seconds(1), "{name} is {late:?} late");
    }
    assert_eq!(cluster.writes, 1 + 2 * 1440, "the anchor, then one create and one status write a slot");
}

#[test]
fn a_reaction_of_two_seconds_loses_no_slot() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-05T00:00:03Z"), seconds(2));
    assert_eq!(cluster.counts(), (288, 0, 0));
    assert_eq!(cluster.recent()[0], ("00:00:00".to_owned(), "Fired", words::ON_TIME));
}

#[test]
fn a_plan_created_between_slots_fires_nothing_before_the_next_one() {
    let mut cluster = Cluster::new("2026-03-04T10:07:30Z", "*/5 * * * *");
    let look = cluster.reconcile(at("2026-03-04T10:07:30Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:10:00Z"))));
    let look = cluster.reconcile(at("2026-03-04T10:09:59.999Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:10:00Z"))));
    assert_eq!(cluster.counts(), (0, 0, 0));
    let look = cluster.reconcile(at("2026-03-04T10:10:00Z")).unwrap();
    let slot = look.fired.unwrap();
    assert_eq!((slot.at, slot.name.as_str()), (at("2026-03-04T10:10:00Z"), "cache-nightly-29543650"));
    assert_eq!(look.wake_at, Some(at("2026-03-04T10:15:00Z")));
    assert_eq!(cluster.counts(), (1, 0, 0));
}

#[test]
fn a_plan_created_at_the_very_time_of_a_slot_waits_for_the_next() {
    let mut cluster = Cluster::new("2026-03-04T10:10:00Z", "*/5 * * * *");
    let look = cluster.reconcile(at("2026-03-04T10:10:00.5Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:15:00Z"))));
}

#[test]
fn every_ten_minutes_counts_from_the_creation_and_does_not_drift() {
    let mut cluster = Cluster::new("2026-03-04T10:07:30Z", "@every 10m");
    cluster.run(at("2026-03-04T10:07:31Z"), at("2026-03-05T10:07:33Z"), millis(900));
    assert_eq!(cluster.counts(), (144, 0, 0));
    assert_eq!(cluster.recent()[0].0, "10:07:30");
    assert_eq!(cluster.recent()[1].0, "09:57:30");
}

#[test]
fn every_hour_fires_though_it_is_longer_than_the_starting_deadline() {
    let mut cluster = Cluster::new(MIDNIGHT, "@every 1h");
    cluster.run(at(MIDNIGHT), at("2026-03-05T00:00:01Z"), millis(100));
    assert_eq!(cluster.counts(), (24, 0, 0));
}

#[test]
fn a_daily_plan_in_berlin_follows_local_time_through_the_change_of_the_clock() {
    let mut cluster = Cluster::new("2026-03-27T12:00:00Z", "15 4 * * *");
    cluster.time_zone = Some("Europe/Berlin".to_owned());
    cluster.run(at("2026-03-27T12:00:00Z"), at("2026-03-31T00:00:00Z"), millis(100));
    let times: Vec<String> = cluster.recent().into_iter().map(|(time, ..)| time).collect();
    assert_eq!(times, ["02:15:00", "02:15:00", "03:15:00"]);
}

#[test]
fn deciding_twice_changes_nothing() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-04T06:00:00Z"), millis(100));
    let before = (cluster.status.clone(), cluster.writes);
    let look = cluster.reconcile(at("2026-03-04T05:57:00Z")).unwrap();
    assert_eq!(look.fired, None);
    assert_eq!((cluster.status.clone(), cluster.writes), before);
}

#[test]
fn slots_of_a_suspended_plan_are_skipped_and_it_fires_again_after() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    let wake = cluster.run(at(MIDNIGHT), at("2026-03-04T01:00:00Z"), millis(100));
    cluster.suspend = true;
    let wake = cluster.run(wake, at("2026-03-04T02:00:00Z"), millis(100));
    assert_eq!(cluster.status.next_slot, None);
    cluster.suspend = false;
    cluster.run(wake, at("2026-03-04T03:00:00Z"), millis(100));
    assert_eq!(cluster.counts(), (11 + 12, 12, 0));
    assert_eq!(cluster.jobs.len(), 23);
    assert!(cluster.recent().contains(&("01:30:00".to_owned(), "Skipped", words::SUSPENDED)));
}

#[test]
fn resuming_a_plan_does_not_fire_the_slot_that_was_skipped() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.suspend = true;
    cluster.reconcile(at("2026-03-04T00:05:00.1Z")).unwrap();
    cluster.suspend = false;
    let look = cluster.reconcile(at("2026-03-04T00:05:01Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T00:10:00Z"))));
    assert_eq!(cluster.counts(), (0, 1, 0));
}

#[test]
fn a_name_taken_by_another_owner_is_missed_and_later_slots_go_on() {
    let mut cluster = Cluster::new("2026-03-04T10:07:30Z", "*/5 * * * *");
    cluster.take_name("cache-nightly-29543650");
    cluster.run(at("2026-03-04T10:07:30Z"), at("2026-03-04T10:16:00Z"), millis(100));
    assert_eq!(cluster.counts(), (1, 0, 1));
    let taken = &cluster.status.recent[1];
    assert_eq!((taken.outcome.as_str(), taken.reason.as_str()), ("Missed", words::NAME_TAKEN));
    assert_eq!(taken.backup_job, None);
    let message = taken.message.as_deref().unwrap();
    assert!(message.contains("cache-nightly-29543650") && message.contains("uid-of-another"), "{message}");
}

#[test]
fn an_edited_schedule_counts_from_the_edit() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-04T10:06:00Z"), millis(100));
    let (fired_before, ..) = cluster.counts();
    cluster.cron = "*/2 * * * *".to_owned();
    // 10:06 is a slot of the new schedule, and before the edit.
    let look = cluster.reconcile(at("2026-03-04T10:06:30.7Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T10:08:00Z"))));
    assert_eq!(cluster.status.anchor.as_ref().unwrap().0, at("2026-03-04T10:06:30Z"));
    assert_eq!(cluster.status.schedule.as_deref(), Some("*/2 * * * *"));
    cluster.run(at("2026-03-04T10:08:00.1Z"), at("2026-03-04T10:11:00Z"), millis(100));
    assert_eq!(cluster.counts(), (fired_before + 2, 0, 0));
}

#[test]
fn an_edit_to_every_counts_the_period_from_the_edit() {
    let mut cluster = Cluster::new(MIDNIGHT, "0 0 * * *");
    cluster.reconcile(at("2026-03-04T10:00:00Z")).unwrap();
    cluster.cron = "@every 10m".to_owned();
    let look = cluster.reconcile(at("2026-03-04T10:06:30.7Z")).unwrap();
    assert_eq!(look.wake_at, Some(at("2026-03-04T10:16:30Z")));
}

#[test]
fn a_time_zone_is_part_of_the_schedule_wherever_it_is_written() {
    let mut cluster = Cluster::new(MIDNIGHT, "CRON_TZ=Asia/Tokyo 0 0 * * *");
    cluster.reconcile(at("2026-03-04T10:00:00Z")).unwrap();
    let anchor = cluster.status.anchor.clone();
    cluster.cron = "0 0 * * *".to_owned();
    cluster.time_zone = Some("Asia/Tokyo".to_owned());
    cluster.reconcile(at("2026-03-04T11:00:00Z")).unwrap();
    assert_eq!(cluster.status.anchor, anchor, "the zone has only moved into its field");
    cluster.time_zone = Some("Europe/Berlin".to_owned());
    let look = cluster.reconcile(at("2026-03-04T12:00:00Z")).unwrap();
    assert_eq!(cluster.status.anchor.as_ref().unwrap().0, at("2026-03-04T12:00:00Z"));
    assert_eq!(look.wake_at, Some(at("2026-03-04T23:00:00Z")));
}

#[test]
fn an_invalid_schedule_says_so_fires_nothing_and_keeps_what_is_recorded() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-04T01:00:00Z"), millis(100));
    cluster.cron = "*/5 * * * 7".to_owned();
    let state = cluster.state();
    let verdict = cluster.decide(&state, at("2026-03-04T01:00:00Z"));
    let PlanVerdict::Invalid { reason, message, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(reason, words::INVALID_CRON);
    assert!(message.contains("spec.schedule.cron: day-of-week `7`"), "{message}");
    let look = cluster.reconcile(at("2026-03-04T01:00:00Z")).unwrap();
    assert!(look.invalid.is_some() && look.wake_at.is_none());
    assert_eq!(cluster.status.next_slot, None);
    assert_eq!(cluster.counts(), (11, 0, 1), "01:00 was due when the edit was seen");
    assert_eq!(cluster.recent()[0], ("01:00:00".to_owned(), "Missed", reasons::SCHEDULE_CHANGED));
    // Hours later the old text returns: it counts from here.
    cluster.cron = "*/5 * * * *".to_owned();
    let look = cluster.reconcile(at("2026-03-04T05:02:00Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T05:05:00Z"))));
    assert_eq!(cluster.counts(), (11, 0, 1));
}

#[test]
fn a_plan_that_was_invalid_from_the_beginning_counts_from_its_repair() {
    let mut cluster = Cluster::new(MIDNIGHT, "0 0 30 2 *");
    assert!(cluster.reconcile(at(MIDNIGHT)).unwrap().invalid.unwrap().contains("no activation"));
    assert!(cluster.jobs.is_empty());
    cluster.cron = "* * * * *".to_owned();
    let look = cluster.reconcile(at("2026-03-04T09:00:30Z")).unwrap();
    assert_eq!((look.fired, look.wake_at), (None, Some(at("2026-03-04T09:01:00Z"))));
    assert_eq!(cluster.counts(), (0, 0, 0));
}

#[test]
fn an_absent_schedule_is_invalid() {
    let mut cluster = Cluster::new(MIDNIGHT, "");
    assert!(cluster.reconcile(at(MIDNIGHT)).unwrap().invalid.unwrap().contains("spec.schedule.cron"));
}

#[test]
fn a_new_anchor_is_announced_once_with_its_cause() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    let cause = |cluster: &Cluster, now: &str| match cluster.decide(&cluster.state(), at(now)) {
        PlanVerdict::Scheduled { anchored, .. } => anchored,
        PlanVerdict::Invalid { message, .. } => panic!("{message}"),
    };
    assert_eq!(cause(&cluster, "2026-03-04T00:01:00Z"), Some(AnchorCause::Created));
    cluster.reconcile(at("2026-03-04T00:01:00Z")).unwrap();
    assert_eq!(cause(&cluster, "2026-03-04T00:02:00Z"), None);
    cluster.cron = "*/7 * * * *".to_owned();
    assert_eq!(cause(&cluster, "2026-03-04T00:03:00Z"), Some(AnchorCause::ScheduleChanged));
}

#[test]
fn the_list_of_outcomes_is_bounded_and_newest_first() {
    let mut cluster = Cluster::new(MIDNIGHT, "* * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-04T01:00:00Z"), millis(100));
    let slots: Vec<Timestamp> = cluster.status.recent.iter().map(|known| known.slot.0).collect();
    assert_eq!(slots.len(), RECENT_SLOTS);
    assert_eq!(slots[0], at("2026-03-04T00:59:00Z"));
    assert!(slots.is_sorted_by(|newer, older| newer > older), "{slots:?}");
}

#[test]
fn the_status_holds_the_whole_state() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    cluster.run(at(MIDNIGHT), at("2026-03-04T01:00:00Z"), millis(100));
    let state = cluster.state();
    let mut status = PlanStatus::default();
    state.apply_to(&mut status);
    assert_eq!(status, cluster.status);
    assert_eq!(PlanState::from(&status), state);
    assert_eq!(status.next_slot.unwrap().0, at("2026-03-04T01:00:00Z"));
    assert_eq!(status.last_slot.unwrap().0, at("2026-03-04T00:55:00Z"));
}

#[test]
fn a_slot_is_recorded_once_however_often_it_is_confirmed() {
    let mut cluster = Cluster::new(MIDNIGHT, "*/5 * * * *");
    let verdict = cluster.decide(&PlanState::default(), at("2026-03-04T00:05:00.2Z"));
    let PlanVerdict::Scheduled { state, fire: Some(slot), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(cluster.create(&slot, slot.at).unwrap(), FireResult::Created);
    let once = fired(&state, &slot, FireResult::Created);
    assert_eq!((once.counts.fired, once.last_slot), (1, Some(slot.at)));
    let again = fired(&once, &slot, FireResult::AlreadyOurs);
    assert_eq!(again, once);
    assert_eq!(fired(&again, &slot, FireResult::NameTaken { by: "no owner".to_owned() }), once);
}

#[test]
fn every_reason_is_one_that_the_api_server_accepts() {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let used = [words::INVALID_CRON, words::SUSPENDED, words::ON_TIME, words::LATE, words::NAME_TAKEN];
    for reason in reasons::ALL.iter().chain(&used) {
        assert!(reason.starts_with(|c: char| c.is_ascii_alphabetic()), "{reason}");
        assert!(reason.chars().all(word) && !reason.ends_with([',', ':']), "{reason}");
    }
}
