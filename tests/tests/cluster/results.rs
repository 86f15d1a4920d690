//! Results of finished Jobs: R3, R7, R10, and the causes of failure.

use backstay_api::{Backup, BackupJob};
use backstay_tests::{World, ready, script_spec};
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::json;

const REPORT: &str = r#"printf '{"artifact":{"uri":"s3://b/k","sizeBytes":7,"checksum":"sha256:%s"},"metadata":{"tool":"x"}}' "$(printf a | sha256sum | cut -d ' ' -f 1)" > /dev/termination-log"#;

fn reported(backup: &Backup) -> (String, String) {
    let status = backup.status.clone().unwrap_or_default();
    let condition = status.conditions.iter().find(|c| c.type_ == "ArtifactReported").expect("the condition");
    (condition.status.clone(), condition.reason.clone())
}

#[tokio::test]
async fn r3_a_namesake_backup_is_left_alone_and_the_run_gets_another_name() {
    let Some(w) = World::new("r3").await else { return };
    let namesake: Backup = w
        .create(json!({"metadata": {"name": "nightly"}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "other"}, "takenAt": "2020-01-01T00:00:00Z",
            "strategyRef": {"apiGroup": "foreign.example.org", "kind": "Job", "name": "x"},
            "driverMetadata": {"old": "yes"}}}))
        .await;
    w.strategy(script_spec("true")).await;
    w.class(w.strategy_ref(), json!({"bucket": "b"})).await;
    let run = w.backup("nightly").await;
    let done = w.backup_succeeds("nightly").await;
    let name = done.status.and_then(|s| s.backup_ref).expect("a Backup").name;
    assert_eq!(name, format!("nightly-{}", &run.uid().expect("a uid")[..8]));
    let ours = w.get_backup(&name).await;
    assert_eq!(ours.labels()["backstay.dev/run-uid"], run.uid().expect("a uid"));
    let metadata = ours.spec.driver_metadata.expect("metadata");
    assert_eq!(metadata["job.strategy.backups.cozystack.io/parameter/bucket"], "b");
    let after = w.get_backup("nightly").await;
    assert_eq!(after.resource_version(), namesake.resource_version());
    w.event("nightly", "BackupNameTaken").await;
}

#[tokio::test]
async fn r7_a_backup_created_without_status_before_a_crash_gets_its_status_and_stays_one() {
    let Some(w) = World::new("r7").await else { return };
    // The run waits for its missing class, while the test creates the Backup as after a crash before the status write.
    let run = w.backup("nightly").await;
    w.backup_waits("nightly", "BackupClassNotFound").await;
    let half: Backup = w
        .create(json!({"metadata": {"name": "nightly", "labels": {"backstay.dev/run-uid": run.uid()},
            "finalizers": ["backups.cozystack.io/cleanup"]}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "takenAt": "2026-01-01T00:00:00Z", "strategyRef": w.strategy_ref(), "driverMetadata": {"tool": "x"}}}))
        .await;
    assert!(half.status.is_none());
    w.script(REPORT).await;
    let done = w.backup_succeeds("nightly").await;
    assert_eq!(done.status.and_then(|s| s.backup_ref).expect("a Backup").name, "nightly");
    let whole = w.get_backup("nightly").await;
    assert_eq!(whole.uid(), half.uid());
    assert_eq!(whole.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Ready"));
    let all = w.api::<Backup>().list(&Default::default()).await.expect("a list");
    assert_eq!(all.items.len(), 1);
}

#[tokio::test]
async fn r3_a_backup_that_names_the_run_and_says_something_else_is_left_alone() {
    let Some(w) = World::new("r3b").await else { return };
    let run = w.backup("nightly").await;
    w.backup_waits("nightly", "BackupClassNotFound").await;
    let forged: Backup = w
        .create(
            json!({"metadata": {"name": "nightly", "labels": {"backstay.dev/run-uid": run.uid()}}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "takenAt": "2026-01-01T00:00:00Z", "strategyRef": w.strategy_ref(),
            "driverMetadata": {"job.strategy.backups.cozystack.io/parameter/bucket": "mine"}}}),
        )
        .await;
    w.script(REPORT).await;
    let done = w.backup_succeeds("nightly").await;
    assert_ne!(done.status.and_then(|s| s.backup_ref).expect("a Backup").name, "nightly");
    let left = w.get_backup("nightly").await;
    assert_eq!((left.uid(), left.spec, left.status), (forged.uid(), forged.spec, None));
}

#[tokio::test]
async fn r10_a_report_becomes_the_artifact_of_the_backup() {
    let Some(w) = World::new("r10a").await else { return };
    w.script(REPORT).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let backup = w.get_backup("nightly").await;
    assert_eq!(reported(&backup), ("True".into(), "ArtifactReported".into()));
    let metadata = backup.spec.driver_metadata.clone().expect("metadata");
    assert_eq!(metadata["tool"], "x");
    let artifact = backup.status.and_then(|s| s.artifact).expect("an artifact");
    assert_eq!((artifact.uri.as_str(), artifact.size_bytes), ("s3://b/k", Some(7)));
    let sum = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    assert_eq!(artifact.checksum.as_deref(), Some(sum));
}

#[tokio::test]
async fn r10_no_report_leaves_no_artifact_and_nothing_is_invented() {
    let Some(w) = World::new("r10b").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let backup = w.get_backup("nightly").await;
    assert_eq!(reported(&backup), ("False".into(), "ArtifactNotReported".into()));
    assert_eq!(backup.status.and_then(|s| s.artifact), None);
}

#[tokio::test]
async fn r10_a_malformed_report_leaves_no_artifact_and_says_so() {
    let Some(w) = World::new("r10c").await else { return };
    w.script(r#"printf '{"artifact":{"uri":5}}' > /dev/termination-log"#).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let backup = w.get_backup("nightly").await;
    assert_eq!(reported(&backup).0, "False");
    assert_eq!(backup.status.and_then(|s| s.artifact), None);
}

#[tokio::test]
async fn r10_a_report_with_a_password_in_it_is_withheld() {
    let Some(w) = World::new("r10d").await else { return };
    w.script(r#"printf '{"artifact":{"uri":"https://user:hunter2@h/b"}}' > /dev/termination-log"#).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let backup = w.get_backup("nightly").await;
    assert_eq!(reported(&backup).0, "False");
    assert!(!serde_json::to_string(&backup).expect("JSON").contains("hunter2"));
}

#[tokio::test]
async fn r10_a_mandatory_report_that_is_missing_fails_the_run() {
    let Some(w) = World::new("r10e").await else { return };
    let mut spec = script_spec("true");
    spec["requireArtifact"] = json!(true);
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    assert_eq!(w.backup_fails("nightly").await.0, "NoArtifactEvidence");
    assert!(w.api::<Backup>().get_opt("nightly").await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_failed_job_is_told_with_exit_code_and_last_log_lines() {
    let Some(w) = World::new("fail1").await else { return };
    w.script("echo connecting to the store; echo access denied >&2; exit 3").await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "BackupFailed");
    assert!(message.contains('3') && message.contains("access denied"), "{message}");
    assert!(w.api::<Backup>().get_opt("nightly").await.expect("an answer").is_none());
    w.event("nightly", "BackupFailed").await;
}

#[tokio::test]
async fn a_job_out_of_memory_is_told_as_such() {
    let Some(w) = World::new("fail2").await else { return };
    let mut spec = script_spec("head -c 200000000 /dev/zero | tail -c 200000000 | wc -c");
    spec["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "16Mi"}});
    // The kernel kills the shell itself, so that the container ends.
    spec["template"]["spec"]["containers"][0]["command"] =
        json!(["/bin/sh", "-euc", "exec tail -c 200000000 /dev/zero"]);
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "BackupFailed");
    assert!(message.to_lowercase().contains("memory"), "{message}");
}

#[tokio::test]
async fn a_deadline_of_the_strategy_stops_the_job() {
    let Some(w) = World::new("fail3").await else { return };
    let mut spec = script_spec("sleep 300");
    spec["activeDeadlineSeconds"] = json!(3);
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "BackupFailed");
    assert!(message.contains("eadline"), "{message}");
}

#[tokio::test]
async fn events_and_status_tell_the_same_story() {
    let Some(w) = World::new("events").await else { return };
    w.script(REPORT).await;
    w.backup("nightly").await;
    let done: BackupJob = w.backup_succeeds("nightly").await;
    assert_eq!(ready(&done.status.expect("a status").conditions).1, "BackupCompleted");
    w.event("nightly", "BackupCompleted").await;
    let refused = w
        .api::<BackupJob>()
        .patch("nightly", &Default::default(), &Patch::Merge(json!({"spec": {"backupClassName": "other"}})))
        .await;
    assert!(refused.is_err_and(|e| e.to_string().contains("backupClassName is immutable")));
}
