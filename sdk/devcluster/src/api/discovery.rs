//! Discovery: which groups, versions and kinds there are. What is built in comes from a captured answer of 1.34.4.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::resource::{Resource, api_version};

static BUILTIN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/discovery.json")).unwrap_or_default());

fn entries(group_version: &str) -> &'static [Value] {
    BUILTIN
        .get("resources")
        .and_then(|all| all.get(group_version))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn groups() -> impl Iterator<Item = &'static Value> {
    BUILTIN.get("groups").and_then(Value::as_array).into_iter().flatten()
}

fn versions(group: &Value) -> impl Iterator<Item = &str> {
    let all = group.get("versions").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|version| version.get("version")?.as_str())
}

fn name(group: &Value) -> &str {
    group.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a group is built in.
pub(crate) fn is_builtin(group: &str) -> bool {
    group.is_empty() || groups().any(|one| name(one) == group)
}

/// All built-in resources and subresources: group, version and entry.
pub(crate) fn builtin_resources() -> Vec<(&'static str, &'static str, &'static Value)> {
    let core = entries("v1").iter().map(|entry| ("", "v1", entry));
    let others = groups().flat_map(|group| {
        versions(group).flat_map(move |version| {
            let group = name(group);
            entries(&api_version(group, version)).iter().map(move |entry| (group, version, entry))
        })
    });
    core.chain(others).collect()
}

/// The custom kinds, by group and version; versions with the preferred one first.
type Custom<'a> = BTreeMap<&'a str, Vec<(&'a str, Vec<&'a Arc<Resource>>)>>;

fn custom(all: &[Arc<Resource>]) -> Custom<'_> {
    let mut groups = Custom::new();
    for resource in all {
        let versions = groups.entry(&resource.group).or_default();
        match versions.iter_mut().find(|(version, _)| *version == resource.version) {
            Some((_, kinds)) => kinds.push(resource),
            None => versions.push((&resource.version, vec![resource])),
        }
    }
    for versions in groups.values_mut() {
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(rank(version)));
    }
    groups
}

/// How versions are ordered: v2, v1, v1beta2, v1beta1, v1alpha1, and others by the alphabet backwards.
pub(crate) fn rank(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let none = (0, 0, 0, std::cmp::Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return none };
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (major, rest) = rest.split_at(end);
    let Ok(major) = major.parse() else { return none };
    let (stage, minor) = match (rest, rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        ("", ..) => (3, "0"),
        (_, Some(minor), _) => (2, minor),
        (.., Some(minor)) => (1, minor),
        _ => return none,
    };
    match minor.parse() {
        Ok(minor) => (stage, major, minor, std::cmp::Reverse(String::new())),
        Err(_) => none,
    }
}

fn group_of(group: &str, versions: &[(&str, Vec<&Arc<Resource>>)]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": api_version(group, version), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

/// The document at `/api`.
pub(crate) fn api(address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

/// The document at `/apis`.
pub(crate) fn apis(all: &[Arc<Resource>]) -> Value {
    let own = custom(all);
    // Groups of the same priority come in the order of their APIServices, whose names begin with the version.
    let mut own: Vec<_> = own.iter().collect();
    own.sort_by_key(|(group, versions)| {
        versions.iter().map(|(version, _)| format!("{version}.{group}")).min()
    });
    let own = own.into_iter().map(|(group, versions)| group_of(group, versions));
    let groups: Vec<Value> = groups().cloned().chain(own).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The document of a group.
pub(crate) fn group(all: &[Arc<Resource>], group: &str) -> Option<Value> {
    let found = groups().find(|one| name(one) == group).cloned();
    let mut found = found.or_else(|| custom(all).get(group).map(|versions| group_of(group, versions)))?;
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    Some(found)
}

/// The document of a version of a group.
pub(crate) fn version(all: &[Arc<Resource>], group: &str, version: &str) -> Option<Value> {
    let group_version = api_version(group, version);
    let own = all.iter().filter(|one| one.group == group && one.version == version);
    let own: Vec<Value> = own.flat_map(|resource| custom_entries(resource)).collect();
    let builtin = entries(&group_version);
    if own.is_empty() && builtin.is_empty() {
        return None;
    }
    let resources: Vec<Value> = builtin.iter().cloned().chain(own).collect();
    let mut found = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.is_empty() {
        // The document of the core group is older than its own kind.
        found["apiVersion"] = "v1".into();
    }
    Some(found)
}

fn custom_entries(resource: &Resource) -> Vec<Value> {
    let stored = resource.custom.as_ref().map_or("", |custom| custom.storage.0.as_str());
    let hashed = format!("{}/{stored}/{}", resource.group, resource.kind);
    let digest = Sha256::digest(hashed.as_bytes());
    let hash = super::base64(digest.get(..8).unwrap_or_default());
    let mut entry = json!({"name": resource.plural, "singularName": resource.singular,
        "namespaced": resource.namespaced, "kind": resource.kind, "verbs": resource.verbs,
        "storageVersionHash": hash});
    let custom = resource.custom.as_ref();
    for (key, values) in
        [("shortNames", custom.map(|c| &c.short_names)), ("categories", custom.map(|c| &c.categories))]
    {
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            entry[key] = values.clone().into();
        }
    }
    let mut all = vec![entry];
    for subresource in &resource.subresources {
        let name = format!("{}/{subresource}", resource.plural);
        let verbs = ["get", "patch", "update"];
        all.push(if subresource == "scale" {
            json!({"name": name, "singularName": "", "namespaced": resource.namespaced, "group": "autoscaling",
                "version": "v1", "kind": "Scale", "verbs": verbs})
        } else {
            json!({"name": name, "singularName": "", "namespaced": resource.namespaced, "kind": resource.kind,
                "verbs": verbs})
        });
    }
    all
}

/// The aggregated document at `/api` or `/apis`.
pub(crate) fn aggregated(all: &[Arc<Resource>], core: bool) -> Value {
    let items: Vec<Value> = if core {
        vec![json!({"metadata": {}, "versions": [aggregated_version(("", "", ""), "v1", entries("v1"))]})]
    } else {
        let builtin = groups().map(|group| {
            let versions: Vec<Value> = versions(group)
                .map(|version| {
                    aggregated_version(("", "", ""), version, entries(&api_version(name(group), version)))
                })
                .collect();
            json!({"metadata": {"name": name(group)}, "versions": versions})
        });
        let own = custom(all);
        let own = own.iter().map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, kinds)| {
                    let entries: Vec<Value> = kinds.iter().flat_map(|kind| custom_entries(kind)).collect();
                    aggregated_version((group, version, ""), version, &entries)
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": versions})
        });
        builtin.chain(own).collect()
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_version(default: (&str, &str, &str), version: &str, entries: &[Value]) -> Value {
    let mut resources: Vec<Value> = Vec::new();
    for entry in entries {
        let text = |key: &str, default: &str| match entry.get(key).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => default.to_owned(),
        };
        let kind = json!({"group": text("group", default.0), "version": text("version", default.1),
            "kind": text("kind", default.2)});
        let verbs = entry.get("verbs").cloned().unwrap_or_default();
        let name = text("name", "");
        if let Some((plural, subresource)) = name.split_once('/') {
            let of =
                resources.iter_mut().find(|one| one.get("resource").and_then(Value::as_str) == Some(plural));
            if let Some(of) = of {
                let one = json!({"subresource": subresource, "responseKind": kind, "verbs": verbs});
                match of.get_mut("subresources").and_then(Value::as_array_mut) {
                    Some(all) => all.push(one),
                    None => of["subresources"] = json!([one]),
                }
            }
            continue;
        }
        let scope =
            if entry.get("namespaced") == Some(&Value::Bool(true)) { "Namespaced" } else { "Cluster" };
        let mut resource = json!({"resource": name, "responseKind": kind, "scope": scope,
            "singularResource": text("singularName", ""), "verbs": verbs});
        for key in ["shortNames", "categories"] {
            if let Some(value) = entry.get(key) {
                resource[key] = value.clone();
            }
        }
        resources.push(resource);
    }
    json!({"version": version, "resources": resources, "freshness": "Current"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions = ["v1alpha1", "v2", "foo", "v1beta1", "v1", "v11", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(versions, ["v11", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]);
    }

    #[test]
    fn the_captured_discovery_can_be_read() {
        assert!(builtin_resources().len() > 100);
        assert!(is_builtin("batch") && !is_builtin("lab.example.com"));
    }
}
