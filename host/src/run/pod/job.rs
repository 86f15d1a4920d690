//! The Job of a run that is one pod: found or created, and observed until it has ended.

use std::time::Duration;

use backstay_api::JobRecord;
use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, PodRun, Request};
use backstay_core::job::{
    End, JobSpec, Ownership, PodRunNote, ProofKey, build, end, ownership, runs_on_soon, trouble,
    trouble_of_job,
};
use backstay_core::{pod_names, pod_policy};
use backstay_engine::Component;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::{Client, ResourceExt};

use crate::cluster::Cluster;
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::cluster::write::{Created, create_or_get};
use crate::components::Components;
use crate::context::Context;
use crate::informers::stores::Stores;
use crate::run::not_done::{NotDone, findings_text, guest_failed};
use crate::run::pinned::Pinned;
use crate::run::save::save;
use crate::run::{application, jobs, pod_logs, request};
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
/// The recheck of a pod that runs on though a container has ended: no event reports that either.
const RUNS_ON: Duration = Duration::from_secs(10);

/// Returns the Job of a run that has none on record yet: the one that an earlier attempt created, or a new one. The Job's uid
/// is on record when this returns.
///
/// # Errors
/// The run is blocked by the Job of an earlier run of its name, or fails if the component or the API server refuses.
pub(crate) async fn ensure(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<Job, NotDone> {
    let (name, now) = (run.job_name(), ctx.clock.now());
    let key = ctx.records.key.get().await?;
    let job = match ctx.stores.job(run.namespace(), &name) {
        Some(job) => adopt(run, &name, job.as_ref().clone(), &key)?,
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
                application: &pinned.record.application_ref,
                key: &key,
                seconds_left: deadline.duration_since(now).as_secs(),
            };
            create(run, &spec, &pod_run, &ctx.cluster.client, &ctx.notices).await?
        }
    };
    record(run, &name, &job, &ctx.state.runs, ctx.clock.now()).await?;
    Ok(job)
}

/// Records the Job of a run.
async fn record(
    run: &mut Run,
    name: &str,
    job: &Job,
    runs: &RunCache,
    now: Timestamp,
) -> Result<(), NotDone> {
    let note = PodRunNote::of(job);
    let uid = job.metadata.uid.clone().unwrap_or_default();
    if let Some(record) = &mut run.status.run {
        record.job = Some(JobRecord {
            name: name.to_owned(),
            uid,
            data: note.data.as_ref().map(ToString::to_string),
            log_lines: (note.log_lines > 0).then_some(note.log_lines),
        });
    }
    run.status.running(&going_well(name), now);
    if let Err(error) = save(run, "recording the Job", runs).await {
        // The run may be gone, and its Job with it. It is read before a Job is made again.
        runs.invalidate(&run.uid);
        return Err(error.into());
    }
    Ok(())
}

/// Checks that an existing Job of the run's name is this run's.
fn adopt(run: &Run, name: &str, job: Job, key: &ProofKey) -> Result<Job, NotDone> {
    match ownership(&job, &run.object, &run.uid, key) {
        Ownership::Ours { .. } => Ok(job),
        Ownership::OursDeleting => Err(deleted(run, name)),
        Ownership::Previous => Err(NotDone::blocked(
            reasons::PREVIOUS_JOB_TERMINATING,
            format!(
                "Job {name:?} of an earlier {} of this name is still going away; delete it if it does not",
                run.object.kind
            ),
        )),
        Ownership::Unproven => Err(NotDone::failed(
            reasons::JOB_NAME_CONFLICT,
            format!(
                "Job \"{}/{name}\" names this {} as its owner, but the controller did not create it; remove or rename it, and create the {} anew",
                run.namespace(),
                run.object.kind,
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
    let submitted = jobs::submit(&api, &job);
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
        Created::Existing(job) => adopt(run, spec.name, job, spec.key),
    }
}

/// Has the component render the pod, and checks the names in it and the pod policy.
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
    let rendered = components.call(&pinned.component, run.caller(), "render", render).await?;
    let pod_run = rendered.map_err(guest_failed)?;
    let nameless = pod_names::check(&pod_run.template);
    if !nameless.is_empty() {
        let message = format!(
            "the pod that the strategy rendered names what cannot exist: {}",
            findings_text(&nameless)
        );
        return Err(NotDone::failed(reasons::TEMPLATE_ERROR, message));
    }
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

/// Returns the Job on record. Only this Job decides once its uid is recorded (rules.md R6). A Job that no longer exists counts
/// as it was last seen; one that was not seen to end is lost, and is not run a second time (rules.md F10).
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
        && !runs.job_read_due(&run.uid, &record.name, recheck)
        && let Some(job) = stores.job(run.namespace(), &record.name)
        && job.metadata.uid.as_deref() == Some(&record.uid)
    {
        return Ok(job.as_ref().clone());
    }
    let api = Api::<Job>::namespaced(runs.client().clone(), run.namespace());
    let doing = || format!("reading Job \"{}/{}\"", run.namespace(), record.name);
    match api.get_opt(&record.name).await.map_err(|e| ApiError::new(doing(), e))? {
        Some(job) if job.metadata.uid.as_deref() == Some(&record.uid) => return Ok(job),
        _ => {}
    }
    let gone = stores.evidence.gone_job(&run.uid, &record.name);
    match gone.filter(|job| job.metadata.uid.as_deref() == Some(&record.uid)) {
        Some(job) if end(&job).is_some() => Ok(job.as_ref().clone()),
        Some(_) => Err(deleted(run, &record.name)),
        None => Err(not_seen(run, &record.name)),
    }
}

/// The failure of a run whose Job was seen to be deleted before it ended.
fn deleted(run: &Run, name: &str) -> NotDone {
    NotDone::failed(
        reasons::JOB_LOST,
        format!(
            "Job {name:?} was deleted before it ended, and is not run a second time; {}; create a new run",
            effect(run.mode)
        ),
    )
}

/// The failure of a run whose Job is gone, and whose end nobody saw.
fn not_seen(run: &Run, name: &str) -> NotDone {
    NotDone::failed(
        reasons::JOB_LOST,
        format!(
            "Job {name:?} no longer exists, and the controller did not see how it ended: it may have ended well and been deleted then, or been deleted before; {}, for which there is no evidence any more; the Job is not run a second time: create a new run",
            effect(run.mode)
        ),
    )
}

/// Returns what a Job may have done of which no result is known.
pub(super) fn effect(mode: Mode) -> &'static str {
    match mode {
        Mode::Backup => "data may have been written",
        Mode::Restore => "the application may have been restored",
        Mode::Cleanup => "the data may be gone",
    }
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
        return Err(deleted(run, &job.name_any()));
    }
    let lines = run.status.run.as_ref().and_then(|r| r.job.as_ref()?.log_lines).unwrap_or(0);
    pod_logs::keep(run, job, lines, client, stores).await;
    let pods = stores.pods_of(job);
    let pods = || pods.iter().map(AsRef::as_ref);
    let staying = || pods().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    // A deleted pod shows no trouble; the trouble on the run's status stays until there is another pod.
    let gone = || if staying().next().is_none() { last_trouble(run) } else { None };
    let stuck = trouble(pods()).or_else(gone).or_else(|| trouble_of_job(job, staying(), now));
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
        (false, true) if runs_on_soon(pods()) => RUNS_ON.min(recheck),
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::events::events;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::components::registry::Registry;
    use crate::informers::stores::Writers;
    use crate::records::credentials::ProjectedCredentials;
    use crate::run::jobs::tests::{JOBS, job as job_of, proven, show};
    use crate::state::run::tests::{BACKUP_JOB, begun, stored_run};

    const RECHECK: Duration = Duration::from_secs(120);

    /// A run with a deadline at second 100, and empty stores.
    fn given(server: &StandIn) -> (Run, Stores, Writers) {
        let (stores, writers) = Stores::new(&Registry::default());
        (stored_run(Mode::Backup, begun(100), server), stores, writers)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn decoded(job: Value) -> Job {
        serde_json::from_value(job).unwrap()
    }

    fn failed(error: NotDone) -> (String, String) {
        match error {
            NotDone::Failed { reason, message } => (reason, message),
            other => panic!("{other:?}"),
        }
    }

    /// Shows a pod of the Job `j` in this phase.
    fn show_pod(phase: &str, stores: &Stores, writers: &mut Writers) {
        let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "uid-of-j", "controller": true}]);
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "tenant-a",
            "ownerReferences": owner, "creationTimestamp": at(0)}, "status": {"phase": phase}}))
        .unwrap();
        stores.job_pods.shown(&pod);
        writers.pods.apply_watcher_event(&Event::Apply(pod));
    }

    /// Creates the Job `j` of the run.
    async fn created(run: &Run, server: &StandIn) -> Result<Job, NotDone> {
        let strategy = backstay_core::contract::GroupKind::default();
        let spec = JobSpec {
            name: "j",
            run: &run.object,
            run_uid: &run.uid,
            mode: run.mode,
            strategy: &strategy,
            application: &run.status.run.as_ref().unwrap().application_ref,
            key: &ProofKey::new([7; 32]),
            seconds_left: 100,
        };
        let pod_run = PodRun {
            template: json!({"spec": {"containers": [{"name": "c", "unknownToUs": 1}]}}),
            backoff_limit: 0,
            active_deadline: None,
            log_lines: 0,
            data: None,
            findings: Vec::new(),
        };
        let client = server.client();
        let credentials = ProjectedCredentials::new(client.clone(), "backstay-system", None);
        let notices = Notices::new(events(client.clone()).0, credentials.into());
        create(run, &spec, &pod_run, &client, &notices).await
    }

    #[tokio::test]
    async fn a_job_is_created_with_the_fields_that_this_program_does_not_know() {
        let server = StandIn::default();
        let (run, ..) = given(&server);
        let job = created(&run, &server).await.unwrap();
        let stored = server.get(&format!("{JOBS}/j")).unwrap();
        assert_eq!(stored["spec"]["template"]["spec"]["containers"][0]["unknownToUs"], json!(1));
        assert_eq!(json!(job.metadata.uid), stored["metadata"]["uid"]);
    }

    #[tokio::test]
    async fn a_job_whose_creation_was_not_answered_is_adopted() {
        let server = StandIn::default();
        let (run, ..) = given(&server);
        server.fault(0, Fault::AnswerLost);
        assert!(matches!(created(&run, &server).await, Err(NotDone::Api(_))));
        let job = created(&run, &server).await.unwrap();
        assert_eq!(json!(job.metadata.uid), server.get(&format!("{JOBS}/j")).unwrap()["metadata"]["uid"]);
        assert_eq!(server.calls(), ["POST jobs", "POST jobs", "GET jobs/j"]);
    }

    #[tokio::test]
    async fn a_run_whose_job_could_not_be_recorded_is_read_before_a_job_is_made_again() {
        let server = StandIn::default();
        let (seen, ..) = given(&server);
        let (runs, job) = (RunCache::new(server.client()), decoded(job_of("j", "run-1", "")));
        server.fault(0, Fault::Answer(500, "InternalError"));
        assert!(record(&mut seen.clone(), "j", &job, &runs, at(1)).await.is_err());
        server.sent();
        server.remove(BACKUP_JOB);
        assert!(runs.current(seen.clone()).await.expect("an answer").is_none());
        assert_eq!(server.calls(), ["GET backupjobs/nightly"]);
    }

    #[tokio::test]
    async fn a_job_that_the_api_server_refuses_is_an_invalid_job() {
        let server = StandIn::default();
        let (run, ..) = given(&server);
        server.fault(0, Fault::Answer(422, "Invalid"));
        let Err(NotDone::Api(failure)) = created(&run, &server).await else { panic!("it is created") };
        assert_eq!(failure.refusal, "InvalidJob");
    }

    #[tokio::test]
    async fn a_job_of_an_earlier_run_blocks_and_a_foreign_one_fails_the_run() {
        let server = StandIn::default();
        let (run, ..) = given(&server);
        server.put(&format!("{JOBS}/j"), job_of("j", "an-earlier-run", ""));
        let message =
            "Job \"j\" of an earlier BackupJob of this name is still going away; delete it if it does not";
        assert_eq!(created(&run, &server).await, Err(NotDone::blocked("PreviousJobTerminating", message)));

        let mut foreign = job_of("j", "x", "");
        foreign["metadata"]["ownerReferences"][0]["kind"] = json!("CronJob");
        server.put(&format!("{JOBS}/j"), foreign);
        let (reason, message) = failed(created(&run, &server).await.unwrap_err());
        assert_eq!(reason, "JobNameConflict");
        assert!(
            message.contains("\"tenant-a/j\" exists and is controlled by CronJob \"nightly\""),
            "{message}"
        );

        let mut deleting = proven(job_of("j", "run-1", ""));
        deleting["metadata"]["deletionTimestamp"] = json!(at(1));
        server.put(&format!("{JOBS}/j"), deleting);
        assert_eq!(failed(created(&run, &server).await.unwrap_err()).0, "JobLost");
    }

    #[tokio::test]
    async fn a_job_that_names_the_run_as_its_owner_and_was_not_made_by_the_controller_fails_the_run() {
        let server = StandIn::default();
        let (run, ..) = given(&server);
        server.put(&format!("{JOBS}/j"), job_of("j", "run-1", "Complete"));
        let (reason, message) = failed(created(&run, &server).await.unwrap_err());
        assert_eq!(reason, "JobNameConflict");
        assert!(message.contains("but the controller did not create it"), "{message}");
        server.put(&format!("{JOBS}/j"), proven(job_of("j", "run-1", "Complete")));
        assert!(created(&run, &server).await.is_ok());
    }

    async fn read(run: &Run, uid: &str, stores: &Stores, server: &StandIn, now: i64) -> Result<Job, NotDone> {
        let record = JobRecord { name: "j".into(), uid: uid.into(), ..JobRecord::default() };
        let runs = RunCache::new(server.client());
        recorded(run, &record, stores, &runs, at(now), RECHECK).await
    }

    #[tokio::test]
    async fn the_recorded_job_is_the_watched_one_until_the_run_is_late() {
        let server = StandIn::default();
        let (run, stores, mut writers) = given(&server);
        show(&job_of("j", "run-1", ""), &mut writers);
        server.put(&format!("{JOBS}/j"), job_of("j", "run-1", "Complete"));
        assert_eq!(end(&read(&run, "uid-of-j", &stores, &server, 99).await.unwrap()), None);
        assert_eq!(server.calls(), [""; 0]);
        assert!(end(&read(&run, "uid-of-j", &stores, &server, 100).await.unwrap()).is_some());
    }

    #[tokio::test]
    async fn a_recorded_job_that_is_gone_or_replaced_is_lost_and_an_unread_one_is_not() {
        let server = StandIn::default();
        let (run, stores, mut writers) = given(&server);
        // Nobody saw it go: it may have ended well.
        let (reason, message) = failed(read(&run, "uid-of-j", &stores, &server, 1).await.unwrap_err());
        assert_eq!(reason, "JobLost");
        for part in ["did not see how it ended", "may have ended well", "data may have been written"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("before it ended"), "{message}");
        let lost = || Err(NotDone::failed("JobLost", message.clone()));
        show(&job_of("j", "run-1", ""), &mut writers);
        server.put(&format!("{JOBS}/j"), job_of("j", "run-1", ""));
        assert_eq!(read(&run, "an-earlier-uid", &stores, &server, 1).await, lost());
        server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        assert!(matches!(read(&run, "an-earlier-uid", &stores, &server, 1).await, Err(NotDone::Api(_))));
    }

    #[tokio::test]
    async fn a_recorded_job_that_is_gone_counts_as_it_was_last_seen() {
        let server = StandIn::default();
        let (run, stores, _writers) = given(&server);
        stores.evidence.job_gone(&decoded(job_of("j", "run-1", "")), &run.uid);
        let (reason, message) = failed(read(&run, "uid-of-j", &stores, &server, 1).await.unwrap_err());
        assert_eq!(reason, "JobLost");
        assert!(message.starts_with("Job \"j\" was deleted before it ended"), "{message}");
        assert!(message.contains("data may have been written"), "{message}");
        stores.evidence.job_gone(&decoded(job_of("j", "run-1", "Complete")), &run.uid);
        assert!(end(&read(&run, "uid-of-j", &stores, &server, 1).await.unwrap()).unwrap().succeeded);
        assert!(read(&run, "another-uid", &stores, &server, 1).await.is_err());
    }

    #[tokio::test]
    async fn a_job_that_runs_is_looked_at_sooner_while_no_pod_has_started_and_once_the_run_is_late() {
        let server = StandIn::default();
        let (run, stores, mut writers) = given(&server);
        let (job, client) = (decoded(job_of("j", "run-1", "")), server.client());
        let mut cases = vec![("no pod", 1, UNSTARTED), ("Pending", 1, UNSTARTED), ("Running", 1, RECHECK)];
        cases.push(("Running", 100, LATE));
        for (phase, now, recheck) in cases {
            if phase != "no pod" {
                show_pod(phase, &stores, &mut writers);
            }
            let running = NotDone::InProgress { message: "Job \"j\" is running".into(), recheck };
            let ended = ended(&run, &job, &stores, &client, at(now), RECHECK).await;
            assert_eq!(ended, Err(running), "{phase} at {now}");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_job_counts_and_a_job_that_is_deleted_before_it_is_lost() {
        let server = StandIn::default();
        let (run, stores, _writers) = given(&server);
        for (condition, succeeded) in [("Complete", true), ("Failed", false)] {
            let mut job = decoded(job_of("j", "run-1", condition));
            job.metadata.deletion_timestamp = Some(backstay_core::status::seconds(at(1)));
            let end = ended(&run, &job, &stores, &server.client(), at(1), RECHECK).await.unwrap();
            assert_eq!(end.succeeded, succeeded);
            job.status = None;
            let lost = ended(&run, &job, &stores, &server.client(), at(1), RECHECK).await;
            assert_eq!(failed(lost.unwrap_err()).0, "JobLost");
        }
    }

    #[tokio::test]
    async fn a_job_that_goes_on_past_its_grace_is_stopped_and_the_run_says_its_last_trouble() {
        let server = StandIn::default();
        let (mut run, stores, _writers) = given(&server);
        let record = JobRecord { name: "j".into(), ..JobRecord::default() };
        run.status.run.as_mut().unwrap().job = Some(record);
        run.status.running("pod \"p\" cannot be scheduled", at(50));
        server.put(&format!("{JOBS}/j"), job_of("j", "run-1", ""));
        let (job, client) = (decoded(job_of("j", "run-1", "")), server.client());

        let before = ended(&run, &job, &stores, &client, at(129), RECHECK).await;
        let message = "pod \"p\" cannot be scheduled".to_owned();
        assert_eq!(before, Err(NotDone::InProgress { message, recheck: LATE }));

        let stopped = ended(&run, &job, &stores, &client, at(130), RECHECK).await;
        let message = "the run's deadline has passed and its Job was stopped; pod \"p\" cannot be scheduled";
        assert_eq!(stopped, Err(NotDone::failed("RunDeadlineExceeded", message)));
        let sent = server.sent();
        assert_eq!(sent.last().map(|sent| &sent.body["preconditions"]["uid"]), Some(&json!("uid-of-j")));
    }
}
