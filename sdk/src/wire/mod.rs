//! Conversion between the types of `wit-bindgen` and those of this crate. JSON is parsed and written only here.

mod bounds;
mod from_host;
mod to_host;

use std::collections::BTreeMap;

use backstay_sdk_rt::json;
use serde_json::Value;

pub(crate) use crate::bindings::about::backstay::strategy::types as wit;
pub(crate) use bounds::findings;

use crate::leak::leak;

/// Parses a JSON text of the host.
pub(crate) fn parse(text: &str) -> Value {
    json::parse(text).expect("the host passes JSON where the contract says `json`")
}

/// Writes a JSON text for the host.
fn print(value: Value) -> String {
    let text = json::print(&value);
    leak(value);
    text
}

/// Collects pairs of the host. They are sorted already, so they are inserted one by one; `collect` would sort them
/// again.
pub(crate) fn pairs(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        map.insert(name, value);
    }
    map
}

impl From<wit::GroupKind> for crate::GroupKind {
    fn from(v: wit::GroupKind) -> Self {
        Self { group: v.group, kind: v.kind }
    }
}

impl From<crate::GroupKind> for wit::GroupKind {
    fn from(v: crate::GroupKind) -> Self {
        Self { group: v.group, kind: v.kind }
    }
}

impl From<wit::NamespacedName> for crate::NamespacedName {
    fn from(v: wit::NamespacedName) -> Self {
        Self { namespace: v.namespace, name: v.name }
    }
}

impl From<crate::NamespacedName> for wit::NamespacedName {
    fn from(v: crate::NamespacedName) -> Self {
        Self { namespace: v.namespace, name: v.name }
    }
}

impl From<wit::ObjectRef> for crate::ObjectRef {
    fn from(v: wit::ObjectRef) -> Self {
        Self { api_version: v.api_version, kind: v.kind, namespace: v.namespace, name: v.name }
    }
}

impl From<crate::ObjectRef> for wit::ObjectRef {
    fn from(v: crate::ObjectRef) -> Self {
        Self { api_version: v.api_version, kind: v.kind, namespace: v.namespace, name: v.name }
    }
}

impl From<wit::Artifact> for crate::Artifact {
    fn from(v: wit::Artifact) -> Self {
        Self { uri: v.uri, size_bytes: v.size_bytes, checksum: v.checksum }
    }
}

impl From<crate::Artifact> for wit::Artifact {
    fn from(v: crate::Artifact) -> Self {
        Self { uri: v.uri, size_bytes: v.size_bytes, checksum: v.checksum }
    }
}
