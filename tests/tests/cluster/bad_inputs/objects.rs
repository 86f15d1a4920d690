//! Objects of any kind, by their names in the table.

use backstay_tests::bad_inputs::Target;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;

/// A kind of the table.
pub(super) struct Kind {
    word: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Whether the kind is cluster-scoped.
    pub(super) cluster: bool,
}

const fn kind(
    word: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    cluster: bool,
) -> Kind {
    Kind { word, group, version, kind: word, plural, cluster }
}

const BACKUPS: &str = "backups.cozystack.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

const KINDS: [Kind; 24] = [
    kind("BackupJob", BACKUPS, "v1alpha1", "backupjobs", false),
    kind("RestoreJob", BACKUPS, "v1alpha1", "restorejobs", false),
    kind("Backup", BACKUPS, "v1alpha1", "backups", false),
    kind("Plan", BACKUPS, "v1alpha1", "plans", false),
    kind("BackupClass", BACKUPS, "v1alpha1", "backupclasses", true),
    Kind { kind: "Job", ..kind("JobStrategy", "strategy.backups.cozystack.io", "v1alpha1", "jobs", true) },
    kind("Broken", "test.backstay.dev", "v1", "brokens", true),
    kind("Scrub", "test.backstay.dev", "v1", "scrubs", true),
    kind("Steps", "test.backstay.dev", "v1", "steps", true),
    kind("Altinity", "strategy.backups.cozystack.io", "v1alpha1", "altinities", true),
    kind("ClickHouse", "apps.cozystack.io", "v1alpha1", "clickhouses", false),
    kind("Event", "events.k8s.io", "v1", "events", false),
    kind("Redis", "apps.cozystack.io", "v1alpha1", "redises", false),
    kind("Job", "batch", "v1", "jobs", false),
    kind("ConfigMap", "", "v1", "configmaps", false),
    kind("Secret", "", "v1", "secrets", false),
    kind("Pod", "", "v1", "pods", false),
    kind("ResourceQuota", "", "v1", "resourcequotas", false),
    kind("Namespace", "", "v1", "namespaces", true),
    kind("Node", "", "v1", "nodes", true),
    kind("ValidatingAdmissionPolicy", ADMISSION, "v1", "validatingadmissionpolicies", true),
    kind("ValidatingAdmissionPolicyBinding", ADMISSION, "v1", "validatingadmissionpolicybindings", true),
    kind("ValidatingWebhookConfiguration", ADMISSION, "v1", "validatingwebhookconfigurations", true),
    kind("ControllerRevision", "apps", "v1", "controllerrevisions", false),
];

/// Returns the kind of a name.
pub(super) fn find(word: &str) -> Result<&'static Kind, String> {
    KINDS.iter().find(|k| k.word == word).ok_or_else(|| format!("the runner knows no kind {word:?}"))
}

impl Kind {
    /// Returns the API of the kind, in a namespace unless the kind is cluster-scoped.
    pub(super) fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&self.gvk(), self.plural);
        match self.cluster {
            true => Api::all_with(client.clone(), &resource),
            false => Api::namespaced_with(client.clone(), namespace, &resource),
        }
    }

    fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::gvk(self.group, self.version, self.kind)
    }
}

/// Completes an object of the table for the API server, and returns it with its kind.
pub(super) fn object(mut value: Value) -> Result<(&'static Kind, DynamicObject), String> {
    let kind = find(value["kind"].as_str().unwrap_or_default())?;
    let gvk = kind.gvk();
    value["apiVersion"] = gvk.api_version().into();
    value["kind"] = kind.kind.into();
    // A value that is no object goes to the API server unchanged.
    let object = serde_json::from_value(value).map_err(|e| format!("{}: {e}", kind.word))?;
    Ok((kind, object))
}

/// Converts an object to JSON.
pub(super) fn json(object: &DynamicObject) -> Value {
    // Plain data: serialising it cannot fail.
    serde_json::to_value(object).unwrap_or_default()
}

/// Returns kind and name, as the table writes them.
pub(super) fn title(target: &Target) -> String {
    format!("{}/{}", target.kind, target.name)
}

/// Replaces `$NS` by the namespace.
pub(super) fn placed(value: &Value, namespace: &str) -> Value {
    match value {
        Value::String(text) => text.replace("$NS", namespace).into(),
        Value::Array(items) => items.iter().map(|v| placed(v, namespace)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| (k.replace("$NS", namespace), placed(v, namespace))).collect()
        }
        other => other.clone(),
    }
}

/// Applies a JSON merge patch (RFC 7386).
pub(super) fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    for (key, value) in fields {
        match value {
            Value::Null => {
                into.as_object_mut().and_then(|o| o.remove(key));
            }
            value => merge(&mut into[key.as_str()], value),
        }
    }
}
