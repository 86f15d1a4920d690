//! Questions to the host, and its answers.

use super::object::Object;
use crate::object::{NamespacedName, ObjectRef};
use crate::pod::PodResult;

/// The objects of one kind that match a label selector, in one namespace or cluster-wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `v1` or `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// `None`: cluster-wide.
    pub namespace: Option<String>,
    /// Label selector in kubectl's syntax; empty matches all objects.
    pub labels: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// One object.
    Get(GetQuery),
    /// Several objects.
    List(ListQuery),
    /// The tail of a container's log.
    Log(LogQuery),
    /// The data keys of a Secret.
    SecretKeys(NamespacedName),
    /// The result of a pod run of this run, by name.
    Pod(String),
}

impl Query {
    /// Asks for the whole object, from the host's cache.
    #[must_use]
    pub fn get(object: &ObjectRef) -> Self {
        Self::Get(GetQuery { object: object.clone(), live: false, fields: Vec::new() })
    }

    /// Asks for the whole object, read from the API server now. A purge requires such a read.
    #[must_use]
    pub fn live(object: &ObjectRef) -> Self {
        Self::Get(GetQuery { object: object.clone(), live: true, fields: Vec::new() })
    }
}

/// See [`Query::Get`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQuery {
    /// The object.
    pub object: ObjectRef,
    /// Whether to read from the API server instead of the cache.
    pub live: bool,
    /// Fields to return in addition to kind and identity; empty means all.
    pub fields: Vec<String>,
}

/// See [`Query::List`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The objects.
    pub objects: Selection,
    /// Whether to read from the API server instead of the cache.
    pub live: bool,
    /// Fields to return in addition to kind and identity; empty means all.
    pub fields: Vec<String>,
    /// Maximum number of objects, 1 to 500.
    pub limit: u32,
}

/// See [`Query::Log`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// The pod.
    pub pod: NamespacedName,
    /// The container.
    pub container: String,
    /// Whether to read the log of the instance before the last restart.
    pub previous: bool,
    /// Number of lines, 1 to 200.
    pub lines: u32,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question.
    pub query: Query,
    /// The answer.
    pub value: Result<Content, ReadError>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The object.
    Object(Object),
    /// The objects.
    Objects(ObjectList),
    /// The text.
    Log(String),
    /// The keys.
    SecretKeys(Vec<String>),
    /// The result of a pod run; `None` while it runs.
    Pod(Option<PodResult>),
}

impl Content {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Object(_) => "object",
            Self::Objects(_) => "list of objects",
            Self::Log(_) => "log",
            Self::SecretKeys(_) => "list of keys",
            Self::Pod(_) => "pod result",
        }
    }
}

/// Objects, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Object>,
    /// False if the limit cut the list.
    pub complete: bool,
}

/// The reason why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The object does not exist.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// The object or list exceeds the contract's bounds.
    TooLarge,
    /// The descriptor declares the access, but RBAC does not grant it.
    Forbidden(String),
    /// A transient or unknown error.
    Unavailable(String),
}
