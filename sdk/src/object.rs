//! Types that the contract shares with Kubernetes: objects, kinds, conditions and Events; and the mode of a run.

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make a backup.
    Backup,
    /// Restore a backup.
    Restore,
    /// Clean up after a Backup that is being deleted.
    Cleanup,
}

impl Mode {
    /// Returns the word used in labels and templates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Cleanup => "cleanup",
        }
    }
}

/// The name of an object, with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacedName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// `v1` or `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// `None` for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// A reference to the object `name` of a namespaced kind.
    #[must_use]
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }
}

/// A kind in an API group. The group `""` is the core group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

impl GroupKind {
    /// The kind named `kind` in `group`.
    #[must_use]
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

/// A condition. The host updates conditions by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Type. The host alone sets `Ready`, `Reconciling` and `Stalled`.
    pub type_: String,
    /// `None` is `Unknown`.
    pub status: Option<bool>,
    /// Reason.
    pub reason: String,
    /// Message, at most 4 KiB.
    pub message: String,
}

/// An Event on the run. The host may emit it more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether its type is `Warning` instead of `Normal`.
    pub warning: bool,
    /// Reason.
    pub reason: String,
    /// Message, at most 4 KiB.
    pub message: String,
}
