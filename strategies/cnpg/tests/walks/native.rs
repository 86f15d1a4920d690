//! The strategy called as a function of this process: the contract's types to the SDK's and back. A hundred times faster
//! than the sandbox, and the same code; what only the sandbox shows is shown by the walks that go through it.

use backstay_sdk as sdk;
use backstay_sdk::prelude::{ResourceStrategy, Strategy};
use backstay_sdk::step as from;
use backstay_testing::contract as to;

/// The next step of `S`.
pub(crate) fn step<S: ResourceStrategy>(
    request: &to::Request,
    view: &to::View,
) -> Result<to::StepResult, String> {
    let spec = match &request.strategy {
        None => None,
        Some(spec) => match serde_json::from_value::<<S as Strategy>::Spec>(spec.clone()) {
            Ok(spec) => Some(spec),
            Err(e) => return Err(format!("the spec does not decode: {e}")),
        },
    };
    let step = S::step(&told(request, spec), &seen(view)).unwrap_or_else(Into::into);
    Ok(to::StepResult {
        checkpoint: step.checkpoint.map(|c| to::Checkpoint { stage: c.stage, data: c.data }),
        conditions: step.conditions.into_iter().map(condition).collect(),
        events: step
            .events
            .into_iter()
            .map(|e| to::Event { warning: e.warning, reason: e.reason, message: e.message })
            .collect(),
        decision: decision(step.decision),
    })
}

fn told<S>(r: &to::Request, spec: Option<S>) -> sdk::Request<S> {
    sdk::Request {
        mode: match r.mode {
            to::Mode::Backup => sdk::Mode::Backup,
            to::Mode::Restore => sdk::Mode::Restore,
            to::Mode::Cleanup => sdk::Mode::Cleanup,
        },
        run: object(&r.run),
        run_uid: r.run_uid.clone(),
        started_at: r.started_at,
        deadline: r.deadline,
        now: r.now,
        kind: kind(&r.strategy_kind),
        spec,
        parameters: r.parameters.clone(),
        options: r.options.clone(),
        application: object(&r.application),
        backup: r.backup.as_ref().map(backup),
        namespaces: r.namespaces.clone(),
        inherited: r.inherited.as_ref().map(|i| sdk::Inherited {
            run_uid: i.run_uid.clone(),
            backup_uid: i.backup_uid.clone(),
            component_version: i.component_version.clone(),
            checkpoint: checkpoint(&i.checkpoint),
        }),
        cancelled: r.cancelled.as_ref().map(|c| sdk::Cancellation {
            cause: match c.cause {
                to::CancelCause::Deleted => sdk::CancelCause::Deleted,
                to::CancelCause::Deadline => sdk::CancelCause::Deadline,
            },
            deadline: c.deadline,
        }),
    }
}

fn backup(b: &to::Backup) -> sdk::Backup {
    sdk::Backup {
        name: b.name.clone(),
        uid: b.uid.clone(),
        run_uid: b.run_uid.clone(),
        component_version: b.component_version.clone(),
        application: kind(&b.application),
        application_name: b.application_name.clone(),
        taken_at: b.taken_at,
        metadata: b.metadata.clone(),
        artifact: b.artifact.as_ref().map(|a| sdk::Artifact {
            uri: a.uri.clone(),
            size_bytes: a.size_bytes,
            checksum: a.checksum.clone(),
        }),
        underlying_resources: b.underlying_resources.clone(),
        private_data: b.private_data.clone(),
    }
}

fn kind(k: &to::GroupKind) -> sdk::GroupKind {
    sdk::GroupKind::new(k.group.clone(), k.kind.clone())
}

fn object(o: &to::ObjectRef) -> sdk::ObjectRef {
    sdk::ObjectRef {
        api_version: o.api_version.clone(),
        kind: o.kind.clone(),
        namespace: o.namespace.clone(),
        name: o.name.clone(),
    }
}

fn object_back(o: sdk::ObjectRef) -> to::ObjectRef {
    to::ObjectRef { api_version: o.api_version, kind: o.kind, namespace: o.namespace, name: o.name }
}

fn checkpoint(c: &to::Checkpoint) -> from::Checkpoint {
    from::Checkpoint { stage: c.stage.clone(), data: c.data.clone() }
}

fn seen(view: &to::View) -> from::View {
    from::View {
        checkpoint: view.checkpoint.as_ref().map(checkpoint),
        stage_since: view.stage_since,
        answers: view.answers.iter().map(answer).collect(),
        results: view.results.iter().map(result).collect(),
    }
}

fn answer(a: &to::Answer) -> from::Answer {
    let value = match &a.value {
        Ok(content) => Ok(match content {
            to::Content::Object(o) => from::Content::Object(o.clone().into()),
            to::Content::Objects(l) => {
                let items = l.items.iter().cloned().map(Into::into).collect();
                from::Content::Objects(from::ObjectList { items, complete: l.complete })
            }
            to::Content::Log(t) => from::Content::Log(t.clone()),
            to::Content::SecretKeys(k) => from::Content::SecretKeys(k.clone()),
            to::Content::Pod(_) => panic!("the strategy runs no pods"),
        }),
        Err(e) => Err(match e {
            to::ReadError::NotFound => from::ReadError::NotFound,
            to::ReadError::NotServed => from::ReadError::NotServed,
            to::ReadError::TooLarge => from::ReadError::TooLarge,
            to::ReadError::Forbidden(m) => from::ReadError::Forbidden(m.clone()),
            to::ReadError::Unavailable(m) => from::ReadError::Unavailable(m.clone()),
        }),
    };
    from::Answer { query: query(&a.query), value }
}

fn query(q: &to::Query) -> from::Query {
    match q {
        to::Query::Get(g) => from::Query::Get(from::GetQuery {
            object: object(&g.object),
            live: g.live,
            fields: g.fields.clone(),
        }),
        to::Query::List(l) => from::Query::List(from::ListQuery {
            objects: from::Selection {
                api_version: l.objects.api_version.clone(),
                kind: l.objects.kind.clone(),
                namespace: l.objects.namespace.clone(),
                labels: l.objects.labels.clone(),
            },
            live: l.live,
            fields: l.fields.clone(),
            limit: l.limit,
        }),
        to::Query::Log(l) => from::Query::Log(from::LogQuery {
            pod: name(&l.pod),
            container: l.container.clone(),
            previous: l.previous,
            lines: l.lines,
        }),
        to::Query::SecretKeys(s) => from::Query::SecretKeys(name(s)),
        to::Query::Pod(name) => from::Query::Pod(name.clone()),
    }
}

fn name(n: &to::NamespacedName) -> sdk::NamespacedName {
    sdk::NamespacedName { namespace: n.namespace.clone(), name: n.name.clone() }
}

fn name_back(n: sdk::NamespacedName) -> to::NamespacedName {
    to::NamespacedName { namespace: n.namespace, name: n.name }
}

fn result(r: &to::ActionResult) -> from::ActionResult {
    let value = r.value.clone().map_err(|e| match e {
        to::WriteError::AlreadyExists(o) => from::WriteError::AlreadyExists(o),
        to::WriteError::NotFound => from::WriteError::NotFound,
        to::WriteError::NotServed => from::WriteError::NotServed,
        to::WriteError::Conflict(m) => from::WriteError::Conflict(m),
        to::WriteError::Invalid(m) => from::WriteError::Invalid(m),
        to::WriteError::Forbidden(m) => from::WriteError::Forbidden(m),
        to::WriteError::Unavailable(m) => from::WriteError::Unavailable(m),
        to::WriteError::NotTried => from::WriteError::NotTried,
    });
    from::ActionResult { object: object(&r.object), value }
}

fn condition(c: sdk::Condition) -> to::Condition {
    to::Condition { type_: c.type_, status: c.status, reason: c.reason, message: c.message }
}

fn decision(decision: from::Decision) -> to::Decision {
    match decision {
        from::Decision::Observe(queries) => {
            to::Decision::Observe(queries.into_iter().map(query_back).collect())
        }
        from::Decision::Act(actions) => to::Decision::Act(actions.into_iter().map(action).collect()),
        from::Decision::Wait(w) => to::Decision::Wait(to::Wait {
            reason: w.reason,
            message: w.message,
            watch: w.watch.into_iter().map(watch).collect(),
            recheck_after: w.recheck_after,
            deadline: w.deadline,
        }),
        from::Decision::Done(outcome) => to::Decision::Done(outcome.map(|o| to::Outcome {
            taken_at: o.taken_at,
            artifact: o.artifact.map(|a| to::Artifact {
                uri: a.uri,
                size_bytes: a.size_bytes,
                checksum: a.checksum,
            }),
            metadata: o.metadata,
            underlying_resources: o.underlying_resources,
            private_data: o.private_data,
            conditions: o.conditions.into_iter().map(condition).collect(),
        })),
        from::Decision::Fail(f) => {
            to::Decision::Fail(to::Failure { reason: f.reason, message: f.message, findings: Vec::new() })
        }
    }
}

fn watch(w: from::Watch) -> to::Watch {
    match w {
        from::Watch::Object(o) => to::Watch::Object(object_back(o)),
        from::Watch::Objects(s) => to::Watch::Objects(selection(s)),
        from::Watch::Pod(name) => to::Watch::Pod(name),
    }
}

fn selection(s: from::Selection) -> to::Selection {
    to::Selection { api_version: s.api_version, kind: s.kind, namespace: s.namespace, labels: s.labels }
}

fn query_back(q: from::Query) -> to::Query {
    match q {
        from::Query::Get(g) => {
            to::Query::Get(to::GetQuery { object: object_back(g.object), live: g.live, fields: g.fields })
        }
        from::Query::List(l) => to::Query::List(to::ListQuery {
            objects: selection(l.objects),
            live: l.live,
            fields: l.fields,
            limit: l.limit,
        }),
        from::Query::Log(l) => to::Query::Log(to::LogQuery {
            pod: name_back(l.pod),
            container: l.container,
            previous: l.previous,
            lines: l.lines,
        }),
        from::Query::SecretKeys(s) => to::Query::SecretKeys(name_back(s)),
        from::Query::Pod(name) => to::Query::Pod(name),
    }
}

fn action(a: from::Action) -> to::Action {
    match a {
        from::Action::Create(c) => {
            to::Action::Create(to::Create { manifest: c.manifest, dry_run: c.dry_run })
        }
        from::Action::Apply(a) => to::Action::Apply(to::Apply { manifest: a.manifest, force: a.force }),
        from::Action::Patch(p) => to::Action::Patch(to::Patch {
            object: object_back(p.object),
            uid: p.uid,
            resource_version: p.resource_version,
            body: p.body,
        }),
        from::Action::Delete(d) => to::Action::Delete(to::Delete {
            object: object_back(d.object),
            uid: d.uid,
            resource_version: d.resource_version,
            propagation: match d.propagation {
                from::Propagation::Background => to::Propagation::Background,
                from::Propagation::Foreground => to::Propagation::Foreground,
                from::Propagation::Orphan => to::Propagation::Orphan,
            },
        }),
        from::Action::RunPod(_) => panic!("the strategy runs no pods"),
    }
}

/// What `S` says of itself, as the host reads it; without schemas, which no walk looks at.
pub(crate) fn descriptor<S: Strategy>() -> to::Descriptor {
    let d = S::describe();
    let mode = |mode| match mode {
        sdk::Mode::Backup => to::Mode::Backup,
        sdk::Mode::Restore => to::Mode::Restore,
        sdk::Mode::Cleanup => to::Mode::Cleanup,
    };
    let stage = |s: sdk::Stage| to::Stage {
        mode: mode(s.mode),
        name: s.name,
        about: s.about,
        keeps_checkpoint: s.keeps_checkpoint,
    };
    to::Descriptor {
        name: d.name,
        version: d.version,
        kinds: Vec::new(),
        parameters_schema: serde_json::Value::Null,
        options_schema: serde_json::Value::Null,
        access: d.access.into_iter().map(access).collect(),
        namespaces: d.namespaces,
        stages: d.stages.into_iter().map(stage).collect(),
        longest_run: d.longest_run,
        restores: d.restores,
        target_namespace_option: d.target_namespace_option,
        traits: to::Traits {
            restore: d.traits.restore,
            cleanup: d.traits.cleanup,
            cancel: d.traits.cancel,
            credentials: d.traits.credentials,
            strategy_on_restore: d.traits.strategy_on_restore,
            unpinned: d.traits.unpinned,
        },
    }
}

fn access(a: sdk::Access) -> to::Access {
    let v = a.verbs;
    to::Access {
        group: a.group,
        version: a.version,
        kind: a.kind,
        plural: a.plural,
        scope: match a.scope {
            sdk::Scope::Run => to::Scope::Run,
            sdk::Scope::Target => to::Scope::Target,
            sdk::Scope::Cluster => to::Scope::Cluster,
            sdk::Scope::Named(name) => to::Scope::Named(name),
        },
        verbs: to::Verbs {
            get: v.get,
            list: v.list,
            watch: v.watch,
            create: v.create,
            dry_run: v.dry_run,
            apply: v.apply,
            patch: v.patch,
            delete: v.delete,
            purge: v.purge,
            logs: v.logs,
            keys: v.keys,
        },
        fields: a.fields,
        guards: a.guards.into_iter().map(|g| to::Guard { at: g.at, value: g.value }).collect(),
    }
}
