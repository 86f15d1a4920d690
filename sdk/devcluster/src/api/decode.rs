//! Bodies of requests as objects.

use serde_json::Value;

use super::call::Call;
use super::errors::{bad_request, internal, invalid};
use super::negotiate::{self, Media};
use super::options::{DeleteBody, Validation};
use super::request::Request;
use super::resource::Resource;
use super::{kind, meta};
use crate::schema::{self, go};
use crate::status::{Cause, Status};

/// An object as a client sent it, and what a strict decoder minds.
pub(crate) struct Sent {
    pub(crate) object: Value,
    pub(crate) faults: Vec<String>,
    /// Whether it has labels.
    pub(crate) labelled: bool,
}

/// How the fault of an unknown field of metadata begins: these are the same in all kinds.
const OF_METADATA: &str = "unknown field \"metadata.";

/// The Go type by which a kind is found out.
const TYPE_META: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// Reads the body of a create or an update.
///
/// # Errors
/// 400 and 415, in the words of kube-apiserver.
pub(crate) fn object(
    call: &mut Call<'_>,
    resource: &Resource,
    validation: Validation,
) -> Result<Sent, Status> {
    let media = negotiate::body_media(call.request)?;
    call.body_fits()?;
    let body = &call.request.body.clone();
    let refuse = |words: &str| bad_request(schema::unrecognized(&resource.kind, words, body));
    let unread = |words: &str| refuse(&format!("couldn't get version/kind; json parse error: {words}"));
    let decoded = schema::decode(body, media == Media::Yaml);
    let handled = |words: &str| {
        let (kind, version) = (&resource.kind, &resource.version);
        bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {words}"))
    };
    let decoded = decoded.map_err(|words| match media {
        Media::Yaml => refuse(&words),
        // The kind can be found out, the number cannot be read.
        Media::Json if words.starts_with("json: cannot unmarshal number ") => handled(&words),
        Media::Json => unread(&words),
    })?;
    let mut object = decoded.object;
    match &object {
        Value::Object(_) => {}
        Value::Null if resource.custom.is_none() => object = Value::Object(serde_json::Map::new()),
        Value::Null => return Err(refuse("Object 'Kind' is missing in 'null'")),
        other => {
            return Err(unread(&format!(
                "json: cannot unmarshal {} into Go value of type {TYPE_META}",
                schema::decode::named(other)
            )));
        }
    }
    for field in ["apiVersion", "kind"] {
        if let Some(other) = object.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            let what = format!(
                "json: cannot unmarshal {} into Go struct field .{field} of type string",
                schema::decode::named(other)
            );
            return Err(unread(&what));
        }
    }
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if resource.custom.is_some() {
        if kind.is_empty() {
            let shown = String::from_utf8_lossy(body);
            let words = format!("Object 'Kind' is missing in '{shown}'");
            // Who does not ask what is unknown is answered by another decoder.
            return Err(if validation == Validation::Ignore { handled(&words) } else { refuse(&words) });
        }
        let expected = resource.api_version();
        if version != expected {
            let mut sent = Sent { object: object.clone(), faults: decoded.faults.clone(), labelled: false };
            // A version that there is not knows no fields, and another group's are not looked at.
            let short = version.strip_prefix(&resource.group).and_then(|rest| rest.strip_prefix('/'));
            let short =
                short.filter(|short| call.state.served(&resource.group, short, &resource.plural).is_none());
            let known = short.is_some();
            let short = version.rsplit('/').next().unwrap_or_default();
            let refuse = |words: &str| {
                let own = &resource.kind;
                bad_request(format!("{kind} in version \"{short}\" cannot be handled as a {own}: {words}"))
            };
            typed(resource, &mut sent).map_err(|words| refuse(&words))?;
            if !known {
                sent.faults.retain(|fault| fault.starts_with(OF_METADATA));
            }
            if validation == Validation::Strict && !sent.faults.is_empty() {
                return Err(refuse(&strict(&sent.faults)));
            }
            mind(call, resource, &sent, validation)?;
            let message = format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            );
            return Err(bad_request(message));
        }
    } else {
        builtin_kind(call, resource, &version, &kind)?;
        object["kind"] = resource.kind.clone().into();
        object["apiVersion"] = resource.api_version().into();
    }
    let labelled = is_labelled(&object);
    let mut sent = Sent { object, faults: decoded.faults, labelled };
    typed(resource, &mut sent).map_err(|words| {
        let kind = sent.object.get("kind").and_then(Value::as_str).unwrap_or_default();
        let version = &resource.version;
        bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {}: {words}",
            resource.kind
        ))
    })?;
    Ok(sent)
}

/// Whether an object has labels.
pub(crate) fn is_labelled(object: &Value) -> bool {
    meta::get(object, "labels").and_then(Value::as_object).is_some_and(|labels| !labels.is_empty())
}

/// Whether a body is of the built-in kind of its path.
fn builtin_kind(call: &Call<'_>, resource: &Resource, version: &str, kind: &str) -> Result<(), Status> {
    builtin_words(call, resource, version, kind).map_err(|why| {
        let short = version.rsplit('/').next().filter(|short| !short.is_empty()).unwrap_or(&resource.version);
        let kind = if kind.is_empty() { resource.kind.as_str() } else { kind };
        bad_request(format!("{kind} in version \"{short}\" cannot be handled as a {}: {why}", resource.kind))
    })
}

/// Why an object is not of a built-in kind.
fn builtin_words(call: &Call<'_>, resource: &Resource, version: &str, kind: &str) -> Result<(), String> {
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let own_kind = kind.is_empty() || kind == resource.kind;
    let own_version = version.is_empty() || (group == resource.group && short == resource.version);
    if own_kind && own_version {
        return Ok(());
    }
    let (group, short) = if version.is_empty() {
        (resource.group.as_str(), resource.version.as_str())
    } else {
        (group, short)
    };
    let kind = if kind.is_empty() { resource.kind.as_str() } else { kind };
    let shown = if group.is_empty() { short.to_owned() } else { format!("{group}/{short}") };
    let why = if call.state.of_kind(group, short, kind).is_some_and(|other| other.custom.is_none()) {
        let package = match resource.group.split('.').next() {
            None | Some("") => "core",
            Some(package) => package,
        };
        format!("converting ({short}.{kind}) to ({package}.{}): unknown conversion", resource.kind)
    } else {
        format!(
            "no kind \"{kind}\" is registered for version \"{shown}\" in scheme \"pkg/runtime/scheme.go:110\""
        )
    };
    Err(why)
}

/// Holds an object to the types of its fields; what the schema does not know is taken out and told as a fault.
fn typed(resource: &Resource, sent: &mut Sent) -> Result<(), String> {
    // A list is read as a list, which knows of no other fields.
    let list = resource.custom.is_some() && sent.object.get("items").is_some_and(Value::is_array);
    let unknown = kind::receive(resource, &mut sent.object)?;
    sent.faults
        .extend(unknown.iter().filter(|_| !list).map(|path| format!("unknown field {}", go::quote(path))));
    Ok(())
}

/// What becomes of faults that a strict decoder minds in the body of a create or an update.
pub(crate) fn mind(
    call: &mut Call<'_>,
    resource: &Resource,
    sent: &Sent,
    validation: Validation,
) -> Result<(), Status> {
    match validation {
        Validation::Ignore => Ok(()),
        Validation::Warn => {
            sent.faults.iter().for_each(|fault| call.warn(fault.clone()));
            Ok(())
        }
        Validation::Strict if sent.faults.is_empty() => Ok(()),
        Validation::Strict => Err(bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {}",
            resource.kind,
            resource.version,
            resource.kind,
            strict(&sent.faults)
        ))),
    }
}

/// The text of a strict decoder.
pub(crate) fn strict(faults: &[String]) -> String {
    format!("strict decoding error: {}", faults.join(", "))
}

/// The 422 of a patch whose result cannot be decoded.
pub(crate) fn patched_fault(object: &Value, why: &str) -> Status {
    let shown = go::quote(&String::from_utf8_lossy(&go::body(object)));
    let message = format!("Invalid value: {shown}: {why}");
    let cause = Cause { reason: "FieldValueInvalid", message, field: "patch".into() };
    let mut status = invalid("", "", "", &[cause]);
    status.message = status.message.replacen("\"\"", " \"\"", 1).trim_start_matches("  ").to_owned();
    if !status.message.starts_with(" \"\"") {
        status.message.insert(0, ' ');
    }
    status
}

/// Holds what a patch made to the types of its fields, as [`object`] does. `shown` is what it made, for a refusal.
pub(crate) fn patched(
    call: &mut Call<'_>,
    resource: &Resource,
    object: Value,
    validation: Validation,
    faults: Vec<String>,
    shown: impl Fn() -> Value,
) -> Result<Value, Status> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, named) = (text("apiVersion"), text("kind"));
    if resource.custom.is_some() {
        if named.is_empty() {
            let whole = String::from_utf8_lossy(&go::body(&object)).into_owned();
            return Err(patched_fault(&object, &format!("Object 'Kind' is missing in '{whole}'")));
        }
        if version.is_empty() {
            let why = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
            let causes = serde_json::json!({"causes": [{"message": why}]});
            return Err(
                Status::new(500, "InternalError", format!("Internal error occurred: {why}")).with(causes)
            );
        }
    } else {
        builtin_words(call, resource, version, named).map_err(|why| patched_fault(&object, &why))?;
    }
    let own = version.strip_prefix(&resource.group).is_some_and(|rest| rest.starts_with('/'));
    let mut sent = Sent { labelled: is_labelled(&object), object, faults };
    typed(resource, &mut sent).map_err(|why| patched_fault(&shown(), &why))?;
    if resource.custom.is_some() && !own {
        // Nothing is known of the fields of another group.
        sent.faults.retain(|fault| fault.starts_with(OF_METADATA));
    }
    match validation {
        Validation::Strict if !sent.faults.is_empty() => Err(patched_fault(&shown(), &strict(&sent.faults))),
        Validation::Ignore => Ok(sent.object),
        _ => {
            sent.faults.iter().for_each(|fault| call.warn(fault.clone()));
            Ok(sent.object)
        }
    }
}

/// Reads the body of a delete.
pub(crate) fn delete_options(request: &Request) -> Result<DeleteBody, Status> {
    let media = negotiate::body_media(request)?;
    let decoded = schema::decode(&request.body, media == Media::Yaml);
    let unread = |words: &str| internal(format!("couldn't get version/kind; json parse error: {words}"));
    let object = decoded.map_err(|words| unread(&words))?.object;
    let Value::Object(map) = &object else {
        return match &object {
            Value::Null => Ok(DeleteBody(object)),
            other => Err(unread(&format!(
                "json: cannot unmarshal {} into Go value of type {TYPE_META}",
                schema::decode::named(other)
            ))),
        };
    };
    let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default();
    if !["", "DeleteOptions"].contains(&text("kind")) {
        let (version, kind) = (text("apiVersion"), text("kind"));
        return Err(internal(format!(
            "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:110\""
        )));
    }
    type Fits = fn(&Value) -> bool;
    const TYPES: [(&str, Fits, &str); 5] = [
        ("gracePeriodSeconds", Value::is_i64, "int64"),
        ("orphanDependents", Value::is_boolean, "bool"),
        ("propagationPolicy", Value::is_string, "v1.DeletionPropagation"),
        ("preconditions", Value::is_object, "v1.Preconditions"),
        ("dryRun", Value::is_array, "[]string"),
    ];
    for (field, fits, kind) in TYPES {
        if let Some(value) = map.get(field).filter(|value| !value.is_null() && !fits(value)) {
            let named = schema::decode::named(value);
            return Err(internal(format!(
                "json: cannot unmarshal {named} into Go struct field DeleteOptions.{field} of type {kind}"
            )));
        }
    }
    for (field, kind) in [("uid", "types.UID"), ("resourceVersion", "string")] {
        let value = map.get("preconditions").and_then(|all| all.get(field));
        if let Some(value) = value.filter(|value| !value.is_null() && !value.is_string()) {
            let named = schema::decode::named(value);
            return Err(internal(format!(
                "json: cannot unmarshal {named} into Go struct field Preconditions.preconditions.{field} of type {kind}"
            )));
        }
    }
    Ok(DeleteBody(object))
}

/// The name of an object, which a create may leave to the server.
pub(crate) fn name(object: &Value) -> &str {
    meta::text(object, "name")
}
