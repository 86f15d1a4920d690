//! What the undisturbed run of each scenario must leave, in absolute terms: a plan is judged by comparison, and what it is
//! compared with must be right.

use backstay_core::job::end;
use kube::ResourceExt;
use serde_json::json;

use super::ledger::{Found, Snapshot};
use super::plan::Scenario;

/// What is wrong with the end of an undisturbed run.
pub(super) fn wrong(scenario: Scenario, found: &Found, snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: &str| {
        if !right {
            wrong.push(format!("undisturbed: {what}"));
        }
    };
    let count = |kind: &str| snapshot.counts.get(kind).copied().unwrap_or_default();
    let phase = |kind: &str| {
        let object = snapshot.objects.iter().find(|(title, _)| title.starts_with(&format!("{kind} ")));
        object.and_then(|(_, o)| o["status"]["phase"].as_str()).unwrap_or_default()
    };
    match scenario {
        Scenario::Backup => {
            check(phase("BackupJob") == "Succeeded", "the BackupJob has Succeeded");
            check(count("Job") == (1, 0) && count("Backup") == (1, 0), "one Job and one Backup were made");
            check(found.jobs.iter().all(|j| end(j).is_some_and(|e| e.succeeded)), "the Job has completed");
            check(found.jobs.iter().all(ttl), "the Job goes by itself some time");
            let backup = snapshot.objects.get("Backup nightly").cloned().unwrap_or_default();
            check(backup["status"]["artifact"]["uri"] == "s3://store/cache", "the Backup has the artifact");
            let bucket =
                &backup["spec"]["driverMetadata"]["job.strategy.backups.cozystack.io/parameter/bucket"];
            check(bucket == "then", "the Backup has the parameters");
        }
        Scenario::Restore => {
            check(phase("RestoreJob") == "Succeeded", "the RestoreJob has Succeeded");
            check(count("Job") == (1, 0), "one Job was made");
            check(found.jobs.iter().all(ttl), "the Job goes by itself some time");
            let then = |job: &k8s_openapi::api::batch::v1::Job| {
                let template = job.spec.as_ref().and_then(|s| s.template.metadata.as_ref());
                template.and_then(|m| m.annotations.as_ref()).and_then(|a| a.get("example.org/version"))
                    == Some(&"then".to_owned())
            };
            check(found.jobs.iter().all(then), "the Job is of the strategy at the time of the backup");
        }
        Scenario::Deletion => {
            check(found.backups.is_empty(), "the Backup is gone");
            let went = count("Job") == (1, 1) && found.jobs.is_empty();
            check(went, "one Job cleaned up, and went with the Backup");
        }
        Scenario::Steps => {
            check(phase("BackupJob") == "Succeeded", "the BackupJob has Succeeded");
            let free = found.backup_jobs.iter().all(|j| j.finalizers().is_empty());
            check(free, "nothing holds the BackupJob");
            check(count("Job") == (1, 0) && count("Backup") == (1, 0), "one Job and one Backup were made");
            check(found.jobs.iter().all(|j| end(j).is_some_and(|e| e.succeeded)), "the Job has completed");
            check(found.jobs.iter().all(ttl), "the Job goes by itself some time");
            let left = ["ConfigMap copy", "ConfigMap theirs"];
            let left = left.iter().all(|title| snapshot.objects.contains_key(*title));
            check(left && count("ConfigMap").1 == 2, "a ConfigMap that was made, and another, are deleted");
            let theirs = snapshot.objects.get("ConfigMap theirs").cloned().unwrap_or_default();
            check(theirs["data"]["a"] == "2", "the ConfigMap that was to be patched is");
            let backup = snapshot.objects.get("Backup nightly").cloned().unwrap_or_default();
            check(backup["status"]["privateData"].is_string(), "the Backup names its private data");
            check(found.private == [json!({"password": "hush"})], "the private data is kept, once");
        }
        Scenario::Plan => {
            check(count("BackupJob") == (1, 0), "one BackupJob was made");
            let plan = snapshot.objects.get("Plan hourly").cloned().unwrap_or_default();
            let counts = &plan["status"]["counts"];
            check(counts["fired"] == 1, "the latest slot has fired, late");
            check(counts["missed"] == 1, "the slot before it is on record as missed");
            let fired = found.backup_jobs.first().map(ResourceExt::name_any).unwrap_or_default();
            check(fired.starts_with("hourly-"), "the BackupJob has the name of its slot");
        }
    }
    wrong
}

fn ttl(job: &k8s_openapi::api::batch::v1::Job) -> bool {
    job.spec.as_ref().is_some_and(|s| s.ttl_seconds_after_finished.is_some())
}
