//! What is at a JSON pointer.

use serde_json::Value;

/// Returns what `Value::pointer` returns. That makes new texts of each part of a pointer, which this does only where they are escaped.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.is_empty() || pointer.contains('~') {
        return value.pointer(pointer);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(value, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(_) => value.pointer(&format!("/{part}")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_what_the_pointer_of_serde_json_leads_to() {
        let value = json!({"a": {"b": [1, {"c": "d"}], "": 2, "x/y": 3}, "e": null});
        for pointer in [
            "", "/", "/a", "/a/", "/a/b/1/c", "/a/b/01", "/a/b/2", "/a/x~1y", "/e", "/e/f", "a", "/a/b/c",
            "//a",
        ] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer:?}");
        }
    }
}
