//! What probes of containers and identities of processes may be.

use serde_json::Value;

use super::value::{at, items, number, text};
use crate::schema::fault::{self, child, index};
use crate::status::Cause;

const IDS: &str = "must be between 0 and 2147483647, inclusive";

/// Returns the faults of the probes of a container.
pub(super) fn check(container: &Value, path: &str) -> Vec<Cause> {
    const COUNTS: [&str; 5] =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    let mut causes = Vec::new();
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let (probe, path) = (at(container, &[field]), child(path, field));
        if probe.is_null() {
            continue;
        }
        let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
        if handlers.iter().all(|handler| at(probe, &[handler]).is_null()) {
            causes.push(fault::required(path.clone(), "must specify a handler type"));
        }
        for count in COUNTS.into_iter().filter(|count| number(probe, &[count]).is_some_and(|one| one < 0)) {
            let detail = "must be greater than or equal to 0";
            causes.push(fault::invalid(child(&path, count), at(probe, &[count]), detail));
        }
    }
    causes
}

/// Returns the fault of a field of the pod that a variable of the environment names.
pub(super) fn field_path(field: &str, path: &str) -> Option<Cause> {
    const NAMED: [&str; 17] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.host",
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    ];
    let name = field.split_once("['").map_or(field, |(name, _)| name);
    let path = child(path, "fieldPath");
    if field.is_empty() {
        return Some(fault::required(path, ""));
    }
    (!NAMED.contains(&name)).then(|| {
        let detail = format!("error converting fieldPath: field label not supported: {field}");
        fault::invalid_text(path, field, &detail)
    })
}

/// Returns the faults of the images of a pod, which its template may still have.
pub(super) fn images(pod: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for (i, container) in items(pod, &["spec", list]).iter().enumerate() {
            let image = text(container, &["image"]);
            if image.trim() != image {
                let path = child(&index(&child("spec", list), i), "image");
                causes.push(fault::invalid_text(path, image, "must not have leading or trailing whitespace"));
            }
        }
    }
    causes
}

/// Returns the faults of the identities that a pod's processes have.
pub(super) fn identities(spec: &Value, path: &str) -> Vec<Cause> {
    let (security, path) = (at(spec, &["securityContext"]), child(path, "securityContext"));
    let wrong = |id: &Value| id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id));
    let mut causes = Vec::new();
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        if wrong(at(security, &[field])) {
            causes.push(fault::invalid(child(&path, field), at(security, &[field]), IDS));
        }
    }
    for (i, group) in items(security, &["supplementalGroups"]).iter().enumerate() {
        if wrong(group) {
            causes.push(fault::invalid(index(&child(&path, "supplementalGroups"), i), group, IDS));
        }
    }
    causes
}
