//! Answers of calls, from the types of this crate to those of the bindings.

use super::{bounds, print, wit};
use crate::describe::{Access, Descriptor, Scope, Stage, StrategyKind, Traits, Verbs};
use crate::failure::{Failure, Finding, Severity};
use crate::object::{Condition, Event, Mode};
use crate::pod::PodRun;
use crate::request::Outcome;
use crate::step::{
    Action, Checkpoint, Decision, GetQuery, ListQuery, LogQuery, Propagation, Query, Selection, Step, Wait,
    Watch,
};

/// Makes a flag set of the fields of `from` that are set.
macro_rules! flags {
    ($from:ident => $set:ident { $($field:ident: $flag:ident),+ $(,)? }) => {{
        let mut flags = wit::$set::empty();
        $(if $from.$field { flags = flags | wit::$set::$flag; })+
        flags
    }};
}

impl From<Mode> for wit::Mode {
    fn from(v: Mode) -> Self {
        match v {
            Mode::Backup => Self::Backup,
            Mode::Restore => Self::Restore,
            Mode::Cleanup => Self::Cleanup,
        }
    }
}

impl From<Descriptor> for wit::Descriptor {
    fn from(v: Descriptor) -> Self {
        Self {
            name: v.name,
            version: v.version,
            kinds: v.kinds.into_iter().map(Into::into).collect(),
            parameters_schema: print(v.parameters_schema),
            options_schema: print(v.options_schema),
            access: v.access.into_iter().map(Into::into).collect(),
            namespaces: v.namespaces.into_iter().collect(),
            stages: v.stages.into_iter().map(Into::into).collect(),
            longest_run: v.longest_run,
            restores: v.restores,
            target_namespace_option: v.target_namespace_option,
            traits: v.traits.into(),
        }
    }
}

impl From<StrategyKind> for wit::StrategyKind {
    fn from(v: StrategyKind) -> Self {
        Self {
            group: v.group,
            version: v.version,
            kind: v.kind,
            plural: v.plural,
            schema: print(v.schema),
            applications: v.applications.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Traits> for wit::Traits {
    fn from(v: Traits) -> Self {
        flags!(v => Traits {
            restore: RESTORE,
            cleanup: CLEANUP,
            cancel: CANCEL,
            credentials: CREDENTIALS,
            strategy_on_restore: STRATEGY_ON_RESTORE,
            unpinned: UNPINNED,
        })
    }
}

impl From<Verbs> for wit::Verbs {
    fn from(v: Verbs) -> Self {
        flags!(v => Verbs {
            get: GET,
            list: LIST,
            watch: WATCH,
            create: CREATE,
            dry_run: DRY_RUN,
            apply: APPLY,
            patch: PATCH,
            delete: DELETE,
            purge: PURGE,
            logs: LOGS,
            keys: KEYS,
        })
    }
}

impl From<Access> for wit::Access {
    fn from(v: Access) -> Self {
        Self {
            group: v.group,
            version: v.version,
            kind: v.kind,
            plural: v.plural,
            scope: match v.scope {
                Scope::Run => wit::Scope::Run,
                Scope::Target => wit::Scope::Target,
                Scope::Cluster => wit::Scope::Cluster,
                Scope::Named(name) => wit::Scope::Named(name),
            },
            verbs: v.verbs.into(),
            fields: v.fields,
            guards: v.guards.into_iter().map(|g| wit::Guard { at: g.at, value: g.value }).collect(),
        }
    }
}

impl From<Stage> for wit::Stage {
    fn from(v: Stage) -> Self {
        Self { mode: v.mode.into(), name: v.name, about: v.about, keeps_checkpoint: v.keeps_checkpoint }
    }
}

impl From<Finding> for wit::Diagnostic {
    fn from(v: Finding) -> Self {
        Self {
            severity: match v.severity {
                Severity::Error => wit::Severity::Error,
                Severity::Warning => wit::Severity::Warning,
            },
            at: v.at,
            message: v.message,
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(v: Failure) -> Self {
        Self {
            reason: v.reason,
            message: bounds::text(v.message, bounds::FAILURE_MESSAGE),
            findings: bounds::findings(v.findings),
        }
    }
}

impl From<Condition> for wit::Condition {
    fn from(v: Condition) -> Self {
        Self {
            type_: v.type_,
            status: v.status,
            reason: v.reason,
            message: bounds::text(v.message, bounds::MESSAGE),
        }
    }
}

impl From<Event> for wit::Event {
    fn from(v: Event) -> Self {
        Self { warning: v.warning, reason: v.reason, message: bounds::text(v.message, bounds::MESSAGE) }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(v: Outcome) -> Self {
        Self {
            taken_at: v.taken_at,
            artifact: v.artifact.map(Into::into),
            metadata: v.metadata.into_iter().collect(),
            underlying_resources: v.underlying_resources.map(print),
            private_data: v.private_data.map(print),
            conditions: v.conditions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PodRun> for wit::PodRun {
    fn from(v: PodRun) -> Self {
        Self {
            template: print(v.template),
            backoff_limit: v.backoff_limit,
            active_deadline: v.active_deadline,
            log_lines: v.log_lines,
            data: v.data.map(print),
            findings: bounds::findings(v.findings),
        }
    }
}

impl From<Checkpoint> for wit::Checkpoint {
    fn from(v: Checkpoint) -> Self {
        Self { stage: v.stage, data: print(v.data) }
    }
}

impl From<Step> for wit::StepResult {
    fn from(v: Step) -> Self {
        Self {
            checkpoint: v.checkpoint.map(Into::into),
            conditions: v.conditions.into_iter().map(Into::into).collect(),
            events: v.events.into_iter().map(Into::into).collect(),
            decision: match v.decision {
                Decision::Observe(queries) => {
                    wit::Decision::Observe(queries.into_iter().map(Into::into).collect())
                }
                Decision::Act(actions) => wit::Decision::Act(actions.into_iter().map(Into::into).collect()),
                Decision::Wait(wait) => wit::Decision::Wait(wait.into()),
                Decision::Done(outcome) => wit::Decision::Done(outcome.map(Into::into)),
                Decision::Fail(failure) => wit::Decision::Fail(failure.into()),
            },
        }
    }
}

impl From<Wait> for wit::Wait {
    fn from(v: Wait) -> Self {
        let watch = v.watch.into_iter().map(|w| match w {
            Watch::Object(o) => wit::Watch::Object(o.into()),
            Watch::Objects(s) => wit::Watch::Objects(s.into()),
            Watch::Pod(name) => wit::Watch::Pod(name),
        });
        Self {
            reason: v.reason,
            message: bounds::text(v.message, bounds::MESSAGE),
            watch: watch.collect(),
            recheck_after: v.recheck_after,
            deadline: v.deadline,
        }
    }
}

impl From<Selection> for wit::Selection {
    fn from(v: Selection) -> Self {
        Self { api_version: v.api_version, kind: v.kind, namespace: v.namespace, labels: v.labels }
    }
}

impl From<Query> for wit::Query {
    fn from(v: Query) -> Self {
        match v {
            Query::Get(GetQuery { object, live, fields }) => {
                Self::Get(wit::GetQuery { object: object.into(), live, fields })
            }
            Query::List(ListQuery { objects, live, fields, limit }) => {
                Self::List(wit::ListQuery { objects: objects.into(), live, fields, limit })
            }
            Query::Log(LogQuery { pod, container, previous, lines }) => {
                Self::Log(wit::LogQuery { pod: pod.into(), container, previous, lines })
            }
            Query::SecretKeys(name) => Self::SecretKeys(name.into()),
            Query::Pod(name) => Self::Pod(name),
        }
    }
}

impl From<Action> for wit::Action {
    fn from(v: Action) -> Self {
        match v {
            Action::Create(a) => {
                Self::Create(wit::Create { manifest: print(a.manifest), dry_run: a.dry_run })
            }
            Action::Apply(a) => Self::Apply(wit::Apply { manifest: print(a.manifest), force: a.force }),
            Action::Patch(a) => Self::Patch(wit::Patch {
                object: a.object.into(),
                uid: a.uid,
                resource_version: a.resource_version,
                body: print(a.body),
            }),
            Action::Delete(a) => Self::Delete(wit::Delete {
                object: a.object.into(),
                uid: a.uid,
                resource_version: a.resource_version,
                propagation: match a.propagation {
                    Propagation::Background => wit::Propagation::Background,
                    Propagation::Foreground => wit::Propagation::Foreground,
                    Propagation::Orphan => wit::Propagation::Orphan,
                },
            }),
            Action::RunPod(a) => Self::RunPod(wit::RunPod { name: a.name, spec: a.spec.into() }),
        }
    }
}
