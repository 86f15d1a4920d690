//! What the metadata of an object may say, of whatever kind it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::names;
pub use super::names::dns1035_label;
use crate::schema::fault::{self, child, index};
use crate::schema::go;
use crate::status::Cause;

/// Most bytes of all annotations.
const ANNOTATIONS: u64 = 256 * 1024;
/// Most bytes of the name of a field manager.
const MANAGER: u64 = 128;

/// What a name must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// Labels of DNS with points: most kinds.
    Subdomain,
    /// A label of DNS: namespaces.
    Label,
    /// A part of a path: roles and their bindings.
    Path,
    /// This name: CRDs.
    Exactly(String),
}

impl NameRule {
    fn faults(&self, name: &str, is_prefix: bool) -> Vec<String> {
        let masked = match name.strip_suffix('-') {
            Some(start) if is_prefix && !start.is_empty() => {
                let mut start = start.to_owned();
                start.pop();
                start + "a"
            }
            _ => name.to_owned(),
        };
        match self {
            Self::Subdomain => names::dns1123_subdomain(&masked),
            Self::Label => names::dns1123_label(&masked),
            Self::Path => names::path_segment(name, is_prefix),
            Self::Exactly(wanted) => {
                let mut faults = names::dns1123_subdomain(&masked);
                if name != wanted {
                    faults.push("must be spec.names.plural+\".\"+spec.group".to_owned());
                }
                faults
            }
        }
    }
}

fn text<'a>(meta: &'a Value, field: &str) -> &'a str {
    meta.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(meta: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    meta.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn map<'a>(meta: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a str)> + use<'a> {
    let entries = meta.get(field).and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

/// Returns the faults of the metadata of a new object, after a name has been generated.
///
/// Built-in kinds but CRDs and `APIServices` (`is_builtin`) refuse finalizers without a slash; others only warn.
#[must_use]
pub fn check_new(meta: &Value, is_namespaced: bool, rule: &NameRule, is_builtin: bool) -> Vec<Cause> {
    let mut causes = check_at(meta, is_namespaced, rule, "metadata");
    if is_builtin {
        causes.extend(kubernetes_finalizers(meta));
    }
    causes
}

/// Returns the faults of the metadata of an object within an object.
#[must_use]
pub(crate) fn check_embedded(meta: &Value, path: &str) -> Vec<Cause> {
    let mut meta = meta.clone();
    if text(&meta, "name").is_empty()
        && let Some(fields) = meta.as_object_mut()
    {
        fields.insert("name".to_owned(), "fakename".into());
    }
    let is_namespaced = !text(&meta, "namespace").is_empty();
    check_at(&meta, is_namespaced, &NameRule::Path, path)
}

fn check_at(meta: &Value, is_namespaced: bool, rule: &NameRule, path: &str) -> Vec<Cause> {
    let at = |field: &str| child(path, field);
    let mut causes = Vec::new();
    let prefix = text(meta, "generateName");
    if !prefix.is_empty() {
        let faults = rule.faults(prefix, true);
        causes.extend(faults.iter().map(|fault| fault::invalid_text(at("generateName"), prefix, fault)));
    }
    let name = text(meta, "name");
    if name.is_empty() {
        causes.push(fault::required(at("name"), "name or generateName is required"));
    } else {
        causes.extend(
            rule.faults(name, false).iter().map(|fault| fault::invalid_text(at("name"), name, fault)),
        );
    }
    let namespace = text(meta, "namespace");
    match (is_namespaced, namespace.is_empty()) {
        (true, true) => causes.push(fault::required(at("namespace"), "")),
        (true, false) => {
            let faults = names::dns1123_label(namespace);
            causes.extend(faults.iter().map(|fault| fault::invalid_text(at("namespace"), namespace, fault)));
        }
        (false, false) => causes.push(fault::forbidden(at("namespace"), "not allowed on this type")),
        (false, true) => {}
    }
    if meta.get("generation").and_then(Value::as_i64).is_some_and(|generation| generation < 0) {
        let value = meta.get("generation").unwrap_or(&Value::Null);
        causes.push(fault::invalid(at("generation"), value, "must be greater than or equal to 0"));
    }
    causes.extend(labels(meta, path));
    causes.extend(annotations(meta, path));
    causes.extend(owners(meta, path));
    causes.extend(finalizers(meta, path));
    causes.extend(managed_fields(meta, path));
    causes
}

/// Returns the faults of the metadata of whatever is updated: the API server looks at it as at that of a new object first, of whatever
/// name, and then does what [`check_update`] does.
#[must_use]
pub fn check_any(meta: &Value, is_namespaced: bool) -> Vec<Cause> {
    check_at(meta, is_namespaced, &NameRule::Path, "metadata")
}

/// Returns the faults of the metadata of an object that is there already, after the API server has put in what an update keeps.
///
/// The API server looks at it twice, and so each fault comes twice, except what only built-in kinds mind.
#[must_use]
pub fn check_update(new: &Value, old: &Value, is_builtin: bool) -> Vec<Cause> {
    let once = check_update_once(new, old);
    let mut causes = once.clone();
    causes.extend(once);
    if is_builtin {
        causes.extend(kubernetes_finalizers(new));
    }
    causes
}

fn check_update_once(new: &Value, old: &Value) -> Vec<Cause> {
    let at = |field: &str| child("metadata", field);
    let mut causes = Vec::new();
    let names = |meta: &Value| -> BTreeSet<String> {
        list(meta, "finalizers").filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if old.get("deletionTimestamp").is_some() {
        let extra: Vec<String> = names(new).difference(&names(old)).map(|name| go::quote(name)).collect();
        if !extra.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                extra.join(", ")
            );
            causes.push(fault::forbidden(at("finalizers"), &detail));
        }
    }
    if text(new, "resourceVersion").is_empty() {
        causes.push(fault::invalid_text(at("resourceVersion"), "", "must be specified for an update"));
    }
    let generation = |meta: &Value| meta.get("generation").and_then(Value::as_i64).unwrap_or_default();
    if generation(new) < generation(old) {
        causes.push(fault::invalid(at("generation"), &generation(new).into(), "must not be decremented"));
    }
    const KEPT: [&str; 6] =
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    for field in KEPT {
        if new.get(field) != old.get(field) {
            let nothing =
                if matches!(field, "name" | "namespace" | "uid") { Value::from("") } else { Value::Null };
            causes.push(fault::immutable(at(field), new.get(field).unwrap_or(&nothing)));
        }
    }
    causes.extend(labels(new, "metadata"));
    causes.extend(annotations(new, "metadata"));
    causes.extend(owners(new, "metadata"));
    causes.extend(managed_fields(new, "metadata"));
    causes
}

/// Returns the faults of labels.
#[must_use]
pub fn labels(meta: &Value, path: &str) -> Vec<Cause> {
    labels_of(meta, &child(path, "labels"), "labels")
}

/// Returns the faults of a map of labels in a field.
pub(super) fn labels_of(parent: &Value, path: &str, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, value) in map(parent, field) {
        causes.extend(names::qualified(name).iter().map(|fault| fault::invalid_text(path, name, fault)));
        causes.extend(names::label_value(value).iter().map(|fault| fault::invalid_text(path, value, fault)));
    }
    causes
}

pub(super) fn annotations(meta: &Value, path: &str) -> Vec<Cause> {
    let at = child(path, "annotations");
    let mut causes = Vec::new();
    let mut size = 0;
    for (name, value) in map(meta, "annotations") {
        let faults = names::qualified(&name.to_lowercase());
        causes.extend(faults.iter().map(|fault| fault::invalid_text(at.clone(), name, fault)));
        size += name.len() as u64 + value.len() as u64;
    }
    if size > ANNOTATIONS {
        causes.push(fault::too_long(at, ANNOTATIONS));
    }
    causes
}

fn finalizers(meta: &Value, path: &str) -> Vec<Cause> {
    let at = child(path, "finalizers");
    let mut causes = Vec::new();
    for name in list(meta, "finalizers").filter_map(Value::as_str) {
        causes
            .extend(names::qualified(name).iter().map(|fault| fault::invalid_text(at.clone(), name, fault)));
    }
    let has = |wanted: &str| list(meta, "finalizers").any(|name| name == wanted);
    if has("orphan") && has("foregroundDeletion") {
        let shown = meta.get("finalizers").unwrap_or(&Value::Null);
        causes.push(fault::invalid(at, shown, "finalizer orphan and foregroundDeletion cannot be both set"));
    }
    causes
}

fn is_standard(finalizer: &str) -> bool {
    matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
}

fn kubernetes_finalizers(meta: &Value) -> Vec<Cause> {
    let named = list(meta, "finalizers").enumerate().filter_map(|(i, name)| Some((i, name.as_str()?)));
    named.filter_map(|(i, name)| unknown_finalizer(&index("metadata.finalizers", i), name)).collect()
}

/// Returns the fault of a finalizer that Kubernetes does not know and that names no domain.
pub(super) fn unknown_finalizer(at: &str, name: &str) -> Option<Cause> {
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    (!name.contains('/') && !is_standard(name)).then(|| fault::invalid_text(at, name, detail))
}

/// Returns the warnings about finalizers that a write adds to an object of a CRD.
#[must_use]
pub fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let before = |name: &str| old.is_some_and(|old| list(old, "finalizers").any(|one| one == name));
    let added: BTreeSet<&str> =
        list(new, "finalizers").filter_map(Value::as_str).filter(|name| !before(name)).collect();
    let mut warnings = Vec::new();
    for name in added {
        let mut warn =
            |what: &str| warnings.push(format!("metadata.finalizers: {}: {what}", go::quote(name)));
        names::qualified(name).iter().for_each(|fault| warn(fault));
        if !name.contains('/') && !is_standard(name) {
            let path = if name.contains('.') { " including a path (/)" } else { "" };
            warn(&format!(
                "prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
            ));
        }
    }
    warnings
}

/// Returns a reference to an owner as Go writes it.
fn owner_text(owner: &Value) -> String {
    let mut parts = Vec::new();
    for field in ["apiVersion", "kind", "name", "uid"] {
        parts.push(format!("{}:{}", go::json(&field.into()), go::json(&text(owner, field).into())));
    }
    for field in ["controller", "blockOwnerDeletion"] {
        if let Some(value) = owner.get(field).filter(|value| value.is_boolean()) {
            parts.push(format!("{}:{value}", go::json(&field.into())));
        }
    }
    format!("{{{}}}", parts.join(","))
}

fn owners(meta: &Value, path: &str) -> Vec<Cause> {
    let at = child(path, "ownerReferences");
    let mut causes = Vec::new();
    let invalid = |shown: &str, detail: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {shown}: {detail}"),
        field: at.clone(),
    };
    let mut controller: Option<String> = None;
    for owner in list(meta, "ownerReferences") {
        let (version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        let (group, version_part) = version.rsplit_once('/').unwrap_or(("", version));
        let mut missing = |field: &str, detail: &str| {
            causes.push(fault::invalid_text(child(&at, field), text(owner, field), detail));
        };
        if version_part.is_empty() || version.matches('/').count() > 1 {
            missing("apiVersion", "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                missing(field, "must not be empty");
            }
        }
        if (version, kind) == ("v1", "Event") {
            let detail = format!("{group}/{version_part}, Kind={kind} is disallowed from being an owner");
            causes.push(invalid(&owner_text(owner), &detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{kind}/{}", text(owner, "name"));
            match &controller {
                None => controller = Some(name),
                Some(first) => {
                    let all: Vec<String> = list(meta, "ownerReferences").map(owner_text).collect();
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                    );
                    causes.push(invalid(&format!("[{}]", all.join(",")), &detail));
                }
            }
        }
    }
    causes
}

/// Takes owners out that are there twice, and returns the warning if there were any.
pub fn dedup_owners(meta: &mut Map<String, Value>) -> Option<String> {
    let owners = meta.get_mut("ownerReferences")?.as_array_mut()?;
    let (mut kept, mut doubled): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for owner in owners.drain(..) {
        let uid = text(&owner, "uid").to_owned();
        if kept.contains(&owner) {
            doubled.push(uid);
        } else {
            if kept.iter().any(|one| text(one, "uid") == uid) {
                doubled.push(uid);
            }
            kept.push(owner);
        }
    }
    *owners = kept;
    doubled.dedup();
    (!doubled.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            doubled.join(", ")
        )
    })
}

fn managed_fields(meta: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, entry) in list(meta, "managedFields").enumerate() {
        let at = |field: &str| child(&index(&child(path, "managedFields"), i), field);
        let (operation, type_) = (text(entry, "operation"), text(entry, "fieldsType"));
        if !matches!(operation, "Apply" | "Update") {
            causes.push(fault::invalid_text(at("operation"), operation, "must be `Apply` or `Update`"));
        }
        if !matches!(type_, "" | "FieldsV1") {
            causes.push(fault::invalid_text(at("fieldsType"), type_, "must be `FieldsV1`"));
        }
        causes.extend(manager(text(entry, "manager"), &at("manager")));
        if text(entry, "subresource").len() > 256 {
            causes.push(fault::too_long(at("subresource"), 256));
        }
    }
    causes
}

/// Returns the faults of the name of a field manager.
#[must_use]
pub fn manager(name: &str, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if name.len() as u64 > MANAGER {
        causes.push(fault::too_long(path, MANAGER));
    }
    for (i, c) in name.char_indices().filter(|(_, c)| !go::is_print(*c)) {
        let detail = format!("invalid character U+{:04X} (at position {i})", u32::from(c));
        causes.push(fault::invalid_text(path, name, &detail));
    }
    causes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_may_be_generated_from_one_with_a_dash() {
        let rule = NameRule::Subdomain;
        assert!(
            check_new(&json!({"generateName": "w-", "name": "w-x", "namespace": "a"}), true, &rule, false)
                .is_empty()
        );
        let causes = check_new(&json!({"namespace": "a"}), true, &rule, false);
        assert_eq!(causes, [fault::required("metadata.name", "name or generateName is required")]);
        assert_eq!(check_new(&json!({"name": "W", "namespace": "a"}), true, &rule, false).len(), 1);
    }

    #[test]
    fn owners_that_are_there_twice_go_with_a_warning() {
        let owner = json!({"apiVersion": "v1", "kind": "Secret", "name": "x", "uid": "u"});
        let mut meta = Map::from_iter([("ownerReferences".to_owned(), json!([owner, owner]))]);
        let warning = dedup_owners(&mut meta).expect("a warning");
        assert!(warning.ends_with("duplicate UID(s) observed: u"));
        assert_eq!(meta["ownerReferences"], json!([owner]));
    }

    #[test]
    fn faults_of_an_update_come_twice() {
        let new = json!({"name": "a", "uid": "2", "resourceVersion": "1"});
        let causes = check_update(&new, &json!({"name": "a", "uid": "1"}), true);
        assert_eq!(causes, vec![fault::immutable("metadata.uid", &"2".into()); 2]);
    }
}
