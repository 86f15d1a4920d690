//! ValidatingAdmissionPolicies: evaluated for each binding, and for each of its parameters.

use std::sync::Arc;

use serde_json::{Value, json};

use super::run::{Failure, Run};
use super::{Request, matching::matches, selects};
use crate::access::{Objects, forbidden};
use crate::status::Status;

const GROUP: &str = "admissionregistration.k8s.io";

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    crate::at::at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    crate::at::at(object, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Checks a request against all policies that are bound; returns warnings.
///
/// # Errors
///
/// Returns the first refusal.
pub(super) fn validate(objects: &dyn Objects, request: &Request) -> Result<Vec<String>, Status> {
    let mut warnings = Vec::new();
    let own = [
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    ];
    if request.group == GROUP && own.contains(&request.resource) {
        return Ok(warnings);
    }
    for binding in objects.list(GROUP, "validatingadmissionpolicybindings", None) {
        let name = text(&binding, "/spec/policyName");
        let Some(policy) = objects.get(GROUP, "validatingadmissionpolicies", "", name) else { continue };
        let Some(version) = matches(policy.pointer("/spec/matchConstraints"), request, objects) else {
            continue;
        };
        if matches(binding.pointer("/spec/matchResources"), request, objects).is_none() {
            continue;
        }
        let failures = failures(objects, request, version, &policy, &binding);
        let binding_name = text(&binding, "/metadata/name");
        let which = format!("ValidatingAdmissionPolicy '{name}' with binding '{binding_name}'");
        let actions: Vec<_> =
            list(&binding, "/spec/validationActions").iter().filter_map(Value::as_str).collect();
        if actions.contains(&"Warn") {
            let warned =
                failures.iter().map(|failure| format!("Validation failed for {which}: {}", failure.message));
            warnings.extend(warned);
        }
        if let Some(failure) = failures.first().filter(|_| actions.contains(&"Deny")) {
            return Err(denied(
                request,
                failure.reason,
                &format!("{which} denied request: {}", failure.message),
            ));
        }
    }
    Ok(warnings)
}

fn denied(request: &Request, reason: &'static str, message: &str) -> Status {
    let name = if request.name.is_empty() { "Unknown" } else { request.name };
    let mut status = forbidden(request.group, request.resource, name, message);
    status.reason = reason;
    status.code = match reason {
        "Forbidden" => 403,
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    let causes = json!([{"message": message}]);
    status.details.get_or_insert_default().insert("causes".to_owned(), causes);
    status
}

/// Returns what fails of a policy, for each of the binding's parameters.
fn failures(
    objects: &dyn Objects,
    request: &Request,
    version: &str,
    policy: &Value,
    binding: &Value,
) -> Vec<Failure> {
    let ignore = text(policy, "/spec/failurePolicy") == "Ignore";
    match parameters(objects, request, policy, binding) {
        Ok(parameters) => {
            let run = |parameter: &Option<Arc<Value>>| {
                Run::new(objects, request, version, policy, parameter.as_deref()).policy(policy, ignore)
            };
            parameters.iter().flat_map(run).collect()
        }
        Err(_) if ignore => Vec::new(),
        Err(failure) => vec![failure],
    }
}

/// Returns the parameters of a binding: none as such if the policy has none.
fn parameters(
    objects: &dyn Objects,
    request: &Request,
    policy: &Value,
    binding: &Value,
) -> Result<Vec<Option<Arc<Value>>>, Failure> {
    let (kind, reference) = (policy.pointer("/spec/paramKind"), binding.pointer("/spec/paramRef"));
    let (Some(kind), Some(reference)) =
        (kind.filter(|kind| !kind.is_null()), reference.filter(|reference| !reference.is_null()))
    else {
        return Ok(vec![None]);
    };
    let api_version = text(kind, "/apiVersion");
    let words = || {
        Failure::invalid(format!(
            "failed to configure policy: failed to find resource referenced by paramKind: '{api_version}, Kind={}'",
            text(kind, "/kind")
        ))
    };
    let (resource, namespaced) = (request.resource_of)(api_version, text(kind, "/kind")).ok_or_else(words)?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let own = text(reference, "/namespace");
    let namespace = match (namespaced, own.is_empty()) {
        (false, _) => "",
        (true, true) => request.namespace,
        (true, false) => own,
    };
    let found: Vec<_> = match text(reference, "/name") {
        "" => {
            let selector = reference.get("selector").unwrap_or(&Value::Null);
            let all = objects.list(group, &resource, namespaced.then_some(namespace));
            all.into_iter().filter(|object| selects(selector, object)).map(Some).collect()
        }
        name => objects.get(group, &resource, namespace, name).into_iter().map(Some).collect(),
    };
    if found.is_empty() && text(reference, "/parameterNotFoundAction") == "Deny" {
        let words = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
        return Err(Failure::invalid(words));
    }
    Ok(found)
}
