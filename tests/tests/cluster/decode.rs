//! Objects that a typed decoder refuses, or that are too large to be copied: each ends for itself, and others go on.

use std::time::Duration;

use backstay_api::{BackupJob, Plan, RestoreJob};
use backstay_tests::World;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Patches an object, and leaves the answer undecoded.
async fn patch(w: &World, url: &str, name: &str, change: Value) {
    let request = Request::new(url).patch(name, &PatchParams::default(), &Patch::Merge(change));
    w.client.request_text(request.expect("a request")).await.expect("it is accepted");
}

/// Creates an object of the group as it is: the types of the kinds would cut it.
async fn create(w: &World, kind: &str, mut object: Value) {
    let url =
        format!("/apis/backups.cozystack.io/v1alpha1/namespaces/{}/{}s", w.namespace, kind.to_lowercase());
    object["apiVersion"] = json!("backups.cozystack.io/v1alpha1");
    object["kind"] = json!(kind);
    let request = Request::new(url).create(&PostParams::default(), object.to_string().into_bytes());
    w.client.request_text(request.expect("a request")).await.expect("it is accepted");
}

/// Makes the managed fields of an object say that somebody wrote them at the end of time.
async fn written_at_the_end_of_time(w: &World, url: &str, name: &str) {
    let entry = json!({"manager": "somebody", "operation": "Update", "apiVersion": "v1", "time": "9999-12-31T23:59:59Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:schedule": {}}}});
    patch(w, url, name, json!({"metadata": {"managedFields": [entry]}})).await;
}

/// Maps within a map, this many.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

/// Returns the status of a RestoreJob that has ended. Its options are skipped: no client here could hold them.
async fn ended(w: &World, name: &str) -> Value {
    #[derive(serde::Deserialize)]
    struct Shown {
        #[serde(default)]
        status: Value,
    }
    let restores = w.api::<RestoreJob>();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut every = tokio::time::interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        let request =
            Request::new(restores.resource_url()).get(name, &Default::default()).expect("a request");
        let text = w.client.request_text(request).await.expect("a RestoreJob");
        let shown: Shown = serde_json::from_str(&text).expect("an object");
        if matches!(shown.status["phase"].as_str(), Some("Failed" | "Succeeded")) {
            return shown.status;
        }
        assert!(Instant::now() < deadline, "{name} has not ended: {}", shown.status);
    }
}

#[tokio::test]
async fn t2_t12_an_object_beyond_the_bounds_fails_by_itself_and_others_of_its_kind_go_on() {
    let Some(w) = World::new("t2").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let restore = |name: &str, options: Value| json!({"metadata": {"name": name}, "spec": {"backupRef": {"name": "nightly"}, "options": options}});
    for (name, options, says) in [
        // serde_json takes 128 levels by itself; the API server takes far more.
        ("deep", nested(130), "spec.options is nested more than 32 levels deep"),
        ("large", json!({"a": "x".repeat(1_000_000)}), "bytes, and may have 65536"),
        ("many", json!({"a": vec![0; 20_000]}), "spec.options has more than 10000 values"),
    ] {
        create(&w, "RestoreJob", restore(name, options)).await;
        let status = ended(&w, name).await;
        assert_eq!(status["phase"], "Failed", "{status}");
        let ready = &status["conditions"].as_array().expect("conditions")[0];
        assert_eq!(ready["reason"], "InputTooLarge", "{status}");
        assert!(ready["message"].as_str().is_some_and(|message| message.contains(says)), "{status}");
    }
    create(&w, "RestoreJob", restore("sane", json!({"a": 1}))).await;
    assert_eq!(ended(&w, "sane").await["phase"], "Succeeded");
}

#[tokio::test]
async fn t2_values_that_the_schema_admits_and_a_decoder_refuses_are_read() {
    let Some(w) = World::new("t2v").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let mut kept = serde_json::to_value(w.get_backup("nightly").await).expect("JSON");
    kept["metadata"] = json!({"name": "kept"});
    for (name, time) in [("late", "9999-12-31T23:59:59Z"), ("exact", "2026-01-01T00:00:00.1234567890Z")] {
        kept["metadata"] = json!({ "name": name });
        kept["spec"]["takenAt"] = json!(time);
        create(&w, "Backup", kept.clone()).await;
        w.restore(&format!("from-{name}"), name).await;
        let (phase, reason, message) = w.restore_ends(&format!("from-{name}")).await;
        assert_eq!(phase, "Succeeded", "{reason}: {message}");
    }
}

#[tokio::test]
async fn t19_no_read_depends_on_managed_fields() {
    let Some(w) = World::new("t19").await else { return };
    w.script("true").await;
    let applications = w.applications("apps.cozystack.io");
    written_at_the_end_of_time(&w, applications.resource_url(), "cache").await;
    let plans = w.api::<Plan>();
    w.plan("yearly", "0 0 1 1 *", json!({})).await;
    written_at_the_end_of_time(&w, plans.resource_url(), "yearly").await;
    patch(
        &w,
        plans.resource_url(),
        "yearly",
        json!({"spec": {"suspend": true, "schedule": {"cron": "0 0 2 1 *"}}}),
    )
    .await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut every = tokio::time::interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        let request =
            Request::new(plans.resource_url()).get("yearly", &Default::default()).expect("a request");
        let plan: Value = w.client.request(request).await.expect("a Plan");
        let conditions = plan["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["reason"] == "Suspended") {
            break;
        }
        assert!(Instant::now() < deadline, "the Plan is not reconciled any more: {}", plan["status"]);
    }
    let job: BackupJob = w.backup("nightly").await;
    let jobs = w.api::<BackupJob>();
    written_at_the_end_of_time(&w, jobs.resource_url(), &job.metadata.name.expect("a name")).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        every.tick().await;
        let request =
            Request::new(jobs.resource_url()).get("nightly", &Default::default()).expect("a request");
        let job: Value = w.client.request(request).await.expect("a BackupJob");
        match job["status"]["phase"].as_str() {
            Some("Succeeded") => break,
            phase => assert!(phase != Some("Failed") && Instant::now() < deadline, "{}", job["status"]),
        }
    }
}
