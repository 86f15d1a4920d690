//! A stand-in for the platform around a CloudNativePG cluster: the application API of kind `Postgres`, Helm, and the chart
//! that makes a Cluster of an application. Operator, plugin, PostgreSQL and S3 are real in the tests that use it.
//!
//! As on the real platform:
//! - a write of a Postgres first writes its `HelmRelease`, whose spec is built anew: fields other than the values, such as
//!   `spec.suspend`, are lost ([`api`]);
//! - an application without an endpoint or a path gets the placeholders of the chart (in the CRD's schema);
//! - a release that is not suspended is upgraded when its values change or an upgrade is requested: new or missing objects
//!   are created, objects whose rendering changed are patched, objects that are no longer rendered are deleted
//!   ([`release`]);
//! - the chart refuses values that it cannot recover from, and the release's status has the message ([`render`]).
//!
//! Unlike the real platform: a Postgres is stored and not a view of its release, its deletion leaves the release behind,
//! and the chart makes no init Job, no `ScheduledBackup`, no credentials and no dashboards.

pub mod api;
pub mod release;
pub mod render;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};

/// Prefix of a release's name, before the application's name.
pub const RELEASE_PREFIX: &str = "postgres-";

/// Returns the API of a kind without a Rust type.
#[must_use]
pub fn dynamic(client: &Client, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(api_version, kind))
}

/// The kind that Helm's controller works on.
#[must_use]
pub fn helm_release() -> ApiResource {
    resource("helm.toolkit.fluxcd.io/v2", "HelmRelease")
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
