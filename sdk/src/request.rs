//! The request: a run as a strategy is told of it, and its outcome.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::object::{Condition, GroupKind, Mode, ObjectRef};

/// The run. All but `now`, `backup`, `inherited` and `cancelled` is frozen when it begins. `S` is the strategy's spec,
/// decoded. Times are seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<S> {
    /// What the run is for.
    pub mode: Mode,
    /// The BackupJob or RestoreJob, or on cleanup the Backup.
    pub run: ObjectRef,
    /// Its uid.
    pub run_uid: String,
    /// When the run began.
    pub started_at: i64,
    /// When the host will cancel it.
    pub deadline: i64,
    /// The time, the same in all calls of a wake.
    pub now: i64,
    /// Which of [`crate::Descriptor::kinds`].
    pub kind: GroupKind,
    /// The strategy's spec; on restore and cleanup as it was when the backup was made. None only on restore and
    /// cleanup, and on restore only without the trait `strategy_on_restore`.
    pub spec: Option<S>,
    /// Of the BackupClass entry; on restore and cleanup those of the backup.
    pub parameters: BTreeMap<String, String>,
    /// `RestoreJob.spec.options`, an object.
    pub options: Option<Value>,
    /// The application acted on: on restore the target.
    pub application: ObjectRef,
    /// On restore and cleanup; none if it is gone, which happens only to a run that is cancelled.
    pub backup: Option<Backup>,
    /// [`crate::Descriptor::namespaces`] with the names in force.
    pub namespaces: BTreeMap<String, String>,
    /// What an earlier run on this target left behind.
    pub inherited: Option<Inherited>,
    /// Set once the run shall end.
    pub cancelled: Option<Cancellation>,
}

impl<S> Request<S> {
    /// The strategy's spec, or the failure that says that there is none.
    ///
    /// # Errors
    /// `StrategyMissing`, where the host had no spec for this run.
    pub fn spec(&self) -> Result<&S, Failure> {
        self.spec.as_ref().ok_or_else(|| {
            Failure::new(
                "StrategyMissing",
                format!(
                    "{} of {} needs the spec of its {} strategy, which is not to be had; \
                     supply the strategy that the backup was made with",
                    self.mode.as_str(),
                    self.application.name,
                    self.kind.kind,
                ),
            )
        })
    }

    /// The namespace of the run, where its pods run.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.run.namespace.as_deref().unwrap_or_default()
    }

    /// The same request with another spec.
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

/// Why a run shall end, and by when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Why.
    pub cause: CancelCause,
    /// When the host ends the run without asking.
    pub deadline: i64,
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

/// A Backup in the run's namespace, and what the run that made it said.
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
    pub taken_at: i64,
    /// `spec.driverMetadata`.
    pub metadata: BTreeMap<String, String>,
    /// `status.artifact`.
    pub artifact: Option<Artifact>,
    /// `status.underlyingResources`.
    pub underlying_resources: Option<Value>,
    /// What the run kept out of tenants' reach.
    pub private_data: Option<Value>,
}

/// Where the data is. Never invented: absent if unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where.
    pub uri: String,
    /// In bytes.
    pub size_bytes: Option<u64>,
    /// Such as `sha256:<hex>`.
    pub checksum: Option<String>,
}

/// A good end of a backup, from which the host makes the Backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Defaults to the end of the run.
    pub taken_at: Option<i64>,
    /// Where the data is.
    pub artifact: Option<Artifact>,
    /// For `spec.driverMetadata`, readable by tenants.
    pub metadata: BTreeMap<String, String>,
    /// A self-typed object (`apiVersion`, `kind`), at most 64 KiB, readable by tenants.
    pub underlying_resources: Option<Value>,
    /// At most 256 KiB, kept out of tenants' reach.
    pub private_data: Option<Value>,
    /// For the Backup.
    pub conditions: Vec<Condition>,
}
