//! Fields of a JSON document: merges, projects and compares them.

use crate::contract::Json;

/// Applies a JSON merge patch (RFC 7386) to `target`.
pub fn merge_patch(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(serde_json::Map::new());
    }
    let Json::Object(fields) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge_patch(fields.entry(key.clone()).or_insert(Json::Null), value);
        }
    }
}

/// Returns the [`identity`] of an object and the parts that `fields` point to; the whole object if there are no `fields`.
#[must_use]
pub fn projected(object: &Json, fields: &[String]) -> Json {
    if fields.is_empty() {
        return object.clone();
    }
    let mut kept = identity(object);
    for pointer in fields {
        if let Some(value) = object.pointer(pointer) {
            put(&mut kept, pointer, value.clone());
        }
    }
    kept
}

/// Returns `apiVersion`, `kind` and the metadata that the API server sets.
#[must_use]
pub fn identity(object: &Json) -> Json {
    let mut kept = Json::Null;
    for pointer in [
        "/apiVersion",
        "/kind",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/uid",
        "/metadata/resourceVersion",
        "/metadata/generation",
        "/metadata/creationTimestamp",
        "/metadata/deletionTimestamp",
    ] {
        if let Some(value) = object.pointer(pointer) {
            put(&mut kept, pointer, value.clone());
        }
    }
    kept
}

/// Puts a value at a pointer and creates the objects on the way. An index of a list becomes a key, since components ask
/// for fields of objects only.
fn put(target: &mut Json, pointer: &str, value: Json) {
    let mut place = target;
    for token in pointer.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Json::Object(serde_json::Map::new());
        }
        let Json::Object(fields) = place else { return };
        place = fields.entry(key).or_insert(Json::Null);
    }
    *place = value;
}

/// Returns the first place that `change` sets and that is not at or below one of `fields`.
pub(super) fn outside(change: &Json, fields: &[String]) -> Option<String> {
    fn look(at: &str, value: &Json, fields: &[String]) -> Option<String> {
        let within = |field: &String| {
            at.strip_prefix(field.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if fields.iter().any(within) {
            return None;
        }
        match value {
            Json::Object(children) => children.iter().find_map(|(key, child)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                look(&format!("{at}/{key}"), child, fields)
            }),
            _ => Some(at.to_owned()),
        }
    }
    look("", change, fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_sets_removes_and_replaces() {
        let mut object = json!({"a": {"b": 1, "c": [1, 2]}, "d": 2});
        merge_patch(&mut object, &json!({"a": {"b": null, "c": [3]}, "e": {"f": {"g": null, "h": 1}}}));
        assert_eq!(object, json!({"a": {"c": [3]}, "d": 2, "e": {"f": {"h": 1}}}));
    }

    #[test]
    fn a_projection_has_the_identity_and_the_requested_fields() {
        let object = json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "uid": "u", "labels": {"a/b": "c"}},
            "spec": {"x": 1, "y": 2}, "status": {}});
        assert_eq!(
            projected(&object, &["/spec/x".into(), "/metadata/labels/a~1b".into(), "/spec/gone".into()]),
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "uid": "u", "labels": {"a/b": "c"}},
                "spec": {"x": 1}})
        );
        assert_eq!(projected(&object, &[]), object);
    }

    #[test]
    fn a_change_outside_the_fields_is_named() {
        let fields = ["/spec/suspend".to_owned(), "/spec/backup".to_owned()];
        assert_eq!(outside(&json!({"spec": {"suspend": true, "backup": {"a": {"b": null}}}}), &fields), None);
        assert_eq!(
            outside(&json!({"spec": {"suspended": true}}), &fields).as_deref(),
            Some("/spec/suspended")
        );
        assert_eq!(outside(&json!({"spec": null}), &fields).as_deref(), Some("/spec"));
        assert_eq!(outside(&json!({"spec": {"a/b": 1}}), &fields).as_deref(), Some("/spec/a~1b"));
        assert_eq!(outside(&json!({}), &fields), None);
    }
}
