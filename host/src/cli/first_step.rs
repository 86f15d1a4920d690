//! The first step of a component that takes steps: what it asks for, as text for people.

use anyhow::anyhow;
use backstay_core::contract::{
    Action, Answer, Content, Decision, Failure, Json, ObjectRef, PodRun, Query, Request, Selection, View,
    Watch,
};
use backstay_engine::Component;
use serde_json::json;

/// Most calls until the component asks for something that is not in the files.
const CALLS: usize = 8;

/// Calls a component as in the first wake of a run, and returns its first decision that needs a cluster, with the pods that it
/// would start. Reads of the application are answered from its file.
pub(crate) fn first_step(
    component: &Component,
    request: &Request,
    application: &Json,
) -> anyhow::Result<(Json, Vec<PodRun>)> {
    let mut view =
        View { checkpoint: None, stage_since: request.started_at, answers: Vec::new(), results: Vec::new() };
    let mut calls = 0;
    loop {
        let step = component.step(request, &view)?.value;
        view.checkpoint = step.checkpoint.or(view.checkpoint);
        calls += 1;
        match step.decision {
            Decision::Observe(queries)
                if calls < CALLS && queries.iter().all(|query| is_of(query, &request.application)) =>
            {
                let answer = |query| Answer { query, value: Ok(Content::Object(application.clone())) };
                view.answers.extend(queries.into_iter().map(answer));
            }
            decision => {
                let stage = view.checkpoint.map(|checkpoint| checkpoint.stage);
                let (decision, pods) = described(decision)?;
                return Ok((json!({"stage": stage, "step": decision}), pods));
            }
        }
    }
}

fn is_of(query: &Query, application: &ObjectRef) -> bool {
    matches!(query, Query::Get(get) if get.object == *application)
}

fn described(decision: Decision) -> anyhow::Result<(Json, Vec<PodRun>)> {
    let mut pods = Vec::new();
    let described = match decision {
        Decision::Observe(queries) => json!({"read": queries.iter().map(asked).collect::<Vec<_>>()}),
        Decision::Act(actions) => {
            let actions: Vec<_> = actions.into_iter().map(|action| acted(action, &mut pods)).collect();
            json!({ "act": actions })
        }
        Decision::Wait(wait) => json!({"wait": {"reason": wait.reason, "message": wait.message,
            "for": wait.watch.iter().map(awaited).collect::<Vec<_>>()}}),
        Decision::Done(_) => json!("done"),
        Decision::Fail(failure) => return Err(refused(&failure)),
    };
    Ok((described, pods))
}

/// Returns the error of a failure that a component states.
pub(crate) fn refused(failure: &Failure) -> anyhow::Error {
    let findings =
        failure.findings.iter().map(|f| format!("\n  {}: {}", f.at, f.message)).collect::<String>();
    anyhow!("{}: {}{findings}", failure.reason, failure.message)
}

fn asked(query: &Query) -> String {
    match query {
        Query::Get(get) => object(&get.object),
        Query::List(list) => selection(&list.objects),
        Query::Log(log) => format!("log of {} in Pod {}/{}", log.container, log.pod.namespace, log.pod.name),
        Query::SecretKeys(secret) => format!("keys of Secret {}/{}", secret.namespace, secret.name),
        Query::Pod(name) => format!("result of the pod run {name}"),
    }
}

fn awaited(watch: &Watch) -> String {
    match watch {
        Watch::Object(reference) => object(reference),
        Watch::Objects(selected) => selection(selected),
        Watch::Pod(name) => format!("the pod run {name}"),
    }
}

fn acted(action: Action, pods: &mut Vec<PodRun>) -> Json {
    match action {
        Action::Create(create) if create.dry_run => json!({"createAsDryRun": create.manifest}),
        Action::Create(create) => json!({"create": create.manifest}),
        Action::Apply(apply) => json!({"apply": apply.manifest}),
        Action::Patch(patch) => json!({"patch": object(&patch.object), "by": patch.body}),
        Action::Delete(delete) => json!({"delete": object(&delete.object)}),
        Action::RunPod(run) => {
            let template = run.spec.template.clone();
            pods.push(run.spec);
            json!({"runPod": run.name, "template": template})
        }
    }
}

fn object(reference: &ObjectRef) -> String {
    let namespace = reference.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {} {namespace}{}", reference.api_version, reference.kind, reference.name)
}

fn selection(selected: &Selection) -> String {
    let namespace =
        selected.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    let labels =
        if selected.labels.is_empty() { String::new() } else { format!(" with {}", selected.labels) };
    format!("{} {}s{namespace}{labels}", selected.api_version, selected.kind)
}
