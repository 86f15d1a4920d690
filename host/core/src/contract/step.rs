//! A step of a strategy that works in steps: its view, its queries and its actions.

use super::object::{NamespacedName, ObjectRef, Selection};
use super::pod::{PodResult, PodRun};
use super::run::{Checkpoint, Condition, Event, Failure, Outcome};
use super::scalar::{Json, JsonPointer, Reason, Seconds, Timestamp};

/// The input of `step`.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The last checkpoint; none in the first call.
    pub checkpoint: Option<Checkpoint>,
    /// When the run entered its stage.
    pub stage_since: Timestamp,
    /// All answers since the last act of this wake.
    pub answers: Vec<Answer>,
    /// Results of the last act.
    pub results: Vec<ActionResult>,
}

/// The answer of `step`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// New checkpoint; none leaves it unchanged.
    pub checkpoint: Option<Checkpoint>,
    /// Conditions of the run.
    pub conditions: Vec<Condition>,
    /// Events of the run.
    pub events: Vec<Event>,
    /// The next move.
    pub decision: Decision,
}

/// The next move of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read these, and call again at once.
    Observe(Vec<Query>),
    /// Do these in order, and call again at once.
    Act(Vec<Action>),
    /// Call again later.
    Wait(Wait),
    /// End successfully, with an outcome exactly in mode backup.
    Done(Option<Outcome>),
    /// Fail.
    Fail(Failure),
}

/// A pause of a run until an event or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Reason of `Ready=False`.
    pub reason: Reason,
    /// Message of `Ready=False`.
    pub message: String,
    /// A change of one of these wakes the run.
    pub watch: Vec<Watch>,
    /// The run wakes after this time at the latest.
    pub recheck_after: Seconds,
    /// When the component stops waiting and decides anew.
    pub deadline: Timestamp,
}

/// A watch of a waiting run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// An object.
    Object(ObjectRef),
    /// A selection.
    Objects(Selection),
    /// A pod run, by name.
    Pod(String),
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// One object.
    Get(GetQuery),
    /// The objects of a selection.
    List(ListQuery),
    /// Last lines of a container's log.
    Log(LogQuery),
    /// Keys of a Secret.
    SecretKeys(NamespacedName),
    /// Result of a pod run of this run, by name.
    Pod(String),
}

/// Query for one object.
#[derive(Clone, Debug, PartialEq)]
pub struct GetQuery {
    /// The object.
    pub object: ObjectRef,
    /// Whether to read from the API server, not from a cache.
    pub live: bool,
    /// Fields to return; empty returns the whole object.
    pub fields: Vec<JsonPointer>,
}

/// Query for the objects of a selection.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// The selection.
    pub objects: Selection,
    /// Whether to read from the API server, not from a cache.
    pub live: bool,
    /// Fields to return; empty returns whole objects.
    pub fields: Vec<JsonPointer>,
    /// Most objects to return, 1 to 500.
    pub limit: u32,
}

/// Query for a container's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogQuery {
    /// The pod.
    pub pod: NamespacedName,
    /// Name of the container.
    pub container: String,
    /// Whether to read the log of the instance before the last restart.
    pub previous: bool,
    /// Number of lines, 1 to 200.
    pub lines: u32,
}

/// A query and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The query.
    pub query: Query,
    /// The content, or why it cannot be read.
    pub value: Result<Content, ReadError>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The object.
    Object(Json),
    /// The objects.
    Objects(ObjectList),
    /// The text.
    Log(String),
    /// The keys.
    SecretKeys(Vec<String>),
    /// The result of the pod run; none while it runs.
    Pod(Option<PodResult>),
}

/// Objects, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Json>,
    /// Whether these are all; false if the limit cut the list.
    pub complete: bool,
}

/// Why a query has no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No such object.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// The content is over the bounds.
    TooLarge,
    /// The access is declared, but not granted.
    Forbidden(String),
    /// A transient error, or any other.
    Unavailable(String),
}

/// An action.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create an object with a fixed name.
    Create(Create),
    /// Server-side apply.
    Apply(Apply),
    /// JSON merge patch.
    Patch(Patch),
    /// Delete the object with this uid.
    Delete(Delete),
    /// Start a pod run.
    RunPod(RunPod),
}

/// Action that creates an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// The object.
    pub manifest: Json,
    /// Whether to ask only if the API server would accept it.
    pub dry_run: bool,
}

/// Action that applies fields of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// The fields, with the object's kind and name.
    pub manifest: Json,
    /// Whether to take fields over from other field managers.
    pub force: bool,
}

/// Action that patches an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The object.
    pub object: ObjectRef,
    /// Uid that the object must have.
    pub uid: Option<String>,
    /// Resource version that the object must have.
    pub resource_version: Option<String>,
    /// JSON merge patch (RFC 7386).
    pub body: Json,
}

/// Action that deletes an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The object.
    pub object: ObjectRef,
    /// Uid that the object must have.
    pub uid: String,
    /// Resource version that the object must have.
    pub resource_version: Option<String>,
    /// Deletion of dependents.
    pub propagation: Propagation,
}

/// When and whether a deletion reaches the object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// Action that starts a pod run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPod {
    /// Name of the pod run: a DNS label of at most 16 bytes, unique in the run.
    pub name: String,
    /// The pod to run.
    pub spec: PodRun,
}

/// The result of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionResult {
    /// The object acted on.
    pub object: ObjectRef,
    /// The object as the API server returned it, or why the action failed.
    pub value: Result<Option<Json>, WriteError>,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteError {
    /// An object of that name exists and is not this run's.
    AlreadyExists(Json),
    /// No such object.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// A precondition failed, or another manager owns a field.
    Conflict(String),
    /// The schema or an admission webhook refused it.
    Invalid(String),
    /// The access is declared, but not granted.
    Forbidden(String),
    /// A transient error; the action may have succeeded all the same.
    Unavailable(String),
    /// An earlier action of the list failed.
    NotTried,
}
