//! What the Pod Security Standard "restricted" requires a pod to set.

use super::findings::{Findings, field, list};
use super::rules::{BASELINE, RESTRICTED};
use super::walk::CONTAINERS;
use crate::contract::Json;

/// Sources of volumes that the standard allows; a volume without a source is an emptyDir.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Checks a template. What it sets was checked by the tables.
pub(super) fn check(findings: &mut Findings, template: &Json) {
    let spec = field(template, "spec");
    let pod = field(spec, "securityContext");
    let (no_root, confined) = (runs_as_no_root(pod), is_confined(pod));
    if field(pod, "runAsNonRoot") == &Json::Bool(false) {
        findings.refuse(
            "/spec/securityContext/runAsNonRoot".into(),
            "a pod as root is not allowed: set runAsNonRoot: true".into(),
        );
    }
    for (at, context) in containers(spec) {
        let mut require = |holds: bool, path: &str, what: &str| {
            if !holds {
                findings.refuse(format!("{at}/securityContext/{path}"), format!("has to be set: {what}"));
            }
        };
        require(
            field(context, "allowPrivilegeEscalation") == &Json::Bool(false),
            "allowPrivilegeEscalation",
            "allowPrivilegeEscalation: false",
        );
        let own = field(context, "runAsNonRoot");
        require(
            runs_as_no_root(context) || own.is_null() && no_root,
            "runAsNonRoot",
            "runAsNonRoot: true, here or for the pod",
        );
        let own = field(field(context, "seccompProfile"), "type");
        require(
            is_confined(context) || own.is_null() && confined,
            "seccompProfile/type",
            "RuntimeDefault or Localhost, here or for the pod",
        );
        require(
            list(field(field(context, "capabilities"), "drop")).any(|name| name == "ALL"),
            "capabilities/drop",
            "drop: [ALL]",
        );
    }
    for (i, volume) in list(field(spec, "volumes")).enumerate() {
        let sources = volume.as_object().into_iter().flatten();
        for (source, _) in sources.filter(|(key, value)| *key != "name" && !value.is_null()) {
            if !VOLUMES.contains(&source.as_str()) && !is_known(source) {
                findings.refuse(
                    format!("/spec/volumes/{i}"),
                    format!(
                        "a volume of a source {source:?} is not allowed: use one of {}",
                        VOLUMES.join(", ")
                    ),
                );
            }
        }
    }
}

/// Returns whether a table judges volumes of this source.
fn is_known(source: &str) -> bool {
    let tables = BASELINE.iter().chain(&RESTRICTED);
    tables
        .flat_map(|rule| rule.fields)
        .any(|path| matches!(path, ["spec", "volumes", "*", s] if *s == source))
}

/// Returns the security contexts of all containers, with the places of the containers.
fn containers(spec: &Json) -> impl Iterator<Item = (String, &Json)> {
    CONTAINERS.into_iter().flat_map(move |kind| {
        let all = list(field(spec, kind)).enumerate();
        all.map(move |(i, container)| (format!("/spec/{kind}/{i}"), field(container, "securityContext")))
    })
}

fn runs_as_no_root(context: &Json) -> bool {
    field(context, "runAsNonRoot") == &Json::Bool(true)
}

fn is_confined(context: &Json) -> bool {
    let profile = field(field(context, "seccompProfile"), "type").as_str();
    profile.is_some_and(|profile| matches!(profile, "RuntimeDefault" | "Localhost"))
}
