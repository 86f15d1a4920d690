//! The Job of a run that is one pod: found or created, and observed until it has ended.

use std::time::Duration;

use backstay_api::JobRecord;
use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, PodRun};
use backstay_core::job::{
    End, JobSpec, Ownership, PodRunNote, build, end, ownership, trouble, trouble_of_job,
};
use backstay_core::pod_policy;
use backstay_core::retry::Class;
use backstay_engine::Component;
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, ResourceExt};

use crate::cluster::error::{ApiError, class};
use crate::cluster::partial::Partial;
use crate::context::Context;
use crate::run::not_done::{NotDone, findings_text, guest_failed};
use crate::run::pinned::Pinned;
use crate::run::pod::build_request;
use crate::run::save::save;
use crate::run::{application, jobs};
use crate::state::run::Run;

/// How long after the run's deadline its Job, which has the same deadline, is given to end by itself.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How often it is looked at meanwhile.
const LATE: Duration = Duration::from_secs(30);
/// How often a Job is looked at that has no pod, or none that has started: no event tells of what does not happen.
const UNSTARTED: Duration = Duration::from_secs(15);

/// The Job of a run that has none on record yet: the one that an earlier attempt made, or a new one. Its uid is on
/// record when this returns.
pub(crate) async fn ensure(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<Job, NotDone> {
    let name = run.job_name();
    let job = match ctx.stores.job(run.namespace(), &name) {
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
    save(run, "recording the Job", &ctx.state.runs).await?;
    Ok(job)
}

/// A Job of our name that is there already.
fn adopt(run: &Run, name: &str, job: Job) -> Result<Job, NotDone> {
    match ownership(&job, &run.object, &run.uid) {
        Ownership::Ours { .. } => Ok(job),
        Ownership::OursDeleting => Err(lost(name)),
        Ownership::Previous => Err(NotDone::blocked(
            reasons::PREVIOUS_JOB_TERMINATING,
            format!(
                "Job {name:?} of an earlier {} of this name is still going away; delete it if it does not",
                run.object.kind
            ),
        )),
        Ownership::Foreign { owner } => Err(NotDone::failed(
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

async fn create(run: &Run, pinned: &Pinned, name: &str, ctx: &Context) -> Result<Job, NotDone> {
    let now = ctx.clock.now();
    let deadline = run.deadline().unwrap_or(now);
    if now >= deadline {
        let message = "the run's deadline has passed before its Job could be created".to_owned();
        return Err(NotDone::failed(reasons::RUN_DEADLINE_EXCEEDED, message));
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
    let api = Api::<Job>::namespaced(ctx.cluster.client.clone(), run.namespace());
    let submitted = jobs::submit::<Partial<Job>>(&api, &build(&spec, &pod_run), &ctx.cluster.client)
        .await
        .and_then(Partial::decoded);
    match submitted {
        Ok(job) => {
            jobs::warn_of(&pod_run, run, &ctx.notices);
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

/// Asks the component for the pod, and judges the answer.
async fn render(run: &Run, pinned: &Pinned, ctx: &Context) -> Result<PodRun, NotDone> {
    let request = build_request(run, pinned, ctx).await?;
    let application = match run.mode {
        Mode::Cleanup => None,
        Mode::Backup | Mode::Restore => {
            Some(application::read(run, &pinned.record.application_ref, &ctx.cluster).await?)
        }
    };
    let render = move |component: &Component| component.render(&request, application.as_ref());
    let rendered = ctx.components.call(&pinned.component, "render", render).await?;
    let pod_run = rendered.map_err(guest_failed)?;
    let allowed = ctx.components.registry.pods(&pinned.component.descriptor().name);
    let violations = pod_policy::check(&pod_run.template, allowed);
    if violations.is_empty() {
        return Ok(pod_run);
    }
    Err(NotDone::failed(
        reasons::POD_POLICY_VIOLATION,
        format!("the pod that the strategy rendered is not allowed: {}", findings_text(&violations)),
    ))
}

/// The Job on record. From the moment its uid is there only this Job decides (R6); if it vanished it is lost, and there
/// is no silent second attempt (F10).
pub(crate) async fn recorded(run: &Run, record: &JobRecord, ctx: &Context) -> Result<Job, NotDone> {
    // What a watch shows may be behind. Now and then, and before a Job is stopped for being late, the Job itself is read.
    if !run.is_late(ctx.clock.now())
        && !ctx.state.runs.job_read_due(&run.uid, ctx.settings.recheck)
        && let Some(job) = ctx.stores.job(run.namespace(), &record.name)
        && job.metadata.uid.as_deref() == Some(&record.uid)
    {
        return Ok(job.as_ref().clone());
    }
    let api = Api::<Job>::namespaced(ctx.cluster.client.clone(), run.namespace());
    let doing = || format!("reading Job \"{}/{}\"", run.namespace(), record.name);
    match api.get_opt(&record.name).await.map_err(|e| ApiError::new(doing(), e))? {
        Some(job) if job.metadata.uid.as_deref() == Some(&record.uid) => Ok(job),
        _ => Err(lost(&record.name)),
    }
}

fn lost(name: &str) -> NotDone {
    NotDone::failed(
        reasons::JOB_LOST,
        format!("Job {name:?} was deleted before it ended, and is not run a second time; create a new run"),
    )
}

/// How the Job ended, or a wait for it. A Job that is still there after the run's deadline is stopped.
pub(crate) async fn ended(run: &Run, job: &Job, ctx: &Context) -> Result<End, NotDone> {
    if let Some(end) = end(job) {
        return Ok(end);
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Err(lost(&job.name_any()));
    }
    let now = ctx.clock.now();
    let pods = ctx.stores.pods_of(job);
    let pods = || pods.iter().map(AsRef::as_ref);
    // A pod that is gone takes its trouble with it; what was said of it stays until there is another one.
    let gone = || if pods().next().is_none() { last_trouble(run) } else { None };
    let stuck = trouble(pods()).or_else(gone).or_else(|| trouble_of_job(job, pods(), now));
    if let Some(deadline) = run.deadline()
        && now >= deadline.saturating_add(GRACE).unwrap_or(deadline)
    {
        jobs::stop(run, job, &ctx.cluster).await?;
        let message = format!(
            "the run's deadline has passed and its Job was stopped{}",
            stuck.map(|s| format!("; {s}")).unwrap_or_default()
        );
        return Err(NotDone::failed(reasons::RUN_DEADLINE_EXCEEDED, message));
    }
    let started = pods().any(|p| p.status.as_ref().is_some_and(|s| s.phase.as_deref() != Some("Pending")));
    let message = stuck.unwrap_or_else(|| going_well(&job.name_any()));
    let recheck = match (run.is_late(now), started) {
        (true, _) => LATE.min(ctx.settings.recheck),
        (false, false) => UNSTARTED.min(ctx.settings.recheck),
        (false, true) => ctx.settings.recheck,
    };
    Err(NotDone::InProgress { message, recheck })
}

fn going_well(job: &str) -> String {
    format!("Job {job:?} is running")
}

/// The trouble that the run said last, if it was in any.
pub(crate) fn last_trouble(run: &Run) -> Option<String> {
    let said = run.status.ready().filter(|c| c.reason == reasons::RUNNING)?;
    let job = &run.status.run.as_ref()?.job.as_ref()?.name;
    (said.message != going_well(job)).then(|| said.message.clone())
}
