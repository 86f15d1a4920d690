//! Objects that a typed decoder refuses, or that are too large to be copied: each ends for itself, and others go on.

use std::time::Duration;

use backstay_api::{BackupJob, Plan};
use backstay_tests::world::World;
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
        let (phase, reason, message) = w.restore_ends(name).await;
        assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "InputTooLarge"), "{message}");
        assert!(message.contains(says), "{message}");
    }
    create(&w, "RestoreJob", restore("sane", json!({"a": 1}))).await;
    assert_eq!(w.restore_ends("sane").await.0, "Succeeded");
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
