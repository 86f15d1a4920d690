//! Short ways to what is in an object.

use serde_json::{Map, Value};

/// Returns what is at a path; null if it is not there.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().try_fold(value, |value, field| value.get(field)).unwrap_or(&Value::Null)
}

/// Returns the text at a path; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// Returns the whole number at a path.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).as_i64()
}

/// Whether the truth at a path is true.
pub(super) fn on(value: &Value, path: &[&str]) -> bool {
    at(value, path).as_bool().unwrap_or_default()
}

/// Returns the items of the list at a path.
pub(super) fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// Returns the entries of the map at a path.
pub(super) fn entries<'a>(
    value: &'a Value,
    path: &[&str],
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    at(value, path).as_object().into_iter().flatten()
}

/// Returns the map at a path, which is made if it is not there.
pub(super) fn map_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut value = value;
    for field in path {
        let inner = value.as_object_mut()?.entry(*field).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        value = inner;
    }
    value.as_object_mut()
}

/// Returns the items of the list at a path, which is not made.
pub(super) fn items_mut<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut [Value] {
    let mut value = value;
    for field in path {
        match value.get_mut(*field) {
            Some(inner) => value = inner,
            None => return &mut [],
        }
    }
    value.as_array_mut().map_or(&mut [], Vec::as_mut_slice)
}

/// Sets a field that is not there.
pub(super) fn set_default(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let there = map.entry(field).or_insert(Value::Null);
    if there.is_null() {
        *there = value.into();
    }
}
