//! Refusals that several handlers give, in the words of kube-apiserver.

use serde_json::{Map, Value, json};

use super::resource::Resource;
use crate::schema::go;
use crate::status::{Cause, Status};

/// Why there is no ordinary answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A `Status`.
    Status(Status),
    /// A text, as from a server that knows no such path.
    Text(u16, String),
    /// A version of the future is asked for: the caller waits for it.
    Later(u64),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a path that is not served answers outside the built-in groups.
pub(crate) fn no_page() -> Refusal {
    Refusal::Text(404, "404 page not found\n".into())
}

/// `details`: what is empty is left out.
pub(crate) fn details(name: &str, group: &str, kind: &str) -> Map<String, Value> {
    [("name", name), ("group", group), ("kind", kind)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

fn about(code: u16, reason: &'static str, message: String, details: Map<String, Value>) -> Status {
    Status::new(code, reason, message).with(Value::Object(details))
}

pub(crate) fn not_found(resource: &Resource, name: &str) -> Status {
    let message = format!("{} \"{name}\" not found", resource.qualified());
    about(404, "NotFound", message, details(name, &resource.group, &resource.plural))
}

pub(crate) fn already_exists(resource: &Resource, name: &str, terminating: bool) -> Status {
    let being = if terminating { "object is being deleted: " } else { "" };
    let message = format!("{being}{} \"{name}\" already exists", resource.qualified());
    about(409, "AlreadyExists", message, details(name, &resource.group, &resource.plural))
}

pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Status {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
    about(409, "Conflict", message, details(name, &resource.group, &resource.plural))
}

/// The object has been written since it was read.
pub(crate) fn stale(resource: &Resource, name: &str) -> Status {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(resource, name, why)
}

/// A condition of a delete does not hold: this text names the kind, not the plural.
pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Status {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified_kind());
    about(409, "Conflict", message, details(name, &resource.group, &resource.kind))
}

pub(crate) fn bad_request(message: impl Into<String>) -> Status {
    Status::new(400, "BadRequest", message)
}

/// A fault that the API server does not classify.
pub(crate) fn internal(message: impl Into<String>) -> Status {
    Status::new(500, "", message)
}

/// This crate does not do what is asked for.
pub(crate) fn not_implemented(what: impl std::fmt::Display) -> Status {
    Status::new(501, "NotImplemented", format!("devcluster does not model this: {what}"))
}

/// The server knows the group but not the path.
pub(crate) fn no_such_resource() -> Status {
    Status::new(404, "NotFound", "the server could not find the requested resource").with(json!({}))
}

/// A built-in kind does not have this method.
pub(crate) fn no_such_method() -> Status {
    let message = "the server does not allow this method on the requested resource";
    Status::new(405, "MethodNotAllowed", message).with(json!({}))
}

/// A custom kind does not have this verb.
pub(crate) fn no_such_verb(resource: &Resource, verb: &str) -> Status {
    let message = format!("{verb} is not supported on resources of kind \"{}\"", resource.qualified());
    about(405, "MethodNotAllowed", message, details("", &resource.group, &resource.plural))
}

pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Status {
    let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
    about(403, "Forbidden", message, details(name, &resource.group, &resource.plural))
}

/// 422 with its causes. `kind` is what the text names; some texts name the plural.
pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Status {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let all = match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    };
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let mut details = details(name, group, kind);
    details.insert("causes".into(), causes.iter().map(cause).collect());
    about(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {all}"), details)
}

fn cause(cause: &Cause) -> Value {
    let mut value = json!({"message": cause.message, "field": cause.field});
    if !cause.reason.is_empty() {
        value["reason"] = cause.reason.into();
    }
    value
}

/// A fault of a field with a value that is shown as JSON.
pub(crate) fn fault(reason: &'static str, field: &str, value: &Value, why: &str) -> Cause {
    let what = match reason {
        "FieldValueNotSupported" => "Unsupported value",
        _ => "Invalid value",
    };
    Cause { reason, message: format!("{what}: {value}: {why}"), field: field.into() }
}

/// A field that may not be there.
pub(crate) fn forbidden_field(field: &str, why: &str) -> Cause {
    Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
}

/// A value that is none of those allowed.
pub(crate) fn unsupported(field: &str, value: &Value, allowed: &[&str]) -> Cause {
    let allowed = allowed.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
    fault("FieldValueNotSupported", field, value, &format!("supported values: {allowed}"))
}

/// What a version of the future answers after three seconds.
pub(crate) fn too_large(version: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {version}, current: {current}");
    let cause = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    Status::new(504, "Timeout", message).with(json!({"causes": cause, "retryAfterSeconds": 1}))
}

/// What Go's `strconv` says of a text that is no number.
pub(crate) fn no_number(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {}: invalid syntax", go::quote(text))
}

/// What is said of a resourceVersion that is no number.
pub(crate) fn no_version(text: &str) -> String {
    let quoted = go::quote(text);
    format!("resourceVersion: Invalid value: {quoted}: {}", no_number("ParseUint", text))
}
