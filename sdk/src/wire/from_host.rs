//! Arguments of calls, from the bindings' types to those of this crate.

use super::{pairs, parse, wit};
use crate::object::Mode;
use crate::pod::{Container, Pod, PodResult};
use crate::request::{Backup, CancelCause, Cancellation, Inherited, Request};
use crate::step::{
    ActionResult, Answer, Checkpoint, Content, GetQuery, ListQuery, LogQuery, Object, ObjectList, Query,
    ReadError, Selection, View, WriteError,
};

impl From<wit::Mode> for Mode {
    fn from(v: wit::Mode) -> Self {
        match v {
            wit::Mode::Backup => Self::Backup,
            wit::Mode::Restore => Self::Restore,
            wit::Mode::Cleanup => Self::Cleanup,
        }
    }
}

/// The spec is decoded separately, into the author's type.
impl From<wit::Request> for Request<()> {
    fn from(v: wit::Request) -> Self {
        Self {
            mode: v.mode.into(),
            run: v.run.into(),
            run_uid: v.run_uid,
            started_at: v.started_at,
            deadline: v.deadline,
            now: v.now,
            kind: v.strategy_kind.into(),
            spec: None,
            parameters: pairs(v.parameters),
            options: v.options.as_deref().map(parse),
            application: v.application.into(),
            backup: v.backup.map(Into::into),
            namespaces: pairs(v.namespaces),
            inherited: v.inherited.map(|i| Inherited {
                run_uid: i.run_uid,
                backup_uid: i.backup_uid,
                component_version: i.component_version,
                checkpoint: i.checkpoint.into(),
            }),
            cancelled: v.cancelled.map(|c| Cancellation {
                cause: match c.cause {
                    wit::CancelCause::Deleted => CancelCause::Deleted,
                    wit::CancelCause::Deadline => CancelCause::Deadline,
                },
                deadline: c.deadline,
            }),
        }
    }
}

impl From<wit::Backup> for Backup {
    fn from(v: wit::Backup) -> Self {
        Self {
            name: v.name,
            uid: v.uid,
            run_uid: v.run_uid,
            component_version: v.component_version,
            application: v.application.into(),
            application_name: v.application_name,
            taken_at: v.taken_at,
            metadata: pairs(v.metadata),
            artifact: v.artifact.map(Into::into),
            underlying_resources: v.underlying_resources.as_deref().map(parse),
            private_data: v.private_data.as_deref().map(parse),
        }
    }
}

impl From<wit::PodResult> for PodResult {
    fn from(v: wit::PodResult) -> Self {
        Self {
            succeeded: v.succeeded,
            reason: v.reason,
            message: v.message,
            pods: v.pods.into_iter().map(Into::into).collect(),
            data: v.data.as_deref().map(parse),
        }
    }
}

impl From<wit::Pod> for Pod {
    fn from(v: wit::Pod) -> Self {
        let containers = v.containers.into_iter().map(|c| {
            let own = sidecar(&c.reason);
            Container {
                name: c.name,
                exit_code: c.exit_code,
                sidecar: own.is_some(),
                reason: own.map_or_else(|| c.reason.clone(), str::to_owned),
                message: c.message,
                log: c.log,
            }
        });
        Self {
            name: v.name,
            reason: v.reason,
            message: v.message,
            started_at: v.started_at,
            finished_at: v.finished_at,
            containers: containers.collect(),
        }
    }
}

/// Returns the own reason of a sidecar, by the mark that the contract puts before it; `None` for another container.
fn sidecar(reason: &str) -> Option<&str> {
    let own = reason.strip_prefix("Sidecar")?;
    if own.is_empty() { Some(own) } else { own.strip_prefix(": ") }
}

impl From<wit::Checkpoint> for Checkpoint {
    fn from(v: wit::Checkpoint) -> Self {
        Self { stage: v.stage, data: parse(&v.data) }
    }
}

impl From<wit::View> for View {
    fn from(v: wit::View) -> Self {
        Self {
            checkpoint: v.checkpoint.map(Into::into),
            stage_since: v.stage_since,
            answers: v.answers.into_iter().map(Into::into).collect(),
            results: v.results.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wit::Answer> for Answer {
    fn from(v: wit::Answer) -> Self {
        Self { query: v.query.into(), value: v.value.map(Into::into).map_err(Into::into) }
    }
}

impl From<wit::Query> for Query {
    fn from(v: wit::Query) -> Self {
        match v {
            wit::Query::Get(q) => {
                Self::Get(GetQuery { object: q.object.into(), live: q.live, fields: q.fields })
            }
            wit::Query::List(q) => Self::List(ListQuery {
                objects: q.objects.into(),
                live: q.live,
                fields: q.fields,
                limit: q.limit,
            }),
            wit::Query::Log(q) => Self::Log(LogQuery {
                pod: q.pod.into(),
                container: q.container,
                previous: q.previous,
                lines: q.lines,
            }),
            wit::Query::SecretKeys(name) => Self::SecretKeys(name.into()),
            wit::Query::Pod(name) => Self::Pod(name),
        }
    }
}

impl From<wit::Selection> for Selection {
    fn from(v: wit::Selection) -> Self {
        Self { api_version: v.api_version, kind: v.kind, namespace: v.namespace, labels: v.labels }
    }
}

impl From<wit::Content> for Content {
    fn from(v: wit::Content) -> Self {
        match v {
            wit::Content::Object(o) => Self::Object(Object::unread(o)),
            wit::Content::Objects(l) => Self::Objects(ObjectList {
                items: l.items.into_iter().map(Object::unread).collect(),
                complete: l.complete,
            }),
            wit::Content::Log(text) => Self::Log(text),
            wit::Content::SecretKeys(keys) => Self::SecretKeys(keys),
            wit::Content::Pod(result) => Self::Pod(result.map(Into::into)),
        }
    }
}

impl From<wit::ReadError> for ReadError {
    fn from(v: wit::ReadError) -> Self {
        match v {
            wit::ReadError::NotFound => Self::NotFound,
            wit::ReadError::NotServed => Self::NotServed,
            wit::ReadError::TooLarge => Self::TooLarge,
            wit::ReadError::Forbidden(m) => Self::Forbidden(m),
            wit::ReadError::Unavailable(m) => Self::Unavailable(m),
        }
    }
}

impl From<wit::ActionResult> for ActionResult {
    fn from(v: wit::ActionResult) -> Self {
        Self { object: v.object.into(), value: v.value.map(|o| o.as_deref().map(parse)).map_err(Into::into) }
    }
}

impl From<wit::WriteError> for WriteError {
    fn from(v: wit::WriteError) -> Self {
        match v {
            wit::WriteError::AlreadyExists(o) => Self::AlreadyExists(parse(&o)),
            wit::WriteError::NotFound => Self::NotFound,
            wit::WriteError::NotServed => Self::NotServed,
            wit::WriteError::Conflict(m) => Self::Conflict(m),
            wit::WriteError::Invalid(m) => Self::Invalid(m),
            wit::WriteError::Forbidden(m) => Self::Forbidden(m),
            wit::WriteError::Unavailable(m) => Self::Unavailable(m),
            wit::WriteError::NotTried => Self::NotTried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sidecar;

    #[test]
    fn a_sidecar_is_known_by_the_mark_of_its_reason() {
        assert_eq!(sidecar("Sidecar"), Some(""));
        assert_eq!(sidecar("Sidecar: OOMKilled"), Some("OOMKilled"));
        assert_eq!((sidecar("SidecarError"), sidecar("Error"), sidecar("")), (None, None, None));
    }
}
