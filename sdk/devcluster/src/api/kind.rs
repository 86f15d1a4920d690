//! What is done to every object of a kind, built in or custom: types, defaults, owners of fields, checks.

use std::sync::Arc;

use http::header;
use serde_json::Value;

use super::call::Call;
use super::errors::{self, Refusal};
use super::options::WriteOptions;
use super::resource::Resource;
use super::{decode, definitions};
use crate::fields::{self, Manager};
use crate::kinds::{
    self,
    metadata::{self, NameRule},
};
use crate::schema::{self, Schema, go};
use crate::status::{Cause, Status};

/// Fields of an Event that are written even if they are empty.
const EVEN_EMPTY: [&str; 2] = ["reportingComponent", "reportingInstance"];

/// A write of one object.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) resource: &'a Arc<Resource>,
    pub(crate) subresource: &'a str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub(crate) operation: &'a str,
    pub(crate) name: &'a str,
    /// Whether a patch or an apply made it.
    pub(crate) is_patch: bool,
    pub(crate) options: &'a WriteOptions,
    pub(crate) old: Option<&'a Arc<Value>>,
}

/// Makes of what a client sends what is looked at: types are held to, what is unknown goes, defaults come. Returns the
/// paths of what was unknown.
///
/// # Errors
/// The words of Go's decoder.
pub(crate) fn receive(resource: &Resource, object: &mut Value) -> Result<Vec<String>, String> {
    match &resource.custom {
        Some(custom) => {
            if object.get("apiVersion").and_then(Value::as_str) != Some(&resource.api_version()) {
                // A version that there is not knows no fields but those of metadata; the object is refused later.
                let known = |field: &str| ["apiVersion", "kind", "metadata"].contains(&field);
                let fields = object.as_object().into_iter().flatten().map(|(field, _)| field.clone());
                let others: Vec<String> = fields.filter(|field| !known(field)).collect();
                let mut metadata = object.clone();
                metadata
                    .as_object_mut()
                    .into_iter()
                    .for_each(|object| object.retain(|field, _| known(field)));
                let of_metadata = schema::receive(&custom.schema, &mut metadata)?;
                let of_metadata = of_metadata.into_iter().filter(|path| path.starts_with("metadata."));
                return Ok(of_metadata.chain(others).collect());
            }
            let unknown = schema::receive(&custom.schema, object)?;
            if object.get("kind").and_then(Value::as_str) != Some(&resource.kind) {
                // It will be refused for that.
                return Ok(unknown.into_iter().filter(|path| path.starts_with("metadata.")).collect());
            }
            schema::default(&custom.schema, object);
            Ok(unknown)
        }
        None => read(resource, object),
    }
}

/// As [`receive`], for what an apply has made: nothing of it is unknown, and nulls stay to be refused.
///
/// # Errors
/// The words of Go's decoder.
pub(crate) fn complete(resource: &Resource, object: &mut Value) -> Result<(), String> {
    match &resource.custom {
        Some(custom) => {
            schema::settle(object);
            texts(object);
            schema::default(&custom.schema, object);
            Ok(())
        }
        None => read(resource, object).map(|_| ()),
    }
}

/// Labels and annotations that an apply sets to null are empty.
fn texts(object: &mut Value) {
    for field in ["labels", "annotations"] {
        let map = object.get_mut("metadata").and_then(|metadata| metadata.get_mut(field));
        for value in map.and_then(Value::as_object_mut).into_iter().flat_map(serde_json::Map::values_mut) {
            if value.is_null() {
                *value = "".into();
            }
        }
    }
}

fn read(resource: &Resource, object: &mut Value) -> Result<Vec<String>, String> {
    if resource.schema().is_none() {
        return Ok(Vec::new());
    }
    let (group, version, kind) = (&resource.group, &resource.version, &resource.kind);
    let unknown = kinds::decode::object(group, version, kind, object)?;
    object["kind"] = kind.clone().into();
    object["apiVersion"] = resource.api_version().into();
    kinds::default(group, version, kind, object);
    definitions::default(resource, object);
    Ok(unknown)
}

/// What the server itself puts into an object before it is checked.
pub(crate) fn prepare(resource: &Resource, subresource: &str, new: &mut Value, old: Option<&Value>) {
    if resource.custom.is_none() {
        kinds::prepare(&resource.group, &resource.version, &resource.kind, subresource, new, old);
    }
    if old.is_none() && resource.group.is_empty() {
        super::protection::protect(resource, new);
    }
    definitions::prepare(resource, new, old);
}

impl Call<'_> {
    /// The name under which the client owns fields.
    pub(super) fn manager(&self, options: &WriteOptions) -> String {
        if !options.manager.is_empty() {
            return options.manager.clone();
        }
        let agent = self.request.header(header::USER_AGENT).unwrap_or_default();
        let agent = agent.split('/').next().unwrap_or_default();
        let agent: String = agent.chars().filter(|letter| !letter.is_control()).take(128).collect();
        if agent.is_empty() { "unknown".into() } else { agent }
    }

    fn with_manager<T>(
        &self,
        resource: &Arc<Resource>,
        options: &WriteOptions,
        subresource: &str,
        act: impl FnOnce(&Schema, &Manager<'_>) -> T,
    ) -> Option<T> {
        let schema = resource.schema()?;
        let (name, version) = (self.manager(options), resource.api_version());
        let others = self.state.versions(resource);
        let named: Vec<(String, &Schema)> =
            others.iter().filter_map(|one| Some((one.api_version(), one.schema()?))).collect();
        let versions: Vec<(&str, &Schema)> =
            named.iter().map(|(name, schema)| (name.as_str(), *schema)).collect();
        let by = Manager {
            name: &name,
            api_version: &version,
            subresource,
            time: self.now,
            versions: &versions,
            reset: fields::reset(&resource.group, &resource.plural, subresource, resource.has("status")),
            built_in: resource.custom.is_none(),
        };
        Some(act(schema, &by))
    }

    /// Tells whose the fields of an object are after a write that is no apply.
    pub(crate) fn own(
        &self,
        resource: &Arc<Resource>,
        old: Option<&Value>,
        object: &mut Value,
        options: &WriteOptions,
        subresource: &str,
    ) {
        let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let known = self.state.versions(resource).iter().any(|one| one.api_version() == version);
        if object.get("kind").and_then(Value::as_str) != Some(&resource.kind) || !known {
            // What is of another kind has no types by which fields could be owned.
            return super::meta::set(object, "managedFields", None);
        }
        if resource.plural == "events" {
            // What is written although it is empty belongs to nobody; it comes back before the Event is stored.
            for field in EVEN_EMPTY {
                object
                    .as_object_mut()
                    .filter(|event| event.get(field).is_some_and(|value| value == ""))
                    .map(|event| event.remove(field));
            }
        }
        self.with_manager(resource, options, subresource, |schema, by| {
            fields::updated(schema, old, object, by)
        });
    }

    /// What an apply makes of an object.
    pub(crate) fn applied(
        &self,
        resource: &Arc<Resource>,
        current: Option<&Arc<Value>>,
        applied: &Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let force = options.force == Some(true);
        let made = self.with_manager(resource, options, &self.target.subresource, |schema, by| {
            fields::apply(schema, current.map(AsRef::as_ref), applied, force, by)
        });
        made.unwrap_or_else(|| {
            Err(errors::not_implemented(format_args!("apply of {}", resource.qualified())))
        })
    }

    /// Holds an object to all that is checked of it.
    pub(crate) fn check(&mut self, write: &Write<'_>, new: &Value) -> Result<(), Refusal> {
        let Write { resource, .. } = write;
        let kind = new.get("kind").and_then(Value::as_str).unwrap_or_default();
        if kind != resource.kind {
            let message = format!("Invalid value: {}: must be {}", go::quote(kind), resource.kind);
            let mut causes = common_faults(write, new);
            causes.push(Cause { reason: "FieldValueInvalid", message, field: "kind".into() });
            return Err(errors::invalid(&resource.group, kind, decode::name(new), &causes).into());
        }
        let version = new.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if version != resource.api_version() {
            let message =
                format!("Invalid value: {}: must be {}", go::quote(version), resource.api_version());
            let mut causes = common_faults(write, new);
            causes.push(Cause { reason: "FieldValueInvalid", message, field: "apiVersion".into() });
            let group = version.split_once('/').map_or("", |(group, _)| group);
            return Err(errors::invalid(group, kind, decode::name(new), &causes).into());
        }
        let causes = match &resource.custom {
            Some(custom) => self.custom_faults(write, &custom.schema, new),
            None => {
                if write.old.is_none() && resource.kind == "CustomResourceDefinition" {
                    kinds::definition_warnings(new).into_iter().for_each(|warning| self.warn(warning));
                }
                builtin_faults(write, new)
            }
        };
        if causes.is_empty() && write.old.is_none() && resource.custom.is_none() {
            let warning = kinds::name_warning(&resource.group, &resource.kind, decode::name(new));
            warning.into_iter().for_each(|warning| self.warn(warning));
        }
        match causes.iter().find(|cause| cause.reason == "NotImplemented") {
            Some(cause) => {
                let what = format!("{}: {}", cause.field, cause.message);
                Err(Status::new(501, "NotImplemented", what).into())
            }
            None if causes.is_empty() => Ok(()),
            None => Err(errors::invalid(&resource.group, &resource.kind, decode::name(new), &causes).into()),
        }
    }

    fn custom_faults(&mut self, write: &Write<'_>, schema: &Schema, new: &Value) -> Vec<Cause> {
        let old = write.old.map(AsRef::as_ref);
        let faults = metadata_faults(write, new);
        let warnings = metadata::warnings(metadata_of(new), old.and_then(|old| old.get("metadata")));
        let verdict = if write.subresource == "status" {
            schema::judge_status(schema, new, old, faults)
        } else {
            schema::judge(schema, new, old, faults)
        };
        let warnings = warnings.into_iter().filter(|_| verdict.causes.is_empty());
        warnings.chain(verdict.warnings).for_each(|warning| self.warn(warning));
        verdict.causes
    }
}

/// What is checked of every update before its kind is.
fn common_faults(write: &Write<'_>, new: &Value) -> Vec<Cause> {
    let Some(old) = write.old else { return Vec::new() };
    let mut faults = metadata::check_any(metadata_of(new), write.resource.namespaced);
    // The other half is what its kind checks.
    let mut twice = metadata::check_update(metadata_of(new), metadata_of(old), false);
    twice.truncate(twice.len() / 2);
    faults.extend(twice);
    faults
}

fn metadata_faults(write: &Write<'_>, new: &Value) -> Vec<Cause> {
    let metadata = metadata_of(new);
    match write.old {
        None => metadata::check_new(metadata, write.resource.namespaced, &NameRule::Subdomain, false),
        Some(old) => {
            let mut faults = metadata::check_any(metadata, write.resource.namespaced);
            faults.extend(metadata::check_update(metadata, metadata_of(old), false));
            faults
        }
    }
}

fn metadata_of(object: &Value) -> &Value {
    object.get("metadata").unwrap_or(&Value::Null)
}

fn builtin_faults(write: &Write<'_>, new: &Value) -> Vec<Cause> {
    let Write { resource, subresource, is_patch, old, .. } = write;
    let checked = kinds::Write {
        group: &resource.group,
        kind: &resource.kind,
        is_namespaced: resource.namespaced,
        subresource,
        is_patch: *is_patch,
    };
    let mut faults = match (old, new.get("metadata")) {
        (Some(_), Some(metadata)) => metadata::check_any(metadata, resource.namespaced),
        _ => Vec::new(),
    };
    faults.extend(kinds::check(&checked, new, old.map(AsRef::as_ref)));
    faults
}
