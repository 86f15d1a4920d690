//! References to other objects that a template left empty: a name with `<no value>` in it is never the intended one.

use serde_json::Value;

use super::{checks, refused};
use crate::failure::{Failure, Finding};
use crate::pod::PodRun;

const GAP: &str = "<no value>";
/// Fields of a pod that name an image, a Secret, a ServiceAccount and the like, at any depth.
const NAMING: [&str; 8] = [
    "image",
    "serviceAccountName",
    "serviceAccount",
    "secretName",
    "claimName",
    "runtimeClassName",
    "priorityClassName",
    "nodeName",
];
/// Fields that hold a reference: an object with a `name`, some also with a `key`.
const REFERENCES: [&str; 13] = [
    "configMap",
    "configMapKeyRef",
    "configMapRef",
    "controllerExpandSecretRef",
    "imagePullSecrets",
    "nodeExpandSecretRef",
    "nodePublishSecretRef",
    "nodeStageSecretRef",
    "resourceClaims",
    "secret",
    "secretKeyRef",
    "secretRef",
    "volumeMounts",
];

/// Refuses a rendered pod in which `<no value>` is part of a reference: to an image, a Secret, a ConfigMap, a
/// ServiceAccount or a volume. Elsewhere it stays a warning, because one script often holds the branches of both
/// modes.
///
/// # Errors
/// `TemplateError` with every such field.
pub fn refuse_gaps_in_references(run: PodRun) -> Result<PodRun, Failure> {
    let mut findings = Vec::new();
    search(&run.template["spec"], "", &format!("{}/spec", checks::TEMPLATE), &mut findings);
    match findings.is_empty() {
        true => Ok(run),
        false => Err(refused("TemplateError", "names things that are not there", findings)),
    }
}

/// Searches `value`, which is at the pointer `at` in the field `field` (for an item, the field of its list).
fn search(value: &Value, field: &str, at: &str, findings: &mut Vec<Finding>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(item, field, &format!("{at}/{index}"), findings);
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                let at = format!("{at}/{}", checks::escaped(key));
                let names = NAMING.contains(&key.as_str())
                    || (REFERENCES.contains(&field) && matches!(key.as_str(), "name" | "key"));
                match entry.as_str() {
                    Some(text) if names && text.contains(GAP) => findings.push(Finding::error(
                        at,
                        format!(
                            "{text:?} is no name: what the template asks for is missing; \
                             set it, for example as a parameter of the BackupClass, or give it a default"
                        ),
                    )),
                    _ => search(entry, key, &at, findings),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused_at(spec: Value) -> Vec<String> {
        let run = PodRun::new(json!({ "spec": spec }));
        match refuse_gaps_in_references(run) {
            Ok(_) => Vec::new(),
            Err(failure) => failure.findings.into_iter().map(|f| f.at).collect(),
        }
    }

    #[test]
    fn every_kind_of_reference_is_looked_at() {
        let gap = "a-<no value>";
        let spec = json!({
            "serviceAccountName": gap,
            "imagePullSecrets": [{"name": "there"}, {"name": gap}],
            "containers": [{
                "name": "c", "image": gap,
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": gap, "key": gap}}}],
                "envFrom": [{"configMapRef": {"name": gap}}],
            }],
            "volumes": [
                {"name": "v", "secret": {"secretName": gap}},
                {"name": "w", "configMap": {"name": gap}},
                {"name": "x", "persistentVolumeClaim": {"claimName": gap}},
                {"name": "y", "projected": {"sources": [{"secret": {"name": gap}}]}},
            ],
        });
        assert_eq!(
            refused_at(spec),
            [
                "/strategy/template/spec/containers/0/env/0/valueFrom/secretKeyRef/key",
                "/strategy/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name",
                "/strategy/template/spec/containers/0/envFrom/0/configMapRef/name",
                "/strategy/template/spec/containers/0/image",
                "/strategy/template/spec/imagePullSecrets/1/name",
                "/strategy/template/spec/serviceAccountName",
                "/strategy/template/spec/volumes/0/secret/secretName",
                "/strategy/template/spec/volumes/1/configMap/name",
                "/strategy/template/spec/volumes/2/persistentVolumeClaim/claimName",
                "/strategy/template/spec/volumes/3/projected/sources/0/secret/name",
            ]
        );
    }

    #[test]
    fn text_that_names_nothing_may_have_gaps() {
        let gap = "echo <no value>";
        let spec = json!({"containers": [{
            "name": "c", "image": "i", "args": [gap], "command": [gap], "workingDir": gap,
            "env": [{"name": "A", "value": gap}],
        }]});
        assert_eq!(refused_at(spec), [""; 0]);
    }

    #[test]
    fn the_message_names_the_field_as_a_person_would() {
        let run = PodRun::new(json!({"spec": {"containers": [{"name": "c", "image": "<no value>"}]}}));
        let failure = refuse_gaps_in_references(run).unwrap_err();
        assert_eq!(failure.reason, "TemplateError");
        assert!(failure.message.contains("spec.template.spec.containers[0].image"), "{}", failure.message);
    }
}
