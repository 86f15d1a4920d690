//! Checks of a pod template: on the text of the user, and again after rendering.

use serde_json::Value;

use crate::Finding;

/// The pointer of the template in a finding.
pub(super) const TEMPLATE: &str = "/strategy/template";
/// Domains, with their subdomains, of labels and annotations that the host and Kubernetes write on pods of a run.
const RESERVED_DOMAINS: [&str; 3] = ["backups.cozystack.io", "backstay.dev", "batch.kubernetes.io"];
/// Labels without a domain that the Job controller of Kubernetes writes.
const RESERVED_LABELS: [&str; 2] = ["controller-uid", "job-name"];

/// Returns the errors in a PodTemplateSpec. A field that is still a template is checked after rendering.
pub(super) fn findings(template: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (field, names) in [("labels", &RESERVED_LABELS[..]), ("annotations", &[])] {
        reserved(template, field, names, &mut findings);
    }
    restart_policy(template, &mut findings);
    containers(template, &mut findings);
    findings
}

/// Refuses keys that the author of a strategy must not set, because the run could be taken for another one.
fn reserved(template: &Value, field: &str, names: &[&str], findings: &mut Vec<Finding>) {
    let Some(entries) = template["metadata"][field].as_object() else { return };
    for key in entries.keys() {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let of_domain = |r: &&str| domain.strip_suffix(*r).is_some_and(|d| d.is_empty() || d.ends_with('.'));
        if names.contains(&key.as_str()) || RESERVED_DOMAINS.iter().any(of_domain) {
            findings.push(Finding::error(
                format!("{TEMPLATE}/metadata/{field}/{}", escaped(key)),
                format!("the key {key} is written by the controller; take another one"),
            ));
        }
    }
}

fn restart_policy(template: &Value, findings: &mut Vec<Finding>) {
    let at = || format!("{TEMPLATE}/spec/restartPolicy");
    match template["spec"]["restartPolicy"].as_str() {
        None | Some("" | "Never" | "OnFailure") => {}
        Some("Always") => findings.push(Finding::error(
            at(),
            "restartPolicy Always would never let the run end; take Never or OnFailure, or leave it out (Never)",
        )),
        Some(template) if is_template(template) => {}
        Some(other) => {
            findings.push(Finding::error(at(), format!("restartPolicy must be Never or OnFailure, not {other}")));
        }
    }
}

fn containers(template: &Value, findings: &mut Vec<Finding>) {
    let spec = &template["spec"];
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        findings.push(Finding::error(
            format!("{TEMPLATE}/spec/containers"),
            "the pod has no container; name at least one",
        ));
    }
    for list in ["initContainers", "containers"] {
        for (i, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            for field in ["name", "image"] {
                if container[field].as_str().is_none_or(str::is_empty) {
                    findings.push(Finding::error(
                        format!("{TEMPLATE}/spec/{list}/{i}/{field}"),
                        format!("the container has no {field}"),
                    ));
                }
            }
        }
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Escapes a key as a segment of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Writes a JSON pointer into the strategy as a path for people: `spec.template.spec.containers[0].args[0]`.
pub(super) fn path(pointer: &str) -> String {
    let mut path = String::from("spec");
    for segment in pointer.split('/').skip(2) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format!("[{segment}]"));
        } else if segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            path.push('.');
            path.push_str(&segment);
        } else {
            path.push_str(&format!("[\"{segment}\"]"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(template: Value) -> Vec<String> {
        findings(&template).into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn a_plain_pod_has_no_findings() {
        let template = json!({"spec": {"containers": [{"name": "a", "image": "b"}]}});
        assert_eq!(findings(&template), []);
    }

    #[test]
    fn reserved_keys_are_found_wherever_they_stand() {
        let template = json!({
            "metadata": {
                "labels": {
                    "app": "x", "example.org/backups.cozystack.io": "x", "notbackstay.dev/x": "x",
                    "backups.cozystack.io/owned-by.BackupJobName": "x",
                    "job.strategy.backups.cozystack.io/mode": "x",
                    "backstay.dev/run-uid": "x", "batch.kubernetes.io/job-name": "x", "job-name": "x",
                },
                "annotations": {"backstay.dev/x": "x", "job-name": "x"},
            },
            "spec": {"containers": [{"name": "a", "image": "b"}]},
        });
        assert_eq!(
            at(template),
            [
                "/strategy/template/metadata/labels/backstay.dev~1run-uid",
                "/strategy/template/metadata/labels/backups.cozystack.io~1owned-by.BackupJobName",
                "/strategy/template/metadata/labels/batch.kubernetes.io~1job-name",
                "/strategy/template/metadata/labels/job-name",
                "/strategy/template/metadata/labels/job.strategy.backups.cozystack.io~1mode",
                "/strategy/template/metadata/annotations/backstay.dev~1x",
            ]
        );
    }

    #[test]
    fn every_missing_piece_is_found_at_once() {
        let template = json!({"spec": {"restartPolicy": "Sometimes", "initContainers": [{"name": "a"}]}});
        assert_eq!(
            at(template),
            [
                "/strategy/template/spec/restartPolicy",
                "/strategy/template/spec/containers",
                "/strategy/template/spec/initContainers/0/image",
            ]
        );
    }

    #[test]
    fn a_pointer_reads_as_a_person_would_write_it() {
        assert_eq!(
            path("/strategy/template/spec/containers/0/args/1"),
            "spec.template.spec.containers[0].args[1]"
        );
        assert_eq!(
            path("/strategy/template/metadata/labels/a.b~1c"),
            "spec.template.metadata.labels[\"a.b/c\"]"
        );
        assert_eq!(path("/strategy"), "spec");
    }
}
