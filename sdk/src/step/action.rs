//! What the host is to do, and what came of it.

use serde_json::Value;

use crate::object::ObjectRef;
use crate::pod::PodRun;

/// One thing to do. All are idempotent, or fail with a precondition.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create an object with a fixed name.
    Create(Create),
    /// Server-side apply.
    Apply(Apply),
    /// JSON merge patch.
    Patch(Patch),
    /// Delete exactly the object seen.
    Delete(Delete),
    /// Start a pod run.
    RunPod(RunPod),
}

/// See [`Action::Create`].
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// What.
    pub manifest: Value,
    /// Only ask whether it would be accepted.
    pub dry_run: bool,
}

/// See [`Action::Apply`].
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// What; uid and resourceVersion in it are preconditions.
    pub manifest: Value,
    /// Take fields over from other managers.
    pub force: bool,
}

/// See [`Action::Patch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Which.
    pub object: ObjectRef,
    /// Precondition.
    pub uid: Option<String>,
    /// Precondition.
    pub resource_version: Option<String>,
    /// RFC 7386, of the access's fields.
    pub body: Value,
}

/// See [`Action::Delete`]. Success means accepted, not gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which.
    pub object: ObjectRef,
    /// Precondition.
    pub uid: String,
    /// Precondition.
    pub resource_version: Option<String>,
    /// What happens to dependents.
    pub propagation: Propagation,
}

/// What happens to dependents of a deleted object; the names are those of the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// See [`Action::RunPod`].
#[derive(Clone, Debug, PartialEq)]
pub struct RunPod {
    /// DNS label of at most 16 bytes, unique in the run.
    pub name: String,
    /// What to run.
    pub spec: PodRun,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionResult {
    /// What was acted on.
    pub object: ObjectRef,
    /// The object as the API server returned it (none for a dry run or a delete), or why not.
    pub value: Result<Option<Value>, WriteError>,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteError {
    /// The object, which is not this run's.
    AlreadyExists(Value),
    /// No such object.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// A precondition, or another field manager.
    Conflict(String),
    /// Refused by schema or admission.
    Invalid(String),
    /// Declared, but not granted.
    Forbidden(String),
    /// Transient; it may have happened all the same.
    Unavailable(String),
    /// An earlier one failed.
    NotTried,
}
