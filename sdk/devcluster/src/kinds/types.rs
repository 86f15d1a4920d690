//! The types of the built-in kinds, as kube-apiserver 1.34.4 publishes them.
//!
//! `openapi.json` is made by `tests/data/kinds.py`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::schema::Schema;

/// Types that hold others of their own kind: their content is not part of the tree.
const RECURSIVE: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

#[derive(Deserialize)]
struct Published {
    /// The names of types by `group/version/kind`.
    kinds: BTreeMap<String, String>,
    types: BTreeMap<String, Value>,
}

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    let nothing = || Published { kinds: BTreeMap::new(), types: BTreeMap::new() };
    serde_json::from_str(include_str!("openapi.json")).unwrap_or_else(|_| nothing())
});

static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> = LazyLock::new(|| {
    let tree = |name: &str| Schema::read(&expanded(&serde_json::json!({"$ref": name})));
    PUBLISHED.kinds.iter().map(|(kind, name)| (kind.as_str(), tree(name))).collect()
});

/// Returns the schema of a built-in kind, if this crate serves it.
#[must_use]
pub fn builtin(group: &str, version: &str, kind: &str) -> Option<&'static Schema> {
    SCHEMAS.get(name(group, version, kind).as_str())
}

fn name(group: &str, version: &str, kind: &str) -> String {
    if group.is_empty() { format!("{version}/{kind}") } else { format!("{group}/{version}/{kind}") }
}

/// Returns the name of the type of a built-in kind.
pub(super) fn type_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    PUBLISHED.kinds.get(&name(group, version, kind)).map(String::as_str)
}

/// Returns a type by its name.
pub(super) fn named(name: &str) -> Option<&'static Value> {
    PUBLISHED.types.get(name)
}

/// Returns whether the content of a type is not looked at.
pub(super) fn is_raw(name: &str) -> bool {
    matches!(
        name.rsplit('.').next(),
        Some(
            "RawExtension"
                | "FieldsV1"
                | "JSON"
                | "JSONSchemaPropsOrBool"
                | "JSONSchemaPropsOrArray"
                | "JSONSchemaPropsOrStringArray"
        )
    )
}

/// Returns a schema with the types in the places of their names.
fn expanded(schema: &Value) -> Value {
    let Some(words) = schema.as_object() else { return schema.clone() };
    let mut out: Map<String, Value> = Map::new();
    if let Some(name) = words.get("$ref").and_then(Value::as_str) {
        out.insert("x-name".into(), name.into());
        if is_raw(name) || name == RECURSIVE {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
        if name != RECURSIVE
            && let Some(Value::Object(inner)) = named(name).map(expanded)
        {
            out.extend(inner);
        }
        if name.ends_with(".IntOrString") {
            out.insert("x-kubernetes-int-or-string".into(), true.into());
        }
        if name.ends_with(".RawExtension") || name.ends_with(".FieldsV1") {
            out.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
    }
    for (word, value) in words.iter().filter(|(word, _)| *word != "$ref") {
        let value = match word.as_str() {
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                Value::Object(fields.map(|(name, one)| (name.clone(), expanded(one))).collect())
            }
            "items" | "additionalProperties" => expanded(value),
            _ => value.clone(),
        };
        out.insert(word.clone(), value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ListType, Type};

    #[test]
    fn every_kind_that_is_served_has_a_schema() {
        assert!(PUBLISHED.kinds.len() >= 30);
        let job = builtin("batch", "v1", "Job").expect("Job");
        let pod = &job.properties["spec"].properties["template"].properties["spec"];
        let containers = &pod.properties["containers"];
        assert_eq!(containers.list, ListType::Map(vec!["name".into()]));
        let port =
            containers.items.as_ref().expect("items").properties["ports"].items.as_ref().expect("items");
        assert_eq!(port.properties["protocol"].default, Some("TCP".into()));
        assert_eq!(port.properties["containerPort"].type_, Type::Integer);
        let crd = builtin("apiextensions.k8s.io", "v1", "CustomResourceDefinition").expect("CRD");
        let version = crd.properties["spec"].properties["versions"].items.as_ref().expect("items");
        assert!(version.properties["schema"].properties["openAPIV3Schema"].preserve_unknown);
        assert!(builtin("", "v1", "Nothing").is_none());
    }
}
