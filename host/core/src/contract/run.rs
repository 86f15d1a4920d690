//! A run: the request of a call, and the results that end it.

use serde::{Deserialize, Serialize};

use super::object::{GroupKind, ObjectRef};
use super::scalar::{Json, JsonPointer, Mode, Pairs, Reason, Timestamp};

/// A finding about a strategy. Errors refuse the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Severity of the finding.
    pub severity: Severity,
    /// Place in `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    pub at: JsonPointer,
    /// The problem and its remedy.
    pub message: String,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Refuses the run.
    Error,
    /// Is shown; the run goes on.
    Warning,
}

/// A run, as the component sees it in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Mode of the run.
    pub mode: Mode,
    /// The BackupJob or RestoreJob; in mode cleanup, the Backup.
    pub run: ObjectRef,
    /// Uid of the run.
    pub run_uid: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the host will cancel the run.
    pub deadline: Timestamp,
    /// The current time; equal in all calls of a wake.
    pub now: Timestamp,
    /// Strategy kind, one of [`Descriptor::kinds`](super::Descriptor::kinds).
    pub strategy_kind: GroupKind,
    /// The strategy's `.spec`.
    pub strategy: Option<Json>,
    /// Parameters of the BackupClass entry, or of the Backup.
    pub parameters: Pairs,
    /// `RestoreJob.spec.options`, an object.
    pub options: Option<Json>,
    /// The application acted on.
    pub application: ObjectRef,
    /// The Backup, in modes restore and cleanup.
    pub backup: Option<Backup>,
    /// [`Descriptor::namespaces`](super::Descriptor::namespaces) with the configured names.
    pub namespaces: Pairs,
    /// Checkpoint that an earlier restore of this target handed over.
    pub inherited: Option<Inherited>,
    /// Set if the run has to end.
    pub cancelled: Option<Cancellation>,
}

/// Why and by when a run has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Cause of the cancellation.
    pub cause: CancelCause,
    /// When the host ends the run without another call.
    pub deadline: Timestamp,
}

/// Cause of a [`Cancellation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// The run's object is being deleted.
    Deleted,
    /// The run's deadline has passed.
    Deadline,
}

/// A component's memory of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Stage of the run, one of [`Descriptor::stages`](super::Descriptor::stages).
    pub stage: String,
    /// Data of any schema, at most 256 KiB.
    pub data: Json,
}

/// A checkpoint that an earlier run handed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Inherited {
    /// Uid of the run that wrote it.
    pub run_uid: String,
    /// Uid of the Backup that the run restored.
    pub backup_uid: String,
    /// Version of the component that wrote it.
    pub component_version: String,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// A Backup, as the component sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Name of the Backup.
    pub name: String,
    /// Uid of the Backup.
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
    /// Private data that the run stored where tenants cannot read it.
    pub private_data: Option<Json>,
}

/// Where the data of a Backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// URI of the data.
    pub uri: String,
    /// Size in bytes.
    pub size_bytes: Option<u64>,
    /// Checksum, such as `sha256:<hex>`.
    pub checksum: Option<String>,
}

/// The outcome of a successful backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// When the data was taken; the end of the run if absent.
    pub taken_at: Option<Timestamp>,
    /// Where the data is; absent if unknown.
    pub artifact: Option<Artifact>,
    /// `spec.driverMetadata`.
    pub metadata: Pairs,
    /// An object with `apiVersion` and `kind`.
    pub underlying_resources: Option<Json>,
    /// Data for the Backup's restore that tenants cannot read.
    pub private_data: Option<Json>,
    /// Conditions of the Backup.
    pub conditions: Vec<Condition>,
}

/// A terminal failure of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Reason of the condition.
    pub reason: Reason,
    /// The failure, its cause and its remedy.
    pub message: String,
    /// All fields that caused the failure.
    pub findings: Vec<Diagnostic>,
}

/// A condition that the component sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Type; `Ready`, `Reconciling` and `Stalled` are reserved for the host.
    pub type_: String,
    /// Status; none is `Unknown`.
    pub status: Option<bool>,
    /// Reason.
    pub reason: Reason,
    /// Message.
    pub message: String,
}

/// An Event that the component emits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether its type is `Warning`, not `Normal`.
    pub warning: bool,
    /// Reason.
    pub reason: Reason,
    /// Message.
    pub message: String,
}
