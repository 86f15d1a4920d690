//! What is installed in a cluster for components: the CRDs of their strategy kinds, and the admission policies.

use std::collections::BTreeSet;

use backstay_api::SchemaError;
use backstay_api::admission::{Controller, Policy, policies};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::registry::Registry;

/// A schema of a component makes no CRD.
#[derive(Debug, thiserror::Error)]
#[error("component {component:?}: the schema of kind {kind:?} makes no CRD")]
pub struct NoCrd {
    component: String,
    kind: String,
    #[source]
    source: Box<SchemaError>,
}

/// Returns the CRDs of the strategy kinds that these components serve.
///
/// # Errors
/// The first schema that makes no CRD.
pub fn strategy_crds(registry: &Registry) -> Result<Vec<CustomResourceDefinition>, NoCrd> {
    let mut crds = Vec::new();
    for component in registry.iter() {
        let of = component.descriptor();
        for kind in &of.kinds {
            let (group, version) = (&kind.group, &kind.version);
            let crd = backstay_api::strategy_crd(group, version, &kind.kind, &kind.plural, &kind.schema);
            crds.push(crd.map_err(|source| NoCrd {
                component: of.name.clone(),
                kind: kind.kind.clone(),
                source: Box::new(source),
            })?);
        }
    }
    Ok(crds)
}

/// Returns the policies for a controller with these components, which acts as this ServiceAccount.
#[must_use]
pub fn policies_of(namespace: String, service_account: String, registry: &Registry) -> Vec<Policy> {
    let kinds = registry.iter().flat_map(|component| &component.descriptor().kinds);
    let mut groups: BTreeSet<String> = kinds.map(|kind| kind.group.clone()).collect();
    groups.insert(backstay_api::STRATEGY_GROUP.to_owned());
    policies(&Controller { namespace, service_account, strategy_groups: groups.into_iter().collect() })
}
