//! Existing objects decode without loss.

// The lint does not count functions that tests share as tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob, TypedRef, bounds, finalizers, phase};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Decodes the objects of a file in `tests/objects`, and checks that each encodes to the same.
fn load<T: DeserializeOwned + Serialize>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let written: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let decode = |object: Value| {
        let decoded: T = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&decoded).unwrap(), object, "{file}");
        decoded
    };
    written.into_iter().map(decode).collect()
}

fn strategy_of(class: &BackupClass, group: &str, kind: &str) -> Option<String> {
    class.spec.binding(group, kind).map(|entry| entry.strategy_ref.name.clone())
}

#[test]
fn a_platform_class_resolves_each_kind_to_its_first_entry() {
    let class = load::<BackupClass>("backupclass.yaml").remove(0);
    assert_eq!(strategy_of(&class, "apps.cozystack.io", "Postgres").as_deref(), Some("platform-pg"));
    assert_eq!(strategy_of(&class, "apps.cozystack.io", "Redis").as_deref(), Some("redis-dump"));
    assert_eq!(strategy_of(&class, "apps.cozystack.io", "FoundationDB"), None);
    let parameters = class.spec.binding("", "Redis").unwrap().parameters.as_ref().unwrap();
    assert_eq!((parameters["db"].as_str(), parameters["verify"].as_str()), ("0", "true"));
}

#[test]
fn a_plan_without_the_fields_of_our_own_decodes() {
    let plan = load::<Plan>("plan.yaml").remove(0);
    assert_eq!(plan.spec.schedule.cron.as_deref(), Some("15 2 * * *"));
    assert_eq!(
        (plan.spec.time_zone, plan.spec.starting_deadline_seconds, plan.spec.suspend),
        (None, None, None)
    );
}

#[test]
fn a_finished_run_of_the_go_implementation_is_terminal() {
    let run = load::<BackupJob>("backupjob.yaml").remove(0);
    let status = run.status.unwrap();
    assert!(phase::is_terminal(status.phase.as_deref()));
    assert_eq!(status.backup_ref.unwrap().name, "cache-nightly-29543655");
    assert_eq!(status.conditions[0].reason, "BackupCompleted");
    assert!(status.run.is_none());
}

#[test]
fn a_backup_of_the_go_implementation_decodes_with_nothing_pinned() {
    let backup = load::<Backup>("backup.yaml").remove(0);
    assert_eq!(backup.spec.application_ref.group(), "apps.cozystack.io");
    assert!(backup.metadata.finalizers.unwrap().iter().all(|f| finalizers::is_ours(f)));
    let status = backup.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some(phase::READY));
    assert!(status.artifact.is_none() && status.component.is_none() && status.strategy_revision.is_none());
}

#[test]
fn restores_in_place_to_a_copy_and_with_a_null_option_decode() {
    let [in_place, copy, options]: [RestoreJob; 3] = load("restorejobs.yaml").try_into().unwrap();
    assert_eq!(in_place.spec.target_application_ref, None);
    let target = TypedRef {
        api_group: Some("apps.cozystack.io".into()),
        kind: "Redis".into(),
        name: "cache-copy".into(),
    };
    assert_eq!(copy.spec.target_application_ref, Some(target));
    let options = options.spec.options.unwrap().value().unwrap();
    assert_eq!(options["restoreTimeoutSeconds"], 900);
    assert_eq!(options.get("targetTLI"), Some(&Value::Null), "a null option stays");
}

/// What the API server admits by the CRD, and a typed field would refuse.
#[test]
fn values_that_the_schema_admits_decode() {
    let backup: Backup = serde_json::from_value(json!({
        "metadata": {"name": "x"},
        "spec": {
            "applicationRef": {"kind": "Redis", "name": "a".repeat(1 << 20)},
            "strategyRef": {"kind": "Job", "name": "b"},
            "takenAt": "9999-12-31T00:00:00.1234567890Z",
        },
        "status": {"conditions": [
            {"type": "T", "status": "True", "reason": "", "message": "", "lastTransitionTime": "9999-12-31T00:00:00Z"},
        ]},
    }))
    .unwrap();
    assert_eq!(backup.spec.application_ref.name.len(), bounds::NAME_BYTES + 1, "it is still too long");
    assert_eq!(backup.spec.taken_at.0.to_string(), "9999-12-30T22:00:00.999999999Z");
}

/// F19: fields of a later version or of another controller do not hide the object.
#[test]
fn f19_unknown_phases_fields_and_conditions_decode() {
    let run: BackupJob = serde_json::from_value(json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "BackupJob",
        "metadata": {"name": "x"},
        "spec": {
            "applicationRef": {"kind": "", "name": ""},
            "backupClassName": "c",
            "later": {"a": 1},
        },
        "status": {
            "phase": "Paused",
            "later": true,
            "startedAt": "2026-03-04T10:15:00.123456+02:00",
            "conditions": [{"type": "example.org/Verified", "status": "Perhaps", "lastTransitionTime": "2026-03-04T10:15:00Z", "later": 1}],
        },
    }))
    .unwrap();
    let status = run.status.unwrap();
    assert!(!phase::is_terminal(status.phase.as_deref()));
    assert_eq!(status.conditions[0].type_, "example.org/Verified");
    assert_eq!(status.started_at.unwrap().0.to_string(), "2026-03-04T08:15:00.123456Z");
}
