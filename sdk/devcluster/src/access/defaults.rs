//! The cluster roles and bindings that a new cluster has.

use serde_json::{Value, json};

/// Those of Kubernetes 1.34.4 with its controllers; one object a line.
const ROLES: &str = include_str!("roles.json");

fn all() -> Vec<Value> {
    let mut roles: Vec<Value> = serde_json::from_str(ROLES).unwrap_or_default();
    for role in &mut roles {
        role["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
        role["metadata"]["annotations"] = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
        role["metadata"]["labels"]["kubernetes.io/bootstrapping"] = "rbac-defaults".into();
    }
    roles
}

fn of_controllers(role: &Value) -> bool {
    let name = role.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    name.starts_with("system:controller:")
        || name.starts_with("system:kube-")
        || name.starts_with("system:node")
}

/// Returns the cluster roles and bindings of a new cluster that are for its users: without uid, version and time.
#[must_use]
pub fn first_roles() -> Vec<Value> {
    all().into_iter().filter(|role| !of_controllers(role)).collect()
}

/// Returns those for the controllers, the scheduler and the nodes.
#[must_use]
pub fn controller_roles() -> Vec<Value> {
    all().into_iter().filter(of_controllers).collect()
}
