//! What is checked of lists and of objects within objects, besides their values.

use serde_json::{Map, Value};

use super::fault::{self, child, index};
use super::path::Path;
use super::tree::{ListType, Schema};
use crate::kinds::metadata;
use crate::status::Cause;

/// Adds the items of sets and keyed lists that are there twice.
pub(super) fn doubles(schema: &Schema, value: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(inner) = schema.properties.get(name) {
                    doubles(inner, value, path.field(name), causes);
                } else if let Some(inner) = schema.additional.as_deref() {
                    doubles(inner, value, path.key(name), causes);
                }
            }
        }
        Value::Array(items) => {
            match &schema.list {
                ListType::Set => second(items).into_iter().for_each(|i| {
                    let item = items.get(i).unwrap_or(&Value::Null);
                    causes.push(fault::duplicate(path.item(i).to_string(), item));
                }),
                ListType::Map(keys) => keyed(items, keys, &path.to_string(), causes),
                ListType::Atomic => {}
            }
            let Some(inner) = schema.items.as_deref() else { return };
            for (i, item) in items.iter().enumerate() {
                doubles(inner, item, path.item(i), causes);
            }
        }
        _ => {}
    }
}

fn keyed(items: &[Value], keys: &[String], path: &str, causes: &mut Vec<Cause>) {
    for (i, item) in items.iter().enumerate() {
        if !item.is_object() && !item.is_null() {
            causes.push(fault::invalid(
                index(path, i),
                item,
                "must be an object for an array of list-type map",
            ));
            return;
        }
    }
    let keys: Vec<Value> = items.iter().map(|item| keys_of(item, keys)).collect();
    for i in second(&keys) {
        causes.push(fault::duplicate(index(path, i), keys.get(i).unwrap_or(&Value::Null)));
    }
}

/// Returns the keys of an item.
fn keys_of(item: &Value, keys: &[String]) -> Value {
    let named = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
    Value::Object(named.collect::<Map<_, _>>())
}

/// Returns the places where a value comes for the second time.
fn second(values: &[Value]) -> Vec<usize> {
    let before = |i: usize, value: &Value| values.iter().take(i).filter(|one| *one == value).count();
    values.iter().enumerate().filter(|(i, value)| before(*i, value) == 1).map(|(i, _)| i).collect()
}

/// Returns the item of the old list that an item is compared with: only items of keyed lists have one.
pub(super) fn counterpart<'a>(schema: &Schema, item: &Value, old: &'a Value) -> Option<&'a Value> {
    let ListType::Map(keys) = &schema.list else { return None };
    let wanted = keys_of(item, keys);
    old.as_array()?.iter().find(|one| keys_of(one, keys) == wanted)
}

/// Adds the faults of objects within the object.
pub(super) fn embedded(schema: &Schema, value: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            if schema.embedded && !path.is_empty() {
                resource(fields, &path.to_string(), causes);
            }
            for (name, value) in fields {
                if let Some(inner) = schema.properties.get(name) {
                    embedded(inner, value, path.field(name), causes);
                } else if let Some(inner) = schema.additional.as_deref() {
                    embedded(inner, value, path.key(name), causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else { return };
            for (i, item) in items.iter().enumerate() {
                embedded(inner, item, path.item(i), causes);
            }
        }
        _ => {}
    }
}

/// Adds the faults of `apiVersion`, `kind` and `metadata`.
fn resource(fields: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let at = |name: &str| child(path, name);
    for name in ["apiVersion", "kind"] {
        match fields.get(name) {
            None => causes.push(fault::required(at(name), "")),
            Some(Value::String(text)) if text.is_empty() => {
                causes.push(fault::invalid_text(at(name), "", "must not be empty"));
            }
            Some(Value::String(text)) if name == "apiVersion" && text.matches('/').count() > 1 => {
                let detail = format!("unexpected GroupVersion string: {text}");
                causes.push(fault::invalid_text(at(name), text, &detail));
            }
            Some(Value::String(text)) if name == "kind" => {
                let faults = metadata::dns1035_label(&text.to_lowercase());
                if !faults.is_empty() {
                    let detail =
                        format!("may have mixed case, but should otherwise match: {}", faults.join(","));
                    causes.push(fault::invalid_text(at(name), text, &detail));
                }
            }
            Some(Value::String(_)) => {}
            Some(other) => causes.push(fault::invalid(at(name), other, "must be a string")),
        }
    }
    let Some(given) = fields.get("metadata") else { return };
    let mut meta = given.clone();
    match crate::kinds::decode::metadata(&mut meta) {
        Err(words) => causes.push(fault::invalid(at("metadata"), given, &words)),
        Ok(_) => causes.extend(metadata::check_embedded(&meta, &at("metadata"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn doubles_are_told_at_the_second_place_only() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object"}}}}));
        let mut causes = Vec::new();
        doubles(
            &schema,
            &json!({"tags": ["a", "b", "a", "a"], "ports": [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "TCP", "name": "x"}]}),
            Path::ROOT,
            &mut causes,
        );
        let told: Vec<_> = causes.iter().map(|c| (c.field.as_str(), c.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("ports[1]", "Duplicate value: {\"port\":1,\"protocol\":\"TCP\"}"),
                ("tags[2]", "Duplicate value: \"a\"")
            ]
        );
    }
}
