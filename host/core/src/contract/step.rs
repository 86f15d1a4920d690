//! A step of a resource strategy: what it sees, asks and does.

use super::object::{NamespacedName, ObjectRef, Selection};
use super::pod::{PodResult, PodRun};
use super::run::{Checkpoint, Condition, Event, Failure, Outcome};
use super::scalar::{Json, JsonPointer, Reason, Seconds, Timestamp};

/// What `step` sees.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// None in the first call.
    pub checkpoint: Option<Checkpoint>,
    /// When the run entered its stage.
    pub stage_since: Timestamp,
    /// All of this wake since the last act.
    pub answers: Vec<Answer>,
    /// Of the act just done.
    pub results: Vec<ActionResult>,
}

/// What `step` wants.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// None: unchanged.
    pub checkpoint: Option<Checkpoint>,
    /// For the run.
    pub conditions: Vec<Condition>,
    /// For the run.
    pub events: Vec<Event>,
    /// What to do next.
    pub decision: Decision,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read, and call again at once.
    Observe(Vec<Query>),
    /// Do these in order, and call again at once.
    Act(Vec<Action>),
    /// Call again later.
    Wait(Wait),
    /// End well; with an outcome exactly in mode backup.
    Done(Option<Outcome>),
    /// End badly.
    Fail(Failure),
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Reason of `Ready=False`.
    pub reason: Reason,
    /// Message of `Ready=False`.
    pub message: String,
    /// Wake when one of these changes.
    pub watch: Vec<Watch>,
    /// Wake after this time at the latest.
    pub recheck_after: Seconds,
    /// Past it the guest decides anew.
    pub deadline: Timestamp,
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// An object.
    Object(ObjectRef),
    /// A selection.
    Objects(Selection),
    /// A pod run, by name.
    Pod(String),
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// One object.
    Get(GetQuery),
    /// Several.
    List(ListQuery),
    /// Tail of a container's log.
    Log(LogQuery),
    /// Keys of a Secret.
    SecretKeys(NamespacedName),
    /// Result of a pod run of this run, by name.
    Pod(String),
}

/// See [`Query::Get`].
#[derive(Clone, Debug, PartialEq)]
pub struct GetQuery {
    /// Which.
    pub object: ObjectRef,
    /// Read from the API server now.
    pub live: bool,
    /// Only these; empty is all.
    pub fields: Vec<JsonPointer>,
}

/// See [`Query::List`].
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Which.
    pub objects: Selection,
    /// Read from the API server now.
    pub live: bool,
    /// Only these; empty is all.
    pub fields: Vec<JsonPointer>,
    /// 1 to 500.
    pub limit: u32,
}

/// See [`Query::Log`].
#[derive(Clone, Debug, PartialEq)]
pub struct LogQuery {
    /// Which pod.
    pub pod: NamespacedName,
    /// Which container.
    pub container: String,
    /// Of the instance before the last restart.
    pub previous: bool,
    /// 1 to 200.
    pub lines: u32,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was asked.
    pub query: Query,
    /// What was found.
    pub value: Result<Content, ReadError>,
}

/// What was found.
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
    /// None while it runs.
    Pod(Option<PodResult>),
}

/// Objects sorted by name, and whether that is all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Json>,
    /// False: the limit cut it.
    pub complete: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No such object.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// Over the bounds.
    TooLarge,
    /// Declared, but not granted.
    Forbidden(String),
    /// Transient, or anything else.
    Unavailable(String),
}

/// One thing to do.
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
    pub manifest: Json,
    /// Only ask whether it would be accepted.
    pub dry_run: bool,
}

/// See [`Action::Apply`].
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// What.
    pub manifest: Json,
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
    /// RFC 7386.
    pub body: Json,
}

/// See [`Action::Delete`].
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

/// What happens to dependents.
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
    /// The object as the API server returned it, or why not.
    pub value: Result<Option<Json>, WriteError>,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteError {
    /// The object, which is not this run's.
    AlreadyExists(Json),
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
