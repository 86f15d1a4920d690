//! What a case is given: the fixtures of `base`, with what is different.

use std::collections::BTreeMap;
use std::path::Path;

use backstay_testing::contract::{Json, ObjectRef, WriteError};
use backstay_testing::{Built, Drive, World};
use serde::Deserialize;
use serde_json::{Value, json};

use super::patched;
use super::trouble::{self, Pending};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
    /// `backup`, `restore` or `cleanup`.
    run: String,
    /// Merge patch of the strategy.
    #[serde(default)]
    strategy: Value,
    /// Merge patch of the application.
    #[serde(default)]
    application: Value,
    /// Merge patch of the Backup.
    #[serde(default)]
    backup: Value,
    /// The Backup is one of the Go implementation: no component, no private data.
    #[serde(default)]
    unpinned: bool,
    /// The Backup's private data is lost.
    #[serde(default)]
    private_lost: bool,
    /// Options of the RestoreJob.
    options: Option<Value>,
    /// Parameters of a backup, instead of the usual.
    parameters: Option<BTreeMap<String, String>>,
    /// Merge patches of the objects that there are, by kind and name; null: there is none.
    #[serde(default)]
    given: BTreeMap<String, Value>,
    /// Kinds that the API server does not know.
    #[serde(default)]
    unserved: Vec<String>,
    /// Seconds that the host's clock is ahead of the cluster's.
    #[serde(default)]
    skew: i64,
    /// Name of the run.
    run_name: Option<String>,
    /// The application API does nothing but store: no release knows of a write.
    #[serde(default)]
    plain_api: bool,
    /// The application's values hold what the case itself shows in clear.
    #[serde(default)]
    secrets_shown: bool,
}

impl Given {
    /// The run, before its first wake.
    pub(super) fn run(&self, cnpg: &'static Built, pending: Pending) -> Drive<'static> {
        let application = patched("application.yaml", &self.application);
        let strategy = text(&patched("strategy.yaml", &self.strategy));
        let mut backup = patched("backup.yaml", &self.backup);
        if self.unpinned {
            let unnamed = json!({"metadata": {"labels": null}, "status": {"component": null}});
            merge(&mut backup, &unnamed);
        }
        let backup = text(&backup);
        let mut case = match self.run.as_str() {
            "backup" => cnpg.backup(),
            "restore" => cnpg.restore(&backup),
            "cleanup" => cnpg.cleanup(&backup),
            other => panic!("there is no run {other}"),
        };
        case = case.strategy(&strategy).application(&text(&application));
        let parameters = self.parameters.clone().unwrap_or_else(|| {
            let usual = [("bucket".to_owned(), "depot".to_owned())];
            if self.run == "backup" { usual.into() } else { BTreeMap::new() }
        });
        for (name, value) in &parameters {
            case = case.parameter(name, value);
        }
        if let Some(options) = &self.options {
            case = case.options(&text(options));
        }
        let private: Json = serde_saphyr::from_str(&base("private.yaml")).unwrap();
        let unpinned = self.unpinned;
        let lost = self.private_lost || unpinned;
        case = case.with(|request| {
            if let Some(name) = &self.run_name {
                request.run.name.clone_from(name);
            }
            if let Some(backup) = &mut request.backup {
                backup.private_data = (!lost).then_some(private);
            }
            if unpinned {
                // Of a Backup that names no component the host knows no parameters.
                request.parameters.clear();
            }
        });
        let mut run = case.world(self.world(&application)).skewed(self.skew);
        for (name, patch) in &self.given {
            change(&mut run.world, name, patch);
        }
        for kind in &self.unserved {
            run.world.unserved(&object(&format!("{kind}/x")).api_version, kind);
        }
        run.disturb(trouble::disturb(pending))
    }

    /// Whether messages may hold what stands in for secrets elsewhere.
    pub(super) fn secrets_ok(&self) -> bool {
        self.secrets_shown
    }

    fn world(&self, application: &Value) -> World {
        let mut world = World::of(&base("world.yaml"));
        if self.run != "backup" {
            world.add(&base("operators-backup.yaml"));
        }
        world.edit(&object("HelmRelease/postgres-orders"), |r| {
            r["spec"]["values"] = application["spec"].clone()
        });
        if !self.plain_api {
            world.serve("apps.cozystack.io/v1alpha1", "Postgres", view_of_release);
        }
        world
    }
}

/// The application is no object of its own: a write makes its release anew, and so wakes it.
fn view_of_release(world: &mut World, _: Option<&Json>, new: &mut Json) -> Result<(), WriteError> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let release = object(&format!("HelmRelease/postgres-{name}"));
    world.edit(&release, |release| {
        release["spec"] = json!({"values": new["spec"]});
        merge(release, &json!({"metadata": {"annotations": null}}));
    });
    Ok(())
}

/// Changes an object, makes it (from `base` where there is such a file), or deletes it.
pub(super) fn change(world: &mut World, name: &str, patch: &Value) {
    let reference = object(name);
    if patch.is_null() {
        assert!(world.remove(&reference), "there is no {name} to delete");
        return;
    }
    // `from` names a fixture to make it of.
    let mut patch = patch.clone();
    let from = patch.as_object_mut().and_then(|p| p.remove("from"));
    if let Some(file) = from {
        let mut made: Value = serde_saphyr::from_str(&base(file.as_str().unwrap_or_default())).unwrap();
        made["metadata"]["name"] = json!(reference.name);
        merge(&mut made, &patch);
        world.remove(&reference);
        world.put(made);
        return;
    }
    if world.edit(&reference, |found| merge(found, &patch)) {
        return;
    }
    let mut made = json!({
        "apiVersion": reference.api_version, "kind": reference.kind,
        "metadata": {"name": reference.name, "namespace": reference.namespace},
    });
    if reference.kind == "PersistentVolumeClaim" || reference.kind == "Pod" {
        made["metadata"]["labels"] = json!({"cnpg.io/cluster": "postgres-orders"});
    }
    merge(&mut made, &patch);
    // A log is no field, but a case may say it where it says the pod.
    if let Some(logs) = made.as_object_mut().and_then(|m| m.remove("log")) {
        world.logged("tenant-a", &reference.name, "full-recovery", false, logs.as_str().unwrap_or_default());
    }
    world.put(made);
}

/// The object that a case calls `Kind/name`.
pub(super) fn object(name: &str) -> ObjectRef {
    let (kind, name) = name.split_once('/').unwrap_or_else(|| panic!("{name} is no kind and name"));
    let api_version = match kind {
        "Cluster" | "Backup" => "postgresql.cnpg.io/v1",
        "ObjectStore" => "barmancloud.cnpg.io/v1",
        "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
        "Postgres" => "apps.cozystack.io/v1alpha1",
        "PersistentVolumeClaim" | "Pod" | "Secret" => "v1",
        other => panic!("what is the API version of {other}?"),
    };
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some("tenant-a".to_owned()),
        name: name.to_owned(),
    }
}

/// RFC 7386; null leaves a value out.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Null => {}
        Value::Object(patch) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (key, value) in patch {
                if value.is_null() {
                    target.as_object_mut().unwrap().remove(key);
                } else {
                    merge(&mut target[key.as_str()], value);
                }
            }
        }
        value => *target = value.clone(),
    }
}

fn text(value: &Value) -> String {
    // JSON is YAML.
    value.to_string()
}

pub(super) fn base(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/base").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
