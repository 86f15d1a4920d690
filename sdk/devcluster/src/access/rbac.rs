//! Bindings and roles: what a user may do.

use std::sync::Arc;

use serde_json::Value;

use super::{Attributes, MASTERS, Objects, User, rules::Rule};
use crate::schema::go::quote;

pub(super) use super::RBAC as GROUP;

/// What was decided, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct Decision {
    pub(super) allowed: bool,
    /// Empty if there is nothing to say.
    pub(super) reason: String,
}

/// Checks that a user may do what is asked for.
///
/// # Errors
///
/// Says that the user may not, in the words of the API server.
pub fn authorize(objects: &dyn Objects, user: &User, asked: &Attributes) -> Result<(), String> {
    let decision = decide(objects, user, asked);
    if decision.allowed {
        return Ok(());
    }
    let (name, verb) = (quote(&user.name), asked.verb);
    let words = if asked.resource.is_empty() && !asked.path.is_empty() {
        format!("User {name} cannot {verb} path {}", quote(asked.path))
    } else {
        let place = if asked.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", quote(asked.namespace))
        };
        format!(
            "User {name} cannot {verb} resource {} in API group {} {place}",
            quote(&asked.combined()),
            quote(asked.group)
        )
    };
    Err(if decision.reason.is_empty() { words } else { format!("{words}: {}", decision.reason) })
}

pub(super) fn decide(objects: &dyn Objects, user: &User, asked: &Attributes) -> Decision {
    if user.in_group(MASTERS) {
        return Decision { allowed: true, reason: String::new() };
    }
    let mut missing = Vec::new();
    // The first one that allows it counts, so the others are not looked at.
    for grant in &*grants(objects, user, asked.namespace) {
        match &grant.rules {
            Ok(rules) if rules.iter().any(|rule| rule.allows(asked)) => {
                return Decision { allowed: true, reason: format!("RBAC: allowed by {}", grant.words) };
            }
            Ok(_) => {}
            Err(words) => missing.push(words.clone()),
        }
    }
    let reason = aggregate(&missing).map(|words| format!("RBAC: {words}")).unwrap_or_default();
    Decision { allowed: false, reason }
}

/// Returns several errors as one text.
pub(super) fn aggregate(errors: &[String]) -> Option<String> {
    let mut different: Vec<&str> = Vec::new();
    for error in errors {
        if !different.contains(&error.as_str()) {
            different.push(error);
        }
    }
    match different.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

/// What a binding gives the user that it names.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    words: String,
    /// The rules of the role, or the words for its absence.
    rules: Result<Vec<Rule>, String>,
}

/// Returns what the bindings of the cluster, and then those of a namespace, give a user.
fn grants(objects: &dyn Objects, user: &User, namespace: &str) -> Arc<[Grant]> {
    let read = || {
        let bindings = bindings(objects, namespace);
        bindings.iter().filter_map(|binding| grant(objects, binding, user, namespace)).collect()
    };
    match objects.kept() {
        Some(kept) => kept.grants(user, namespace, read),
        None => read(),
    }
}

/// Returns the bindings of the cluster, then those of the namespace.
fn bindings(objects: &dyn Objects, namespace: &str) -> Vec<Arc<Value>> {
    let mut bindings = objects.list(GROUP, "clusterrolebindings", None);
    if !namespace.is_empty() {
        bindings.extend(objects.list(GROUP, "rolebindings", Some(namespace)));
    }
    bindings
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    crate::at::at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

fn grant(objects: &dyn Objects, binding: &Value, user: &User, asked: &str) -> Option<Grant> {
    let subjects = binding.get("subjects").and_then(Value::as_array)?;
    let namespace = text(binding, "/metadata/namespace");
    let subject = subjects.iter().find(|subject| names(subject, user, namespace))?;
    let name = text(binding, "/metadata/name");
    let (kind, role) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
    let own = text(subject, "/namespace");
    let to = match text(subject, "/kind") {
        "ServiceAccount" => format!(
            "ServiceAccount \"{}/{}\"",
            text(subject, "/name"),
            if own.is_empty() { namespace } else { own }
        ),
        kind => format!("{kind} {:?}", text(subject, "/name")),
    };
    let words = if namespace.is_empty() {
        format!("ClusterRoleBinding {name:?} of {kind} {role:?} to {to}")
    } else {
        format!("RoleBinding \"{name}/{namespace}\" of {kind} {role:?} to {to}")
    };
    Some(Grant { words, rules: rules_of(objects, binding.get("roleRef")?, asked) })
}

fn names(subject: &Value, user: &User, namespace: &str) -> bool {
    let name = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => name == user.name,
        "Group" => user.in_group(name),
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let namespace = if own.is_empty() { namespace } else { own };
            !namespace.is_empty() && user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

/// Returns the rules of the role that a binding names.
///
/// # Errors
///
/// Says that there is no such role.
pub(super) fn rules_of(
    objects: &dyn Objects,
    reference: &Value,
    namespace: &str,
) -> Result<Vec<Rule>, String> {
    let name = text(reference, "/name");
    let cluster = text(reference, "/kind") == "ClusterRole";
    let (resource, namespace, singular) =
        if cluster { ("clusterroles", "", "clusterrole") } else { ("roles", namespace, "role") };
    let role = objects
        .get(GROUP, resource, namespace, name)
        .ok_or_else(|| format!("{singular}.{GROUP} {name:?} not found"))?;
    let mut rules = Vec::new();
    gather(objects, &role, &mut vec![], &mut rules);
    Ok(rules)
}

/// Adds the rules of a role, and of all that it aggregates: the aggregation controller would have written those into the role.
fn gather(objects: &dyn Objects, role: &Value, seen: &mut Vec<String>, rules: &mut Vec<Rule>) {
    let new: Vec<_> = Rule::of(role).into_iter().filter(|rule| !rules.contains(rule)).collect();
    rules.extend(new);
    seen.push(text(role, "/metadata/name").to_owned());
    let Some(selectors) = role.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array)
    else {
        return;
    };
    for other in objects.list(GROUP, "clusterroles", None) {
        let known = seen.iter().any(|name| name == text(&other, "/metadata/name"));
        if !known && selectors.iter().any(|selector| crate::admission::selects(selector, &other)) {
            gather(objects, &other, seen, rules);
        }
    }
}

/// Returns all rules of a user in a namespace, and the roles that were not found.
pub(super) fn all_rules(objects: &dyn Objects, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
    let (mut rules, mut missing) = (Vec::new(), Vec::new());
    for grant in &*grants(objects, user, namespace) {
        match &grant.rules {
            Ok(more) => rules.extend_from_slice(more),
            Err(words) => missing.push(words.clone()),
        }
    }
    (rules, missing)
}
