//! Objects as a client sees them: in the version that it asks for, whole, as metadata or in a table.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Content, Item, List};
use super::negotiate::{Accept, Form};
use super::resource::Resource;
use super::store::Stored;
use super::{clock, errors, events, meta, select};
use crate::schema::{self, go};
use crate::status::Status;

/// The form under which built-in kinds are stored.
pub(crate) const BUILT_IN: u64 = 0;

/// Returns a stored object in the version of this resource, with the defaults of today.
pub(crate) fn present(resource: &Resource, stored: &Stored) -> Arc<Value> {
    if resource.group == "events.k8s.io" {
        return Arc::new(events::newer(&stored.value));
    }
    let Some(custom) = &resource.custom else { return Arc::clone(&stored.value) };
    let (storage, of_store) = &custom.storage;
    if stored.shape == custom.shape && storage == &resource.version {
        return Arc::clone(&stored.value);
    }
    let mut object = (*stored.value).clone();
    schema::prune(of_store, &mut object);
    schema::default(of_store, &mut object);
    if storage != &resource.version {
        object["apiVersion"] = resource.api_version().into();
        schema::prune(&custom.schema, &mut object);
        schema::default(&custom.schema, &mut object);
    }
    Arc::new(object)
}

/// Returns an object as it is stored: in the version of the store.
pub(crate) fn stored(resource: &Resource, object: Value) -> Value {
    converted(resource, &object).unwrap_or(object)
}

/// Returns an object as it is stored, if that differs from how it is served.
pub(crate) fn converted(resource: &Resource, object: &Value) -> Option<Value> {
    if resource.group == "events.k8s.io" {
        return Some(events::older(object));
    }
    let custom = resource.custom.as_ref().filter(|custom| custom.storage.0 != resource.version)?;
    let mut object = object.clone();
    object["apiVersion"] = format!("{}/{}", resource.group, custom.storage.0).into();
    schema::prune(&custom.storage.1, &mut object);
    schema::default(&custom.storage.1, &mut object);
    Some(object)
}

/// What a client wants to see.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) accept: Accept,
    /// `includeObject` of tables.
    pub(crate) include: String,
    pub(crate) now: Timestamp,
}

impl Look {
    /// Returns one object as it is asked for.
    ///
    /// # Errors
    /// A list is asked for, or a table with something that there is not.
    pub(crate) fn object(&self, resource: &Resource, object: &Arc<Value>) -> Result<Arc<Value>, Status> {
        let shown = self.shown(resource, object)?;
        Ok(shown.map_or_else(|| Arc::clone(object), Arc::new))
    }

    /// Returns the object of an event of a watch; none if it is shown as it is.
    pub(crate) fn event(&self, resource: &Resource, object: &Value) -> Result<Option<Value>, Status> {
        match self.accept.form {
            Form::MetadataList => Ok(Some(partial(object))),
            _ => self.shown(resource, object),
        }
    }

    /// Returns what is shown of an object; none if that is the object as it is.
    fn shown(&self, resource: &Resource, object: &Value) -> Result<Option<Value>, Status> {
        match self.accept.form {
            Form::Metadata => Ok(Some(partial(object))),
            Form::MetadataList => Err(errors::internal("content is not a list")),
            Form::Table => {
                let version = meta::text(object, "resourceVersion").to_owned();
                self.table(resource, &[object], json!({"resourceVersion": version})).map(Some)
            }
            Form::Whole | Form::Discovery => Ok(None),
        }
    }

    /// Returns a list as it is asked for.
    ///
    /// # Errors
    /// One object is asked for, or a table with something that there is not.
    pub(crate) fn list(
        &self,
        resource: &Resource,
        items: Vec<Item>,
        mut metadata: Value,
    ) -> Result<Content, Status> {
        match self.accept.form {
            Form::Metadata => {
                let shown = if resource.custom.is_some() {
                    "*unstructured.UnstructuredList".to_owned()
                } else {
                    format!("*{}.{}", package(resource), resource.list_kind)
                };
                let message = format!(
                    "you requested PartialObjectMetadata, but the requested object is a list ({shown})"
                );
                Err(Status::new(406, "NotAcceptable", message))
            }
            Form::MetadataList => {
                let items: Vec<Value> = items.iter().map(|item| partial(&item.object)).collect();
                let items = if items.is_empty() { Value::Null } else { items.into() };
                Ok(json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items})
                .into())
            }
            Form::Table => {
                let items: Vec<&Value> = items.iter().map(|item| &*item.object).collect();
                self.table(resource, &items, metadata).map(Content::from)
            }
            Form::Whole | Form::Discovery => {
                let named = resource.custom.is_some();
                if named && metadata.get("continue").is_none() {
                    metadata["continue"] = "".into();
                }
                let (api_version, kind) = (resource.api_version(), resource.list_kind.clone());
                Ok(Content::List(List { api_version, kind, metadata, items, named }))
            }
        }
    }

    fn table(&self, resource: &Resource, items: &[&Value], metadata: Value) -> Result<Value, Status> {
        let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
            "description": AGE});
        let custom = resource.custom.as_ref().map(|custom| custom.columns.as_slice()).unwrap_or_default();
        let columns: Vec<&Value> = if custom.is_empty() { vec![&age] } else { custom.iter().collect() };
        let mut definitions = vec![
            json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0}),
        ];
        for column in &columns {
            let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default();
            let described = match text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
                description => description.to_owned(),
            };
            definitions.push(json!({"name": text("name"), "type": text("type"), "format": text("format"),
                "description": described, "priority": column.get("priority").cloned().unwrap_or_else(|| 0.into())}));
        }
        let mut rows = Vec::new();
        for item in items {
            let mut cells = vec![meta::text(item, "name").into()];
            cells.extend(columns.iter().map(|column| self.cell(column, item)));
            let object = match self.include.as_str() {
                "" | "Metadata" => partial(item),
                "Object" => (*item).clone(),
                "None" => Value::Null,
                other => {
                    let message = format!(
                        "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be \
                         'Metadata', 'Object', 'None', or empty",
                        go::quote(other)
                    );
                    return Err(errors::bad_request(message));
                }
            };
            rows.push(json!({"cells": cells, "object": object}));
        }
        Ok(json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": definitions, "rows": rows}))
    }

    fn cell(&self, column: &Value, item: &Value) -> Value {
        let path = column.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
        let found = at_path(item, path);
        let (Some(found), kind) = (found, column.get("type").and_then(Value::as_str).unwrap_or_default())
        else {
            return Value::Null;
        };
        match (kind, found) {
            ("date", Value::String(text)) => match clock::parsed(text) {
                Some(time) => clock::age(self.now.as_second() - time.as_second()).into(),
                None => "<invalid>".into(),
            },
            ("string", Value::String(_))
            | ("integer" | "number", Value::Number(_))
            | ("boolean", Value::Bool(_)) => found.clone(),
            ("string", found) => found.to_string().into(),
            _ => Value::Null,
        }
    }
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some \
    resources may allow a client to request the generation of an appropriate name automatically. Name is primarily \
    intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is \
    not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It \
    is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

fn package(resource: &Resource) -> &str {
    match resource.group.split('.').next() {
        None | Some("") => "core",
        Some(group) => group,
    }
}

/// The metadata of an object as an object of its own.
pub(crate) fn partial(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// What a path of a column names: fields, and `[?(@.type=="Ready")]` of a list.
fn at_path<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = item;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let (condition, after) = filter.split_once(")]")?;
            let (field, wanted) = condition.split_once("==")?;
            let wanted = wanted.trim().trim_matches(['"', '\'']);
            let mut items = value.as_array()?.iter();
            value = items.find(|item| select::text_of(item, field.trim()) == wanted)?;
            rest = after;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            value = value.get(index.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            value = value.get(name.get(..end)?)?;
            rest = name.get(end..)?;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_a_condition_by_its_type() {
        let item = json!({"status": {"conditions": [{"type": "A", "status": "False"}, {"type": "B", "status": "True"}]}});
        let found = at_path(&item, ".status.conditions[?(@.type==\"B\")].status");
        assert_eq!(found, Some(&json!("True")));
    }
}
