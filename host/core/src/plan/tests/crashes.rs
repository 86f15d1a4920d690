//! Crashes between two writes, and two controllers at once: exactly one outcome a slot.

use super::cluster::Cluster;
use super::*;
use crate::plan::{FireResult, PlanState, PlanVerdict, Slot, fired, reasons};

const START: &str = "2026-03-04T10:00:00Z";

/// Plays an hour of `*/5` with an outage of 22 minutes, a suspension and an edit. Returns the number of writes.
fn scenario(cluster: &mut Cluster) -> u64 {
    let step = millis(100);
    cluster.run(at(START), at("2026-03-04T10:16:00Z"), step);
    let wake = cluster.run(at("2026-03-04T10:38:00Z"), at("2026-03-04T10:44:00Z"), step);
    cluster.suspend = true;
    let wake = cluster.run(wake, at("2026-03-04T10:52:00Z"), step);
    cluster.suspend = false;
    cluster.run(wake, at("2026-03-04T10:57:00Z"), step);
    cluster.cron = "*/2 * * * *".to_owned();
    cluster.changed_at = Some(at("2026-03-04T10:57:00Z"));
    cluster.run(at("2026-03-04T10:57:00.1Z"), at("2026-03-04T11:05:00Z"), step);
    cluster.writes
}

#[test]
fn a_restart_after_any_single_write_changes_no_count_and_no_backup_job() {
    let mut undisturbed = Cluster::new(START, "*/5 * * * *");
    let writes = scenario(&mut undisturbed);
    // Fired: 10:05 to 10:15, 10:35, 10:40, 10:55, then 10:58 to 11:04. Missed: 10:20 to 10:30. Skipped: 10:45, 10:50.
    assert_eq!(undisturbed.counts(), (3 + 2 + 1 + 4, 2, 3));
    for write in 1..=writes {
        let mut cluster = Cluster::new(START, "*/5 * * * *");
        cluster.crash_after_write = Some(write);
        scenario(&mut cluster);
        assert_eq!(cluster.counts(), undisturbed.counts(), "crash after write {write}");
        let names = |cluster: &Cluster| cluster.jobs.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&cluster), names(&undisturbed), "crash after write {write}");
        let slots = |cluster: &Cluster| {
            let outcome = |(time, outcome, _): (String, &str, &str)| (time, outcome.to_owned());
            cluster.recent().into_iter().map(outcome).collect::<Vec<_>>()
        };
        assert_eq!(slots(&cluster), slots(&undisturbed), "crash after write {write}");
    }
}

/// Returns a Plan whose controller died at 10:05:00.1, between the BackupJob of 10:05 and the status.
fn created_but_not_recorded(cron: &str, name: &str) -> Cluster {
    let mut cluster = Cluster::new("2026-03-04T10:04:30Z", cron);
    cluster.name = name.to_owned();
    cluster.reconcile(at("2026-03-04T10:04:30Z")).unwrap();
    cluster.crash_after_write = Some(cluster.writes + 1);
    cluster.reconcile(at("2026-03-04T10:05:00.1Z")).unwrap_err();
    assert_eq!((cluster.jobs.len(), cluster.counts()), (1, (0, 0, 0)));
    cluster
}

#[test]
fn a_slot_that_was_created_but_not_recorded_is_recorded_as_fired_however_long_the_crash_lasts() {
    // A name that fits, and a name that is shortened with a hash.
    for name in ["cache-nightly", &"long-".repeat(40)] {
        for (restart, expected) in [
            ("2026-03-04T10:05:02Z", (1, 0, 0)),
            ("2026-03-04T10:07:30Z", (2, 0, 1)),
            ("2026-03-04T11:05:30Z", (2, 0, 59)),
        ] {
            let mut cluster = created_but_not_recorded("* * * * *", name);
            cluster.reconcile(at(restart)).unwrap();
            assert_eq!(cluster.counts(), expected, "{name}, restart at {restart}");
            assert_eq!(cluster.jobs.len(), expected.0 as usize);
        }
        let mut hourly = created_but_not_recorded("5 * * * *", name);
        hourly.reconcile(at("2026-03-04T10:45:00Z")).unwrap();
        assert_eq!(hourly.counts(), (1, 0, 0));
        assert_eq!(hourly.recent(), [("10:05:00".to_owned(), "Fired", reasons::ALREADY_CREATED)]);
    }
}

#[test]
fn a_slot_that_was_created_but_not_recorded_is_fired_though_the_plan_was_suspended_or_edited_meanwhile() {
    let mut suspended = created_but_not_recorded("* * * * *", "p");
    suspended.suspend = true;
    suspended.reconcile(at("2026-03-04T10:06:30Z")).unwrap();
    assert_eq!(suspended.counts(), (1, 1, 0));
    let mut edited = created_but_not_recorded("* * * * *", "p");
    edited.cron = "0 2 * * *".to_owned();
    edited.reconcile(at("2026-03-04T10:06:30Z")).unwrap();
    assert_eq!(edited.counts(), (1, 0, 1));
    let mut broken = created_but_not_recorded("* * * * *", "p");
    broken.cron = "nonsense".to_owned();
    broken.reconcile(at("2026-03-04T10:06:30Z")).unwrap();
    assert_eq!(broken.counts(), (1, 0, 1));
}

#[test]
fn a_backup_job_of_a_minute_that_is_no_slot_is_not_counted() {
    let mut cluster = Cluster::new(START, "*/5 * * * *");
    for name in ["cache-nightly-29543642", "other-29543645", "by-hand", "cache-nightly-"] {
        cluster.jobs.insert(name.to_owned(), ("uid-of-the-plan".to_owned(), at(START)));
    }
    cluster.reconcile(at("2026-03-04T10:12:00Z")).unwrap();
    assert_eq!(cluster.counts(), (1, 0, 1));
}

/// A controller that can be stopped between any two of its steps.
#[derive(Default)]
enum Step {
    #[default]
    Idle,
    Decided(PlanState, u64, Option<Slot>),
    Answered(PlanState, u64),
}

struct Controller {
    step: Step,
    /// Error of the controller's clock.
    skew: SignedDuration,
}

impl Controller {
    /// Does the next step: read and decide, create, or write the status.
    fn advance(&mut self, cluster: &mut Cluster, now: Timestamp) {
        let now = now + self.skew;
        self.step = match std::mem::take(&mut self.step) {
            Step::Idle => {
                let (state, version) = cluster.read();
                match cluster.decide(&state, now) {
                    PlanVerdict::Scheduled { state, fire, .. } => Step::Decided(state, version, fire),
                    PlanVerdict::Invalid { message, .. } => panic!("{message}"),
                }
            }
            Step::Decided(state, version, Some(slot)) => {
                let result = cluster.create(&slot, now).unwrap();
                Step::Answered(fired(&state, &slot, result), version)
            }
            Step::Decided(state, version, None) | Step::Answered(state, version) => {
                cluster.write_status(&state, version).unwrap();
                Step::Idle
            }
        };
    }
}

#[test]
fn two_controllers_at_once_change_no_count_in_any_order_of_their_steps() {
    for seed in 1..=200_u64 {
        let mut cluster = Cluster::new(START, "* * * * *");
        let mut controllers = [0, 700].map(|skew| Controller { step: Step::Idle, skew: millis(skew) });
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut now = at(START);
        while now < at("2026-03-04T10:30:30Z") {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            controllers[(random >> 20) as usize % 2].advance(&mut cluster, now);
            now += millis(((random >> 30) % 3000) as i64);
        }
        // Both controllers finish.
        for _ in 0..8 {
            controllers.iter_mut().for_each(|controller| controller.advance(&mut cluster, now));
        }
        assert_eq!(cluster.counts(), (30, 0, 0), "seed {seed}");
        assert_eq!(cluster.jobs.len(), 30, "seed {seed}");
    }
}

#[test]
fn a_slot_given_up_by_a_clock_ahead_while_it_was_being_made_is_corrected_to_fired() {
    let mut cluster = Cluster::new("2026-03-04T09:30:00Z", "0 * * * *");
    let verdict = cluster.decide(&cluster.state(), at("2026-03-04T10:04:59Z"));
    let PlanVerdict::Scheduled { fire: Some(slot), .. } = verdict else { panic!("{verdict:?}") };
    // The other controller's clock is two seconds ahead: for it, the deadline has passed.
    cluster.reconcile(at("2026-03-04T10:05:01Z")).unwrap();
    assert_eq!(cluster.counts(), (0, 0, 1));
    assert_eq!(cluster.create(&slot, slot.at).unwrap(), FireResult::Created);
    let corrected = fired(&cluster.state(), &slot, FireResult::Created);
    assert_eq!((corrected.counts.fired, corrected.counts.missed), (1, 0));
    assert_eq!((corrected.recent.len(), corrected.recent[0].outcome.as_str()), (1, "Fired"));
    assert_eq!(fired(&corrected, &slot, FireResult::AlreadyOurs), corrected);
}

#[test]
fn every_slot_has_exactly_one_outcome_through_random_outages_pauses_and_crashes() {
    for seed in 1..=10_u64 {
        let mut cluster = Cluster::new(START, "*/7 * * * *");
        cluster.time_zone = Some("Europe/Berlin".to_owned());
        let mut random = seed.wrapping_mul(0xd134_2543_de82_ef95);
        let mut now = at(START);
        for _ in 0..30 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            cluster.suspend = random % 5 == 0;
            cluster.crash_after_write = (random % 3 == 0).then_some(cluster.writes + 1 + random % 4);
            let until = now + seconds((random >> 16) as i64 % 7200);
            now = cluster.run(now, until, millis(100)).max(until);
            now += seconds((random >> 40) as i64 % 3600);
        }
        cluster.crash_after_write = None;
        cluster.reconcile(now).unwrap();
        let schedule = crate::schedule::Schedule::parse("*/7 * * * *", Some("Europe/Berlin")).unwrap();
        let slots = schedule.count(at(START), now, at(START)) as i64;
        let (fired, skipped, missed) = cluster.counts();
        assert_eq!(fired + skipped + missed, slots, "seed {seed}");
        assert_eq!(fired as usize, cluster.jobs.len(), "seed {seed}");
        assert!(skipped > 0 && missed > 0, "seed {seed} tests too little");
    }
}
