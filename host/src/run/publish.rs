//! The result of a run that ended well: first the Backup is created, then the run's end is written.

use backstay_api::conditions::reasons;
use backstay_api::{Backup, LocalRef, RunRecord, names};
use backstay_core::backup::{Made, build, made_by, status_of};
use backstay_core::contract::{Json, Mode, Outcome};
use backstay_core::retry::Class;
use jiff::Timestamp;
use kube::{Client, ResourceExt};

use super::not_done::NotDone;
use super::pinned::Pinned;
use super::save::{SaveError, save};
use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, chain, class};
use crate::cluster::write::{Created, create_or_get, patch_params, post_params, status_patch};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::records::checkpoints::{Checkpoints, RecordsError};
use crate::state::deleted_backups::DeletedBackups;
use crate::state::finalizers::{self, Known};
use crate::state::notices::Notices;
use crate::state::run::{Run, RunSpec};
use crate::state::run_cache::RunCache;

/// Publishes a backup that ended well: creates the Backup, writes its status, then the run's end. `ended` is when the backup
/// was complete, in seconds; `None` is now.
///
/// # Errors
/// The API server's; the run fails if the Backup is refused.
pub(crate) async fn backup(
    run: &mut Run,
    pinned: &Pinned,
    ended: Option<i64>,
    mut outcome: Outcome,
    ctx: &Context,
) -> Result<(), NotDone> {
    ctx.records.credentials.ready().await?;
    ctx.records.credentials.withhold(&mut outcome);
    let outcome = &outcome;
    let private = match &outcome.private_data {
        Some(data) => Some(put_private(run, data, &ctx.records.checkpoints).await?),
        None => None,
    };
    let (now, client) = (ctx.clock.now(), &ctx.cluster.client);
    let ended = ended.unwrap_or(now.as_second());
    let made = Made {
        name: run.name(),
        namespace: run.namespace(),
        run_uid: &run.uid,
        plan: match &run.spec {
            RunSpec::Backup(spec) => spec.plan_ref.as_ref(),
            _ => None,
        },
        record: &pinned.record,
        ended,
        cleans_up: pinned.component.descriptor().traits.cleanup,
        private_data: private.as_deref(),
        now,
    };
    // A call may have hung since the run was read, and the watch shows no run that has ended.
    if !ctx.stores.has_run(&run.uid) {
        runs_still(run, client).await?;
    }
    let backup = ensure_backup(run, made, outcome, client, &ctx.notices).await?;
    ensure_status(run, &pinned.record, outcome, private, &backup, client, now).await?;
    let name = LocalRef::new(backup.name_any());
    succeeded(run, Some(name), &ctx.state.runs, &ctx.notices, &ctx.metrics, ctx.clock.now()).await
}

/// What a call that fails is a part of, for the status of a run that waits for it.
const RECORDING: &str = "recording the data that was written";

/// The error of a Backup that could not be recorded. Data was written before: the message must say that a backup may exist.
fn unrecorded(doing: String, error: kube::Error) -> NotDone {
    let refused = class(&error) == Class::Refused;
    let error = ApiError::new(doing, error).late_as(reasons::ARTIFACT_NOT_RECORDED);
    if refused {
        let message = format!(
            "data was written, but the Backup could not be recorded: {}; mend that and create a new run",
            chain(&error)
        );
        return NotDone::failed(reasons::ARTIFACT_NOT_RECORDED, message);
    }
    error.part_of(RECORDING).into()
}

async fn put_private(run: &Run, data: &Json, records: &Checkpoints) -> Result<String, NotDone> {
    let put = records.put_private(run.namespace(), &run.uid, data.clone()).await;
    put.map_err(|error| match error {
        RecordsError::Api(error) => error.late_as(reasons::ARTIFACT_NOT_RECORDED).part_of(RECORDING).into(),
        error => error.into(),
    })
}

/// Fails unless the run is still there and has not ended: another controller may have ended it, and its Backup may be deleted by now.
async fn runs_still(run: &Run, client: &Client) -> Result<(), NotDone> {
    let doing = || format!("reading {}", run.title());
    let now = run.read_again(client).await.map_err(|e| ApiError::new(doing(), e))?;
    if now.is_some_and(|now| !now.status.is_terminal()) {
        return Ok(());
    }
    Err(ApiError::conflict(doing(), "it has ended meanwhile").into())
}

async fn ensure_backup(
    run: &Run,
    made: Made<'_>,
    outcome: &Outcome,
    client: &Client,
    notices: &Notices,
) -> Result<Backup, NotDone> {
    let api = Api::<Backup>::namespaced(client.clone(), run.namespace());
    // A Backup of somebody else keeps its name: this run's Backup gets a fallback name, which contains the run's uid.
    for name in [run.name().to_owned(), names::fallback_backup_name(run.name(), &run.uid)] {
        let made = Made { name: &name, ..made };
        let title = format!("Backup \"{}/{name}\"", run.namespace());
        let (params, backup) = (post_params(), build(&made, outcome));
        let created = create_or_get(api.create(&params, &backup), || api.get_opt(&name)).await;
        match created.map_err(|e| unrecorded(format!("creating {title}"), e))? {
            Created::New(backup) => return Ok(backup),
            Created::Existing(existing) if made_by(&existing, &backup, &run.uid) => return Ok(existing),
            Created::Existing(_) => {
                let note = format!(
                    "{title} exists and is not of this run; it is left alone and this run's Backup gets another name"
                );
                notices.warn(run, reasons::BACKUP_NAME_TAKEN, &note);
            }
        }
    }
    Err(NotDone::failed(
        reasons::ARTIFACT_NOT_RECORDED,
        format!(
            "data was written, but Backups named {:?} and by this run's uid exist and are not of this run; delete them, or create a run of another name",
            run.name()
        ),
    ))
}

async fn ensure_status(
    run: &Run,
    record: &RunRecord,
    outcome: &Outcome,
    private: Option<String>,
    backup: &Backup,
    client: &Client,
    now: Timestamp,
) -> Result<(), NotDone> {
    let api = Api::<Backup>::namespaced(client.clone(), run.namespace());
    let name = backup.name_any();
    let doing = || format!("writing the status of Backup \"{}/{name}\"", run.namespace());
    let mut wanted = status_of(record, outcome, backup.metadata.generation, now);
    wanted.private_data = private;
    let mut backup = backup.clone();
    loop {
        if backup.status.as_ref().is_some_and(|s| s.phase == wanted.phase) {
            return Ok(());
        }
        let version = backup.resource_version();
        let Some(patch) = status_patch(version.as_deref(), &backup.status, &wanted) else { return Ok(()) };
        let written = match api.patch_status(&name, &patch_params(), &patch).await {
            // A CRD of the Go implementation has no status subresource: then the status is a field like any other.
            Err(error) if class(&error) == Class::NotFound => api.patch(&name, &patch_params(), &patch).await,
            other => other,
        };
        let error = match written {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if class(&error) != Class::Conflict {
            return Err(unrecorded(doing(), error));
        }
        // It has got its finalizer meanwhile, or somebody labelled it.
        let now = api.get_opt(&name).await.map_err(|e| unrecorded(doing(), e))?;
        match now.filter(|now| now.uid() == backup.uid()) {
            Some(now) if now.resource_version() != version => backup = now,
            _ => return Err(unrecorded(doing(), error)),
        }
    }
}

/// Writes the end of a run that ended well, with the Backup that it made.
///
/// # Errors
/// The API server's; the run has then not ended.
pub(crate) async fn succeeded(
    run: &mut Run,
    backup: Option<LocalRef>,
    runs: &RunCache,
    notices: &Notices,
    metrics: &Metrics,
    now: Timestamp,
) -> Result<(), NotDone> {
    let message = match run.mode {
        Mode::Backup => "the backup is complete and recorded",
        _ if run.status.is_unpinned() => {
            "the restore is complete; it used the strategy as it is now, because the Backup pins none"
        }
        _ => "the restore is complete",
    };
    let before = run.status.clone();
    run.status.backup_ref = backup;
    run.status.succeed(run.mode, message, now);
    if let Err(error) = save(run, "writing the end", runs).await {
        // The run has not ended as long as that is not written, and no later write may say otherwise.
        run.status = before;
        return Err(match error {
            SaveError::Api(error) => error.late_as(reasons::ARTIFACT_NOT_RECORDED).into(),
            gone => gone.into(),
        });
    }
    let reason = run.status.ready().map(|c| c.reason.clone()).unwrap_or_default();
    notices.note(run, &reason, message);
    metrics.run_ended(&run.object.kind, "Succeeded", &reason, run.seconds());
    tracing::info!(run = %run.title(), seconds = run.seconds(), "run succeeded");
    Ok(())
}

/// Removes the finalizer of a Backup whose clean-up ended well. The Backup's records are queued for deletion only now: as long
/// as the finalizer is there, the clean-up can be asked for again, and needs them.
///
/// # Errors
/// The API server's.
pub(crate) async fn cleaned(
    run: &mut Run,
    client: &Client,
    notices: &Notices,
    deleted_backups: &DeletedBackups,
) -> Result<(), NotDone> {
    finalizers::remove(run, Known::Fresh, client).await?;
    run.finalizers.clear();
    notices.note(run, reasons::CLEANUP_COMPLETED, "the clean-up is complete");
    tracing::info!(run = %run.title(), "cleanup succeeded");
    if let RunSpec::Cleanup(backup) = &run.spec {
        deleted_backups.add(&backup.metadata);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{BACKUP, begun, changed, stored_run};

    /// Writes the status of a Backup that has just been made and that somebody changes before the write.
    async fn written(change: &Value) -> (StandIn, Result<(), NotDone>) {
        let server = StandIn::default();
        stored_run(Mode::Cleanup, json!({}), &server);
        let backup: Backup = serde_json::from_value(server.get(BACKUP).unwrap()).unwrap();
        let run = stored_run(Mode::Backup, begun(100), &server);
        let record = run.status.run.clone().unwrap();
        server.fault(0, Fault::Overtaken(BACKUP.to_owned(), changed(BACKUP, change, &server)));
        let (outcome, client) = (Outcome::default(), server.client());
        let done =
            ensure_status(&run, &record, &outcome, None, &backup, &client, Timestamp::UNIX_EPOCH).await;
        (server, done)
    }

    #[tokio::test]
    async fn the_status_of_a_backup_that_got_its_finalizer_meanwhile_is_written_over_the_newest_version() {
        let (server, done) = written(&json!({"metadata": {"finalizers": ["x"]}})).await;
        assert_eq!(done, Ok(()));
        let backup = server.get(BACKUP).unwrap();
        assert_eq!(
            (&backup["status"]["phase"], &backup["metadata"]["finalizers"]),
            (&json!("Ready"), &json!(["x"]))
        );
        let status = "PATCH backups/nightly/status";
        assert_eq!(server.calls(), [status, "GET backups/nightly", status]);
    }

    #[tokio::test]
    async fn the_status_of_a_backup_of_the_same_name_is_not_written() {
        let (server, done) = written(&json!({"metadata": {"uid": "another"}})).await;
        assert!(matches!(done, Err(NotDone::Api(_))), "{done:?}");
        assert_eq!(server.get(BACKUP).unwrap()["status"], json!({}));
    }

    #[tokio::test]
    async fn a_status_that_another_controller_has_written_meanwhile_is_left_as_it_is() {
        let (server, done) =
            written(&json!({"status": {"phase": "Ready", "strategyRevision": "theirs"}})).await;
        assert_eq!(done, Ok(()));
        assert_eq!(server.get(BACKUP).unwrap()["status"]["strategyRevision"], json!("theirs"));
    }

    /// Found by the simulation: a call hung for 75 seconds, another controller ended the run, and its Backup was deleted meanwhile.
    #[tokio::test]
    async fn no_backup_is_made_of_a_run_that_another_controller_has_ended() {
        let server = StandIn::default();
        let run = stored_run(Mode::Backup, begun(100), &server);
        assert_eq!(runs_still(&run, &server.client()).await, Ok(()));
        let mut ended = begun(100);
        ended["phase"] = json!("Succeeded");
        stored_run(Mode::Backup, ended, &server);
        let done = runs_still(&run, &server.client()).await;
        assert!(matches!(done, Err(NotDone::Api(_))), "{done:?}");
        let gone = runs_still(&run, &StandIn::default().client()).await;
        assert!(matches!(gone, Err(NotDone::Api(_))), "{gone:?}");
    }
}
