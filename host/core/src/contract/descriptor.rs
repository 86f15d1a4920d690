//! The descriptor: a component's declaration of itself.

use super::object::GroupKind;
use super::scalar::{Json, JsonPointer, Mode, Pairs, Seconds};

/// The kinds that a component serves, and the accesses that it asks for. Read once, at load.
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
    /// Accesses that the component asks for.
    pub access: Vec<Access>,
    /// Namespaces other than the run's, by key, with their default names.
    pub namespaces: Pairs,
    /// Stages that `step` may name.
    pub stages: Vec<Stage>,
    /// The longest time that a run may take.
    pub longest_run: Seconds,
    /// Versions of this component whose Backups it restores, as Cargo version requirements.
    pub restores: Vec<String>,
    /// Option that names the target namespace of a restore.
    pub target_namespace_option: Option<String>,
    /// Abilities and needs of the component.
    pub traits: Traits,
}

impl Descriptor {
    /// Returns the entry for `kind`, if this component serves it.
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

impl From<&StrategyKind> for GroupKind {
    fn from(kind: &StrategyKind) -> Self {
        Self { group: kind.group.clone(), kind: kind.kind.clone() }
    }
}

/// Abilities and needs of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Serves mode `restore`.
    pub restore: bool,
    /// Serves mode `cleanup`.
    pub cleanup: bool,
    /// Is called when a run is deleted or past its deadline, to undo.
    pub cancel: bool,
    /// Needs the platform's credentials Secret in the run's namespace.
    pub credentials: bool,
    /// Restores only with a strategy spec.
    pub strategy_on_restore: bool,
    /// Restores and cleans up Backups that name no component.
    pub unpinned: bool,
}

/// Verbs on the objects of one kind in one scope.
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
    /// Where the access holds.
    pub scope: Scope,
    /// Verbs that the access allows.
    pub verbs: Verbs,
    /// Fields that apply and patch may set, with all below them.
    pub fields: Vec<JsonPointer>,
    /// Guards that must all hold, before a write and after it.
    pub guards: Vec<Guard>,
}

impl From<&Access> for GroupKind {
    fn from(access: &Access) -> Self {
        Self { group: access.group.clone(), kind: access.kind.clone() }
    }
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

/// Verbs of an access.
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

/// A bound on an object: the string at `at` must equal `value`, or begin with it if it ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Place of the string in the object.
    pub at: JsonPointer,
    /// Value of the string; `{namespace}`, `{run-uid}`, `{application}` and `{target-namespace}` are substituted.
    pub value: String,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Mode of the runs that have the stage.
    pub mode: Mode,
    /// Name of the stage.
    pub name: String,
    /// Description for people.
    pub about: String,
    /// Data may be lost from this stage on: the checkpoint outlives a run that fails in it.
    pub keeps_checkpoint: bool,
}
