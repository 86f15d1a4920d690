//! Ownership and content of Jobs: R2, R4, R5, F3, F10, F11.

use backstay_api::BackupJob;
use backstay_tests::{World, ready};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

/// Creates a Job that looks like a finished one of run `name`, and that no Job controller touches.
async fn seed_complete_job(w: &World, name: &str, owners: Value) -> Job {
    let job: Job = w
        .create(json!({"metadata": {"name": format!("{name}-backup"), "ownerReferences": owners, "labels": {
                "backups.cozystack.io/owned-by.BackupJobName": name,
                "backups.cozystack.io/owned-by.BackupJobNamespace": w.namespace,
                "job.strategy.backups.cozystack.io/mode": "backup"}},
            "spec": {"managedBy": "test.backstay.dev/nobody", "template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "localhost/backstay-tools:1"}]}}}}))
        .await;
    let now = "2026-01-01T00:00:00Z";
    let status = json!({"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": now},
        {"type": "Complete", "status": "True", "lastTransitionTime": now}]}});
    let patch = kube::api::Patch::Merge(status);
    match w.api::<Job>().patch_status(&job.name_any(), &Default::default(), &patch).await {
        Ok(job) => job,
        // The garbage collector was faster, since the owner does not exist.
        Err(kube::Error::Api(status)) if status.is_not_found() => job,
        Err(error) => panic!("no status: {error}"),
    }
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "name": name, "uid": uid, "controller": true}])
}

#[tokio::test]
async fn r2_a_complete_job_of_an_earlier_run_of_that_name_is_waited_for_and_not_believed() {
    let Some(w) = World::new("r2a").await else { return };
    seed_complete_job(&w, "nightly", owner("BackupJob", "nightly", "00000000-0000-0000-0000-000000000001"))
        .await;
    w.script("true").await;
    w.backup("nightly").await;
    // The garbage collector deletes the old Job at some time; its end is never this run's.
    let done = w.backup_succeeds("nightly").await;
    let record = done
        .status
        .as_ref()
        .and_then(|s| s.run.as_ref())
        .and_then(|r| r.job.clone())
        .expect("a Job on record");
    let job = w.api::<Job>().get("nightly-backup").await.expect("the Job");
    assert_eq!(job.uid().as_deref(), Some(record.uid.as_str()));
    let owners = job.metadata.owner_references.expect("owners");
    assert_eq!(Some(&owners[0].uid), done.metadata.uid.as_ref());
}

#[tokio::test]
async fn r2_a_complete_job_without_owner_is_a_conflict_and_stays_untouched() {
    let Some(w) = World::new("r2b").await else { return };
    let seeded = seed_complete_job(&w, "nightly", json!([])).await;
    w.script("true").await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "JobNameConflict");
    assert!(message.contains("nightly-backup"), "{message}");
    let after = w.api::<Job>().get("nightly-backup").await.expect("the Job");
    assert_eq!(after.resource_version(), seeded.resource_version());
    assert!(w.api::<backstay_api::Backup>().get_opt("nightly").await.expect("an answer").is_none());
}

#[tokio::test]
async fn r2_a_complete_job_of_another_owner_is_a_conflict() {
    let Some(w) = World::new("r2c").await else { return };
    w.script("true").await;
    w.class(json!({"apiGroup": "foreign.example.org", "kind": "Job", "name": "x"}), json!({})).await;
    let other = w.backup("other").await;
    seed_complete_job(&w, "nightly", owner("BackupJob", "other", &other.uid().expect("a uid"))).await;
    w.script("true").await;
    w.backup("nightly").await;
    assert_eq!(w.backup_fails("nightly").await.0, "JobNameConflict");
}

#[tokio::test]
async fn r4_a_pod_that_the_api_server_refuses_is_invalid_job_at_once() {
    let Some(w) = World::new("r4a").await else { return };
    w.strategy(json!({"template": {"spec": {"containers": [{"name": "Not A Name", "image": "i"}]}}})).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "InvalidJob");
    assert!(message.contains("containers[0].name"), "{message}");
}

#[tokio::test]
async fn r4_a_misspelt_field_of_the_pod_is_invalid_job_and_named() {
    let Some(w) = World::new("r4b").await else { return };
    let spec = json!({"template": {"spec": {"containers": [{"name": "c", "image": "i", "comand": ["x"]}]}}});
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "InvalidJob");
    assert!(message.contains("comand"), "{message}");
}

#[tokio::test]
async fn r4_a_quota_holds_the_run_up_in_sight_and_not_for_good() {
    let Some(w) = World::new("r4c").await else { return };
    w.create::<ResourceQuota>(
        json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}),
    )
    .await;
    w.until("none", "in force", |q: &ResourceQuota| q.status.as_ref().is_some_and(|s| s.hard.is_some()))
        .await;
    w.script("true").await;
    w.backup("nightly").await;
    let message = w.backup_waits("nightly", "WaitingForAPI").await;
    assert!(message.contains("exceeded quota"), "{message}");
    w.delete::<ResourceQuota>("none").await;
    w.backup_succeeds("nightly").await;
}

#[tokio::test]
async fn r5_a_template_error_ends_the_run_before_anything_is_created_and_names_the_field() {
    let Some(w) = World::new("r5a").await else { return };
    w.strategy(json!({"template": {"spec": {"containers": [{"name": "c", "image": "localhost/backstay-tools:1",
        "args": ["ok", "{{ required \"x\" .Parameters.a }}"], "env": [{"name": "E", "value": "{{ .Mode | nosuch }}"}]}]}}}))
        .await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "TemplateError");
    for part in ["args", "env", "required", "nosuch"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn r5_an_unguarded_backup_reference_in_the_branch_not_taken_still_runs_and_is_warned_of() {
    let Some(w) = World::new("r5b").await else { return };
    w.script(
        "if [ {{ .Mode }} = backup ]; then echo ok; else echo \"{{ .Backup.ApplicationRef.Name }}\"; fi",
    )
    .await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let note = w.event("nightly", "TemplateWarning").await;
    assert!(note.contains("command/2"), "{note}");
}

#[tokio::test]
async fn f3_pod_labels_and_annotations_of_the_strategy_reach_the_pod() {
    let Some(w) = World::new("f3").await else { return };
    let mut spec = backstay_tests::script_spec("true");
    spec["template"]["metadata"] =
        json!({"labels": {"team": "{{ .Release.Name }}"}, "annotations": {"note": "keep me"}});
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    w.backup_succeeds("nightly").await;
    let pod = w.pods("nightly-backup").await.remove(0);
    assert_eq!(pod.labels()["team"], "cache");
    assert_eq!(pod.annotations()["note"], "keep me");
    assert_eq!(pod.labels()["job.strategy.backups.cozystack.io/mode"], "backup");
    assert_eq!(pod.labels()["backups.cozystack.io/owned-by.BackupJobName"], "nightly");
}

#[tokio::test]
async fn f3_a_reserved_label_in_the_template_is_refused_at_render() {
    let Some(w) = World::new("f3b").await else { return };
    let mut spec = backstay_tests::script_spec("true");
    spec["template"]["metadata"] = json!({"labels": {"backstay.dev/run-uid": "forged"}});
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (_, message) = w.backup_fails("nightly").await;
    assert!(message.contains("backstay.dev/run-uid"), "{message}");
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn f10_a_job_deleted_by_hand_is_lost_and_not_run_again() {
    let Some(w) = World::new("f10a").await else { return };
    w.script("sleep 300").await;
    w.backup("nightly").await;
    w.until("nightly", "running its Job", has_job).await;
    w.delete::<Job>("nightly-backup").await;
    assert_eq!(w.backup_fails("nightly").await.0, "JobLost");
    w.until_gone::<Job>("nightly-backup").await;
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_goes_when_it_has_ended_is_not_lost_and_nothing_runs_again() {
    let Some(w) = World::new("ttl0").await else { return };
    w.script(r#"sleep 2; printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log"#).await;
    w.backup("nightly").await;
    w.until("nightly", "running its Job", has_job).await;
    // As a policy of the cluster does it.
    let at_once = kube::api::Patch::Merge(json!({"spec": {"ttlSecondsAfterFinished": 0}}));
    w.api::<Job>().patch("nightly-backup", &Default::default(), &at_once).await.expect("it is accepted");
    w.backup_succeeds("nightly").await;
    let artifact = w.get_backup("nightly").await.status.and_then(|s| s.artifact).expect("an artifact");
    assert_eq!(artifact.uri, "s3://b/k");
    w.until_gone::<Job>("nightly-backup").await;
    w.script("true").await;
    w.backup("later").await;
    w.backup_succeeds("later").await;
    assert_eq!(w.jobs().await, ["later-backup"]);
}

#[tokio::test]
async fn the_next_pod_of_a_run_begins_when_the_last_one_has_ended() {
    let Some(w) = World::new("onepod").await else { return };
    let mut spec = backstay_tests::script_spec(
        "trap 'sleep 4; exit 1' TERM; n=0; while [ $n -lt 20 ]; do n=$((n+1)); sleep 0.2; done",
    );
    spec["backoffLimit"] = json!(1);
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let runs = |pod: &Pod| pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Running"));
    let first = w.a_pod("nightly-backup", "running", runs).await;
    w.delete::<Pod>(&first.name_any()).await;
    let second = w.a_pod("nightly-backup", "a second one", |pod| pod.uid() != first.uid()).await;
    let still = w.api::<Pod>().get_opt(&first.name_any()).await.expect("an answer");
    assert!(still.is_none_or(|pod| !runs(&pod)), "{} was created while the first ran", second.name_any());
    w.backup_succeeds("nightly").await;
}

#[tokio::test]
async fn f10_nothing_is_created_for_a_run_that_is_being_deleted() {
    let Some(w) = World::new("f10b").await else { return };
    w.script("sleep 300").await;
    let held: BackupJob = w
        .create(json!({"metadata": {"name": "nightly", "finalizers": ["test.backstay.dev/hold"]}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "cache"}, "backupClassName": w.namespace}}))
        .await;
    w.until("nightly", "running its Job", has_job).await;
    w.api::<BackupJob>().delete("nightly", &DeleteParams::foreground()).await.expect("deletion is accepted");
    w.until_gone::<Job>("nightly-backup").await;
    // A later run of the application gets the lock, which the deleted run has released.
    w.script("true").await;
    w.backup("next").await;
    w.backup_succeeds("next").await;
    assert_eq!(w.jobs().await, ["next-backup"]);
    let still = w.api::<BackupJob>().get("nightly").await.expect("it is held by its finalizer");
    assert_eq!(still.uid(), held.uid());
    let release = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    w.api::<BackupJob>().patch("nightly", &Default::default(), &release).await.expect("it can be let go");
}

fn has_job(job: &BackupJob) -> bool {
    job.status.as_ref().and_then(|s| s.run.as_ref()).is_some_and(|r| r.job.is_some())
}

#[tokio::test]
async fn f11_a_run_with_a_name_of_253_characters_works() {
    let Some(w) = World::new("f11").await else { return };
    w.script("true").await;
    let name = ["n".repeat(63), "o".repeat(63), "p".repeat(63), "q".repeat(61)].join(".");
    assert_eq!(name.len(), 253);
    w.backup(&name).await;
    w.backup_succeeds(&name).await;
    let jobs = w.jobs().await;
    assert!(jobs[0].len() <= 63 && jobs[0].ends_with("-backup"), "{jobs:?}");
    w.restore("back", &name).await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
}

#[tokio::test]
async fn kstatus_kubectl_wait_for_ready_means_what_its_users_expect() {
    let Some(w) = World::new("kstatus").await else { return };
    w.script("sleep 1").await;
    w.backup("nightly").await;
    let running: BackupJob = w.until("nightly", "running", |j: &BackupJob| has_job(j)).await;
    let status = running.status.expect("a status");
    assert_eq!(ready(&status.conditions).0, "False");
    assert!(status.conditions.iter().any(|c| c.type_ == "Reconciling" && c.status == "True"));
    let done = w.backup_succeeds("nightly").await.status.expect("a status");
    assert_eq!(ready(&done.conditions), ("True".into(), "BackupCompleted".into()));
    assert!(done.conditions.iter().all(|c| c.type_ != "Reconciling" && c.type_ != "Stalled"));
    assert!(done.observed_generation.is_some());
}

#[tokio::test]
async fn a_pod_that_would_leave_its_container_is_refused_by_the_pod_policy() {
    let Some(w) = World::new("policy").await else { return };
    let mut spec = backstay_tests::script_spec("true");
    spec["template"]["spec"]["hostNetwork"] = json!(true);
    spec["template"]["spec"]["volumes"] = json!([{"name": "root", "hostPath": {"path": "/"}}]);
    spec["template"]["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    w.strategy(spec).await;
    w.class(w.strategy_ref(), json!({})).await;
    w.backup("nightly").await;
    let (reason, message) = w.backup_fails("nightly").await;
    assert_eq!(reason, "PodPolicyViolation");
    for part in ["hostNetwork", "hostPath", "privileged"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(w.jobs().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_finished_job_gets_its_time_to_live_once_its_result_is_recorded() {
    let Some(w) = World::new("ttl").await else { return };
    w.script("if [ {{ .Release.Name }} = cache ]; then exit 0; fi").await;
    w.backup("good").await;
    w.backup_succeeds("good").await;
    w.script("exit 1").await;
    w.backup("bad").await;
    w.backup_fails("bad").await;
    let seconds = i32::try_from(backstay_tests::JOB_TTL.as_secs()).expect("it fits");
    for name in ["good-backup", "bad-backup"] {
        w.until(name, "given its time to live", |j: &Job| {
            j.spec.as_ref().is_some_and(|s| s.ttl_seconds_after_finished == Some(seconds))
        })
        .await;
    }
}
