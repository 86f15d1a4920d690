//! Whether a policy can be run as it is written.

use serde_json::{Value, json};

use super::cel::compile;
use crate::status::Status;

const VARIABLES: [&str; 8] = [
    "object",
    "oldObject",
    "request",
    "namespaceObject",
    "authorizer",
    "params",
    "variables",
    "authorizer.requestResource",
];

/// Checks that a ValidatingAdmissionPolicy can be run. Other resources pass.
///
/// # Errors
///
/// 422 for a name that is not there; 501 for an expression that is not modelled, so that no policy is silently without effect.
pub(super) fn check(policy: &Value) -> Result<(), Status> {
    let lists = [
        ("matchConditions", "expression"),
        ("variables", "expression"),
        ("validations", "expression"),
        ("validations", "messageExpression"),
        ("auditAnnotations", "valueExpression"),
    ];
    for (list, field) in lists {
        for (at, item) in policy
            .pointer(&format!("/spec/{list}"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            if let Some(source) = item.get(field).and_then(Value::as_str).filter(|source| !source.is_empty())
            {
                expression(policy, &format!("spec.{list}[{at}].{field}"), source)?;
            }
        }
    }
    Ok(())
}

fn expression(policy: &Value, field: &str, source: &str) -> Result<(), Status> {
    let program = compile(source).map_err(|words| {
        Status::new(501, "NotImplemented", format!("{field} of a ValidatingAdmissionPolicy: {words}"))
    })?;
    let given = |name: &str| match name {
        "params" => policy.pointer("/spec/paramKind").is_some_and(|kind| !kind.is_null()),
        "variables" => policy
            .pointer("/spec/variables")
            .and_then(Value::as_array)
            .is_some_and(|variables| !variables.is_empty()),
        name => VARIABLES.contains(&name) || name.starts_with('@') || cel_knows(name),
    };
    let references = program.references();
    let mut names = references.variables();
    names.sort_unstable();
    let bound = super::cel::bound(&program);
    match names.into_iter().find(|name| !given(name) && !bound.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(undeclared(policy, field, source, name)),
    }
}

/// Names of types and namespaces of functions.
fn cel_knows(name: &str) -> bool {
    [
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
    ]
    .contains(&name)
}

fn undeclared(policy: &Value, field: &str, source: &str, name: &str) -> Status {
    let at = source.find(name).unwrap_or_default();
    let error = format!(
        "ERROR: <input>:1:{}: undeclared reference to '{name}' (in container '')\n | {source}\n | {}^",
        at + 1,
        ".".repeat(at)
    );
    let message = format!("Invalid value: {source:?}: compilation failed: {error}");
    let object = policy.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
    let causes = json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
    Status::new(422, "Invalid", format!("{kind}.{group} {object:?} is invalid: {field}: {message}"))
        .with(json!({"name": object, "group": group, "kind": kind, "causes": causes}))
}
