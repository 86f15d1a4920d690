//! How a write changes an object: JSON merge patch, and the merge of a server-side apply.

use std::collections::BTreeSet;

use backstay_core::contract::Json;

/// RFC 7386.
pub(super) fn merge_patch(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Json::Object(serde_json::Map::new());
    }
    let Json::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge_patch(fields.entry(name.clone()).or_insert(Json::Null), value);
        }
    }
}

/// Pointers to what `value` sets: everything that is no object with fields, lists as a whole.
pub(crate) fn leaves(value: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(value, &mut String::new(), &mut found);
    found
}

fn walk(value: &Json, at: &mut String, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let length = at.len();
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                walk(value, at, found);
                at.truncate(length);
            }
        }
        _ => {
            found.insert(at.clone());
        }
    }
}

/// Sets the value at `pointer`, making objects on the way.
pub(super) fn set(target: &mut Json, pointer: &str, value: Json) {
    let mut at = target;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        if !at.is_object() {
            *at = Json::Object(serde_json::Map::new());
        }
        at = &mut at[name.as_str()];
    }
    *at = value;
}

/// Removes the value at `pointer`.
pub(super) fn unset(target: &mut Json, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let name = name.replace("~1", "/").replace("~0", "~");
    if let Some(fields) = target.pointer_mut(parent).and_then(Json::as_object_mut) {
        fields.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_removes_what_is_null_and_replaces_lists() {
        let mut target = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"});
        merge_patch(&mut target, &json!({"a": {"b": null, "c": [3]}, "d": {"e": 1}}));
        assert_eq!(target, json!({"a": {"c": [3]}, "d": {"e": 1}}));
    }

    #[test]
    fn what_a_value_sets_is_named_by_pointer() {
        let found = leaves(&json!({"a": {"b/c": 1, "d": {}}, "e": [{"f": 1}], "g": null}));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["/a/b~1c", "/a/d", "/e", "/g"]);
    }
}
