//! The contract with a strategy component, in Rust: what `wit/v0.1/strategy.wit` says, one type for one type.
//!
//! These are the only types of the contract outside `backstay-engine`, whatever WIT version a component speaks:
//! the engine converts each served version to them in one place. JSON arguments and answers are parsed values
//! here; times are seconds since the epoch, as in the contract.

use std::collections::BTreeMap;

use backstay_api::TypedRef;
use serde::{Deserialize, Serialize};

mod descriptor;
mod pod;
mod run;
mod step;

pub use descriptor::{Access, Descriptor, Guard, Scope, Stage, StrategyKind, Traits, Verbs};
pub use pod::{Container, Pod, PodResult, PodRun};
pub use run::{
    Artifact, Backup, CancelCause, Cancellation, Condition, Diagnostic, Event, Failure, Inherited, Outcome,
    Request, Severity,
};
pub use step::{
    Action, ActionResult, Answer, Apply, Checkpoint, Content, Create, Decision, Delete, GetQuery, ListQuery,
    LogQuery, ObjectList, Patch, Propagation, Query, ReadError, RunPod, StepResult, View, Wait, Watch,
    WriteError,
};

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

impl From<&StrategyKind> for GroupKind {
    fn from(kind: &StrategyKind) -> Self {
        Self { group: kind.group.clone(), kind: kind.kind.clone() }
    }
}

impl From<&Access> for GroupKind {
    fn from(access: &Access) -> Self {
        Self { group: access.group.clone(), kind: access.kind.clone() }
    }
}

/// The kind of an application; an absent group is the default one.
impl From<&TypedRef> for GroupKind {
    fn from(application: &TypedRef) -> Self {
        Self { group: application.group().to_owned(), kind: application.kind.clone() }
    }
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
