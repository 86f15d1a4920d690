//! JSON merge patches, RFC 7386.

use serde_json::{Map, Value};

/// Returns an object after a patch.
pub(crate) fn patched(object: &Value, patch: &Map<String, Value>) -> Value {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        match value {
            Value::Null => {
                fields.remove(key);
            }
            Value::Object(patch) => {
                let there = fields.get(key).unwrap_or(&Value::Null);
                let merged = patched(there, patch);
                fields.insert(key.clone(), merged);
            }
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
    Value::Object(fields)
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
