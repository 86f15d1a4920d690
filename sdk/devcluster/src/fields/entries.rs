//! `metadata.managedFields`: read, written, kept short.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::Set;
use crate::at::at;
use crate::schema::go;

/// Who manages: what an entry is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    /// The name.
    pub(super) name: String,
    /// Whether by apply.
    pub(super) applies: bool,
    /// The version of an updater; empty for an applier, which has one entry whatever version it uses.
    pub(super) version: String,
    /// The subresource, or empty.
    pub(super) subresource: String,
}

impl Id {
    /// Returns the words for it in a conflict.
    pub(super) fn words(&self) -> String {
        let subresource = if self.subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource {:?}", self.subresource)
        };
        let version = if self.applies { String::new() } else { format!(" using {}", self.version) };
        format!("{}{subresource}{version}", go::quote(&self.name))
    }
}

/// What one manages.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    /// The version of the kind that the fields are of.
    pub(super) version: String,
    /// The fields.
    pub(super) fields: Set,
    /// When it last changed something, as text.
    pub(super) time: Option<String>,
}

/// The entries of an object.
pub(super) type Managed = BTreeMap<Id, Entry>;

/// Returns the entries in an object's metadata; none if one of them cannot be read.
pub(super) fn read(object: &Value) -> Option<Managed> {
    let Some(entries) = at(object, "/metadata/managedFields").and_then(Value::as_array) else {
        return Some(Managed::new());
    };
    entries.iter().map(entry).collect()
}

fn entry(entry: &Value) -> Option<(Id, Entry)> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let applies = match text("operation") {
        "Apply" => true,
        "Update" => false,
        _ => return None,
    };
    if text("fieldsType") != "FieldsV1" {
        return None;
    }
    let version = text("apiVersion").to_owned();
    let known_by = if applies { String::new() } else { version.clone() };
    let (name, subresource) = (text("manager").to_owned(), text("subresource").to_owned());
    let id = Id { name, applies, version: known_by, subresource };
    let fields = entry.get("fieldsV1").map_or(Some(Set::default()), Set::read)?;
    Some((id, Entry { version, fields, time: entry.get("time").and_then(Value::as_str).map(str::to_owned) }))
}

/// Writes the entries into an object's metadata, in the order of the API server.
pub(super) fn write(object: &mut Value, managed: &Managed) {
    let mut entries: Vec<_> = managed.iter().collect();
    entries.sort_by_cached_key(|&(id, entry)| {
        (!id.applies, seconds(entry), &id.name, &entry.version, &id.subresource)
    });
    let entries: Vec<_> = entries.into_iter().map(|(id, entry)| written(id, entry)).collect();
    let Some(object) = object.as_object_mut() else { return };
    if !entries.is_empty() {
        object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

fn written(id: &Id, entry: &Entry) -> Value {
    let operation = if id.applies { "Apply" } else { "Update" };
    let mut value = json!({"manager": id.name, "operation": operation, "apiVersion": entry.version,
        "fieldsType": "FieldsV1", "fieldsV1": entry.fields.write()});
    if let Some(time) = &entry.time {
        value["time"] = time.as_str().into();
    }
    if !id.subresource.is_empty() {
        value["subresource"] = id.subresource.as_str().into();
    }
    value
}

fn seconds(entry: &Entry) -> i64 {
    entry
        .time
        .as_ref()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .map_or(0, jiff::Timestamp::as_second)
}

/// How many updaters have entries of their own.
const UPDATERS: usize = 10;

/// Joins the oldest updaters as `ancient-changes` while there are more than ten.
pub(super) fn cap(managed: &mut Managed) {
    let mut left = managed.keys().filter(|id| !id.applies).count();
    if left <= UPDATERS {
        return;
    }
    let mut updaters: Vec<_> = managed.keys().filter(|id| !id.applies).cloned().collect();
    updaters.sort_by_cached_key(|id| (managed.get(id).map_or(0, seconds), id.clone()));
    let mut first_of = BTreeMap::new();
    for id in updaters {
        if left <= UPDATERS {
            return;
        }
        let version = id.version.clone();
        let Some(first) = first_of.get(&version).cloned() else {
            first_of.insert(version, id);
            continue;
        };
        let bucket = Id { name: "ancient-changes".to_owned(), version, ..Id::default() };
        let joined = managed.remove(&bucket).or_else(|| managed.remove(&first)).unwrap_or_default();
        if let Some(entry) = managed.remove(&id) {
            managed.insert(bucket, Entry { fields: entry.fields.union(&joined.fields), ..entry });
        }
        left -= 1;
    }
}
