//! The turn of a run goes on until none of its pods can run, whoever deleted what (docs/rules.md F20).

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_api::{BackupJob, RestoreJob};
use backstay_tests::{World, ready};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::json;

/// Label with the mode of a pod's run.
const MODE: &str = "job.strategy.backups.cozystack.io/mode";
/// How long the pod of the run that is ended goes on after it was told to end.
const GRACE: u32 = 6;
const TIMEOUT: Duration = Duration::from_secs(90);

/// Makes a world with a Backup `kept`, and a BackupJob `slow` whose pod runs and does not end when it is told to.
async fn with_a_slow_backup(test: &str) -> Option<World> {
    let w = World::new(test).await?;
    // The host's name is that of the pod, which begins with that of the run.
    let slow = "trap '' TERM; while true; do sleep 0.1; done";
    let script = format!("case $(cat /etc/hostname) in slow-*) {slow};; esac");
    w.strategy(json!({"backoffLimit": 0, "template": {"spec": {"terminationGracePeriodSeconds": GRACE, "containers": [{
        "name": "main", "image": "localhost/backstay-tools:1", "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-euc", script]}]}}}))
        .await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("kept").await;
    w.backup_succeeds("kept").await;
    w.backup("slow").await;
    w.until::<Job>("slow-backup", "with a pod that runs", |job| {
        job.status.as_ref().is_some_and(|status| status.ready == Some(1))
    })
    .await;
    w.until::<BackupJob>("slow", "with its Job on record", |run| {
        run.status.as_ref().and_then(|s| s.run.as_ref()?.job.as_ref()).is_some()
    })
    .await;
    Some(w)
}

async fn delete_run(w: &World, params: &DeleteParams) {
    w.api::<BackupJob>().delete("slow", params).await.expect("deletion is accepted");
}

/// Restores, and holds the restore to wait, to say for which pod, and to start no pod beside one of the backup.
async fn a_restore_follows(w: &World) {
    let watched = tokio::spawn(watch_pods(w.api::<Pod>().into_client(), w.namespace.clone()));
    w.restore("back", "kept").await;
    let waits = w.until_within::<RestoreJob>(TIMEOUT, "back", "waiting for the pod", |run| {
        let status = run.status.as_ref();
        let ended = status.is_some_and(|s| s.run.is_some());
        let said = status.into_iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
        ended || said.is_some_and(|c| c.message.contains(&format!("pod \"{}/slow-backup-", w.namespace)))
    });
    let status = waits.await.status.expect("a status");
    assert_eq!(ready(&status.conditions).1, "TargetBusy", "it says for what it waits: {status:?}");
    let (phase, _, message) = w.restore_ends("back").await;
    assert_eq!(phase, "Succeeded", "{message}");
    tokio::time::timeout(TIMEOUT, watched).await.expect("the pods end in time").expect("one at a time");
}

/// Follows the pods of a namespace until a pod of a restore has ended. Panics if that began beside one of the backup `slow`.
async fn watch_pods(client: kube::Client, namespace: String) {
    let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
    let events = watcher(kube::Api::<Pod>::namespaced(client, &namespace), Config::default());
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event.expect("a watch") {
            Event::Apply(pod) | Event::InitApply(pod) => drop(pods.insert(pod.name_any(), pod)),
            Event::Delete(pod) => drop(pods.remove(&pod.name_any())),
            Event::Init | Event::InitDone => {}
        }
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.clone()).unwrap_or_default();
        let restore = pods.values().find(|pod| pod.labels()[MODE] == "restore");
        let slow = pods.values().find(|pod| {
            pod.name_any().starts_with("slow-") && !["Succeeded", "Failed"].contains(&phase(pod).as_str())
        });
        if let (Some(restore), Some(slow)) = (restore, slow) {
            panic!("{} was started beside {}", restore.name_any(), slow.name_any());
        }
        if restore.is_some_and(|pod| phase(pod) == "Succeeded") {
            return;
        }
    }
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_pods_of_a_backup_that_is_deleted_in_the_background() {
    let Some(w) = with_a_slow_backup("drain_background").await else { return };
    delete_run(&w, &DeleteParams::background()).await;
    a_restore_follows(&w).await;
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_pods_of_a_backup_that_is_deleted_in_the_foreground() {
    let Some(w) = with_a_slow_backup("drain_foreground").await else { return };
    delete_run(&w, &DeleteParams::foreground()).await;
    a_restore_follows(&w).await;
}

#[tokio::test]
async fn f20_the_job_of_a_backup_that_was_deleted_and_left_it_an_orphan_is_stopped_and_waited_for() {
    let Some(w) = with_a_slow_backup("drain_orphan").await else { return };
    delete_run(&w, &DeleteParams::orphan()).await;
    a_restore_follows(&w).await;
    assert!(!w.jobs().await.contains(&"slow-backup".to_owned()));
}

#[tokio::test]
async fn f20_the_job_of_a_deleted_backup_that_somebody_elses_finalizer_holds_is_stopped_and_waited_for() {
    let Some(w) = with_a_slow_backup("drain_held").await else { return };
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": ["test.backstay.dev/hold"]}}));
    w.api::<BackupJob>().patch("slow", &PatchParams::default(), &finalizers).await.expect("it is accepted");
    delete_run(&w, &DeleteParams::background()).await;
    a_restore_follows(&w).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    w.api::<BackupJob>().patch("slow", &PatchParams::default(), &free).await.expect("it is accepted");
    w.until_gone::<BackupJob>("slow").await;
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_pods_of_a_backup_whose_job_was_deleted() {
    let Some(w) = with_a_slow_backup("drain_lost").await else { return };
    w.api::<Job>().delete("slow-backup", &DeleteParams::background()).await.expect("deletion is accepted");
    assert_eq!(w.backup_fails("slow").await.0, "JobLost");
    a_restore_follows(&w).await;
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_pods_of_a_backup_that_passed_its_deadline() {
    let Some(w) = with_a_slow_backup("drain_late").await else { return };
    let past = Patch::Merge(json!({"status": {"run": {"deadline": "2026-01-01T00:00:00Z"}}}));
    w.api::<BackupJob>().patch_status("slow", &PatchParams::default(), &past).await.expect("a status");
    // A suspended Job has its run looked at; its pod is told to end, and the Job goes on.
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    w.api::<Job>().patch("slow-backup", &PatchParams::default(), &suspend).await.expect("it is accepted");
    assert_eq!(w.backup_fails("slow").await.0, "RunDeadlineExceeded");
    a_restore_follows(&w).await;
}
