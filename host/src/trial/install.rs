//! Backstay, installed in a cluster as docs/operations does it.

use anyhow::Context as _;
use backstay_core::contract::Json;
use backstay_core::steps::rbac;
use serde_json::json;

use super::admin::Admin;
use crate::components::installed::{policies_of, strategy_crds};
use crate::components::registry::Registry;
use crate::yaml;

/// The controller's namespace, as `deploy/rbac` has it.
pub const SYSTEM: &str = "backstay-system";
/// The controller's ServiceAccount, as `deploy/rbac` has it.
pub const ACCOUNT: &str = "backstay";
const RIGHTS: [&str; 2] =
    [include_str!("../../../deploy/rbac/namespace.yaml"), include_str!("../../../deploy/rbac/rbac.yaml")];

/// Installs the CRDs, the rights of the controller and of its components, and the admission policies. Each component has all
/// rights that it asks for, with that to delete what it does not own.
///
/// # Errors
/// A schema makes no CRD, or the API server refuses an object.
pub async fn install(admin: &Admin, registry: &Registry) -> anyhow::Result<()> {
    let mut objects: Vec<Json> = Vec::new();
    for crd in backstay_api::crds().into_iter().chain(strategy_crds(registry)?) {
        objects.push(serde_json::to_value(crd)?);
    }
    for text in RIGHTS {
        objects.extend(yaml::objects(text)?);
    }
    objects.extend(strategies_of_others(registry));
    for component in registry.iter() {
        for purge in [false, true] {
            objects.extend(rbac(component.descriptor(), SYSTEM, purge));
        }
    }
    for policy in policies_of(SYSTEM.to_owned(), ACCOUNT.to_owned(), registry) {
        objects.extend(policy.objects);
    }
    for object in &objects {
        admin.apply(object, "").await?;
    }
    Ok(())
}

/// Returns the rights on strategies of groups that authors have for themselves.
fn strategies_of_others(registry: &Registry) -> Vec<Json> {
    let kinds = registry.iter().flat_map(|component| &component.descriptor().kinds);
    let mut groups: Vec<&str> = kinds.map(|kind| kind.group.as_str()).collect();
    groups.retain(|group| *group != backstay_api::STRATEGY_GROUP);
    if groups.is_empty() {
        return Vec::new();
    }
    let (api, name) = ("rbac.authorization.k8s.io/v1", "backstay-dev-strategies");
    vec![
        json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [
            {"apiGroups": groups, "resources": ["*"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": groups, "resources": ["*/status"], "verbs": ["patch"]}]}),
        json!({"apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}]}),
    ]
}

/// Returns a token of the controller's ServiceAccount.
///
/// # Errors
/// The API server refuses.
pub async fn token(admin: &Admin) -> anyhow::Result<String> {
    let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token");
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 31_536_000}});
    let answer = admin.api().create(&path, request).await?;
    let token = answer["status"]["token"].as_str().context("the answer has none")?;
    Ok(token.to_owned())
}
