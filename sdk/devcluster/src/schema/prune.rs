//! What the API server takes out of an object and puts into it before it looks at it.

use serde_json::{Map, Value};

use super::fault;
use super::path::Path;
use super::tree::Schema;
use crate::kinds::decode;

/// The largest whole number that Go's validator takes for an integer although it was written with a point.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// Takes fields out that the schema of a CRD does not have, and returns their paths in order.
///
/// The object's own `apiVersion`, `kind` and `metadata` stay: what is in `metadata` is checked by [`crate::kinds::metadata`].
pub fn prune(schema: &Schema, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    match object {
        Value::Object(fields) if !schema.preserve_unknown => {
            prune_fields(schema, fields, true, Path::ROOT, &mut removed)
        }
        Value::Object(fields) => keep_fields(schema, fields, true, Path::ROOT, &mut removed),
        _ => {}
    }
    removed.sort();
    removed
}

/// Makes of what a client sends the object of a CRD that the API server looks at: fields that nobody knows and nulls that may not
/// be go, numbers are settled, and metadata is read as that of every kind. Returns the paths of the fields that went.
///
/// Defaults come later, by [`default`].
///
/// # Errors
/// The words of the API server, which stand behind `Widget in version "v1" cannot be handled as a Widget: `.
pub fn receive(schema: &Schema, object: &mut Value) -> Result<Vec<String>, String> {
    settle(object);
    let mut unknown = Vec::new();
    if let Some(given) = object.get_mut("metadata").filter(|given| !given.is_null()) {
        unknown.extend(decode::metadata(given)?);
    }
    unknown.extend(prune(schema, object));
    drop_nulls(schema, object);
    let mut more = Vec::new();
    coerce(schema, object, Path::ROOT, &mut more)?;
    more.sort();
    unknown.extend(more);
    Ok(unknown)
}

/// Reads the metadata of objects within an object.
fn coerce(
    schema: &Schema,
    value: &mut Value,
    path: Path<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            if schema.embedded && !path.is_empty() {
                for name in ["apiVersion", "kind"] {
                    if let Some(other) = fields.get(name).filter(|other| !other.is_string()) {
                        let fault = fault::invalid(path.field(name).to_string(), other, "must be a string");
                        return Err(format!("{}: {}", fault.field, fault.message));
                    }
                }
                if let Some(given) = fields.get_mut("metadata") {
                    let sent = given.clone();
                    let more = decode::metadata(given).map_err(|words| {
                        let fault = fault::invalid(path.field("metadata").to_string(), &sent, &words);
                        format!("{}: {}", fault.field, fault.message)
                    })?;
                    unknown.extend(more.iter().map(|field| path.field(field).to_string()));
                }
            }
            for (name, value) in fields {
                if let Some(inner) = schema.field(name) {
                    coerce(inner, value, path.field(name), unknown)?;
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else { return Ok(()) };
            for (i, item) in items.iter_mut().enumerate() {
                coerce(inner, item, path.item(i), unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Takes fields out of a part of an object, and returns their paths.
pub(super) fn prune_part(schema: &Schema, part: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_value(schema, part, Path::ROOT, &mut removed);
    removed
}

fn is_meta(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

fn prune_value(schema: &Schema, value: &mut Value, path: Path<'_>, removed: &mut Vec<String>) {
    match value {
        _ if schema.preserve_unknown => keep_value(schema, value, path, removed),
        Value::Object(fields) => prune_fields(schema, fields, schema.embedded, path, removed),
        Value::Array(items) => {
            let none;
            let schema = match schema.items.as_deref() {
                Some(schema) => schema,
                None => {
                    none = Schema::default();
                    &none
                }
            };
            for (i, item) in items.iter_mut().enumerate() {
                prune_value(schema, item, path.item(i), removed);
            }
        }
        _ => {}
    }
}

fn prune_fields(
    schema: &Schema,
    fields: &mut Map<String, Value>,
    embedded: bool,
    path: Path<'_>,
    removed: &mut Vec<String>,
) {
    fields.retain(|name, value| {
        if embedded && is_meta(name) {
            return true;
        }
        let inner = schema.field(name);
        match inner {
            Some(inner) => prune_value(inner, value, path.field(name), removed),
            None => removed.push(path.field(name).to_string()),
        }
        inner.is_some()
    });
}

/// Goes through a value whose unknown fields stay: the known ones are pruned.
fn keep_value(schema: &Schema, value: &mut Value, path: Path<'_>, removed: &mut Vec<String>) {
    match value {
        Value::Object(fields) => keep_fields(schema, fields, schema.embedded, path, removed),
        Value::Array(items) => {
            let Some(schema) = schema.items.as_deref() else { return };
            for (i, item) in items.iter_mut().enumerate() {
                keep_value(schema, item, path.item(i), removed);
            }
        }
        _ => {}
    }
}

fn keep_fields(
    schema: &Schema,
    fields: &mut Map<String, Value>,
    embedded: bool,
    path: Path<'_>,
    removed: &mut Vec<String>,
) {
    for (name, value) in fields {
        if embedded && is_meta(name) {
            continue;
        }
        if let Some(inner) = schema.field(name) {
            prune_value(inner, value, path.field(name), removed);
        }
    }
}

/// Takes nulls out of fields that may not be null and have no default.
///
/// It is done to what a POST, a PUT or a patch sends, and not to what an apply sends.
pub fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                !value.is_null()
                    || schema.field(name).is_none_or(|inner| inner.nullable || inner.default.is_some())
            });
            for (name, value) in fields {
                if let Some(inner) = schema.field(name) {
                    drop_nulls(inner, value);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.items.as_deref() else { return };
            items.iter_mut().for_each(|item| drop_nulls(schema, item));
        }
        _ => {}
    }
}

/// Puts the defaults of the schema into an object, where their parents are.
pub fn default(schema: &Schema, value: &mut Value) {
    let absent =
        |inner: &Schema, value: Option<&Value>| value.is_none_or(|value| value.is_null() && !inner.nullable);
    match value {
        Value::Object(fields) => {
            for (name, inner) in &schema.properties {
                if let Some(default) = &inner.default
                    && absent(inner, fields.get(name))
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                let Some(inner) = schema.field(name) else { continue };
                if let Some(default) = &inner.default
                    && absent(inner, Some(value))
                {
                    *value = default.clone();
                }
                self::default(inner, value);
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else { return };
            for item in items {
                if let Some(default) = &inner.default
                    && absent(inner, Some(item))
                {
                    *item = default.clone();
                }
                self::default(inner, item);
            }
        }
        _ => {}
    }
}

/// Makes whole numbers of numbers that were written as `1.0` or `1e1`, as the API server shows them.
///
/// It is done to objects of CRDs. In the raw content of built-in kinds a number stays as it was written.
pub fn settle(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() <= LARGEST
            {
                #[allow(clippy::cast_possible_truncation)]
                let whole = float as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(fields) => fields.values_mut().for_each(settle),
        _ => {}
    }
}

/// Returns a value whose numbers are settled.
pub(super) fn settled(value: &Value) -> Value {
    let mut value = value.clone();
    settle(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::read(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": {"type": "string", "default": "x"},
            "maybe": {"type": "string", "nullable": true},
            "calm": {"type": "string", "nullable": true, "default": "calm"},
            "deep": {"type": "object", "properties": {"b": {"type": "integer", "default": 1}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "made": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"x": {"type": "string"}}}
        }}}}))
    }

    #[test]
    fn unknown_fields_go_and_are_named_in_order() {
        let mut object = json!({"kind": "K", "metadata": {"z": 1}, "extra": 1, "spec": {"zz": 1, "list": [{"c": "1", "d": 1}],
            "free": {"any": {"b": 1}}, "made": {"kind": "X", "metadata": {"name": "n"}, "x": "1", "y": 1}}});
        assert_eq!(prune(&schema(), &mut object), ["extra", "spec.list[0].d", "spec.made.y", "spec.zz"]);
        assert_eq!(
            object,
            json!({"kind": "K", "metadata": {"z": 1}, "spec": {"list": [{"c": "1"}], "free": {"any": {"b": 1}},
            "made": {"kind": "X", "metadata": {"name": "n"}, "x": "1"}}})
        );
    }

    #[test]
    fn nulls_go_where_they_may_not_be_and_defaults_come_where_the_parent_is() {
        let mut object = json!({"spec": {"a": null, "maybe": null, "calm": null, "deep": null, "free": {"x": null}, "list": [null]}});
        drop_nulls(&schema(), &mut object);
        default(&schema(), &mut object);
        assert_eq!(
            object,
            json!({"spec": {"a": "x", "maybe": null, "calm": null, "free": {"x": null}, "list": [null]}})
        );
        let mut object = json!({"spec": null});
        drop_nulls(&schema(), &mut object);
        default(&schema(), &mut object);
        assert_eq!(object, json!({}));
    }

    #[test]
    fn whole_numbers_lose_their_point_if_they_are_exact() {
        let mut value = json!([1.0, 1e1, -0.0, 1.5, 9_223_372_036_854_775_808.0]);
        settle(&mut value);
        assert_eq!(value, json!([1, 10, 0, 1.5, 9_223_372_036_854_775_808.0]));
    }
}
