//! The Job of a run that is one pod: found or created, and observed until it has ended.

use std::time::Duration;

use backstay_api::JobRecord;
use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, PodRun, Request};
use backstay_core::job::{
    End, JobSpec, Ownership, PodRunNote, build, end, ownership, trouble, trouble_of_job,
};
use backstay_core::pod_policy;
use backstay_engine::Component;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client, ResourceExt};

use crate::cluster::Cluster;
use crate::cluster::error::ApiError;
use crate::cluster::partial::Partial;
use crate::cluster::write::{Created, create_or_get};
use crate::components::Components;
use crate::context::Context;
use crate::informers::stores::Stores;
use crate::run::not_done::{NotDone, findings_text, guest_failed};
use crate::run::pinned::Pinned;
use crate::run::save::save;
use crate::run::{application, jobs, request};
use crate::state::notices::Notices;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::step_cache::BackupCache;

/// How long a Job, which has the run's deadline, may take to end by itself after it.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// The recheck of a run whose deadline has passed.
const LATE: Duration = Duration::from_secs(30);
/// The recheck of a Job without a started pod: no event reports that a pod does not start.
const UNSTARTED: Duration = Duration::from_secs(15);

/// Returns the Job of a run that has none on record yet: the one that an earlier attempt created, or a new one. The Job's uid
/// is on record when this returns.
///
/// # Errors
/// The run is blocked by the Job of an earlier run of its name, or fails if the component or the API server refuses.
pub(crate) async fn ensure(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<Job, NotDone> {
    let (name, now) = (run.job_name(), ctx.clock.now());
    let job = match ctx.stores.job(run.namespace(), &name) {
        Some(job) => adopt(run, &name, job.as_ref().clone())?,
        None => {
            let deadline = run.deadline().unwrap_or(now);
            if now >= deadline {
                let message = "the run's deadline has passed before its Job could be created";
                return Err(NotDone::failed(reasons::RUN_DEADLINE_EXCEEDED, message));
            }
            let (records, mut backup) = (&ctx.records.checkpoints, BackupCache::default());
            let request =
                request::build(run, pinned, &mut backup, &ctx.cluster.client, &ctx.stores, records, now)
                    .await?;
            let pod_run = render(run, pinned, request, &ctx.components, &ctx.cluster).await?;
            let spec = JobSpec {
                name: &name,
                run: &run.object,
                run_uid: &run.uid,
                mode: run.mode,
                strategy: &pinned.kind,
                seconds_left: deadline.duration_since(now).as_secs(),
            };
            create(run, &spec, &pod_run, &ctx.cluster.client, &ctx.notices).await?
        }
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

/// Checks that an existing Job of the run's name is this run's.
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

async fn create(
    run: &Run,
    spec: &JobSpec<'_>,
    pod_run: &PodRun,
    client: &Client,
    notices: &Notices,
) -> Result<Job, NotDone> {
    let api = Api::<Job>::namespaced(client.clone(), run.namespace());
    let job = build(spec, pod_run);
    let submitted = async { jobs::submit::<Partial<Job>>(&api, &job, client).await?.decoded() };
    let created = create_or_get(submitted, || api.get_opt(spec.name)).await.map_err(|error| {
        ApiError::new(format!("creating Job \"{}/{}\"", run.namespace(), spec.name), error)
            .refused_as(reasons::INVALID_JOB)
    })?;
    match created {
        Created::New(job) => {
            jobs::warn_of(pod_run, run, notices);
            tracing::info!(run = %run.title(), job = spec.name, "job created");
            Ok(job)
        }
        Created::Existing(job) => adopt(run, spec.name, job),
    }
}

/// Has the component render the pod, and checks it against the pod policy.
async fn render(
    run: &Run,
    pinned: &Pinned,
    request: Request,
    components: &Components,
    cluster: &Cluster,
) -> Result<PodRun, NotDone> {
    let application = match run.mode {
        Mode::Cleanup => None,
        Mode::Backup | Mode::Restore => {
            Some(application::read(run, &pinned.record.application_ref, cluster).await?)
        }
    };
    let render = move |component: &Component| component.render(&request, application.as_ref());
    let rendered = components.call(&pinned.component, "render", render).await?;
    let pod_run = rendered.map_err(guest_failed)?;
    let allowed = components.registry.pods(&pinned.component.descriptor().name);
    let violations = pod_policy::check(&pod_run.template, allowed);
    if violations.is_empty() {
        return Ok(pod_run);
    }
    Err(NotDone::failed(
        reasons::POD_POLICY_VIOLATION,
        format!("the pod that the strategy rendered is not allowed: {}", findings_text(&violations)),
    ))
}

/// Returns the Job on record. Only this Job decides once its uid is recorded (rules.md R6). A Job that no longer exists is
/// lost, and is not run a second time (rules.md F10).
///
/// # Errors
/// The API server's; the run fails if the Job is lost.
pub(crate) async fn recorded(
    run: &Run,
    record: &JobRecord,
    stores: &Stores,
    runs: &RunCache,
    now: Timestamp,
    recheck: Duration,
) -> Result<Job, NotDone> {
    // A watch may be behind. The Job itself is read once in a while, and before it is stopped for being late.
    if !run.is_late(now)
        && !runs.job_read_due(&run.uid, recheck)
        && let Some(job) = stores.job(run.namespace(), &record.name)
        && job.metadata.uid.as_deref() == Some(&record.uid)
    {
        return Ok(job.as_ref().clone());
    }
    let api = Api::<Job>::namespaced(runs.client().clone(), run.namespace());
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

/// Returns how the Job ended. A Job that goes on after the run's deadline is stopped.
///
/// # Errors
/// The run is in progress while the Job runs; it fails if the Job was stopped or is lost.
pub(crate) async fn ended(
    run: &Run,
    job: &Job,
    stores: &Stores,
    client: &Client,
    now: Timestamp,
    recheck: Duration,
) -> Result<End, NotDone> {
    if let Some(end) = end(job) {
        return Ok(end);
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Err(lost(&job.name_any()));
    }
    let pods = stores.pods_of(job);
    let pods = || pods.iter().map(AsRef::as_ref);
    // A deleted pod shows no trouble; the trouble on the run's status stays until there is another pod.
    let gone = || if pods().next().is_none() { last_trouble(run) } else { None };
    let stuck = trouble(pods()).or_else(gone).or_else(|| trouble_of_job(job, pods(), now));
    if let Some(deadline) = run.deadline()
        && now >= deadline.saturating_add(GRACE).unwrap_or(deadline)
    {
        jobs::stop(run, job, client).await?;
        let message = format!(
            "the run's deadline has passed and its Job was stopped{}",
            stuck.map(|s| format!("; {s}")).unwrap_or_default()
        );
        return Err(NotDone::failed(reasons::RUN_DEADLINE_EXCEEDED, message));
    }
    let started = pods().any(|p| p.status.as_ref().is_some_and(|s| s.phase.as_deref() != Some("Pending")));
    let message = stuck.unwrap_or_else(|| going_well(&job.name_any()));
    let recheck = match (run.is_late(now), started) {
        (true, _) => LATE.min(recheck),
        (false, false) => UNSTARTED.min(recheck),
        (false, true) => recheck,
    };
    Err(NotDone::InProgress { message, recheck })
}

fn going_well(job: &str) -> String {
    format!("Job {job:?} is running")
}

/// Returns the trouble that the run's status shows, if it shows one.
pub(crate) fn last_trouble(run: &Run) -> Option<String> {
    let said = run.status.ready().filter(|c| c.reason == reasons::RUNNING)?;
    let job = &run.status.run.as_ref()?.job.as_ref()?.name;
    (said.message != going_well(job)).then(|| said.message.clone())
}
