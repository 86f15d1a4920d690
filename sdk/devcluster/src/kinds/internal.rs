//! Values as the API server shows those that it holds in types of its own: with all fields, in the order and with the names of Go.
//!
//! `internal.txt` is made by `tests/data/internal.go`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::schema::fault;
use crate::schema::go;
use crate::status::Cause;

/// A field: its name in Go, its name in JSON, and how it is written.
type Field = (&'static str, String, &'static str);

static TYPES: LazyLock<BTreeMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let field = |text: &'static str| {
        let (name, kind) = text.split_once(':')?;
        let (name, external) = name.split_once('=').unwrap_or((name, ""));
        let external = if external.is_empty() { small(name) } else { external.to_owned() };
        Some((name, external, kind))
    };
    let line = |line: &'static str| {
        let (name, fields) = line.split_once(' ')?;
        Some((name, fields.split(' ').filter_map(field).collect()))
    };
    include_str!("internal.txt").lines().filter_map(line).collect()
});

/// Returns a name with a small beginning: `HostPID` is `hostPID`.
fn small(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + characters.as_str())
}

/// Returns a value as the API server shows it, which holds it in this type.
pub(super) fn shown(type_: &str, value: &Value) -> String {
    let mut text = String::new();
    if value.is_null() {
        return "null".to_owned();
    }
    write(type_, value, &mut text);
    text
}

fn write(kind: &str, value: &Value, text: &mut String) {
    if let Some(inner) = kind.strip_prefix('*') {
        match value {
            Value::Null => text.push_str("null"),
            value => write(inner, value, text),
        }
    } else if let Some(inner) = kind.strip_prefix("[]") {
        match value {
            Value::Array(items) => {
                list(text, '[', ']', items.iter(), |item, text| write(inner, item, text));
            }
            _ => text.push_str("null"),
        }
    } else if let Some(inner) = kind.strip_prefix("{}") {
        match value {
            Value::Object(entries) => list(text, '{', '}', entries.iter(), |(name, value), text| {
                text.push_str(&go::json(&Value::from(name.as_str())));
                text.push(':');
                write(inner, value, text);
            }),
            _ => text.push_str("null"),
        }
    } else {
        plain(kind, value, text);
    }
}

fn plain(kind: &str, value: &Value, text: &mut String) {
    let nothing = match kind {
        "s" => "\"\"",
        "b" => "false",
        "n" | "intstr.IntOrString" => "0",
        "resource.Quantity" => "\"0\"",
        _ => "null",
    };
    match kind {
        "v1.LabelSelector" => text.push_str(&selector(value)),
        _ if TYPES.contains_key(kind) => fields(kind, value, text),
        _ if value.is_null() => text.push_str(nothing),
        _ => text.push_str(&go::json(value)),
    }
}

fn fields(type_: &str, value: &Value, text: &mut String) {
    let mut parts: Vec<String> = Vec::new();
    for (name, external, kind) in TYPES.get(type_).into_iter().flatten() {
        if *kind == "meta" {
            parts.extend(metadata(value.get("metadata")));
            continue;
        }
        let mut inner = value.get(external).cloned().unwrap_or_default();
        if type_ == "core.PodSpec" && *name == "SecurityContext" {
            inner = security_context(value);
        }
        let mut part = format!("{}:", go::json(&Value::from(*name)));
        write(kind, &inner, &mut part);
        parts.push(part);
    }
    text.push('{');
    text.push_str(&parts.join(","));
    text.push('}');
}

/// Returns the security context with what is beside it in the published type of a pod's spec.
fn security_context(spec: &Value) -> Value {
    let mut context = spec.get("securityContext").cloned().unwrap_or_default();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
        if let (Some(context), Some(value)) = (context.as_object_mut(), spec.get(field)) {
            context.insert(field.to_owned(), value.clone());
        }
    }
    context
}

/// Returns the fields of metadata in the order of Go; those that are nothing are not written.
fn metadata(metadata: Option<&Value>) -> Vec<String> {
    const ORDER: [&str; 14] = [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    ];
    let there = ORDER.into_iter().filter_map(|field| Some((field, metadata?.get(field)?)));
    there.map(|(field, value)| format!("{}:{}", go::json(&Value::from(field)), go::json(value))).collect()
}

/// Returns a selector of labels as Go writes it.
pub(super) fn selector(selector: &Value) -> String {
    if !selector.is_object() {
        return "null".to_owned();
    }
    let mut parts = Vec::new();
    let there = |field: &str| selector.get(field).filter(|value| !value.is_null());
    if let Some(labels) = there("matchLabels") {
        parts.push(format!("\"matchLabels\":{}", go::json(labels)));
    }
    if let Some(expressions) = there("matchExpressions") {
        parts.push(format!("\"matchExpressions\":{}", go::json(expressions)));
    }
    format!("{{{}}}", parts.join(","))
}

fn list<T>(
    text: &mut String,
    open: char,
    close: char,
    items: impl Iterator<Item = T>,
    mut one: impl FnMut(T, &mut String),
) {
    text.push(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            text.push(',');
        }
        one(item, text);
    }
    text.push(close);
}

/// The value, shown as this text, is not what it must be.
pub(super) fn invalid(field: impl Into<String>, shown: &str, detail: &str) -> Cause {
    Cause {
        message: format!("Invalid value: {shown}: {detail}"),
        ..fault::invalid(field, &Value::Null, detail)
    }
}

/// The value, which is not shown, is not what it must be.
pub(super) fn plain_invalid(field: impl Into<String>, detail: &str) -> Cause {
    Cause { message: format!("Invalid value: {detail}"), ..fault::invalid(field, &Value::Null, detail) }
}

/// The value names nothing that is there.
pub(super) fn not_found(field: impl Into<String>, value: &str) -> Cause {
    Cause {
        reason: "FieldValueNotFound",
        message: format!("Not found: {}", go::quote(value)),
        field: field.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_shown_as_the_api_server_holds_it() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"hostNetwork": true, "securityContext": {},
            "containers": [{"name": "a", "image": "", "resources": {"limits": {"cpu": "1"}}}], "dnsPolicy": "Default"}});
        let text = shown("core.PodTemplateSpec", &template);
        let begins = "{\"labels\":{\"a\":\"b\"},\"Spec\":{\"Volumes\":null,\"InitContainers\":null,\"Containers\":[{\"Name\":\"a\",\"Image\":\"\",\"Command\":null,\"Args\":null,\"WorkingDir\":\"\",\"Ports\":null,\"EnvFrom\":null,\"Env\":null,\"Resources\":{\"Limits\":{\"cpu\":\"1\"},\"Requests\":null,\"Claims\":null},";
        assert!(text.starts_with(begins), "{text}");
        let ends = "\"DNSPolicy\":\"Default\",\"NodeSelector\":null,\"ServiceAccountName\":\"\",\"AutomountServiceAccountToken\":null,\"NodeName\":\"\",\"SecurityContext\":{\"HostNetwork\":true,\"HostPID\":false,";
        assert!(text.contains(ends), "{text}");
        assert_eq!(
            shown("rbac.RoleRef", &json!({"apiGroup": "g", "kind": "Role", "name": "x"})),
            "{\"APIGroup\":\"g\",\"Kind\":\"Role\",\"Name\":\"x\"}"
        );
        assert_eq!(shown("batch.PodFailurePolicy", &Value::Null), "null");
    }
}
