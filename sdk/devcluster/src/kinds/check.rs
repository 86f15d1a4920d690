//! What objects of built-in kinds may be.

use serde_json::Value;

use super::defaults::secret_size;
use super::metadata::{self, NameRule};
use super::quantity::Quantity;
use super::value::{at, entries, items, number, on, text};
use super::{event, job, names, pod, podchange, rbac};
use crate::schema::fault::{self, child, key};
use crate::status::Cause;

/// Most bytes of the values of a Secret or a `ConfigMap`.
const LARGEST: u64 = 1024 * 1024;

/// What is written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The group of the kind.
    pub group: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// Whether objects of the kind are in namespaces.
    pub is_namespaced: bool,
    /// The subresource by which it is written; empty for the object itself.
    pub subresource: &'a str,
    /// Whether it is made by a patch or an apply, not by a PUT.
    pub is_patch: bool,
}

/// Returns why an object of a built-in kind is refused, its metadata included, after [`super::prepare`].
#[must_use]
pub fn check(write: &Write<'_>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let meta = at(new, &["metadata"]);
    let rule = name_rule(write, new);
    // CRDs, APIServices and Leases have the checks of metadata that all API servers have, others those of this one.
    let is_core =
        !matches!(write.group, "apiextensions.k8s.io" | "apiregistration.k8s.io" | "coordination.k8s.io");
    let Some(old) = old else {
        let mut causes = metadata::check_new(meta, write.is_namespaced, &rule, is_core);
        if (write.group, write.kind) == ("events.k8s.io", "Event") && causes.is_empty() {
            causes.extend(event::check(new));
        } else {
            causes.extend(content(write, new, None));
        }
        return causes;
    };
    let mut causes = metadata::check_update(meta, at(old, &["metadata"]), is_core);
    if write.subresource.is_empty() && checks_anew(write) {
        causes.extend(metadata::check_new(meta, write.is_namespaced, &rule, is_core));
        if write.group == "rbac.authorization.k8s.io" || write.kind == "PersistentVolumeClaim" {
            // These look at the whole object twice.
            causes.extend(metadata::check_new(meta, write.is_namespaced, &rule, is_core));
            causes.extend(content(write, new, None));
        }
    }
    causes.extend(match (write.group, write.kind, write.subresource) {
        ("batch", "Job", "status") => job::check_status(new, old),
        ("", "Pod", "status") => podchange::check_status(new, old),
        ("", "Namespace", "status") => namespace_status(new),
        (_, _, "status") => Vec::new(),
        _ => content(write, new, Some(old)),
    });
    causes
}

/// What the name of an object must be.
#[must_use]
pub fn name_rule(write: &Write<'_>, object: &Value) -> NameRule {
    match (write.group, write.kind) {
        ("", "Namespace") => NameRule::Label,
        ("rbac.authorization.k8s.io", _) => NameRule::Path,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let part = |path: &[&str]| text(object, path).to_owned();
            NameRule::Exactly(format!("{}.{}", part(&["spec", "names", "plural"]), part(&["spec", "group"])))
        }
        _ => NameRule::Subdomain,
    }
}

/// Returns the warning about a name that is taken for host names, but is none.
#[must_use]
pub fn name_warning(group: &str, kind: &str, name: &str) -> Option<String> {
    let used = match (group, kind) {
        ("", "Pod") => "the Pod's hostname",
        ("batch", "Job") => "Pod names and hostnames",
        _ => return None,
    };
    let faults = names::dns1123_label(name);
    let faults = (!faults.is_empty()).then(|| faults.join(" "))?;
    Some(format!(
        "metadata.name: this is used in {used}, which can result in surprising behavior; a DNS label is recommended: [{faults}]"
    ))
}

/// Whether the API server checks the metadata of an update as that of a new object, too.
fn checks_anew(write: &Write<'_>) -> bool {
    matches!(
        (write.group, write.kind),
        (
            "",
            "Secret"
                | "ConfigMap"
                | "ServiceAccount"
                | "PersistentVolumeClaim"
                | "Namespace"
                | "Pod"
                | "LimitRange"
        ) | ("batch", "Job")
            | ("apps", "ControllerRevision")
            | ("rbac.authorization.k8s.io", _)
    )
}

fn content(write: &Write<'_>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    match (write.group, write.kind) {
        ("batch", "Job") => {
            causes.extend(job::check(new));
            causes.extend(old.map(|old| job::check_update(new, old)).unwrap_or_default());
        }
        ("", "Pod") => {
            causes.extend(pod::spec(at(new, &["spec"]), "spec"));
            causes.extend(super::probe::images(new));
            if old.is_none() && !items(new, &["spec", "ephemeralContainers"]).is_empty() {
                causes.push(fault::forbidden("spec.ephemeralContainers", "cannot be set on create"));
            }
            causes.extend(old.map(|old| podchange::check_update(new, old)).unwrap_or_default());
        }
        ("", "Secret") => secret(new, old, &mut causes),
        ("", "ConfigMap") => config_map(new, old, &mut causes),
        ("", "Namespace") => {
            for name in items(new, &["spec", "finalizers"]).iter().filter_map(Value::as_str) {
                let faults = names::qualified(name);
                causes
                    .extend(faults.iter().map(|detail| fault::invalid_text("spec.finalizers", name, detail)));
                causes.extend(metadata::unknown_finalizer("spec.finalizers", name));
            }
        }
        ("", "PersistentVolumeClaim") => claim(new, old, &mut causes),
        ("coordination.k8s.io", "Lease") => lease(new, &mut causes),
        ("apps", "ControllerRevision") => revision(write, new, old, &mut causes),
        ("events.k8s.io", "Event") => {
            causes.extend(event::legacy(new, &event::NEW));
            causes.extend(old.map(|old| event::check_update(new, old)).unwrap_or_default());
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            rbac::rules(new, write.kind == "Role", &mut causes)
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::binding(new, old, write.is_namespaced, &mut causes);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            causes.extend(super::definition::definition(new, old));
        }
        ("", "Event") => causes.extend(event::legacy(new, &event::CORE)),
        ("", "Service") => {
            causes.push(fault::not_modelled("", &format!("writing objects of the kind {}", write.kind)));
        }
        _ => {}
    }
    causes
}

fn data_keys(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (name, _) in entries(object, &[field]) {
        let faults = names::data_key(name);
        causes.extend(faults.iter().map(|detail| fault::invalid_text(key(field, name), name, detail)));
    }
}

/// Adds the faults of a change to an object that says that it does not change.
fn frozen(new: &Value, old: Option<&Value>, fields: &[&str], causes: &mut Vec<Cause>) {
    let Some(old) = old.filter(|old| on(old, &["immutable"])) else { return };
    const WHY: &str = "field is immutable when `immutable` is set";
    if !on(new, &["immutable"]) {
        causes.push(fault::forbidden("immutable", WHY));
    }
    for field in fields {
        if at(new, &[field]) != at(old, &[field]) {
            causes.push(fault::forbidden(*field, WHY));
        }
    }
}

fn secret(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if old.is_some_and(|old| at(old, &["type"]) != at(new, &["type"])) {
        causes.push(fault::immutable("type", at(new, &["type"])));
    }
    frozen(new, old, &["data"], causes);
    data_keys(new, "data", causes);
    if secret_size(new) as u64 > LARGEST {
        causes.push(fault::too_long("data", LARGEST));
    }
    let has = |name: &str| !at(new, &["data", name]).is_null();
    let mut need = |names: &[&str]| {
        causes.extend(
            names.iter().filter(|name| !has(name)).map(|name| fault::required(key("data", name), "")),
        );
    };
    match text(new, &["type"]) {
        "kubernetes.io/tls" => need(&["tls.crt", "tls.key"]),
        "kubernetes.io/dockercfg" => need(&[".dockercfg"]),
        "kubernetes.io/dockerconfigjson" => need(&[".dockerconfigjson"]),
        "kubernetes.io/ssh-auth" => need(&["ssh-privatekey"]),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => need(&["username", "password"]),
        "kubernetes.io/service-account-token" => {
            const NAME: &str = "kubernetes.io/service-account.name";
            if text(new, &["metadata", "annotations", NAME]).is_empty() {
                causes.push(fault::required(key("metadata.annotations", NAME), ""));
            }
        }
        _ => {}
    }
}

fn config_map(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    frozen(new, old, &["data", "binaryData"], causes);
    data_keys(new, "data", causes);
    data_keys(new, "binaryData", causes);
    for (name, _) in entries(new, &["data"]).filter(|(name, _)| !at(new, &["binaryData", name]).is_null()) {
        causes.push(fault::invalid_text(key("data", name), name, "duplicate of key present in binaryData"));
    }
    let plain: usize = entries(new, &["data"]).filter_map(|(_, value)| value.as_str()).map(str::len).sum();
    let bytes: usize = entries(new, &["binaryData"])
        .filter_map(|(_, value)| Some(super::decode::base64(value.as_str()?)?.len()))
        .sum();
    if (plain + bytes) as u64 > LARGEST {
        causes.push(fault::too_long("[]", LARGEST));
    }
}

fn namespace_status(new: &Value) -> Vec<Cause> {
    let (phase, terminates) =
        (at(new, &["status", "phase"]), !at(new, &["metadata", "deletionTimestamp"]).is_null());
    let (wanted, detail) = if terminates {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase == wanted { Vec::new() } else { vec![fault::invalid("status.Phase", phase, detail)] }
}

fn lease(new: &Value, causes: &mut Vec<Cause>) {
    for (field, least, detail) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        if number(new, &["spec", field]).is_some_and(|number| number < least) {
            causes.push(fault::invalid(child("spec", field), at(new, &["spec", field]), detail));
        }
    }
}

fn revision(write: &Write<'_>, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if number(new, &["revision"]).is_some_and(|number| number < 0) {
        causes.push(fault::invalid("revision", at(new, &["revision"]), "must be greater than or equal to 0"));
    }
    let data = at(new, &["data"]);
    match old {
        // What a patch makes is never equal to what is stored, because the server holds it in another form.
        Some(old) if at(old, &["data"]) != data || (write.is_patch && !data.is_null()) => {
            causes.push(fault::immutable("data", data));
        }
        Some(_) => {}
        None if data.is_null() => causes.push(fault::required("data", "data is mandatory")),
        None if !data.is_object() => causes.push(fault::required("data", "data must be a valid JSON object")),
        None => {}
    }
}

fn claim(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    const STORAGE: &str = "spec.resources[storage]";
    let modes = items(new, &["spec", "accessModes"]);
    if modes.is_empty() {
        causes.push(fault::required("spec.accessModes", "at least 1 access mode is required"));
    }
    for mode in modes.iter().filter(|mode| !MODES.iter().any(|known| mode == known)) {
        causes.push(fault::not_supported("spec.accessModes", mode, &MODES));
    }
    let has = |mode: &str| modes.iter().any(|one| one == mode);
    if has("ReadWriteOncePod") && MODES[..3].iter().any(|mode| has(mode)) {
        causes.push(fault::forbidden(
            "spec.accessModes",
            "may not use ReadWriteOncePod with other access modes",
        ));
    }
    causes.extend(super::selector::check(at(new, &["spec", "selector"]), "spec.selector"));
    let amount = at(new, &["spec", "resources", "requests", "storage"]).as_str();
    match amount.and_then(|text| Quantity::parse(text).ok()) {
        None => causes.push(fault::required(STORAGE, "")),
        Some(amount) if amount.nanos() <= 0 => {
            causes.push(fault::invalid_text(STORAGE, &amount.to_string(), "must be greater than zero"));
        }
        Some(_) => {}
    }
    let class = text(new, &["spec", "storageClassName"]);
    if !class.is_empty() {
        let faults = names::dns1123_subdomain(class);
        causes
            .extend(faults.iter().map(|detail| fault::invalid_text("spec.storageClassName", class, detail)));
    }
    let mode = at(new, &["spec", "volumeMode"]);
    if !mode.is_null() && mode != "Block" && mode != "Filesystem" {
        causes.push(fault::not_supported("spec.volumeMode", mode, &["Block", "Filesystem"]));
    }
    let Some(old) = old else { return };
    let mut before = at(old, &["spec"]).clone();
    if let Some(before) = before.as_object_mut().filter(|before| !before.contains_key("volumeName"))
        && let Some(volume) = new.get("spec").and_then(|spec| spec.get("volumeName"))
    {
        before.insert("volumeName".into(), volume.clone());
    }
    if before != *at(new, &["spec"]) {
        causes.push(fault::not_modelled("spec", "what the API server says of a change to a claim's spec"));
    }
}
