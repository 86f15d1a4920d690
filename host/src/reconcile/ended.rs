//! The reconciler of runs that have ended, are no longer watched, and hold something still.

use std::sync::Arc;

use backstay_api::{BackupJob, RestoreJob};
use backstay_core::retry;
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};

use crate::cluster::api::Api;
use crate::cluster::error::{chain, is_undecodable};
use crate::cluster::partial::PartialDecode;
use crate::context::Context;
use crate::reconcile::run;
use crate::state::queues::{Key, Kind};
use crate::state::run::Run;
use crate::state::work_queue::Action;

/// Reads a run that is kept in mind as ended, and releases what it holds. Nothing is done for another object.
pub async fn reconcile(kind: &Kind, key: &Key, ctx: &Arc<Context>) -> Action {
    let Some(uid) = ctx.state.ends.uid(kind, key) else { return Action::await_change() };
    let action = match read(kind, key, &ctx.cluster.client).await {
        // One that goes on after all is shown by its watch.
        Ok(found) => match found.filter(|run| run.uid == uid && run.is_finished()) {
            Some(run) => run::reconcile(run, ctx.clone()).await,
            None => Action::await_change(),
        },
        Err(error) if is_undecodable(&error) => Action::await_change(),
        Err(error) => {
            let attempt = ctx.state.runs.failed(&uid);
            tracing::warn!(%kind, object = %key, attempt, error = %chain(&error), "a run that has ended was not read, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    };
    if action == Action::await_change() {
        ctx.state.ends.done(kind, key);
        ctx.forget(&uid);
    }
    action
}

async fn read(kind: &Kind, key: &Key, client: &Client) -> Result<Option<Run>, kube::Error> {
    match kind {
        Kind::BackupJob => Ok(object::<BackupJob>(key, client).await?.as_ref().map(Run::from)),
        Kind::RestoreJob => Ok(object::<RestoreJob>(key, client).await?.as_ref().map(Run::from)),
        Kind::Backup | Kind::Plan | Kind::Strategy(_) => Ok(None),
    }
}

async fn object<K>(key: &Key, client: &Client) -> Result<Option<K>, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + PartialDecode,
{
    let namespace = key.namespace.as_deref().unwrap_or_default();
    Api::<K>::namespaced(client.clone(), namespace).get_opt(&key.name).await
}

#[cfg(test)]
mod tests {
    use backstay_api::{finalizers, labels};
    use backstay_core::contract::Mode;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{BACKUP_JOB, begun, changed, shown_run, stored_run};

    /// A run that has ended and that the controller's finalizer holds still, and that no watch shows.
    fn given(server: &StandIn) -> (Run, Arc<Context>) {
        stored_run(Mode::Backup, begun(100), server);
        let held = json!({"metadata": {"finalizers": ["example.org/other", finalizers::UNDO],
            "labels": {labels::HELD: "", "team": "x"}}, "status": {"phase": "Succeeded"}});
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &held, server));
        (shown_run(Mode::Backup, server), crate::context::tests::empty(server.client()))
    }

    #[tokio::test]
    async fn a_backup_job_that_has_ended_keeps_no_finalizer_of_the_controller_since_its_deletion_is_not_seen()
    {
        let server = StandIn::default();
        stored_run(Mode::Backup, begun(100), &server);
        let all = ["example.org/other", finalizers::CLEANUP, finalizers::LEGACY_CLEANUP];
        let written = json!({"metadata": {"finalizers": all}, "status": {"phase": "Succeeded"}});
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &written, &server));
        let run = shown_run(Mode::Backup, &server);
        let ctx = crate::context::tests::empty(server.client());
        assert_eq!(run::reconcile(run, ctx).await, Action::await_change());
        let metadata = &server.get(BACKUP_JOB).expect("it is there")["metadata"];
        assert_eq!(metadata["finalizers"], json!(["example.org/other"]));
    }

    async fn looked_at(run: &Run, ctx: &Arc<Context>) -> Action {
        let (kind, key) = run.place().expect("it is a run");
        reconcile(&kind, &key, ctx).await
    }

    fn kept_in_mind(run: &Run, ctx: &Context) -> bool {
        let (kind, key) = run.place().expect("it is a run");
        ctx.state.ends.uid(&kind, &key).is_some()
    }

    #[tokio::test]
    async fn what_failed_at_the_end_of_a_run_is_done_though_no_watch_shows_the_run() {
        let server = StandIn::default();
        let (run, ctx) = given(&server);
        server.fault(1, Fault::Answer(500, "InternalError"));
        assert_ne!(run::reconcile(run.clone(), ctx.clone()).await, Action::await_change());
        assert!(kept_in_mind(&run, &ctx));

        assert_eq!(looked_at(&run, &ctx).await, Action::await_change());
        let metadata = &server.get(BACKUP_JOB).expect("it is there")["metadata"];
        assert_eq!(metadata["finalizers"], json!(["example.org/other"]));
        assert_eq!(metadata["labels"], json!({"team": "x"}));
        assert!(!kept_in_mind(&run, &ctx));
        assert_eq!(ctx.state.runs.uids(), [""; 0], "nothing of it stays in memory");
        server.sent();
        assert_eq!(looked_at(&run, &ctx).await, Action::await_change());
        assert_eq!(server.calls(), [""; 0], "it is not looked at again");
    }

    #[tokio::test]
    async fn a_run_that_cannot_be_read_is_tried_again_at_growing_intervals() {
        let server = StandIn::default();
        let (run, ctx) = given(&server);
        let (kind, key) = run.place().expect("it is a run");
        ctx.state.ends.add(kind, key, &run.uid);
        for attempt in 1..4 {
            server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
            assert_eq!(looked_at(&run, &ctx).await, Action::requeue(retry::backoff(attempt)));
        }
        assert_eq!(looked_at(&run, &ctx).await, Action::await_change());
        assert!(!kept_in_mind(&run, &ctx));
    }

    #[tokio::test]
    async fn nothing_is_done_for_a_run_that_is_gone_or_another_one_or_goes_on() {
        let other = json!({"metadata": {"uid": "another"}});
        let goes_on = json!({"status": {"phase": "Running"}});
        for change in [None, Some(other), Some(goes_on)] {
            let server = StandIn::default();
            let (run, ctx) = given(&server);
            let (kind, key) = run.place().expect("it is a run");
            ctx.state.ends.add(kind, key, &run.uid);
            match &change {
                Some(change) => server.put(BACKUP_JOB, changed(BACKUP_JOB, change, &server)),
                None => server.remove(BACKUP_JOB),
            }
            assert_eq!(looked_at(&run, &ctx).await, Action::await_change());
            assert_eq!(server.calls(), ["GET backupjobs/nightly"], "{change:?}");
            assert!(!kept_in_mind(&run, &ctx));
        }
    }
}
