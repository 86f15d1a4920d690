//! List types, map types and defaults of `core/v1` types.
//!
//! The published schemas in `k8s-openapi` lack them. By them server-side apply merges two owners' containers by name
//! instead of replacing the list, and a Secret reference needs no name. They are the Kubernetes API's; lists not named
//! here are atomic, the API server's default.

use serde_json::{Value, json};

/// Lists whose entries these keys identify.
const KEYED_LISTS: &[(&str, &str, &[&str])] = &[
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "ephemeralContainers", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("PodSpec", "schedulingGates", &["name"]),
    ("PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("PodSpec", "volumes", &["name"]),
    ("Container", "env", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("EphemeralContainer", "env", &["name"]),
    ("EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("ResourceRequirements", "claims", &["name"]),
];

/// Lists without equal entries.
const SETS: &[(&str, &str)] = &[("ContainerRestartRuleOnExitCodes", "values")];

/// Objects that have one owner as a whole.
const ATOMIC_OBJECTS: &[&str] = &[
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ResourceFieldSelector",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecretProjection",
    "TypedLocalObjectReference",
];

/// Maps that have one owner as a whole.
const ATOMIC_MAPS: &[(&str, &str)] = &[("PodSpec", "nodeSelector")];

/// Text defaults. A field with a default is not required.
const TEXT_DEFAULTS: &[(&str, &str, &str)] = &[
    ("AzureDiskVolumeSource", "fsType", "ext4"),
    ("ConfigMapEnvSource", "name", ""),
    ("ConfigMapKeySelector", "name", ""),
    ("ConfigMapProjection", "name", ""),
    ("ConfigMapVolumeSource", "name", ""),
    ("ContainerPort", "protocol", "TCP"),
    ("GRPCAction", "service", ""),
    ("ISCSIVolumeSource", "iscsiInterface", "default"),
    ("LocalObjectReference", "name", ""),
    ("RBDVolumeSource", "keyring", "/etc/ceph/keyring"),
    ("RBDVolumeSource", "pool", "rbd"),
    ("RBDVolumeSource", "user", "admin"),
    ("ScaleIOVolumeSource", "fsType", "xfs"),
    ("ScaleIOVolumeSource", "storageMode", "ThinProvisioned"),
    ("SecretEnvSource", "name", ""),
    ("SecretKeySelector", "name", ""),
    ("SecretProjection", "name", ""),
];

/// Fields whose default is `false`.
const FALSE_DEFAULTS: &[(&str, &str)] =
    &[("AzureDiskVolumeSource", "readOnly"), ("FileKeySelector", "optional")];

/// Adds the entries of the tables for the type `name` (`io.k8s.….<Kind>`) to its schema.
pub(super) fn apply(name: &str, schema: &mut Value) {
    let kind = name.rsplit('.').next().unwrap_or(name);
    if ATOMIC_OBJECTS.contains(&kind) {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    for (_, field, keys) in KEYED_LISTS.iter().filter(|(of, ..)| *of == kind) {
        set(schema, field, "x-kubernetes-list-type", json!("map"));
        set(schema, field, "x-kubernetes-list-map-keys", json!(keys));
    }
    for (_, field) in SETS.iter().filter(|(of, _)| *of == kind) {
        set(schema, field, "x-kubernetes-list-type", json!("set"));
    }
    for (_, field) in ATOMIC_MAPS.iter().filter(|(of, _)| *of == kind) {
        set(schema, field, "x-kubernetes-map-type", json!("atomic"));
    }
    for (_, field, default) in TEXT_DEFAULTS.iter().filter(|(of, ..)| *of == kind) {
        set_default(schema, field, json!(default));
    }
    for (_, field) in FALSE_DEFAULTS.iter().filter(|(of, _)| *of == kind) {
        set_default(schema, field, json!(false));
    }
}

/// Sets a keyword on a property, if the type has it: the tables span several versions.
fn set(schema: &mut Value, field: &str, keyword: &str, value: Value) {
    if let Some(property) = schema.pointer_mut(&format!("/properties/{field}")).and_then(Value::as_object_mut)
    {
        property.insert(keyword.to_owned(), value);
    }
}

fn set_default(schema: &mut Value, field: &str, value: Value) {
    set(schema, field, "default", value);
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != field);
        if required.is_empty() {
            object.remove("required");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defaulted_field_is_no_longer_required() {
        let mut schema = json!({
            "type": "object",
            "required": ["key", "name"],
            "properties": {"key": {"type": "string"}, "name": {"type": "string"}},
        });
        apply("io.k8s.api.core.v1.SecretKeySelector", &mut schema);
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"type": "string"}, "name": {"type": "string", "default": ""}},
                "x-kubernetes-map-type": "atomic",
            })
        );
    }

    #[test]
    fn every_entry_of_the_tables_names_a_field_that_exists() {
        let definitions = super::super::core_types::definitions();
        let fields = KEYED_LISTS
            .iter()
            .map(|(of, field, _)| (of, field))
            .chain(TEXT_DEFAULTS.iter().map(|(of, field, _)| (of, field)))
            .chain(SETS.iter().chain(ATOMIC_MAPS).chain(FALSE_DEFAULTS).map(|(of, field)| (of, field)));
        for (of, field) in fields {
            let schema = &definitions[&format!("io.k8s.api.core.v1.{of}")];
            assert!(schema["properties"][field].is_object(), "{of}.{field}");
        }
        for of in ATOMIC_OBJECTS {
            assert!(definitions.keys().any(|name| name.rsplit('.').next() == Some(of)), "{of}");
        }
    }
}
