//! One thing that the hostile tenant does.

use serde_json::Value;

/// The namespace of the hostile tenant.
pub(super) const NAMESPACE: &str = "mallory";
/// Another namespace of the same tenant.
pub(super) const OTHER: &str = "mallory-too";
/// Stands for the uid of the object that the first request of an input made.
pub(super) const UID: &str = "$UID";
/// Stands in an object for JSON that `serde_json` would not write.
pub(super) const HERE: &str = "$HERE";

pub(super) const BACKUPS: &str = "/apis/backups.cozystack.io/v1alpha1";
pub(super) const APPLICATIONS: &str = "/apis/apps.cozystack.io/v1alpha1";

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: &'static str,
    pub path: String,
    pub content: &'static str,
    pub body: String,
}

/// An object that has to say something in the end.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub plural: &'static str,
    pub name: String,
}

/// Requests that are made one after the other.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Group of the table.
    pub group: &'static str,
    /// What is hostile about it.
    pub about: String,
    pub requests: Vec<Request>,
    /// The run or Plan that a human asks about.
    pub object: Option<Object>,
}

impl Input {
    /// Whether an admission policy refuses the first request, rather than the CRD or nobody.
    pub(super) fn refused_by_policy(&self) -> bool {
        match self.group {
            "options of RestoreJobs" => self.about.ends_with("9900 maps in one another"),
            "Jobs and pods" => self.about.starts_with("Job with our labels"),
            _ => self.about.ends_with("with our labels"),
        }
    }
}

/// Returns the request that creates an object.
pub(super) fn create(api: &str, namespace: &str, plural: &str, body: String) -> Request {
    let path = format!("{api}/namespaces/{namespace}/{plural}");
    Request { method: "POST", path, content: "application/json", body }
}

/// Returns the request that merges a patch into an object of the hostile namespace.
pub(super) fn merge(api: &str, plural: &str, name: &str, body: String) -> Request {
    let path = format!("{api}/namespaces/{NAMESPACE}/{plural}/{name}");
    Request { method: "PATCH", path, content: "application/merge-patch+json", body }
}

/// Returns the request that deletes an object of the hostile namespace.
pub(super) fn delete(api: &str, plural: &str, name: &str, policy: &str) -> Request {
    let path = format!("{api}/namespaces/{NAMESPACE}/{plural}/{name}?propagationPolicy={policy}");
    Request { method: "DELETE", path, content: "application/json", body: String::new() }
}

/// Writes an object with `json` in the place of [`HERE`].
pub(super) fn with(object: &Value, json: &str) -> String {
    object.to_string().replacen(&format!("\"{HERE}\""), json, 1)
}
