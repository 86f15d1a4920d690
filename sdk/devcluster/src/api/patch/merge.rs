//! JSON merge patches, RFC 7386.

use serde_json::{Map, Value};

/// Returns an object after a patch.
pub(crate) fn patched(object: &Value, patch: &Map<String, Value>) -> Value {
    let mut object = object.clone();
    merge(&mut object, patch);
    object
}

/// Merges a patch into what is there; what is no map becomes one.
fn merge(there: &mut Value, patch: &Map<String, Value>) {
    if !there.is_object() {
        *there = Value::Object(Map::new());
    }
    let Value::Object(fields) = there else { return };
    for (key, value) in patch {
        match value {
            Value::Null => {
                fields.remove(key);
            }
            Value::Object(patch) => merge(fields.entry(key.as_str()).or_insert(Value::Null), patch),
            value => {
                let mut value = value.clone();
                // As kube-apiserver's library does: fields that are null go from the items of a list, unless it replaces a map.
                if !fields.get(key).is_some_and(Value::is_object) {
                    without_nulls(&mut value);
                }
                fields.insert(key.clone(), value);
            }
        }
    }
}

/// Takes fields that are null out of the maps in a value; items of lists that are null stay.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_null_go_from_items_of_lists_and_items_that_are_null_stay() {
        let patch = json!({"list": [{"a": null, "b": [{"c": null}]}, null], "map": [{"a": null}]});
        let patch = patch.as_object().expect("a patch");
        let found = patched(&json!({"list": [1], "map": {"a": 1}}), patch);
        assert_eq!(found, json!({"list": [{"b": [{}]}, null], "map": [{"a": null}]}));
    }
}
