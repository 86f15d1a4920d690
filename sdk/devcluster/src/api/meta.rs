//! Metadata of objects.

use serde_json::{Map, Value};

/// Returns a text of the metadata; empty if it is not there.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    get(object, field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a field of the metadata that is not null.
pub(crate) fn get<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field).filter(|value| !value.is_null())
}

/// The metadata, made if it is not there.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(map) => map,
        _ => unreachable!("it has just been made a map"),
    }
}

/// Sets a field of the metadata, or removes it.
pub(crate) fn set(object: &mut Value, field: &str, value: Option<Value>) {
    match value {
        Some(value) => of(object).insert(field.to_owned(), value),
        None => of(object).remove(field),
    };
}

/// The finalizers.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    get(object, "finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Sets the finalizers; none is no field.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let value = (!finalizers.is_empty()).then(|| finalizers.to_vec().into());
    set(object, "finalizers", value);
}

/// Whether the object is being deleted.
pub(crate) fn terminating(object: &Value) -> bool {
    get(object, "deletionTimestamp").is_some()
}

/// Counts the generation up.
pub(crate) fn next_generation(object: &mut Value) {
    let generation = get(object, "generation").and_then(Value::as_i64).unwrap_or(0);
    set(object, "generation", Some((generation + 1).into()));
}

/// Takes out of the metadata what Go does not write: nulls, empty lists and maps, empty texts.
pub(crate) fn tidy(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::String(text) => !text.is_empty(),
            _ => true,
        });
    }
}
