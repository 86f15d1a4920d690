//! Names of Kubernetes objects.

use backstay_api::TypedRef;
use serde::{Deserialize, Serialize};

/// A kind in an API group; group `""` is core.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
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
    /// Namespace; none for a cluster-scoped kind.
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
    /// Namespace; none selects cluster-wide.
    pub namespace: Option<String>,
    /// Label selector in kubectl's syntax; empty matches all.
    pub labels: String,
}
