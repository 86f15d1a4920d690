//! The contract with a strategy component, in Rust: what `wit/v0.1/strategy.wit` says, one type for one type.
//!
//! These are the only types of the contract outside `backstay-engine`, whatever WIT version a component speaks:
//! the engine converts each served version to them in one place. JSON arguments and answers are parsed values
//! here; times are seconds since the epoch, as in the contract.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A parsed JSON value; the comment at its use names the schema.
pub type Json = serde_json::Value;
/// RFC 6901, such as `/spec/suspend`. Empty is the whole document.
pub type JsonPointer = String;
/// Seconds since 1970-01-01T00:00:00Z.
pub type Timestamp = i64;
/// A length of time in seconds.
pub type Seconds = u32;
/// `[A-Za-z][A-Za-z0-9]*`, at most 64 bytes: reason of a condition, an event and a metric alike.
pub type Reason = String;
/// Name and value, sorted by name.
pub type Pairs = BTreeMap<String, String>;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Make a backup.
    Backup,
    /// Restore one.
    Restore,
    /// Clean up after a Backup that is being deleted.
    Cleanup,
}

impl Mode {
    /// The word used in labels and templates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Cleanup => "cleanup",
        }
    }
}

/// A kind in an API group; group `""` is core.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// A name in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamespacedName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// `v1` or `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// None for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The objects of one kind that match a label selector, in one namespace or cluster-wide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// `v1` or `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// None: cluster-wide.
    pub namespace: Option<String>,
    /// kubectl's selector syntax; empty matches all.
    pub labels: String,
}

/// What a component serves and asks for. Read once, at load.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// DNS label, at most 40 bytes.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// Kinds served, 1 to 8.
    pub kinds: Vec<StrategyKind>,
    /// JSON Schema of BackupClass parameters.
    pub parameters_schema: Json,
    /// JSON Schema of `RestoreJob.spec.options`.
    pub options_schema: Json,
    /// Accesses asked for.
    pub access: Vec<Access>,
    /// Namespaces outside the run's, with their usual names.
    pub namespaces: Pairs,
    /// Stages that `step` may name.
    pub stages: Vec<Stage>,
    /// The longest that a run may take.
    pub longest_run: Seconds,
    /// Versions of this component whose Backups it restores, as Cargo version requirements.
    pub restores: Vec<String>,
    /// Option that names the target namespace of a restore.
    pub target_namespace_option: Option<String>,
    /// What it can do and needs.
    pub traits: Traits,
}

impl Descriptor {
    /// The entry for `kind`, if this component serves it.
    #[must_use]
    pub fn serves(&self, kind: &GroupKind) -> Option<&StrategyKind> {
        self.kinds.iter().find(|k| k.group == kind.group && k.kind == kind.kind)
    }
}

/// A strategy kind served.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyKind {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural, as in the CRD's name.
    pub plural: String,
    /// Structural OpenAPI v3 schema of `.spec`; `$ref`s to `io.k8s.api.core.v1.<Kind>` are expanded by the host.
    pub schema: Json,
    /// Application kinds it can back up; empty means any.
    pub applications: Vec<GroupKind>,
}

/// What a component can do, and what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Serves mode `restore`.
    pub restore: bool,
    /// Serves mode `cleanup`.
    pub cleanup: bool,
    /// Wants to be called when a run is deleted or out of time.
    pub cancel: bool,
    /// Needs the platform's credentials Secret in the run's namespace.
    pub credentials: bool,
    /// Restores only with a strategy spec.
    pub strategy_on_restore: bool,
    /// Restores and cleans up Backups that name no component.
    pub unpinned: bool,
}

/// One kind of object and what to do with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural, as the API server serves it.
    pub plural: String,
    /// Where.
    pub scope: Scope,
    /// What.
    pub verbs: Verbs,
    /// Fields that apply and patch may set, with all below them.
    pub fields: Vec<JsonPointer>,
    /// All must hold for the object as it is and as it would become.
    pub guards: Vec<Guard>,
}

/// Where an access holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The run's namespace.
    Run,
    /// The target's namespace.
    Target,
    /// Cluster scope.
    Cluster,
    /// One of [`Descriptor::namespaces`].
    Named(String),
}

/// What an access allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Verbs {
    pub get: bool,
    pub list: bool,
    pub watch: bool,
    pub create: bool,
    pub dry_run: bool,
    pub apply: bool,
    pub patch: bool,
    pub delete: bool,
    pub purge: bool,
    pub logs: bool,
    pub keys: bool,
}

/// The string at `at` must equal `value`, or begin with it where it ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Where.
    pub at: JsonPointer,
    /// What; `{namespace}`, `{run-uid}`, `{application}` and `{target-namespace}` are substituted.
    pub value: String,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// In which mode.
    pub mode: Mode,
    /// Its name.
    pub name: String,
    /// What happens in it, for people.
    pub about: String,
    /// Data may be gone from here on: the checkpoint outlives a run that ends badly here.
    pub keeps_checkpoint: bool,
}

/// A finding. Errors refuse the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Points into `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    pub at: JsonPointer,
    /// What is wrong.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Refuses the run.
    Error,
    /// Is shown, and the run goes on.
    Warning,
}

/// The run, as a call is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the run is for.
    pub mode: Mode,
    /// The BackupJob or RestoreJob, or on cleanup the Backup.
    pub run: ObjectRef,
    /// Its uid.
    pub run_uid: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the host will cancel it.
    pub deadline: Timestamp,
    /// The time, the same in all calls of a wake.
    pub now: Timestamp,
    /// Which of [`Descriptor::kinds`].
    pub strategy_kind: GroupKind,
    /// The strategy's `.spec`.
    pub strategy: Option<Json>,
    /// Parameters of the BackupClass entry, or of the Backup.
    pub parameters: Pairs,
    /// `RestoreJob.spec.options`, an object.
    pub options: Option<Json>,
    /// The application acted on.
    pub application: ObjectRef,
    /// On restore and cleanup.
    pub backup: Option<Backup>,
    /// [`Descriptor::namespaces`] with the names in force.
    pub namespaces: Pairs,
    /// What an earlier run on this target left behind.
    pub inherited: Option<Inherited>,
    /// Set once the run shall end.
    pub cancelled: Option<Cancellation>,
}

/// Why a run shall end, and by when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Why.
    pub cause: CancelCause,
    /// When the host ends the run without asking.
    pub deadline: Timestamp,
}

/// See [`Cancellation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// The run's object is being deleted.
    Deleted,
    /// The run's deadline has passed.
    Deadline,
}

/// A kept checkpoint, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inherited {
    /// Uid of the run that left it.
    pub run_uid: String,
    /// Uid of its Backup.
    pub backup_uid: String,
    /// Version of the component that wrote it.
    pub component_version: String,
    /// What it wrote.
    pub checkpoint: Checkpoint,
}

/// A Backup, as a call is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Uid of the run that made it; none on a Backup of the Go implementation.
    pub run_uid: Option<String>,
    /// Version of the component that made it; none on a Backup of the Go implementation.
    pub component_version: Option<String>,
    /// Kind of the application.
    pub application: GroupKind,
    /// Name of the application.
    pub application_name: String,
    /// When the data was taken.
    pub taken_at: Timestamp,
    /// `spec.driverMetadata`.
    pub metadata: Pairs,
    /// `status.artifact`.
    pub artifact: Option<Artifact>,
    /// `status.underlyingResources`.
    pub underlying_resources: Option<Json>,
    /// What the run kept out of tenants' reach.
    pub private_data: Option<Json>,
}

/// Where the data is. Never invented: absent if unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Where.
    pub uri: String,
    /// In bytes.
    pub size_bytes: Option<u64>,
    /// Such as `sha256:<hex>`.
    pub checksum: Option<String>,
}

/// A good end of a backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Defaults to the end of the run.
    pub taken_at: Option<Timestamp>,
    /// Where the data is.
    pub artifact: Option<Artifact>,
    /// `spec.driverMetadata`.
    pub metadata: Pairs,
    /// A self-typed object.
    pub underlying_resources: Option<Json>,
    /// Kept out of tenants' reach.
    pub private_data: Option<Json>,
    /// For the Backup.
    pub conditions: Vec<Condition>,
}

/// A bad end, terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Reason of the condition.
    pub reason: Reason,
    /// What failed, why and what to do.
    pub message: String,
    /// The fields to blame, all of them.
    pub findings: Vec<Diagnostic>,
}

/// A condition asked for by the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Type; `Ready`, `Reconciling` and `Stalled` are the host's.
    pub type_: String,
    /// None is `Unknown`.
    pub status: Option<bool>,
    /// Reason.
    pub reason: Reason,
    /// Message.
    pub message: String,
}

/// An Event asked for by the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Warning`, else `Normal`.
    pub warning: bool,
    /// Reason.
    pub reason: Reason,
    /// Message.
    pub message: String,
}

/// A pod to run as a `batch/v1` Job.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRun {
    /// `core/v1` PodTemplateSpec, rendered.
    pub template: Json,
    /// `spec.backoffLimit` of the Job.
    pub backoff_limit: u32,
    /// `spec.activeDeadlineSeconds` of the Job.
    pub active_deadline: Option<Seconds>,
    /// Last lines of each container's log wanted in the result of a Job that failed.
    pub log_lines: u32,
    /// Handed back in the result.
    pub data: Option<Json>,
    /// Warnings of rendering.
    pub findings: Vec<Diagnostic>,
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PodResult {
    /// Whether it is Complete.
    pub succeeded: bool,
    /// Reason of its condition.
    pub reason: String,
    /// Message of its condition.
    pub message: String,
    /// Its pods, newest first, at most 4.
    pub pods: Vec<Pod>,
    /// [`PodRun::data`].
    pub data: Option<Json>,
}

/// A pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// As in its status, such as `Evicted`.
    pub reason: String,
    /// As in its status.
    pub message: String,
    /// Start.
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Option<Timestamp>,
    /// Its containers, init containers first.
    pub containers: Vec<Container>,
}

/// A container of a pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// None if it never ended.
    pub exit_code: Option<i32>,
    /// Reason of its state, such as `OOMKilled`.
    pub reason: String,
    /// Termination message.
    pub message: String,
    /// The lines asked for.
    pub log: String,
}

/// What the guest wants to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// A stage of the descriptor.
    pub stage: String,
    /// Any schema, at most 256 KiB.
    pub data: Json,
}

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

/// A line that a guest wrote with `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How important.
    pub level: LogLevel,
    /// The line.
    pub message: String,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
}
