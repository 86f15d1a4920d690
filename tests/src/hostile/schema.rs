//! Inputs from the CRDs' own schemas: each field of a spec with each hostile value of its type.

use serde_json::{Value, json};

use super::input::NAMESPACE;
use super::input::{BACKUPS, HERE, Input, Object, create, with};
use super::values::{self, crons, heavy, integers, maps, texts};

/// Applications that the inputs name in turn, so that the runs do not all wait for one lock.
pub(super) const APPLICATION_COUNT: usize = 24;

/// The kinds that a tenant writes: plural, kind.
const KINDS: [(&str, &str); 3] =
    [("backupjobs", "BackupJob"), ("restorejobs", "RestoreJob"), ("plans", "Plan")];

/// Kinds that a reference may name and that are no applications.
const FOREIGN: [(&str, &str); 18] = [
    ("batch", "Job"),
    ("v1", "Secret"),
    ("core", "Pod"),
    ("apps", "ControllerRevision"),
    ("backups.cozystack.io", "Backup"),
    ("backups.cozystack.io", "BackupClass"),
    ("backups.cozystack.io", "BackupJob"),
    ("backups.cozystack.io", "RestoreJob"),
    ("backups.cozystack.io", "Plan"),
    ("strategy.backups.cozystack.io", "Job"),
    ("strategy.backups.cozystack.io", "Altinity"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("authentication.k8s.io", "TokenReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview"),
    ("coordination.k8s.io", "Lease"),
    ("apiregistration.k8s.io", "APIService"),
    ("nobody.example.org", "Nothing"),
];

/// Returns a valid spec of a kind.
pub(super) fn valid(kind: &str, nth: usize) -> Value {
    let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis",
        "name": format!("app-{}", nth % APPLICATION_COUNT)});
    match kind {
        "BackupJob" => json!({"applicationRef": application, "backupClassName": "hostile"}),
        "RestoreJob" => json!({"backupRef": {"name": "good"}, "targetApplicationRef": application}),
        _ => {
            json!({"applicationRef": application, "backupClassName": "hostile", "schedule": {"cron": "0 0 1 1 *"}})
        }
    }
}

/// A leaf of a schema: its path, and what it may be.
struct Leaf {
    path: Vec<String>,
    values: Vec<values::Value>,
}

/// Returns the leaves of a schema that shapes an object.
fn leaves(schema: &Value, path: &[String]) -> Vec<Leaf> {
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        let values = match property["type"].as_str().unwrap_or_default() {
            "object" if property["x-kubernetes-preserve-unknown-fields"] == true => {
                maps().into_iter().chain(heavy()).collect()
            }
            "object" => {
                found.extend(leaves(property, &path));
                continue;
            }
            "string" if name == "cron" => texts().into_iter().chain(crons()).collect(),
            "string" => texts(),
            "integer" => integers(),
            "boolean" => ["true", "false", "null", "\"yes\""].map(|v| (v.to_owned(), v.to_owned())).into(),
            other => panic!("{}: no hostile values of type {other:?}", path.join(".")),
        };
        found.push(Leaf { path, values });
    }
    found
}

/// Puts a value at a path, making the maps on the way.
fn put(mut at: &mut Value, path: &[String], value: Value) {
    for name in path {
        at = &mut at[name.as_str()];
    }
    *at = value;
}

/// Returns an input of every hostile value of every field.
pub(super) fn inputs() -> Vec<Input> {
    let crds = backstay_api::crds();
    let mut inputs = Vec::new();
    for (plural, kind) in KINDS {
        let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).expect("we have the kind");
        let crd = serde_json::to_value(crd).expect("a CRD is plain data");
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        for leaf in leaves(spec, &[]) {
            for (nth, (what, json)) in leaf.values.iter().enumerate() {
                let mut spec = valid(kind, nth);
                put(&mut spec, &leaf.path, json!(HERE));
                let name = format!("{}-{nth}", leaf.path.join("-").to_lowercase());
                let about = format!("{kind} spec.{}: {what}", leaf.path.join("."));
                inputs.push(input(group(kind, &leaf), about, plural, kind, &name, &spec, json));
            }
        }
    }
    inputs.extend(foreign());
    inputs
}

fn group(kind: &str, leaf: &Leaf) -> &'static str {
    match (kind, leaf.path[0].as_str()) {
        ("RestoreJob", "options") => "options of RestoreJobs",
        ("BackupJob", _) => "fields of BackupJobs",
        ("RestoreJob", _) => "fields of RestoreJobs",
        _ => "fields of Plans",
    }
}

/// Returns runs that name objects which are no applications.
fn foreign() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (nth, (group, foreign)) in FOREIGN.into_iter().enumerate() {
        for (plural, kind, field) in [
            ("backupjobs", "BackupJob", "applicationRef"),
            ("restorejobs", "RestoreJob", "targetApplicationRef"),
        ] {
            let mut spec = valid(kind, nth);
            spec[field] = json!({"apiGroup": group, "kind": foreign, "name": "good"});
            let about = format!("{kind} of {foreign} of {group}");
            inputs.push(input(
                "references at other kinds",
                about,
                plural,
                kind,
                &format!("foreign-{nth}"),
                &spec,
                "",
            ));
        }
    }
    inputs
}

fn input(
    group: &'static str,
    about: String,
    plural: &'static str,
    kind: &str,
    name: &str,
    spec: &Value,
    json: &str,
) -> Input {
    let object = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    Input {
        group,
        about,
        requests: vec![create(BACKUPS, NAMESPACE, plural, with(&object, json))],
        object: Some(Object { plural, name: name.to_owned() }),
    }
}
