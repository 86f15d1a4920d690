//! Plans: R1, F1, F2, F4, F5. `backstay-core` tests the rules of slots without a cluster.

use std::time::Duration;

use backstay_api::{BackupJob, Plan, names};
use backstay_tests::{World, ready};
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::json;

/// Limit of the wait for a slot, which is at most a minute away, and for its run.
const NEXT_SLOT: Duration = Duration::from_secs(100);

async fn invalid(w: &World, name: &str, cron: &str) -> String {
    w.plan(name, cron, json!({})).await;
    let plan: Plan = w
        .until(name, "marked as invalid", |p: &Plan| {
            let conditions = p.status.iter().flat_map(|s| &s.conditions);
            conditions.into_iter().any(|c| c.type_ == "Error" && c.status == "True")
        })
        .await;
    let status = plan.status.expect("a status");
    assert_eq!(ready(&status.conditions), ("False".into(), "InvalidCron".into()));
    status.conditions.iter().find(|c| c.type_ == "Error").map(|c| c.message.clone()).expect("a message")
}

#[tokio::test]
async fn f1_a_bad_schedule_is_visible_and_its_repair_too() {
    let Some(w) = World::new("f1").await else { return };
    let message = invalid(&w, "bad", "61 * * * *").await;
    assert!(message.contains("spec.schedule.cron"), "{message}");
    w.event("bad", "InvalidCron").await;
    let repair = Patch::Merge(json!({"spec": {"schedule": {"cron": "0 3 * * *"}}}));
    w.api::<Plan>().patch("bad", &Default::default(), &repair).await.expect("it is accepted");
    let plan: Plan = w
        .until("bad", "valid again", |p: &Plan| {
            p.status.as_ref().is_some_and(|s| ready(&s.conditions) == ("True".into(), "ScheduleValid".into()))
        })
        .await;
    assert!(plan.status.and_then(|s| s.next_slot).is_some());
}

#[tokio::test]
async fn f2_f4_f5_schedules_that_cannot_be_meant_are_refused_and_fire_nothing() {
    let Some(w) = World::new("f245").await else { return };
    for (name, cron) in [
        ("every", "@every 30s"),
        ("never", "0 0 30 2 *"),
        ("zone", "CRON_TZ=Nowhere 0 3 * * *"),
        ("space", "CRON_TZ=UTC"),
    ] {
        invalid(&w, name, cron).await;
    }
    assert!(w.api::<BackupJob>().list(&Default::default()).await.expect("a list").items.is_empty());
}

#[tokio::test]
async fn r1_a_plan_fires_at_its_slot_owns_the_run_and_records_the_outcome() {
    let Some(w) = World::new("r1a").await else { return };
    w.script("true").await;
    let made = w.plan("hourly", "* * * * *", json!({})).await;
    let fired: Plan = w
        .until_within(NEXT_SLOT, "hourly", "fired", |p: &Plan| {
            p.status.as_ref().and_then(|s| s.counts).is_some_and(|c| c.fired >= 1)
        })
        .await;
    let status = fired.status.expect("a status");
    let slot = status.recent.last().expect("an outcome").clone();
    assert_eq!((slot.outcome.as_str(), slot.reason.as_str()), ("Fired", "OnTime"));
    assert!(
        slot.slot.0 > made.metadata.creation_timestamp.expect("a time").0,
        "nothing fires for a slot before the Plan"
    );
    let name = names::plan_run_name("hourly", slot.slot.0.as_second());
    assert_eq!(slot.backup_job.as_deref(), Some(name.as_str()));
    let run = w.backup_succeeds(&name).await;
    assert_eq!(run.spec.plan_ref.expect("a reference").name, "hourly");
    assert_eq!(run.metadata.owner_references.expect("owners")[0].uid, made.metadata.uid.expect("a uid"));
    let late = run.metadata.creation_timestamp.expect("a time").0.duration_since(slot.slot.0);
    assert!(late.as_secs() <= 5, "{late}");
    w.delete::<Plan>("hourly").await;
    w.until_gone::<BackupJob>(&name).await;
    assert_eq!(w.get_backup(&name).await.name_any(), name);
}

#[tokio::test]
async fn r1_a_slot_whose_name_is_taken_is_missed_and_a_suspended_plan_skips() {
    let Some(w) = World::new("r1b").await else { return };
    w.class(json!({"apiGroup": "foreign.example.org", "kind": "Job", "name": "x"}), json!({})).await;
    let minute = jiff::Timestamp::now().as_second() / 60;
    for next in 1..=3 {
        w.backup(&names::plan_run_name("taken", (minute + next) * 60)).await;
    }
    w.plan("taken", "* * * * *", json!({})).await;
    w.plan("asleep", "* * * * *", json!({"suspend": true})).await;
    let taken: Plan = w
        .until_within(NEXT_SLOT, "taken", "missed", |p: &Plan| {
            p.status.as_ref().and_then(|s| s.counts).is_some_and(|c| c.missed >= 1)
        })
        .await;
    assert_eq!(taken.status.expect("a status").recent[0].reason, "NameTaken");
    let asleep: Plan = w
        .until_within(NEXT_SLOT, "asleep", "skipped", |p: &Plan| {
            p.status.as_ref().and_then(|s| s.counts).is_some_and(|c| c.skipped >= 1)
        })
        .await;
    let status = asleep.status.expect("a status");
    assert_eq!(status.recent[0].reason, "Suspended");
    assert_eq!(status.counts.expect("counts").fired, 0);
}
