//! The lock of a run on its application.

use backstay_api::conditions::reasons;
use backstay_api::{Backup, BackupJob, RestoreJob, TypedRef};
use backstay_core::application_locks::Claim;
use backstay_core::contract::{GroupKind, Mode, ObjectRef};
use kube::api::PartialObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};

use crate::cluster::api::Api;
use crate::cluster::error::chain;
use crate::cluster::partial::PartialDecode;
use crate::context::Context;
use crate::run::not_done::NotDone;
use crate::state::run::Run;

/// Acquires the lock on the application, which the API server serves as `served`, for a run that is about to begin.
///
/// # Errors
/// The run waits for another one, which exists.
pub(super) async fn acquire(
    run: &Run,
    application: &TypedRef,
    served: &ObjectRef,
    strategy: &GroupKind,
    ctx: &Context,
) -> Result<(), NotDone> {
    let target = run.target_of(application);
    let held = until_held(run, || ctx.try_lock(run, &target, strategy), ctx).await;
    held.map_err(|before| busy(run, &before, served, ctx))
}

/// Tries to get the lock until the run holds it, or waits for a run that exists.
///
/// # Errors
/// The claim of the run to wait for.
async fn until_held(
    run: &Run,
    hold: impl Fn() -> Result<(), Box<Claim>>,
    ctx: &Context,
) -> Result<(), Box<Claim>> {
    while let Err(before) = hold() {
        if exists(&before, ctx).await {
            return Err(before);
        }
        tracing::warn!(run = %run.title(), holder = %before.title(), uid = %before.run_uid,
            "the run that holds the lock on the application no longer exists, its lock is released once nothing of it runs");
        ctx.metrics.mended("lock");
        ctx.forget(&before.run_uid);
    }
    Ok(())
}

/// Has a run that has begun hold its lock before it goes on. It may lack it where an earlier process began it by a write that
/// arrived after this process had given the turn to another run. A run whose Job was recorded goes on in any case: its pod
/// may run already.
///
/// # Errors
/// The run waits for another one, which exists.
pub(crate) async fn resume(run: &Run, ctx: &Context) -> Result<(), NotDone> {
    if run.status.run.as_ref().is_some_and(|record| record.job.is_some()) {
        ctx.restore_lock(run);
        return Ok(());
    }
    until_held(run, || ctx.resume_lock(run), ctx).await.map_err(|holder| {
        tracing::warn!(run = %run.title(), holder = %holder.title(),
            "a run that has begun waits: another one has its turn on the application");
        let message = format!("waiting for {}, which has its turn on the application", holder.title());
        NotDone::InProgress { message, recheck: ctx.settings.recheck }
    })
}

fn busy(run: &Run, before: &Claim, application: &ObjectRef, ctx: &Context) -> NotDone {
    let on = format!("{} {:?}", application.kind, application.name);
    // Not which run: the message would change, and be written, for every waiting run with every run that ends. Only the first
    // one says what is left of a run that has ended.
    let message = match ctx.left_of_ended(&before.run_uid, &run.uid) {
        None => format!("waiting for earlier runs to finish with {on}"),
        Some(what) => {
            format!("waiting until nothing of {}, which has ended, runs on {on}: {what}", before.title())
        }
    };
    NotDone::Blocked { reason: reasons::TARGET_BUSY, message, bounded: false, give_up: None }
}

/// Returns whether the run of a claim exists, by the watches, or else by the API server. A run is not taken for gone because
/// the API server does not answer.
async fn exists(claim: &Claim, ctx: &Context) -> bool {
    // The lock of a run whose object is gone is kept as long as its pods may run.
    if ctx.stores.has_run(&claim.run_uid) || ctx.state.draining.contains(&claim.run_uid) {
        return true;
    }
    let client = ctx.cluster.client.clone();
    let uid = match claim.mode {
        Mode::Backup => uid::<BackupJob>(claim, client).await,
        Mode::Restore => uid::<RestoreJob>(claim, client).await,
        Mode::Cleanup => uid::<Backup>(claim, client).await,
    };
    match uid {
        Ok(uid) => uid.as_deref() == Some(&claim.run_uid),
        Err(error) => {
            tracing::warn!(holder = %claim.title(), error = %chain(&error), "the holder of a lock could not be read");
            true
        }
    }
}

/// Returns the uid of the object that has the name of a claim's run; `None` if there is none.
async fn uid<K>(claim: &Claim, client: Client) -> Result<Option<String>, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + PartialDecode,
{
    let api = Api::<PartialObjectMeta<K>>::namespaced(client, &claim.namespace);
    Ok(api.get_opt(&claim.name).await?.and_then(|found| found.uid()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::informers::index::By;
    use crate::state::run::tests::{BACKUP_JOB, begun, changed, stored_run};

    /// The run that holds the lock; a younger one, which waits for it; and the claim of the younger one.
    struct Given {
        server: StandIn,
        ctx: std::sync::Arc<Context>,
        younger: Run,
    }

    impl Given {
        fn new() -> Self {
            let server = StandIn::default();
            let ctx = crate::context::tests::empty(server.client());
            let holder = stored_run(Mode::Backup, begun(100), &server);
            ctx.restore_lock(&holder);
            let mut younger = holder;
            (younger.uid, younger.created) = ("run-2".to_owned(), 7);
            Self { server, ctx, younger }
        }

        async fn acquire(&self) -> Result<(), NotDone> {
            let application: TypedRef = serde_json::from_value(
                json!({"apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders"}),
            )
            .expect("a reference");
            let served = ObjectRef {
                api_version: "apps.cozystack.io/v1".into(),
                kind: "Postgres".into(),
                namespace: Some("tenant-a".into()),
                name: "orders".into(),
            };
            let strategy = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() };
            acquire(&self.younger, &application, &served, &strategy, &self.ctx).await
        }
    }

    #[tokio::test]
    async fn a_run_waits_for_a_holder_that_exists_or_of_which_the_api_server_says_nothing() {
        let given = Given::new();
        assert!(matches!(given.acquire().await, Err(NotDone::Blocked { reason: "TargetBusy", .. })));
        given.server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        assert!(given.acquire().await.is_err());
        assert_eq!(given.ctx.state.locks.uids().len(), 2);
    }

    #[tokio::test]
    async fn a_holder_that_no_longer_exists_is_forgotten_by_whoever_asks() {
        for anew in [false, true] {
            let given = Given::new();
            given.ctx.state.runs.failed("run-1");
            match anew {
                true => {
                    let another = json!({"metadata": {"uid": "another"}});
                    given.server.put(BACKUP_JOB, changed(BACKUP_JOB, &another, &given.server));
                }
                false => given.server.remove(BACKUP_JOB),
            }
            assert!(given.acquire().await.is_err(), "its pods may still run");
            assert_eq!(given.ctx.state.runs.uids(), [""; 0], "all that was kept of it is forgotten");
            assert!(
                given.ctx.state.draining.contains("run-1"),
                "its lock is kept until its pods are known to be gone"
            );
        }
    }

    #[tokio::test]
    async fn a_holder_that_a_watch_shows_is_not_read() {
        let given = Given::new();
        let shown =
            serde_json::from_value(given.server.get(BACKUP_JOB).expect("it is stored")).expect("it decodes");
        given.ctx.stores.indexes.backup_jobs.put(None, &std::sync::Arc::new(shown));
        assert_eq!(given.ctx.stores.indexes.backup_jobs.of(By::Uid("run-1")).len(), 1);
        assert!(given.acquire().await.is_err());
        assert_eq!(given.server.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn f20_a_run_that_an_earlier_process_began_late_waits_for_the_one_whose_turn_it_is() {
        let server = StandIn::default();
        let ctx = crate::context::tests::empty(server.client());
        let run = stored_run(Mode::Backup, begun(100), &server);
        let mut late = run.clone();
        (late.uid, late.object.name) = ("run-2".to_owned(), "late".to_owned());
        ctx.restore_lock(&run);
        let waits = |result: Result<(), NotDone>| match result {
            Err(NotDone::InProgress { message, .. }) => message,
            other => panic!("{other:?}"),
        };
        let says = waits(resume(&late, &ctx).await);
        assert!(says.contains(&run.title()) && says.contains("has its turn"), "{says}");
        assert!(resume(&run, &ctx).await.is_ok());
        let record = late.status.run.as_mut().expect("it has begun");
        record.job =
            Some(backstay_api::JobRecord { name: "j".into(), uid: "j".into(), ..Default::default() });
        assert!(resume(&late, &ctx).await.is_ok(), "its pod may run already");
        let mut third = run.clone();
        third.uid = "run-3".to_owned();
        waits(resume(&third, &ctx).await);
        server.remove(BACKUP_JOB);
        ctx.release_lock("run-2");
        assert!(resume(&third, &ctx).await.is_err(), "the pods of a run that is gone may still run");
        assert!(ctx.state.draining.contains("run-1"));
    }
}
