//! A stand-in for the platform around a CloudNativePG cluster: the application API of kind `Postgres`, Helm, and the chart
//! that makes a Cluster of an application. What is behind them (operator, plugin, PostgreSQL, S3) is real in the tests that
//! use it.
//!
//! Like the real ones:
//! - a write of a Postgres is not done before its `HelmRelease` is written, whose spec is built anew: what is not a value,
//!   such as `spec.suspend`, is lost ([`api`]);
//! - an application without an endpoint or a path gets the placeholders of the chart (in the CRD's schema);
//! - a release is upgraded when its values changed or somebody asks for it, and it is not suspended: what is new or missing is created, what
//!   changed in the rendering is patched, what is no longer rendered is deleted, and nothing else is touched
//!   ([`release`]);
//! - the chart refuses values that it cannot recover from, and the release says so ([`render`]).
//!
//! Unlike the real ones: a Postgres is stored and not a view of its release, a deleted one leaves its release behind, and
//! the chart makes no init Job, no `ScheduledBackup`, no credentials and no dashboards.

pub mod api;
pub mod release;
pub mod render;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};

/// The release of an application is named like this and the application's name.
pub const RELEASE_PREFIX: &str = "postgres-";

/// The API of a kind that this crate has no type for.
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
