//! Looks whether the CRDs in the cluster are those of this controller: at the start, and again and again while they are not.
//!
//! In between the answers to writes of statuses show it, so that an idle controller asks for nothing.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::{BackupJob, RestoreJob, phase};

use crate::context::Context;
use crate::run::hold;
use crate::state::queues::Request;

/// How often the schemas are read while they are not ours.
const EVERY: Duration = Duration::from_secs(10);

/// Reads the schemas while fields are known not to be kept, until `until`.
pub(super) async fn watch(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    futures::pin_mut!(until);
    loop {
        let next = async {
            ctx.kept_fields.outdated().await;
            tokio::time::sleep(EVERY).await;
        };
        tokio::select! {
            biased;
            () = &mut until => return,
            () = next => {}
        }
        hold::probe(&ctx).await;
        if ctx.kept_fields.complaint(&[]).is_none() {
            tracing::info!("the installed CRDs are those of this controller again");
            wake(&ctx);
        }
    }
}

/// Reads the schemas once, at the start.
pub(super) async fn look(ctx: &Context) {
    hold::probe(ctx).await;
}

/// Enqueues the runs that have no record of their inputs: those that wait for the CRDs, and those that may have lost it.
fn wake(ctx: &Context) {
    let waits = |run: bool, phase: Option<&str>| !run && !phase::is_terminal(phase);
    let backup_job =
        |job: &BackupJob| job.status.as_ref().is_some_and(|s| waits(s.run.is_some(), s.phase.as_deref()));
    let restore_job =
        |job: &RestoreJob| job.status.as_ref().is_some_and(|s| waits(s.run.is_some(), s.phase.as_deref()));
    for job in ctx.stores.backup_jobs.state().iter().filter(|job| backup_job(job)) {
        ctx.state.queues.add(Request::backup_job(job));
    }
    for job in ctx.stores.restore_jobs.state().iter().filter(|job| restore_job(job)) {
        ctx.state.queues.add(Request::restore_job(job));
    }
}
