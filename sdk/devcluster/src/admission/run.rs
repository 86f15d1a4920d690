//! One evaluation of a policy: its conditions, variables and validations.

use std::collections::BTreeMap;

use cel::Value as Cel;
use serde_json::{Value, json};

use super::Request;
use super::cel::{self as expressions, Authorizer};
use super::policy::{list, text};
use crate::access::{Attributes, Objects};

/// Longest text of a `messageExpression`, in bytes.
const LONGEST: usize = 5 * 1024;

/// What a validation that does not hold says.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { reason: "Invalid", message: message.into() }
    }
}

/// One evaluation of a policy.
pub(super) struct Run<'a> {
    objects: &'a dyn Objects,
    request: &'a Request<'a>,
    variables: BTreeMap<String, Cel>,
    /// The composed variables that were evaluated, and why others could not be.
    composed: BTreeMap<String, Cel>,
    failed: BTreeMap<String, String>,
    authorizer: Authorizer,
}

impl<'a> Run<'a> {
    pub(super) fn new(
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
    pub(super) fn policy(&mut self, policy: &Value, ignore: bool) -> Vec<Failure> {
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
