//! Nobody gives rights that they do not have.

use serde_json::Value;

use super::{
    Attributes, MASTERS, Objects, User, forbidden,
    rbac::{GROUP, aggregate, all_rules, decide, rules_of},
    rules::{Rule, quoted},
};
use crate::schema::go::quote;
use crate::status::Status;

/// Checks that who writes a role or a binding has the rights that it gives, or the right to `escalate` or to `bind`. Other resources pass.
///
/// # Errors
///
/// 403 if not; 404 if the role that is bound is not there.
pub fn escalation(
    objects: &dyn Objects,
    user: &User,
    resource: &str,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let binding = matches!(resource, "rolebindings" | "clusterrolebindings");
    if user.in_group(MASTERS) || !binding && !matches!(resource, "roles" | "clusterroles") {
        return Ok(());
    }
    let text = |pointer: &str| new.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    let role = if binding { text("/roleRef/name") } else { name };
    let role_resource = match (resource, text("/roleRef/kind")) {
        ("rolebindings" | "clusterrolebindings", "ClusterRole") | ("clusterroles", _) => "clusterroles",
        _ => "roles",
    };
    let verb = if binding { "bind" } else { "escalate" };
    let right = Attributes {
        verb,
        namespace,
        group: GROUP,
        resource: role_resource,
        name: role,
        ..Attributes::default()
    };
    if decide(objects, user, &right).allowed || old.is_some_and(|old| same_but_ends(old, new)) {
        return Ok(());
    }
    let refuse = |words: &str| Err(forbidden(GROUP, resource, name, words));
    let aggregates = |object: &Value| object.get("aggregationRule").filter(|rule| !rule.is_null()).cloned();
    if !binding && (aggregates(new).is_some() || old.is_some_and(|old| aggregates(old).is_some())) {
        let all = |list: &mut Vec<String>| list.push("*".to_owned());
        let (mut resources, mut paths) = (Rule::default(), Rule::default());
        [&mut resources.verbs, &mut resources.api_groups, &mut resources.resources].into_iter().for_each(all);
        [&mut paths.verbs, &mut paths.paths].into_iter().for_each(all);
        if old.and_then(aggregates) != aggregates(new)
            && missing(objects, user, namespace, &[resources, paths]).is_some()
        {
            return refuse("must have cluster-admin privileges to use the aggregationRule");
        }
    }
    let rules = if binding {
        let reference = new.get("roleRef").unwrap_or(&Value::Null);
        rules_of(objects, reference, namespace).map_err(|_| not_found(resource, role))?
    } else {
        Rule::of(new)
    };
    missing(objects, user, namespace, &rules).map_or(Ok(()), |words| refuse(&words))
}

/// The API server names the binding's resource and the role's name.
fn not_found(resource: &str, name: &str) -> Status {
    let details = serde_json::json!({"name": name, "group": GROUP, "kind": resource});
    Status::new(404, "NotFound", format!("{resource}.{GROUP} {name:?} not found")).with(details)
}

/// Returns whether two objects differ at most in what lets the garbage collector end them.
fn same_but_ends(old: &Value, new: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
                metadata.remove(field);
            }
        }
        object
    };
    without(old) == without(new)
}

/// Returns the words for the rules that the user does not have.
fn missing(objects: &dyn Objects, user: &User, namespace: &str, rules: &[Rule]) -> Option<String> {
    let (own, unknown) = all_rules(objects, user, namespace);
    let mut lacking: Vec<Rule> = Vec::new();
    let parts = rules.iter().flat_map(Rule::parts);
    for part in parts.filter(|part| !own.iter().any(|rule| rule.covers(part))) {
        if !lacking.iter_mut().any(|rule| rule.joins(&part)) {
            lacking.push(part);
        }
    }
    if lacking.is_empty() {
        return None;
    }
    let mut lines: Vec<_> = lacking.iter().map(Rule::words).collect();
    lines.sort();
    lines.dedup();
    let errors =
        aggregate(&unknown).map(|words| format!("; resolution errors: [{words}]")).unwrap_or_default();
    let (name, groups) = (quote(&user.name), quoted(&user.groups));
    let words = "is attempting to grant RBAC permissions not currently held:\n";
    Some(format!("user {name} (groups={groups}) {words}{}{errors}", lines.join("\n")))
}
