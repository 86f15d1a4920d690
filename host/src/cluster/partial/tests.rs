//! Objects that decode, that do not, and that should cost much.

use backstay_api::{Backup, BackupJob, RestoreJob};
use backstay_core::contract::Json;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ObjectList, PartialObjectMeta, WatchEvent};
use serde_json::json;

use super::*;

fn lean<K: PartialDecode>(object: Json) -> Result<K, Box<Invalid>> {
    serde_json::from_str::<Partial<K>>(&object.to_string()).expect("it is an object").0
}

#[test]
fn a_job_keeps_what_is_read_of_it() {
    let job: Job = lean(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 1,
            "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"job-name": "a", "l": "1"},
            "annotations": {"backstay.dev/pod-run": "1", "a": "1", "notbackstay.dev/a": "1"},
            "finalizers": ["f"], "deletionTimestamp": "2026-07-01T00:00:00Z", "deletionGracePeriodSeconds": 3,
            "generateName": "a-",
            "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "b", "uid": "v"}],
            "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
        "spec": {"suspend": true, "ttlSecondsAfterFinished": 5, "template": {"spec": {"containers": []}}},
        "status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    }))
    .unwrap();
    let mut whole = serde_json::to_value(&job).unwrap();
    assert_eq!(whole["metadata"]["managedFields"], Json::Null);
    assert_eq!(whole["spec"]["template"], json!({}));
    whole["spec"].as_object_mut().unwrap().remove("template");
    assert_eq!(
        whole,
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 1,
                "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"job-name": "a"},
            "annotations": {"backstay.dev/pod-run": "1"},
                "finalizers": ["f"], "deletionTimestamp": "2026-07-01T00:00:00Z",
                "deletionGracePeriodSeconds": 3, "generateName": "a-",
                "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "b", "uid": "v"}]},
            "spec": {"suspend": true, "ttlSecondsAfterFinished": 5},
            "status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
        })
    );
}

#[test]
fn a_pod_keeps_which_of_its_init_containers_are_sidecars() {
    let pod: Pod = lean(json!({"metadata": {"name": "a"}, "spec": {"containers": [], "initContainers": [
        {"name": "setup", "image": "i"}, {"name": "proxy", "image": "i", "restartPolicy": "Always"}]}}))
    .unwrap();
    let kept: Vec<_> = pod.spec.unwrap().init_containers.unwrap();
    assert_eq!((kept.len(), kept[0].name.as_str()), (1, "proxy"));
}

#[test]
fn a_pod_keeps_its_status() {
    let pod: Pod = lean(json!({"metadata": {"name": "a"}, "spec": {"containers": "any"},
        "status": {"phase": "Running"}}))
    .unwrap();
    assert_eq!((pod.spec, pod.status.unwrap().phase.as_deref()), (None, Some("Running")));
}

/// A Backup that came back without a status gets it again from there.
#[test]
fn a_backup_keeps_the_record_of_its_status_whatever_other_marks_it_has() {
    let record = "x".repeat(60_000);
    let mut marks: serde_json::Map<String, Json> =
        (0..1000).map(|n| (format!("a.cozystack.io/{n}"), json!("y"))).collect();
    marks.insert("backstay.dev/recorded".to_owned(), json!(record));
    let backup: Backup = lean(json!({"metadata": {"name": "a", "annotations": marks}, "spec": {
        "applicationRef": {"kind": "Postgres", "name": "p"}, "strategyRef": {"kind": "Job", "name": "s"},
        "takenAt": "2026-07-01T00:00:00Z"}}))
    .unwrap();
    let kept = backup.metadata.annotations.unwrap();
    assert_eq!(kept.get("backstay.dev/recorded"), Some(&record));
    assert!(kept.len() < 100, "{}", kept.len());
}

#[test]
fn a_run_is_as_it_would_be_decoded_whole() {
    let stored = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"backupClassName": "c", "applicationRef": {"kind": "Postgres", "name": "p"}},
        "status": {"phase": "Running"}
    });
    let whole: BackupJob = serde_json::from_value(stored.clone()).unwrap();
    let lean: BackupJob = lean(stored).unwrap();
    assert_eq!(serde_json::to_value(lean).unwrap(), serde_json::to_value(whole).unwrap());
}

#[test]
fn a_run_that_does_not_decode_is_named_with_its_reason() {
    let invalid = lean::<BackupJob>(json!({"metadata": {"name": "a", "namespace": "n", "uid": "u"},
        "spec": {"backupClassName": 7}}))
    .unwrap_err();
    assert_eq!(invalid.metadata.name.as_deref(), Some("a"));
    assert!(invalid.error.starts_with("spec: ") && invalid.error.contains('7'), "{}", invalid.error);
    let invalid = lean::<BackupJob>(json!({"metadata": {"name": "a"}})).unwrap_err();
    assert_eq!(invalid.error, "missing field `spec`");
}

/// Maps within a map, this many.
fn nested(levels: usize) -> String {
    format!("{}{}", "{\"a\":".repeat(levels) + "1", "}".repeat(levels))
}

fn restore(name: &str, options: &str) -> String {
    format!(
        r#"{{"apiVersion":"backups.cozystack.io/v1alpha1","kind":"RestoreJob","metadata":{{"name":"{name}","namespace":"n","uid":"{name}"}},
        "spec":{{"backupRef":{{"name":"b"}},"options":{options}}}}}"#
    )
}

#[test]
fn t2_an_object_of_any_depth_keeps_no_other_of_its_list_from_being_decoded() {
    let items =
        [restore("deep", &nested(130)), restore("very-deep", &nested(20_000)), restore("sane", r#"{"a":1}"#)];
    let list =
        format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[{}]}}"#, items.join(","));
    let list: ObjectList<Partial<RestoreJob>> = serde_json::from_str(&list).expect("the list decodes");
    let told: Vec<_> = list
        .items
        .into_iter()
        .map(|item| item.0.expect("it decodes").spec.options.expect("it has some").text().map(str::to_owned))
        .map(|text| text.map_err(|why| why.to_string()))
        .collect();
    assert_eq!(told[0], Err("is nested more than 32 levels deep".to_owned()));
    assert!(told[1].as_ref().is_err_and(|why| why.contains("bytes, and may have 65536")), "{:?}", told[1]);
    assert_eq!(told[2].as_deref(), Ok(r#"{"a":1}"#));
}

#[test]
fn t2_an_event_of_an_object_of_any_depth_decodes() {
    let event = format!(r#"{{"type":"ADDED","object":{}}}"#, restore("deep", &nested(5000)));
    assert!(matches!(
        serde_json::from_str::<WatchEvent<Partial<RestoreJob>>>(&event),
        Ok(WatchEvent::Added(Partial(Ok(_))))
    ));
    let strategy = |spec: &str| {
        let event = format!(r#"{{"type":"MODIFIED","object":{{"metadata":{{"name":"s"}},"spec":{spec}}}}}"#);
        match serde_json::from_str::<WatchEvent<Partial<DynamicObject>>>(&event) {
            Ok(WatchEvent::Modified(object)) => object.0.map_err(|invalid| invalid.error),
            other => panic!("{other:?}"),
        }
    };
    assert!(strategy(&nested(90)).is_ok());
    assert_eq!(strategy(&nested(130)).unwrap_err(), "spec: nested more than 100 levels deep");
    let many = format!("[{}0]", "{\"\":0},".repeat(30_000));
    assert_eq!(strategy(&many).unwrap_err(), "spec: too many JSON values");
}

#[test]
fn t19_metadata_is_read_whatever_the_times_of_its_managed_fields() {
    let metadata = json!({"name": "a", "creationTimestamp": "9999-12-31T23:59:59Z",
        "managedFields": [{"manager": "m", "time": "9999-12-31T23:59:59Z"}, {"time": "never", "fieldsV1": 7}]});
    let object: DynamicObject = lean(json!({"metadata": metadata, "spec": {}})).unwrap();
    assert_eq!(object.metadata.managed_fields, None);
    let pod: Pod = lean(json!({ "metadata": metadata })).unwrap();
    assert_eq!(pod.metadata.creation_timestamp.unwrap().0.to_string(), "9999-12-30T22:00:00.999999999Z");
}

#[test]
fn t3_of_metadata_only_what_is_read_is_kept_however_much_there_is() {
    let marks: serde_json::Map<String, Json> =
        (0..10_000).map(|n| (format!("aaa.cozystack.io/{n}"), json!("x".repeat(60)))).collect();
    let mut labels = marks.clone();
    labels.insert("backstay.dev/run-uid".to_owned(), json!("u"));
    let owner = |controller: bool, name: &str| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": name, "controller": controller});
    let mut owners = vec![owner(false, &"o".repeat(10_000)); 1000];
    owners.push(owner(true, "mine"));
    let read: PartialObjectMeta<Pod> = lean(json!({"metadata": {"name": "a", "labels": labels,
        "annotations": {"cozystack.io/a": "x".repeat(1 << 20), "other": "x"}, "ownerReferences": owners}}))
    .unwrap();
    let kept = serde_json::to_string(&read.metadata).unwrap();
    assert!(kept.len() < 70_000, "{}", kept.len());
    assert_eq!(read.metadata.labels.as_ref().unwrap()["backstay.dev/run-uid"], "u");
    assert_eq!(backstay_core::owner::controller(&read.metadata).unwrap().name, "mine");
    let many: Vec<String> = (0..100).map(|n| format!("example.org/{n}")).collect();
    let refused =
        lean::<PartialObjectMeta<Pod>>(json!({"metadata": {"name": "a", "finalizers": many}})).unwrap_err();
    assert_eq!(refused.error, "metadata.finalizers has more than 64 entries");
    assert_eq!(refused.metadata.name.as_deref(), Some("a"));
}

#[test]
fn why_an_object_does_not_decode_is_short() {
    let wrong = json!({"metadata": {"name": "a"}, "spec": {"backupClassName": {"x".repeat(1 << 20): 1}, "applicationRef": "y".repeat(1 << 20)}});
    assert!(lean::<BackupJob>(wrong).unwrap_err().error.len() <= REASON);
}
