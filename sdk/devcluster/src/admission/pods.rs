//! What every cluster puts into pods: their account, their priority, and for how long they stay on a node that is away.

use serde_json::{Map, Value, json};

use super::Request;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Gives to a pod what it lacks. The token of its account is not put in, and the account need not be there.
pub(super) fn mutate(request: &Request<'_>, pod: &mut Value) {
    if (request.group, request.resource, request.subresource) != ("", "pods", "") {
        return;
    }
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if request.operation == "CREATE" {
        let named = |spec: &Map<String, Value>, field: &str| {
            spec.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty())
        };
        if !named(spec, "serviceAccountName") {
            spec.insert("serviceAccountName".into(), "default".into());
            spec.insert("serviceAccount".into(), "default".into());
        }
        if !named(spec, "priorityClassName") {
            lacking(spec, "priority", json!(0));
            lacking(spec, "preemptionPolicy", "PreemptLowerPriority".into());
        }
    } else if let Some(old) = request.old.and_then(|old| old.get("spec")) {
        for field in ["priority", "preemptionPolicy"] {
            if let Some(kept) = old.get(field) {
                lacking(spec, field, kept.clone());
            }
        }
    }
    for taint in [NOT_READY, UNREACHABLE] {
        tolerate(spec, taint);
    }
}

fn lacking(spec: &mut Map<String, Value>, field: &str, value: Value) {
    if spec.get(field).is_none_or(Value::is_null) {
        spec.insert(field.into(), value);
    }
}

/// Lets a pod stay for five minutes where nothing else is said of this taint.
fn tolerate(spec: &mut Map<String, Value>, taint: &str) {
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if tolerations.is_null() {
        *tolerations = json!([]);
    }
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    let fits = |toleration: &Value, field: &str, wanted: &str| {
        let text = toleration.get(field).and_then(Value::as_str).unwrap_or_default();
        text.is_empty() || text == wanted
    };
    if !tolerations.iter().any(|one| fits(one, "key", taint) && fits(one, "effect", "NoExecute")) {
        tolerations.push(
            json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
        );
    }
}
