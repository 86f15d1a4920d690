//! Updates: what PUT and all patches have in common.

use std::sync::Arc;

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::errors::{self, Refusal, bad_request};
use super::kind::{self, Write};
use super::options::{self, WriteOptions};
use super::resource::Resource;
use super::{decode, definitions, meta, view};
use crate::fields;
use crate::status::Status;

/// How an object is updated.
pub(crate) struct Update<'a> {
    pub(crate) resource: &'a Arc<Resource>,
    pub(crate) subresource: &'a str,
    pub(crate) options: &'a WriteOptions,
    /// Whether its fields have their owners already: by an apply.
    pub(crate) applied: bool,
}

impl Call<'_> {
    /// Answers a PUT.
    pub(crate) fn put(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        let options = options::write(self.request, "UpdateOptions", false)?;
        let mut sent = decode::object(self, resource, options.validation)?;
        decode::mind(self, resource, &sent, options.validation)?;
        self.named(resource, &mut sent.object)?;
        let key = self.key(resource);
        let Some(stored) = self.state.store.get(&resource.family(), &key) else {
            if !resource.put_creates {
                return Err(errors::not_found(resource, &self.target.name).into());
            }
            let uid = meta::text(&sent.object, "uid");
            if !uid.is_empty() {
                return Err(self.other_incarnation(resource, uid, "", options.dry).into());
            }
            sent_version(&sent.object)?;
            if meta::get(&sent.object, "deletionTimestamp").is_some() {
                // The API server leaves it there.
                return Err(
                    errors::not_implemented("a PUT that creates an object which is being deleted").into()
                );
            }
            if !options.dry {
                meta::set(&mut sent.object, "resourceVersion", None);
            }
            self.may("create")?;
            self.labelled = sent.labelled;
            let made = self.insert(resource, sent.object, &options, false)?;
            return self.answer(201, resource, &look, &made);
        };
        let current = view::present(resource, stored);
        let (uid, own) = (meta::text(&sent.object, "uid"), meta::text(&current, "uid"));
        if !uid.is_empty() && uid != own {
            return Err(self.other_incarnation(resource, uid, own, options.dry).into());
        }
        let subresource = self.target.subresource.clone();
        let update = Update { resource, subresource: &subresource, options: &options, applied: false };
        let written = self.update(&update, &current, sent.object)?;
        self.answer(200, resource, &look, &written)
    }

    /// The key of the object that the path names.
    pub(crate) fn key(&self, resource: &Resource) -> super::store::Key {
        let namespace = if resource.namespaced { self.target.namespace.clone() } else { String::new() };
        (namespace, self.target.name.clone())
    }

    fn other_incarnation(&self, resource: &Resource, uid: &str, own: &str, dry: bool) -> Status {
        let key = resource.registry_key(&self.target.namespace, &self.target.name);
        // Only what is stored has the prefix of the store.
        let key = key.strip_prefix("/registry").filter(|_| dry).unwrap_or(&key);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {uid}, UID in object meta: {own}"
        );
        errors::conflict(resource, &self.target.name, &why)
    }

    /// Refuses an object whose name or namespace is not that of the path.
    pub(crate) fn named(&self, resource: &Resource, object: &mut Value) -> Result<(), Status> {
        let url = &self.target.name;
        match decode::name(object) {
            "" => {
                let message = format!(
                    "the name of the object ({url} based on URL) was undeterminable: name must be provided"
                );
                return Err(bad_request(message));
            }
            name if name == url => {}
            name => {
                let message =
                    format!("the name of the object ({name}) does not match the name on the URL ({url})");
                return Err(bad_request(message));
            }
        }
        self.place(resource, object)
    }

    /// Writes a new state of an object: what is asked for, after all that the server keeps of the state before.
    pub(crate) fn update(
        &mut self,
        update: &Update<'_>,
        current: &Arc<Value>,
        mut new: Value,
    ) -> Result<Arc<Value>, Refusal> {
        let Update { resource, subresource, options, applied } = update;
        let name = self.target.name.clone();
        if !applied {
            self.own(resource, Some(current), &mut new, options, subresource);
        }
        self.warn_of_owners(&mut new);
        let write = Write {
            resource,
            subresource,
            operation: "UPDATE",
            name: &name,
            is_patch: self.target.verb == "patch",
            options,
            old: Some(current),
        };
        self.mutate(&write, &mut new);
        self.may_give(resource, &new, Some(current))?;
        self.version_fits(resource, current, &mut new)?;
        keep_other_part(resource, subresource, current, &mut new);
        prepare(resource, subresource, current, &mut new);
        self.check(&write, &new)?;
        self.admit(&write, Some(&new))?;
        self.fits_etcd(&new)?;
        let (family, key) = (resource.family(), self.key(resource));
        if may_go(&new) {
            meta::set(&mut new, "resourceVersion", Some(meta::text(current, "resourceVersion").into()));
            if !options.dry {
                self.state.store.commit(&family, key, None);
                definitions::react(self, &family, &name);
            }
            return Ok(Arc::new(new));
        }
        self.store(resource, key, new, options.dry)
    }

    /// Stores an object unless it is as it was.
    pub(crate) fn store(
        &mut self,
        resource: &Arc<Resource>,
        key: super::store::Key,
        mut new: Value,
        dry: bool,
    ) -> Result<Arc<Value>, Refusal> {
        let family = resource.family();
        let there = self.state.store.get(&family, &key).cloned();
        let version = there.as_ref().map(|there| meta::text(&there.value, "resourceVersion").to_owned());
        meta::set(&mut new, "resourceVersion", version.map(Value::from));
        if let Some(there) = &there {
            fields::keep_times(&view::present(resource, there), &mut new);
        }
        let converted = view::converted(resource, &new);
        let stored = converted.as_ref().unwrap_or(&new);
        let whole = |there: &super::store::Stored| there.shape != super::store::WITHOUT_DEFAULTS;
        if dry || there.is_some_and(|there| *there.value == *stored && whole(&there)) {
            return Ok(Arc::new(new));
        }
        let stored = converted.unwrap_or(new);
        let name = key.1.clone();
        let Some(stored) = self.state.store.commit(&family, key, Some((stored, resource.shape()))) else {
            return Err(errors::internal("nothing was stored").into());
        };
        let written = view::present(resource, &stored);
        definitions::react(self, &family, &name);
        Ok(written)
    }

    /// Holds the version that is sent to that of the store.
    fn version_fits(&self, resource: &Resource, current: &Value, new: &mut Value) -> Result<(), Status> {
        let name = &self.target.name;
        let sent = sent_version(new)?;
        if sent == 0 {
            if resource.unconditional && resource.custom.is_none() {
                meta::set(new, "resourceVersion", meta::get(current, "resourceVersion").cloned());
                return Ok(());
            }
            let cause = errors::fault(
                "FieldValueInvalid",
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            );
            return Err(errors::invalid(&resource.group, &resource.plural, name, &[cause]));
        }
        let own = meta::text(current, "resourceVersion");
        if own == sent.to_string() { Ok(()) } else { Err(errors::stale(resource, name)) }
    }
}

/// The version that an object is sent with; 0 if there is none.
///
/// # Errors
/// It is no number.
pub(crate) fn sent_version(object: &Value) -> Result<u64, Status> {
    match meta::text(object, "resourceVersion") {
        "" => Ok(0),
        text => text.parse::<u64>().map_err(|_| errors::internal(errors::no_number("ParseUint", text))),
    }
}

/// The main resource keeps the status, the subresource keeps all that is neither status nor metadata.
fn keep_other_part(resource: &Resource, subresource: &str, current: &Value, new: &mut Value) {
    if !resource.has("status") {
        return;
    }
    let keep = |new: &mut Value, field: &str| {
        let value = current.get(field);
        if let Some(new) = new.as_object_mut().filter(|new| new.get(field) != value) {
            match value {
                Some(value) => new.insert(field.to_owned(), value.clone()),
                None => new.remove(field),
            };
        }
    };
    if subresource.is_empty() {
        keep(new, "status");
        return;
    }
    if subresource == "finalize" {
        return;
    }
    let fields: Vec<String> = new
        .as_object()
        .into_iter()
        .chain(current.as_object())
        .flatten()
        .map(|(field, _)| field.clone())
        .collect();
    for field in fields {
        if !["status", "metadata", "kind", "apiVersion"].contains(&field.as_str()) {
            keep(new, &field);
        }
    }
}

/// What an update cannot change, and what it changes by itself.
fn prepare(resource: &Resource, subresource: &str, current: &Value, new: &mut Value) {
    if subresource == "status" && resource.custom.is_some() {
        let managed = meta::of(new).remove_entry("managedFields").filter(|(_, value)| !value.is_null());
        let metadata = current.get("metadata").and_then(Value::as_object).into_iter().flatten();
        let kept = metadata.filter(|(field, _)| *field != "managedFields");
        new["metadata"] = kept.map(|(field, value)| (field.clone(), value.clone())).chain(managed).collect();
        for field in ["kind", "apiVersion"] {
            new[field] = current.get(field).cloned().unwrap_or_default();
        }
    }
    meta::set(new, "selfLink", None);
    if meta::text(new, "uid").is_empty() {
        meta::set(new, "uid", meta::get(current, "uid").cloned());
    }
    meta::set(new, "creationTimestamp", meta::get(current, "creationTimestamp").cloned());
    meta::set(new, "generation", meta::get(current, "generation").cloned());
    if let Some(time) = meta::get(current, "deletionTimestamp") {
        meta::set(new, "deletionTimestamp", Some(time.clone()));
    }
    if let (Some(grace), None) =
        (meta::get(current, "deletionGracePeriodSeconds"), meta::get(new, "deletionGracePeriodSeconds"))
    {
        meta::set(new, "deletionGracePeriodSeconds", Some(grace.clone()));
    }
    kind::prepare(resource, subresource, new, Some(current));
    meta::tidy(new);
    if resource.generation && differs(resource, current, new) {
        meta::next_generation(new);
    }
}

/// Whether two states of an object differ in what counts for its generation.
pub(crate) fn differs(resource: &Resource, one: &Value, other: &Value) -> bool {
    !content(resource, one).eq(content(resource, other))
}

/// What of an object counts for its generation.
fn content<'a>(resource: &Resource, object: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let status = resource.has("status");
    let counts = move |field: &str| field != "metadata" && !(status && field == "status");
    object.as_object().into_iter().flatten().filter(move |(field, _)| counts(field))
}

/// Whether nothing holds a terminating object any more.
pub(crate) fn may_go(object: &Value) -> bool {
    let grace = meta::get(object, "deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    let namespace = object.get("kind").and_then(Value::as_str) == Some("Namespace")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let spec = object.get("spec").and_then(|spec| spec.get("finalizers")).and_then(Value::as_array);
    meta::terminating(object)
        && meta::finalizers(object).is_empty()
        && grace == 0
        && !(namespace && spec.is_some_and(|finalizers| !finalizers.is_empty()))
}
