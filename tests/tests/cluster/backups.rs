//! Deletion of Backups: the finalizer, clean-up, and a Backup in use.

use backstay_api::{Backup, BackupJob, RestoreJob};
use backstay_tests::World;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::waits::scrub;

const CLEANUP: &str = backstay_api::finalizers::CLEANUP;

async fn scrubbed_backup(w: &World, command: &str) {
    scrub(w, command).await;
    w.class(json!({"apiGroup": "test.backstay.dev", "kind": "Scrub", "name": w.namespace}), json!({})).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
}

#[tokio::test]
async fn deleting_a_backup_of_the_job_kind_keeps_the_data_and_lets_it_go() {
    let Some(w) = World::new("del1").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.delete::<Backup>("nightly").await;
    w.until_gone::<Backup>("nightly").await;
    assert_eq!(w.jobs().await, ["nightly-backup"]);
}

#[tokio::test]
async fn deleting_a_backup_job_keeps_its_backup() {
    let Some(w) = World::new("del2").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.delete::<BackupJob>("nightly").await;
    w.until_gone::<Job>("nightly-backup").await;
    assert!(w.get_backup("nightly").await.metadata.deletion_timestamp.is_none());
}

#[tokio::test]
async fn a_component_that_cleans_up_is_run_before_the_backup_goes() {
    let Some(w) = World::new("clean1").await else { return };
    scrubbed_backup(&w, r#"printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log; [ "$MODE" != cleanup ] || sleep 2"#).await;
    w.delete::<Backup>("nightly").await;
    let job: Job = w.until("nightly-cleanup", "created", |_: &Job| true).await;
    let owners = job.metadata.owner_references.clone().expect("owners");
    assert_eq!((owners[0].kind.as_str(), owners[0].name.as_str()), ("Backup", "nightly"));
    let template = job.spec.expect("a spec").template.spec.expect("a spec");
    let mode =
        template.containers[0].env.iter().flatten().find(|e| e.name == "MODE").and_then(|e| e.value.clone());
    assert_eq!(mode.as_deref(), Some("cleanup"));
    w.until_gone::<Backup>("nightly").await;
}

#[tokio::test]
async fn a_clean_up_that_fails_keeps_the_backup_and_says_why() {
    let Some(w) = World::new("clean2").await else { return };
    scrubbed_backup(&w, r#"[ "$MODE" != cleanup ] || { echo store unreachable; exit 7; }; printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log"#).await;
    w.delete::<Backup>("nightly").await;
    let kept: Backup = w
        .until("nightly", "telling that its clean-up failed", |b: &Backup| {
            let conditions = b.status.iter().flat_map(|s| &s.conditions);
            conditions.into_iter().any(|c| c.type_ == "Ready" && c.reason == "CleanupFailed")
        })
        .await;
    assert!(!kept.finalizers().is_empty());
    let text = serde_json::to_string(&kept.status).expect("JSON");
    assert!(text.contains("store unreachable"), "{text}");
    w.event("nightly", "CleanupFailed").await;
    let release = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    w.api::<Backup>().patch("nightly", &Default::default(), &release).await.expect("it can be let go");
}

#[tokio::test]
async fn a_clean_up_that_fails_does_not_tell_the_secret_key_that_its_pod_printed() {
    let Some(w) = World::new("clean3").await else { return };
    scrubbed_backup(&w, r#"[ "$MODE" != cleanup ] || { echo "refused: the platform's key"; exit 7; }; printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log"#).await;
    w.delete::<Backup>("nightly").await;
    // It is tried again soon, and then runs.
    let failed = |b: &Backup| {
        let conditions = b.status.iter().flat_map(|s| &s.conditions);
        conditions.into_iter().any(|c| c.type_ == "Ready" && c.reason == "CleanupFailed")
    };
    let told: Backup = w.until("nightly", "telling that its clean-up failed", failed).await;
    let message = serde_json::to_string(&told.status.map(|s| s.conditions)).expect("JSON");
    let note = w.event("nightly", "CleanupFailed").await;
    assert!(note.contains("[credential withheld]") && !note.contains("platform's key"), "{note}");
    assert!(message.contains("[credential withheld]") && !message.contains("platform's key"), "{message}");
}

#[tokio::test]
async fn a_backup_that_is_being_restored_goes_when_the_restore_has_ended() {
    let Some(w) = World::new("inuse").await else { return };
    w.script("if [ {{ .Mode }} = restore ]; then sleep 5; fi").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.restore("back", "nightly").await;
    w.until("back", "running its Job", |j: &RestoreJob| {
        j.status.as_ref().and_then(|s| s.run.as_ref()).is_some_and(|r| r.job.is_some())
    })
    .await;
    w.delete::<Backup>("nightly").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    w.until_gone::<Backup>("nightly").await;
}

/// Creates a Backup as the Go implementation makes it.
async fn backup_of_the_reference(w: &World, strategy: &Value, finalizers: &[&str]) {
    w.create::<Backup>(json!({"metadata": {"name": "old", "finalizers": finalizers}, "spec": {
        "applicationRef": {"kind": "Redis", "name": "cache"}, "takenAt": "2026-01-01T00:00:00Z",
        "strategyRef": strategy}}))
        .await;
}

#[tokio::test]
async fn a_backup_of_the_reference_is_held_if_its_component_cleans_up() {
    let Some(w) = World::new("reference").await else { return };
    let strategy = json!({"apiGroup": "test.backstay.dev", "kind": "Scrub", "name": w.namespace});
    backup_of_the_reference(&w, &strategy, &[]).await;
    w.until("old", "held", |b: &Backup| b.finalizers() == [CLEANUP]).await;
    let release = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    w.delete::<Backup>("old").await;
    w.api::<Backup>().patch("old", &Default::default(), &release).await.expect("it can be let go");
}

#[tokio::test]
async fn the_finalizers_of_the_reference_are_removed_from_a_deleted_backup_that_nothing_is_to_be_cleaned_up_after()
 {
    let Some(w) = World::new("legacy").await else { return };
    backup_of_the_reference(&w, &w.strategy_ref(), &[CLEANUP, backstay_api::finalizers::LEGACY_CLEANUP])
        .await;
    w.delete::<Backup>("old").await;
    w.until_gone::<Backup>("old").await;
}

#[tokio::test]
async fn only_a_restore_holds_a_backup_that_nothing_is_to_be_cleaned_up_after_and_no_longer_than_it_runs() {
    let Some(w) = World::new("unheld").await else { return };
    w.script("if [ {{ .Mode }} = restore ]; then sleep 2; fi").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    assert_eq!(w.get_backup("nightly").await.finalizers(), [""; 0]);
    w.restore("back", "nightly").await;
    w.until("nightly", "held", |b: &Backup| b.finalizers() == [CLEANUP]).await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    w.until("nightly", "let go", |b: &Backup| b.finalizers().is_empty()).await;
}
