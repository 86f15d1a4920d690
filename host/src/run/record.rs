//! The result is written down: first what was made, then that the run is over.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_api::{Backup, LocalRef, names};
use backstay_core::backup::{Made, build, made_by, status_of};
use backstay_core::contract::{Json, Mode, Outcome};
use backstay_core::retry::Class;
use backstay_core::status::merge_diff;
use kube::api::{Patch, PostParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::halt::Halt;
use super::object::{Asked, Run};
use super::pinned::Pinned;
use super::{expire, job};
use crate::api_error::{ApiError, chain, class};
use crate::context::Context;
use crate::manager;
use crate::records;

/// How long a clean-up that failed rests before it begins anew.
const CLEANUP_REST: Duration = Duration::from_secs(60);

/// A backup ended well: the Backup, its status, then the run (lifecycle.md R3, R4, R7).
pub(super) async fn backup(
    run: &mut Run,
    pinned: &Pinned,
    ended: Option<i64>,
    outcome: &Outcome,
    ctx: &Arc<Context>,
) -> Result<(), Halt> {
    let mut outcome = outcome.clone();
    if let Some(credentials) = ctx.projected.last() {
        credentials.withhold(&mut outcome);
    }
    let outcome = &outcome;
    let private = match &outcome.private_data {
        Some(data) => Some(keep_private(run, data, ctx).await?),
        None => None,
    };
    let backup = ensure_backup(run, pinned, ended, outcome, ctx).await?;
    ensure_status(run, pinned, outcome, private, &backup, ctx).await?;
    ended_well(run, Some(LocalRef::new(backup.name_any())), ctx).await
}

/// Whatever keeps the artifact from being recorded, data was written: that is said.
fn unrecorded(doing: String, error: kube::Error) -> Halt {
    let refused = class(&error) == Class::Refused;
    let error = ApiError::new(doing, error).late_as(reasons::ARTIFACT_NOT_RECORDED);
    if refused {
        let message = format!(
            "data was written, but the Backup could not be recorded: {}; mend that and create a new run",
            chain(&error)
        );
        return Halt::fail(reasons::ARTIFACT_NOT_RECORDED, message);
    }
    error.into()
}

async fn keep_private(run: &Run, data: &Json, ctx: &Context) -> Result<String, Halt> {
    let kept = records::keep_private(run.namespace(), &run.uid, data.clone(), ctx).await;
    kept.map_err(|halt| match halt {
        Halt::Api(error) => error.late_as(reasons::ARTIFACT_NOT_RECORDED).into(),
        other => other,
    })
}

async fn ensure_backup(
    run: &Run,
    pinned: &Pinned,
    ended: Option<i64>,
    outcome: &Outcome,
    ctx: &Arc<Context>,
) -> Result<Backup, Halt> {
    let api = Api::<Backup>::namespaced(ctx.client.clone(), run.namespace());
    let plan = match &run.asked {
        Asked::Backup(spec) => spec.plan_ref.as_ref(),
        _ => None,
    };
    let ended = ended.unwrap_or_else(|| ctx.clock.now().as_second());
    // A name that somebody else's Backup has is left to it: ours gets the fallback name of R3.
    for name in [run.name().to_owned(), names::fallback_backup_name(run.name(), &run.uid)] {
        let made = Made {
            name: &name,
            namespace: run.namespace(),
            run_uid: &run.uid,
            plan,
            record: &pinned.record,
            ended,
        };
        let title = format!("Backup \"{}/{name}\"", run.namespace());
        let error = match api.create(&PostParams::default(), &build(&made, outcome)).await {
            Ok(backup) => return Ok(backup),
            Err(error) => error,
        };
        if class(&error) != Class::AlreadyExists {
            return Err(unrecorded(format!("creating {title}"), error));
        }
        match api.get_opt(&name).await.map_err(|e| unrecorded(format!("reading {title}"), e))? {
            Some(existing) if made_by(&existing, &run.uid) => return Ok(existing),
            Some(_) => {
                let note = format!(
                    "{title} exists and is not of this run; it is left alone and this run's Backup gets another name"
                );
                ctx.warn(run, reasons::BACKUP_NAME_TAKEN, &note);
            }
            // It went away in between: look again.
            None => return Err(unrecorded(format!("creating {title}"), error)),
        }
    }
    Err(Halt::fail(
        reasons::ARTIFACT_NOT_RECORDED,
        format!(
            "data was written, but Backups named {:?} and by this run's uid exist and are not of this run; rename them",
            run.name()
        ),
    ))
}

async fn ensure_status(
    run: &Run,
    pinned: &Pinned,
    outcome: &Outcome,
    private: Option<String>,
    backup: &Backup,
    ctx: &Arc<Context>,
) -> Result<(), Halt> {
    let mut wanted = status_of(&pinned.record, outcome, backup.metadata.generation, ctx.clock.now());
    wanted.private_data = private;
    if backup.status.as_ref().is_some_and(|s| s.phase == wanted.phase) {
        return Ok(());
    }
    let stored = serde_json::to_value(&backup.status).unwrap_or_default();
    let Some(difference) = merge_diff(&stored, &serde_json::to_value(&wanted).unwrap_or_default()) else {
        return Ok(());
    };
    let api = Api::<Backup>::namespaced(ctx.client.clone(), run.namespace());
    let name = backup.name_any();
    let params = manager::patch_params();
    let patch = Patch::Merge(json!({ "status": difference }));
    let written = match api.patch_status(&name, &params, &patch).await {
        // A CRD of the Go implementation has no status subresource (R7): then the status is a field like any other.
        Err(error) if class(&error) == Class::NotFound => api.patch(&name, &params, &patch).await,
        other => other,
    };
    match written {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(unrecorded(format!("writing the status of Backup \"{}/{name}\"", run.namespace()), error))
        }
    }
}

/// A restore ended well.
pub(super) async fn restored(run: &mut Run, ctx: &Arc<Context>) -> Result<(), Halt> {
    ended_well(run, None, ctx).await
}

async fn ended_well(run: &mut Run, backup: Option<LocalRef>, ctx: &Arc<Context>) -> Result<(), Halt> {
    let message = match run.mode {
        Mode::Backup => "the backup is complete and recorded",
        Mode::Restore | Mode::Cleanup => "the restore is complete",
    };
    let before = run.status.clone();
    run.status.backup_ref = backup;
    run.status.succeed(run.mode, message, ctx.clock.now());
    if let Err(error) = ctx.runs.write(run, &ctx.client).await {
        // Not written is not ended: what is said of the run until the next try must not say so.
        run.status = before;
        let error = ApiError::new(format!("writing the end of {}", run.title()), error);
        return Err(error.late_as(reasons::ARTIFACT_NOT_RECORDED).into());
    }
    let reason = run.status.ready().map(|c| c.reason.clone()).unwrap_or_default();
    ctx.note(run, &reason, message);
    ctx.metrics.run_ended(&run.object.kind, "Succeeded", &reason, run.seconds());
    tracing::info!(run = %run.title(), seconds = run.seconds(), "run succeeded");
    Ok(())
}

/// A clean-up ended well: the Backup may go. What the controller keeps of it is deleted only then: as long as the finalizer
/// is there the clean-up can be asked for again, and needs it.
pub(super) async fn cleaned(run: &mut Run, ctx: &Arc<Context>) -> Result<(), Halt> {
    crate::finalizer::remove(run, &ctx.client).await?;
    run.finalized = false;
    ctx.note(run, reasons::CLEANUP_COMPLETED, "the clean-up is complete");
    tracing::info!(run = %run.title(), "cleanup succeeded");
    if let Asked::Cleanup(backup) = &run.asked {
        ctx.departed.add(&backup.metadata);
    }
    Ok(())
}

/// A clean-up failed: the Backup stays, says why, and the next attempt begins anew with a Job of its own. Until then it has
/// no turn: it can fail for as long as nobody mends its cause.
pub(super) async fn cleanup_failed(run: &mut Run, reason: &str, message: &str, ctx: &Arc<Context>) -> Action {
    debug_assert_eq!(run.mode, Mode::Cleanup);
    let now = ctx.clock.now();
    let text =
        format!("cleanup failed ({reason}), and is tried again{}: {message}", crate::finalizer::way_out());
    ctx.warn(run, reasons::CLEANUP_FAILED, &text);
    tracing::warn!(run = %run.title(), reason, message, "cleanup failed, will try again");
    if let Some(record) = run.status.run.as_ref().and_then(|r| r.job.clone())
        && let Some(found) = ctx.caches.job(run.namespace(), &record.name)
        && found.metadata.uid.as_deref() == Some(&record.uid)
        && let Err(error) = job::stop(run, &found, ctx).await
    {
        tracing::warn!(run = %run.title(), error = %chain(&error), "job of the failed cleanup not removed");
        return Action::requeue(CLEANUP_REST);
    }
    if let Err(error) = expire::clear_failed(run, ctx).await {
        tracing::warn!(run = %run.title(), error = %chain(&error), "jobs of the failed cleanup not removed");
        return Action::requeue(CLEANUP_REST);
    }
    run.status.run = None;
    run.status.set(types::READY, Some(false), reasons::CLEANUP_FAILED, &text, now);
    if let Err(error) = ctx.runs.write(run, &ctx.client).await {
        // What is stored says that it goes on: then it does.
        tracing::warn!(run = %run.title(), error = %chain(&error), "status not written");
        ctx.runs.distrust(&run.uid);
        return Action::requeue(CLEANUP_REST);
    }
    ctx.interests.forget(&run.uid);
    ctx.runs.rest(&run.uid, CLEANUP_REST);
    ctx.gives_way(run);
    Action::requeue(CLEANUP_REST)
}
