//! A Job and its pods as the host reads them, with odd parts. A tenant can write both.

use serde_json::{Value, json};

use crate::choose::Choose;

/// Returns a finished Job and a pod of it, as JSON of the API server.
#[must_use]
pub fn job_and_pod(input: &[u8]) -> (Value, Value) {
    let mut choose = Choose::new(input);
    let time = "2026-01-02T03:04:05Z";
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "a", "namespace": "b", "uid": "u",
            "annotations": {"backstay.dev/pod-run": "{\"logLines\":50,\"data\":{\"a\":1}}"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "a", "uid": "r", "controller": true}],
        },
        "status": {
            "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m", "lastTransitionTime": time}],
            "succeeded": 0, "failed": 1, "completionTime": time,
        },
    });
    let ended = json!({"exitCode": 1, "reason": "Error", "message": "{\"artifact\":{\"uri\":\"s3://b/k\"}}", "finishedAt": time});
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a-1", "namespace": "b", "creationTimestamp": time},
        "spec": {
            "hostNetwork": false, "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {"sysctls": []},
            "containers": [{"name": "c", "image": "i", "securityContext": {"capabilities": {"add": ["CHOWN"]}}, "ports": [{"containerPort": 1}]}],
        },
        "status": {
            "phase": "Failed", "reason": "Evicted", "message": "m", "startTime": time,
            "initContainerStatuses": [],
            "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}}],
        },
    });
    for object in [&mut job, &mut pod] {
        for _ in 0..choose.up_to(3) {
            change(&mut choose, object);
        }
    }
    (job, pod)
}

/// Returns a pod template of a guest, and what the guest makes of an object of others: a JSON merge patch.
#[must_use]
pub fn template_and_patch(input: &[u8]) -> (Value, Value) {
    let mut choose = Choose::new(input);
    let context = json!({"privileged": false, "runAsNonRoot": true, "allowPrivilegeEscalation": false, "procMount": "Default",
        "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"type": "container_t"}, "appArmorProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "c", "image": "a/b", "ports": [{"containerPort": 1, "hostPort": 0}], "securityContext": context,
        "livenessProbe": {"httpGet": {"host": "", "port": 1}}, "lifecycle": {"preStop": {"tcpSocket": {"port": 1}}},
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}]});
    let mut template = json!({
        "metadata": {"labels": {"a": "b"}, "annotations": {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}},
        "spec": {
            "restartPolicy": "Never", "hostNetwork": false, "serviceAccountName": "a", "imagePullSecrets": [{"name": "a"}],
            "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}], "runAsUser": 1000},
            "initContainers": [container], "containers": [container], "ephemeralContainers": [],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "a"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "a"}}]}}],
        },
    });
    let mut patch = json!({"metadata": {"labels": {"backstay.dev/run-uid": "u"}}, "spec": {"template": template, "replicas": 1}});
    for object in [&mut template, &mut patch] {
        for _ in 0..choose.up_to(3) {
            change(&mut choose, object);
        }
    }
    (template, patch)
}

/// Changes a part, mostly to another value of its type, sometimes to a value of another type.
pub(crate) fn change(choose: &mut Choose<'_>, value: &mut Value) {
    let deeper = !choose.once_in(8);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            let at = choose.up_to(entries.len() - 1);
            let Some(key) = entries.keys().nth(at).cloned() else { return };
            if deeper {
                change(choose, &mut entries[&key]);
            } else {
                entries.remove(&key);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = choose.up_to(items.len() - 1);
            if deeper {
                change(choose, &mut items[at]);
            } else {
                let more = vec![items[at].clone(); choose.up_to(20)];
                items.extend(more);
            }
        }
        Value::String(text) if deeper => *text = choose.text(),
        Value::Number(number) if deeper => *number = choose.integer().into(),
        other => *other = choose.json(3),
    }
}
