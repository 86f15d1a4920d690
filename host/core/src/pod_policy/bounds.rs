//! An administrator's bounds on the pods of one component.

use serde::Deserialize;

use super::findings::{Findings, field, list};
use super::walk::{CONTAINERS, escaped};
use crate::contract::Json;

/// A level of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Prevents known ways out of the container.
    #[default]
    Baseline,
    /// Also requires what hardens a pod: no root, no new privileges, no capabilities, a seccomp profile.
    Restricted,
}

/// Bounds on the pods of one component: lists of patterns, in which `*` matches any text. An absent list bounds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowed {
    /// ServiceAccounts. Pods that name none use `default`, which the list must then hold.
    pub service_accounts: Option<Vec<String>>,
    /// Secrets in volumes, variables and pull secrets.
    pub secrets: Option<Vec<String>>,
    /// Images of containers and volumes.
    pub images: Option<Vec<String>>,
    /// The level of the Pod Security Standards; "baseline" where the file names none.
    #[serde(default)]
    pub pod_security: Level,
}

/// No bounds.
pub static UNBOUNDED: Allowed =
    Allowed { service_accounts: None, secrets: None, images: None, pod_security: Level::Baseline };

/// Checks the pod against the administrator's bounds.
pub(super) fn check(findings: &mut Findings, template: &Json, allowed: &Allowed) {
    let spec = field(template, "spec");
    let mut judge = |at: String, what: &str, name: &str, patterns: &Option<Vec<String>>| {
        let Some(patterns) = patterns.as_ref().filter(|p| !p.iter().any(|p| matches(p, name))) else {
            return;
        };
        let message = format!(
            "{what} {name:?} is not allowed to this component: use one of {patterns:?}, or have it allowed in the .pods.yaml beside the component's file"
        );
        findings.refuse(at, message);
    };
    // The API server reads the older field if the first one is empty.
    let named = ["serviceAccountName", "serviceAccount"]
        .into_iter()
        .find_map(|key| Some((key, field(spec, key).as_str().filter(|name| !name.is_empty())?)));
    let (key, name) = named.unwrap_or(("serviceAccountName", "default"));
    judge(format!("/spec/{key}"), "ServiceAccount", name, &allowed.service_accounts);
    for kind in CONTAINERS {
        for (i, container) in list(field(spec, kind)).enumerate() {
            let image = field(container, "image").as_str().unwrap_or_default();
            judge(format!("/spec/{kind}/{i}/image"), "image", image, &allowed.images);
        }
    }
    for (i, volume) in list(field(spec, "volumes")).enumerate() {
        if let Some(image) = field(field(volume, "image"), "reference").as_str() {
            judge(format!("/spec/volumes/{i}/image/reference"), "image", image, &allowed.images);
        }
    }
    let mut secrets = Vec::new();
    named_secrets(spec, "/spec", &mut secrets);
    for (at, name) in secrets {
        judge(at, "Secret", name, &allowed.secrets);
    }
}

/// Collects the Secrets that a pod names, by the field names that volumes and variables of all kinds use.
fn named_secrets<'a>(value: &'a Json, at: &str, found: &mut Vec<(String, &'a str)>) {
    match value {
        Json::Object(fields) => {
            for (key, value) in fields {
                let at = format!("{at}/{}", escaped(key));
                let name = match key.as_str() {
                    "secretName" => value.as_str(),
                    "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef" => {
                        field(value, "name").as_str()
                    }
                    _ => None,
                };
                if let Some(name) = name {
                    found.push((at, name));
                    continue;
                }
                if key == "imagePullSecrets" {
                    let names = list(value).enumerate();
                    found.extend(
                        names.filter_map(|(i, s)| {
                            Some((format!("{at}/{i}/name"), field(s, "name").as_str()?))
                        }),
                    );
                    continue;
                }
                named_secrets(value, &at, found);
            }
        }
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                named_secrets(item, &format!("{at}/{i}"), found);
            }
        }
        _ => {}
    }
}

/// Returns whether a text matches a pattern, in which `*` matches any text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(found) = left.find(part) else { return false };
        left = left.get(found + part.len()..).unwrap_or_default();
    }
    left.ends_with(last)
}
