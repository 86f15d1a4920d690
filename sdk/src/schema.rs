//! Schemas of specs, in the form that a CRD requires.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{
    AddNullable, ReplaceBoolSchemas, ReplaceConstValue, Transform, transform_subschemas,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::template::Dialect;

/// A `core/v1` PodTemplateSpec as the user wrote it, including template text. Its schema is a reference that the host
/// expands, so that a component need not contain the types of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(
    /// The object.
    pub Map<String, Value>,
);

impl JsonSchema for PodTemplate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PodTemplateSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"$ref": "io.k8s.api.core.v1.PodTemplateSpec"})
    }
}

impl JsonSchema for Dialect {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Dialect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": [Dialect::Go, Dialect::Minijinja]})
    }
}

/// Returns the structural OpenAPI v3 schema of `S`, for `descriptor.kinds[].schema`. Doc comments become descriptions.
///
/// A structural schema limits the types of an author: no recursive types, no map with both fixed and free keys, and
/// only enums without data, which become lists of allowed strings.
#[must_use]
pub fn of<S: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::openapi3();
    settings.meta_schema = None;
    settings.inline_subschemas = true;
    settings.transforms = vec![
        Box::new(ReplaceBoolSchemas::default()),
        Box::new(AddNullable::default()),
        Box::new(ReplaceConstValue::default()),
        Box::new(Structural),
    ];
    let mut schema = settings.into_generator().into_root_schema_for::<S>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.remove("title");
        root.remove("$defs");
        root.entry("type").or_insert_with(|| json!("object"));
    }
    schema
}

/// Removes keywords that the API server refuses in the schema of a CRD, or ignores there.
#[derive(Clone, Debug)]
struct Structural;

impl Transform for Structural {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        object.remove("title");
        // The API server prunes unknown fields, and refuses a schema that also says `additionalProperties`.
        if object.contains_key("properties") {
            object.remove("additionalProperties");
        }
        // An enum whose variants have doc comments becomes one schema per variant.
        if let Some(values) = object.get("oneOf").and_then(enum_values) {
            object.remove("oneOf");
            object.insert("type".to_owned(), json!("string"));
            object.insert("enum".to_owned(), values);
        }
        // With `nullable`, the API server would keep an explicit null.
        if object.get("nullable") == Some(&Value::Bool(true)) {
            object.remove("nullable");
            if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
                values.retain(|v| !v.is_null());
            }
        }
        // schemars has these formats, OpenAPI has not.
        let unsigned = matches!(
            object.get("format").and_then(Value::as_str),
            Some("uint" | "uint8" | "uint16" | "uint32" | "uint64" | "int8" | "int16" | "int")
        );
        if unsigned {
            object.remove("format");
        }
        // A schema that names no type allows any value.
        if !["type", "$ref", "enum", "oneOf", "anyOf", "allOf", "not"].iter().any(|k| object.contains_key(*k))
        {
            object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
    }
}

/// Returns the strings of an enum without data.
fn enum_values(one_of: &Value) -> Option<Value> {
    let mut values = Vec::new();
    for variant in one_of.as_array()? {
        values.extend(variant.get("enum")?.as_array()?.iter().cloned());
    }
    Some(Value::Array(values))
}

#[cfg(test)]
mod tests {
    // Only the derived code uses these items.
    #![allow(dead_code)]

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        /// The pod.
        template: PodTemplate,
        /// Optional.
        keep_days: Option<u32>,
        #[serde(default)]
        speed: Speed,
        shelf: Option<Shelf>,
        labels: std::collections::BTreeMap<String, String>,
        anything: Option<Value>,
    }

    #[derive(Default, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Speed {
        /// The default.
        #[default]
        Slow,
        /// The alternative.
        Fast,
    }

    impl Serialize for Speed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str("slow")
        }
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Shelf {
        row: u8,
    }

    /// Collects every keyword in a schema, without the names of properties.
    fn keywords(schema: &Value, found: &mut std::collections::BTreeSet<String>) {
        let Some(object) = schema.as_object() else { return };
        for (keyword, value) in object {
            found.insert(keyword.clone());
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    properties.values().for_each(|p| keywords(p, found));
                }
                (_, Value::Array(list)) => list.iter().for_each(|s| keywords(s, found)),
                (_, value) => keywords(value, found),
            }
        }
    }

    #[test]
    fn a_schema_has_only_what_a_crd_may_have() {
        let mut found = std::collections::BTreeSet::new();
        keywords(&of::<Spec>(), &mut found);
        let allowed = [
            "$ref",
            "additionalProperties",
            "default",
            "description",
            "enum",
            "format",
            "maximum",
            "minimum",
            "properties",
            "required",
            "type",
            "x-kubernetes-preserve-unknown-fields",
        ];
        assert_eq!(found.iter().filter(|k| !allowed.contains(&k.as_str())).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn a_pod_template_is_a_reference_with_the_fields_own_description() {
        assert_eq!(
            of::<Spec>()["properties"]["template"],
            json!({"$ref": "io.k8s.api.core.v1.PodTemplateSpec", "description": "The pod."})
        );
    }

    #[test]
    fn an_enum_is_a_list_of_strings_although_its_variants_are_documented() {
        let speed = &of::<Spec>()["properties"]["speed"];
        assert_eq!((&speed["type"], &speed["enum"]), (&json!("string"), &json!(["slow", "fast"])));
    }

    #[test]
    fn what_is_optional_is_not_required_and_not_null() {
        let schema = of::<Spec>();
        assert_eq!(schema["required"], json!(["template", "labels"]));
        assert_eq!(schema["properties"]["keepDays"]["type"], "integer");
        assert_eq!(schema["properties"]["keepDays"]["minimum"], 0);
    }

    #[test]
    fn a_nested_type_stands_where_it_is_used() {
        let shelf = &of::<Spec>()["properties"]["shelf"];
        assert_eq!(
            (&shelf["type"], &shelf["properties"]["row"]["type"]),
            (&json!("object"), &json!("integer"))
        );
    }

    #[test]
    fn what_may_be_anything_is_said_in_the_words_of_a_crd() {
        assert_eq!(
            of::<Spec>()["properties"]["anything"]["x-kubernetes-preserve-unknown-fields"],
            json!(true)
        );
    }
}
