//! Whether a policy or a binding is about a request.

use serde_json::Value;

use super::{Request, selects};
use crate::access::Objects;

fn texts<'a>(rule: &'a Value, name: &str) -> Vec<&'a str> {
    rule.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Returns the version of the kind in which what `matchConstraints` or `matchResources` describe is about the request; none if they are not
/// about it.
pub(super) fn matches<'r>(
    constraints: Option<&Value>,
    request: &Request<'r>,
    objects: &dyn Objects,
) -> Option<&'r str> {
    let Some(constraints) = constraints.filter(|constraints| !constraints.is_null()) else {
        return Some(request.version);
    };
    if !labels_match(constraints, request, objects) {
        return None;
    }
    let exact = constraints.get("matchPolicy").and_then(Value::as_str) == Some("Exact");
    let rules =
        |name: &str| constraints.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if rules("excludeResourceRules").iter().any(|rule| rule_version(rule, request, exact).is_some()) {
        return None;
    }
    match rules("resourceRules") {
        [] => Some(request.version),
        rules => rules.iter().find_map(|rule| rule_version(rule, request, exact)),
    }
}

/// Returns the version in which a rule is about the request: its own, else, unless the rule is exact, another that the kind has.
fn rule_version<'r>(rule: &Value, request: &Request<'r>, exact: bool) -> Option<&'r str> {
    let has = |name: &str, value: &str| texts(rule, name).iter().any(|one| *one == "*" || *one == value);
    let resource = |one: &&str| {
        let (resource, subresource) = one.split_once('/').unwrap_or((one, ""));
        (resource == "*" || resource == request.resource)
            && (subresource == "*" || subresource == request.subresource)
    };
    let names = texts(rule, "resourceNames");
    let is_namespace = request.group.is_empty() && request.resource == "namespaces";
    let in_namespace = !request.namespace.is_empty() && !is_namespace;
    let scope = match rule.get("scope").and_then(Value::as_str) {
        Some("Namespaced") => in_namespace,
        Some("Cluster") => !in_namespace,
        _ => true,
    };
    let fits = has("operations", request.operation)
        && has("apiGroups", request.group)
        && texts(rule, "resources").iter().any(resource)
        && (names.is_empty() || names.contains(&request.name))
        && scope;
    if !fits {
        return None;
    }
    let others = request.versions.iter().copied().filter(|_| !exact);
    std::iter::once(request.version).chain(others).find(|version| has("apiVersions", version))
}

fn labels_match(constraints: &Value, request: &Request, objects: &dyn Objects) -> bool {
    let selector = |name: &str| {
        constraints
            .get(name)
            .filter(|selector| selector.as_object().is_some_and(|selector| !selector.is_empty()))
    };
    let by_namespace = selector("namespaceSelector").is_none_or(|selector| {
        if request.group.is_empty() && request.resource == "namespaces" {
            return request.object.or(request.old).is_some_and(|object| selects(selector, object));
        }
        let namespace = || objects.get("", "namespaces", "", request.namespace);
        request.namespace.is_empty() || namespace().is_some_and(|namespace| selects(selector, &namespace))
    });
    let both = [request.object, request.old];
    by_namespace
        && selector("objectSelector")
            .is_none_or(|selector| both.into_iter().flatten().any(|object| selects(selector, object)))
}
