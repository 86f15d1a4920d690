//! Pod templates inside the objects that a component writes.

use super::bounds::Allowed;
use super::findings::field;
use super::judge::{check, settings};
use crate::contract::{Diagnostic, Json, ObjectRef};

/// The path of the pod template in objects of the kinds of Kubernetes that run pods. A Pod is its own template.
fn path(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => Some(&[]),
        ("", "PodTemplate") => Some(&["template"]),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => Some(&["spec", "template"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// Returns whether objects of this kind hold a pod template that [`judge_change`] judges.
#[must_use]
pub fn holds_pods(object: &ObjectRef) -> bool {
    path(&object.api_version, &object.kind).is_some()
}

/// Checks a write of `set` that turns the object `before`, if there is one, into `after`. Returns one error for each
/// refused field that the write brings in; what the object had before is not the component's. `at` is a JSON pointer into
/// the object.
#[must_use]
pub fn judge_change(
    object: &ObjectRef,
    set: &Json,
    before: Option<&Json>,
    after: &Json,
    allowed: &Allowed,
) -> Vec<Diagnostic> {
    let Some(path) = path(&object.api_version, &object.kind) else { return Vec::new() };
    let template = |of: &'_ Json| path.iter().fold(of, |value, part| field(value, part)).clone();
    let prefix: String = path.iter().map(|part| format!("/{part}")).collect();
    let mut findings = check(&template(after), allowed);
    if let Some(before) = before {
        let old = check(&template(before), allowed);
        findings.retain(|finding| !old.contains(finding));
    }
    // The API server merges lists of an apply by their keys, so that `after` is not all of what comes of it.
    for finding in settings(&template(set)).0 {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    for finding in &mut findings {
        finding.at.insert_str(0, &prefix);
    }
    findings
}
