//! The Job of a run: found or made, and looked at until it has ended (lifecycle.md 10; R2, R6, F9, F10).

use std::sync::Arc;
use std::time::Duration;

use backstay_api::JobRecord;
use backstay_api::conditions::reasons;
use backstay_core::contract::{Diagnostic, Failure, Mode, PodRun};
use backstay_core::job::{
    End, JobSpec, Ownership, PodRunNote, build, end, ownership, trouble, trouble_of_job,
};
use backstay_core::pod_policy;
use backstay_core::retry::Class;
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;

use super::halt::Halt;
use super::object::Run;
use super::pinned::Pinned;
use super::{request, resolve};
use crate::api_error::{ApiError, class};
use crate::context::{Context, fault};
use crate::lean::Lean;
use crate::manager;

/// How long after the run's deadline its Job, which has the same deadline, is given to end by itself.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How often it is looked at meanwhile.
const LATE: Duration = Duration::from_secs(30);
/// How often a Job is looked at that has no pod, or none that has started: no event tells of what does not happen.
const UNSTARTED: Duration = Duration::from_secs(15);

/// The Job of a run that has none on record yet: the one that an earlier attempt made, or a new one. Its uid is on
/// record when this returns.
pub(super) async fn ensure(run: &mut Run, pinned: &Pinned, ctx: &Arc<Context>) -> Result<Job, Halt> {
    let name = run.job_name();
    let job = match ctx.caches.job(run.namespace(), &name) {
        Some(job) => adopt(run, &name, job.as_ref().clone())?,
        None => create(run, pinned, &name, ctx).await?,
    };
    let note = PodRunNote::of(&job);
    let uid = job.metadata.uid.clone().unwrap_or_default();
    if let Some(record) = &mut run.status.run {
        record.job = Some(JobRecord {
            name: name.clone(),
            uid,
            data: note.data.as_ref().map(ToString::to_string),
            log_lines: (note.log_lines > 0).then_some(note.log_lines),
        });
    }
    run.status.running(&going_well(&name), ctx.clock.now());
    let doing = format!("recording the Job of {}", run.title());
    ctx.runs.write(run, &ctx.client).await.map_err(|e| ApiError::new(doing, e))?;
    Ok(job)
}

/// A Job of our name that is there already.
fn adopt(run: &Run, name: &str, job: Job) -> Result<Job, Halt> {
    match ownership(&job, &run.object, &run.uid) {
        Ownership::Ours { .. } => Ok(job),
        Ownership::OursDeleting => Err(lost(name)),
        Ownership::Previous => Err(Halt::wait(
            reasons::PREVIOUS_JOB_TERMINATING,
            format!(
                "Job {name:?} of an earlier {} of this name is still going away; delete it if it does not",
                run.object.kind
            ),
        )),
        Ownership::Foreign { owner } => Err(Halt::fail(
            reasons::JOB_NAME_CONFLICT,
            format!(
                "Job \"{}/{name}\" exists and is controlled by {owner}, not by this {}; remove or rename it, and create the {} anew",
                run.namespace(),
                run.object.kind,
                run.object.kind
            ),
        )),
    }
}

async fn create(run: &Run, pinned: &Pinned, name: &str, ctx: &Arc<Context>) -> Result<Job, Halt> {
    let now = ctx.clock.now();
    let deadline = run.deadline().unwrap_or(now);
    if now >= deadline {
        let message = "the run's deadline has passed before its Job could be created".to_owned();
        return Err(Halt::fail(reasons::RUN_DEADLINE_EXCEEDED, message));
    }
    let pod_run = render(run, pinned, ctx).await?;
    let spec = JobSpec {
        name,
        run: &run.object,
        run_uid: &run.uid,
        mode: run.mode,
        strategy: &pinned.kind,
        seconds_left: deadline.duration_since(now).as_secs(),
    };
    let title = format!("Job \"{}/{name}\"", run.namespace());
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    let submitted = submit::<Lean<Job>>(&api, &build(&spec, &pod_run), ctx).await.and_then(Lean::decoded);
    match submitted {
        Ok(job) => {
            warn_of(&pod_run, run, ctx);
            tracing::info!(run = %run.title(), job = name, "job created");
            Ok(job)
        }
        Err(error) if class(&error) == Class::AlreadyExists => {
            let found = api.get_opt(name).await.map_err(|e| ApiError::new(format!("reading {title}"), e))?;
            match found {
                Some(job) => adopt(run, name, job),
                // It went away in between: look again.
                None => Err(ApiError::new(format!("creating {title}"), error).into()),
            }
        }
        Err(error) => {
            Err(ApiError::new(format!("creating {title}"), error).refused_as(reasons::INVALID_JOB).into())
        }
    }
}

/// Tells the warnings of rendering a pod run that has been started.
pub(super) fn warn_of(pod_run: &PodRun, run: &Run, ctx: &Context) {
    for finding in &pod_run.findings {
        ctx.warn(run, reasons::TEMPLATE_WARNING, &format!("{}: {}", finding.at, finding.message));
    }
}

/// Sends the Job as it was rendered, so that fields which this program does not know reach the API server, and asks it to
/// refuse those that it does not know either: a misspelt field of a template is an error, not silence.
pub(super) async fn submit<T: DeserializeOwned>(
    api: &Api<Job>,
    job: &serde_json::Value,
    ctx: &Context,
) -> Result<T, kube::Error> {
    let body = serde_json::to_vec(job).map_err(kube::Error::SerdeError)?;
    let mut request = Request::new(api.resource_url())
        .create(&PostParams { field_manager: Some(manager::NAME.to_owned()), ..PostParams::default() }, body)
        .map_err(kube::Error::BuildRequest)?;
    // Both parts are a valid request target already.
    if let Ok(strict) = format!("{}&fieldValidation=Strict", request.uri()).parse() {
        *request.uri_mut() = strict;
    }
    ctx.client.request(request).await
}

/// Asks the component for the pod, and judges the answer.
async fn render(run: &Run, pinned: &Pinned, ctx: &Arc<Context>) -> Result<PodRun, Halt> {
    let request = request::request(run, pinned, &mut request::Known::default(), ctx).await?;
    let application = match run.mode {
        Mode::Cleanup => None,
        Mode::Backup | Mode::Restore => Some(application(run, pinned, ctx).await?),
    };
    let component = pinned.component.clone();
    let name = component.descriptor().name.clone();
    let called = ctx
        .call(&name, "render", move || component.render(&request, application.as_ref()))
        .await
        .map_err(|e| Halt::fail(e.reason(), fault(&name, &e)))?;
    let pod_run = called.value.map_err(refused)?;
    let violations = pod_policy::check(&pod_run.template, ctx.registry.pods(&name));
    if violations.is_empty() {
        return Ok(pod_run);
    }
    Err(Halt::fail(
        reasons::POD_POLICY_VIOLATION,
        format!("the pod that the strategy rendered is not allowed: {}", findings(&violations)),
    ))
}

/// The application, as it is now.
async fn application(run: &Run, pinned: &Pinned, ctx: &Arc<Context>) -> Result<serde_json::Value, Halt> {
    let reference = &pinned.record.application_ref;
    let doing = || format!("reading {} \"{}/{}\"", reference.kind, run.namespace(), reference.name);
    let kind = ctx.discovery.kind(&ctx.client, reference).await.map_err(|e| ApiError::new(doing(), e))?;
    let Some(kind) = kind else { return Err(resolve::not_found(run, reference)) };
    let api = kind.api(&ctx.client, run.namespace());
    let found = api.get_opt(&reference.name).await.map_err(|e| ApiError::new(doing(), e))?;
    let Some(mut object) = found else { return Err(resolve::not_found(run, reference)) };
    // Left out of what templates see (decisions.md 15).
    object.managed_fields_mut().clear();
    let types = kube::core::TypeMeta {
        api_version: kind.resource.api_version.clone(),
        kind: kind.resource.kind.clone(),
    };
    object.types.get_or_insert(types);
    serde_json::to_value(&object).map_err(|e| Halt::fail(reasons::APPLICATION_NOT_FOUND, e.to_string()))
}

/// A failure that the guest stated.
pub(super) fn refused(failure: Failure) -> Halt {
    let message = words(&failure);
    Halt::fail(failure.reason, message)
}

/// What the guest says of a failure, with those of its findings that its message does not tell already.
pub(super) fn words(failure: &Failure) -> String {
    let untold = failure.findings.iter().filter(|f| !failure.message.contains(&f.message));
    match findings(untold).as_str() {
        "" => failure.message.clone(),
        findings => format!("{}: {findings}", failure.message),
    }
}

pub(super) fn findings<'a>(findings: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    findings.into_iter().map(|f| format!("{}: {}", f.at, f.message)).collect::<Vec<_>>().join("; ")
}

/// The Job on record. From the moment its uid is there only this Job decides (R6); if it vanished it is lost, and there
/// is no silent second attempt (F10).
pub(super) async fn recorded(run: &Run, record: &JobRecord, ctx: &Arc<Context>) -> Result<Job, Halt> {
    // What a watch shows may be behind. Now and then, and before a Job is stopped for being late, the Job itself is read.
    if !run.is_late(ctx.clock.now())
        && !ctx.runs.job_read_due(&run.uid, ctx.settings.recheck)
        && let Some(job) = ctx.caches.job(run.namespace(), &record.name)
        && job.metadata.uid.as_deref() == Some(&record.uid)
    {
        return Ok(job.as_ref().clone());
    }
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    let doing = || format!("reading Job \"{}/{}\"", run.namespace(), record.name);
    match api.get_opt(&record.name).await.map_err(|e| ApiError::new(doing(), e))? {
        Some(job) if job.metadata.uid.as_deref() == Some(&record.uid) => Ok(job),
        _ => Err(lost(&record.name)),
    }
}

fn lost(name: &str) -> Halt {
    Halt::fail(
        reasons::JOB_LOST,
        format!("Job {name:?} was deleted before it ended, and is not run a second time; create a new run"),
    )
}

/// How the Job ended, or a wait for it. A Job that is still there after the run's deadline is stopped.
pub(super) async fn ended(run: &Run, job: &Job, ctx: &Arc<Context>) -> Result<End, Halt> {
    if let Some(end) = end(job) {
        return Ok(end);
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Err(lost(&job.name_any()));
    }
    let now = ctx.clock.now();
    let pods = ctx.caches.pods_of(job);
    let pods = || pods.iter().map(AsRef::as_ref);
    // A pod that is gone takes its trouble with it; what was said of it stays until there is another one.
    let gone = || if pods().next().is_none() { last_trouble(run) } else { None };
    let stuck = trouble(pods()).or_else(gone).or_else(|| trouble_of_job(job, pods(), now));
    if let Some(deadline) = run.deadline()
        && now >= deadline.saturating_add(GRACE).unwrap_or(deadline)
    {
        stop(run, job, ctx).await?;
        let message = format!(
            "the run's deadline has passed and its Job was stopped{}",
            stuck.map(|s| format!("; {s}")).unwrap_or_default()
        );
        return Err(Halt::fail(reasons::RUN_DEADLINE_EXCEEDED, message));
    }
    let started = pods().any(|p| p.status.as_ref().is_some_and(|s| s.phase.as_deref() != Some("Pending")));
    let message = stuck.unwrap_or_else(|| going_well(&job.name_any()));
    let recheck = match (run.is_late(now), started) {
        (true, _) => LATE.min(ctx.settings.recheck),
        (false, false) => UNSTARTED.min(ctx.settings.recheck),
        (false, true) => ctx.settings.recheck,
    };
    Err(Halt::Running { message, recheck })
}

fn going_well(job: &str) -> String {
    format!("Job {job:?} is running")
}

/// The trouble that the run said last, if it was in any.
pub(super) fn last_trouble(run: &Run) -> Option<String> {
    let said = run.status.ready().filter(|c| c.reason == reasons::RUNNING)?;
    let job = &run.status.run.as_ref()?.job.as_ref()?.name;
    (said.message != going_well(job)).then(|| said.message.clone())
}

/// Deletes exactly this Job, with its pods.
pub(super) async fn stop(run: &Run, job: &Job, ctx: &Arc<Context>) -> Result<(), ApiError> {
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: job.metadata.uid.clone(), resource_version: None }),
        ..DeleteParams::background()
    };
    match api.delete(&job.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(class(&error), Class::NotFound | Class::Conflict) => Ok(()),
        Err(error) => {
            Err(ApiError::new(format!("stopping Job \"{}/{}\"", run.namespace(), job.name_any()), error))
        }
    }
}
