//! The answers of `step`.

use backstay_core::contract as c;

use super::super::bindings::types as w;
use super::Lift;
use crate::lift::{Answer, At as _, ContractViolation, rule};
use crate::limits::{
    ACTIONS, CHECKPOINT_BYTES, JSON_BYTES, LISTED_OBJECTS, LOG_TAIL_LINES, STEP_CONDITIONS, STEP_EVENTS,
    WATCHES,
};

impl Lift for w::StepResult {
    type To = c::StepResult;

    fn lift(self, answer: &mut Answer) -> Result<c::StepResult, ContractViolation> {
        Ok(c::StepResult {
            checkpoint: self.checkpoint.map(|cp| cp.lift(answer)).transpose().at("checkpoint")?,
            conditions: answer
                .list(self.conditions, STEP_CONDITIONS, |answer, c| c.lift(answer))
                .at("conditions")?,
            events: answer.list(self.events, STEP_EVENTS, |answer, e| e.lift(answer)).at("events")?,
            decision: self.decision.lift(answer).at("decision")?,
        })
    }
}

impl Lift for w::Checkpoint {
    type To = c::Checkpoint;

    fn lift(self, answer: &mut Answer) -> Result<c::Checkpoint, ContractViolation> {
        Ok(c::Checkpoint {
            stage: answer.name(self.stage).at("stage")?,
            data: answer.json(self.data, CHECKPOINT_BYTES).at("data")?,
        })
    }
}

impl Lift for w::Event {
    type To = c::Event;

    fn lift(self, answer: &mut Answer) -> Result<c::Event, ContractViolation> {
        Ok(c::Event {
            warning: self.warning,
            reason: answer.reason(self.reason).at("reason")?,
            message: answer.message(self.message).at("message")?,
        })
    }
}

impl Lift for w::Decision {
    type To = c::Decision;

    fn lift(self, answer: &mut Answer) -> Result<c::Decision, ContractViolation> {
        Ok(match self {
            Self::Observe(queries) => {
                c::Decision::Observe(answer.short_list(queries, |answer, q| q.lift(answer)).at("observe")?)
            }
            Self::Act(actions) => {
                c::Decision::Act(answer.list(actions, ACTIONS, |answer, a| a.lift(answer)).at("act")?)
            }
            Self::Wait(wait) => c::Decision::Wait(wait.lift(answer).at("wait")?),
            Self::Done(outcome) => c::Decision::Done(outcome.map(|o| o.lift(answer)).transpose().at("done")?),
            Self::Fail(failure) => c::Decision::Fail(failure.lift(answer).at("fail")?),
        })
    }
}

impl Lift for w::Wait {
    type To = c::Wait;

    fn lift(self, answer: &mut Answer) -> Result<c::Wait, ContractViolation> {
        Ok(c::Wait {
            reason: answer.reason(self.reason).at("reason")?,
            message: answer.message(self.message).at("message")?,
            watch: answer.list(self.watch, WATCHES, |answer, w| w.lift(answer)).at("watch")?,
            recheck_after: self.recheck_after,
            deadline: self.deadline,
        })
    }
}

impl Lift for w::Watch {
    type To = c::Watch;

    fn lift(self, answer: &mut Answer) -> Result<c::Watch, ContractViolation> {
        Ok(match self {
            Self::Object(object) => c::Watch::Object(object.lift(answer).at("object")?),
            Self::Objects(objects) => c::Watch::Objects(objects.lift(answer).at("objects")?),
            Self::Pod(name) => c::Watch::Pod(answer.name(name).at("pod")?),
        })
    }
}

impl Lift for w::ObjectRef {
    type To = c::ObjectRef;

    fn lift(self, answer: &mut Answer) -> Result<c::ObjectRef, ContractViolation> {
        Ok(c::ObjectRef {
            api_version: answer.api_version(self.api_version).at("api-version")?,
            kind: answer.kind(self.kind).at("kind")?,
            namespace: self.namespace.map(|n| answer.segment(n)).transpose().at("namespace")?,
            name: answer.segment(self.name).at("name")?,
        })
    }
}

impl Lift for w::NamespacedName {
    type To = c::NamespacedName;

    fn lift(self, answer: &mut Answer) -> Result<c::NamespacedName, ContractViolation> {
        Ok(c::NamespacedName {
            namespace: answer.segment(self.namespace).at("namespace")?,
            name: answer.segment(self.name).at("name")?,
        })
    }
}

impl Lift for w::Selection {
    type To = c::Selection;

    fn lift(self, answer: &mut Answer) -> Result<c::Selection, ContractViolation> {
        Ok(c::Selection {
            api_version: answer.api_version(self.api_version).at("api-version")?,
            kind: answer.kind(self.kind).at("kind")?,
            namespace: self.namespace.map(|n| answer.segment(n)).transpose().at("namespace")?,
            labels: answer.message(self.labels).at("labels")?,
        })
    }
}

impl Lift for w::Query {
    type To = c::Query;

    fn lift(self, answer: &mut Answer) -> Result<c::Query, ContractViolation> {
        Ok(match self {
            Self::Get(get) => c::Query::Get(c::GetQuery {
                object: get.object.lift(answer).at("object")?,
                live: get.live,
                fields: answer.short_list(get.fields, Answer::pointer).at("fields")?,
            }),
            Self::List(list) => {
                rule((1..=LISTED_OBJECTS).contains(&list.limit), || {
                    format!("must be 1 to {LISTED_OBJECTS}, is {}", list.limit)
                })
                .at("limit")?;
                c::Query::List(c::ListQuery {
                    objects: list.objects.lift(answer).at("objects")?,
                    live: list.live,
                    fields: answer.short_list(list.fields, Answer::pointer).at("fields")?,
                    limit: list.limit,
                })
            }
            Self::Log(log) => {
                rule((1..=LOG_TAIL_LINES).contains(&log.lines), || {
                    format!("must be 1 to {LOG_TAIL_LINES}, is {}", log.lines)
                })
                .at("lines")?;
                c::Query::Log(c::LogQuery {
                    pod: log.pod.lift(answer).at("pod")?,
                    container: answer.name(log.container).at("container")?,
                    previous: log.previous,
                    lines: log.lines,
                })
            }
            Self::SecretKeys(name) => c::Query::SecretKeys(name.lift(answer).at("secret-keys")?),
            Self::Pod(name) => c::Query::Pod(answer.name(name).at("pod")?),
        })
    }
}

impl Lift for w::Action {
    type To = c::Action;

    fn lift(self, answer: &mut Answer) -> Result<c::Action, ContractViolation> {
        Ok(match self {
            Self::Create(create) => c::Action::Create(c::Create {
                manifest: answer.manifest(create.manifest).at("manifest").at("create")?,
                dry_run: create.dry_run,
            }),
            Self::Apply(apply) => c::Action::Apply(c::Apply {
                manifest: answer.manifest(apply.manifest).at("manifest").at("apply")?,
                force: apply.force,
            }),
            Self::Patch(patch) => c::Action::Patch(c::Patch {
                object: patch.object.lift(answer).at("object").at("patch")?,
                uid: patch.uid.map(|uid| answer.name(uid)).transpose().at("uid").at("patch")?,
                resource_version: patch
                    .resource_version
                    .map(|version| answer.name(version))
                    .transpose()
                    .at("resource-version")
                    .at("patch")?,
                body: answer.object(patch.body, JSON_BYTES).at("body").at("patch")?,
            }),
            Self::Delete(delete) => c::Action::Delete(c::Delete {
                object: delete.object.lift(answer).at("object").at("delete")?,
                uid: answer.name(delete.uid).at("uid").at("delete")?,
                resource_version: delete
                    .resource_version
                    .map(|version| answer.name(version))
                    .transpose()
                    .at("resource-version")
                    .at("delete")?,
                propagation: match delete.propagation {
                    w::Propagation::Background => c::Propagation::Background,
                    w::Propagation::Foreground => c::Propagation::Foreground,
                    w::Propagation::Orphan => c::Propagation::Orphan,
                },
            }),
            Self::RunPod(run) => c::Action::RunPod(c::RunPod {
                name: answer.name(run.name).at("name").at("run-pod")?,
                spec: run.spec.lift(answer).at("spec").at("run-pod")?,
            }),
        })
    }
}
