//! The specs of the strategies, and how their pods behave.

use std::time::Duration;

use devcluster::client::text;
use devcluster::controllers::Script;
use serde_json::{Value, json};

use crate::chance::{at, once_in};
use crate::plan::Class;

/// Name of the node.
pub(crate) const NODE: &str = "simulated";

/// Returns the spec of a class's strategy.
pub(crate) fn of(class: Class, version: u32) -> Value {
    match class {
        Class::Job | Class::Missing => json!({"backoffLimit": 1, "template": {
            "metadata": {"annotations": {"example.org/version": version.to_string()}},
            "spec": {"nodeSelector": {"kubernetes.io/hostname": NODE}, "containers": [{"name": "main",
                "image": "localhost/tools:1", "args": ["{{ .Mode }}", "{{ .Parameters.bucket }}"]}]}}}),
        Class::Steps => json!({"private": {"version": version}, "backup": [
            {"get": {"object": {"kind": "$application"}}},
            {"create": {"object": config_map("copy"), "with": {"data": {"a": "1"}}}},
            {"create": {"object": config_map("passing")}},
            {"stage": "later"},
            {"runPod": {"name": "move", "script": "true", "node": NODE}},
            {"patch": {"object": config_map("theirs"), "with": {"data": {"a": "2"}}}},
            {"pod": {"name": "move"}},
            {"list": {"object": config_map(""), "labels": "backstay.dev/run-uid", "limit": 10, "live": true}},
            {"delete": {"object": config_map("passing"), "own": true}},
            {"delete": {"object": config_map("copy"), "own": true}},
        ], "restore": [
            {"create": {"object": config_map("copy")}},
            {"runPod": {"name": "back", "script": "true", "node": NODE}},
            {"pod": {"name": "back"}},
            {"delete": {"object": config_map("copy"), "own": true}},
        ]}),
        Class::Flag => json!({"backup": [until("flag", "/data/ready")], "restore": [
            {"create": {"object": config_map("copy")}}, until("flag", "/data/ready"),
            {"delete": {"object": config_map("copy"), "own": true}}]}),
        Class::Endless => json!({"backup": [
            {"create": {"object": config_map("half")}}, until("half", "/data/never")],
            "undo": [{"delete": {"object": config_map("half"), "own": true}}]}),
        Class::HalfWay => json!({"backup": [], "restore": [
            {"stage": "gone"}, {"create": {"object": config_map("left")}}, {"fail": "half way"}]}),
        Class::Private => json!({"private": {"password": "hush", "version": version}, "backup": [
            {"create": {"object": config_map("kept")}}],
            "cleanup": [{"delete": {"object": config_map("kept"), "own": true}}]}),
    }
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name})
}

fn until(name: &str, at: &str) -> Value {
    json!({"until": {"object": config_map(name), "at": at, "equals": "yes", "waitSeconds": 20, "watch": "object"}})
}

/// Returns how one start of a container of a pod goes.
pub(crate) fn script(seed: u64, bad: u32, pod: &Value, start: u32) -> Script {
    let place = (text(pod, "/metadata/namespace"), text(pod, "/metadata/labels/job-name"), start);
    let mut rng = at(seed, ("pod", place, text(pod, "/metadata/name").len()));
    let rng = &mut rng;
    let report = r#"{"artifact":{"uri":"s3://store/cache","sizeBytes":4096}}"#;
    let mut script = Script {
        starts_after: Duration::from_millis(rng.u64(0..5000)),
        runs: Some(Duration::from_millis(rng.u64(1..40_000))),
        message: report.to_owned(),
        stops_after: Some(Duration::from_millis(rng.u64(0..2000))),
        ..Script::default()
    };
    if once_in(rng, bad) {
        match rng.u32(0..5) {
            0 => (script.code, script.message) = (3, "the store is full".to_owned()),
            1 => script.waits = Some(("ImagePullBackOff", "Back-off pulling image".to_owned())),
            2 => script.runs = None,
            3 => script.message = "{\"artifact\":".to_owned(),
            _ => script.stops_after = None,
        }
    }
    script
}
