//! Patches.

mod json;
mod merge;
mod strategic;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::Call;
use super::errors::{self, Refusal, bad_request};
use super::negotiate::{self, PatchKind};
use super::options::{self, Validation, WriteOptions};
use super::resource::Resource;
use super::update::Update;
use super::{decode, kind, meta, view};
use crate::schema;
use crate::status::Status;

impl Call<'_> {
    /// Answers a PATCH.
    pub(crate) fn patch(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let kind = negotiate::patch_kind(self.request, resource)?;
        let look = self.look(resource)?;
        self.body_fits()?;
        let options = options::write(self.request, "PatchOptions", kind == PatchKind::Apply)?;
        let stored = self.state.store.get(&resource.family(), &self.key(resource));
        let current = stored.map(|stored| view::present(resource, stored));
        let (code, written) = if kind == PatchKind::Apply {
            let code = if current.is_some() { 200 } else { 201 };
            (code, self.apply(resource, current.as_ref(), &options)?)
        } else {
            let current = current.ok_or_else(|| errors::not_found(resource, &self.target.name))?;
            let new = self.patched(resource, &current, kind, options.validation)?;
            (200, self.change(resource, &current, new, &options, false)?)
        };
        self.answer(code, resource, &look, &written)
    }

    fn change(
        &mut self,
        resource: &Arc<Resource>,
        current: &Arc<Value>,
        mut new: Value,
        options: &WriteOptions,
        applied: bool,
    ) -> Result<Arc<Value>, Refusal> {
        let subresource = self.target.subresource.clone();
        self.named(resource, &mut new)?;
        self.update(&Update { resource, subresource: &subresource, options, applied }, current, new)
    }

    /// What a patch makes of an object.
    fn patched(
        &mut self,
        resource: &Resource,
        current: &Value,
        kind: PatchKind,
        validation: Validation,
    ) -> Result<Value, Status> {
        let decoding = if kind == PatchKind::Strategic { "" } else { "error decoding patch: " };
        let unread = |words: &str| bad_request(format!("{decoding}{words}"));
        let decoded = schema::decode(&self.request.body, false).map_err(|words| unread(&words))?;
        let made = || -> Result<Value, Status> {
            Ok(match (kind, &decoded.object) {
                (PatchKind::Json, Value::Array(operations)) => json::patched(current, operations)
                    .ok_or_else(|| {
                        let message = "the server rejected our request due to an error in our request";
                        Status::new(422, "Invalid", message).with(Value::Object(Map::new()))
                    })?,
                (PatchKind::Json, Value::Null) => current.clone(),
                (PatchKind::Json, other) => {
                    return Err(unread(&cannot_read(other, "[]handlers.jsonPatchOp")));
                }
                (PatchKind::Merge, Value::Null) => return Err(bad_request("Invalid JSON Patch")),
                (PatchKind::Strategic, Value::Null) => current.clone(),
                (PatchKind::Merge, Value::Object(patch)) => merge::patched(current, patch),
                (PatchKind::Strategic, Value::Object(patch)) => {
                    let mut new =
                        strategic::patched(resource.schema(), current, patch).map_err(bad_request)?;
                    // It is read as the kind that it is of, whatever it says.
                    new["kind"] = resource.kind.clone().into();
                    new["apiVersion"] = resource.api_version().into();
                    new
                }
                (_, other) => return Err(unread(&cannot_read(other, "map[string]interface {}"))),
            })
        };
        // What a refusal shows is made once more, as it was before it was read.
        let (new, shown) = (made()?, || made().unwrap_or_default());
        decode::patched(self, resource, new, validation, decoded.faults.clone(), shown)
    }

    fn apply(
        &mut self,
        resource: &Arc<Resource>,
        current: Option<&Arc<Value>>,
        options: &WriteOptions,
    ) -> Result<Arc<Value>, Refusal> {
        let decoded = schema::decode(&self.request.body, true);
        let decoded = decoded.map_err(|words| {
            bad_request(format!("error decoding YAML: error converting YAML to JSON: {words}"))
        })?;
        if !decoded.faults.is_empty() {
            match options.validation {
                Validation::Strict => {
                    let all = decoded.faults.join("\n");
                    let message = format!("error strict decoding YAML: error converting YAML to JSON: {all}");
                    return Err(bad_request(message).into());
                }
                Validation::Warn => {
                    let lines = decoded.faults.iter().flat_map(|fault| fault.lines());
                    lines.filter(|line| line.starts_with(' ')).for_each(|line| self.warn(line.trim()));
                }
                Validation::Ignore => {}
            }
        }
        let applied = match decoded.object {
            Value::Null => Value::Object(Map::new()),
            object @ Value::Object(_) => object,
            other => {
                let what = cannot_read(&other, "map[string]interface {}");
                let message =
                    format!("error decoding YAML: error unmarshaling JSON: while decoding JSON: {what}");
                return Err(bad_request(message).into());
            }
        };
        self.applicable(resource, &applied)?;
        if current.is_none() && !self.target.subresource.is_empty() {
            return Err(errors::not_found(resource, &self.target.name).into());
        }
        let mut new = self.applied(resource, current, &applied, options)?;
        kind::complete(resource, &mut new).map_err(|words| unconverted(resource, &applied, &words))?;
        let Some(current) = current else {
            let uid = meta::text(&applied, "uid");
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(errors::conflict(resource, &self.target.name, &why).into());
            }
            super::update::sent_version(&new)?;
            self.named(resource, &mut new)?;
            self.may("create")?;
            self.labelled = decode::is_labelled(&applied);
            return self.insert(resource, new, options, true);
        };
        self.change(resource, current, new, options, true)
    }

    /// Whether an object can be applied here.
    fn applicable(&self, resource: &Resource, applied: &Value) -> Result<(), Status> {
        let text = |field: &str| applied.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version != resource.api_version() || kind != resource.kind {
            let shown = match version {
                "" => "/",
                version if version.contains('/') => version,
                version => &format!("/{version}"),
            };
            return Err(bad_request(format!("invalid object type: {shown}, Kind={kind}")));
        }
        Ok(())
    }
}

/// What an apply answers whose result does not have the types of its kind.
fn unconverted(resource: &Resource, object: &Value, words: &str) -> Status {
    let version = resource.api_version();
    let shown = if resource.group.is_empty() { format!("/{version}") } else { version };
    let (namespace, name) = (meta::text(object, "namespace"), meta::text(object, "name"));
    let kind = format!("{shown}, Kind={}", resource.kind);
    errors::internal(format!(
        "failed to convert new object ({namespace}/{name}; {kind}) to proper version: unable to convert unstructured object to {kind}: \
         {}",
        converting(words)
    ))
}

/// What the converter of objects without types says for what the decoder of JSON says.
fn converting(words: &str) -> String {
    if words.starts_with("illegal base64 data") {
        return format!("error decoding from json: {words}");
    }
    match words.strip_prefix("json: cannot unmarshal number ").and_then(|rest| rest.rsplit_once(" of type "))
    {
        Some((_, wanted)) => format!("cannot convert float64 to {wanted}"),
        None => words.to_owned(),
    }
}

fn cannot_read(value: &Value, into: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {into}", schema::decode::named(value))
}
