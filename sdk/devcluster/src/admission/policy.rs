//! ValidatingAdmissionPolicies: evaluated for each binding, and for each of its parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::Value as Cel;
use serde_json::{Value, json};

use super::cel::{self as expressions, Authorizer};
use super::{Request, matching::matches, selects};
use crate::access::{Attributes, Objects, forbidden};
use crate::status::Status;

const GROUP: &str = "admissionregistration.k8s.io";
/// Longest text of a `messageExpression`, in bytes.
const LONGEST: usize = 5 * 1024;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What a validation that does not hold says.
struct Failure {
    reason: &'static str,
    message: String,
}

impl Failure {
    fn invalid(message: impl Into<String>) -> Self {
        Self { reason: "Invalid", message: message.into() }
    }
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

/// One evaluation of a policy.
struct Run<'a> {
    objects: &'a dyn Objects,
    request: &'a Request<'a>,
    variables: BTreeMap<String, Cel>,
    /// The composed variables that were evaluated, and why others could not be.
    composed: BTreeMap<String, Cel>,
    failed: BTreeMap<String, String>,
    authorizer: Authorizer,
}

impl<'a> Run<'a> {
    fn new(
        objects: &'a dyn Objects,
        request: &'a Request<'a>,
        version: &str,
        policy: &Value,
        parameter: Option<&Value>,
    ) -> Self {
        let slash = if request.group.is_empty() { "" } else { "/" };
        let api_version = format!("{}{slash}{version}", request.group);
        let object = |object: Option<&Value>| {
            object.map_or(Cel::Null, |object| {
                let mut object = object.clone();
                object["apiVersion"] = api_version.as_str().into();
                expressions::value(&object)
            })
        };
        let namespace = if request.namespace.is_empty() {
            None
        } else {
            objects.get("", "namespaces", "", request.namespace)
        };
        let own = Attributes {
            verb: "",
            namespace: request.namespace,
            group: request.group,
            resource: request.resource,
            subresource: request.subresource,
            name: request.name,
            path: "",
        };
        let authorizer = Authorizer::default();
        let mut variables = BTreeMap::from([
            ("object".to_owned(), object(request.object)),
            ("oldObject".to_owned(), object(request.old)),
            ("request".to_owned(), expressions::value(&described(request, version))),
            ("namespaceObject".to_owned(), namespace.as_deref().map_or(Cel::Null, expressions::value)),
            ("authorizer".to_owned(), authorizer.variable(&Attributes::default())),
            ("authorizer.requestResource".to_owned(), authorizer.variable(&own)),
        ]);
        if policy.pointer("/spec/paramKind").is_some() {
            variables.insert("params".to_owned(), parameter.map_or(Cel::Null, expressions::value));
        }
        Self { objects, request, variables, composed: BTreeMap::new(), failed: BTreeMap::new(), authorizer }
    }

    /// Returns what fails of a policy.
    fn policy(&mut self, policy: &Value, ignore: bool) -> Vec<Failure> {
        match self.concerned(list(policy, "/spec/matchConditions")) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(_) if ignore => return Vec::new(),
            Err(words) => return vec![Failure::invalid(words)],
        }
        for variable in list(policy, "/spec/variables") {
            let name = text(variable, "/name").to_owned();
            match self.evaluate(text(variable, "/expression")) {
                Ok(value) => _ = self.composed.insert(name, value),
                Err(words) => _ = self.failed.insert(name, words),
            }
        }
        let validations = list(policy, "/spec/validations").iter();
        validations.filter_map(|validation| self.validation(validation, ignore)).collect()
    }

    /// Returns whether all conditions hold: one that does not outweighs those that fail.
    fn concerned(&mut self, conditions: &[Value]) -> Result<bool, String> {
        let mut errors = Vec::new();
        for condition in conditions {
            let expression = text(condition, "/expression");
            match self.evaluate(expression) {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(words) => errors.push(format!("expression '{expression}' resulted in error: {words}")),
            }
        }
        match errors.as_slice() {
            [] => Ok(true),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }

    fn validation(&mut self, validation: &Value, ignore: bool) -> Option<Failure> {
        let expression = text(validation, "/expression").trim();
        match self.evaluate(expression) {
            Ok(Cel::Bool(true)) => return None,
            Ok(_) => {}
            Err(_) if ignore => return None,
            Err(words) => {
                return Some(Failure::invalid(format!(
                    "expression '{expression}' resulted in error: {words}"
                )));
            }
        }
        let reason = match text(validation, "/reason") {
            "Forbidden" => "Forbidden",
            "Unauthorized" => "Unauthorized",
            "RequestEntityTooLarge" => "RequestEntityTooLarge",
            _ => "Invalid",
        };
        let written = match text(validation, "/messageExpression") {
            "" => None,
            expression => match self.evaluate(expression) {
                Ok(Cel::String(text)) => Some(text.trim().to_owned()),
                _ => None,
            },
        };
        let message =
            written.filter(|text| !text.is_empty() && text.len() <= LONGEST && !text.contains('\n'));
        let plain = || match text(validation, "/message").trim() {
            "" => format!("failed expression: {expression}"),
            message => message.to_owned(),
        };
        Some(Failure { reason, message: message.unwrap_or_else(plain) })
    }

    /// Evaluates an expression; what it asks of the authorizer is answered, and then it is evaluated again.
    fn evaluate(&mut self, source: &str) -> Result<Cel, String> {
        self.variables.insert("variables".to_owned(), expressions::map(self.composed.clone()));
        loop {
            let result = expressions::run(source, &self.variables, &self.authorizer);
            if self.authorizer.answer(self.objects, self.request.user) {
                continue;
            }
            return result.map_err(|words| {
                let variable =
                    words.strip_prefix("no such key: ").and_then(|name| Some((name, self.failed.get(name)?)));
                variable.map_or_else(
                    || words.clone(),
                    |(name, why)| format!("composited variable \"{name}\" fails to evaluate: {why}"),
                )
            });
        }
    }
}

/// The variable `request`.
fn described(request: &Request, version: &str) -> Value {
    let kind = |version: &str| json!({"group": request.group, "version": version, "kind": request.kind});
    let resource =
        |version: &str| json!({"group": request.group, "version": version, "resource": request.resource});
    let mut described = json!({"kind": kind(version), "resource": resource(version), "requestKind": kind(request.version),
        "requestResource": resource(request.version), "operation": request.operation, "userInfo": request.user.info(),
        "dryRun": request.dry_run, "options": request.options});
    let texts = [
        ("name", request.name),
        ("namespace", request.namespace),
        ("subResource", request.subresource),
        ("requestSubResource", request.subresource),
    ];
    for (field, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        described[field] = value.into();
    }
    described
}
