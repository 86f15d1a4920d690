//! Restores: R9, F17, and the needs of a restore.

use backstay_api::{Backup, ComponentPin, RestoreJob};
use backstay_tests::{World, ready, script_spec};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch};
use serde_json::{Value, json};

fn arguments(job: &Job) -> Option<Vec<String>> {
    job.spec.as_ref()?.template.spec.as_ref()?.containers[0].command.clone()
}

fn pinned(job: &RestoreJob) -> (String, String) {
    let conditions = job.status.iter().flat_map(|s| &s.conditions);
    let found = conditions.into_iter().find(|c| c.type_ == "StrategyPinned");
    found.map(|c| (c.status.clone(), c.reason.clone())).unwrap_or_default()
}

/// Creates a Backup in the form of the Go implementation: without component and revision, in this phase.
async fn plain_backup(w: &World, name: &str, phase: Option<&str>) -> Backup {
    let backup: Backup = w
        .create(json!({"metadata": {"name": name}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "cache"}, "takenAt": "2026-01-01T00:00:00Z",
            "strategyRef": w.strategy_ref(),
            "driverMetadata": {"job.strategy.backups.cozystack.io/parameter/bucket": "old"}}}))
        .await;
    let Some(phase) = phase else { return backup };
    status(w, name, json!({"phase": phase})).await
}

async fn status(w: &World, name: &str, status: Value) -> Backup {
    let patch = Patch::Merge(json!({ "status": status }));
    w.api::<Backup>().patch_status(name, &Default::default(), &patch).await.expect("a status")
}

#[tokio::test]
async fn r9_a_restore_renders_the_strategy_of_the_backup_after_it_was_changed_and_deleted() {
    let Some(w) = World::new("r9a").await else { return };
    w.strategy(script_spec("echo original {{ .Mode }} {{ .Parameters.bucket }} {{ .Release.Name }}")).await;
    w.class(w.strategy_ref(), json!({"bucket": "b"})).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.strategy(script_spec("echo changed; exit 1")).await;
    w.strategies().delete(&w.namespace, &DeleteParams::background()).await.expect("deletion is accepted");
    w.restore("back", "nightly").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    let job = w.api::<Job>().get("back-restore").await.expect("the Job");
    assert_eq!(arguments(&job).expect("a command")[2], "echo original restore b cache");
    let restored = w.api::<RestoreJob>().get("back").await.expect("it is there");
    assert_eq!(pinned(&restored), ("True".into(), "StrategyPinned".into()));
}

#[tokio::test]
async fn r9_a_backup_of_the_reference_restores_with_the_current_strategy_and_says_so() {
    let Some(w) = World::new("r9b").await else { return };
    w.strategy(script_spec("echo current {{ .Parameters.bucket }} {{ .Backup.ApplicationRef.APIGroup }}"))
        .await;
    plain_backup(&w, "old", Some("Ready")).await;
    w.restore("back", "old").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    let job = w.api::<Job>().get("back-restore").await.expect("the Job");
    assert_eq!(arguments(&job).expect("a command")[2], "echo current old ");
    let restored = w.api::<RestoreJob>().get("back").await.expect("it is there");
    assert_eq!(pinned(&restored), ("False".into(), "NoSnapshot".into()));
}

#[tokio::test]
async fn r9_a_revision_that_is_gone_is_strategy_snapshot_corrupt() {
    let Some(w) = World::new("r9c").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    status(
        &w,
        "nightly",
        json!({"strategyRevision": format!("job-{}-00000000000000000000000000000000", w.namespace)}),
    )
    .await;
    w.restore("back", "nightly").await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "StrategySnapshotCorrupt"));
    assert!(message.contains("ControllerRevision"), "{message}");
    assert_eq!(w.jobs().await, ["nightly-backup"]);
}

#[tokio::test]
async fn r9_a_backup_of_a_component_that_is_not_loaded_says_which_one_to_supply() {
    let Some(w) = World::new("r9d").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let pin = ComponentPin { name: "job".into(), version: "9.9.9".into(), digest: "sha256:0".into() };
    status(&w, "nightly", json!({ "component": pin })).await;
    w.restore("back", "nightly").await;
    let waiting: RestoreJob = w
        .until("back", "waiting", |j: &RestoreJob| {
            j.status.as_ref().is_some_and(|s| s.waiting_since.is_some())
        })
        .await;
    let text = serde_json::to_string(&waiting.status).expect("JSON");
    assert!(text.contains("ComponentMissing") && text.contains("9.9.9"), "{text}");
}

#[tokio::test]
async fn f17_a_failed_backup_is_refused() {
    let Some(w) = World::new("f17a").await else { return };
    w.script("true").await;
    plain_backup(&w, "bad", Some("Failed")).await;
    w.restore("back", "bad").await;
    let (phase, reason, _) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "BackupFailedPhase"));
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn f17_a_backup_without_a_phase_is_restored_with_a_warning() {
    let Some(w) = World::new("f17b").await else { return };
    w.script("true").await;
    plain_backup(&w, "old", None).await;
    w.restore("back", "old").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    w.event("back", "BackupPhaseUnknown").await;
}

#[tokio::test]
async fn f17_a_pending_backup_is_waited_for() {
    let Some(w) = World::new("f17c").await else { return };
    w.script("true").await;
    plain_backup(&w, "new", Some("Pending")).await;
    w.restore("back", "new").await;
    w.until("back", "waiting", |j: &RestoreJob| j.status.as_ref().is_some_and(|s| s.waiting_since.is_some()))
        .await;
    status(&w, "new", json!({"phase": "Ready"})).await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
}

#[tokio::test]
async fn r4_a_backup_that_does_not_exist_is_backup_not_found() {
    let Some(w) = World::new("r4d").await else { return };
    w.restore("back", "nowhere").await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "BackupNotFound"));
    assert!(message.starts_with("failed to get Backup: ") && message.contains("nowhere"), "{message}");
}

#[tokio::test]
async fn a_restore_to_a_copy_reads_the_source_and_writes_the_target() {
    let Some(w) = World::new("copy").await else { return };
    w.script(
        "echo {{ .Mode }} {{ if .Backup }}{{ .Backup.ApplicationRef.Name }}{{ end }} to {{ .Release.Name }}",
    )
    .await;
    w.application("apps.cozystack.io", "copy").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "nightly"},
        "targetApplicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "copy"}}}))
        .await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    let job = w.api::<Job>().get("back-restore").await.expect("the Job");
    assert_eq!(arguments(&job).expect("a command")[2], "echo restore cache to copy");
}

#[tokio::test]
async fn a_missing_restore_target_is_terminal_and_says_to_deploy_it() {
    let Some(w) = World::new("notarget").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "nightly"},
        "targetApplicationRef": {"kind": "Redis", "name": "nowhere"}}}))
        .await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "ApplicationNotFound"));
    assert!(message.contains("deploy it before requesting a restore"), "{message}");
}

#[tokio::test]
async fn a_finished_restore_with_a_finalizer_of_the_go_implementation_can_be_deleted() {
    let Some(w) = World::new("restfin").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let finalizers = [backstay_api::finalizers::LEGACY_CLEANUP];
    w.create::<RestoreJob>(json!({"metadata": {"name": "back", "finalizers": finalizers},
        "spec": {"backupRef": {"name": "nightly"}}}))
        .await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    w.delete::<RestoreJob>("back").await;
    w.until_gone::<RestoreJob>("back").await;
}

#[tokio::test]
async fn a_restore_is_refused_where_the_strategy_does_not_know_the_kind_of_its_source() {
    let Some(w) = World::new("source").await else { return };
    let strategy =
        json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Altinity", "name": w.namespace});
    w.create::<Backup>(json!({"metadata": {"name": "odd"}, "spec": {"strategyRef": strategy,
        "applicationRef": {"kind": "Redis", "name": "cache"}, "takenAt": "2026-01-01T00:00:00Z"}}))
        .await;
    w.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "odd"},
        "targetApplicationRef": {"kind": "ClickHouse", "name": "store"}}}))
        .await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "ApplicationMismatch"), "{message}");
    assert!(message.contains("Redis") && message.contains("ClickHouse"), "{message}");
}

/// Returns an object as a tool has it that backs up clusters: without status, uid and owner.
fn saved(object: &impl serde::Serialize) -> Value {
    let mut saved = serde_json::to_value(object).expect("JSON");
    let fields = saved.as_object_mut().expect("an object");
    fields.remove("status");
    let lost =
        ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences"];
    for field in lost {
        fields["metadata"].as_object_mut().expect("metadata").remove(field);
    }
    saved
}

#[tokio::test]
async fn a_restore_that_another_tool_brings_back_is_held_until_somebody_lets_it_run() {
    let Some(w) = World::new("t11-held").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    w.restore("undo", "nightly").await;
    assert_eq!(w.restore_ends("undo").await.0, "Succeeded");
    let of_then = saved(&w.api::<RestoreJob>().get("undo").await.expect("it is there"));
    w.delete::<RestoreJob>("undo").await;
    w.until_gone::<RestoreJob>("undo").await;
    w.until_gone::<Job>("undo-restore").await;

    let back: RestoreJob = w.create(of_then).await;
    let held = |job: &RestoreJob| {
        job.status.as_ref().is_some_and(|s| ready(&s.conditions).1 == "RestoredRun" && s.run.is_none())
    };
    w.until("undo", "held", held).await;
    assert!(w.event("undo", "RestoredRun").await.contains("overwrites what the application holds now"));
    assert_eq!(w.jobs().await, ["nightly-backup"]);

    let permission = json!({"metadata": {"annotations": {"backstay.dev/run-again": back.metadata.uid}}});
    let permitted = w.api::<RestoreJob>().patch("undo", &Default::default(), &Patch::Merge(permission)).await;
    permitted.expect("an annotation");
    assert_eq!(w.restore_ends("undo").await.0, "Succeeded");
}

#[tokio::test]
async fn a_backup_that_comes_back_without_its_status_gets_it_again_and_restores_by_its_own_strategy() {
    let Some(w) = World::new("t11-back").await else { return };
    let report = r#"printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log; echo original"#;
    w.script(report).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let before = w.get_backup("nightly").await;
    let mut of_then = saved(&before);
    of_then["metadata"]["labels"]["velero.io/restore-name"] = json!("cluster-1");
    w.delete::<Backup>("nightly").await;
    w.until_gone::<Backup>("nightly").await;

    let _: Backup = w.create(of_then).await;
    let again: Backup = w
        .until("nightly", "Ready again", |b: &Backup| b.status.as_ref().is_some_and(|s| s.phase.is_some()))
        .await;
    let (status, earlier) = (again.status.expect("a status"), before.status.expect("a status"));
    assert_eq!(ready(&status.conditions), ("True".to_owned(), "StatusRebuilt".to_owned()));
    assert_eq!(
        (status.strategy_revision, status.component, status.artifact),
        (earlier.strategy_revision, earlier.component, earlier.artifact)
    );
    w.strategy(script_spec("exit 1")).await;
    w.restore("back", "nightly").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
}
