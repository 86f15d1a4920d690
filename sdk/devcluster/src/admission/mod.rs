//! Admission: ValidatingAdmissionPolicies, LimitRanges, ResourceQuotas.

mod cel;
mod check;
mod limits;
mod matching;
mod pods;
mod policy;
mod quota;
mod run;
mod selector;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use selector::selects;

use crate::access::{Objects, User};
use crate::status::Status;

/// Finds the plural of a kind by `apiVersion` and kind, and whether it is in namespaces.
pub type KindLookup<'a> = dyn Fn(&str, &str) -> Option<(String, bool)> + 'a;

/// A write, as admission sees it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub user: &'a User,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: &'a str,
    /// The group of the resource.
    pub group: &'a str,
    /// The version of the request.
    pub version: &'a str,
    /// All versions in which the resource is served.
    pub versions: &'a [&'a str],
    /// The resource in the plural.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The namespace, or empty; of a namespace its name.
    pub namespace: &'a str,
    /// The name; that was generated already. Empty for a collection.
    pub name: &'a str,
    /// What is to be stored; none for a deletion.
    pub object: Option<&'a Value>,
    /// What is stored.
    pub old: Option<&'a Value>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// The object CreateOptions, UpdateOptions, PatchOptions or DeleteOptions.
    pub options: &'a Value,
    /// Returns the plural of a kind by `apiVersion` and kind, and whether it is in namespaces.
    pub resource_of: &'a KindLookup<'a>,
}

/// Returns whether [`mutate`] changes anything of this resource.
#[must_use]
pub fn mutates(resource: &str) -> bool {
    resource == "pods"
}

/// Changes what is to be stored: the defaults of LimitRanges and of pods. It comes before the object is checked.
pub fn mutate(objects: &dyn Objects, request: &Request, object: &mut Value) {
    limits::mutate(objects, request, object);
    pods::mutate(request, object);
}

/// Checks what is to be stored or deleted, after the object itself was found valid; returns warnings.
///
/// # Errors
///
/// Returns the refusal of a LimitRange, a policy or a quota; 501 for a policy that cannot be run.
pub fn validate(objects: &dyn Objects, request: &Request) -> Result<Vec<String>, Status> {
    if request.group == "admissionregistration.k8s.io" && request.subresource.is_empty() {
        request.object.map_or(Ok(()), |object| check::check(request.resource, object))?;
    }
    limits::validate(objects, request)?;
    let warnings = policy::validate(objects, request)?;
    quota::validate(objects, request)?;
    Ok(warnings)
}

/// Returns the status that a ResourceQuota has now.
#[must_use]
pub fn quota_status(objects: &dyn Objects, quota: &Value) -> Value {
    quota::status(objects, quota)
}
