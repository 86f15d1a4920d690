//! Who manages which field, and server-side apply: what structured-merge-diff and its use in the API server do.

mod entries;
mod merge;
mod reset;
mod set;
mod shape;
#[cfg(test)]
mod tests;
mod typed;
mod updater;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use reset::reset;

use crate::{kinds, schema::Schema, status::Status};

/// Who writes an object, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The field manager.
    pub name: &'a str,
    /// The version of the kind that the request is in, as in `apiVersion`.
    pub api_version: &'a str,
    /// The subresource that is written, or empty.
    pub subresource: &'a str,
    /// Now.
    pub time: Timestamp,
    /// The other versions that the kind has, by `apiVersion`.
    pub versions: &'a [(&'a str, &'a Schema)],
    /// Fields that this way of writing does not change, as `spec` for the status; see [`reset`].
    pub reset: &'a [&'a str],
    /// Whether the kind is built in: an empty list of managedFields in a write then clears them, for others only `[{}]` does.
    pub built_in: bool,
}

/// Writes the managedFields of an object after a POST, a PUT or a patch that is not an apply.
///
/// The new object is what was asked for: decoded and with defaults, and before the fields are reset that this way of writing does not
/// change. If it does not fit the schema, managedFields are cleared, as the API server does.
///
/// Metadata loses what is empty in it, as there is no difference between that and nothing.
pub fn updated(schema: &Schema, old: Option<&Value>, new: &mut Value, by: &Manager) {
    let mut managed = before(old, new, by);
    if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !is_empty(value));
    }
    remove(new);
    if managed.is_empty() && old.is_some() {
        return;
    }
    let mut before = old.map_or_else(|| Cow::Owned(nobody(new)), Cow::Borrowed);
    if by.built_in {
        fill(schema, before.to_mut(), new);
    }
    if updater::Updater::new(schema, by).update(&before, new, &mut managed, by.name).is_ok() {
        entries::write(new, &managed);
    }
}

/// Puts into an object of a built-in kind what an object of Go has even when it is empty, as far as the new one has it: its structs, null
/// for a list or map that must be there, and what is empty in the new one.
fn fill(schema: &Schema, before: &mut Value, new: &Value) {
    let (Some(before), Some(new)) = (before.as_object_mut(), new.as_object()) else { return };
    for (name, value) in new {
        let Some(field) = schema.field(name) else { continue };
        let is_struct =
            field.default.as_ref().and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
        let required = schema.required.contains(name);
        // An empty text that is kept is one that Go always writes, unless there is a pointer to it.
        let always = value == "" && !kinds::decode::MAY_BE_EMPTY.contains(&name.as_str());
        let there = before.contains_key(name);
        if is_struct && value.is_object() {
            fill(field, before.entry(name).or_insert_with(|| json!({})), value);
        } else if !there && (value.is_null() || always || required && is_zero(value)) {
            before.insert(name.clone(), value.clone());
        } else if !there && required && (value.is_array() || value.is_object()) {
            before.insert(name.clone(), Value::Null);
        }
    }
}

/// Whether it is what Go writes for a field that nobody has set. A list or map that is there and empty is not: that is null.
fn is_zero(value: &Value) -> bool {
    value.is_null() || value == "" || matches!(value, Value::Bool(false)) || value.as_i64() == Some(0)
}

/// Returns the entries to start from: those of the request if it has some that can be read, else those of the live object.
fn before(old: Option<&Value>, new: &Value, by: &Manager) -> entries::Managed {
    let live = || old.and_then(entries::read).unwrap_or_default();
    if !by.subresource.is_empty() {
        return live();
    }
    match new.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) if by.built_in => entries::Managed::new(),
        Some([Value::Object(entry)]) if entry.values().all(Value::is_null) => entries::Managed::new(),
        _ => entries::read(new).filter(|managed| !managed.is_empty()).unwrap_or_else(live),
    }
}

/// Returns the live object as it is to be after an apply: with managedFields, before defaults and checks.
///
/// # Errors
///
/// 400 for another kind or for managedFields in what is applied; 500 if that does not fit the schema; 409 for conflicts; 501 for the
/// manager `kubectl` where an annotation of `kubectl apply` would have to be kept up to date.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    by: &Manager,
) -> Result<Value, Status> {
    let empty = nobody(live.unwrap_or(applied));
    let mut object = live.unwrap_or(&empty).clone();
    let updater = updater::Updater::new(schema, by);
    if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Status::new(400, "BadRequest", "metadata.managedFields must be nil"));
    }
    if by.name == "kubectl"
        && object.pointer("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration").is_some()
    {
        return Err(Status::new(
            501,
            "NotImplemented",
            "apply by kubectl to an object of kubectl apply without --server-side",
        ));
    }
    let unreadable = || Status::new(500, "", "failed to decode managed fields");
    let mut managed = entries::read(&object).ok_or_else(unreadable)?;
    remove(&mut object);
    if managed.is_empty() && live.is_some() {
        let mut before = empty.clone();
        if by.built_in {
            fill(schema, &mut before, &object);
        }
        updater.update(&before, &object, &mut managed, "before-first-apply").map_err(
            |fault| match fault {
                updater::Fault::Unfit(words) => {
                    let of = format!("failed to convert new object ({})", named(&object));
                    let words = words.replacen("failed to convert new object", &of, 1);
                    updater::Fault::Unfit(format!("failed to create manager for existing fields: {words}"))
                }
                conflicts => conflicts,
            },
        )?;
    }
    for (what, value, duplicates) in [("patch", applied, false), ("live", &object, true)] {
        typed::check(shape::Shape::Object(schema), value, duplicates).map_err(|fault| {
            Status::new(500, "", format!("failed to create typed {what} object ({}): {fault}", named(value)))
        })?;
    }
    let mut result = updater.apply(&object, applied, &mut managed, force)?.unwrap_or(object);
    entries::write(&mut result, &managed);
    Ok(result)
}

/// Gives a new object the managedFields of the old one if the two differ only in the times of those, so that nothing is written then.
pub fn keep_times(old: &Value, new: &mut Value) {
    if old != new && same_but_for(&["metadata", "managedFields"], old, new) {
        *new = old.clone();
    }
}

/// Whether two values are the same but for the times of the entries at this path.
fn same_but_for(path: &[&str], one: &Value, other: &Value) -> bool {
    match (path, one, other) {
        ([next, rest @ ..], Value::Object(one), Value::Object(other)) => {
            let fields = one.iter().zip(other);
            let same = |name: &str, one: &Value, other: &Value| match name == *next {
                true => same_but_for(rest, one, other),
                false => one == other,
            };
            one.len() == other.len()
                && fields.into_iter().all(|(one, other)| one.0 == other.0 && same(one.0, one.1, other.1))
        }
        ([], Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_but_for_time(one, other))
        }
        _ => one == other,
    }
}

fn same_but_for_time(one: &Value, other: &Value) -> bool {
    let (Some(fields), Some(others)) = (one.as_object(), other.as_object()) else { return one == other };
    fn timeless(fields: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
        fields.iter().filter(|(name, _)| *name != "time")
    }
    timeless(fields).eq(timeless(others))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

fn remove(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Returns an object of the same kind with nothing in it.
fn nobody(like: &Value) -> Value {
    json!({"apiVersion": like.get("apiVersion"), "kind": like.get("kind")})
}

/// Names an object as the API server does where it speaks of types.
fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/apiVersion");
    let slash = if version.contains('/') { "" } else { "/" };
    format!(
        "{}/{}; {slash}{version}, Kind={}",
        text("/metadata/namespace"),
        text("/metadata/name"),
        text("/kind")
    )
}
