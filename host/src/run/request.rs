//! What a call is told of the run.

use backstay_api::Backup;
use backstay_api::conditions::reasons;
use backstay_core::backup::told;
use backstay_core::contract::{self, Json, Mode, Request};
use kube::Api;

use super::halt::Halt;
use super::object::{Asked, Run};
use super::pinned::Pinned;
use crate::api_error::ApiError;
use crate::context::Context;
use crate::records;

/// Builds the request of a call. All but `now` and the Backup is what was settled when the run began. `private` holds the
/// Backup's private data from one call to the next.
pub(super) async fn request(
    run: &Run,
    pinned: &Pinned,
    private: &mut Option<Option<Json>>,
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
        backup: backup(run, pinned, private, ctx).await?,
        namespaces: pinned.component.descriptor().namespaces.clone(),
        inherited: None,
        cancelled: None,
    })
}

async fn backup(
    run: &Run,
    pinned: &Pinned,
    private: &mut Option<Option<Json>>,
    ctx: &Context,
) -> Result<Option<contract::Backup>, Halt> {
    let name = match (&run.asked, run.mode, &pinned.record.backup_ref) {
        (Asked::Cleanup(backup), _, _) => return Ok(Some(with_private(backup, private, ctx).await?)),
        (_, Mode::Restore, Some(reference)) => &reference.name,
        _ => return Ok(None),
    };
    let api = Api::<Backup>::namespaced(ctx.client.clone(), run.namespace());
    let found = api
        .get_opt(name)
        .await
        .map_err(|e| ApiError::new(format!("reading Backup \"{}/{name}\"", run.namespace()), e))?
        .filter(|b| b.metadata.uid == pinned.record.backup_uid);
    match found {
        Some(backup) => Ok(Some(with_private(&backup, private, ctx).await?)),
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
async fn with_private(
    backup: &Backup,
    private: &mut Option<Option<Json>>,
    ctx: &Context,
) -> Result<contract::Backup, Halt> {
    if private.is_none() {
        *private = Some(records::private(backup, ctx).await?);
    }
    Ok(contract::Backup { private_data: private.clone().flatten(), ..told(backup) })
}
