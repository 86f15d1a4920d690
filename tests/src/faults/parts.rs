//! The components of the plans, loaded once for all of them.

use std::collections::BTreeMap;
use std::path::Path;

use backstay::components::registry::Registry;
use backstay_engine::Engine;
use serde_json::{Value, json};

use super::plan::Scenario;
use crate::controller;

/// ServiceAccount of the controllers under test.
pub(super) const ACCOUNT: &str = "faults";
/// The account, with the rights of an administrator: what a plan is about is not what the controller may do.
pub(super) const MANIFESTS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: faults, namespace: backstay-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: backstay-faults}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: faults, namespace: backstay-system}]
"#;

/// Loaded components, and how Backups name them.
pub(super) struct Parts {
    /// By file: loading costs more than the rest of a plan, and no plan is about it.
    registries: BTreeMap<&'static str, Registry>,
    /// The pins of the components, by kind of strategy.
    pub pins: Value,
}

impl Parts {
    /// Loads the components of a folder.
    pub(super) fn load(engine: &Engine, components: &Path) -> Self {
        let registries =
            Scenario::ALL.map(Scenario::component).map(|file| (file, only(engine, components, file)));
        Self { registries: registries.into(), pins: pins(engine, components) }
    }

    /// Returns the component that a scenario needs.
    pub(super) fn registry(&self, scenario: Scenario) -> &Registry {
        &self.registries[scenario.component()]
    }
}

/// Loads one component of the folder alone, since each loaded component costs every plan a watch.
fn only(engine: &Engine, components: &Path, file: &str) -> Registry {
    let folder = components.join("alone").join(file);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::copy(components.join(file), folder.join(file)).expect("the component can be copied");
    controller::load(engine, &folder)
}

fn pins(engine: &Engine, components: &Path) -> Value {
    let pin = |file: &str| {
        let component = engine.load_file(&components.join(file)).expect("the component loads");
        let descriptor = component.descriptor();
        json!({"name": descriptor.name, "version": descriptor.version, "digest": component.digest()})
    };
    json!({"Job": pin("job.wasm"), "Scrub": pin("scrubber.wasm"), "Steps": pin("steps.wasm")})
}
