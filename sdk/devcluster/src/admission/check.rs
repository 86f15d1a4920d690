//! Whether a policy, or its binding, is well written and can be run.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use serde_json::{Value, json};

use super::cel::{Fault, bound, compile};
use crate::schema::{fault, go};
use crate::status::{Cause, Status};

const GROUP: &str = "admissionregistration.k8s.io";
const VARIABLES: [&str; 5] = ["object", "oldObject", "request", "namespaceObject", "authorizer"];
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
/// The lists of expressions in a policy, where the expression is, and what it must give.
const EXPRESSIONS: [(&str, &str, &str); 5] = [
    ("matchConditions", "expression", "bool"),
    ("variables", "expression", ""),
    ("validations", "expression", "bool"),
    ("validations", "messageExpression", "string"),
    ("auditAnnotations", "valueExpression", ""),
];

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    crate::at::at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.pointer(&format!("/spec/{name}")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Checks a ValidatingAdmissionPolicy, or a binding of one. Other resources pass.
///
/// # Errors
///
/// 422 for what the API server refuses; 501 for an expression that is not modelled, so that no policy is silently without effect.
pub(super) fn check(resource: &str, object: &Value) -> Result<(), Status> {
    let (kind, causes) = match resource {
        "validatingadmissionpolicies" => ("ValidatingAdmissionPolicy", policy(object)?),
        "validatingadmissionpolicybindings" => ("ValidatingAdmissionPolicyBinding", binding(object)),
        _ => return Ok(()),
    };
    let texts: Vec<_> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let words = match texts.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let name = text(object, "/metadata/name");
    let cause =
        |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
    let causes: Vec<_> = causes.iter().map(cause).collect();
    let message = format!("{kind}.{GROUP} {} is invalid: {words}", go::quote(name));
    Err(Status::new(422, "Invalid", message)
        .with(json!({"name": name, "group": GROUP, "kind": kind, "causes": causes})))
}

fn binding(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(object, "/spec/policyName").is_empty() {
        causes.push(fault::required("spec.policyName", ""));
    }
    let (actions, field) = (list(object, "validationActions"), "spec.validationActions");
    if actions.is_empty() {
        causes.push(fault::required(field, "at least one validation action is required"));
    }
    if actions.contains(&json!("Deny")) && actions.contains(&json!("Warn")) {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers \
            serves no purpose)";
        causes.push(fault::invalid(field, &json!(actions), why));
    }
    causes
}

fn policy(object: &Value) -> Result<Vec<Cause>, Status> {
    let mut causes = Vec::new();
    if list(object, "validations").is_empty() && list(object, "auditAnnotations").is_empty() {
        for field in ["spec.validations", "spec.auditAnnotations"] {
            causes.push(fault::required(
                field,
                "validations or auditAnnotations must contain at least one item",
            ));
        }
    }
    for (at, validation) in list(object, "validations").iter().enumerate() {
        let reason = text(validation, "/reason");
        if !reason.is_empty() && !REASONS.contains(&reason) {
            causes.push(fault::not_supported(
                format!("spec.validations[{at}].reason"),
                &reason.into(),
                &REASONS,
            ));
        }
    }
    for (name, field, wanted) in EXPRESSIONS {
        for (at, item) in list(object, name).iter().enumerate() {
            let path = format!("spec.{name}[{at}]");
            if matches!(name, "matchConditions" | "variables") && text(item, "/name").is_empty() {
                causes.push(fault::required(format!("{path}.name"), ""));
            }
            if let Some(source) = item.get(field).and_then(Value::as_str).filter(|source| !source.is_empty())
            {
                causes.extend(expression(object, &format!("{path}.{field}"), source, wanted)?);
            }
        }
    }
    Ok(causes)
}

fn expression(policy: &Value, field: &str, source: &str, wanted: &str) -> Result<Option<Cause>, Status> {
    let undeclared = |name: &str, at: usize| {
        let (column, before) = (at + 1, ".".repeat(at));
        let words = format!("undeclared reference to '{name}' (in container '')\n | {source}\n | {before}^");
        fault::invalid_text(field, source, &format!("compilation failed: ERROR: <input>:1:{column}: {words}"))
    };
    let program = match compile(source) {
        Ok(program) => program,
        Err(Fault::Undeclared(name)) => {
            let at = source.find(&format!("{name}(")).map_or(0, |at| at + name.len());
            return Ok(Some(undeclared(&name, at)));
        }
        Err(fault) => {
            let words = format!("{field} of a ValidatingAdmissionPolicy: {fault}");
            return Err(Status::new(501, "NotImplemented", words));
        }
    };
    let message = field.ends_with(".messageExpression");
    let given = |name: &str| match name {
        "authorizer" => !message,
        "params" => policy.pointer("/spec/paramKind").is_some_and(|kind| !kind.is_null()),
        "variables" => !list(policy, "variables").is_empty(),
        name => VARIABLES.contains(&name) || name.starts_with('@') || is_type(name),
    };
    let references = program.references();
    let mut names = references.variables();
    names.sort_unstable();
    let bound = bound(&program);
    if let Some(name) = names.into_iter().find(|name| !given(name) && !bound.contains(*name)) {
        return Ok(Some(undeclared(name, source.find(name).unwrap_or_default())));
    }
    let got = type_of(program.expression()).filter(|got| !wanted.is_empty() && *got != wanted);
    Ok(got.map(|got| fault::invalid_text(field, source, &format!("must evaluate to {wanted} but got {got}"))))
}

/// Returns whether a name is that of a type, or before that of a function.
fn is_type(name: &str) -> bool {
    let known = [
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "optional",
        "optional_type",
    ];
    known.contains(&name)
}

/// Returns the type that an expression has as it is written, where that is plain; a field of an object may be anything.
fn type_of(expression: &IdedExpr) -> Option<&'static str> {
    match &expression.expr {
        Expr::Literal(literal) => Some(match literal {
            LiteralValue::Boolean(_) => "bool",
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Double(_) => "double",
            LiteralValue::Int(_) => "int",
            LiteralValue::Null => "null_type",
            LiteralValue::String(_) => "string",
            LiteralValue::UInt(_) => "uint",
        }),
        Expr::Select(select) if select.test => Some("bool"),
        Expr::Select(select) => type_of(&select.operand).filter(|one| *one == "dyn"),
        Expr::Ident(name) => matches!(name.as_str(), "object" | "oldObject" | "params").then_some("dyn"),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT => Some("bool"),
            "size" => Some("int"),
            "string" | "join" => Some("string"),
            "startsWith" | "endsWith" | "contains" | "matches" => Some("bool"),
            _ => None,
        },
        _ => None,
    }
}
