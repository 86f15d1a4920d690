//! The arguments of calls.

use backstay_core::contract as c;

use super::super::bindings::types as w;
use crate::call_error::CallFault;
use crate::limits::JSON_BYTES;

/// The arguments of one call; counts their text.
pub(in super::super) struct Lower {
    text: usize,
    limit: usize,
}

type Lowered<T> = Result<T, CallFault>;

impl Lower {
    /// Starts with a budget of `limit` bytes of text.
    pub(in super::super) fn new(limit: usize) -> Self {
        Self { text: 0, limit }
    }

    fn take(&mut self, text: String) -> Lowered<String> {
        self.text = self.text.saturating_add(text.len());
        if self.text > self.limit {
            return Err(CallFault::InputTooLarge {
                field: String::new(),
                size: self.text,
                limit: self.limit,
            });
        }
        Ok(text)
    }

    pub(super) fn text(&mut self, text: &str) -> Lowered<String> {
        self.take(text.to_owned())
    }

    fn some_text(&mut self, text: Option<&String>) -> Lowered<Option<String>> {
        text.map(|t| self.text(t)).transpose()
    }

    /// Writes a JSON text of at most 1 MiB.
    pub(in super::super) fn json(&mut self, field: &str, json: &c::Json) -> Lowered<String> {
        // Not `Display`, which writes through a formatter and takes three times as long.
        let text = serde_json::to_string(json).expect("the keys of a JSON value are strings");
        if text.len() > JSON_BYTES {
            return Err(CallFault::InputTooLarge {
                field: field.to_owned(),
                size: text.len(),
                limit: JSON_BYTES,
            });
        }
        self.take(text)
    }

    fn some_json(&mut self, field: &str, json: Option<&c::Json>) -> Lowered<Option<String>> {
        json.map(|j| self.json(field, j)).transpose()
    }

    pub(in super::super) fn pairs(&mut self, field: &str, pairs: &c::Pairs) -> Lowered<w::Pairs> {
        use crate::limits::{PAIRS_BYTES, PAIRS_ENTRIES};
        let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > PAIRS_BYTES {
            return Err(CallFault::InputTooLarge { field: field.to_owned(), size, limit: PAIRS_BYTES });
        }
        if pairs.len() > PAIRS_ENTRIES {
            let field = format!("{field} ({} entries where {PAIRS_ENTRIES} are allowed)", pairs.len());
            return Err(CallFault::InputTooLarge { field, size, limit: PAIRS_BYTES });
        }
        pairs.iter().map(|(name, value)| Ok((self.text(name)?, self.text(value)?))).collect()
    }

    pub(in super::super) fn group_kind(&mut self, kind: &c::GroupKind) -> Lowered<w::GroupKind> {
        Ok(w::GroupKind { group: self.text(&kind.group)?, kind: self.text(&kind.kind)? })
    }

    pub(super) fn object_ref(&mut self, object: &c::ObjectRef) -> Lowered<w::ObjectRef> {
        Ok(w::ObjectRef {
            api_version: self.text(&object.api_version)?,
            kind: self.text(&object.kind)?,
            namespace: self.some_text(object.namespace.as_ref())?,
            name: self.text(&object.name)?,
        })
    }

    pub(super) fn namespaced_name(&mut self, name: &c::NamespacedName) -> Lowered<w::NamespacedName> {
        Ok(w::NamespacedName { namespace: self.text(&name.namespace)?, name: self.text(&name.name)? })
    }

    pub(super) fn selection(&mut self, objects: &c::Selection) -> Lowered<w::Selection> {
        Ok(w::Selection {
            api_version: self.text(&objects.api_version)?,
            kind: self.text(&objects.kind)?,
            namespace: self.some_text(objects.namespace.as_ref())?,
            labels: self.text(&objects.labels)?,
        })
    }

    pub(in super::super) fn request(&mut self, request: &c::Request) -> Lowered<w::Request> {
        Ok(w::Request {
            mode: request.mode.into(),
            run: self.object_ref(&request.run)?,
            run_uid: self.text(&request.run_uid)?,
            started_at: request.started_at,
            deadline: request.deadline,
            now: request.now,
            strategy_kind: self.group_kind(&request.strategy_kind)?,
            strategy: self.some_json("strategy", request.strategy.as_ref())?,
            parameters: self.pairs("parameters", &request.parameters)?,
            options: self.some_json("options", request.options.as_ref())?,
            application: self.object_ref(&request.application)?,
            backup: request.backup.as_ref().map(|b| self.backup(b)).transpose()?,
            namespaces: self.pairs("namespaces", &request.namespaces)?,
            inherited: request.inherited.as_ref().map(|i| self.inherited(i)).transpose()?,
            cancelled: request.cancelled.as_ref().map(|cancelled| w::Cancellation {
                cause: match cancelled.cause {
                    c::CancelCause::Deleted => w::CancelCause::Deleted,
                    c::CancelCause::Deadline => w::CancelCause::Deadline,
                },
                deadline: cancelled.deadline,
            }),
        })
    }

    fn inherited(&mut self, inherited: &c::Inherited) -> Lowered<w::Inherited> {
        Ok(w::Inherited {
            run_uid: self.text(&inherited.run_uid)?,
            backup_uid: self.text(&inherited.backup_uid)?,
            component_version: self.text(&inherited.component_version)?,
            checkpoint: self.checkpoint("inherited.checkpoint.data", &inherited.checkpoint)?,
        })
    }

    fn backup(&mut self, backup: &c::Backup) -> Lowered<w::Backup> {
        Ok(w::Backup {
            name: self.text(&backup.name)?,
            uid: self.text(&backup.uid)?,
            run_uid: self.some_text(backup.run_uid.as_ref())?,
            component_version: self.some_text(backup.component_version.as_ref())?,
            application: self.group_kind(&backup.application)?,
            application_name: self.text(&backup.application_name)?,
            taken_at: backup.taken_at,
            metadata: self.pairs("backup.metadata", &backup.metadata)?,
            artifact: backup.artifact.as_ref().map(|a| self.artifact(a)).transpose()?,
            underlying_resources: self
                .some_json("backup.underlying-resources", backup.underlying_resources.as_ref())?,
            private_data: self.some_json("backup.private-data", backup.private_data.as_ref())?,
        })
    }

    fn artifact(&mut self, artifact: &c::Artifact) -> Lowered<w::Artifact> {
        Ok(w::Artifact {
            uri: self.text(&artifact.uri)?,
            size_bytes: artifact.size_bytes,
            checksum: self.some_text(artifact.checksum.as_ref())?,
        })
    }

    pub(in super::super) fn pod_result(
        &mut self,
        field: &str,
        result: &c::PodResult,
    ) -> Lowered<w::PodResult> {
        Ok(w::PodResult {
            succeeded: result.succeeded,
            reason: self.text(&result.reason)?,
            message: self.text(&result.message)?,
            pods: result.pods.iter().map(|pod| self.pod(pod)).collect::<Lowered<_>>()?,
            data: self.some_json(&format!("{field}.data"), result.data.as_ref())?,
        })
    }

    fn pod(&mut self, pod: &c::Pod) -> Lowered<w::Pod> {
        Ok(w::Pod {
            name: self.text(&pod.name)?,
            reason: self.text(&pod.reason)?,
            message: self.text(&pod.message)?,
            started_at: pod.started_at,
            finished_at: pod.finished_at,
            containers: pod.containers.iter().map(|c| self.container(c)).collect::<Lowered<_>>()?,
        })
    }

    fn container(&mut self, container: &c::Container) -> Lowered<w::Container> {
        Ok(w::Container {
            name: self.text(&container.name)?,
            exit_code: container.exit_code,
            reason: self.text(&container.reason)?,
            message: self.text(&container.message)?,
            log: self.text(&container.log)?,
        })
    }

    fn checkpoint(&mut self, field: &str, checkpoint: &c::Checkpoint) -> Lowered<w::Checkpoint> {
        Ok(w::Checkpoint { stage: self.text(&checkpoint.stage)?, data: self.json(field, &checkpoint.data)? })
    }

    pub(in super::super) fn view(&mut self, view: &c::View) -> Lowered<w::View> {
        Ok(w::View {
            checkpoint: view
                .checkpoint
                .as_ref()
                .map(|cp| self.checkpoint("checkpoint.data", cp))
                .transpose()?,
            stage_since: view.stage_since,
            answers: view.answers.iter().map(|a| self.answer(a)).collect::<Lowered<_>>()?,
            results: view.results.iter().map(|r| self.action_result(r)).collect::<Lowered<_>>()?,
        })
    }

    fn answer(&mut self, answer: &c::Answer) -> Lowered<w::Answer> {
        Ok(w::Answer {
            query: self.query(&answer.query)?,
            value: match &answer.value {
                Ok(content) => Ok(self.content(content)?),
                Err(error) => Err(match error {
                    c::ReadError::NotFound => w::ReadError::NotFound,
                    c::ReadError::NotServed => w::ReadError::NotServed,
                    c::ReadError::TooLarge => w::ReadError::TooLarge,
                    c::ReadError::Forbidden(why) => w::ReadError::Forbidden(self.text(why)?),
                    c::ReadError::Unavailable(why) => w::ReadError::Unavailable(self.text(why)?),
                }),
            },
        })
    }

    fn content(&mut self, content: &c::Content) -> Lowered<w::Content> {
        Ok(match content {
            c::Content::Object(object) => w::Content::Object(self.json("answers", object)?),
            c::Content::Objects(list) => w::Content::Objects(w::ObjectList {
                items: list.items.iter().map(|o| self.json("answers", o)).collect::<Lowered<_>>()?,
                complete: list.complete,
            }),
            c::Content::Log(text) => w::Content::Log(self.text(text)?),
            c::Content::SecretKeys(keys) => {
                w::Content::SecretKeys(keys.iter().map(|k| self.text(k)).collect::<Lowered<_>>()?)
            }
            c::Content::Pod(result) => {
                w::Content::Pod(result.as_ref().map(|r| self.pod_result("answers", r)).transpose()?)
            }
        })
    }

    fn query(&mut self, query: &c::Query) -> Lowered<w::Query> {
        Ok(match query {
            c::Query::Get(get) => w::Query::Get(w::GetQuery {
                object: self.object_ref(&get.object)?,
                live: get.live,
                fields: get.fields.iter().map(|f| self.text(f)).collect::<Lowered<_>>()?,
            }),
            c::Query::List(list) => w::Query::List(w::ListQuery {
                objects: self.selection(&list.objects)?,
                live: list.live,
                fields: list.fields.iter().map(|f| self.text(f)).collect::<Lowered<_>>()?,
                limit: list.limit,
            }),
            c::Query::Log(log) => w::Query::Log(w::LogQuery {
                pod: self.namespaced_name(&log.pod)?,
                container: self.text(&log.container)?,
                previous: log.previous,
                lines: log.lines,
            }),
            c::Query::SecretKeys(name) => w::Query::SecretKeys(self.namespaced_name(name)?),
            c::Query::Pod(name) => w::Query::Pod(self.text(name)?),
        })
    }

    fn action_result(&mut self, result: &c::ActionResult) -> Lowered<w::ActionResult> {
        Ok(w::ActionResult {
            object: self.object_ref(&result.object)?,
            value: match &result.value {
                Ok(object) => Ok(self.some_json("results", object.as_ref())?),
                Err(error) => Err(match error {
                    c::WriteError::AlreadyExists(object) => {
                        w::WriteError::AlreadyExists(self.json("results", object)?)
                    }
                    c::WriteError::NotFound => w::WriteError::NotFound,
                    c::WriteError::NotServed => w::WriteError::NotServed,
                    c::WriteError::Conflict(why) => w::WriteError::Conflict(self.text(why)?),
                    c::WriteError::Invalid(why) => w::WriteError::Invalid(self.text(why)?),
                    c::WriteError::Forbidden(why) => w::WriteError::Forbidden(self.text(why)?),
                    c::WriteError::Unavailable(why) => w::WriteError::Unavailable(self.text(why)?),
                    c::WriteError::NotTried => w::WriteError::NotTried,
                }),
            },
        })
    }
}

impl From<c::Mode> for w::Mode {
    fn from(mode: c::Mode) -> Self {
        match mode {
            c::Mode::Backup => Self::Backup,
            c::Mode::Restore => Self::Restore,
            c::Mode::Cleanup => Self::Cleanup,
        }
    }
}
