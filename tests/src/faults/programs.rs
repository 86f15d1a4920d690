//! The specs of the scenarios' strategies.

use serde_json::{Value, json};

use super::stage::NODE;
use crate::node;

/// Returns the spec of a strategy of kind Job. `version` distinguishes its revisions.
pub(super) fn job(version: &str) -> Value {
    json!({"backoffLimit": 0, "template": {
        "metadata": {"annotations": {
            node::MESSAGE: r#"{"artifact":{"uri":"s3://store/{{ .Application.metadata.name }}","sizeBytes":4096}}"#,
            "example.org/version": version}},
        "spec": {"nodeSelector": {"kubernetes.io/hostname": NODE}, "tolerations": [{"operator": "Exists"}], "containers": [{"name": "main", "image": "localhost/backstay-tools:1",
            "args": ["{{ .Mode }}", "{{ .Parameters.bucket }}"]}]}}})
}

/// Returns the spec of a strategy of kind Job whose pods fail.
pub(super) fn failing_job() -> Value {
    let mut spec = job("now");
    let annotations = &mut spec["template"]["metadata"]["annotations"];
    annotations[node::EXIT_CODE] = json!("3");
    annotations[node::MESSAGE] = json!("the store is full");
    spec
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name})
}

fn until(name: &str, at: &str) -> Value {
    json!({"until": {"object": config_map(name), "at": at, "equals": "yes", "waitSeconds": 3, "watch": "object"}})
}

/// Creates two ConfigMaps, waits for a third, deletes one of them and a foreign one, changes another, runs a pod
/// meanwhile, and stores private data.
pub(super) fn steps() -> Value {
    json!({"private": {"password": "hush"}, "backup": [
        {"get": {"object": {"kind": "$application"}}},
        {"create": {"object": config_map("copy"), "with": {"data": {"a": "1"}}}},
        {"create": {"object": config_map("passing")}},
        {"condition": {"type": "Copied", "status": true, "message": "copied"}},
        {"stage": "later"},
        until("flag", "/data/ready"),
        {"runPod": {"name": "move", "script": "true", "node": NODE}},
        {"patch": {"object": config_map("theirs"), "with": {"data": {"a": "2"}}}},
        {"pod": {"name": "move"}},
        {"list": {"object": config_map(""), "labels": "backstay.dev/run-uid", "limit": 10, "live": true}},
        {"delete": {"object": config_map("passing"), "own": true}},
        {"delete": {"object": config_map("old")}},
    ]})
}

/// Creates a ConfigMap and waits for ever; deletes it when the run is cancelled.
pub(super) fn endless() -> Value {
    json!({"backup": [{"create": {"object": config_map("half")}}, until("half", "/data/never")],
        "undo": [{"delete": {"object": config_map("half"), "own": true}}]})
}

/// A restore that fails after data may have been lost.
pub(super) fn half_way() -> Value {
    json!({"backup": [], "restore": [
        {"stage": "gone"}, {"create": {"object": config_map("half")}}, {"fail": "half way"}]})
}

/// A restore that succeeds at once.
pub(super) fn idle() -> Value {
    json!({"backup": [], "restore": []})
}

/// Deletes the objects of the Backup's run.
pub(super) fn cleanup() -> Value {
    json!({"backup": [], "cleanup": [{"delete": {"object": config_map("copy"), "own": false}}]})
}

pub(super) fn scrub() -> Value {
    json!({"image": "localhost/backstay-tools:1", "command": "true", "node": NODE})
}
