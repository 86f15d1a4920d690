//! Reading arguments. Their types were checked before, so the fallback cases cannot occur.

use crate::template::go::quote;
use crate::template::go::value::{List, Map, Value};

pub(super) fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Str(text) => text,
        _ => &[],
    }
}

pub(super) fn text(value: &Value) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes(value)) {
        Ok(text) => text.into(),
        Err(_) => quote::lossy(bytes(value)).into(),
    }
}

pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        _ => 0,
    }
}

pub(super) fn map(value: &Value) -> Option<&Map> {
    match value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

/// Reads a list from an argument of any type.
pub(super) fn list(value: &Value) -> Result<&List, String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(format!("a list is wanted, not {}", with_article(other))),
    }
}

pub(super) fn with_article(value: &Value) -> String {
    match value {
        Value::Missing | Value::Nil => "something missing or null".into(),
        other => format!("a {}", other.type_name()),
    }
}
