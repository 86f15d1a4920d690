//! Checks a rendered pod template before a Job is created from it.
//!
//! A strategy's pods run in tenants' namespaces, created with the controller's rights. Settings that let a pod out of its
//! container are refused, whatever the namespace's own admission allows: host namespaces, host paths and ports,
//! privileged containers, unmasked `/proc`, and capabilities beyond the default ones. These are the fields of the
//! Kubernetes "baseline" Pod Security Standard. Besides, an administrator can bound the ServiceAccounts, Secrets and
//! images of each component.

use serde::Deserialize;

use crate::contract::{Diagnostic, Json, Severity};

/// Capabilities that a container may add: those that container runtimes grant by default.
const CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Fields of a pod that hold containers.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

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
}

/// No bounds.
pub static UNBOUNDED: Allowed = Allowed { service_accounts: None, secrets: None, images: None };

/// Checks a rendered `core/v1` PodTemplateSpec. Returns one error for each refused field; `at` is a JSON pointer into
/// the template.
#[must_use]
pub fn check(template: &Json, allowed: &Allowed) -> Vec<Diagnostic> {
    let mut findings = Findings(Vec::new());
    let spec = &template["spec"];
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_true(&spec[field]) {
            findings.refuse(format!("/spec/{field}"), format!("{field} is not allowed: remove it"));
        }
    }
    for (i, volume) in list(&spec["volumes"]).enumerate() {
        if !volume["hostPath"].is_null() {
            findings.refuse(
                format!("/spec/volumes/{i}/hostPath"),
                "a hostPath volume is not allowed: use a persistentVolumeClaim or an emptyDir".into(),
            );
        }
    }
    security_context(&mut findings, "/spec/securityContext", &spec["securityContext"]);
    for kind in CONTAINERS {
        for (i, container) in list(&spec[kind]).enumerate() {
            let at = format!("/spec/{kind}/{i}");
            security_context(&mut findings, &format!("{at}/securityContext"), &container["securityContext"]);
            for (p, port) in list(&container["ports"]).enumerate() {
                if port["hostPort"].as_u64().is_some_and(|n| n != 0) {
                    findings.refuse(
                        format!("{at}/ports/{p}/hostPort"),
                        "a host port is not allowed: remove it".into(),
                    );
                }
            }
        }
    }
    bounded(&mut findings, spec, allowed);
    findings.0
}

/// Checks the pod against the administrator's bounds.
fn bounded(findings: &mut Findings, spec: &Json, allowed: &Allowed) {
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
        .find_map(|field| Some((field, spec[field].as_str().filter(|name| !name.is_empty())?)));
    let (field, name) = named.unwrap_or(("serviceAccountName", "default"));
    judge(format!("/spec/{field}"), "ServiceAccount", name, &allowed.service_accounts);
    for kind in CONTAINERS {
        for (i, container) in list(&spec[kind]).enumerate() {
            let image = container["image"].as_str().unwrap_or_default();
            judge(format!("/spec/{kind}/{i}/image"), "image", image, &allowed.images);
        }
    }
    for (i, volume) in list(&spec["volumes"]).enumerate() {
        if let Some(image) = volume["image"]["reference"].as_str() {
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
            for (field, value) in fields {
                let at = format!("{at}/{field}");
                let name = match field.as_str() {
                    "secretName" => value.as_str(),
                    "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef" => {
                        value["name"].as_str()
                    }
                    _ => None,
                };
                if let Some(name) = name {
                    found.push((at, name));
                    continue;
                }
                if field == "imagePullSecrets" {
                    let names = list(value).enumerate();
                    found.extend(
                        names.filter_map(|(i, s)| Some((format!("{at}/{i}/name"), s["name"].as_str()?))),
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
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(found) = left.find(part) else { return false };
        left = &left[found + part.len()..];
    }
    left.ends_with(last)
}

struct Findings(Vec<Diagnostic>);

impl Findings {
    fn refuse(&mut self, at: String, message: String) {
        self.0.push(Diagnostic { severity: Severity::Error, at, message });
    }
}

fn security_context(findings: &mut Findings, at: &str, context: &Json) {
    if is_true(&context["privileged"]) {
        findings
            .refuse(format!("{at}/privileged"), "a privileged container is not allowed: remove it".into());
    }
    if context["procMount"].as_str().is_some_and(|m| m != "Default") {
        findings.refuse(format!("{at}/procMount"), "an unmasked /proc is not allowed: remove it".into());
    }
    for (i, capability) in list(&context["capabilities"]["add"]).enumerate() {
        let name = capability.as_str().unwrap_or_default();
        if !CAPABILITIES.contains(&name.strip_prefix("CAP_").unwrap_or(name)) {
            findings.refuse(
                format!("{at}/capabilities/add/{i}"),
                format!(
                    "capability {name:?} is not allowed: remove it, or use one of {}",
                    CAPABILITIES.join(", ")
                ),
            );
        }
    }
    if context["seccompProfile"]["type"] == "Unconfined" {
        findings.refuse(
            format!("{at}/seccompProfile/type"),
            "an unconfined seccomp profile is not allowed: use RuntimeDefault".into(),
        );
    }
}

fn is_true(value: &Json) -> bool {
    value.as_bool() == Some(true)
}

fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(template: &Json) -> Vec<String> {
        check(template, &Allowed::default()).into_iter().map(|d| d.at).collect()
    }

    #[test]
    fn names_outside_the_bounds_are_refused() {
        let allowed: Allowed = serde_json::from_value(json!({
            "serviceAccounts": ["default"], "secrets": ["store", "*-backup"], "images": ["reg.example.org/backup/*"]
        }))
        .unwrap();
        let template = json!({"spec": {
            "serviceAccountName": "admin",
            "imagePullSecrets": [{"name": "pull"}],
            "initContainers": [{"image": "reg.example.org/backup/dump:1"}],
            "containers": [{"image": "docker.io/evil", "envFrom": [{"secretRef": {"name": "store"}}, {"secretRef": {"name": "root"}}],
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db-superuser", "key": "password"}}}]}],
            "volumes": [{"name": "a", "secret": {"secretName": "db-backup"}},
                {"name": "b", "secret": {"secretName": "tls"}},
                {"name": "c", "projected": {"sources": [{"secret": {"name": "token"}}]}},
                {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
                {"name": "e", "azureFile": {"secretName": "share"}}]
        }});
        let mut refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
        refused.sort();
        assert_eq!(
            refused,
            [
                "/spec/containers/0/env/0/valueFrom/secretKeyRef",
                "/spec/containers/0/envFrom/1/secretRef",
                "/spec/containers/0/image",
                "/spec/imagePullSecrets/0/name",
                "/spec/serviceAccountName",
                "/spec/volumes/1/secret/secretName",
                "/spec/volumes/2/projected/sources/0/secret",
                "/spec/volumes/3/csi/nodePublishSecretRef",
                "/spec/volumes/4/azureFile/secretName",
            ]
        );
    }

    #[test]
    fn a_pod_that_names_no_account_uses_the_default_one() {
        let allowed = Allowed { service_accounts: Some(vec!["backup".into()]), ..Allowed::default() };
        assert_eq!(check(&json!({"spec": {"containers": []}}), &allowed).len(), 1);
        let template = json!({"spec": {"serviceAccountName": "backup"}});
        assert!(check(&template, &allowed).is_empty());
    }

    #[test]
    fn the_older_field_of_an_account_counts_where_the_newer_one_is_empty() {
        let allowed = Allowed { service_accounts: Some(vec!["default".into()]), ..Allowed::default() };
        let template = json!({"spec": {"serviceAccountName": "", "serviceAccount": "admin"}});
        let refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
        assert_eq!(refused, ["/spec/serviceAccount"]);
    }

    #[test]
    fn the_bound_on_images_holds_for_image_volumes() {
        let allowed = Allowed { images: Some(vec!["good/*".into()]), ..Allowed::default() };
        let template = json!({"spec": {"containers": [{"image": "good/a"}],
            "volumes": [{"name": "a", "image": {"reference": "good/b"}}, {"name": "b", "image": {"reference": "bad"}}]}});
        let refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
        assert_eq!(refused, ["/spec/volumes/1/image/reference"]);
    }

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("a*b*c", "a-b-c", true),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn an_ordinary_pod_is_allowed() {
        let template = json!({"spec": {"containers": [{"name": "c", "image": "i",
            "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "CAP_FOWNER"]}}}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "x"}}]}});
        assert_eq!(refused(&template), Vec::<String>::new());
    }

    #[test]
    fn host_namespaces_are_refused_all_at_once() {
        let template =
            json!({"spec": {"hostNetwork": true, "hostPID": true, "hostIPC": true, "containers": []}});
        assert_eq!(refused(&template), ["/spec/hostNetwork", "/spec/hostPID", "/spec/hostIPC"]);
    }

    #[test]
    fn host_path_and_host_port_are_refused() {
        let template = json!({"spec": {"volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}}],
            "containers": [{"ports": [{"containerPort": 1, "hostPort": 80}]}]}});
        assert_eq!(refused(&template), ["/spec/volumes/1/hostPath", "/spec/containers/0/ports/0/hostPort"]);
    }

    #[test]
    fn privilege_in_every_kind_of_container_is_refused() {
        for kind in ["initContainers", "containers", "ephemeralContainers"] {
            let template = json!({"spec": {kind: [{"securityContext": {"privileged": true,
                "capabilities": {"add": ["SYS_ADMIN"]}, "procMount": "Unmasked",
                "seccompProfile": {"type": "Unconfined"}}}]}});
            assert_eq!(refused(&template).len(), 4, "{kind}");
        }
    }
}
