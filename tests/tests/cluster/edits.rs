//! Edits of runs: what has begun keeps its spec, and its status is about the spec that is there.

use backstay_api::{BackupJob, RestoreJob};
use backstay_tests::World;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Patches an object; returns the refusal.
async fn edit<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, String>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn the_spec_of_a_run_that_has_ended_is_immutable_and_its_status_stays_about_it() {
    let Some(w) = World::new("edits_ended").await else { return };
    w.script("true").await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let _: RestoreJob = w
        .create(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "nightly"}, "options": {"a": {"b": 1}}}}))
        .await;
    w.restore_ends("back").await;
    let (backups, restores) = (w.api::<BackupJob>(), w.api::<RestoreJob>());
    for refused in [
        edit(&backups, "nightly", json!({"spec": {"applicationRef": {"name": "other"}}})).await.map(|_| ()),
        edit(&backups, "nightly", json!({"spec": {"planRef": {"name": "other"}}})).await.map(|_| ()),
        edit(&backups, "nightly", json!({"spec": null})).await.map(|_| ()),
        edit(&restores, "back", json!({"spec": {"backupRef": {"name": "other"}}})).await.map(|_| ()),
        edit(&restores, "back", json!({"spec": {"options": {"a": {"b": 2}}}})).await.map(|_| ()),
        edit(&restores, "back", json!({"spec": {"options": null}})).await.map(|_| ()),
        edit(
            &restores,
            "back",
            json!({"spec": {"targetApplicationRef": {"kind": "Redis", "name": "other"}}}),
        )
        .await
        .map(|_| ()),
    ] {
        let message = refused.expect_err("the run has ended");
        assert!(message.contains("immutable") && message.contains("create another"), "{message}");
    }
    // Everything else of an ended run can be edited.
    let label = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"team": "a"}, "finalizers": ["example.org/mine"]}});
    edit(&backups, "nightly", label.clone()).await.expect("metadata is mutable");
    edit(&restores, "back", label).await.expect("metadata is mutable");
    edit(&restores, "back", json!({"spec": {"backupRef": {"name": "nightly"}}}))
        .await
        .expect("nothing changes");
    let none = json!({"metadata": {"finalizers": null}});
    let run = edit(&backups, "nightly", none.clone()).await.expect("metadata is mutable");
    assert_eq!(run.status.and_then(|s| s.observed_generation), run.metadata.generation);
    let run = edit(&restores, "back", none).await.expect("metadata is mutable");
    assert_eq!(run.status.and_then(|s| s.observed_generation), run.metadata.generation);
}

#[tokio::test]
async fn the_spec_of_a_run_that_waits_can_be_mended() {
    let Some(w) = World::new("edits_waiting").await else { return };
    let spec = |name: &str| json!({"applicationRef": {"kind": "Redis", "name": name}, "backupClassName": w.namespace});
    let _: BackupJob = w.create(json!({"metadata": {"name": "nightly"}, "spec": spec("misspelt")})).await;
    w.backup_waits("nightly", "BackupClassNotFound").await;
    edit(&w.api::<BackupJob>(), "nightly", json!({"spec": spec("cache")})).await.expect("it has not begun");
    w.script("true").await;
    let run = w.backup_succeeds("nightly").await;
    assert_eq!(run.status.and_then(|s| s.observed_generation), Some(2));
}

#[tokio::test]
async fn names_and_schedules_are_bounded_by_the_api_server_which_names_the_field() {
    let Some(w) = World::new("edits_bounds").await else { return };
    let long = "n".repeat(254);
    let application = json!({"kind": "Redis", "name": "cache"});
    let class = &w.namespace;
    for (plural, kind, spec, field) in [
        (
            "backupjobs",
            "BackupJob",
            json!({"applicationRef": {"kind": "Redis", "name": long}, "backupClassName": class}),
            "spec.applicationRef.name: Too long: may not be more than 253",
        ),
        (
            "backupjobs",
            "BackupJob",
            json!({"applicationRef": application, "backupClassName": long}),
            "spec.backupClassName: Too long: may not be more than 253",
        ),
        (
            "backupjobs",
            "BackupJob",
            json!({"applicationRef": {"kind": "k".repeat(64), "name": "cache"}, "backupClassName": class}),
            "spec.applicationRef.kind: Too long: may not be more than 63",
        ),
        (
            "restorejobs",
            "RestoreJob",
            json!({"backupRef": {"name": long}}),
            "spec.backupRef.name: Too long: may not be more than 253",
        ),
        (
            "plans",
            "Plan",
            json!({"applicationRef": application, "backupClassName": class, "schedule": {"cron": "1,".repeat(513)}}),
            "spec.schedule.cron: Too long: may not be more than 1024",
        ),
    ] {
        let body = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "metadata": {"name": "long"}, "spec": spec});
        let refused = post(&w.client, &w.namespace, plural, &body).await.expect_err("it is too long");
        assert!(refused.contains(field), "{field}: {refused}");
    }
}

async fn post(client: &Client, namespace: &str, plural: &str, body: &Value) -> Result<String, String> {
    let request =
        http::Request::post(format!("/apis/backups.cozystack.io/v1alpha1/namespaces/{namespace}/{plural}"))
            .header("Content-Type", "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|e| e.to_string())?;
    client.request_text(request).await.map_err(|e| e.to_string())
}
