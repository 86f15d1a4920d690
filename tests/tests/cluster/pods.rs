//! Pod runs of runs in steps.

use backstay_api::{Backup, BackupJob};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use std::time::Duration;

use crate::steps::{cleanup_says, config_map, rewrite, seen, world};

fn pod(name: &str, script: &str) -> Value {
    json!({"runPod": {"name": name, "script": script}})
}

fn result(name: &str) -> Value {
    json!({"pod": {"name": name}})
}

#[tokio::test]
async fn what_still_runs_when_the_run_ends_is_stopped() {
    let program = json!({"backup": [pod("long", "sleep 300"), {"fail": "half way"}]});
    let Some(w) = world("pods_stopped", program).await else { return };
    w.backup("bad").await;
    assert_eq!(w.backup_fails("bad").await.0, "ToldToFail");
    w.until_gone::<Job>("bad-long").await;
    rewrite(&w, json!({"backup": [pod("long", "sleep 300")]})).await;
    w.backup("good").await;
    w.backup_succeeds("good").await;
    w.until_gone::<Job>("good-long").await;
}

#[tokio::test]
async fn a_finished_pod_run_gets_its_time_to_live_and_its_warnings_are_told() {
    let program = json!({"backup": [
        {"runPod": {"name": "copy", "script": "true", "warning": "mind the quotes"}}, result("copy")]});
    let Some(w) = world("pods_ttl", program).await else { return };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    let seconds = i32::try_from(backstay_tests::JOB_TTL.as_secs()).expect("it fits");
    w.until("b-copy", "given its time to live", |j: &Job| {
        j.spec.as_ref().is_some_and(|s| s.ttl_seconds_after_finished == Some(seconds))
    })
    .await;
    assert_eq!(w.event("b", "TemplateWarning").await, "/strategy/script: mind the quotes");
}

#[tokio::test]
async fn what_is_handed_back_with_the_result_is_what_is_on_record_and_not_what_the_job_says() {
    let wait = json!({"until": {"object": config_map("go"), "at": "/data/on", "equals": "yes", "waitSeconds": 600, "watch": "object"}});
    let Some(w) = world("pods_record", json!({"backup": [pod("copy", "true"), wait, result("copy")]})).await
    else {
        return;
    };
    w.backup("b").await;
    w.backup_waits("b", "ToldToWait").await;
    let forged =
        json!({"metadata": {"annotations": {"backstay.dev/pod-run": "{\"data\":{\"of\":\"them\"}}"}}});
    let params = PatchParams::default();
    w.api::<Job>().patch("b-copy", &params, &Patch::Merge(forged)).await.expect("it is accepted");
    crate::steps::make(&w, "go", json!({"on": "yes"})).await;
    assert_eq!(seen(&w, "b").await[1]["pod"]["data"], json!({"of": "copy"}));
}

#[tokio::test]
async fn a_namesake_is_shown_without_managed_fields() {
    let Some(w) = world("pods_namesake", json!({"backup": [pod("copy", "true")]})).await else { return };
    w.create::<Job>(json!({"metadata": {"name": "b-copy"}, "spec": {"suspend": true, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "localhost/backstay-tools:1"}]}}}}))
        .await;
    w.backup("b").await;
    let (reason, message) = w.backup_fails("b").await;
    assert_eq!(reason, "PodRefused");
    assert!(message.contains("AlreadyExists") && !message.contains("managedFields"), "{message}");
}

#[tokio::test]
async fn a_run_out_of_time_can_undo_with_a_pod() {
    let endless = json!({"until": {"object": config_map("never"), "at": "/data/x", "equals": "x", "waitSeconds": 600, "watch": "object"}});
    let program = json!({"backup": [endless], "undo": [pod("undo", "true"), result("undo")]});
    let Some(w) = world("pods_undo", program).await else { return };
    w.backup("b").await;
    let (reason, message) = w.backup_fails_within(Duration::from_secs(110), "b").await;
    assert_eq!(reason, "Undone", "{message}");
    assert!(message.contains("\"succeeded\":true"), "{message}");
}

#[tokio::test]
async fn a_clean_up_whose_pod_failed_runs_another_one_when_it_begins_anew() {
    let fails =
        json!({"backup": [], "cleanup": [pod("scrub", "exit 1"), result("scrub"), {"fail": "not scrubbed"}]});
    let Some(w) = world("pods_cleanup", fails).await else { return };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    w.delete::<Backup>("b").await;
    cleanup_says(&w, "b", "CleanupFailed").await;
    w.until_gone::<Job>("b-scrub").await;
    let _: BackupJob = w.api().get("b").await.expect("the run that made it is there");
}
