//! The request of a call: what the component is told of the run.

use backstay_api::Backup;
use backstay_api::conditions::reasons;
use backstay_core::backup::completed;
use backstay_core::contract::{self, Mode, Request};
use backstay_core::inputs;
use jiff::Timestamp;
use kube::Client;

use super::not_done::NotDone;
use super::pinned::Pinned;
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::informers::stores::Stores;
use crate::records::checkpoints::Checkpoints;
use crate::state::run::{Run, RunSpec};
use crate::state::step_cache::BackupCache;

/// Builds the request of a call. All of it but the time and the Backup was settled when the run began. `known` spares reads
/// of an unchanged Backup.
///
/// # Errors
/// The API server's; the run fails if its Backup was removed or its private data is not to be had.
pub(crate) async fn build(
    run: &Run,
    pinned: &Pinned,
    known: &mut BackupCache,
    client: &Client,
    stores: &Stores,
    records: &Checkpoints,
    now: Timestamp,
) -> Result<Request, NotDone> {
    let backup = backup(run, pinned, known, client, stores, records, now).await?;
    let now = now.as_second();
    let started = run.status.started_at.as_ref().map_or(now, |t| t.0.as_second());
    Ok(Request {
        mode: run.mode,
        run: run.object.clone(),
        run_uid: run.uid.clone(),
        started_at: started,
        deadline: pinned.record.deadline.as_ref().map_or(started, |t| t.0.as_second()),
        now,
        strategy_kind: pinned.kind.clone(),
        strategy: Some(pinned.revision.spec.clone()).filter(|spec| !spec.is_null()),
        parameters: pinned.revision.parameters.clone(),
        options: inputs::options("status.run.options", pinned.record.options.as_ref())?,
        application: pinned.application.clone(),
        backup,
        namespaces: pinned.component.descriptor().namespaces.clone(),
        inherited: None,
        cancelled: None,
    })
}

async fn backup(
    run: &Run,
    pinned: &Pinned,
    known: &mut BackupCache,
    client: &Client,
    stores: &Stores,
    records: &Checkpoints,
    now: Timestamp,
) -> Result<Option<contract::Backup>, NotDone> {
    let name = match (&run.spec, run.mode, &pinned.record.backup_ref) {
        (RunSpec::Cleanup(backup), _, _) => return Ok(Some(known.with_private(backup, records).await?)),
        (_, Mode::Restore, Some(reference)) => &reference.name,
        _ => return Ok(None),
    };
    // As long as the watch of its metadata shows the version that was read, the Backup has not changed.
    let shown = stores.backups.get(run.namespace(), name);
    if let Some(shown) = &shown
        && let Some(backup) = known.at(shown.metadata.resource_version.as_ref())
    {
        return Ok(Some(backup.clone()));
    }
    let begun_with =
        known.take_begun_with(shown.as_ref().and_then(|shown| shown.metadata.resource_version.as_ref()));
    let api = Api::<Backup>::namespaced(client.clone(), run.namespace());
    let found = match begun_with {
        Some(backup) => Some(*backup),
        None => api
            .get_opt(name)
            .await
            .map_err(|e| ApiError::new(format!("reading Backup \"{}/{name}\"", run.namespace()), e))?,
    };
    let found = found.filter(|b| b.metadata.uid == pinned.record.backup_uid).map(completed);
    match found {
        Some(backup) => {
            inputs::backup(&backup)?;
            Ok(Some(known.with_private(&backup, records).await?))
        }
        None if run.deleting || run.is_late(now) => Ok(None),
        // The controller's finalizer keeps a Backup that is being restored; without it somebody removed it by force.
        None => Err(NotDone::failed(
            reasons::BACKUP_NOT_FOUND,
            format!(
                "Backup {name:?} was removed while it was being restored; the application may be half restored: look at it, and restore another Backup"
            ),
        )),
    }
}
