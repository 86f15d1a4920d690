//! Faults of fields in the words of the API server.

use serde_json::Value;

use super::go;
use crate::status::Cause;

fn cause(reason: &'static str, field: impl Into<String>, message: String) -> Cause {
    Cause { reason, message, field: field.into() }
}

fn with(message: String, detail: &str) -> String {
    if detail.is_empty() { message } else { format!("{message}: {detail}") }
}

/// Returns a value as messages quote it: texts in quotes, all else as JSON.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => go::quote(text),
        Value::Number(number) if number.is_f64() => go::float(number.as_f64().unwrap_or_default()),
        other => go::json(other),
    }
}

/// The value is not what it must be.
#[must_use]
pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, with(format!("Invalid value: {}", shown(value)), detail))
}

/// The value is a text that is not what it must be.
#[must_use]
pub fn invalid_text(field: impl Into<String>, value: &str, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, with(format!("Invalid value: {}", go::quote(value)), detail))
}

/// The value is of another type.
#[must_use]
pub fn wrong_type(field: impl Into<String>, value: &str, detail: &str) -> Cause {
    cause("FieldValueTypeInvalid", field, with(format!("Invalid value: {}", go::quote(value)), detail))
}

/// The value is missing.
#[must_use]
pub fn required(field: impl Into<String>, detail: &str) -> Cause {
    cause("FieldValueRequired", field, with("Required value".to_owned(), detail))
}

/// The value may not be set.
#[must_use]
pub fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
    cause("FieldValueForbidden", field, with("Forbidden".to_owned(), detail))
}

/// The value is there already.
#[must_use]
pub fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
    cause("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)))
}

/// The value is none of those that are known.
#[must_use]
pub fn not_supported<S: AsRef<str>>(field: impl Into<String>, value: &Value, known: &[S]) -> Cause {
    let known: Vec<String> = known.iter().map(|one| go::quote(one.as_ref())).collect();
    let detail =
        if known.is_empty() { String::new() } else { format!("supported values: {}", known.join(", ")) };
    cause("FieldValueNotSupported", field, with(format!("Unsupported value: {}", shown(value)), &detail))
}

/// The value has more bytes than it may have.
#[must_use]
pub fn too_long(field: impl Into<String>, most: u64) -> Cause {
    let bytes = if most == 1 { "byte" } else { "bytes" };
    cause("FieldValueTooLong", field, format!("Too long: may not be more than {most} {bytes}"))
}

/// The value has more items than it may have.
#[must_use]
pub fn too_many(field: impl Into<String>, there: usize, most: u64) -> Cause {
    let items = if most == 1 { "item" } else { "items" };
    cause("FieldValueTooMany", field, format!("Too many: {there}: must have at most {most} {items}"))
}

/// The value differs from the one that is stored, and may not.
#[must_use]
pub fn immutable(field: impl Into<String>, value: &Value) -> Cause {
    invalid(field, value, "field is immutable")
}

/// This crate does not do what is asked for; the API server would.
#[must_use]
pub fn not_modelled(field: impl Into<String>, what: &str) -> Cause {
    cause("NotImplemented", field, format!("not modelled by devcluster: {what}"))
}

/// Whether the rules of a CRD are not checked because of this fault.
#[must_use]
pub fn is_blocking(cause: &Cause) -> bool {
    matches!(
        cause.reason,
        "FieldValueNotSupported"
            | "FieldValueRequired"
            | "FieldValueTooLong"
            | "FieldValueTooMany"
            | "FieldValueTypeInvalid"
    )
}

/// The fault that says that the rules of a CRD were not checked.
#[must_use]
pub fn unchecked() -> Cause {
    invalid(
        "<nil>",
        &Value::Null,
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
    )
}

/// Returns the path of a field in an object.
#[must_use]
pub fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Returns the path of an entry of a map.
#[must_use]
pub fn key(path: &str, key: &str) -> String {
    format!("{path}[{key}]")
}

/// Returns the path of an item of a list.
#[must_use]
pub fn index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
