//! Pod runs of a step: Jobs like that of a pod strategy, by the same rules.

use std::collections::BTreeMap;

use backstay_api::conditions::reasons;
use backstay_api::names;
use backstay_core::contract::{Json, ObjectRef, PodResult, ReadError, RunPod, WriteError};
use backstay_core::job::{JobSpec, Ownership, PodRunNote, ProofKey, build, end, is_owned, ownership};
use backstay_core::{pod_names, pod_policy};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ApiResource, DynamicObject};

use super::calls::{StepError, create_or_find, read_error, with_retries, write_error};
use super::scope::StepScope;
use crate::cluster::api::Api;
use crate::cluster::dynamic;
use crate::cluster::write::Created;
use crate::informers::stores::Stores;
use crate::run::not_done::{NotDone, findings_text};
use crate::run::{jobs, pod_logs, pod_result};
use crate::state::run::Run;
use crate::state::step_cache::StepCache;

/// Returns the Job of the pod run `name`.
pub(crate) fn reference(name: &str, scope: &StepScope<'_>) -> ObjectRef {
    ObjectRef {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: Some(scope.run.namespace().to_owned()),
        name: names::pod_run_name(scope.run.name(), name),
    }
}

/// Creates the Job of a pod run, unless this run has created it before, and returns the Job. From then on it is known by
/// its uid.
///
/// # Errors
/// The run fails if the pod is not allowed.
pub(crate) async fn start(
    run: RunPod,
    scope: &StepScope<'_>,
    cache: &mut StepCache,
) -> Result<Option<Json>, StepError<WriteError>> {
    let nameless = pod_names::check(&run.spec.template);
    if !nameless.is_empty() {
        let message = format!(
            "the pod {:?} that the strategy asked for names what cannot exist: {}",
            run.name,
            findings_text(&nameless)
        );
        return Err(NotDone::failed(reasons::TEMPLATE_ERROR, message).into());
    }
    let violations = pod_policy::check(&run.spec.template, scope.registry.pods(scope.component()));
    if !violations.is_empty() {
        let message = format!(
            "the pod {:?} that the strategy asked for is not allowed: {}",
            run.name,
            findings_text(&violations)
        );
        return Err(NotDone::failed(reasons::POD_POLICY_VIOLATION, message).into());
    }
    let name = reference(&run.name, scope).name;
    let request = scope.request;
    let key = scope.key.get().await.map_err(NotDone::from)?;
    // A pod run of a cancelled run is to undo it.
    let deadline = request.cancelled.as_ref().map_or(request.deadline, |c| c.deadline);
    let spec = JobSpec {
        name: &name,
        run: &scope.run.object,
        run_uid: &scope.run.uid,
        mode: scope.run.mode,
        strategy: &scope.pinned.kind,
        application: &scope.pinned.record.application_ref,
        key: &key,
        seconds_left: (deadline - request.now).max(1),
    };
    let built = build(&spec, &run.spec);
    // The component sees the whole Job.
    let api = dynamic::api(
        scope.cluster.client.clone(),
        Some(scope.run.namespace()),
        &ApiResource::erase::<Job>(&()),
    );
    let create = || jobs::submit(&api, &built);
    match create_or_find(scope.budget, create, || api.get(&name)).await {
        Ok(Created::New(created)) => {
            jobs::warn_of(&run.spec, scope.run, scope.notices);
            cache.started(&run.name, &owned(&created));
            Ok(Some(visible(&created)))
        }
        Ok(Created::Existing(there)) if is_its(&owned(&there), &run.name, scope, cache, &key) => {
            cache.started(&run.name, &owned(&there));
            Ok(Some(visible(&there)))
        }
        Ok(Created::Existing(there)) => Err(WriteError::AlreadyExists(visible(&there)).into()),
        Err(error) => Err(write_error(&error).into()),
    }
}

/// Returns what says whose a Job is.
fn owned(job: &DynamicObject) -> Job {
    Job { metadata: job.metadata.clone(), ..Job::default() }
}

/// Returns whether a Job is that of the pod run `name`: the one whose uid is known, or one that the controller made for it.
fn is_its(job: &Job, name: &str, scope: &StepScope<'_>, cache: &StepCache, key: &ProofKey) -> bool {
    match cache.job_uid(name) {
        Some(uid) => job.metadata.uid.as_deref() == Some(uid) && job.metadata.deletion_timestamp.is_none(),
        None => matches!(ownership(job, &scope.run.object, &scope.run.uid, key), Ownership::Ours { .. }),
    }
}

/// Returns a Job as the guest sees it.
fn visible(job: &DynamicObject) -> Json {
    // Plain data: serialising it cannot fail.
    serde_json::to_value(job).unwrap_or_default()
}

/// Returns the stored notes of pod runs together with those that an act asks for. The note of a pod run whose Job exists
/// stays as it is.
pub(crate) fn merge(
    asked: BTreeMap<String, PodRunNote>,
    run: &Run,
    cache: &StepCache,
    stores: &Stores,
) -> BTreeMap<String, PodRunNote> {
    let mut notes = cache.stored().map(|stored| stored.pods.clone()).unwrap_or_default();
    for (name, note) in asked {
        let job = stores.job(run.namespace(), &names::pod_run_name(run.name(), &name));
        let started =
            job.is_some_and(|job| job.metadata.deletion_timestamp.is_none() && is_owned(&job, &run.uid));
        if !started || !notes.contains_key(&name) {
            notes.insert(name, note);
        }
    }
    notes
}

/// Returns the result of a pod run; `None` while it runs.
///
/// # Errors
/// The API server's, where the pods of its Job are listed.
pub(crate) async fn result(
    pod_run: &str,
    scope: &StepScope<'_>,
    cache: &StepCache,
) -> Result<Option<PodResult>, StepError<ReadError>> {
    let on_record = cache.pod(pod_run);
    let name = reference(pod_run, scope).name;
    let api = Api::<Job>::namespaced(scope.cluster.client.clone(), scope.run.namespace());
    // A watch may be behind: the Job itself is read once in a while.
    let due = scope.runs.job_read_due(&scope.run.uid, &name, scope.recheck);
    let found = match scope.stores.job(scope.run.namespace(), &name).filter(|_| !due) {
        Some(found) => found.as_ref().clone(),
        None => match with_retries(scope.budget, || api.get_opt(&name)).await.map_err(|e| read_error(&e))? {
            Some(found) => found,
            // Somebody deleted it, perhaps when it had ended.
            None => scope
                .stores
                .evidence
                .gone_job(&scope.run.uid, &name)
                .filter(|job| end(job).is_some())
                .ok_or(ReadError::NotFound)?
                .as_ref()
                .clone(),
        },
    };
    let key = scope.key.get().await.map_err(NotDone::from)?;
    if !is_its(&found, pod_run, scope, cache, &key) {
        return Err(ReadError::NotFound.into());
    }
    let (cluster, stores) = (scope.cluster, scope.stores);
    let Some(end) = end(&found) else {
        if let Some(note) = on_record {
            pod_logs::keep(scope.run, &found, note.log_lines, &cluster.client, stores).await;
        }
        return Ok(None);
    };
    scope.notices.ready().await.map_err(NotDone::from)?;
    let note = match on_record {
        Some(note) => note,
        // The watch does not keep it.
        None => {
            PodRunNote::of(&with_retries(scope.budget, || api.get(&name)).await.map_err(|e| read_error(&e))?)
        }
    };
    let result =
        pod_result::collect(scope.run, &found, &end, note.data, note.log_lines, cluster, stores).await;
    Ok(Some(result.map_err(NotDone::from)?))
}
