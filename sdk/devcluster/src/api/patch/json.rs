//! JSON patches, RFC 6902, as the library of kube-apiserver takes them: a `replace` of a field that is not there adds it.

use serde_json::Value;

/// Returns an object after these operations; `None` if one of them fails.
pub(crate) fn patched(object: &Value, operations: &[Value]) -> Option<Value> {
    let mut object = object.clone();
    for operation in operations {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let path = text("path")?;
        let value = || operation.get("value").cloned().unwrap_or_default();
        match text("op")? {
            "add" => add(&mut object, path, value())?,
            "remove" => {
                remove(&mut object, path)?;
            }
            "replace" => replace(&mut object, path, value())?,
            "test" => {
                // A value that is not there is null, but what it would be in has to be there.
                object.pointer(path.rsplit_once('/').map_or("", |(parent, _)| parent))?;
                if object.pointer(path).unwrap_or(&Value::Null) != &value() {
                    return None;
                }
            }
            "copy" => {
                let copied = object.pointer(text("from")?)?.clone();
                add(&mut object, path, copied)?;
            }
            "move" => {
                let moved = remove(&mut object, text("from")?)?;
                add(&mut object, path, moved)?;
            }
            _ => return None,
        }
    }
    Some(object)
}

/// What holds the place of a path, and the last part of the path.
fn place<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((object.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    match place(object, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
        }
        (Value::Array(list), key) if key == "-" => list.push(value),
        (Value::Array(list), key) => {
            let at = key.parse().ok().filter(|at| *at <= list.len())?;
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<Value> {
    match place(object, path)? {
        (Value::Object(map), key) => map.remove(&key),
        (Value::Array(list), key) => {
            let at = key.parse().ok().filter(|at| *at < list.len())?;
            Some(list.remove(at))
        }
        _ => None,
    }
}

fn replace(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    match place(object, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
        }
        (Value::Array(list), key) => *list.get_mut(key.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failing_test_after_a_change_undoes_all() {
        let object = json!({"a": ["x", "y"]});
        let operations =
            json!([{"op": "remove", "path": "/a/0"}, {"op": "test", "path": "/a/0", "value": "z"}]);
        assert_eq!(patched(&object, operations.as_array().expect("a list")), None);
    }

    #[test]
    fn a_list_takes_an_item_at_its_end_and_not_behind_it() {
        let object = json!({"a": ["x"]});
        let at = |path: &str| patched(&object, &[json!({"op": "add", "path": path, "value": 1})]);
        assert_eq!(at("/a/-"), Some(json!({"a": ["x", 1]})));
        assert_eq!(at("/a/9"), None);
    }
}
