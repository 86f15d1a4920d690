//! Work that no event asks for: garbage collection of records and revisions, and projection of credentials.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_api::{Backup, BackupJob, RunRecord, finalizers, labels, phase};
use backstay_core::backup::REVISION_LABEL;
use backstay_core::retry::{self, Class};
use backstay_core::status::set_condition;
use backstay_core::steps::{checkpoint_name, private_name};
use futures::StreamExt;
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject, ListParams, PartialObjectMeta, Patch};
use serde_json::json;

use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, chain, class};
use crate::cluster::write::patch_params;
use crate::context::Context;
use crate::informers::watcher::let_others_go;
use crate::records::checkpoints::RecordsError;
use crate::records::pins::{self, Pins};
use crate::run::draining;
use crate::state::deleted_backups::DeletedBackup;
use crate::state::draining::Turn;
use crate::state::queues::{Kind, Request};

/// How often unused revisions and records are collected.
const COLLECT_EVERY: Duration = Duration::from_secs(3600);
/// How often the credentials are read, and projected into the namespaces that always have them.
const PROJECT_EVERY: Duration = Duration::from_secs(60);
/// Ended runs that are looked at side by side.
const LOOKS: usize = 8;
/// A record younger than this is never collected: its run may not show in a watch yet.
const YOUNG: SignedDuration = SignedDuration::from_mins(10);

/// Calls `work` once in a `period`, at once for the first time, until `until`: then it ends wherever it is.
pub(super) async fn periodically<F: Future<Output = ()>>(
    period: Duration,
    until: impl Future<Output = ()>,
    mut work: impl FnMut() -> F,
) {
    let mut every = tokio::time::interval(period);
    futures::pin_mut!(until);
    loop {
        tokio::select! {
            biased;
            () = &mut until => return,
            _ = every.tick() => {}
        }
        // A pass over everything takes its time, and can end anywhere: the next start makes it anew.
        tokio::select! {
            biased;
            () = &mut until => return,
            () = work() => {}
        }
    }
}

/// Deletes strategy revisions that nothing names any more, and records of runs that have ended, and has ended runs looked at that
/// hold something still, until `until`.
pub(crate) async fn collect(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    periodically(COLLECT_EVERY, until, || async {
        if let Err(error) = look_at_ends(&ctx).await {
            tracing::warn!(error = %chain(&error), "runs that have ended not looked at, will try again");
        }
        for (what, collected) in
            [("strategy revisions", collect_revisions(&ctx).await), ("records", collect_records(&ctx).await)]
        {
            match collected {
                Ok(0) => {}
                Ok(collected) => tracing::info!(what, collected, "unused objects deleted"),
                Err(error) => {
                    tracing::warn!(what, error = %chain(&error), "unused objects not deleted, will try again");
                }
            }
        }
    })
    .await;
}

/// Has BackupJobs looked at that have ended and that the controller's finalizer holds still, because the process died at their end.
/// The watch does not show them.
async fn look_at_ends(ctx: &Context) -> Result<(), ApiError> {
    let api: Api<PartialObjectMeta<BackupJob>> = Api::all(ctx.cluster.client.clone());
    let look = |run: PartialObjectMeta<BackupJob>| {
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        // The label is anybody's to write.
        if run.finalizers().iter().any(|f| f == finalizers::UNDO) && !ctx.stores.has_run(uid) {
            ctx.look_at_end(Request::new(Kind::BackupJob, &run), uid);
        }
    };
    let looked = api.each(&ListParams::default().labels(labels::HELD), look).await;
    looked.map_err(|e| ApiError::new("listing the BackupJobs that are held", e))
}

/// Deletes strategy revisions that nothing has named for a day. Labels of Backups and their statuses both name revisions: tenants
/// can remove labels. A Backup whose revision or private data is gone says so.
async fn collect_revisions(ctx: &Context) -> Result<usize, ApiError> {
    // These first: a Backup that comes meanwhile names a revision that is among them, or a newer one.
    let revisions = ctx.records.revisions.list().await?;
    let there = There::of(&revisions, ctx).await?;
    let (mut used, mut next) = (revisions_in_use(ctx).await, None);
    loop {
        // One page at a time: there may be a hundred thousand Backups.
        let page = pins::page(next, &ctx.cluster.client).await?;
        used.extend(page.backups.iter().filter_map(|pins| pins.revision.clone()));
        if let Err(error) = tell_what_is_missing(&page.backups, &there, ctx).await {
            tracing::warn!(error = %chain(&error), "Backups not told what is missing, will try again");
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let collected = ctx.records.revisions.collect(&revisions, &used, ctx.clock.now()).await?;
    if collected.held_back > 0 {
        tell_held_back(collected.held_back, ctx);
    }
    Ok(collected.deleted)
}

/// Tells in an Event on the controller's namespace, and in the log, how many unused revisions stay until the next pass.
fn tell_held_back(held_back: usize, ctx: &Context) {
    let message = "many strategy revisions seem unused at once, a tenth is deleted in a pass; see whether Backups are missing";
    tracing::warn!(held_back, "{message}");
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        name: Some(ctx.settings.namespace.clone()),
        ..ObjectReference::default()
    };
    let note = format!("{message}; {held_back} are kept for now");
    ctx.cluster.events.warning(about, reasons::COLLECTION_HELD_BACK, &note);
}

/// The names of what Backups need.
struct There {
    revisions: BTreeSet<String>,
    private: BTreeSet<String>,
}

impl There {
    async fn of(
        revisions: &[PartialObjectMeta<ControllerRevision>],
        ctx: &Context,
    ) -> Result<Self, ApiError> {
        let (mut private, mut next) = (BTreeSet::new(), None);
        loop {
            let page = ctx.records.checkpoints.page(&format!("{}=private", labels::RECORD), next).await?;
            private.extend(page.items.iter().map(ResourceExt::name_any));
            next = page.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                let revisions = revisions.iter().map(ResourceExt::name_any).collect();
                return Ok(Self { revisions, private });
            }
        }
    }

    /// Returns what is missing of what a Backup needs. It may have come after these were listed: then it is asked for.
    async fn missing(
        &self,
        backup: &Pins,
        ctx: &Context,
    ) -> Result<Option<(&'static str, String)>, ApiError> {
        let namespace = &ctx.settings.namespace;
        let missing = backup.missing(&self.revisions, &self.private, namespace);
        if missing.is_none() || backup.said == Some(false) {
            return Ok(missing);
        }
        let (mut revisions, mut private) = (BTreeSet::new(), BTreeSet::new());
        if let Some(name) = &backup.revision
            && ctx.records.revisions.exists(name).await?
        {
            revisions.insert(name.clone());
        }
        if let Some(name) = &backup.private
            && ctx.records.checkpoints.exists(name).await?
        {
            private.insert(name.clone());
        }
        Ok(backup.missing(&revisions, &private, namespace))
    }
}

/// Writes condition `Restorable` into Backups that lack what a restore needs, and into those that lack it no more.
async fn tell_what_is_missing(backups: &[Pins], there: &There, ctx: &Context) -> Result<(), ApiError> {
    for (number, backup) in backups.iter().filter(|backup| backup.ready).enumerate() {
        let_others_go(number).await;
        let missing = there.missing(backup, ctx).await?;
        if missing.is_some() != (backup.said == Some(false)) {
            tell(backup, missing.as_ref(), ctx).await?;
        }
    }
    Ok(())
}

async fn tell(
    backup: &Pins,
    missing: Option<&(&'static str, String)>,
    ctx: &Context,
) -> Result<(), ApiError> {
    let api: Api<DynamicObject> = Api::namespaced_with(
        ctx.cluster.client.clone(),
        &backup.namespace,
        &ApiResource::erase::<Backup>(&()),
    );
    let doing = || format!("writing the status of Backup \"{}/{}\"", backup.namespace, backup.name);
    let found = api.get_opt(&backup.name).await.map_err(|e| ApiError::new(doing(), e))?;
    let Some(found) = found else { return Ok(()) };
    let mut conditions = pins::conditions_of(&found.data["status"]);
    let (status, reason, message) = pins::restorable(missing);
    let generation = found.metadata.generation;
    set_condition(&mut conditions, generation, types::RESTORABLE, status, reason, &message, ctx.clock.now());
    let patch = json!({"metadata": {"resourceVersion": found.metadata.resource_version},
        "status": {"conditions": conditions}});
    let written = api.patch_status(&backup.name, &patch_params(), &Patch::Merge(&patch)).await;
    tracing::info!(backup = %backup.name, namespace = %backup.namespace, reason, "what a restore needs has changed");
    match written {
        Err(error) if !matches!(class(&error), Class::Conflict | Class::NotFound) => {
            Err(ApiError::new(doing(), error))
        }
        _ => Ok(()),
    }
}

/// Names of the revisions that a Backup, or a run that has begun and not ended, is pinned to.
async fn revisions_in_use(ctx: &Context) -> BTreeSet<String> {
    let pinned = |phase: Option<&str>, record: Option<&RunRecord>| {
        record.filter(|_| !phase::is_terminal(phase))?.strategy_revision.clone()
    };
    let (stores, mut used) = (&ctx.stores, BTreeSet::new());
    for (number, backup) in stores.backups.all().enumerate() {
        let_others_go(number).await;
        used.extend(backup.labels().get(REVISION_LABEL).cloned());
    }
    for (number, job) in stores.backup_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        used.extend(job.status.as_ref().and_then(|s| pinned(s.phase.as_deref(), s.run.as_deref())));
    }
    for (number, job) in stores.restore_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        used.extend(job.status.as_ref().and_then(|s| pinned(s.phase.as_deref(), s.run.as_deref())));
    }
    used
}

/// Deletes checkpoints of runs that have ended or are gone, and private data of Backups that are gone. A controller that
/// died at the end of a run leaves them behind. The checkpoint of a restore that is gone without an end, because its
/// finalizer was removed by hand, is handed over to the next restore of its target first.
async fn collect_records(ctx: &Context) -> Result<usize, ApiError> {
    let records = &ctx.records.checkpoints;
    let (mut collected, mut next) = (0, None);
    loop {
        let page = records.page(&format!("{} in (checkpoint,private)", labels::RECORD), next).await?;
        collected += collect_page(page.items, ctx).await?;
        next = page.metadata.continue_.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(collected);
        }
    }
}

async fn collect_page(page: Vec<PartialObjectMeta<Secret>>, ctx: &Context) -> Result<usize, ApiError> {
    let records = &ctx.records.checkpoints;
    let mut collected = 0;
    for (number, record) in page.into_iter().enumerate() {
        let_others_go(number).await;
        let created = record.metadata.creation_timestamp.as_ref().map_or(ctx.clock.now(), |t| t.0);
        let run_uid = record.labels().get(labels::RUN_UID).cloned().unwrap_or_default();
        let young = ctx.clock.now().duration_since(created) < YOUNG;
        // A Backup needs the private data of its run, and not the checkpoint.
        let is_private = record.labels().get(labels::RECORD).is_some_and(|record| record == "private");
        let kept = is_private && ctx.stores.has_backup_of(&run_uid, None);
        if young || kept || ctx.stores.is_unfinished(&run_uid) {
            continue;
        }
        // Of a restore that is gone, or that ended before its checkpoint could be kept for the next one.
        let stranded = record.labels().contains_key(labels::LEFT_ON);
        if stranded && !hand_over(&run_uid, ctx).await? {
            continue;
        }
        match records.delete_exactly(&record).await {
            Ok(()) => collected += 1,
            // Another record has its name now, and is looked at the next time.
            Err(error) if error.class() == Class::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(collected)
}

/// Hands the checkpoint of a restore that is gone over to the next one, unless a later restore has handed over its own.
/// Returns whether the checkpoint may be deleted.
async fn hand_over(run_uid: &str, ctx: &Context) -> Result<bool, ApiError> {
    let handed_over = async {
        let stored = ctx.records.checkpoints.get(run_uid).await?;
        let Some((handover, target)) = stored.and_then(|(stored, _)| stored.handover()) else {
            return Ok(());
        };
        let newer = match ctx.records.checkpoints.handover(&handover.left.component.name, &target).await {
            Ok(there) => there.is_some_and(|there| there.left.stage_since >= handover.left.stage_since),
            Err(RecordsError::Api(error)) => return Err(RecordsError::Api(error)),
            // An altered handover is worth nothing to the next restore.
            Err(_) => false,
        };
        if newer { Ok(()) } else { ctx.records.checkpoints.hand_over(&handover, &target).await }
    };
    match handed_over.await {
        Ok(()) => Ok(true),
        Err(RecordsError::Api(error)) => Err(error),
        Err(error) => {
            tracing::error!(run_uid, %error, "checkpoint of a stranded restore not handed over, look at it");
            Ok(false)
        }
    }
}

/// Looks at runs that have ended and may still have pods, stops their Jobs, and releases their locks when nothing of them
/// runs, until `until`.
pub(crate) async fn drain(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    let looks = async {
        loop {
            let due = ctx.state.draining.due().await;
            let look = |(run_uid, namespace): (String, String)| {
                let ctx = &ctx;
                async move { look(&run_uid, &namespace, ctx).await }
            };
            futures::stream::iter(due).for_each_concurrent(LOOKS, look).await;
        }
    };
    futures::pin_mut!(until);
    tokio::select! {
        biased;
        () = looks => {}
        () = until => {}
    }
}

async fn look(run_uid: &str, namespace: &str, ctx: &Context) {
    let (key, client) = (&ctx.records.key, &ctx.cluster.client);
    let seen = draining::look(run_uid, namespace, key, client, ctx.clock.now()).await;
    match ctx.state.draining.looked(run_uid, seen) {
        Turn::Over => {
            tracing::info!(run_uid, namespace, "nothing of an ended run runs any more");
            ctx.release_lock(run_uid);
        }
        Turn::News => ctx.tell_first_behind(run_uid),
        Turn::GoesOn => {}
    }
}

/// Deletes the records of deleted Backups as they are queued, until `until`.
pub(crate) async fn delete_records(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    futures::pin_mut!(until);
    let mut attempt = 0;
    loop {
        let next = async {
            match attempt {
                0 => ctx.state.deleted_backups.queued().await,
                _ => tokio::time::sleep(retry::backoff(attempt)).await,
            }
        };
        tokio::select! {
            biased;
            () = &mut until => return,
            () = next => {}
        }
        match delete_queued(&ctx).await {
            Ok(()) => attempt = 0,
            Err(error) => {
                attempt += 1;
                tracing::warn!(attempt, error = %chain(&error), "records of deleted backups not deleted, will try again");
            }
        }
    }
}

async fn delete_queued(ctx: &Context) -> Result<(), ApiError> {
    loop {
        let batch = ctx.state.deleted_backups.batch();
        if batch.is_empty() {
            return Ok(());
        }
        delete_records_of(&batch, ctx).await?;
        ctx.state.deleted_backups.done(&batch);
    }
}

/// Deletes the checkpoints of the Backups' clean-ups, and their private data if nothing of the run that made it exists.
async fn delete_records_of(backups: &[DeletedBackup], ctx: &Context) -> Result<(), ApiError> {
    let uids: Vec<&str> =
        backups.iter().flat_map(|b| [Some(b.uid.as_str()), b.run_uid.as_deref()]).flatten().collect();
    let selector = format!("{} in ({})", labels::RUN_UID, uids.join(","));
    for record in ctx.records.checkpoints.list(&selector).await? {
        let name = record.name_any();
        let has_it = |b: &&DeletedBackup| b.run_uid.as_deref().is_some_and(|uid| private_name(uid) == name);
        let unused = match backups.iter().find(has_it) {
            Some(backup) => is_private_data_of(&name, backup, ctx).await?,
            None => backups.iter().any(|b| checkpoint_name(&b.uid) == name),
        };
        if unused {
            ctx.records.checkpoints.delete_exactly(&record).await?;
        }
    }
    Ok(())
}

/// Returns whether private data is that of a deleted Backup and of no other. The Backup names its run by a label, and
/// tenants write labels: a label that names another tenant's run does not get that run's data deleted.
async fn is_private_data_of(name: &str, backup: &DeletedBackup, ctx: &Context) -> Result<bool, ApiError> {
    let run_uid = backup.run_uid.as_deref().unwrap_or_default();
    if ctx.stores.is_unfinished(run_uid) || ctx.stores.has_backup_of(run_uid, Some(&backup.uid)) {
        return Ok(false);
    }
    match ctx.records.checkpoints.private_in(name, &backup.namespace).await {
        Ok(found) => Ok(found.is_some()),
        Err(RecordsError::Api(error)) => Err(error),
        Err(error) => {
            tracing::warn!(backup = backup.uid, %error, "private data of a deleted backup left alone");
            Ok(false)
        }
    }
}

/// Keeps the Secret in the namespaces that always have it, and reads its source, until `until`.
pub(crate) async fn project_credentials(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    periodically(PROJECT_EVERY, until, || async {
        let Some(namespaces) = ctx.records.credentials.namespaces() else { return };
        if namespaces.is_empty()
            && let Err(error) = ctx.records.credentials.refresh().await
        {
            tracing::info!(reason = error.reason(), error = %chain(&error), "credentials cannot be projected now");
        }
        if let Err(error) = ctx.records.credentials.save().await {
            tracing::warn!(error = %chain(&error), "keys to withhold not stored, will try again");
        }
        for namespace in namespaces {
            let projected = ctx.records.credentials.project(namespace).await;
            let reason = projected.as_ref().err().map(|error| error.reason());
            ctx.metrics.projected(namespace, reason);
            if let Err(error) = projected {
                tracing::info!(%namespace, reason, error = %chain(&error), "credentials not projected, will try again");
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::GroupKind;
    use backstay_core::revision::Revision;

    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::work_queue::Priority;

    #[tokio::test]
    async fn a_controller_that_stops_does_not_wait_for_a_pass_over_everything() {
        let (begun, stop) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let passes = periodically(COLLECT_EVERY, stop.notified(), || async {
            begun.notify_one();
            std::future::pending::<()>().await;
        });
        let stopped = async {
            begun.notified().await;
            stop.notify_one();
        };
        let both = futures::future::join(passes, stopped);
        tokio::time::timeout(Duration::from_secs(5), both).await.expect("the passes end");
    }

    #[tokio::test]
    async fn t8_the_brake_on_the_collection_of_revisions_is_told_in_an_event_on_the_controllers_namespace() {
        let server = StandIn::default();
        let (ctx, _writers, poster) = context(server.client(), Registry::default(), Settings::default());
        let revisions = &ctx.records.revisions;
        for image in 0..200 {
            let kind = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() };
            let spec = json!({ "image": image.to_string() });
            let revision = Revision { kind, name: "dump".into(), spec, parameters: [].into() };
            revisions.put(&revision).await.expect("it is stored");
        }
        let two_days_ago = ctx.clock.now() - SignedDuration::from_hours(48);
        let all = revisions.list().await.expect("a list");
        revisions.collect(&all, &BTreeSet::new(), two_days_ago).await.expect("a first look");

        assert_eq!(collect_revisions(&ctx).await.expect("a second look"), 20);
        poster.finish().await;
        let sent = server.sent();
        let posted = sent.iter().find(|sent| sent.call == "POST events").expect("an Event is posted");
        let event = &posted.body;
        assert_eq!(event["regarding"]["kind"], "Namespace");
        assert_eq!(event["regarding"]["name"], ctx.settings.namespace);
        assert_eq!(event["reason"], "CollectionHeldBack");
        assert!(event["note"].as_str().is_some_and(|note| note.ends_with("180 are kept for now")), "{event}");
    }

    /// Found by the simulation: the checkpoint could not be deleted at the end of its run.
    #[tokio::test]
    async fn the_checkpoint_of_a_run_that_has_ended_goes_although_its_backup_is_there_and_private_data_stays()
    {
        let server = StandIn::default();
        let ctx = crate::context::tests::empty(server.client());
        let labelled = |uid: &str| json!({labels::RUN_UID: uid});
        let backup = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Backup", "metadata": {
            "name": "b", "namespace": "n", "uid": "backup-1", "labels": labelled("run-1")}});
        let shown = serde_json::from_value(backup).expect("a Backup");
        crate::informers::backups::tests::show(&ctx.stores.backups, shown);
        let record = |record: &str| {
            let mut labels = labelled("run-1");
            labels[labels::RECORD] = json!(record);
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": record,
                "namespace": ctx.settings.namespace, "uid": record, "resourceVersion": "1", "labels": labels,
                "creationTimestamp": "2020-01-01T00:00:00Z"}});
            let path = format!("/api/v1/namespaces/{}/secrets/{record}", ctx.settings.namespace);
            server.put(&path, secret.clone());
            (path, serde_json::from_value(secret).expect("a Secret"))
        };
        let [(private, kept), (checkpoint, goes)] = ["private", "checkpoint"].map(record);
        assert_eq!(collect_page(vec![kept, goes], &ctx).await.expect("they are looked at"), 1);
        assert!(server.get(&private).is_some());
        assert!(server.get(&checkpoint).is_none());
    }

    #[tokio::test]
    async fn runs_that_have_ended_and_are_held_are_found_though_no_watch_shows_them() {
        let server = StandIn::default();
        let (ctx, _writers, _) = context(server.client(), Registry::default(), Settings::default());
        let goes_on = json!({"metadata": {"name": "goes-on", "namespace": "n", "uid": "goes-on"},
            "spec": {"backupClassName": "c", "applicationRef": {"kind": "App", "name": "a"}}});
        let goes_on: BackupJob = serde_json::from_value(goes_on).expect("a run");
        ctx.stores.indexes.backup_jobs.put(None, &Arc::new(goes_on));
        let undo = finalizers::UNDO;
        for (name, finalizer) in [("goes-on", undo), ("held", undo), ("labelled", "example.org/other")] {
            let run = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "labels": {labels::HELD: ""},
                "finalizers": [finalizer]}});
            server.put(&format!("/apis/backups.cozystack.io/v1alpha1/namespaces/n/backupjobs/{name}"), run);
        }
        look_at_ends(&ctx).await.expect("they are listed");
        let queue = ctx.state.queues.of(&Kind::BackupJob).expect("there is a queue");
        let mut queued: Vec<_> = std::iter::from_fn(|| queue.next(|_| Priority::Continue)).collect();
        queued.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = queued.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["held"]);
        for key in &queued {
            assert_eq!(ctx.state.ends.uid(&Kind::BackupJob, key).as_deref(), Some(key.name.as_str()));
        }
    }
}
