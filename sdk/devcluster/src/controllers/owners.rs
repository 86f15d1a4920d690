//! Owners of objects, as their metadata names them.

use serde_json::Value;

use crate::client::{items, text};

/// Returns the reference of the owner that controls an object.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)
}

/// Returns the name and the uid of the Job that controls an object.
pub(crate) fn job(object: &Value) -> Option<(&str, &str)> {
    let owner = controller(object)?;
    let is_job = owner["kind"] == "Job" && text(owner, "/apiVersion").starts_with("batch/");
    is_job.then(|| (text(owner, "/name"), text(owner, "/uid")))
}

/// Returns the finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    items(object, "/metadata/finalizers").iter().filter_map(Value::as_str).collect()
}

/// Whether an object has a finalizer.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    finalizers(object).contains(&finalizer)
}
