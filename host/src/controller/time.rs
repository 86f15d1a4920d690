//! Keeps the clock of the process right.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::phase;

use super::background::periodically;
use super::triggers::is_finalized;
use crate::context::Context;
use crate::informers::watcher::let_others_go;
use crate::state::queues::{Kind, Request};

/// How often the clock is compared with others.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Compares the clock with others, until `until`. Everything that waits for a time is looked at again once the clock was set:
/// its requeue was computed by the wrong time.
pub(crate) async fn keep(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    periodically(CHECK_EVERY, until, || async {
        if let Some(jump) = ctx.clock.check() {
            tracing::warn!(seconds = jump.by.as_secs_f64(), like = jump.like, now = %ctx.clock.now(),
                "the clock was wrong, or the machine was suspended, and the clock was set");
            look_again(&ctx).await;
        }
    })
    .await;
}

/// Enqueues all Plans, runs that have not ended, and clean-ups.
async fn look_again(ctx: &Context) {
    let (stores, queues) = (&ctx.stores, &ctx.state.queues);
    for (number, plan) in stores.plans.state().iter().enumerate() {
        let_others_go(number).await;
        queues.add(Request::new(Kind::Plan, plan.as_ref()));
    }
    for (number, job) in stores.backup_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        if !phase::is_terminal(job.status.as_ref().and_then(|s| s.phase.as_deref())) {
            queues.add(Request::backup_job(job));
        }
    }
    for (number, job) in stores.restore_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        if !phase::is_terminal(job.status.as_ref().and_then(|s| s.phase.as_deref())) {
            queues.add(Request::restore_job(job));
        }
    }
    for (number, backup) in stores.backups.all().enumerate() {
        let_others_go(number).await;
        if is_finalized(&backup) && backup.metadata.deletion_timestamp.is_some() {
            queues.add(Request::new(Kind::Backup, backup.as_ref()));
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::work_queue::{Action, Priority};

    #[tokio::test]
    async fn a_plan_that_is_due_later_is_looked_at_again_once_the_clock_was_set() {
        let server = StandIn::default();
        let (ctx, mut writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let plan = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"applicationRef": {"kind": "App", "name": "app"}, "backupClassName": "class",
                "schedule": {"type": "cron", "cron": "0 0 * * *"}}});
        writers.plans.apply_watcher_event(&Event::Apply(serde_json::from_value(plan).expect("a plan")));
        let queue = ctx.state.queues.of(&Kind::Plan).expect("there is a queue");
        look_again(&ctx).await;
        let key = queue.next(|_| Priority::Continue).expect("it is queued");
        queue.done(&key, Action::requeue(Duration::from_hours(12)));
        assert_eq!(queue.next(|_| Priority::Continue), None);
        look_again(&ctx).await;
        assert_eq!(queue.next(|_| Priority::Continue), Some(key));
    }
}
