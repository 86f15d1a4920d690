//! ResourceQuotas. What is used is counted when it is asked for, so a quota holds from its first moment on; that of the API server
//! does not until a controller has counted.

use serde_json::{Map, Value};

use super::Request;
use super::limits::{Amounts, amounts, of_pod};
use crate::access::{Objects, forbidden};
use crate::kinds::quantity::Quantity;
use crate::status::Status;

/// Resources that each container of a pod must ask for where a quota counts them.
const ASKED: [&str; 6] = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
/// Resources of the core group that are counted by their plain name too.
const COUNTED: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// Returns what one object uses.
fn usage(group: &str, resource: &str, object: &Value) -> Amounts {
    let Ok(one) = Quantity::parse("1") else { return Amounts::new() };
    let phase = object.pointer("/status/phase").and_then(Value::as_str);
    if (group, resource) == ("", "pods") && matches!(phase, Some("Failed" | "Succeeded")) {
        return Amounts::from([("count/pods".to_owned(), one)]);
    }
    let dot = if group.is_empty() { "" } else { "." };
    let mut usage = Amounts::from([(format!("count/{resource}{dot}{group}"), one)]);
    if group.is_empty() && COUNTED.contains(&resource) {
        usage.insert(resource.to_owned(), one);
    }
    let mut add = |name: String, amount: &Quantity| _ = usage.insert(name, *amount);
    match (group, resource) {
        ("", "pods") => {
            for (name, amount) in &of_pod(object, "requests") {
                add(format!("requests.{name}"), amount);
                add(name.clone(), amount);
            }
            for (name, amount) in &of_pod(object, "limits") {
                add(format!("limits.{name}"), amount);
            }
        }
        ("", "persistentvolumeclaims") => {
            for (name, amount) in &amounts(object.pointer("/spec/resources/requests")) {
                add(format!("requests.{name}"), amount);
            }
        }
        _ => {}
    }
    usage
}

/// Returns the group and resource that a name in a quota counts.
fn counted(name: &str) -> (&str, &str) {
    match name.strip_prefix("count/") {
        Some(counted) => counted.split_once('.').map_or(("", counted), |(resource, group)| (group, resource)),
        None if COUNTED.contains(&name) => ("", name),
        None if name == "requests.storage" => ("", "persistentvolumeclaims"),
        None => ("", "pods"),
    }
}

fn namespace(quota: &Value) -> &str {
    quota.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
}

fn used(objects: &dyn Objects, quota: &Value, name: &str) -> Quantity {
    let (group, resource) = counted(name);
    let all = objects.list(group, resource, Some(namespace(quota)));
    let amounts = all.iter().filter_map(|object| usage(group, resource, object).get(name).copied());
    amounts.reduce(|sum, more| sum.plus(&more)).unwrap_or_else(Quantity::zero)
}

/// Returns the status of a quota: what is allowed, and what is used.
pub(super) fn status(objects: &dyn Objects, quota: &Value) -> Value {
    let hard = quota.pointer("/spec/hard").cloned().unwrap_or_default();
    let names = amounts(Some(&hard)).into_keys();
    let used: Map<_, _> =
        names.map(|name| (name.clone(), used(objects, quota, &name).to_string().into())).collect();
    serde_json::json!({"hard": hard, "used": used})
}

/// Checks what is to be created against the quotas of its namespace.
///
/// # Errors
///
/// 403 if there would be too much; 501 for a quota with a scope, or for what is not counted here.
pub(super) fn validate(objects: &dyn Objects, request: &Request) -> Result<(), Status> {
    let Some(object) =
        request.object.filter(|_| request.operation == "CREATE" && request.subresource.is_empty())
    else {
        return Ok(());
    };
    if request.group.is_empty() && request.resource == "resourcequotas" {
        modelled(object)?;
    }
    if request.namespace.is_empty() {
        return Ok(());
    }
    let wanted = usage(request.group, request.resource, object);
    let quotas = objects.list("", "resourcequotas", Some(request.namespace));
    let refuse = |words: String| Err(forbidden(request.group, request.resource, request.name, &words));
    for quota in &quotas {
        let name = quota.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let hard = amounts(quota.pointer("/spec/hard"));
        if let Some(words) = unasked(request, object, hard.keys()) {
            return refuse(format!("failed quota: {name}: must specify {words}"));
        }
    }
    for quota in &quotas {
        let name = quota.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let (mut requested, mut was, mut limited) = (Vec::new(), Vec::new(), Vec::new());
        for (what, most) in amounts(quota.pointer("/spec/hard")) {
            let Some(more) = wanted.get(&what).filter(|more| more.nanos() > 0) else { continue };
            let before = used(objects, quota, &what);
            if before.plus(more) > most {
                requested.push(format!("{what}={}", more));
                was.push(format!("{what}={}", before));
                limited.push(format!("{what}={most}"));
            }
        }
        if !requested.is_empty() {
            let lists = [requested, was, limited].map(|list| list.join(","));
            let [requested, was, limited] = lists;
            return refuse(format!(
                "exceeded quota: {name}, requested: {requested}, used: {was}, limited: {limited}"
            ));
        }
    }
    Ok(())
}

fn modelled(quota: &Value) -> Result<(), Status> {
    let refuse = |what: &str| Err(Status::new(501, "NotImplemented", format!("a ResourceQuota with {what}")));
    for scopes in ["scopes", "scopeSelector"] {
        if quota.pointer(&format!("/spec/{scopes}")).is_some_and(|scopes| !scopes.is_null()) {
            return refuse(&format!("spec.{scopes}"));
        }
    }
    let hard = amounts(quota.pointer("/spec/hard"));
    let of_storage =
        |name: &&String| name.contains(".storageclass.storage.k8s.io/") || name.starts_with("services.");
    hard.keys().find(of_storage).map_or(Ok(()), |name| refuse(&format!("the resource {name}")))
}

/// Returns the words for what containers of a pod must ask for and do not.
fn unasked<'h>(request: &Request, pod: &Value, hard: impl Iterator<Item = &'h String>) -> Option<String> {
    if !request.group.is_empty() || request.resource != "pods" {
        return None;
    }
    let mut lacking = Vec::new();
    for name in hard.filter(|name| ASKED.contains(&name.as_str())) {
        let (kind, resource) = name.split_once('.').unwrap_or(("requests", name));
        let lists = ["containers", "initContainers"]
            .map(|list| pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array));
        let lacks =
            |container: &&Value| container.pointer(&format!("/resources/{kind}/{resource}")).is_none();
        let mut containers: Vec<_> = lists
            .into_iter()
            .flatten()
            .flatten()
            .filter(lacks)
            .filter_map(|container| container["name"].as_str())
            .collect();
        containers.sort_unstable();
        if !containers.is_empty() {
            lacking.push(format!("{name} for: {}", containers.join(",")));
        }
    }
    (!lacking.is_empty()).then(|| lacking.join("; "))
}
