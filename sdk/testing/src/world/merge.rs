//! Access to a JSON document by pointers, for the merge of a server-side apply.

use std::collections::BTreeSet;

use backstay_core::contract::Json;

/// Returns the pointers of all values in `value` that are no objects with fields. A list is one value.
pub(super) fn leaves(value: &Json) -> BTreeSet<String> {
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

/// Sets the value at `pointer`, and makes the objects on the way.
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
    fn what_a_value_sets_is_named_by_pointer() {
        let found = leaves(&json!({"a": {"b/c": 1, "d": {}}, "e": [{"f": 1}], "g": null}));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["/a/b~1c", "/a/d", "/e", "/g"]);
    }
}
