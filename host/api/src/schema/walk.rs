//! Visits the schemas inside a schema.

use serde_json::Value;

/// Calls `visit` on `schema` and on every schema inside it, the inner ones first.
pub(super) fn for_each(schema: &mut Value, visit: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    for (keyword, value) in object.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|property| for_each(property, visit));
            }
            ("items" | "additionalProperties" | "not", inner) => for_each(inner, visit),
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                inner.iter_mut().for_each(|schema| for_each(schema, visit));
            }
            _ => {}
        }
    }
    visit(object);
}
