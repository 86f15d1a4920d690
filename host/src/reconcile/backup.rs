//! The reconciler of Backups: holds those that need it with a finalizer, and cleans up after a deleted Backup.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_api::{Backup, labels};
use backstay_core::backup::{came_back, completed, rebuilt};
use backstay_core::component::Served;
use backstay_core::contract::Mode;
use backstay_core::retry::{self, Class};
use backstay_core::strategy_kind::strategy_kind;
use backstay_engine::Component;
use kube::api::PartialObjectMeta;
use kube::{Resource, ResourceExt};

use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, chain};
use crate::cluster::write::patch_status;
use crate::context::Context;
use crate::reconcile::run;
use crate::run::resolve::{AwaitedLock, awaited_lock};
use crate::state::finalizers::{self, Known};
use crate::state::run::Run;
use crate::state::work_queue::Action;

/// How often a waiting Backup is reconciled without any event.
const RECHECK: Duration = Duration::from_secs(60);

/// How soon it is looked again whether the run that made a deleted Backup has ended.
const UNTIL_ITS_RUN_ENDS: Duration = Duration::from_secs(2);

/// Reconciles a Backup once: holds it if its component cleans up after Backups, lets it go if nothing needs it held, and cleans
/// up after a deleted Backup.
pub async fn reconcile(seen: Arc<PartialObjectMeta<Backup>>, ctx: Arc<Context>) -> Action {
    let (namespace, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    match handle(&seen, &namespace, &name, &ctx).await {
        Ok(action) => action,
        // A change of the Backup enqueues it.
        Err(error) if error.is_undecodable() => {
            ctx.report_unreadable(seen.object_ref(&()), &chain(&error));
            Action::await_change()
        }
        Err(error) => {
            if error.class() == Class::Refused {
                // It does not decode, or cannot be asked for: others do not wait until it does.
                ctx.needs_no_place(seen.metadata.uid.as_deref().unwrap_or_default());
            }
            let attempt = ctx.state.runs.failed(seen.metadata.uid.as_deref().unwrap_or_default());
            tracing::warn!(backup = %format!("{namespace}/{name}"), attempt, error = %chain(&error), "backup not handled, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    }
}

async fn handle(
    seen: &PartialObjectMeta<Backup>,
    namespace: &str,
    name: &str,
    ctx: &Arc<Context>,
) -> Result<Action, ApiError> {
    let title = format!("Backup \"{namespace}/{name}\"");
    let api = Api::<Backup>::namespaced(ctx.cluster.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|e| ApiError::new(format!("reading {title}"), e))?;
    let Some(backup) = found.filter(|found| found.metadata.uid == seen.metadata.uid) else {
        ctx.needs_no_place(seen.metadata.uid.as_deref().unwrap_or_default());
        return Ok(Action::await_change());
    };
    let served = match strategy_kind(&backup.spec.strategy_ref) {
        Some(kind) => ctx.components.registry.serving(&kind),
        None => Served::Foreign,
    };
    if backup.metadata.deletion_timestamp.is_none()
        && came_back(&backup.metadata)
        && !matches!(served, Served::Foreign)
    {
        rebuild(&backup, &api, ctx).await?;
    }
    let mut run = Run::from(&completed(backup.clone()));
    place(&run, ctx);
    match (run.deleting, run.is_finalized()) {
        (false, false) if cleans_up(&served) == Some(true) => {
            finalizers::hold(&backup, &ctx.cluster.client).await?;
            Ok(Action::await_change())
        }
        (false, true)
            if cleans_up(&served) == Some(false)
                && !ctx.stores.is_named_by_a_restore(run.namespace(), run.name()) =>
        {
            finalizers::let_go(&backup, &ctx.cluster.client).await?;
            Ok(Action::await_change())
        }
        (true, true) => {
            if ctx.stores.is_restored(&run.uid) {
                // The restore still reads the Backup; its end enqueues the Backup.
                return Ok(Action::requeue(RECHECK));
            }
            let made_by = backup.labels().get(labels::RUN_UID);
            if made_by.is_some_and(|uid| ctx.stores.is_backing_up(uid)) {
                // The run that made it has not recorded its end. It would make the Backup anew, of data that is gone.
                return Ok(Action::requeue(UNTIL_ITS_RUN_ENDS));
            }
            match served {
                Served::By(_) if cleans_up(&served) == Some(true) => {
                    Ok(run::reconcile(run, ctx.clone()).await)
                }
                Served::Missing => waits_for_component(&mut run, &backup, ctx).await,
                // A component made the Backup and may have to clean up, although its file is missing now.
                Served::Foreign if backup.status.as_ref().is_some_and(|s| s.component.is_some()) => {
                    waits_for_component(&mut run, &backup, ctx).await
                }
                // No component cleans up: the stored data stays.
                Served::By(_) | Served::Foreign => {
                    finalizers::remove(&run, Known::Fresh, &ctx.cluster.client).await?;
                    ctx.state.deleted_backups.add(&backup.metadata);
                    Ok(Action::await_change())
                }
            }
        }
        _ => Ok(Action::await_change()),
    }
}

/// Restores the place of a clean-up that was there when the controller started, now that its Backup is read.
fn place(run: &Run, ctx: &Context) {
    if !ctx.state.locks.is_unplaced(&run.uid) {
        return;
    }
    if run.status.run.is_some() {
        return ctx.restore_lock(run);
    }
    match awaited_lock(run, ctx) {
        AwaitedLock::On(application, strategy) => ctx.enqueue_for_lock(run, &application, &strategy),
        AwaitedLock::None | AwaitedLock::OfBackup => ctx.needs_no_place(&run.uid),
    }
}

/// Gives a Backup that came back without its status the one that its annotation names.
async fn rebuild(backup: &Backup, api: &Api<Backup>, ctx: &Context) -> Result<(), ApiError> {
    let Some(status) = rebuilt(backup, ctx.clock.now()) else { return Ok(()) };
    let (name, version) = (backup.name_any(), backup.resource_version());
    let written = patch_status(api, &name, version.as_deref(), &backup.status, &status).await;
    let title = format!("Backup \"{}/{name}\"", backup.namespace().unwrap_or_default());
    written.map_err(|e| ApiError::new(format!("writing the status of {title}"), e))?;
    tracing::info!(backup = %title, "the status of a backup that came back without it was rebuilt");
    Ok(())
}

/// Returns whether something is to be done after a Backup of this strategy is deleted; `None` if its component is not loaded.
fn cleans_up(served: &Served<&Component>) -> Option<bool> {
    match served {
        Served::By(component) => Some(component.descriptor().traits.cleanup),
        Served::Missing | Served::Foreign => None,
    }
}

async fn waits_for_component(run: &mut Run, backup: &Backup, ctx: &Arc<Context>) -> Result<Action, ApiError> {
    debug_assert_eq!(run.mode, Mode::Cleanup);
    // The clean-up may have begun before the component was removed; later runs do not wait for it.
    ctx.release_lock(&run.uid);
    let message = format!(
        "strategy Kind {:?} is not served by any loaded component (served: {}), so nothing can clean up after this Backup; supply its component, or remove the finalizer {:?} to delete the Backup without",
        backup.spec.strategy_ref.kind,
        ctx.components.registry.kinds(),
        backstay_api::finalizers::CLEANUP,
    );
    run.status.set(types::READY, Some(false), reasons::COMPONENT_MISSING, &message, ctx.clock.now());
    let doing = format!("writing the status of {}", run.title());
    if ctx.state.runs.write(run).await.map_err(|e| ApiError::new(doing, e))? {
        ctx.notices.warn(run, reasons::COMPONENT_MISSING, &message);
    }
    Ok(Action::requeue(RECHECK))
}

#[cfg(test)]
mod tests {
    use backstay_api::{BackupJob, finalizers};
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::state::run::tests::{BACKUP, BACKUP_JOB, begun, changed, stored_run};

    /// Found by the simulation: a tenant deletes a Backup between its creation and the end of its run.
    #[tokio::test]
    async fn a_deleted_backup_is_cleaned_up_after_once_the_run_that_made_it_has_ended() {
        let server = StandIn::default();
        let ctx = crate::context::tests::empty(server.client());
        let run = stored_run(Mode::Backup, begun(100), &server);
        stored_run(Mode::Cleanup, json!({}), &server);
        let made = json!({"metadata": {"uid": "backup-1", "labels": {labels::RUN_UID: run.uid},
            "finalizers": [finalizers::CLEANUP], "deletionTimestamp": "1970-01-01T00:00:09Z"}});
        server.put(BACKUP, changed(BACKUP, &made, &server));
        let backup = || serde_json::from_value(server.get(BACKUP).expect("it is there")).expect("a Backup");
        let show = |job: &BackupJob| ctx.stores.indexes.backup_jobs.put(None, &Arc::new(job.clone()));
        let stored = || serde_json::from_value(server.get(BACKUP_JOB).expect("it is there")).expect("a run");

        show(&stored());
        server.sent();
        let waits = reconcile(Arc::new(backup()), ctx.clone()).await;
        assert_eq!(waits, Action::requeue(UNTIL_ITS_RUN_ENDS));
        assert_eq!(server.calls(), ["GET backups/nightly"], "nothing is done to it");

        ctx.stores.indexes.backup_jobs.remove(&stored());
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &json!({"status": {"phase": "Succeeded"}}), &server));
        show(&stored());
        assert_ne!(reconcile(Arc::new(backup()), ctx.clone()).await, Action::requeue(UNTIL_ITS_RUN_ENDS));
    }
}
