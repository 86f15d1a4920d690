//! What a call is told of the run.

use backstay_api::Backup;
use backstay_api::conditions::reasons;
use backstay_core::backup::told;
use backstay_core::contract::{self, Json, Mode, Request};
use kube::Api;
use kube::runtime::reflector::ObjectRef;

use super::halt::Halt;
use super::object::{Asked, Run};
use super::pinned::Pinned;
use crate::api_error::ApiError;
use crate::context::Context;
use crate::records;

/// What is known of the run's Backup from an earlier call.
#[derive(Default)]
pub(super) struct Known {
    /// What its strategy keeps of it out of tenants' reach; `None` before it has been looked for.
    private: Option<Option<Json>>,
    /// The Backup as it was told, and the resource version that it was read at.
    backup: Option<(String, contract::Backup)>,
}

/// Builds the request of a call. All but `now` and the Backup is what was settled when the run began. `known` spares
/// reads of the Backup that would find what was found before.
pub(super) async fn request(
    run: &Run,
    pinned: &Pinned,
    known: &mut Known,
    ctx: &Context,
) -> Result<Request, Halt> {
    let now = ctx.clock.now().as_second();
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
        options: pinned.record.options.clone(),
        application: pinned.application.clone(),
        backup: backup(run, pinned, known, ctx).await?,
        namespaces: pinned.component.descriptor().namespaces.clone(),
        inherited: None,
        cancelled: None,
    })
}

async fn backup(
    run: &Run,
    pinned: &Pinned,
    known: &mut Known,
    ctx: &Context,
) -> Result<Option<contract::Backup>, Halt> {
    let name = match (&run.asked, run.mode, &pinned.record.backup_ref) {
        (Asked::Cleanup(backup), _, _) => return Ok(Some(with_private(backup, known, ctx).await?)),
        (_, Mode::Restore, Some(reference)) => &reference.name,
        _ => return Ok(None),
    };
    // As long as the watch of its metadata shows the version that was read, it has not changed.
    let shown = ctx.caches.backups.get(&ObjectRef::new(name).within(run.namespace()));
    if let (Some(shown), Some((version, backup))) = (shown, &known.backup)
        && shown.metadata.resource_version.as_ref() == Some(version)
    {
        return Ok(Some(backup.clone()));
    }
    let api = Api::<Backup>::namespaced(ctx.client.clone(), run.namespace());
    let found = api
        .get_opt(name)
        .await
        .map_err(|e| ApiError::new(format!("reading Backup \"{}/{name}\"", run.namespace()), e))?
        .filter(|b| b.metadata.uid == pinned.record.backup_uid);
    match found {
        Some(backup) => Ok(Some(with_private(&backup, known, ctx).await?)),
        None if run.deleting || run.is_late(ctx.clock.now()) => Ok(None),
        // Our finalizer keeps a Backup that is being restored; without it somebody removed it by force.
        None => Err(Halt::fail(
            reasons::BACKUP_NOT_FOUND,
            format!(
                "Backup {name:?} was removed while it was being restored; the application may be half restored: look at it, and restore another Backup"
            ),
        )),
    }
}

/// The Backup with what its strategy kept out of tenants' reach.
async fn with_private(backup: &Backup, known: &mut Known, ctx: &Context) -> Result<contract::Backup, Halt> {
    if known.private.is_none() {
        known.private = Some(records::private(backup, ctx).await?);
    }
    let backup_told = contract::Backup { private_data: known.private.clone().flatten(), ..told(backup) };
    known.backup = backup.metadata.resource_version.clone().map(|version| (version, backup_told.clone()));
    Ok(backup_told)
}
