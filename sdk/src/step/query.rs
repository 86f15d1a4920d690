//! Questions to the host, and what it found.

use serde_json::Value;

use crate::object::{NamespacedName, ObjectRef};
use crate::pod::PodResult;

/// The objects of one kind that match a label selector, in one namespace or cluster-wide.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// One object.
    Get(GetQuery),
    /// Several.
    List(ListQuery),
    /// Tail of a container's log.
    Log(LogQuery),
    /// Keys of a Secret.
    SecretKeys(NamespacedName),
    /// Result of a pod run of this run, by name.
    Pod(String),
}

impl Query {
    /// The whole object, from the host's cache.
    #[must_use]
    pub fn get(object: &ObjectRef) -> Self {
        Self::Get(GetQuery { object: object.clone(), live: false, fields: Vec::new() })
    }

    /// The same, read from the API server now: needed for what leads to a purge.
    #[must_use]
    pub fn live(object: &ObjectRef) -> Self {
        Self::Get(GetQuery { object: object.clone(), live: true, fields: Vec::new() })
    }
}

/// See [`Query::Get`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQuery {
    /// Which.
    pub object: ObjectRef,
    /// Read from the API server now.
    pub live: bool,
    /// Only these, and kind and identity; empty is all.
    pub fields: Vec<String>,
}

/// See [`Query::List`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which.
    pub objects: Selection,
    /// Read from the API server now.
    pub live: bool,
    /// Only these, and kind and identity; empty is all.
    pub fields: Vec<String>,
    /// 1 to 500.
    pub limit: u32,
}

/// See [`Query::Log`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Which pod.
    pub pod: NamespacedName,
    /// Which container.
    pub container: String,
    /// Of the instance before the last restart.
    pub previous: bool,
    /// 1 to 200.
    pub lines: u32,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was asked.
    pub query: Query,
    /// What was found.
    pub value: Result<Content, ReadError>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The object.
    Object(Value),
    /// The objects.
    Objects(ObjectList),
    /// The text.
    Log(String),
    /// The keys.
    SecretKeys(Vec<String>),
    /// None while it runs.
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

/// Objects sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Value>,
    /// False: the limit cut it.
    pub complete: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No such object.
    NotFound,
    /// The API server does not know the kind.
    NotServed,
    /// Over the bounds.
    TooLarge,
    /// Declared, but not granted.
    Forbidden(String),
    /// Transient, or anything else.
    Unavailable(String),
}
