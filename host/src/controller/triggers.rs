//! Triggers: which objects are reconciled when an object changes.
//!
//! [`TRIGGERS`] is the table of them; `docs/wakes.md` shows it. Each function returns the requests of its rows, and changes
//! nothing. Writes of a run's status come back as events too. They trigger nothing, because they do not change the
//! generation.

use backstay_api::{
    Backup, BackupClass, BackupJob, Plan, RestoreJob, annotations, finalizers, labels, phase,
};
use backstay_core::backup::came_back;
use backstay_core::job;
use backstay_core::owner::controller;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};

use crate::cluster::dynamic::group_kind;
use crate::informers::index::By;
use crate::informers::stores::Stores;
use crate::informers::watcher::Change;
use crate::state::queues::{Kind, Request};

/// A row of the table of triggers.
#[derive(Debug)]
pub struct Trigger {
    /// What happens.
    pub when: &'static str,
    /// Kinds of the objects that are reconciled then; `Strategy` stands for every strategy kind.
    pub reconciled: &'static [&'static str],
    /// Which objects of these kinds, and why.
    pub why: &'static str,
}

/// The kinds of objects that are runs.
const RUNS: &[&str] = &["BackupJob", "RestoreJob", "Backup"];

const CLASS: Trigger = Trigger {
    when: "a BackupClass is created, changed or deleted",
    reconciled: &["BackupJob"],
    why: "BackupJobs that name the class and have not begun may wait for it",
};
const BACKUP_JOB: Trigger = Trigger {
    when: "a BackupJob is created, its spec is changed, somebody lets a restored one run, or its deletion begins",
    reconciled: &["BackupJob"],
    why: "the BackupJob begins, or ends early",
};
const RESTORE_JOB: Trigger = Trigger {
    when: "a RestoreJob is created, its spec is changed, somebody lets a restored one run, or its deletion begins",
    reconciled: &["RestoreJob"],
    why: "the RestoreJob begins, or ends early",
};
const RESTORE_ENDED: Trigger = Trigger {
    when: "a RestoreJob ends or is deleted",
    reconciled: &["Backup"],
    why: "its Backup is no longer held for it: the clean-up begins if the Backup is being deleted",
};
const PLAN: Trigger = Trigger {
    when: "a Plan is created, its spec is changed, or its deletion begins",
    reconciled: &["Plan"],
    why: "the next slot of the Plan may be another one",
};
const STRATEGY: Trigger = Trigger {
    when: "a strategy is created, its spec is changed, or its deletion begins",
    reconciled: &["Strategy", "BackupJob", "RestoreJob"],
    why: "its component validates the strategy, and blocked runs may wait for it",
};
const BACKUP: Trigger = Trigger {
    when: "a Backup that no run of this controller made appears without the finalizer, or from a backup of the cluster, or one with the finalizer is being deleted",
    reconciled: &["Backup"],
    why: "the Backup gets the finalizer if a component cleans up after it, or its status again, or the clean-up begins",
};
const BACKUP_AWAITED: Trigger = Trigger {
    when: "a Backup is created, changed or deleted",
    reconciled: &["RestoreJob"],
    why: "blocked RestoreJobs that name the Backup may wait for it",
};
const JOB: Trigger = Trigger {
    when: "a Job of a run ends, is suspended, or is deleted",
    reconciled: RUNS,
    why: "the run that owns the Job reads the result, ahead of runs that have not begun",
};
const POD: Trigger = Trigger {
    when: "a pod of a run is in trouble, such as an image that cannot be pulled, is deleted before its Job has ended, or runs on though a container has ended",
    reconciled: RUNS,
    why: "the run that owns the pod's Job shows the trouble and reads the log while it is there, ahead of runs that have not begun",
};
const AWAITED: Trigger = Trigger {
    when: "an object is changed that a component waits for",
    reconciled: RUNS,
    why: "the run takes its next step, ahead of runs that have not begun",
};
const LOCK: Trigger = Trigger {
    when: "a run releases its lock on an application, or it becomes known after a start on which application a run waits",
    reconciled: RUNS,
    why: "of the runs that wait for the application, those begin that no other run excludes now",
};
const TIMER: Trigger = Trigger {
    when: "the time is over after which a reconcile asked to be repeated",
    reconciled: &["BackupJob", "RestoreJob", "Backup", "Plan", "Strategy"],
    why: "a deadline passes, a failed call is repeated, or a running run is checked without any event (`--recheck`)",
};
const CLOCK: Trigger = Trigger {
    when: "the clock of the controller is set, since it was wrong or the machine was suspended",
    reconciled: &["BackupJob", "RestoreJob", "Backup", "Plan"],
    why: "the times after which reconciles asked to be repeated were computed by the wrong clock",
};
const LOST: Trigger = Trigger {
    when: "a `--recheck` finds an object that goes on and that nothing would lead to again",
    reconciled: &["BackupJob", "RestoreJob", "Backup", "Plan"],
    why: "an event or a requeue was lost; `backstay_memory_mended` counts it",
};
const SLOT: Trigger = Trigger {
    when: "a slot of a Plan is due",
    reconciled: &["Plan"],
    why: "the Plan creates the BackupJob of the slot",
};
const START: Trigger = Trigger {
    when: "the controller starts",
    reconciled: &["BackupJob", "RestoreJob", "Backup", "Plan", "Strategy"],
    why: "the first lists show every object as created; reconciles begin once the locks of runs are restored",
};

/// All triggers.
pub const TRIGGERS: &[Trigger] = &[
    CLASS,
    BACKUP_JOB,
    RESTORE_JOB,
    RESTORE_ENDED,
    PLAN,
    STRATEGY,
    BACKUP,
    BACKUP_AWAITED,
    JOB,
    POD,
    AWAITED,
    LOCK,
    TIMER,
    CLOCK,
    LOST,
    SLOT,
    START,
];

pub(super) fn class(change: &Change<'_, BackupClass>, stores: &Stores) -> Vec<Request> {
    let jobs = stores.indexes.backup_jobs.of(By::Class(&change.object().name_any()));
    jobs.iter().map(|job| Request::backup_job(job)).collect()
}

pub(super) fn backup_job(change: &Change<'_, BackupJob>) -> Vec<Request> {
    if let Change::Applied { object, .. } = change {
        let begun = object.status.as_ref().is_some_and(|s| s.run.is_some());
        if may_run_again(&object.metadata, begun) {
            return vec![Request::backup_job(object)];
        }
    }
    if_moved(change, Request::backup_job)
}

/// Returns whether somebody lets a run begin that another tool restored.
fn may_run_again(metadata: &ObjectMeta, begun: bool) -> bool {
    let permission = metadata.annotations.as_ref().and_then(|all| all.get(annotations::RUN_AGAIN));
    !begun && permission.is_some() && permission == metadata.uid.as_ref()
}

pub(super) fn restore_job(change: &Change<'_, RestoreJob>, stores: &Stores) -> Vec<Request> {
    let mut requests = if_moved(change, Request::restore_job);
    let job = change.object();
    let begun = job.status.as_ref().is_some_and(|s| s.run.is_some());
    if matches!(change, Change::Applied { moved: false, .. }) && may_run_again(&job.metadata, begun) {
        requests.push(Request::restore_job(job));
    }
    if matches!(change, Change::Deleted(_)) || restore_ended(job) {
        // The first list shows all restores that have ever ended; what they hold is settled by `held_backups`. Whether the Backup of
        // one that has just ended is held is read: its watch may not have shown that yet.
        let just_ended = !matches!(change, Change::Applied { moved: true, .. });
        let backup = stores.backup(job.namespace().as_deref(), &job.spec.backup_ref.name);
        let held = backup.filter(|b| b.metadata.deletion_timestamp.is_some() || just_ended);
        requests.extend(held.map(|backup| Request::new(Kind::Backup, backup.as_ref())));
    }
    requests
}

fn restore_ended(job: &RestoreJob) -> bool {
    job.status.as_ref().is_some_and(|s| phase::is_terminal(s.phase.as_deref()))
}

pub(super) fn plan(change: &Change<'_, Plan>) -> Vec<Request> {
    if_moved(change, |plan| Request::new(Kind::Plan, plan))
}

pub(super) fn strategy(
    change: &Change<'_, DynamicObject>,
    resource: &ApiResource,
    stores: &Stores,
) -> Vec<Request> {
    let mut requests =
        if_moved(change, |strategy| Request::new(Kind::Strategy(group_kind(resource)), strategy));
    if !requests.is_empty() {
        let waiting = stores.indexes.backup_jobs.of(By::Waiting);
        requests.extend(waiting.iter().map(|job| Request::backup_job(job)));
        requests.extend(waiting_restore_jobs(stores, By::Waiting));
    }
    requests
}

pub(super) fn backup(change: &Change<'_, PartialObjectMeta<Backup>>, stores: &Stores) -> Vec<Request> {
    let backup = change.object();
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    let mut requests = waiting_restore_jobs(stores, By::NamedBackup(&namespace, &name));
    // The Backup of a run has the finalizer from its creation, if it needs one.
    let has_news = match (backup.metadata.deletion_timestamp.is_some(), is_finalized(backup)) {
        (true, finalized) => finalized,
        (false, finalized) => !finalized && !backup.labels().contains_key(labels::RUN_UID),
    };
    let moved = matches!(change, Change::Applied { moved: true, .. });
    if matches!(change, Change::Applied { .. }) && has_news || moved && came_back(&backup.metadata) {
        requests.push(Request::new(Kind::Backup, backup));
    }
    requests
}

/// Returns whether the controller's finalizer, or that of the Go implementation, holds a Backup.
pub(super) fn is_finalized(backup: &PartialObjectMeta<Backup>) -> bool {
    backup.finalizers().iter().any(|finalizer| finalizers::is_ours(finalizer))
}

pub(super) fn job(change: &Change<'_, Job>) -> Option<Request> {
    let job = change.object();
    let has_news = matches!(change, Change::Deleted(_))
        || job::end(job).is_some()
        || job.metadata.deletion_timestamp.is_some()
        || job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
    has_news.then(|| owner(job)).flatten()
}

pub(super) fn pod(change: &Change<'_, Pod>, stores: &Stores) -> Option<Request> {
    let pod = change.object();
    let job = stores.job(&pod.namespace()?, &controller(&pod.metadata)?.name)?;
    job::has_news(pod, &job).then(|| owner(&job)).flatten()
}

/// Requests the reconciliation of the run that owns a Job.
fn owner(job: &Job) -> Option<Request> {
    let owner = controller(&job.metadata)?;
    Request::news(&owner.kind, job.namespace().as_deref(), &owner.name)
}

fn if_moved<K: Resource>(change: &Change<'_, K>, request: impl Fn(&K) -> Request) -> Vec<Request> {
    match change {
        Change::Applied { object, moved: true } => vec![request(object)],
        Change::Applied { moved: false, .. } | Change::Deleted(_) => Vec::new(),
    }
}

/// Requests the reconciliation of the blocked RestoreJobs that are found by `key`.
fn waiting_restore_jobs(stores: &Stores, key: By<'_>) -> Vec<Request> {
    let waits = |job: &RestoreJob| job.status.as_ref().is_some_and(|s| s.waiting_since.is_some());
    let jobs = stores.indexes.restore_jobs.of(key);
    jobs.iter().filter(|job| waits(job)).map(|job| Request::restore_job(job)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use backstay_core::application_locks::Claim;
    use backstay_core::contract::Mode;
    use kube::core::GroupVersionKind;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::components::registry::Registry;
    use crate::informers::shelf::Shelf;
    use crate::informers::stores::Writers;

    fn object<K: DeserializeOwned>(name: &str, metadata: Value, rest: Value) -> K {
        let mut object = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1}});
        object["metadata"]
            .as_object_mut()
            .expect("a map")
            .extend(metadata.as_object().cloned().expect("a map"));
        object.as_object_mut().expect("a map").extend(rest.as_object().cloned().expect("a map"));
        serde_json::from_value(object).expect("it decodes")
    }

    fn deleting() -> Value {
        json!({"deletionTimestamp": "2026-07-01T00:00:00Z"})
    }

    fn owned_by(kind: &str, name: &str) -> Value {
        json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": kind, "name": name, "uid": name, "controller": true}]})
    }

    fn a_backup_job(name: &str, status: Value) -> BackupJob {
        let spec = json!({"backupClassName": "class", "applicationRef": {"kind": "App", "name": "app"}});
        object(name, json!({}), json!({"spec": spec, "status": status}))
    }

    fn a_restore_job(name: &str, backup: &str, status: Value) -> RestoreJob {
        object(name, json!({}), json!({"spec": {"backupRef": {"name": backup}}, "status": status}))
    }

    fn a_backup(name: &str, metadata: Value) -> PartialObjectMeta<Backup> {
        object(name, metadata, json!({}))
    }

    fn a_job(owner: (&str, &str), rest: Value) -> Job {
        object("job", owned_by(owner.0, owner.1), rest)
    }

    fn fill<K>(writer: &mut Writer<K>, objects: impl IntoIterator<Item = K>)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        objects.into_iter().for_each(|object| writer.apply_watcher_event(&Event::Apply(object)));
    }

    /// Stores with runs that wait to begin, run and have ended, the Backup of a restore that is being deleted, and a Job.
    fn stores() -> (Stores, Writers) {
        let (stores, mut writers) = Stores::new(&Registry::default());
        let since = "2026-07-01T00:00:00Z";
        let run = json!({"applicationRef": {"kind": "App", "name": "app"}, "jobs": []});
        fill(
            &mut writers.backup_jobs,
            [
                a_backup_job("waiting", json!({"phase": "Pending", "waitingSince": since})),
                a_backup_job("running", json!({"phase": "Running", "run": run})),
                a_backup_job("ended", json!({"phase": "Succeeded"})),
            ],
        );
        fill(
            &mut writers.restore_jobs,
            [
                a_restore_job(
                    "waiting-restore",
                    "backup",
                    json!({"phase": "Pending", "waitingSince": since}),
                ),
                a_restore_job("other-restore", "other", json!({"phase": "Running"})),
            ],
        );
        for backup in [a_backup("backup", json!({})), a_backup("deleting", deleting())] {
            writers.backups.put(backup);
        }
        fill(&mut writers.jobs, [a_job(("BackupJob", "running"), json!({}))]);
        stores.index();
        (stores, writers)
    }

    fn created<K>(object: &K) -> Change<'_, K> {
        Change::Applied { object, moved: true }
    }

    fn status_changed<K>(object: &K) -> Change<'_, K> {
        Change::Applied { object, moved: false }
    }

    fn names(requests: impl IntoIterator<Item = Request>) -> Vec<String> {
        let mut names: Vec<String> = requests
            .into_iter()
            .map(|request| format!("{} {} {:?}", request.kind, request.key, request.priority))
            .collect();
        names.sort();
        names
    }

    fn kinds(requests: impl IntoIterator<Item = Request>) -> BTreeSet<&'static str> {
        let kind = |request: Request| match request.kind {
            Kind::Backup => "Backup",
            Kind::BackupJob => "BackupJob",
            Kind::Plan => "Plan",
            Kind::RestoreJob => "RestoreJob",
            Kind::Strategy(_) => "Strategy",
        };
        requests.into_iter().map(kind).collect()
    }

    fn strategy_kind() -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk("strategy.backups.cozystack.io", "v1alpha1", "Job"))
    }

    #[test]
    fn each_function_reconciles_the_kinds_of_its_rows() {
        let (stores, _writers) = stores();
        let class: BackupClass = object("class", json!({}), json!({"spec": {"strategies": []}}));
        let plan: Plan = object(
            "plan",
            json!({}),
            json!({"spec": {"applicationRef": {"kind": "App", "name": "app"}, "backupClassName": "class",
                "schedule": {"type": "cron", "cron": "0 0 * * *"}}}),
        );
        let strategy = DynamicObject::new("strategy", &strategy_kind());
        let news = |kind: &str| Request::news(kind, Some("n"), "run");
        let job_of = |kind: &str| super::job(&Change::Deleted(&a_job((kind, "run"), json!({}))));
        let pod: Pod = object(
            "pod",
            owned_by("Job", "job"),
            json!({"status": {"phase": "Pending", "containerStatuses": [{"name": "c", "image": "i", "imageID": "",
                "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}),
        );
        let pod_of = |kind: &str| {
            let (stores, mut writers) = Stores::new(&Registry::default());
            fill(&mut writers.jobs, [a_job((kind, "run"), json!({}))]);
            super::pod(&created(&pod), &stores)
        };
        let freed = |mode| {
            let strategy = group_kind(&strategy_kind());
            let (uid, namespace, name) = ("u".to_owned(), "n".to_owned(), "run".to_owned());
            Request::free(&Claim { run_uid: uid, mode, namespace, name, strategy, created: 1 })
        };

        let rows: [(&Trigger, BTreeSet<&str>); 12] = [
            (&CLASS, kinds(super::class(&created(&class), &stores))),
            (&BACKUP_JOB, kinds(super::backup_job(&created(&a_backup_job("new", json!({})))))),
            (
                &RESTORE_JOB,
                kinds(super::restore_job(&created(&a_restore_job("new", "backup", json!({}))), &stores)),
            ),
            (
                &RESTORE_ENDED,
                kinds(super::restore_job(
                    &status_changed(&a_restore_job("r", "deleting", json!({"phase": "Succeeded"}))),
                    &stores,
                )),
            ),
            (&PLAN, kinds(super::plan(&created(&plan)))),
            (&STRATEGY, kinds(super::strategy(&created(&strategy), &strategy_kind(), &stores))),
            (&BACKUP, kinds(super::backup(&created(&a_backup("unawaited", json!({}))), &stores))),
            (
                &BACKUP_AWAITED,
                kinds(super::backup(&Change::Deleted(&a_backup("backup", json!({}))), &stores)),
            ),
            (&JOB, kinds(RUNS.iter().filter_map(|kind| job_of(kind)))),
            (&POD, kinds(RUNS.iter().filter_map(|kind| pod_of(kind)))),
            (&AWAITED, kinds(RUNS.iter().filter_map(|kind| news(kind)))),
            (&LOCK, kinds([Mode::Backup, Mode::Restore, Mode::Cleanup].map(freed))),
        ];
        for (row, kinds) in rows {
            assert_eq!(kinds, row.reconciled.iter().copied().collect(), "when {}", row.when);
        }
    }

    #[test]
    fn a_restored_run_that_somebody_lets_run_is_reconciled_until_it_begins() {
        let (stores, _writers) = stores();
        let permitted = |uid: &str| json!({"annotations": {annotations::RUN_AGAIN: uid}});
        let spec = json!({"backupClassName": "class", "applicationRef": {"kind": "App", "name": "app"}});
        let backup = |uid: &str, status: Value| {
            let job = object::<BackupJob>("held", permitted(uid), json!({"spec": spec, "status": status}));
            names(super::backup_job(&status_changed(&job)))
        };
        assert_eq!(backup("held", json!({"phase": "Pending"})), ["BackupJob n/held Begin"]);
        assert_eq!(backup("another", json!({"phase": "Pending"})), [""; 0]);
        let run = json!({"applicationRef": {"kind": "App", "name": "app"}});
        assert_eq!(backup("held", json!({"phase": "Running", "run": run})), [""; 0]);
        let of = json!({"spec": {"backupRef": {"name": "b"}}, "status": {"phase": "Pending"}});
        let restore = object::<RestoreJob>("held", permitted("held"), of);
        assert_eq!(
            names(super::restore_job(&status_changed(&restore), &stores)),
            ["RestoreJob n/held Begin"]
        );
        assert_eq!(names(super::restore_job(&created(&restore), &stores)), ["RestoreJob n/held Begin"]);
    }

    #[test]
    fn a_backup_that_comes_back_is_reconciled_once() {
        let (stores, _writers) = stores();
        let restored =
            json!({"finalizers": [finalizers::CLEANUP], "labels": {"velero.io/restore-name": "r"}});
        let backup = a_backup("b", restored);
        assert_eq!(names(super::backup(&created(&backup), &stores)), ["Backup n/b Continue"]);
        assert_eq!(names(super::backup(&status_changed(&backup), &stores)), [""; 0]);
    }

    #[test]
    fn a_class_reconciles_its_backup_jobs_that_have_not_begun() {
        let (stores, _writers) = stores();
        let class = |name: &str| object::<BackupClass>(name, json!({}), json!({"spec": {"strategies": []}}));
        assert_eq!(
            names(super::class(&Change::Deleted(&class("class")), &stores)),
            ["BackupJob n/waiting Begin"]
        );
        assert_eq!(names(super::class(&created(&class("other")), &stores)), [""; 0]);
    }

    #[test]
    fn a_status_of_a_run_alone_reconciles_nothing_and_a_run_that_has_begun_goes_first() {
        let (stores, _writers) = stores();
        let [waiting, running] = ["waiting", "running"]
            .map(|name| stores.backup_jobs.find(|job| job.name_any() == name).expect("it is there"));
        assert_eq!(names(super::backup_job(&status_changed(&*running))), [""; 0]);
        assert_eq!(names(super::backup_job(&created(&*waiting))), ["BackupJob n/waiting Begin"]);
        assert_eq!(names(super::backup_job(&created(&*running))), ["BackupJob n/running Continue"]);
        assert_eq!(names(super::backup_job(&Change::Deleted(&*running))), [""; 0]);
    }

    #[test]
    fn a_restore_that_ends_or_goes_lets_the_clean_up_of_its_deleted_backup_begin() {
        let (stores, _writers) = stores();
        let restore = |backup: &str, phase: &str| a_restore_job("r", backup, json!({"phase": phase}));
        let of = |change: Change<'_, RestoreJob>| names(super::restore_job(&change, &stores));
        assert_eq!(of(status_changed(&restore("deleting", "Failed"))), ["Backup n/deleting Continue"]);
        assert_eq!(of(Change::Deleted(&restore("deleting", "Running"))), ["Backup n/deleting Continue"]);
        assert_eq!(of(status_changed(&restore("deleting", "Running"))), [""; 0]);
        assert_eq!(of(status_changed(&restore("backup", "Failed"))), ["Backup n/backup Continue"]);
        assert_eq!(of(status_changed(&restore("backup", "Running"))), [""; 0]);
    }

    #[test]
    fn a_restore_that_ends_has_its_held_backup_looked_at_and_the_first_list_of_ended_ones_does_not() {
        let (stores, mut writers) = stores();
        writers.backups.put(a_backup("held", json!({"finalizers": [finalizers::CLEANUP]})));
        let ended = a_restore_job("r", "held", json!({"phase": "Succeeded"}));
        let of = |change: Change<'_, RestoreJob>| {
            let requests = super::restore_job(&change, &stores);
            names(requests.into_iter().filter(|request| request.kind == Kind::Backup))
        };
        assert_eq!(of(status_changed(&ended)), ["Backup n/held Continue"]);
        assert_eq!(of(Change::Deleted(&ended)), ["Backup n/held Continue"]);
        assert_eq!(of(created(&ended)), [""; 0]);
    }

    #[test]
    fn a_strategy_reconciles_itself_and_what_waits_to_begin() {
        let (stores, _writers) = stores();
        let strategy = DynamicObject::new("strategy", &strategy_kind());
        assert_eq!(
            names(super::strategy(&created(&strategy), &strategy_kind(), &stores)),
            [
                "BackupJob n/waiting Begin",
                "Job.strategy.backups.cozystack.io strategy Continue",
                "RestoreJob n/waiting-restore Begin"
            ]
        );
        assert!(super::strategy(&status_changed(&strategy), &strategy_kind(), &stores).is_empty());
    }

    #[test]
    fn a_backup_is_reconciled_for_its_finalizer_and_for_its_clean_up() {
        let (stores, _writers) = stores();
        let finalizers = json!({"finalizers": [finalizers::CLEANUP]});
        let mut both = finalizers.clone();
        both.as_object_mut().expect("a map").extend(deleting().as_object().cloned().expect("a map"));
        let of = |metadata: Value| names(super::backup(&status_changed(&a_backup("b", metadata)), &stores));
        assert_eq!(of(json!({})), ["Backup n/b Continue"]);
        assert_eq!(of(json!({"labels": {(labels::RUN_UID): "r"}})), [""; 0], "its run has settled that");
        assert_eq!(of(finalizers), [""; 0]);
        assert_eq!(of(deleting()), [""; 0]);
        assert_eq!(of(both), ["Backup n/b Continue"]);
        assert_eq!(
            names(super::backup(&Change::Deleted(&a_backup("backup", json!({}))), &stores)),
            ["RestoreJob n/waiting-restore Begin"]
        );
    }

    #[test]
    fn a_job_reconciles_its_run_when_it_has_news() {
        let of = |rest: Value| names(super::job(&status_changed(&a_job(("RestoreJob", "r"), rest))));
        let complete = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        assert_eq!(of(complete), ["RestoreJob n/r Result"]);
        assert_eq!(of(json!({"spec": {"suspend": true, "template": {}}})), ["RestoreJob n/r Result"]);
        assert_eq!(of(json!({"status": {"active": 1}})), [""; 0]);
        let foreign = a_job(("CronJob", "r"), json!({}));
        assert!(super::job(&Change::Deleted(&foreign)).is_none());
    }

    #[test]
    fn a_pod_without_trouble_reconciles_nothing() {
        let (stores, _writers) = stores();
        let pod: Pod = object("pod", owned_by("Job", "job"), json!({"status": {"phase": "Running"}}));
        assert!(super::pod(&created(&pod), &stores).is_none());
    }
}
