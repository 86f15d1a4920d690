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
                fields.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(fields)
}
