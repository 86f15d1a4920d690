//! Judges a rendered pod template before anything is created from it.
//!
//! A strategy decides what runs in a tenant's namespace, with the controller's rights. What would let that pod out of
//! its container is refused here, whatever the namespace's own admission allows: host namespaces, host paths and ports,
//! privileged containers, unmasked `/proc`, and capabilities beyond those a container gets by default. These are the
//! fields of the Kubernetes "baseline" Pod Security Standard.

use crate::contract::{Diagnostic, Json, Severity};

/// Capabilities that a container may add; the ones that container runtimes grant by default.
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

/// Checks a rendered `core/v1` PodTemplateSpec. Returns one error for each field that is refused; none means allowed.
/// `at` of a finding is a JSON pointer into the template.
#[must_use]
pub fn check(template: &Json) -> Vec<Diagnostic> {
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
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
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
    findings.0
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
        check(template).into_iter().map(|d| d.at).collect()
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
