//! What a component says about itself.

use std::collections::BTreeMap;

use serde_json::Value;

pub use crate::object::GroupKind;
use crate::object::Mode;

/// The names of the strategy kind that a component serves, as constants.
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
    /// Structural OpenAPI v3 schema of `.spec`; see [`crate::schema::of`].
    pub schema: Value,
    /// Application kinds it can back up; empty means any.
    pub applications: Vec<GroupKind>,
}

/// What a component can do, and what it needs. Start from [`Traits::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Serves mode `restore`.
    pub restore: bool,
    /// Serves mode `cleanup`. Without it nothing happens to stored data when a Backup is deleted.
    pub cleanup: bool,
    /// Wants to be called when a run is deleted or out of time.
    pub cancel: bool,
    /// Needs the platform's credentials Secret in the run's namespace.
    pub credentials: bool,
    /// Restores only with a strategy spec.
    pub strategy_on_restore: bool,
    /// Restores and cleans up Backups that name no component: those of the Go implementation.
    pub unpinned: bool,
}

impl Traits {
    /// Backups only, and no needs.
    pub const NONE: Self = Self {
        restore: false,
        cleanup: false,
        cancel: false,
        credentials: false,
        strategy_on_restore: false,
        unpinned: false,
    };
}

/// One kind of object, and what a resource strategy does with it.
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
    /// Fields that apply and patch may set, with all below them; empty means all, and is refused for patch.
    pub fields: Vec<String>,
    /// All must hold for the object as it is and as it would become.
    pub guards: Vec<Guard>,
}

/// Where an [`Access`] holds.
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

/// What an [`Access`] allows. The names are those of the contract.
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

/// The string found at `at` must equal `value`, or begin with it where it ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// JSON pointer into the object.
    pub at: String,
    /// `{namespace}`, `{run-uid}`, `{application}` and `{target-namespace}` are substituted.
    pub value: String,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// In which mode.
    pub mode: Mode,
    /// Its name, as a checkpoint names it.
    pub name: String,
    /// What happens in it, for people.
    pub about: String,
    /// Data may be gone from here on: the checkpoint outlives a run that ends badly here.
    pub keeps_checkpoint: bool,
}

/// What a component serves and asks for. Must be the same in every call.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// DNS label, at most 40 bytes.
    pub name: String,
    /// Semantic version of the component.
    pub version: String,
    /// Kinds served, 1 to 8.
    pub kinds: Vec<StrategyKind>,
    /// JSON Schema of BackupClass parameters.
    pub parameters_schema: Value,
    /// JSON Schema of `RestoreJob.spec.options`.
    pub options_schema: Value,
    /// Accesses asked for; none for a pod strategy.
    pub access: Vec<Access>,
    /// Namespaces outside the run's, with their usual names; none for a pod strategy.
    pub namespaces: BTreeMap<String, String>,
    /// All stages that `step` may name, in usual order; none for a pod strategy.
    pub stages: Vec<Stage>,
    /// The longest that a run may take, in seconds.
    pub longest_run: u32,
    /// Versions of this component whose Backups it restores, as Cargo version requirements; its own always.
    pub restores: Vec<String>,
    /// Name of the option that holds the target namespace of a restore.
    pub target_namespace_option: Option<String>,
    /// What it can do and needs.
    pub traits: Traits,
}
