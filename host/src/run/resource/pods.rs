//! Pod runs of a step: the same Jobs that a pod strategy has, by the same rules.

use std::collections::BTreeMap;

use backstay_api::conditions::reasons;
use backstay_api::names;
use backstay_core::contract::{Action, Json, ObjectRef, PodResult, ReadError, RunPod, WriteError};
use backstay_core::job::{JobSpec, Ownership, PodRunNote, build, end, ownership};
use backstay_core::pod_policy;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;

use super::api::{Made, make_or_find, patiently, read_error, write_error};
use super::memory::Memory;
use super::scene::Scene;
use crate::context::Context;
use crate::run::object::Run;
use crate::run::{Halt, evidence, job};

/// The Job of the run's pod run of this name.
pub(super) fn reference(name: &str, scene: &Scene<'_>) -> ObjectRef {
    ObjectRef {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: Some(scene.run.namespace().to_owned()),
        name: names::pod_run_name(scene.run.name(), name),
    }
}

/// Starts it. One that this run started before is left alone.
pub(super) async fn start(run: RunPod, scene: &Scene<'_>) -> Result<Result<Option<Json>, WriteError>, Halt> {
    let violations = pod_policy::check(&run.spec.template, scene.ctx.registry.pods(scene.component()));
    if !violations.is_empty() {
        let message = format!(
            "the pod {:?} that the strategy asked for is not allowed: {}",
            run.name,
            job::findings(&violations)
        );
        return Err(Halt::fail(reasons::POD_POLICY_VIOLATION, message));
    }
    let name = reference(&run.name, scene).name;
    let request = scene.request;
    // What a cancelled run still runs is to undo it.
    let deadline = request.cancelled.as_ref().map_or(request.deadline, |c| c.deadline);
    let spec = JobSpec {
        name: &name,
        run: &scene.run.object,
        run_uid: &scene.run.uid,
        mode: scene.run.mode,
        strategy: &scene.pinned.kind,
        seconds_left: (deadline - request.now).max(1),
    };
    let built = build(&spec, &run.spec);
    let api = Api::<Job>::namespaced(scene.ctx.client.clone(), scene.run.namespace());
    Ok(match make_or_find(|| job::submit(&api, &built, scene.ctx), || api.get(&name)).await {
        Ok(Made::New(made)) => {
            job::warn_of(&run.spec, scene.run, scene.ctx);
            Ok(Some(shown(made)))
        }
        Ok(Made::Found(there)) => {
            let ours = matches!(ownership(&there, &scene.run.object, &scene.run.uid), Ownership::Ours { .. });
            let there = shown(there);
            if ours { Ok(Some(there)) } else { Err(WriteError::AlreadyExists(there)) }
        }
        Err(error) => Err(write_error(&error)),
    })
}

/// The Job as the guest sees it.
fn shown(mut job: Job) -> Json {
    job.metadata.managed_fields = None;
    // Plain data: serialising it cannot fail.
    serde_json::to_value(&job).unwrap_or_default()
}

/// Notes what is to be remembered of the pod runs among these actions. One whose Job is there is left alone, and with it
/// what is on record.
pub(super) fn note(actions: &[Action], pods: &mut BTreeMap<String, PodRunNote>, run: &Run, ctx: &Context) {
    for action in actions {
        let Action::RunPod(asked) = action else { continue };
        let job = ctx.caches.job(run.namespace(), &names::pod_run_name(run.name(), &asked.name));
        let started =
            job.is_some_and(|job| matches!(ownership(&job, &run.object, &run.uid), Ownership::Ours { .. }));
        if !started || !pods.contains_key(&asked.name) {
            pods.insert(asked.name.clone(), PodRunNote::of_run(&asked.spec));
        }
    }
}

/// Its result; none while it runs.
pub(super) async fn result(
    name: &str,
    scene: &Scene<'_>,
    memory: &Memory,
) -> Result<Result<Option<PodResult>, ReadError>, Halt> {
    let on_record = memory.pod(name);
    let name = reference(name, scene).name;
    let api = Api::<Job>::namespaced(scene.ctx.client.clone(), scene.run.namespace());
    // What a watch shows may be behind: now and then the Job itself is read.
    let due = scene.ctx.runs.job_read_due(&scene.run.uid, scene.ctx.settings.recheck);
    let found = match scene.ctx.caches.job(scene.run.namespace(), &name).filter(|_| !due) {
        Some(found) => found.as_ref().clone(),
        None => match patiently(|| api.get(&name)).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(read_error(&error))),
        },
    };
    if !matches!(ownership(&found, &scene.run.object, &scene.run.uid), Ownership::Ours { .. }) {
        return Ok(Err(ReadError::NotFound));
    }
    let Some(end) = end(&found) else { return Ok(Ok(None)) };
    let note = on_record.unwrap_or_else(|| PodRunNote::of(&found));
    let result = evidence::gather(scene.run, &found, &end, note.data, note.log_lines, scene.ctx).await?;
    Ok(Ok(Some(result)))
}
