//! What a component says of itself.

use super::object::GroupKind;
use super::scalar::{Json, JsonPointer, Mode, Pairs, Seconds};

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

impl From<&StrategyKind> for GroupKind {
    fn from(kind: &StrategyKind) -> Self {
        Self { group: kind.group.clone(), kind: kind.kind.clone() }
    }
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
