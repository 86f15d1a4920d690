//! The request of a run, and its outcome.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::object::{Condition, GroupKind, Mode, ObjectRef};

/// The request of a run. All fields but `now`, `backup`, `inherited` and `cancelled` keep the value they had when the
/// run began. `S` is the decoded spec of the strategy. Times are seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<S> {
    /// The purpose of the run.
    pub mode: Mode,
    /// The BackupJob or RestoreJob, or on cleanup the Backup.
    pub run: ObjectRef,
    /// The uid of the run.
    pub run_uid: String,
    /// When the run began.
    pub started_at: i64,
    /// When the host cancels the run.
    pub deadline: i64,
    /// The current time; it is the same in all calls of a wake.
    pub now: i64,
    /// The strategy kind, one of [`crate::Descriptor::kinds`].
    pub kind: GroupKind,
    /// The strategy's spec. On restore and cleanup it is the spec that the backup was made with. `None` only on
    /// cleanup, and on restore without the trait `strategy_on_restore`.
    pub spec: Option<S>,
    /// The parameters of the BackupClass entry; on restore and cleanup those of the backup.
    pub parameters: BTreeMap<String, String>,
    /// `RestoreJob.spec.options`, an object.
    pub options: Option<Value>,
    /// The application; on restore the target.
    pub application: ObjectRef,
    /// The Backup, on restore and cleanup. `None` if it is gone, which happens only to a cancelled run.
    pub backup: Option<Backup>,
    /// The actual names of [`crate::Descriptor::namespaces`].
    pub namespaces: BTreeMap<String, String>,
    /// The checkpoint that an earlier run on this target left behind.
    pub inherited: Option<Inherited>,
    /// Set once the run must end.
    pub cancelled: Option<Cancellation>,
}

impl<S> Request<S> {
    /// Returns the strategy's spec.
    ///
    /// # Errors
    /// `StrategyMissing`: the host had no spec for this run.
    pub fn spec(&self) -> Result<&S, Failure> {
        self.spec.as_ref().ok_or_else(|| self.lacks_spec())
    }

    /// Takes the strategy's spec out of the request.
    ///
    /// # Errors
    /// As [`Request::spec`].
    pub fn take_spec(&mut self) -> Result<S, Failure> {
        self.spec.take().ok_or_else(|| self.lacks_spec())
    }

    fn lacks_spec(&self) -> Failure {
        Failure::new(
            "StrategyMissing",
            format!(
                "{} of {} needs the spec of its {} strategy, which is not available; \
                 supply the strategy that the backup was made with",
                self.mode.as_str(),
                self.application.name,
                self.kind.kind,
            ),
        )
    }

    /// Returns the namespace of the run, where its pods run.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.run.namespace.as_deref().unwrap_or_default()
    }

    /// Replaces the spec.
    pub(crate) fn with_spec<T>(self, spec: Option<T>) -> Request<T> {
        Request {
            mode: self.mode,
            run: self.run,
            run_uid: self.run_uid,
            started_at: self.started_at,
            deadline: self.deadline,
            now: self.now,
            kind: self.kind,
            spec,
            parameters: self.parameters,
            options: self.options,
            application: self.application,
            backup: self.backup,
            namespaces: self.namespaces,
            inherited: self.inherited,
            cancelled: self.cancelled,
        }
    }
}

/// A request to end the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// The cause.
    pub cause: CancelCause,
    /// When the host ends the run by itself.
    pub deadline: i64,
}

/// The cause of a [`Cancellation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// The run's object is being deleted.
    Deleted,
    /// The run's deadline has passed.
    Deadline,
}

/// A checkpoint that an earlier run left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Inherited {
    /// Uid of the run that wrote it.
    pub run_uid: String,
    /// Uid of that run's Backup.
    pub backup_uid: String,
    /// Version of the component that wrote it.
    pub component_version: String,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// A Backup in the run's namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Uid of the run that made it; `None` for a Backup of the Go implementation.
    pub run_uid: Option<String>,
    /// Version of the component that made it; `None` for a Backup of the Go implementation.
    pub component_version: Option<String>,
    /// Kind of the application.
    pub application: GroupKind,
    /// Name of the application.
    pub application_name: String,
    /// When the data was taken.
    pub taken_at: i64,
    /// `spec.driverMetadata`.
    pub metadata: BTreeMap<String, String>,
    /// `status.artifact`.
    pub artifact: Option<Artifact>,
    /// `status.underlyingResources`.
    pub underlying_resources: Option<Value>,
    /// Data of the run that tenants cannot read.
    pub private_data: Option<Value>,
}

/// The location of the data. A strategy must not invent it: `None` if it is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The URI.
    pub uri: String,
    /// Size in bytes.
    pub size_bytes: Option<u64>,
    /// Checksum, such as `sha256:<hex>`.
    pub checksum: Option<String>,
}

/// The result of a successful backup, from which the host makes the Backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// When the data was taken; defaults to the end of the run.
    pub taken_at: Option<i64>,
    /// The location of the data.
    pub artifact: Option<Artifact>,
    /// Entries for `spec.driverMetadata`, readable by tenants.
    pub metadata: BTreeMap<String, String>,
    /// An object with `apiVersion` and `kind`, at most 64 KiB, readable by tenants.
    pub underlying_resources: Option<Value>,
    /// Data that tenants cannot read, at most 256 KiB.
    pub private_data: Option<Value>,
    /// Conditions of the Backup.
    pub conditions: Vec<Condition>,
}
