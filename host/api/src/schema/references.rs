//! Replaces references by the schemas they name, since a CRD may hold no references.

use serde_json::{Map, Value};

use super::core_types::Definitions;
use super::error::Fault;

/// Most JSON values of an expanded schema, about as many as the API server can store in a CRD. Without a bound, a schema
/// with a thousand pod templates would make the host expand gigabytes.
const MOST_VALUES: usize = 100_000;

/// Returns `schema` with every `$ref` replaced by the schema it names. Keywords beside a `$ref`, such as a description,
/// win.
pub(super) fn expand(schema: &Value, definitions: &Definitions) -> Result<Value, Fault> {
    Expansion { definitions, open: Vec::new(), values: 0 }.value(schema, String::new())
}

struct Expansion<'a> {
    definitions: &'a Definitions,
    /// Types being expanded around the current place.
    open: Vec<&'a str>,
    /// Number of values in the result so far.
    values: usize,
}

impl<'a> Expansion<'a> {
    fn value(&mut self, value: &Value, at: String) -> Result<Value, Fault> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let rule =
                "the schema is too large with its references expanded; refer to fewer or smaller types";
            return Err(Fault::Structure { at, rule: rule.to_owned() });
        }
        match value {
            Value::Object(object) => match object.get("$ref") {
                Some(Value::String(reference)) => self.reference(reference, object, at),
                _ => self.object(object, &at).map(Value::Object),
            },
            Value::Array(list) => {
                let entries = list.iter().enumerate();
                entries.map(|(i, entry)| self.value(entry, format!("{at}/{i}"))).collect()
            }
            plain => Ok(plain.clone()),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, at: &str) -> Result<Map<String, Value>, Fault> {
        let fields = object.iter();
        fields.map(|(key, value)| Ok((key.clone(), self.value(value, format!("{at}/{key}"))?))).collect()
    }

    fn reference(
        &mut self,
        reference: &str,
        beside: &Map<String, Value>,
        at: String,
    ) -> Result<Value, Fault> {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let definitions = self.definitions;
        let Some((name, definition)) = definitions.get_key_value(name) else {
            return Err(Fault::Reference { at, name: reference.to_owned() });
        };
        if self.open.contains(&name.as_str()) {
            return Err(Fault::Structure { at, rule: format!("{name} holds itself; a CRD cannot say that") });
        }
        self.open.push(name);
        let expanded = self.value(definition, at.clone());
        self.open.pop();
        let mut expanded = expanded?;
        let beside = self.object(beside, &at)?;
        if let Some(object) = expanded.as_object_mut() {
            object.extend(beside.into_iter().filter(|(keyword, _)| keyword != "$ref"));
        }
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definitions() -> Definitions {
        [
            ("Outer".to_owned(), json!({"type": "object", "properties": {"in": {"$ref": "#/x/Inner"}}})),
            ("Inner".to_owned(), json!({"type": "string", "description": "inner"})),
            ("Loop".to_owned(), json!({"type": "array", "items": {"$ref": "Loop"}})),
        ]
        .into()
    }

    #[test]
    fn references_are_expanded_at_every_depth_and_keep_what_stands_beside_them() {
        let schema = json!({"properties": {"a": {"$ref": "Outer", "description": "mine"}}});
        let expanded = expand(&schema, &definitions()).unwrap();
        assert_eq!(
            expanded,
            json!({"properties": {"a": {
                "type": "object",
                "description": "mine",
                "properties": {"in": {"type": "string", "description": "inner"}},
            }}})
        );
    }

    #[test]
    fn an_unknown_reference_is_refused_by_place_and_name() {
        let schema = json!({"properties": {"a": {"items": {"$ref": "io.k8s.api.core.v1.Podd"}}}});
        let fault = expand(&schema, &definitions()).unwrap_err();
        assert_eq!(
            fault,
            Fault::Reference { at: "/properties/a/items".into(), name: "io.k8s.api.core.v1.Podd".into() }
        );
    }

    #[test]
    fn a_type_that_holds_itself_is_refused_instead_of_expanded_for_ever() {
        assert!(matches!(expand(&json!({"$ref": "Loop"}), &definitions()), Err(Fault::Structure { .. })));
    }

    #[test]
    fn a_schema_that_expands_without_end_is_refused_before_it_does() {
        let definitions = super::super::core_types::definitions();
        let pod = json!({"$ref": "io.k8s.api.core.v1.PodTemplateSpec"});
        assert!(expand(&json!({"properties": {"a": pod, "b": pod}}), &definitions).is_ok());
        let many: Map<String, Value> = (0..10_000).map(|i| (i.to_string(), pod.clone())).collect();
        match expand(&json!({ "properties": many }), &definitions).unwrap_err() {
            Fault::Structure { rule, .. } => assert!(rule.contains("too large"), "{rule}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_property_named_ref_is_no_reference() {
        let schema = json!({"properties": {"$ref": {"type": "string"}}});
        assert_eq!(expand(&schema, &definitions()).unwrap(), schema);
    }
}
