//! Ends of runs that could be lost: a clean-up whose last call fails, a restore that is deleted midway, a run whose
//! component is no longer loaded.

use std::time::Duration;

use backstay_api::{Backup, BackupJob, RestoreJob};
use backstay_tests::World;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::steps::{
    cleanup_says, config_map, records, restore_waits, rewrite_of, until_no_record, world, world_of,
};

/// Denies the removal of our finalizer from Backups of this world.
async fn hold_finalizers(w: &World) {
    let policy = json!({"metadata": {"name": w.namespace}, "spec": {"failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": ["backups.cozystack.io"], "apiVersions": ["v1alpha1"],
            "operations": ["UPDATE"], "resources": ["backups"]}]},
        "validations": [{"expression": "!has(oldObject.metadata.finalizers) || has(object.metadata.finalizers)",
            "message": "finalizers stay"}]}});
    let binding = json!({"metadata": {"name": w.namespace}, "spec": {"policyName": w.namespace,
        "validationActions": ["Deny"], "matchResources": {"namespaceSelector": {
            "matchLabels": {"kubernetes.io/metadata.name": w.namespace}}}}});
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(w.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(w.client.clone());
    let params = PostParams::default();
    policies
        .create(&params, &serde_json::from_value(policy).expect("a policy"))
        .await
        .expect("it is accepted");
    bindings
        .create(&params, &serde_json::from_value(binding).expect("a binding"))
        .await
        .expect("it is accepted");
    // The policy is in force some time after it was accepted.
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut every = tokio::time::interval(Duration::from_millis(200));
    while w.api::<Backup>().patch("b", &params, &none).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the policy is not in force in time");
        every.tick().await;
    }
}

async fn release_finalizers(w: &World) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(w.client.clone());
    bindings.delete(&w.namespace, &DeleteParams::default()).await.expect("it is deleted");
}

#[tokio::test]
async fn a_backup_whose_finalizer_could_not_be_taken_off_is_cleaned_up_after_once_more_and_goes() {
    let program = json!({"private": {"password": "hush"}, "backup": [], "cleanup": [
        {"create": {"object": config_map("scrubbed")}}]});
    let Some(w) = world("end_cleanup", program).await else { return };
    let run = w.backup("b").await.metadata.uid.expect("a uid");
    w.backup_succeeds("b").await;
    w.until::<Backup>("b", "given our finalizer", |b| !b.finalizers().is_empty()).await;
    hold_finalizers(&w).await;
    w.delete::<Backup>("b").await;
    cleanup_says(&w, "b", "CleanupFailed").await;
    // The records for another attempt still exist.
    assert_eq!(records(&w, "private", &run).await, [format!("private-{run}")]);
    release_finalizers(&w).await;
    let gone = await_condition(w.api::<Backup>(), "b", |b: Option<&Backup>| b.is_none());
    let gone = tokio::time::timeout(Duration::from_secs(150), gone).await;
    gone.expect("the Backup goes at the next attempt").expect("a watch");
    until_no_record(&w, &format!("private-{run}")).await;
}

#[tokio::test]
async fn a_restore_deleted_where_data_may_be_gone_leaves_its_checkpoint_though_its_strategy_undoes_nothing() {
    let midway = json!({"backup": [], "restore": [{"stage": "gone"}, {"create": {"object": config_map("half")}},
        {"until": {"object": config_map("half"), "at": "/data/never", "equals": "x", "waitSeconds": 600, "watch": "object"}}]});
    let Some(w) = world_of("Keep", "end_deleted", midway).await else { return };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    let first = w.restore("r1", "b").await.metadata.uid.expect("a uid");
    restore_waits(&w, "r1", "ToldToWait").await;
    w.delete::<RestoreJob>("r1").await;
    w.until_gone::<RestoreJob>("r1").await;
    assert_eq!(records(&w, "kept", &first).await.len(), 1);
    until_no_record(&w, &format!("checkpoint-{first}")).await;

    // Another Backup, whose pinned strategy succeeds: the restore gets the handover, which is then deleted.
    rewrite_of(
        "Keep",
        &w,
        json!({"backup": [], "restore": [{"stage": "gone"}, {"create": {"object": config_map("whole")}}]}),
    )
    .await;
    w.backup("c").await;
    w.backup_succeeds("c").await;
    let second = w.restore("r2", "c").await.metadata.uid.expect("a uid");
    assert_eq!(w.restore_ends("r2").await.0, "Succeeded");
    let conditions =
        w.api::<RestoreJob>().get("r2").await.expect("it is there").status.expect("a status").conditions;
    assert!(conditions.iter().any(|c| c.type_ == "Seen" && c.message.contains(&first)), "{conditions:?}");
    assert_eq!(records(&w, "kept", &first).await, Vec::<String>::new());
    assert_eq!(records(&w, "kept", &second).await, Vec::<String>::new());
    w.until::<RestoreJob>("r2", "free to go", |j| j.finalizers().is_empty()).await;
}

/// Turns a run that waits for its class into one that has begun with a component that is not loaded.
async fn begin(w: &World, name: &str, deadline: &str) {
    w.backup(name).await;
    w.backup_waits(name, "BackupClassNotFound").await;
    let velero = json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Velero", "name": "x"});
    let status = json!({"status": {"phase": "Running", "waitingSince": null, "run": {"deadline": deadline,
        "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"}, "strategyRef": velero}}});
    let params = PatchParams::default();
    w.api::<BackupJob>().patch_status(name, &params, &Patch::Merge(status)).await.expect("a status");
}

#[tokio::test]
async fn a_run_that_has_begun_does_not_wait_for_its_component_for_ever() {
    let Some(w) = World::new("end_component").await else { return };
    begin(&w, "late", "2026-01-01T00:00:00Z").await;
    let (reason, message) = w.backup_fails("late").await;
    assert_eq!(reason, "RunDeadlineExceeded");
    assert!(message.contains("Velero") && message.contains("put its component back"), "{message}");
    begin(&w, "early", "2099-01-01T00:00:00Z").await;
    let (reason, message) = w.backup_fails_within(Duration::from_secs(120), "early").await;
    assert_eq!(reason, "WaitDeadlineExceeded");
    assert!(message.contains("ComponentMissing"), "{message}");
}

/// The platform's secret key in the tests.
const KEY: &str = "the platform's key";

fn tells(value: &Value) -> bool {
    value.to_string().contains(KEY)
}

#[tokio::test]
async fn the_secret_key_is_in_no_event_and_no_message_however_it_is_said() {
    let wait = json!({"until": {"object": config_map("x"), "at": "/data/x", "equals": KEY, "waitSeconds": 600, "watch": "nothing"}});
    let program = json!({"backup": [
        {"condition": {"type": "Told", "status": true, "message": format!("a {KEY} b")}},
        {"event": {"warning": true, "message": format!("c {KEY} d")}}, {"create": {"object": config_map("x")}}, wait]});
    let Some(w) = world("end_redacted", program).await else { return };
    w.backup("b").await;
    w.backup_waits("b", "ToldToWait").await;
    assert_eq!(w.event("b", "Told").await, "c [credential withheld] d");
    assert!(w.event("b", "ToldToWait").await.contains("[credential withheld]"));
    let job = serde_json::to_value(w.api::<BackupJob>().get("b").await.expect("it is there")).expect("JSON");
    assert!(
        !tells(&job["status"]) && job["status"].to_string().contains("a [credential withheld] b"),
        "{job}"
    );
}
