//! The CRDs of another version come back, as Helm or Flux would put them back. Alone in its test binary, since CRDs are the
//! whole cluster's.

use std::path::Path;
use std::time::Duration;

use backstay_api::{Backup, BackupJob, RestoreJob};
use backstay_tests::{World, controller, script_spec};
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::json;

/// How long the API server may take to serve a changed CRD.
const PATIENCE: Duration = Duration::from_secs(30);

async fn apply(w: &World, folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for plural in ["backupjobs", "restorejobs", "backups", "plans"] {
        let file = folder.join(format!("backups.cozystack.io_{plural}.yaml"));
        let text = std::fs::read_to_string(file).expect("the CRD is there");
        controller::apply(&w.client, &text).await;
    }
}

/// Waits until the API server keeps `status.run` of a run that no controller serves, or does not.
async fn until_kept(w: &World, probe: &str, kept: bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut every = tokio::time::interval(Duration::from_millis(200));
    let patch = json!({"status": {"run": {"applicationRef": {"kind": "Foreign", "name": probe}}}});
    loop {
        every.tick().await;
        let api = w.api::<BackupJob>();
        // While the CRD changes, a call may fail.
        if let Ok(answer) = api.patch_status(probe, &Default::default(), &Patch::Merge(&patch)).await
            && answer.status.is_some_and(|status| status.run.is_some()) == kept
        {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the changed CRD is not served in time");
    }
}

async fn probe(w: &World) {
    let foreign = json!({"apiGroup": "foreign.example.org", "kind": "Foreign", "name": "x"});
    let _: BackupJob = w
        .create(json!({"metadata": {"name": "probe"}, "spec": {
            "applicationRef": {"kind": "Foreign", "name": "x"}, "backupClassName": format!("{}-foreign", w.namespace)}}))
        .await;
    let class = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
        "metadata": {"name": format!("{}-foreign", w.namespace)},
        "spec": {"strategies": [{"application": {"kind": "Foreign"}, "strategyRef": foreign}]}});
    controller::apply(&w.client, &class.to_string()).await;
}

fn condition(job: &RestoreJob, type_: &str) -> String {
    let found = job.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == type_);
    found.map(|c| format!("{}/{}", c.status, c.reason)).unwrap_or_default()
}

async fn writes(w: &World, name: &str) -> String {
    w.api::<BackupJob>().get(name).await.expect("it is there").resource_version().unwrap_or_default()
}

#[tokio::test]
async fn with_older_crds_nothing_begins_and_all_goes_on_when_ours_are_back() {
    let Some(w) = World::new("crds").await else { return };
    probe(&w).await;
    w.strategy(script_spec("echo old {{ .Mode }}")).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("before").await;
    w.backup_succeeds("before").await;
    let under_way = script_spec("while [ ! -e /tmp/never ]; do sleep 1; done");
    w.strategy(under_way).await;
    w.backup("lost").await;
    let begun = |job: &BackupJob| {
        job.status.as_ref().is_some_and(|s| s.run.as_ref().is_some_and(|r| r.job.is_some()))
    };
    w.until("lost", "begun", begun).await;
    w.strategy(script_spec("exit 1")).await;

    apply(&w, "compat").await;
    until_kept(&w, "probe", false).await;
    // Whoever writes an object now stores it without what the CRD lacks.
    let touched = Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
    let pruned = w.api::<Backup>().patch("before", &Default::default(), &touched).await.expect("a label");
    assert_eq!(pruned.status.and_then(|s| s.strategy_revision), None, "the pins are gone from the status");
    w.api::<BackupJob>().patch("lost", &Default::default(), &touched).await.expect("a label");

    w.application("apps.cozystack.io", "other").await;
    let _: BackupJob = w
        .create(json!({"metadata": {"name": "held"}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "other"}, "backupClassName": w.namespace}}))
        .await;
    let message = w.backup_waits("held", "CRDsOutdated").await;
    assert!(message.contains("status.run") && message.contains("backstay crds |"), "{message}");
    w.event("held", "CRDsOutdated").await;
    let restore = |target: &str| {
        json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "before"},
            "targetApplicationRef": {"kind": "Redis", "name": target}}})
    };
    w.application("apps.cozystack.io", "third").await;
    let _: RestoreJob = w.create(restore("third")).await;
    w.until("back", "held", |job: &RestoreJob| condition(job, "Ready") == "False/CRDsOutdated").await;
    let seen = writes(&w, "held").await;
    w.strategy(script_spec("echo new")).await;
    let jobs = w.jobs().await;
    assert_eq!(jobs, ["before-backup", "lost-backup"], "nothing began");

    apply(&w, "../deploy/crds").await;
    until_kept(&w, "probe", true).await;
    w.backup_succeeds("held").await;
    assert_ne!(writes(&w, "held").await, seen);
    let (phase, ..) = w.restore_ends("back").await;
    assert_eq!(phase, "Succeeded");
    let back = w.api::<RestoreJob>().get("back").await.expect("it is there");
    assert_eq!(condition(&back, "StrategyPinned"), "True/StrategyPinned");
    let command = command_of(&w, "back-restore").await;
    assert!(command.contains("echo old restore"), "the strategy of the backup: {command}");
    let (reason, message) = w.backup_fails("lost").await;
    assert_eq!(reason, "RunRecordLost", "{message}");
}

async fn command_of(w: &World, job: &str) -> String {
    let api = w.api::<k8s_openapi::api::batch::v1::Job>();
    serde_json::to_string(&api.get(job).await.expect("the Job").spec).expect("JSON")
}
