//! The Altinity strategy on a real node: the example's script in real pods, against a stand-in of the sidecar. Case numbers
//! are those of `strategies/altinity/tests/cases.yaml`.

mod stage;

use std::time::Duration;

use backstay_api::{Backup, BackupClass, BackupJob, RestoreJob};
use backstay_tests::sidecar::Ends;
use backstay_tests::{RUN_DEADLINE, ready, script_spec};
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use stage::{Stage, no_retry};

/// Returns uid and kind of the controller of an object.
fn controller(meta: &ObjectMeta) -> (String, String) {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|o| o.controller == Some(true)).expect("a controller");
    assert_eq!(owners.len(), 1);
    (owner.kind.clone(), owner.uid.clone())
}

/// Returns the value of a variable of the client.
fn env(job: &Job, name: &str) -> String {
    let pod = job.spec.as_ref().and_then(|s| s.template.spec.as_ref()).expect("a pod");
    let variable = pod.containers[0].env.iter().flatten().find(|e| e.name == name);
    variable.and_then(|e| e.value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn case_1_and_3_other_kinds_and_other_groups_are_refused_and_nothing_begins() {
    let Some(stage) = Stage::new("alt1").await else { return };
    for (name, application) in [
        ("redis", json!({"kind": "Redis", "name": "cache"})),
        ("foreign", json!({"apiGroup": "other.example.com", "kind": "ClickHouse", "name": "events"})),
    ] {
        stage
            .class(json!({"apiGroup": application["apiGroup"].as_str().unwrap_or("apps.cozystack.io"),
            "kind": application["kind"]}))
            .await;
        // The run uses the class as it is when the run begins.
        stage.backup_of(name, application).await;
        let (reason, message) = stage.world.backup_fails(name).await;
        assert_eq!(reason, "ApplicationMismatch", "{message}");
        assert!(message.contains("ClickHouse.apps.cozystack.io"), "{message}");
        let job = stage.world.api::<BackupJob>().get(name).await.expect("it is there");
        assert_eq!(job.status.expect("a status").started_at, None);
    }
    assert_eq!(stage.world.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn case_2_a_reference_without_a_group_or_with_an_empty_one_is_of_the_usual_group() {
    let Some(stage) = Stage::new("alt2").await else { return };
    stage.backup_of("absent", json!({"kind": "ClickHouse", "name": "events"})).await;
    stage.backup_of("empty", json!({"apiGroup": "", "kind": "ClickHouse", "name": "events"})).await;
    stage.world.backup_succeeds("absent").await;
    stage.world.backup_succeeds("empty").await;
    assert_eq!(stage.sidecar.archives().len(), 2);
}

#[tokio::test]
async fn case_4_6_and_7_a_backup_is_one_job_of_its_run_and_one_archive_that_its_backup_records() {
    let Some(stage) = Stage::new("alt4").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let run = stage.backup("nightly").await;
    let done = w.backup_succeeds("nightly").await;
    let uid = run.uid().expect("a uid");

    let status = done.status.expect("a status");
    assert_eq!(ready(&status.conditions), ("True".into(), "BackupCompleted".into()));
    assert_eq!(status.backup_ref.expect("a Backup").name, "nightly");
    assert!(status.completed_at.is_some());

    assert_eq!(w.jobs().await, ["nightly-backup"]);
    let job = w.api::<Job>().get("nightly-backup").await.expect("the Job");
    assert_eq!(controller(&job.metadata), ("BackupJob".into(), uid.clone()));
    let began = status.started_at.expect("a start");
    assert!(began.0 <= job.creation_timestamp().expect("a time").0);
    let pods = w.pods("nightly-backup").await;
    for labels in [job.labels(), pods[0].labels()] {
        assert_eq!(labels["altinity.strategy.backups.cozystack.io/mode"], "backup");
        assert_eq!(labels["backups.cozystack.io/owned-by.BackupJobName"], "nightly");
        assert_eq!(labels["backups.cozystack.io/owned-by.BackupJobNamespace"], w.namespace);
    }

    let backup = w.get_backup("nightly").await;
    let archive = stage.archive("nightly").await;
    assert_eq!(archive, format!("clickhouse-events-nightly-{uid}"));
    assert_eq!(stage.sidecar.started(), [format!("create_remote {archive}")]);
    assert_eq!(stage.sidecar.archives(), [archive]);
    assert_eq!(stage.sidecar.local_copies(), Vec::<String>::new());
    assert_eq!(json!(backup.spec.strategy_ref), stage.strategy_ref());
    let metadata = backup.spec.driver_metadata.expect("metadata");
    assert_eq!(metadata["altinity.strategy.backups.cozystack.io/parameter/tick"], "1");
    assert_eq!(backup.status.and_then(|s| s.phase).as_deref(), Some("Ready"));
    // `takenAt` is the beginning of the run, not its end.
    assert_eq!(backup.spec.taken_at.0, began.0);
}

#[tokio::test]
async fn case_10_13_16_and_22_the_older_of_two_backups_is_restored_after_its_class_is_gone() {
    let Some(stage) = Stage::new("alt22").await else { return };
    let w = &stage.world;
    stage.sidecar.write("monday's rows");
    let monday = stage.saved("monday").await;
    stage.sidecar.write("tuesday's rows");
    stage.saved("tuesday").await;
    stage.sidecar.write("lost");
    let classes: Api<BackupClass> = Api::all(w.client.clone());
    classes.delete(&w.namespace, &DeleteParams::background()).await.expect("deletion is accepted");

    let restore = w.restore("back", "monday").await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Succeeded", "RestoreCompleted"), "{message}");
    assert_eq!(stage.sidecar.data(), "monday's rows");
    assert_eq!(stage.sidecar.started().last(), Some(&format!("restore_remote {monday}")));
    let job = w.api::<Job>().get("back-restore").await.expect("the Job");
    assert_eq!(controller(&job.metadata), ("RestoreJob".into(), restore.uid().expect("a uid")));
    assert_eq!(job.labels()["altinity.strategy.backups.cozystack.io/mode"], "restore");
    assert_eq!(env(&job, "SOURCE"), "events");
}

#[tokio::test]
async fn case_11_and_12_a_target_of_which_only_the_name_is_given_is_of_the_kind_of_the_backup() {
    let Some(stage) = Stage::new("alt11").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let archive = stage.saved("nightly").await;
    stage.sidecar.write("rows of later");
    let copy = stage.beside("copy").await;
    copy.store(&archive, "rows");
    w.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "nightly"},
        "targetApplicationRef": {"kind": "", "name": "copy"}}}))
        .await;
    let (phase, _, message) = w.restore_ends("back").await;
    assert_eq!(phase, "Succeeded", "{message}");
    let job = w.api::<Job>().get("back-restore").await.expect("the Job");
    let pod = serde_json::to_string(&job.spec).expect("JSON");
    assert_eq!(env(&job, "SOURCE"), "events");
    assert!(pod.contains("clickhouse-copy-backup-api-auth"), "{pod}");
    // The pod called the copy's sidecar, not the source's.
    assert_eq!((copy.data().as_str(), copy.started()), ("rows", vec![format!("restore_remote {archive}")]));
    assert_eq!(stage.sidecar.data(), "rows of later");
    assert_eq!(stage.sidecar.started(), [format!("create_remote {archive}")]);
}

#[tokio::test]
async fn case_14_a_target_that_is_not_there_is_to_be_deployed_first() {
    let Some(stage) = Stage::new("alt14").await else { return };
    let w = &stage.world;
    stage.saved("nightly").await;
    w.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": {"backupRef": {"name": "nightly"},
        "targetApplicationRef": {"kind": "ClickHouse", "name": "nowhere"}}}))
        .await;
    let (phase, reason, message) = w.restore_ends("back").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "ApplicationNotFound"));
    assert!(message.contains("deploy it before"), "{message}");
    assert_eq!(w.jobs().await, ["nightly-backup"]);
}

#[tokio::test]
async fn a_backup_of_the_reference_is_restored_from_the_newest_archive_that_is_not_newer_than_it() {
    let Some(stage) = Stage::new("altold").await else { return };
    let w = &stage.world;
    for (archive, data) in [
        ("clickhouse-events-20260101T020000Z", "older"),
        ("clickhouse-events-20260102T020000Z", "right"),
        ("clickhouse-events-20260103T020000Z", "newer"),
        // An archive of an application with a longer name that begins with this one's.
        ("clickhouse-events-b-20260102T020100Z", "another's"),
        ("clickhouse-events-mine", "made by hand"),
    ] {
        stage.sidecar.store(archive, data);
    }
    let metadata = json!({"altinity.strategy.backups.cozystack.io/parameter/port": stage.sidecar.port().to_string(),
        "altinity.strategy.backups.cozystack.io/parameter/tick": "1"});
    w.create::<Backup>(json!({"metadata": {"name": "old"}, "spec": {
        "applicationRef": {"kind": "ClickHouse", "name": "events"}, "takenAt": "2026-01-02T02:03:00Z",
        "strategyRef": stage.strategy_ref(), "driverMetadata": metadata}}))
        .await;
    w.restore("back", "old").await;
    let (phase, _, message) = w.restore_ends("back").await;
    assert_eq!(phase, "Succeeded", "{message}");
    assert_eq!(stage.sidecar.data(), "right");
}

#[tokio::test]
async fn case_17_a_strategy_that_is_missing_is_waited_for_and_then_named() {
    let Some(stage) = Stage::new("alt17").await else { return };
    stage.remove_strategy().await;
    stage.backup("nightly").await;
    stage.world.backup_waits("nightly", "StrategyNotReady").await;
    let (_, message) = stage.world.backup_fails("nightly").await;
    assert!(message.contains(&format!("Strategy {:?}", stage.world.namespace)), "{message}");
    assert_eq!(stage.world.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn case_20_a_run_that_has_ended_is_not_touched_again_and_nothing_is_projected_for_it() {
    let Some(stage) = Stage::new("alt20").await else { return };
    let w = &stage.world;
    stage.saved("first").await;
    w.restore("back", "first").await;
    w.restore_ends("back").await;
    let ended = w.api::<BackupJob>().get("first").await.expect("it is there").status;
    let restored = w.api::<RestoreJob>().get("back").await.expect("it is there").status;
    for job in ["first-backup", "back-restore"] {
        w.delete::<Job>(job).await;
        w.until_gone::<Job>(job).await;
    }
    w.delete::<Secret>("cozy-backups-creds").await;
    let touch = Patch::Merge(json!({"metadata": {"annotations": {"touched": "yes"}}}));
    w.api::<BackupJob>().patch("first", &Default::default(), &touch).await.expect("it is accepted");
    w.api::<RestoreJob>().patch("back", &Default::default(), &touch).await.expect("it is accepted");
    // A later run has ended, so the controller has handled the earlier one. It needs no credentials, and so does not
    // project the Secret again.
    w.strategy(script_spec("true")).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("second").await;
    w.backup_succeeds("second").await;
    w.restore("later", "second").await;
    w.restore_ends("later").await;
    assert!(w.api::<Secret>().get_opt("cozy-backups-creds").await.expect("an answer").is_none());
    assert_eq!(w.api::<BackupJob>().get("first").await.expect("it is there").status, ended);
    assert_eq!(w.api::<RestoreJob>().get("back").await.expect("it is there").status, restored);
    assert_eq!(w.jobs().await, ["later-restore", "second-backup"]);
    assert_eq!(stage.sidecar.started().len(), 2);
}

#[tokio::test]
async fn case_19_deleting_a_backup_keeps_the_archive_whatever_else_its_metadata_says() {
    let Some(stage) = Stage::new("alt19").await else { return };
    let w = &stage.world;
    let archive = stage.saved("nightly").await;
    let mut metadata = json!(w.get_backup("nightly").await.spec.driver_metadata);
    metadata["velero.io/backup-name"] = json!("foreign");
    w.create::<Backup>(
        json!({"metadata": {"name": "other", "finalizers": ["backups.cozystack.io/cleanup"]}, "spec": {
        "applicationRef": {"kind": "ClickHouse", "name": "events"}, "takenAt": "2026-01-02T02:03:00Z",
        "strategyRef": stage.strategy_ref(), "driverMetadata": metadata}}),
    )
    .await;
    for name in ["other", "nightly"] {
        w.delete::<Backup>(name).await;
        w.until_gone::<Backup>(name).await;
    }
    assert_eq!(stage.sidecar.archives(), [archive]);
    assert_eq!(w.jobs().await, ["nightly-backup"]);
}

#[tokio::test]
async fn case_21_credentials_that_are_missing_are_waited_for_and_then_handed_out() {
    let Some(stage) = Stage::new("alt21a").await else { return };
    let w = &stage.world;
    let platform: Api<Secret> = Api::namespaced(w.client.clone(), "backstay-system");
    platform.delete("platform-store", &DeleteParams::default()).await.expect("deletion is accepted");
    stage.backup("nightly").await;
    let message = w.backup_waits("nightly", "CredentialsProjectionPending").await;
    assert!(message.contains("platform-store not found"), "{message}");
    // Other runs wait meanwhile, within their limits.
    stage.restore_credentials().await;
    w.backup_succeeds("nightly").await;
    let handed = w.api::<Secret>().get("cozy-backups-creds").await.expect("it is there");
    assert_eq!(handed.labels()["apps.cozystack.io/managed-by"], "cozystack-backups");
    let data = handed.data.expect("data");
    assert_eq!(data["endpoint"].0, b"store.example.org:9000");
    assert_eq!(data["secretKey"].0, b"the platform's key");
}

#[tokio::test]
async fn case_21_a_foreign_secret_of_their_name_fails_the_run_and_stays_as_it_is() {
    let Some(stage) = Stage::new("alt21b").await else { return };
    let w = &stage.world;
    let foreign: Secret = w
        .create(json!({"metadata": {"name": "cozy-backups-creds"}, "stringData": {"accessKey": "mine"}}))
        .await;
    stage.backup("nightly").await;
    let (_, message) = w.backup_fails("nightly").await;
    assert!(message.contains("refusing to overwrite"), "{message}");
    let after = w.api::<Secret>().get("cozy-backups-creds").await.expect("it is there");
    assert_eq!(after.resource_version(), foreign.resource_version());
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn case_26_a_pod_that_was_killed_midway_is_followed_by_one_that_finds_its_archive() {
    let Some(stage) = Stage::new("alt26").await else { return };
    let w = &stage.world;
    stage.sidecar.next_ends(Ends::Held);
    let run = stage.backup("nightly").await;
    stage.sidecar_until("at the archive", |s| s.is_busy()).await;
    stage.kill_pod("nightly-backup").await;
    w.until::<Job>("nightly-backup", "on its second pod", |job| {
        job.status.as_ref().is_some_and(|s| s.failed == Some(1) && s.ready == Some(1))
    })
    .await;
    stage.sidecar.end_held(Ends::Well);
    w.backup_succeeds("nightly").await;
    let archive = format!("clickhouse-events-nightly-{}", run.uid().expect("a uid"));
    assert_eq!(stage.sidecar.started(), [format!("create_remote {archive}")]);
    assert_eq!(stage.archive("nightly").await, archive);
}

/// Skews of the sidecar's clock: far ahead, as in a zone east of UTC, and far behind.
const SKEWS: [(&str, i64); 3] = [("equal", 0), ("ahead", 2), ("behind", -2)];

#[tokio::test]
async fn a_restore_whose_pod_was_killed_midway_is_not_done_twice_whatever_the_sidecars_clock_says() {
    let Some(stage) = Stage::new("altback").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let archive = stage.saved("nightly").await;
    for (skew, hours) in SKEWS {
        stage.sidecar.set_ahead(SignedDuration::from_hours(hours));
        let before = stage.sidecar.started().len();
        stage.sidecar.next_ends(Ends::Held);
        w.restore(skew, "nightly").await;
        stage.sidecar_until("at the restore", |s| s.is_busy()).await;
        let job = format!("{skew}-restore");
        stage.kill_pod(&job).await;
        // The second pod finds the restore in progress in the first round, and ended in the second.
        if hours > 0 {
            stage.sidecar.end_held(Ends::Well);
        }
        w.until::<Job>(&job, "on its second pod", |job| {
            job.status.as_ref().is_some_and(|s| s.failed == Some(1) && s.active.or(s.succeeded) == Some(1))
        })
        .await;
        stage.sidecar.end_held(Ends::Well);
        let (phase, _, message) = w.restore_ends(skew).await;
        assert_eq!(phase, "Succeeded", "{skew}: {message}");
        assert_eq!(stage.sidecar.started()[before..], [format!("restore_remote {archive}")], "{skew}");
    }
}

#[tokio::test]
async fn what_an_earlier_run_restored_is_not_taken_for_this_ones_whatever_the_sidecars_clock_says() {
    let Some(stage) = Stage::new("altagain").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let archive = stage.saved("nightly").await;
    for (skew, hours) in SKEWS {
        stage.sidecar.set_ahead(SignedDuration::from_hours(hours));
        stage.sidecar.write("lost");
        w.restore(skew, "nightly").await;
        let (phase, _, message) = w.restore_ends(skew).await;
        assert_eq!(
            (phase.as_str(), stage.sidecar.data().as_str()),
            ("Succeeded", "rows"),
            "{skew}: {message}"
        );
    }
    let begun: Vec<_> =
        stage.sidecar.started().into_iter().filter(|s| s.starts_with("restore_remote")).collect();
    assert_eq!(begun, vec![format!("restore_remote {archive}"); SKEWS.len()]);
}

#[tokio::test]
async fn a_restore_that_goes_on_without_its_run_is_joined_by_the_next_one() {
    let Some(stage) = Stage::new("altjoin").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let archive = stage.saved("nightly").await;
    stage.sidecar.next_ends(Ends::Held);
    w.restore("left", "nightly").await;
    stage.sidecar_until("at the restore", |s| s.is_busy()).await;
    w.delete::<RestoreJob>("left").await;
    w.until_gone::<RestoreJob>("left").await;
    w.restore("next", "nightly").await;
    stage.sidecar_until("joined", |s| s.marks("join").len() == 1).await;
    // The run's second pod recognises it as the run's own too.
    stage.kill_pod("next-restore").await;
    stage.sidecar.end_held(Ends::Well);
    let (phase, _, message) = w.restore_ends("next").await;
    assert_eq!(phase, "Succeeded", "{message}");
    assert_eq!(stage.sidecar.started()[1..], [format!("restore_remote {archive}")]);
}

#[tokio::test]
async fn a_restore_that_failed_or_was_forgotten_is_not_begun_again_by_the_runs_next_pod() {
    let Some(stage) = Stage::new("altonce").await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    let archive = stage.saved("nightly").await;
    stage.sidecar.next_ends(Ends::InError("no space left".to_owned()));
    w.restore("failed", "nightly").await;
    let (phase, _, message) = w.restore_ends("failed").await;
    assert_eq!(phase, "Failed");
    assert!(message.contains("no space left"), "{message}");
    stage.sidecar.next_ends(Ends::Held);
    w.restore("forgotten", "nightly").await;
    stage.sidecar_until("at the restore", |s| s.is_busy()).await;
    stage.sidecar.restart(false);
    let (phase, _, message) = w.restore_ends("forgotten").await;
    assert_eq!(phase, "Failed");
    assert!(message.contains("look what is in the tables"), "{message}");
    assert_eq!(stage.sidecar.started()[1..], vec![format!("restore_remote {archive}"); 2]);
}

#[tokio::test]
async fn a_backup_is_tried_again_after_an_error_of_the_tool() {
    let Some(stage) = Stage::new("alttwice").await else { return };
    stage.sidecar.write("rows");
    stage.sidecar.next_ends(Ends::InError("timeout of the store".to_owned()));
    let archive = stage.saved("nightly").await;
    assert_eq!(stage.sidecar.started(), vec![format!("create_remote {archive}"); 2]);
    assert_eq!(stage.sidecar.archives(), [archive]);
    assert_eq!(stage.sidecar.local_copies(), Vec::<String>::new());
}

#[tokio::test]
async fn case_8_the_error_of_the_sidecar_is_the_message_of_the_run() {
    let Some(stage) = Stage::with("alt8", no_retry).await else { return };
    stage.sidecar.next_ends(Ends::InError("can't put \"data.bin\": bucket is full".to_owned()));
    stage.backup("nightly").await;
    let (reason, message) = stage.world.backup_fails("nightly").await;
    assert_eq!(reason, "BackupFailed");
    assert!(message.contains("can't put \"data.bin\": bucket is full"), "{message}");
    assert!(stage.world.api::<Backup>().get_opt("nightly").await.expect("an answer").is_none());
}

#[tokio::test]
async fn an_operation_that_somebody_cancels_ends_the_run() {
    let Some(stage) = Stage::with("altcancel", no_retry).await else { return };
    stage.sidecar.next_ends(Ends::Cancelled);
    stage.backup("nightly").await;
    let (_, message) = stage.world.backup_fails("nightly").await;
    assert!(message.contains("was cancelled at the sidecar"), "{message}");
}

#[tokio::test]
async fn a_sidecar_that_restarts_midway_ends_the_run_soon_and_a_part_of_an_archive_is_told() {
    let Some(stage) = Stage::with("altrestart", no_retry).await else { return };
    for (name, part, expected) in [
        ("nothing", false, "it was restarted; create a new run"),
        ("part", true, "is in the store, but broken: delete it there"),
    ] {
        stage.sidecar.next_ends(Ends::Held);
        stage.backup(name).await;
        stage.sidecar_until("at the archive", |s| s.is_busy()).await;
        stage.sidecar.restart(part);
        let (_, message) = stage.world.backup_fails(name).await;
        assert!(message.contains(expected), "{message}");
        assert!(stage.world.api::<Backup>().get_opt(name).await.expect("an answer").is_none());
    }
}

#[tokio::test]
async fn a_sidecar_that_is_never_ready_ends_the_run_and_is_told_with_a_remedy() {
    let Some(stage) = Stage::with("altnever", no_retry).await else { return };
    stage.sidecar.set_ready(false);
    stage.backup("nightly").await;
    // The client polls 25 times.
    let (_, message) = stage.world.backup_fails_within(Duration::from_secs(120), "nightly").await;
    assert!(message.contains("is not ready after") && message.contains("spec.backup.enabled"), "{message}");
    assert_eq!(stage.sidecar.started(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sidecar_that_is_busy_is_waited_for() {
    let Some(stage) = Stage::with("altbusy", no_retry).await else { return };
    stage.sidecar.keep_busy();
    stage.backup("nightly").await;
    stage.sidecar_until("asked while busy", |s| s.refused() > 0).await;
    stage.sidecar.end_held(Ends::Well);
    stage.world.backup_succeeds("nightly").await;
    assert_eq!(stage.sidecar.archives(), [stage.archive("nightly").await]);
}

#[tokio::test]
async fn an_archive_that_is_gone_is_not_replaced_by_another() {
    let Some(stage) = Stage::with("altgone", no_retry).await else { return };
    let w = &stage.world;
    stage.sidecar.write("rows");
    stage.saved("nightly").await;
    stage.sidecar.forget_archives();
    stage.sidecar.store("clickhouse-events-20990101T000000Z", "another");
    w.restore("back", "nightly").await;
    let (phase, _, message) = w.restore_ends("back").await;
    assert_eq!(phase, "Failed");
    assert!(message.contains("is not among those that the sidecar"), "{message}");
    assert_eq!(stage.sidecar.data(), "rows");
}

#[tokio::test]
async fn case_28_a_gap_in_the_name_of_the_secret_ends_the_run_before_anything_is_created() {
    let gap = |spec: &mut Value| {
        spec["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{"secretRef": {"name": "{{ .Parameters.extra }}"}}]);
    };
    let Some(stage) = Stage::with("alt28", gap).await else { return };
    stage.backup("nightly").await;
    let (reason, message) = stage.world.backup_fails("nightly").await;
    assert_eq!(reason, "TemplateError");
    assert!(message.contains("spec.template.spec.containers[0].envFrom[0].secretRef.name"), "{message}");
    assert_eq!(stage.world.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn case_9_other_conditions_of_a_job_do_not_end_a_run() {
    let Some(stage) = Stage::new("alt9").await else { return };
    let w = &stage.world;
    stage.sidecar.next_ends(Ends::Held);
    stage.backup("nightly").await;
    stage.sidecar_until("at the archive", |s| s.is_busy()).await;
    // A suspended Job has a condition that is True, and False once the Job goes on.
    for (suspended, status) in [(true, "True"), (false, "False")] {
        let suspend = Patch::Merge(json!({"spec": {"suspend": suspended}}));
        w.api::<Job>().patch("nightly-backup", &Default::default(), &suspend).await.expect("it is accepted");
        w.until::<Job>("nightly-backup", "suspended, or not", |job| {
            let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
            conditions.into_iter().any(|c| c.type_ == "Suspended" && c.status == status)
        })
        .await;
        // A later run has ended, so the controller has seen the Job's condition.
        let name = format!("later-{suspended}");
        w.class(w.strategy_ref(), json!({})).await;
        w.strategy(script_spec("true")).await;
        w.backup(&name).await;
        w.backup_succeeds(&name).await;
        let run = w.api::<BackupJob>().get("nightly").await.expect("it is there").status.expect("a status");
        assert_eq!(run.phase.as_deref(), Some("Running"), "{run:?}");
    }
    stage.sidecar.end_held(Ends::Well);
    w.backup_succeeds("nightly").await;
    assert_eq!(stage.sidecar.started().len(), 1);
}

#[tokio::test]
async fn case_25_a_deadline_of_the_strategy_stops_a_client_that_waits() {
    let Some(stage) = Stage::with("alt25", |spec| spec["activeDeadlineSeconds"] = json!(8)).await else {
        return;
    };
    stage.sidecar.next_ends(Ends::Held);
    stage.backup("nightly").await;
    let (_, message) = stage.world.backup_fails("nightly").await;
    assert!(message.contains("DeadlineExceeded"), "{message}");
}

#[tokio::test]
async fn case_25_a_run_out_of_time_takes_its_job_along_and_leaves_a_later_namesake_alone() {
    let Some(stage) = Stage::new("alt25run").await else { return };
    let w = &stage.world;
    stage.sidecar.next_ends(Ends::Held);
    stage.backup("nightly").await;
    stage.sidecar_until("at the archive", |s| s.is_busy()).await;
    // The Job's own deadline is far away, so the controller has to stop it.
    let later = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 3600}}));
    w.api::<Job>().patch("nightly-backup", &Default::default(), &later).await.expect("it is accepted");
    let patience = Duration::try_from(RUN_DEADLINE).expect("positive") + Duration::from_secs(90);
    let (reason, message) = w.backup_fails_within(patience, "nightly").await;
    assert_eq!(reason, "RunDeadlineExceeded", "{message}");
    assert!(message.contains("its Job was stopped"), "{message}");
    w.until_gone::<Job>("nightly-backup").await;
    stage.sidecar.end_held(Ends::Well);

    let namesake: Job = w
        .create(json!({"metadata": {"name": "nightly-backup"}, "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "localhost/backstay-tools:1"}]}}}}))
        .await;
    let touch = Patch::Merge(json!({"metadata": {"annotations": {"touched": "yes"}}}));
    w.api::<BackupJob>().patch("nightly", &Default::default(), &touch).await.expect("it is accepted");
    stage.saved("later").await;
    let after = w.api::<Job>().get("nightly-backup").await.expect("it is there");
    assert_eq!((after.uid(), after.metadata.deletion_timestamp), (namesake.uid(), None));
}

#[tokio::test]
async fn case_29_an_application_with_two_shards_is_refused_before_anything_is_created() {
    let Some(stage) = Stage::new("alt29").await else { return };
    stage.application("wide", json!({"shards": 2})).await;
    stage.backup_of("nightly", json!({"kind": "ClickHouse", "name": "wide"})).await;
    let (reason, message) = stage.world.backup_fails("nightly").await;
    assert_eq!(reason, "ShardsNotCovered", "{message}");
    assert_eq!(stage.world.jobs().await, Vec::<String>::new());
}
