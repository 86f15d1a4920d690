//! ValidatingAdmissionPolicies: what the API server refuses before the controller sees it.
//!
//! The controller does not depend on them, it stands alone. They hold what RBAC cannot say: who may write a field, a label
//! or a finalizer of an object that others may write too. [`policies`] is the source of `deploy/admission`; see
//! docs/operations/admission.md.

mod bounds;
mod marks;
mod writers;

use serde_json::{Value, json};

/// Bounds of free-form fields.
pub use bounds::{OPTIONS_ENTRIES, OPTIONS_LEVELS, OPTIONS_TEXT};

/// Verb of RBAC that exempts a user, on `backups` of [`crate::GROUP`]: for administrators who repair objects by hand, and
/// for tools that restore them from a backup of the cluster.
pub const REPAIR: &str = "repair";

/// The controller that the policies know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Namespace of its ServiceAccount.
    pub namespace: String,
    /// Name of its ServiceAccount.
    pub service_account: String,
    /// API groups of the strategies that it serves.
    pub strategy_groups: Vec<String>,
}

impl Controller {
    /// User name of the controller.
    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }

    /// CEL: whether the request is the controller's.
    fn is_author(&self) -> String {
        format!("request.userInfo.username == {}", quoted(&self.user()))
    }

    /// CEL: whether the request is the controller's, or of somebody who may repair objects. Kubernetes' own controllers
    /// write what tenants tell them, whatever their rights.
    fn is_trusted(&self) -> String {
        format!(
            "{} || !({KUBERNETES}) && authorizer.group({}).resource(\"backups\").namespace(request.namespace).check({}).allowed()",
            self.is_author(),
            quoted(crate::GROUP),
            quoted(REPAIR)
        )
    }
}

/// CEL: whether the request is of a controller of Kubernetes.
const KUBERNETES: &str = "request.userInfo.username == \"system:kube-controller-manager\" || \
     request.userInfo.username.matches(\"^system:serviceaccount:kube-system:.*-controller$\")";

/// A policy, and the file that it goes into with its binding.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Name of the policy and of its binding; `NAME.yaml` in `deploy/admission`.
    pub name: &'static str,
    /// What the policy is for, in a sentence.
    pub purpose: &'static str,
    /// ValidatingAdmissionPolicy and ValidatingAdmissionPolicyBinding.
    pub objects: [Value; 2],
}

/// Returns the policies with their bindings, as in `deploy/admission`. Deterministic.
#[must_use]
pub fn policies(controller: &Controller) -> Vec<Policy> {
    vec![
        writers::statuses(controller),
        writers::backups(controller),
        writers::begun_runs(),
        marks::marks(controller),
        marks::jobs(controller),
        marks::pods(controller),
        bounds::options(),
    ]
}

/// Resources of an API group that a policy is about.
struct Resources<'a> {
    groups: &'a [String],
    operations: &'a [&'a str],
    resources: &'a [&'a str],
}

/// A rule of a policy.
struct Validation<'a> {
    expression: String,
    /// CEL: the message.
    message: &'a str,
}

/// The parts of a policy.
struct Parts<'a> {
    name: &'static str,
    purpose: &'static str,
    about: Resources<'a>,
    /// CEL: which requests are judged; all if empty.
    only_if: &'a str,
    /// CEL expressions that others name.
    variables: &'a [(&'a str, &'a str)],
    validations: Vec<Validation<'a>>,
}

fn policy(parts: Parts<'_>) -> Policy {
    let mut spec = json!({
        // An expression that costs too much or fails is a refusal.
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": parts.about.groups,
            "apiVersions": ["*"],
            "operations": parts.about.operations,
            "resources": parts.about.resources,
        }]},
        "variables": parts.variables.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect::<Vec<_>>(),
        "validations": parts.validations.iter().map(|rule| json!({
            "expression": rule.expression,
            "messageExpression": rule.message,
            "reason": "Forbidden",
        })).collect::<Vec<_>>(),
    });
    if !parts.only_if.is_empty() {
        spec["matchConditions"] = json!([{"name": "concerned", "expression": parts.only_if}]);
    }
    let object = |kind: &str, spec: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": parts.name, "labels": {"app.kubernetes.io/name": "backstay"}}, "spec": spec})
    };
    let binding = json!({"policyName": parts.name, "validationActions": ["Deny"]});
    Policy {
        name: parts.name,
        purpose: parts.purpose,
        objects: [
            object("ValidatingAdmissionPolicy", spec),
            object("ValidatingAdmissionPolicyBinding", binding),
        ],
    }
}

/// Writes a text as a literal of CEL.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Writes a list of texts as a literal of CEL.
fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", texts.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// What this controller reads and writes of an API group.
fn own_group() -> [String; 1] {
    [crate::GROUP.to_owned()]
}

#[cfg(test)]
mod tests;
