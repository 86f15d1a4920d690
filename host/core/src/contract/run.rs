//! A run: what a call is told of it, and how it ends.

use serde::{Deserialize, Serialize};

use super::object::{GroupKind, ObjectRef};
use super::scalar::{Json, JsonPointer, Mode, Pairs, Reason, Timestamp};

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
    /// Which of [`Descriptor::kinds`](super::Descriptor::kinds).
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
    /// [`Descriptor::namespaces`](super::Descriptor::namespaces) with the names in force.
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

/// What the guest wants to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// A stage of the descriptor.
    pub stage: String,
    /// Any schema, at most 256 KiB.
    pub data: Json,
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
    /// Handover out of tenants' reach.
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
