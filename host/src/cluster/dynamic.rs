//! Objects of kinds that are known only at run time.

use backstay_core::contract::{Access, GroupKind, StrategyKind};
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

use super::api::Api;

/// Returns the API of a kind in a namespace; `None` is cluster-wide.
#[must_use]
pub fn api(client: Client, namespace: Option<&str>, resource: &ApiResource) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

/// Returns the kind of a resource.
#[must_use]
pub fn group_kind(resource: &ApiResource) -> GroupKind {
    GroupKind { group: resource.group.clone(), kind: resource.kind.clone() }
}

/// Returns the resource of a strategy kind.
#[must_use]
pub fn strategy_resource(kind: &StrategyKind) -> ApiResource {
    resource(&kind.group, &kind.version, &kind.kind, &kind.plural)
}

/// Returns the resource of a declared access.
#[must_use]
pub fn access_resource(access: &Access) -> ApiResource {
    resource(&access.group, &access.version, &access.kind, &access.plural)
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
