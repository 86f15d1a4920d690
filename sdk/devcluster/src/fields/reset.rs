//! Which fields a way of writing does not change, so that it does not come to own them.

/// Returns the fields that a write to this subresource (empty: to the object itself) leaves as they are, as `ResetFields` of the
/// registries of Kubernetes 1.34 say.
#[must_use]
pub fn reset(group: &str, resource: &str, subresource: &str, has_status: bool) -> &'static [&'static str] {
    match (group, resource, subresource) {
        ("", "pods", "status") => &["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"],
        ("apiextensions.k8s.io", "customresourcedefinitions", "status") => &["metadata", "spec"],
        (_, _, "status") => &["spec"],
        (_, _, "") if has_status => &["status"],
        _ => &[],
    }
}
