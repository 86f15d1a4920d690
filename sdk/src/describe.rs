//! The descriptor: what a component serves, needs and may access.

use std::collections::BTreeMap;

use serde_json::Value;

pub use crate::object::GroupKind;
use crate::object::Mode;

/// The strategy kind that a component serves, as constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, such as `strategy.example.org`.
    pub group: &'static str,
    /// API version, such as `v1alpha1`.
    pub version: &'static str,
    /// Kind, such as `Tape`.
    pub kind: &'static str,
    /// Plural in lower case, such as `tapes`.
    pub plural: &'static str,
}

/// A strategy kind that the component serves.
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
    /// Structural OpenAPI v3 schema of `.spec`; see [`crate::schema::of`].
    pub schema: Value,
    /// Application kinds it can back up; empty means any.
    pub applications: Vec<GroupKind>,
}

/// The abilities and needs of a component. Start from [`Traits::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Serves mode `restore`.
    pub restore: bool,
    /// Serves mode `cleanup`. Without it, deleting a Backup keeps its stored data.
    pub cleanup: bool,
    /// Must be called when a run is deleted or exceeds its deadline.
    pub cancel: bool,
    /// Needs the platform's credentials Secret in the run's namespace.
    pub credentials: bool,
    /// Restores only with the spec of a strategy.
    pub strategy_on_restore: bool,
    /// Restores and cleans up Backups of the Go implementation, which name no component.
    pub unpinned: bool,
}

impl Traits {
    /// Serves backups only, and needs nothing.
    pub const NONE: Self = Self {
        restore: false,
        cleanup: false,
        cancel: false,
        credentials: false,
        strategy_on_restore: false,
        unpinned: false,
    };
}

/// One kind of object, and the operations of a resource strategy on it.
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
    /// The namespace or scope of the objects.
    pub scope: Scope,
    /// The operations.
    pub verbs: Verbs,
    /// Fields that apply and patch may set, including everything below them. Empty means all, which is refused for
    /// patch.
    pub fields: Vec<String>,
    /// Conditions that must all hold for the object before and after the operation.
    pub guards: Vec<Guard>,
}

/// The namespace or scope in which an [`Access`] holds.
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

/// The operations that an [`Access`] allows, with the names of the contract.
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

/// A string at `at` that must equal `value`, or start with it if `value` ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// JSON pointer into the object.
    pub at: String,
    /// The expected value. `{namespace}`, `{run-uid}`, `{application}` and `{target-namespace}` are substituted.
    pub value: String,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The mode of the run.
    pub mode: Mode,
    /// Its name in checkpoints.
    pub name: String,
    /// A description for people.
    pub about: String,
    /// Data may be deleted from this stage on: its checkpoint is kept if the run fails in it.
    pub keeps_checkpoint: bool,
}

/// The services and needs of a component. Every call must return the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// DNS label, at most 40 bytes.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// The kinds it serves, 1 to 8.
    pub kinds: Vec<StrategyKind>,
    /// JSON Schema of BackupClass parameters.
    pub parameters_schema: Value,
    /// JSON Schema of `RestoreJob.spec.options`.
    pub options_schema: Value,
    /// The accesses it needs; empty for a pod strategy.
    pub access: Vec<Access>,
    /// Namespaces other than the run's, with their default names; empty for a pod strategy.
    pub namespaces: BTreeMap<String, String>,
    /// All stages that `step` may name, in their usual order; empty for a pod strategy.
    pub stages: Vec<Stage>,
    /// The maximum duration of a run, in seconds.
    pub longest_run: u32,
    /// Versions of this component whose Backups it restores, as Cargo version requirements. Its own version is always
    /// included.
    pub restores: Vec<String>,
    /// Name of the option that holds the target namespace of a restore.
    pub target_namespace_option: Option<String>,
    /// Its abilities and needs.
    pub traits: Traits,
}
