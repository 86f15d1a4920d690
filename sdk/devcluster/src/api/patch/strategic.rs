//! Strategic merge patches: lists are merged by the keys that the schemas of built-in kinds name.

use serde_json::{Map, Value};

use crate::schema::Schema;

/// How a list is merged.
enum Strategy<'a> {
    Replace,
    /// Items that are no objects.
    Set,
    /// Objects by this field.
    Key(&'a str),
}

/// Returns an object after a patch.
///
/// # Errors
/// A directive that is not modelled.
pub(crate) fn patched(
    schema: Option<&Schema>,
    object: &Value,
    patch: &Map<String, Value>,
) -> Result<Value, String> {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    match patch.get("$patch").and_then(Value::as_str) {
        None => {}
        // It stands there as it is, with its nulls.
        Some("replace") => {
            let whole = patch.iter().filter(|(key, _)| *key != "$patch");
            return Ok(Value::Object(whole.map(|(key, value)| (key.clone(), value.clone())).collect()));
        }
        Some("delete") => return Ok(Value::Object(Map::new())),
        Some(other) => return Err(format!("Unknown patch type: {other}")),
    }
    if patch.contains_key("$retainKeys") {
        let kept: Vec<&Value> =
            patch.get("$retainKeys").and_then(Value::as_array).into_iter().flatten().collect();
        fields.retain(|key, _| kept.iter().any(|one| one.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(list)) = fields.get_mut(field) {
                list.retain(|item| !gone.contains(item));
            }
        } else if !key.starts_with('$') {
            merge_field(schema, &mut fields, patch, key, value)?;
        }
    }
    Ok(Value::Object(fields))
}

fn merge_field(
    schema: Option<&Schema>,
    fields: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), String> {
    let of = schema.and_then(|schema| schema.properties.get(key).or(schema.additional.as_deref()));
    let there = fields.get(key);
    let merged = match (value, there) {
        (Value::Null, _) => None,
        (Value::Object(inner), Some(there @ Value::Object(_))) => Some(patched(of, there, inner)?),
        (Value::Array(list), Some(Value::Array(there))) => {
            let order = patch.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array);
            Some(merge_list(of, there, list, order)?)
        }
        (value, _) => plain(value),
    };
    match merged {
        Some(merged) => fields.insert(key.to_owned(), merged),
        None => fields.remove(key),
    };
    Ok(())
}

/// What comes into a place where nothing of its type was: without nulls, and without all that has a directive.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key("$patch") => None,
        Value::Object(fields) => Some(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(key, value)| Some((key.clone(), plain(value)?)))
                .collect(),
        ),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect()),
        value => Some(value.clone()),
    }
}

fn strategy(schema: Option<&Schema>) -> Strategy<'_> {
    let word = |name: &str| schema.and_then(|schema| schema.raw.get(name)).and_then(Value::as_str);
    match (word("x-kubernetes-patch-strategy"), word("x-kubernetes-patch-merge-key")) {
        (Some(strategy), Some(key)) if strategy.contains("merge") => Strategy::Key(key),
        (Some(strategy), None) if strategy.contains("merge") => Strategy::Set,
        _ => Strategy::Replace,
    }
}

fn merge_list(
    schema: Option<&Schema>,
    there: &[Value],
    patch: &[Value],
    order: Option<&Vec<Value>>,
) -> Result<Value, String> {
    let strategy = strategy(schema);
    let items = schema.and_then(|schema| schema.items.as_deref());
    let same = |one: &Value, other: &Value| match strategy {
        Strategy::Key(key) => one.get(key) == other.get(key),
        _ => one == other,
    };
    if matches!(strategy, Strategy::Replace) {
        return Ok(patch.iter().filter(|item| directive(item).is_none()).cloned().collect());
    }
    let replaces = patch.iter().any(|item| directive(item) == Some("replace"));
    let deleted: Vec<&Value> = patch.iter().filter(|item| directive(item) == Some("delete")).collect();
    let kept: Vec<&Value> =
        there.iter().filter(|item| !replaces && !deleted.iter().any(|gone| same(item, gone))).collect();
    let mut merged = Vec::new();
    for item in patch.iter().filter(|item| directive(item).is_none()) {
        let old = kept.iter().find(|old| same(old, item)).copied();
        merged.push(match (item, &strategy) {
            (Value::Object(item), Strategy::Key(_)) => patched(items, old.unwrap_or(&Value::Null), item)?,
            (item, _) => item.clone(),
        });
    }
    let (mut others, mut named) = (Vec::new(), Vec::new());
    for old in kept.iter().filter(|old| !merged.iter().any(|new| same(old, new))) {
        let place = order.and_then(|order| order.iter().position(|one| same(one, old)));
        if place.is_some() { named.push((*old).clone()) } else { others.push((*old).clone()) }
    }
    if let Some(order) = order {
        // What the order names has its place by it, whoever has it.
        merged.extend(named);
        let place = |item: &Value| order.iter().position(|one| same(one, item)).unwrap_or(usize::MAX);
        merged.sort_by_key(place);
    }
    Ok(woven(others, merged, |item| there.iter().position(|old| same(old, item))).into())
}

/// Items that only the server has, woven between those of the patch: an item goes before another if both are there and
/// it was before it, else those of the patch come first.
fn woven(others: Vec<Value>, patch: Vec<Value>, place: impl Fn(&Value) -> Option<usize>) -> Vec<Value> {
    let (mut others, mut patch) = (others.into_iter().peekable(), patch.into_iter().peekable());
    let mut all = Vec::new();
    loop {
        let other_first = match (others.peek(), patch.peek()) {
            (None, None) => return all,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(new)) => matches!((place(other), place(new)), (Some(a), Some(b)) if a < b),
        };
        all.extend(if other_first { others.next() } else { patch.next() });
    }
}

fn directive(item: &Value) -> Option<&str> {
    item.get("$patch").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::field_reassign_with_default, reason = "a schema has private fields")]
    fn list(raw: Value) -> Schema {
        let mut of = Schema::default();
        of.raw = raw;
        let mut schema = Schema::default();
        schema.properties.insert("l".into(), of);
        schema
    }

    fn merged(raw: Value, there: Value, patch: Value) -> Result<Value, String> {
        let patch = json!({"l": patch});
        let patch = patch.as_object().expect("a map");
        patched(Some(&list(raw)), &json!({"l": there}), patch).map(|object| object["l"].clone())
    }

    #[test]
    fn new_items_come_before_those_of_the_server() {
        let raw = json!({"x-kubernetes-patch-strategy": "merge"});
        assert_eq!(merged(raw, json!(["a"]), json!(["b"])), Ok(json!(["b", "a"])));
    }

    #[test]
    fn an_item_is_changed_by_its_key_and_deleted_by_a_directive() {
        let raw = json!({"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type"});
        let there = json!([{"type": "A", "status": "x"}, {"type": "B"}]);
        let patch = json!([{"type": "A", "reason": "r"}, {"type": "B", "$patch": "delete"}]);
        assert_eq!(merged(raw, there, patch), Ok(json!([{"type": "A", "status": "x", "reason": "r"}])));
    }
}
