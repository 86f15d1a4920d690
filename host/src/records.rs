//! Secrets of the controller's namespace in which runs of the resource world keep what they must not lose: checkpoints,
//! what a stranded restore leaves to the next one, and private data of Backups (decisions.md 14).

use backstay_api::conditions::reasons;
use backstay_api::{Backup, labels};
use backstay_core::contract::{Inherited, Json};
use backstay_core::resource::{
    Kept, PrivateData, RecordError, Stored, checkpoint_name, kept_name, private_name,
};
use backstay_core::retry::Class;
use backstay_core::turns::Target;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, PostParams, Preconditions};
use kube::{Api, ResourceExt};

use crate::api_error::{ApiError, class, is_not_found};
use crate::context::Context;
use crate::departed::Gone;
use crate::manager;
use crate::run::Halt;

/// A record younger than this is never collected: the run that wrote it may not show in a watch yet.
const YOUNG: SignedDuration = SignedDuration::from_mins(10);

fn secrets(ctx: &Context) -> Api<Secret> {
    Api::namespaced(ctx.client.clone(), &ctx.settings.namespace)
}

fn title(ctx: &Context, name: &str) -> String {
    format!("Secret \"{}/{name}\"", ctx.settings.namespace)
}

fn corrupt(error: &RecordError) -> Halt {
    Halt::Fail {
        reason: reasons::CHECKPOINT_CORRUPT.to_owned(),
        message: format!("{error}; see what the run has done, and begin a new one"),
    }
}

async fn read(name: &str, ctx: &Context) -> Result<Option<Secret>, ApiError> {
    secrets(ctx).get_opt(name).await.map_err(|e| ApiError::new(format!("reading {}", title(ctx, name)), e))
}

/// The checkpoint of a run, and the resource version it was read at.
///
/// # Errors
/// The API server's; a failure of the run if somebody altered it.
pub async fn checkpoint(run_uid: &str, ctx: &Context) -> Result<Option<(Stored, String)>, Halt> {
    let Some(secret) = read(&checkpoint_name(run_uid), ctx).await? else { return Ok(None) };
    let stored = Stored::from_secret(&secret, run_uid).map_err(|e| corrupt(&e))?;
    Ok(Some((stored, secret.resource_version().unwrap_or_default())))
}

/// Writes a checkpoint over the one that was read or written at `version`, or as the first; returns its own version. That
/// nobody else has written one meanwhile is the fence between two controllers: one that differs in its writer alone is
/// another's. Writing what is stored already costs a call and changes nothing, and is a fence all the same.
///
/// # Errors
/// The API server's; a conflict means that another controller is at work, and that the run has to be looked at anew.
pub async fn write_checkpoint(
    stored: &Stored,
    version: Option<&str>,
    ctx: &Context,
) -> Result<String, ApiError> {
    let mut secret = stored.to_secret(&ctx.settings.namespace);
    let name = secret.name_any();
    let params = PostParams { field_manager: Some(manager::NAME.to_owned()), ..PostParams::default() };
    let doing = || format!("writing {}", title(ctx, &name));
    let written = match version {
        None => secrets(ctx).create(&params, &secret).await,
        Some(version) => {
            secret.metadata.resource_version = Some(version.to_owned());
            secrets(ctx).replace(&name, &params, &secret).await
        }
    };
    match written {
        Ok(written) => Ok(written.resource_version().unwrap_or_default()),
        Err(error) => {
            // The answer to an earlier try may have been lost: what is there may be this very checkpoint.
            if matches!(class(&error), Class::Conflict | Class::AlreadyExists)
                && let Some(there) = read(&name, ctx).await?
                && Stored::from_secret(&there, &stored.run_uid).is_ok_and(|s| s == *stored)
            {
                return Ok(there.resource_version().unwrap_or_default());
            }
            Err(ApiError::new(doing(), error))
        }
    }
}

/// Deletes the checkpoint of a run, if there is one.
///
/// # Errors
/// The API server's.
pub async fn drop_checkpoint(run_uid: &str, ctx: &Context) -> Result<(), ApiError> {
    delete(&checkpoint_name(run_uid), ctx).await
}

/// What an earlier run of this component left behind on a target.
///
/// # Errors
/// The API server's; a failure of the run if somebody altered it.
pub async fn inherited(component: &str, target: &Target, ctx: &Context) -> Result<Option<Inherited>, Halt> {
    let Some(secret) = read(&kept_name(component, target), ctx).await? else { return Ok(None) };
    Ok(Some(Kept::from_secret(&secret).map_err(|e| corrupt(&e))?.inherited()))
}

/// Leaves a checkpoint to the next run on a target, in the place of what was left before.
///
/// # Errors
/// The API server's.
pub async fn keep(kept: &Kept, target: &Target, ctx: &Context) -> Result<(), Halt> {
    put(&kept.to_secret(&ctx.settings.namespace, target), ctx).await
}

/// A run on the target is done: what earlier ones left there is of no use any more, kept or not yet kept. The checkpoint
/// of the run itself stays.
///
/// # Errors
/// The API server's.
pub async fn settle(run_uid: &str, component: &str, target: &Target, ctx: &Context) -> Result<(), ApiError> {
    let left = format!("{}={}", labels::LEFT_ON, kept_name(component, target));
    for record in list(&left, ctx).await? {
        if record.name_any() != checkpoint_name(run_uid) {
            delete_exactly(&record, ctx).await?;
        }
    }
    Ok(())
}

/// Keeps the private data of the Backup that a run makes; returns the name to put into the Backup's status.
///
/// # Errors
/// The API server's.
pub async fn keep_private(namespace: &str, run_uid: &str, data: Json, ctx: &Context) -> Result<String, Halt> {
    let private = PrivateData { namespace: namespace.to_owned(), run_uid: run_uid.to_owned(), data };
    put(&private.to_secret(&ctx.settings.namespace), ctx).await?;
    Ok(private_name(run_uid))
}

/// The private data of a Backup; none if it has none.
///
/// # Errors
/// The API server's; a failure of the run if it is gone or not this Backup's.
pub async fn private(backup: &Backup, ctx: &Context) -> Result<Option<Json>, Halt> {
    let Some(name) = backup.status.as_ref().and_then(|s| s.private_data.as_deref()) else { return Ok(None) };
    let Some(secret) = read(name, ctx).await? else {
        let message = format!(
            "what the strategy kept of Backup {:?} is gone: {} not found; put it back from a backup of the cluster, or restore another Backup",
            backup.name_any(),
            title(ctx, name)
        );
        return Err(Halt::Fail { reason: reasons::PRIVATE_DATA_MISSING.to_owned(), message });
    };
    let private = PrivateData::from_secret(&secret, &backup.namespace().unwrap_or_default());
    Ok(Some(private.map_err(|e| corrupt(&e))?.data))
}

/// Deletes what is kept of Backups that are gone: the checkpoints of their clean-ups, and their private data, if nothing of
/// the run that made it is there.
///
/// # Errors
/// The API server's.
pub async fn forget(gone: &[Gone], ctx: &Context) -> Result<(), ApiError> {
    let uids: Vec<&str> =
        gone.iter().flat_map(|g| [Some(g.uid.as_str()), g.run_uid.as_deref()]).flatten().collect();
    for record in list(&format!("{} in ({})", labels::RUN_UID, uids.join(",")), ctx).await? {
        let name = record.name_any();
        let is_private = |g: &&Gone| g.run_uid.as_deref().is_some_and(|uid| private_name(uid) == name);
        let forgotten = match gone.iter().find(is_private) {
            Some(backup) => is_of(&name, backup, ctx).await?,
            None => gone.iter().any(|g| checkpoint_name(&g.uid) == name),
        };
        if forgotten {
            delete_exactly(&record, ctx).await?;
        }
    }
    Ok(())
}

/// Whether private data is that of a Backup that is gone and of no other. Its label names the run, and tenants write labels:
/// one that names another's run does not get at what is kept of it.
async fn is_of(name: &str, gone: &Gone, ctx: &Context) -> Result<bool, ApiError> {
    let run_uid = gone.run_uid.as_deref().unwrap_or_default();
    if ctx.caches.is_unfinished(run_uid) || ctx.caches.has_backup_of(run_uid, Some(&gone.uid)) {
        return Ok(false);
    }
    let Some(secret) = read(name, ctx).await? else { return Ok(false) };
    match PrivateData::from_secret(&secret, &gone.namespace) {
        Ok(_) => Ok(true),
        Err(error) => {
            tracing::warn!(backup = gone.uid, %error, "private data of a deleted backup left alone");
            Ok(false)
        }
    }
}

/// Creates a Secret, or puts its content in the place of what is there, if that is a record too.
async fn put(secret: &Secret, ctx: &Context) -> Result<(), Halt> {
    let name = secret.name_any();
    let params = PostParams { field_manager: Some(manager::NAME.to_owned()), ..PostParams::default() };
    let doing = |e| ApiError::new(format!("writing {}", title(ctx, &name)), e);
    let error = match secrets(ctx).create(&params, secret).await {
        Err(error) if class(&error) == Class::AlreadyExists => error,
        other => return Ok(other.map(drop).map_err(doing)?),
    };
    // It went away in between: look again.
    let Some(there) = read(&name, ctx).await? else { return Err(doing(error).into()) };
    if there.labels().get(labels::RECORD) != secret.labels().get(labels::RECORD) {
        let message =
            format!("{} exists and is not a record of the controller; remove it", title(ctx, &name));
        return Err(Halt::Fail { reason: reasons::CHECKPOINT_CORRUPT.to_owned(), message });
    }
    let replacement = Secret {
        metadata: ObjectMeta { resource_version: there.resource_version(), ..secret.metadata.clone() },
        ..secret.clone()
    };
    Ok(secrets(ctx).replace(&name, &params, &replacement).await.map(drop).map_err(doing)?)
}

async fn delete(name: &str, ctx: &Context) -> Result<(), ApiError> {
    match secrets(ctx).delete(name, &DeleteParams::default()).await {
        Err(error) if !is_not_found(&error) => {
            Err(ApiError::new(format!("deleting {}", title(ctx, name)), error))
        }
        _ => Ok(()),
    }
}

async fn list(selector: &str, ctx: &Context) -> Result<Vec<PartialObjectMeta<Secret>>, ApiError> {
    let params = ListParams::default().labels(selector);
    let all = secrets(ctx).list_metadata(&params).await;
    Ok(all.map_err(|e| ApiError::new("listing records of runs", e))?.items)
}

/// Deletes the record that was listed, and none that has its name now.
///
/// # Errors
/// The API server's; a conflict means that what was listed is out of date.
async fn delete_exactly(record: &PartialObjectMeta<Secret>, ctx: &Context) -> Result<(), ApiError> {
    let exactly = Preconditions { uid: record.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
    match secrets(ctx).delete(&record.name_any(), &params).await {
        Err(error) if !is_not_found(&error) => {
            Err(ApiError::new(format!("deleting {}", title(ctx, &record.name_any())), error))
        }
        _ => Ok(()),
    }
}

/// Deletes records that nothing needs any more: checkpoints of runs that have ended or are gone, private data of Backups
/// that are gone. A controller that died at the end of a run leaves one behind. The checkpoint of a restore that is gone
/// without an end, its finalizer removed by hand, is kept for the next restore of its target first.
///
/// # Errors
/// The API server's.
pub async fn collect(ctx: &Context) -> Result<usize, ApiError> {
    let mut collected = 0;
    for record in list(&format!("{} in (checkpoint,private)", labels::RECORD), ctx).await? {
        let made = record.metadata.creation_timestamp.as_ref().map_or(ctx.clock.now(), |t| t.0);
        let run_uid = record.labels().get(labels::RUN_UID).cloned().unwrap_or_default();
        let young = ctx.clock.now().duration_since(made) < YOUNG;
        if young || ctx.caches.is_unfinished(&run_uid) || ctx.caches.has_backup_of(&run_uid, None) {
            continue;
        }
        let is_left = record.labels().contains_key(labels::LEFT_ON);
        if is_left && !ctx.caches.has_restore(&run_uid) && !strand(&run_uid, ctx).await? {
            continue;
        }
        match delete_exactly(&record, ctx).await {
            Ok(()) => collected += 1,
            // Another one has its name now, which is looked at the next time.
            Err(error) if error.class() == Class::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(collected)
}

/// Keeps what a restore that is gone has left on its target, unless a later one has left something there. Returns whether
/// its checkpoint may go.
async fn strand(run_uid: &str, ctx: &Context) -> Result<bool, ApiError> {
    let told = |error: &dyn std::fmt::Display| {
        tracing::error!(run_uid, %error, "what a restore left is not kept for the next one, look at its checkpoint");
        Ok(false)
    };
    let left = match checkpoint(run_uid, ctx).await {
        Ok(left) => left.and_then(|(stored, _)| stored.kept()),
        Err(Halt::Api(error)) => return Err(error),
        Err(Halt::Fail { message, .. }) => return told(&message),
        Err(_) => None,
    };
    let Some((kept, target)) = left else { return Ok(true) };
    let there = read(&kept_name(&kept.left.component.name, &target), ctx).await?;
    let newer = |there: &Kept| there.left.stage_since >= kept.left.stage_since;
    if there.is_some_and(|there| Kept::from_secret(&there).is_ok_and(|there| newer(&there))) {
        return Ok(true);
    }
    match keep(&kept, &target, ctx).await {
        Ok(()) => Ok(true),
        Err(Halt::Api(error)) => Err(error),
        Err(Halt::Fail { message, .. }) => told(&message),
        Err(_) => Ok(false),
    }
}
