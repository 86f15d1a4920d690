//! Actions of the host, and their results.

use serde_json::Value;

use crate::object::ObjectRef;
use crate::pod::PodRun;

/// An action. Each is idempotent, or fails on a precondition.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create an object with a fixed name.
    Create(Create),
    /// Server-side apply.
    Apply(Apply),
    /// JSON merge patch.
    Patch(Patch),
    /// Delete the object with the given uid.
    Delete(Delete),
    /// Start a pod run.
    RunPod(RunPod),
}

/// See [`Action::Create`].
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// The object.
    pub manifest: Value,
    /// Only validate the object: nothing is created.
    pub dry_run: bool,
}

/// See [`Action::Apply`].
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// The object. A uid and a resourceVersion in it are preconditions.
    pub manifest: Value,
    /// Take over fields from other field managers.
    pub force: bool,
}

/// See [`Action::Patch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The object.
    pub object: ObjectRef,
    /// Precondition: the object's uid.
    pub uid: Option<String>,
    /// Precondition: the object's resourceVersion.
    pub resource_version: Option<String>,
    /// The merge patch (RFC 7386). It may set only the fields of the access.
    pub body: Value,
}

/// See [`Action::Delete`]. Success means that the API server accepted the request; the object may still exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The object.
    pub object: ObjectRef,
    /// Precondition: the object's uid.
    pub uid: String,
    /// Precondition: the object's resourceVersion.
    pub resource_version: Option<String>,
    /// The handling of dependents.
    pub propagation: Propagation,
}

/// The handling of the dependents of a deleted object, with the names of the Kubernetes API.
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
    /// The pod.
    pub spec: PodRun,
}

/// The result of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionResult {
    /// The object of the action.
    pub object: ObjectRef,
    /// The object as the API server returned it (`None` for a dry run or a delete), or the error.
    pub value: Result<Option<Value>, WriteError>,
}

/// The error of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteError {
    /// The object exists and belongs to another run; its content.
    AlreadyExists(Value),
    /// The object does not exist.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// A precondition failed, or another field manager owns a field.
    Conflict(String),
    /// The schema or admission refused the object.
    Invalid(String),
    /// The descriptor declares the access, but RBAC does not grant it.
    Forbidden(String),
    /// A transient error; the action may have taken effect nevertheless.
    Unavailable(String),
    /// An earlier action failed, so this one was not tried.
    NotTried,
}
