//! Inputs that are more than a spec: metadata, edits, deletions, Jobs, pods and applications of the tenant.

use serde_json::{Value, json};

use super::input::{
    APPLICATIONS, BACKUPS, HERE, Input, NAMESPACE, OTHER, Object, Request, UID, create, delete, merge, with,
};
use super::schema::valid;
use super::values::{maps, texts};

/// Time that a decoder may refuse.
const LATE: &str = "9999-12-31T23:59:59Z";
/// The most that the annotations of an object may take.
const ANNOTATIONS: usize = 262_000;
/// Jobs and pods with the most metadata.
const FAT: usize = 24;

/// Returns all inputs of this file.
pub(super) fn inputs() -> Vec<Input> {
    let mut inputs = metadata();
    inputs.extend(edits());
    inputs.extend(deletions());
    inputs.extend(jobs());
    inputs.extend(applications());
    inputs
}

fn run(kind: &str, name: &str, metadata: &Value, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    object["metadata"]["name"] = name.into();
    object
}

fn plural(kind: &str) -> &'static str {
    match kind {
        "BackupJob" => "backupjobs",
        "RestoreJob" => "restorejobs",
        _ => "plans",
    }
}

fn object(kind: &str, name: &str) -> Option<Object> {
    Some(Object { plural: plural(kind), name: name.to_owned() })
}

/// Runs and Plans with odd metadata.
fn metadata() -> Vec<Input> {
    let labels: serde_json::Map<String, Value> =
        (0..2_000).map(|i| (format!("l{i}"), json!("v".repeat(63)))).collect();
    let annotations: serde_json::Map<String, Value> =
        (0..5_000).map(|i| (format!("a{i}.example.org/b"), json!("v"))).collect();
    let foreign = |kind: &str, extra: Value| {
        let mut owner = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "name": "nobody",
            "uid": "00000000-0000-0000-0000-000000000000"});
        for (key, value) in extra.as_object().into_iter().flatten() {
            owner[key.as_str()] = value.clone();
        }
        owner
    };
    let cases = [
        ("annotations of 256 KiB", json!({"annotations": {"a": "x".repeat(ANNOTATIONS)}})),
        ("5,000 annotations", json!({"annotations": annotations})),
        ("2,000 labels", json!({"labels": labels})),
        (
            "our labels",
            json!({"labels": {"backstay.dev/run-uid": "00000000-0000-0000-0000-000000000000",
            "backups.cozystack.io/owned-by.BackupJobName": "nobody", "backups.cozystack.io/owned-by.BackupJobNamespace": "backstay-system",
            "backstay.dev/record": "checkpoint"}}),
        ),
        ("a foreign finalizer", json!({"finalizers": ["mallory.example.org/stay"]})),
        (
            "our finalizers",
            json!({"finalizers": ["backups.cozystack.io/cleanup", "backstay.dev/undo", "backups.cozystack.io/cleanup-velero"]}),
        ),
        (
            "an owner that is a Backup",
            json!({"ownerReferences": [foreign("Backup", json!({"controller": true, "blockOwnerDeletion": true}))]}),
        ),
        (
            "100 owners",
            json!({"ownerReferences": (0..100).map(|i| foreign("BackupJob", json!({"uid": format!("u-{i}")}))).collect::<Vec<_>>()}),
        ),
        (
            "an owner with a blank for a uid",
            json!({"ownerReferences": [foreign("BackupJob", json!({"uid": " ", "name": "\n"}))]}),
        ),
        ("a name of dots", json!({})),
    ];
    let mut inputs = Vec::new();
    for kind in ["BackupJob", "RestoreJob", "Plan"] {
        for (nth, (about, metadata)) in cases.iter().enumerate() {
            let name =
                if metadata == &json!({}) { "a.b.c.d.e".to_owned() } else { format!("metadata-{nth}") };
            let body = run(kind, &name, metadata, valid(kind, nth)).to_string();
            inputs.push(Input {
                group: "metadata",
                about: format!("{kind} with {about}"),
                requests: vec![create(BACKUPS, NAMESPACE, plural(kind), body)],
                object: object(kind, &name),
            });
        }
        let name = "n".repeat(63) + &format!(".{}", "o".repeat(63)).repeat(2) + "." + &"p".repeat(61);
        inputs.push(Input {
            group: "metadata",
            about: format!("{kind} with a name of 253 characters"),
            requests: vec![create(
                BACKUPS,
                NAMESPACE,
                plural(kind),
                run(kind, &name, &json!({}), valid(kind, 0)).to_string(),
            )],
            object: object(kind, &name),
        });
        inputs.push(late(kind));
    }
    inputs
}

/// A run or Plan whose managed fields are of the last second of year 9999.
fn late(kind: &str) -> Input {
    let name = "managed-at-the-end";
    Input {
        group: "metadata",
        about: format!("{kind} with managed fields of year 9999"),
        requests: vec![
            create(BACKUPS, NAMESPACE, plural(kind), run(kind, name, &json!({}), valid(kind, 1)).to_string()),
            merge(BACKUPS, plural(kind), name, managed_late("backups.cozystack.io/v1alpha1").to_string()),
        ],
        object: object(kind, name),
    }
}

fn managed_late(version: &str) -> Value {
    json!({"metadata": {"managedFields": [{"manager": "mallory", "operation": "Update", "apiVersion": version,
        "time": LATE, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]}})
}

/// Runs that wait, and are edited meanwhile: BackupJobs whose class does not exist, and RestoreJobs whose target is held.
fn edits() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (nth, (about, json)) in texts().into_iter().enumerate() {
        let name = format!("edited-{nth}");
        let mut spec = valid("BackupJob", nth);
        spec["backupClassName"] = "absent".into();
        let patch = with(
            &json!({"spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": HERE}}}),
            &json,
        );
        inputs.push(edit(
            "BackupJob",
            &name,
            spec,
            format!("BackupJob that waits, name of the application edited: {about}"),
            patch,
        ));
        let mut spec = valid("RestoreJob", nth);
        spec["targetApplicationRef"]["name"] = "held".into();
        let patch = with(&json!({"spec": {"backupRef": {"name": HERE}}}), &json);
        inputs.push(edit(
            "RestoreJob",
            &name,
            spec,
            format!("RestoreJob that waits, name of the Backup edited: {about}"),
            patch,
        ));
        let patch = with(&json!({"spec": {"schedule": {"cron": HERE}}}), &json);
        inputs.push(edit(
            "Plan",
            &name,
            valid("Plan", nth),
            format!("Plan, schedule edited: {about}"),
            patch,
        ));
    }
    inputs
}

fn edit(kind: &str, name: &str, spec: Value, about: String, patch: String) -> Input {
    Input {
        group: "edits",
        about,
        requests: vec![
            create(BACKUPS, NAMESPACE, plural(kind), run(kind, name, &json!({}), spec).to_string()),
            merge(BACKUPS, plural(kind), name, patch),
        ],
        object: object(kind, name),
    }
}

/// Runs that are deleted at once, in every way, with and without a finalizer of the tenant, and made again.
fn deletions() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (nth, policy) in ["Background", "Foreground", "Orphan"].into_iter().enumerate() {
        for kind in ["BackupJob", "RestoreJob", "Plan"] {
            for stays in [false, true] {
                let name = format!("deleted-{}-{stays}", policy.to_lowercase());
                let finalizers = if stays { json!(["mallory.example.org/stay"]) } else { json!([]) };
                let made = create(
                    BACKUPS,
                    NAMESPACE,
                    plural(kind),
                    run(kind, &name, &json!({"finalizers": finalizers}), valid(kind, nth)).to_string(),
                );
                let again = (!stays).then(|| made.clone());
                inputs.push(Input {
                    group: "deletions",
                    about: format!(
                        "{kind} deleted ({policy}{})",
                        if stays { ", with a foreign finalizer" } else { ", and made again" }
                    ),
                    requests: [Some(made), Some(delete(BACKUPS, plural(kind), &name, policy)), again]
                        .into_iter()
                        .flatten()
                        .collect(),
                    // It may be gone, or go at any time.
                    object: None,
                });
            }
        }
    }
    inputs
}

/// Jobs and pods that look as if the controller had made them.
fn jobs() -> Vec<Input> {
    let mut inputs = Vec::new();
    let batch = "/apis/batch/v1";
    let owner = |version: &str, kind: &str, name: &str| json!([{"apiVersion": version, "kind": kind, "name": name, "uid": UID, "controller": true, "blockOwnerDeletion": true}]);
    let ours = |name: &str| {
        json!({"backstay.dev/run-uid": UID, "job.strategy.backups.cozystack.io/mode": "backup",
            "backups.cozystack.io/owned-by.BackupJobName": name, "backups.cozystack.io/owned-by.BackupJobNamespace": NAMESPACE})
    };
    let pod = json!({"restartPolicy": "Never", "nodeSelector": {"nobody.example.org/has": "this"},
        "containers": [{"name": "main", "image": "localhost/backstay-tools:1"}]});
    for (kind, suffix) in [("BackupJob", "backup"), ("RestoreJob", "restore")] {
        for owned in [false, true] {
            let name = format!("beforehand-{owned}");
            let mut spec = valid(kind, 3);
            // Waits for its class, or for the lock on its target.
            match kind {
                "BackupJob" => spec["backupClassName"] = "absent".into(),
                _ => spec["targetApplicationRef"]["name"] = "held".into(),
            }
            let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("{name}-{suffix}"), "labels": ours(&name)},
                "spec": {"suspend": true, "template": {"metadata": {"labels": ours(&name)}, "spec": pod}}});
            if owned {
                job["metadata"]["ownerReferences"] = owner("backups.cozystack.io/v1alpha1", kind, &name);
            }
            inputs.push(Input {
                group: "Jobs and pods",
                about: format!(
                    "Job made beforehand for a {kind}{}",
                    if owned { ", owned by it" } else { "" }
                ),
                requests: vec![
                    create(BACKUPS, NAMESPACE, plural(kind), run(kind, &name, &json!({}), spec).to_string()),
                    create(batch, NAMESPACE, "jobs", job.to_string()),
                ],
                object: object(kind, &name),
            });
        }
    }
    for nth in 0..FAT {
        let labels = ours("nobody");
        let annotations = json!({"a": "x".repeat(ANNOTATIONS)});
        let fat = |extra: Value| {
            let mut metadata =
                json!({"name": format!("fat-{nth}"), "labels": labels, "annotations": annotations});
            for (key, value) in extra.as_object().into_iter().flatten() {
                metadata[key.as_str()] = value.clone();
            }
            metadata
        };
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": fat(json!({})),
            "spec": {"suspend": true, "template": {"spec": pod}}});
        // The owner has the uid of the Job, and is in another namespace.
        let made = json!({"apiVersion": "v1", "kind": "Pod", "metadata": fat(json!({"ownerReferences": owner("batch/v1", "Job", "fat")})), "spec": pod});
        let lone = json!({"apiVersion": "v1", "kind": "Pod", "metadata": fat(json!({})), "spec": pod});
        inputs.push(Input {
            group: "Jobs and pods",
            about: format!("Job with our labels and annotations of 256 KiB, and a pod of another namespace that names it, number {nth}"),
            requests: vec![
                create(batch, NAMESPACE, "jobs", job.to_string()),
                create("/api/v1", OTHER, "pods", made.to_string()),
                create("/api/v1", NAMESPACE, "pods", lone.to_string()),
            ],
            object: None,
        });
    }
    inputs
}

/// Applications of which nobody expects what they hold, each with a BackupJob and a RestoreJob.
fn applications() -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut add = |about: String, name: String, json: String, then: Option<Request>| {
        let object_of = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis", "metadata": {"name": name}, "spec": HERE});
        for kind in ["BackupJob", "RestoreJob"] {
            let mut spec = valid(kind, 0);
            let field = if kind == "BackupJob" { "applicationRef" } else { "targetApplicationRef" };
            spec[field]["name"] = name.clone().into();
            let run = create(
                BACKUPS,
                NAMESPACE,
                plural(kind),
                run(kind, &format!("of-{name}"), &json!({}), spec).to_string(),
            );
            let made = (kind == "BackupJob")
                .then(|| create(APPLICATIONS, NAMESPACE, "redises", with(&object_of, &json)));
            let then = then.clone().filter(|_| kind == "BackupJob");
            inputs.push(Input {
                group: "applications",
                about: format!("{kind} of an application with {about}"),
                requests: [made, then, Some(run)].into_iter().flatten().collect(),
                object: object(kind, &format!("of-{name}")),
            });
        }
    };
    for (nth, (about, json)) in maps().into_iter().enumerate() {
        add(about, format!("odd-{nth}"), json, None);
    }
    for (nth, json) in ["[]", "\"text\"", "7", "true"].into_iter().enumerate() {
        add(format!("the spec {json}"), format!("plain-{nth}"), json.to_owned(), None);
    }
    let late = merge(APPLICATIONS, "redises", "late", managed_late("apps.cozystack.io/v1alpha1").to_string());
    add("managed fields of year 9999".to_owned(), "late".to_owned(), "{}".to_owned(), Some(late));
    let fat = json!({"metadata": {"annotations": {"a": "x".repeat(ANNOTATIONS)}}}).to_string();
    add(
        "annotations of 256 KiB".to_owned(),
        "fat".to_owned(),
        "{}".to_owned(),
        Some(merge(APPLICATIONS, "redises", "fat", fat)),
    );
    inputs
}
