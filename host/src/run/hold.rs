//! Runs that must not go on by themselves: restored by another tool, or with CRDs that do not keep what they need.

use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_api::{annotations, phase};
use backstay_core::contract::Mode;
use backstay_core::status::RunStatus;

use super::jobs;
use super::not_done::NotDone;
use crate::cluster::error::{ApiError, chain};
use crate::cluster::schemas;
use crate::context::Context;
use crate::state::run::Run;

/// How often a run is looked at whose record may come back.
const RECHECK: Duration = Duration::from_secs(30);

/// Compares the schemas that the API server serves with those of this controller. Returns whether they could be read.
pub(crate) async fn probe(ctx: &Context) -> bool {
    match schemas::missing_fields(&ctx.cluster.client).await {
        Ok(of_kinds) => {
            for (kind, missing) in of_kinds {
                ctx.kept_fields.probed(&kind, missing);
            }
            true
        }
        Err(error) => {
            tracing::info!(error = %chain(&error), "schemas of the CRDs not read");
            false
        }
    }
}

/// Checks that a run of this controller may begin.
///
/// # Errors
/// The run is blocked: somebody has to say that it may run again, or has to install the CRDs.
pub(crate) fn check(run: &Run, ctx: &Context) -> Result<(), NotDone> {
    check_restored(run)?;
    match ctx.kept_fields.complaint(&[&run.object.kind, "Backup"]) {
        Some(complaint) => Err(crds_outdated(complaint)),
        None => Ok(()),
    }
}

/// Checks that the API server has kept the whole beginning of a run, whose status was `before`.
///
/// # Errors
/// Nothing may be made from inputs that are not on record: the run is blocked, as if it had not begun.
pub(crate) fn check_beginning(run: &mut Run, before: RunStatus, ctx: &Context) -> Result<(), NotDone> {
    if run.dropped.is_empty() {
        return Ok(());
    }
    run.status = before;
    ctx.kept_fields.written(&run.object.kind, &run.dropped);
    check(run, ctx)
}

/// Tells, once for each run, that somebody else writes its status.
pub(crate) fn tell_other_writer(run: &Run, ctx: &Context) {
    let Some(writer) = &run.other_writer else { return };
    if !ctx.state.runs.tell_other_writer(&run.uid) {
        return;
    }
    let note = format!(
        "{writer:?} has written the status of this run too; if that is another controller of these kinds, stop it: two of them act on one run"
    );
    tracing::warn!(run = %run.title(), "{note}");
    ctx.notices.warn(run, reasons::OTHER_WRITER, &note);
    ctx.metrics.other_writer(&run.object.kind);
}

/// Returns that a run waits for the CRDs of this controller.
pub(crate) fn crds_outdated(complaint: String) -> NotDone {
    unbounded(reasons::CRDS_OUTDATED, complaint)
}

fn unbounded(reason: &'static str, message: String) -> NotDone {
    NotDone::Blocked { reason, message, bounded: false, give_up: None }
}

/// Holds a run that another tool restored.
///
/// # Errors
/// The run is blocked until somebody says that it may run.
pub(crate) fn check_restored(run: &Run) -> Result<(), NotDone> {
    let Some(why) = &run.marks.restored else { return Ok(()) };
    let (plural, danger) = match run.mode {
        Mode::Backup => ("backupjobs", ""),
        Mode::Restore => ("restorejobs", "; a restore overwrites what the application holds now"),
        // Somebody deletes the Backup now, wherever it came from.
        Mode::Cleanup => return Ok(()),
    };
    let message = format!(
        "this {} is held, because another tool restored it: {why}{danger}; delete it, or let it run by kubectl annotate -n {} {plural}.{} {} {}={}",
        run.object.kind,
        run.namespace(),
        backstay_api::GROUP,
        run.name(),
        annotations::RUN_AGAIN,
        run.uid
    );
    Err(unbounded(reasons::RESTORED_RUN, message))
}

/// Checks a run that this controller has begun and that has no record of its inputs: the API server has dropped the record.
/// Of a run of the Go implementation, which has no record either, there is no condition `Reconciling`.
///
/// # Errors
/// With older CRDs the run is left alone: a write would store what is left. With our CRDs the run has failed.
pub(crate) async fn check_record(run: &Run, ctx: &Context) -> Result<(), NotDone> {
    let running = run.status.phase.as_deref() == Some(phase::RUNNING);
    let ours = run.marks.begun || run.status.conditions.iter().any(|c| c.type_ == types::RECONCILING);
    if !running || !ours || run.status.run.is_some() {
        return Ok(());
    }
    if !probe(ctx).await {
        return Err(NotDone::Untouched { recheck: RECHECK });
    }
    if let Some(complaint) = ctx.kept_fields.complaint(&[&run.object.kind]) {
        tracing::error!(run = %run.title(), "{complaint}");
        return Err(NotDone::Untouched { recheck: RECHECK });
    }
    let client = &ctx.cluster.client;
    let read = run.read_again(client).await;
    let read = read.map_err(|e| ApiError::new(format!("reading {}", run.title()), e))?;
    if read.is_none_or(|read| read.status.run.is_some()) {
        ctx.state.runs.invalidate(&run.uid);
        return Err(NotDone::Untouched { recheck: Duration::from_secs(1) });
    }
    jobs::stop_own(run, &ctx.stores, client).await?;
    Err(NotDone::failed(
        reasons::RUN_RECORD_LOST,
        "the run had begun, and the record of its inputs is gone from its status: CRDs of another version were installed meanwhile; its Job was stopped; look at the application, and create a new run",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::state::run::tests::{BACKUP, BACKUP_JOB, RESTORE_JOB, changed, shown_run, stored_run};

    fn restored(mode: Mode, path: &str) -> Result<(), NotDone> {
        let server = StandIn::default();
        stored_run(mode, json!({}), &server);
        let label = json!({"metadata": {"labels": {"velero.io/restore-name": "cluster-1"}}});
        server.put(path, changed(path, &label, &server));
        check_restored(&shown_run(mode, &server))
    }

    #[test]
    fn a_restored_run_waits_without_end_and_says_how_to_let_it_run() {
        let says = "this RestoreJob is held, because another tool restored it: the restore \"cluster-1\" of Velero made this object; a restore overwrites what the application holds now; delete it, or let it run by kubectl annotate -n tenant-a restorejobs.backups.cozystack.io nightly backstay.dev/run-again=run-1";
        assert_eq!(restored(Mode::Restore, RESTORE_JOB), Err(unbounded("RestoredRun", says.to_owned())));
        assert!(restored(Mode::Backup, BACKUP_JOB).is_err());
    }

    #[test]
    fn a_restored_backup_that_somebody_deletes_is_cleaned_up() {
        assert_eq!(restored(Mode::Cleanup, BACKUP), Ok(()));
    }
}
