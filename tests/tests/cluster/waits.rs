//! Waits of runs, their wakes and their ends: R8, F7, F8, F9, F12, F19, F20.

use std::time::Duration;

use backstay_api::{BackupClass, BackupJob};
use backstay_tests::{RUN_DEADLINE, World, script_spec};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::json;

#[tokio::test]
async fn r8_a_run_that_waits_for_its_class_goes_on_when_the_class_appears() {
    let Some(w) = World::new("r8").await else { return };
    w.backup("nightly").await;
    let message = w.backup_waits("nightly", "BackupClassNotFound").await;
    assert!(message.contains(&w.namespace), "{message}");
    w.script("true").await;
    // The watch wakes the run: the recheck is a minute away.
    let soon = Duration::from_secs(30);
    w.until_within(soon, "nightly", "running", |j: &BackupJob| {
        j.status.as_ref().is_some_and(|s| s.started_at.is_some())
    })
    .await;
    w.backup_succeeds("nightly").await;
}

#[tokio::test]
async fn f9_a_class_that_never_appears_ends_the_run_when_its_wait_is_over() {
    let Some(w) = World::new("f9a").await else { return };
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails_within(Duration::from_secs(120), "nightly").await;
    assert_eq!(reason, "BackupClassNotFound");
    assert!(message.contains("create it"), "{message}");
}

#[tokio::test]
async fn a_class_without_an_entry_for_the_kind_is_terminal_with_the_text_of_the_reference() {
    let Some(w) = World::new("noentry").await else { return };
    w.class_for("other.example.org", w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "NoMatchingStrategy");
    let wanted = format!("BackupClass \"{}\" does not bind a strategy for Kind \"Redis\"", w.namespace);
    assert!(message.starts_with(&wanted), "{message}");
}

#[tokio::test]
async fn f7_runs_and_backups_of_a_group_that_nobody_serves_are_left_alone() {
    let Some(w) = World::new("f7").await else { return };
    w.class(json!({"apiGroup": "foreign.example.org", "kind": "Job", "name": "x"}), json!({})).await;
    w.backup("theirs").await;
    w.create::<backstay_api::Backup>(json!({"metadata": {"name": "theirs"}, "spec": {
        "applicationRef": {"kind": "Redis", "name": "cache"}, "takenAt": "2026-01-01T00:00:00Z",
        "strategyRef": {"apiGroup": "foreign.example.org", "kind": "Job", "name": "x"}}}))
        .await;
    w.restore("theirs", "theirs").await;
    // A later run in its own world ends, so the controller has seen the foreign ones.
    let Some(later) = World::new("f7later").await else { return };
    later.script("true").await;
    later.backup("ours").await;
    later.backup_succeeds("ours").await;
    let theirs = w.api::<BackupJob>().get("theirs").await.expect("it is there");
    let restore = w.api::<backstay_api::RestoreJob>().get("theirs").await.expect("it is there");
    assert_eq!(theirs.status.and_then(|s| s.phase), None);
    assert_eq!(restore.status.and_then(|s| s.phase), None);
    assert_eq!(restore.metadata.finalizers, None);
    assert_eq!(w.get_backup("theirs").await.metadata.finalizers, None);
    assert_eq!(later.get_backup("ours").await.finalizers(), [""; 0], "nothing cleans up after it");
}

#[tokio::test]
async fn f8_a_missing_strategy_of_kind_job_is_terminal_at_once() {
    let Some(w) = World::new("f8").await else { return };
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "StrategyNotFound");
    assert!(message.starts_with(&format!("Job strategy not found: {}", w.namespace)), "{message}");
}

#[tokio::test]
async fn f8_a_missing_strategy_of_another_kind_is_waited_for() {
    let Some(w) = World::new("f8b").await else { return };
    w.class(json!({"apiGroup": "test.backstay.dev", "kind": "Scrub", "name": w.namespace}), json!({})).await;
    w.backup("nightly").await;
    w.backup_waits("nightly", "StrategyNotReady").await;
    scrub(&w, r#"printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log"#).await;
    w.backup_succeeds("nightly").await;
}

/// Applies the strategy of kind Scrub of this world.
pub(crate) async fn scrub(w: &World, command: &str) {
    let gvk = GroupVersionKind::gvk("test.backstay.dev", "v1", "Scrub");
    let api: Api<DynamicObject> =
        Api::all_with(w.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, "scrubs"));
    let object = serde_json::from_value(json!({"apiVersion": "test.backstay.dev/v1", "kind": "Scrub",
        "metadata": {"name": w.namespace}, "spec": {"image": "localhost/backstay-tools:1", "command": command}}));
    api.create(&PostParams::default(), &object.expect("an object")).await.expect("a strategy");
}

#[tokio::test]
async fn a_kind_of_our_group_that_no_component_serves_is_waited_for_and_then_component_missing() {
    let Some(w) = World::new("nocomp").await else { return };
    let kind = json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Velero", "name": "x"});
    w.class(kind, json!({})).await;
    w.backup("nightly").await;
    w.backup_waits("nightly", "ComponentMissing").await;
    let (reason, message) = w.backup_fails_within(Duration::from_secs(120), "nightly").await;
    assert_eq!(reason, "ComponentMissing");
    assert!(message.contains("Velero") && message.contains("Job"), "{message}");
}

#[tokio::test]
async fn a_missing_application_is_terminal_and_named() {
    let Some(w) = World::new("noapp").await else { return };
    w.script("true").await;
    w.applications("apps.cozystack.io")
        .delete("cache", &Default::default())
        .await
        .expect("deletion is accepted");
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "ApplicationNotFound");
    assert!(message.contains(&format!("{}/cache (kind=\"Redis\")", w.namespace)), "{message}");
}

#[tokio::test]
async fn f12_an_application_that_may_not_be_read_is_waited_for_with_its_cause() {
    let Some(w) = World::new("f12").await else { return };
    w.application("ungranted.example.org", "cache").await;
    w.strategy(script_spec("true")).await;
    w.class_for("ungranted.example.org", w.strategy_ref(), json!({})).await;
    w.backup_of("ungranted.example.org", "nightly").await;
    let message = w.backup_waits("nightly", "WaitingForAPI").await;
    assert!(message.contains("forbidden") && message.contains("redises"), "{message}");
}

#[tokio::test]
async fn f9_a_pod_that_cannot_start_is_told_while_it_waits_and_ends_at_the_runs_deadline() {
    let Some(w) = World::new("f9b").await else { return };
    let mut spec = script_spec("true");
    spec["template"]["spec"]["containers"][0]["image"] = json!("localhost/no-such-image:1");
    spec["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    w.until("nightly", "telling why its pod does not start", |j: &BackupJob| {
        let conditions = j.status.iter().flat_map(|s| &s.conditions);
        conditions.into_iter().any(|c| c.type_ == "Ready" && c.message.contains("ErrImageNeverPull"))
    })
    .await;
    let limit = Duration::try_from(RUN_DEADLINE).expect("positive") + Duration::from_secs(45);
    let (reason, _) = w.backup_fails_within(limit, "nightly").await;
    assert_eq!(reason, "RunDeadlineExceeded");
}

#[tokio::test]
async fn f19_an_object_that_does_not_decode_stops_no_other() {
    let Some(w) = World::new("f19").await else { return };
    // The CRD accepts an object without a spec, as the Go implementation's does.
    let gvk = GroupVersionKind::gvk("backups.cozystack.io", "v1alpha1", "BackupJob");
    let api: Api<DynamicObject> =
        Api::namespaced_with(w.client.clone(), &w.namespace, &ApiResource::from_gvk(&gvk));
    let broken =
        serde_json::from_value(json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": {"name": "broken"}}));
    api.create(&PostParams::default(), &broken.expect("an object")).await.expect("it is accepted");
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
}

#[tokio::test]
async fn f20_two_backups_of_one_application_take_turns_in_order_of_creation() {
    let Some(w) = World::new("f20").await else { return };
    w.script("sleep 3").await;
    w.backup("first").await;
    w.until("first", "begun", |j: &BackupJob| j.status.as_ref().is_some_and(|s| s.started_at.is_some()))
        .await;
    w.backup("second").await;
    let message = w.backup_waits("second", "TargetBusy").await;
    assert!(message.contains("earlier runs"), "{message}");
    let first = w.backup_succeeds("first").await.status.and_then(|s| s.completed_at).expect("a time");
    let second = w.backup_succeeds("second").await.status.and_then(|s| s.started_at).expect("a time");
    assert!(second.0 >= first.0, "{second:?} {first:?}");
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_backup_of_its_target() {
    let Some(w) = World::new("f20b").await else { return };
    w.script("if [ {{ .Mode }} = backup ]; then sleep 3; fi").await;
    w.backup("first").await;
    w.backup_succeeds("first").await;
    w.backup("second").await;
    w.until("second", "begun", |j: &BackupJob| j.status.as_ref().is_some_and(|s| s.started_at.is_some()))
        .await;
    w.restore("back", "first").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    let second = w.backup_succeeds("second").await.status.and_then(|s| s.completed_at).expect("a time");
    let restored = w.api::<backstay_api::RestoreJob>().get("back").await.expect("it is there");
    assert!(restored.status.and_then(|s| s.started_at).expect("a time").0 >= second.0);
}

#[tokio::test]
async fn a_class_edited_before_the_run_begins_is_the_one_that_counts() {
    let Some(w) = World::new("edit").await else { return };
    w.class_for("other.example.org", w.strategy_ref(), json!({})).await;
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let _: BackupClass = Api::all(w.client.clone()).get(&w.namespace).await.expect("it is there");
}
