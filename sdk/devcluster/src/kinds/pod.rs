//! What a pod may be: what is common of it. What is not checked here the API server may refuse.

use std::collections::BTreeSet;

use serde_json::Value;

use super::quantity::Quantity;
use super::value::{at, entries, items, number, on, text};
use super::{internal, metadata, names, probe};
use crate::schema::fault::{self, child, index, key};
use crate::status::Cause;

const RANGE: &str = "must be between 1 and 2147483647, inclusive";
const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Adds a fault for each thing that is wrong with a text.
pub(super) fn each(faults: &[String], path: &str, value: &str, causes: &mut Vec<Cause>) {
    causes.extend(faults.iter().map(|detail| fault::invalid_text(path, value, detail)));
}

/// Adds a fault if the text in a field is missing, or none of some.
fn one_of(parent: &Value, path: &str, field: &str, known: &[&str], causes: &mut Vec<Cause>) {
    match text(parent, &[field]) {
        "" => causes.push(fault::required(child(path, field), "")),
        value if known.contains(&value) => {}
        value => causes.push(fault::not_supported(child(path, field), &value.into(), known)),
    }
}

/// Returns the faults of the template of pods.
pub(super) fn template(template: &Value, path: &str) -> Vec<Cause> {
    let mut causes = metadata::labels_of(at(template, &["metadata"]), &child(path, "labels"), "labels");
    causes.extend(metadata::annotations(at(template, &["metadata"]), path));
    causes.extend(spec(at(template, &["spec"]), &child(path, "spec")));
    if !items(template, &["spec", "ephemeralContainers"]).is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        causes.push(fault::forbidden(child(path, "spec.ephemeralContainers"), detail));
    }
    causes
}

/// Returns the faults of a pod's spec.
pub(super) fn spec(spec: &Value, path: &str) -> Vec<Cause> {
    let at_field = |field: &str| child(path, field);
    let mut causes = Vec::new();
    let volumes = volumes(spec, path, &mut causes);
    let mut known = BTreeSet::new();
    let main = items(spec, &["containers"]);
    if main.is_empty() {
        causes.push(fault::required(at_field("containers"), ""));
    }
    for (list, is_init) in [("containers", false), ("initContainers", true)] {
        for (i, one) in items(spec, &[list]).iter().enumerate() {
            let path = index(&at_field(list), i);
            container(one, &path, &volumes, &mut causes);
            if is_init {
                init(one, &path, &mut causes);
            }
            let name = text(one, &["name"]);
            if !known.insert(name.to_owned()) && !name.is_empty() {
                causes.push(fault::duplicate(child(&path, "name"), &name.into()));
            }
        }
    }
    one_of(spec, path, "restartPolicy", &["Always", "OnFailure", "Never"], &mut causes);
    one_of(
        spec,
        path,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        &mut causes,
    );
    if text(spec, &["dnsPolicy"]) == "None" && at(spec, &["dnsConfig"]).is_null() {
        let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
        causes.push(fault::required(at_field("dnsConfig"), detail));
    }
    causes.extend(probe::identities(spec, path));
    causes.extend(metadata::labels_of(spec, &at_field("nodeSelector"), "nodeSelector"));
    tolerations(spec, path, &mut causes);
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = text(spec, &[field]);
        if !name.is_empty() {
            each(&names::dns1123_subdomain(name), &at_field(field), name, &mut causes);
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, &[field]);
        if !name.is_empty() {
            each(&names::dns1123_label(name), &at_field(field), name, &mut causes);
        }
    }
    if number(spec, &["activeDeadlineSeconds"])
        .is_some_and(|number| !(1..=i64::from(i32::MAX)).contains(&number))
    {
        causes.push(fault::invalid(
            at_field("activeDeadlineSeconds"),
            at(spec, &["activeDeadlineSeconds"]),
            RANGE,
        ));
    }
    causes
}

/// Checks of which taints of nodes a pod takes no notice.
pub(super) fn tolerations(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (i, one) in items(spec, &["tolerations"]).iter().enumerate() {
        let at_field = |field: &str| child(&index(&child(path, "tolerations"), i), field);
        let [name, operator, value, effect] =
            ["key", "operator", "value", "effect"].map(|field| text(one, &[field]));
        let mut refuse = |field: &str, value: &str, detail: &str| {
            causes.push(fault::invalid_text(at_field(field), value, detail));
        };
        if name.is_empty() && operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            refuse("operator", operator, detail);
        }
        if !at(one, &["tolerationSeconds"]).is_null() && effect != "NoExecute" {
            refuse("effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
        if operator == "Exists" && !value.is_empty() {
            refuse("operator", value, "value must be empty when `operator` is 'Exists'");
        }
        let faults = names::label_value(value);
        if matches!(operator, "" | "Equal") && !faults.is_empty() {
            refuse("operator", value, &faults.join(";"));
        }
        if !name.is_empty() {
            each(&names::qualified(name), &at_field("key"), name, causes);
        }
        if !matches!(operator, "" | "Equal" | "Exists") {
            let known = ["Equal", "Exists"];
            causes.push(fault::not_supported(at_field("operator"), &operator.into(), &known));
        }
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !effect.is_empty() && !known.contains(&effect) {
            causes.push(fault::not_supported(at_field("effect"), &effect.into(), &known));
        }
    }
}

/// Checks the volumes and returns the names of those that are as they must be.
fn volumes(spec: &Value, path: &str, causes: &mut Vec<Cause>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (i, volume) in items(spec, &["volumes"]).iter().enumerate() {
        let path = index(&child(path, "volumes"), i);
        let mut faults = Vec::new();
        let mut sources = entries(volume, &[]).filter(|(field, _)| *field != "name");
        match sources.next() {
            None => faults.push(fault::required(path.clone(), "must specify a volume type")),
            Some((field, source)) => volume_source(field, source, &child(&path, field), &mut faults),
        }
        for (field, _) in sources {
            faults.push(fault::forbidden(child(&path, field), "may not specify more than 1 volume type"));
        }
        let name = text(volume, &["name"]);
        if name.is_empty() {
            faults.push(fault::required(child(&path, "name"), ""));
        } else {
            each(&names::dns1123_label(name), &child(&path, "name"), name, &mut faults);
        }
        if known.contains(name) {
            faults.push(fault::duplicate(child(&path, "name"), &name.into()));
        }
        if faults.is_empty() {
            known.insert(name.to_owned());
        }
        causes.append(&mut faults);
    }
    known
}

fn volume_source(kind: &str, source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let needs = match kind {
        "secret" => "secretName",
        "configMap" => "name",
        "persistentVolumeClaim" => "claimName",
        "hostPath" => "path",
        _ => "",
    };
    if !needs.is_empty() && text(source, &[needs]).is_empty() {
        causes.push(fault::required(child(path, needs), ""));
    }
    let is_mode = |value: &Value| value.as_i64().is_none_or(|mode| (0..=0o777).contains(&mode));
    if !is_mode(at(source, &["defaultMode"])) {
        causes.push(fault::invalid(child(path, "defaultMode"), at(source, &["defaultMode"]), MODE));
    }
    for (i, item) in items(source, &["items"]).iter().enumerate() {
        let path = index(&child(path, "items"), i);
        for field in ["key", "path"].into_iter().filter(|field| kind != "downwardAPI" || *field == "path") {
            if text(item, &[field]).is_empty() {
                causes.push(fault::required(child(&path, field), ""));
            }
        }
        descends(text(item, &["path"]), &child(&path, "path"), causes);
        if text(item, &["path"]).starts_with("..") && !text(item, &["path"]).starts_with("../") {
            causes.push(fault::invalid_text(
                child(&path, "path"),
                text(item, &["path"]),
                "must not start with '..'",
            ));
        }
        if !is_mode(at(item, &["mode"])) {
            causes.push(fault::invalid(child(&path, "mode"), at(item, &["mode"]), MODE));
        }
    }
}

/// Checks that a path leads down.
fn descends(text: &str, path: &str, causes: &mut Vec<Cause>) {
    if text.starts_with('/') {
        causes.push(fault::invalid_text(path, text, "must be a relative path"));
    }
    if text.split('/').any(|part| part == "..") {
        causes.push(fault::invalid_text(path, text, "must not contain '..'"));
    }
}

fn container(container: &Value, path: &str, volumes: &BTreeSet<String>, causes: &mut Vec<Cause>) {
    let at_field = |field: &str| child(path, field);
    match text(container, &["name"]) {
        "" => causes.push(fault::required(at_field("name"), "")),
        name => each(&names::dns1123_label(name), &at_field("name"), name, causes),
    }
    if text(container, &["image"]).is_empty() {
        causes.push(fault::required(at_field("image"), ""));
    }
    one_of(container, path, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"], causes);
    ports(container, &at_field("ports"), causes);
    environment(container, path, causes);
    causes.extend(probe::check(container, path));
    mounts(container, &at_field("volumeMounts"), volumes, causes);
    one_of(container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"], causes);
    resources(at(container, &["resources"]), &at_field("resources"), causes);
    let security = at(container, &["securityContext"]);
    for field in ["runAsUser", "runAsGroup"] {
        if number(security, &[field]).is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            let detail = "must be between 0 and 2147483647, inclusive";
            causes.push(fault::invalid(
                child(&at_field("securityContext"), field),
                at(security, &[field]),
                detail,
            ));
        }
    }
    if on(security, &["privileged"]) && at(security, &["allowPrivilegeEscalation"]) == &Value::Bool(false) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        causes.push(internal::invalid(
            at_field("securityContext"),
            &internal::shown("core.SecurityContext", security),
            detail,
        ));
    }
}

fn init(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    match text(container, &["restartPolicy"]) {
        "Always" => return,
        "" => {}
        policy => {
            causes.push(fault::not_supported(child(path, "restartPolicy"), &policy.into(), &["Always"]));
        }
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if !at(container, &[field]).is_null() {
            let detail = "may not be set for init containers without restartPolicy=Always";
            causes.push(fault::forbidden(child(path, field), detail));
        }
    }
}

fn ports(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut known = BTreeSet::new();
    for (i, port) in items(container, &["ports"]).iter().enumerate() {
        let at_field = |field: &str| child(&index(path, i), field);
        let name = text(port, &["name"]);
        if !name.is_empty() {
            let faults = port_name(name);
            each(&faults, &at_field("name"), name, causes);
            if faults.is_empty() && !known.insert(name) {
                causes.push(fault::duplicate(at_field("name"), &name.into()));
            }
        }
        for field in ["containerPort", "hostPort"] {
            match number(port, &[field]).unwrap_or_default() {
                0 if field == "containerPort" => causes.push(fault::required(at_field(field), "")),
                0..=65535 => {}
                other => {
                    let detail = "must be between 1 and 65535, inclusive";
                    causes.push(fault::invalid(at_field(field), &other.into(), detail));
                }
            }
        }
        one_of(port, &index(path, i), "protocol", &["SCTP", "TCP", "UDP"], causes);
    }
}

fn port_name(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut refuse = |when: bool, what: &str| {
        if when {
            faults.push(what.to_owned());
        }
    };
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    refuse(name.len() > 15, "must be no more than 15 characters");
    refuse(
        !name.chars().all(is_plain),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    refuse(!name.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    refuse(name.contains("--"), "must not contain consecutive hyphens");
    refuse(name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen");
    faults
}

fn environment(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (i, variable) in items(container, &["env"]).iter().enumerate() {
        let path = index(&child(path, "env"), i);
        match text(variable, &["name"]) {
            "" => causes.push(fault::required(child(&path, "name"), "")),
            name => each(&names::environment(name), &child(&path, "name"), name, causes),
        }
        let from = at(variable, &["valueFrom"]);
        if from.is_null() {
            continue;
        }
        let at_from = child(&path, "valueFrom");
        let reference = at(from, &["fieldRef"]);
        if !reference.is_null() {
            causes.extend(probe::field_path(text(reference, &["fieldPath"]), &child(&at_from, "fieldRef")));
        }
        for field in ["configMapKeyRef", "secretKeyRef"] {
            let reference = at(from, &[field]);
            if !reference.is_null() {
                let name = text(reference, &["name"]);
                each(&names::dns1123_subdomain(name), &child(&child(&at_from, field), "name"), name, causes);
                match text(reference, &["key"]) {
                    "" => causes.push(fault::required(child(&child(&at_from, field), "key"), "")),
                    key => each(&names::data_key(key), &child(&child(&at_from, field), "key"), key, causes),
                }
            }
        }
        let detail = match entries(from, &[]).count() {
            0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            _ if !text(variable, &["value"]).is_empty() => "may not be specified when `value` is not empty",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        causes.push(fault::invalid_text(at_from, "", detail));
    }
}

fn mounts(container: &Value, path: &str, volumes: &BTreeSet<String>, causes: &mut Vec<Cause>) {
    let mut points = BTreeSet::new();
    for (i, mount) in items(container, &["volumeMounts"]).iter().enumerate() {
        let at_field = |field: &str| child(&index(path, i), field);
        let (name, point) = (text(mount, &["name"]), text(mount, &["mountPath"]));
        if name.is_empty() {
            causes.push(fault::required(at_field("name"), ""));
        }
        if !volumes.contains(name) {
            causes.push(internal::not_found(at_field("name"), name));
        }
        if point.is_empty() {
            causes.push(fault::required(at_field("mountPath"), ""));
        }
        if !points.insert(point) {
            causes.push(fault::invalid_text(at_field("mountPath"), point, "must be unique"));
        }
        for field in ["subPath", "subPathExpr"] {
            descends(text(mount, &[field]), &child(path, field), causes);
        }
        if !text(mount, &["subPath"]).is_empty() && !text(mount, &["subPathExpr"]).is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            causes.push(fault::invalid(at_field("subPathExpr"), at(mount, &["subPathExpr"]), detail));
        }
    }
}

/// Adds the faults of what a container asks for and may have.
fn resources(resources: &Value, path: &str, causes: &mut Vec<Cause>) {
    let amount = |kind: &str, name: &str| {
        at(resources, &[kind, name]).as_str().and_then(|text| Quantity::parse(text).ok())
    };
    for kind in ["limits", "requests"] {
        for (name, _) in entries(resources, &[kind]) {
            let at_one = key(&child(path, kind), name);
            resource_name(name, &at_one, causes);
            let Some(one) = amount(kind, name) else { continue };
            if one.nanos() < 0 {
                let detail = "must be greater than or equal to 0";
                causes.push(fault::invalid_text(at_one, &one.to_string(), detail));
            }
            let Some(limit) = amount("limits", name).filter(|_| kind == "requests") else { continue };
            let may_be_less = !name.contains('/') && !name.starts_with("hugepages-");
            let at_requests = child(path, "requests");
            if one != limit && !may_be_less {
                let detail = format!("must be equal to {name} limit of {limit}");
                causes.push(fault::invalid_text(at_requests, &one.to_string(), &detail));
            } else if one > limit {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                causes.push(fault::invalid_text(at_requests, &one.to_string(), &detail));
            }
        }
    }
}

fn resource_name(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let faults = names::qualified(name);
    each(&faults, path, name, causes);
    let is_standard =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if name.contains('/') || is_standard {
        return;
    }
    let elsewhere = matches!(name, "storage" | "pods" | "services" | "secrets" | "configmaps");
    if !elsewhere && faults.is_empty() {
        causes.push(fault::invalid_text(path, name, "must be a standard resource type or fully qualified"));
    }
    causes.push(fault::invalid_text(path, name, "must be a standard resource for containers"));
}
