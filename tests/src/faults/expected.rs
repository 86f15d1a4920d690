//! Checks the end of each undisturbed run in absolute terms, since plans are only compared with it.

use backstay_core::job::end;
use kube::ResourceExt;
use serde_json::json;

use super::compare::Snapshot;
use super::ledger::Found;
use super::plan::Scenario;

/// Returns the faults in the end of an undisturbed run.
pub(super) fn wrong(scenario: Scenario, found: &Found, snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: &str| {
        if !right {
            wrong.push(format!("undisturbed: {what}"));
        }
    };
    let count = |kind: &str| snapshot.counts.get(kind).copied().unwrap_or_default();
    check(snapshot.left_over.is_empty(), "no checkpoint of an ended run is left");
    let phase = |kind: &str| {
        let object = snapshot.objects.iter().find(|(title, _)| title.starts_with(&format!("{kind} ")));
        object.and_then(|(_, o)| o["status"]["phase"].as_str()).unwrap_or_default()
    };
    match scenario {
        Scenario::Backup => {
            check(phase("BackupJob") == "Succeeded", "the BackupJob has Succeeded");
            check(count("Job") == (1, 0) && count("Backup") == (1, 0), "one Job and one Backup were made");
            check(found.jobs.iter().all(|j| end(j).is_some_and(|e| e.succeeded)), "the Job has completed");
            check(found.jobs.iter().all(ttl), "the Job has a time to live");
            let backup = snapshot.objects.get("Backup nightly").cloned().unwrap_or_default();
            check(backup["status"]["artifact"]["uri"] == "s3://store/cache", "the Backup has the artifact");
            let bucket =
                &backup["spec"]["driverMetadata"]["job.strategy.backups.cozystack.io/parameter/bucket"];
            check(bucket == "then", "the Backup has the parameters");
        }
        Scenario::Failed => {
            check(phase("BackupJob") == "Failed", "the BackupJob has Failed");
            check(count("Job") == (1, 0) && count("Backup") == (0, 0), "one Job was made and no Backup");
            check(found.jobs.iter().all(|j| end(j).is_some_and(|e| !e.succeeded)), "the Job has failed");
            check(found.jobs.iter().all(ttl), "the Job has a time to live");
            let text = found.ends().map(|end| end.message).collect::<String>();
            check(text.contains('3'), "the message has the exit code");
        }
        Scenario::Restore => {
            check(phase("RestoreJob") == "Succeeded", "the RestoreJob has Succeeded");
            check(count("Job") == (1, 0), "one Job was made");
            check(found.jobs.iter().all(ttl), "the Job has a time to live");
            let then = |job: &k8s_openapi::api::batch::v1::Job| {
                let template = job.spec.as_ref().and_then(|s| s.template.metadata.as_ref());
                template.and_then(|m| m.annotations.as_ref()).and_then(|a| a.get("example.org/version"))
                    == Some(&"then".to_owned())
            };
            check(found.jobs.iter().all(then), "the Job has the pinned strategy");
        }
        Scenario::Deletion => {
            check(found.backups.is_empty(), "the Backup is gone");
            let went = count("Job") == (1, 1) && found.jobs.is_empty();
            check(went, "one Job cleaned up, and was deleted with the Backup");
        }
        Scenario::Steps => {
            check(phase("BackupJob") == "Succeeded", "the BackupJob has Succeeded");
            let free = found.backup_jobs.iter().all(|j| j.finalizers().is_empty());
            check(free, "the BackupJob has no finalizer");
            check(count("Job") == (1, 0) && count("Backup") == (1, 0), "one Job and one Backup were made");
            check(found.jobs.iter().all(|j| end(j).is_some_and(|e| e.succeeded)), "the Job has completed");
            check(found.jobs.iter().all(ttl), "the Job has a time to live");
            let left = ["ConfigMap copy", "ConfigMap theirs"];
            let left = left.iter().all(|title| snapshot.objects.contains_key(*title));
            check(
                left && count("ConfigMap").1 == 2,
                "one of the run's ConfigMaps and a foreign one are deleted",
            );
            let theirs = snapshot.objects.get("ConfigMap theirs").cloned().unwrap_or_default();
            check(theirs["data"]["a"] == "2", "the ConfigMap is patched");
            let backup = snapshot.objects.get("Backup nightly").cloned().unwrap_or_default();
            check(backup["status"]["privateData"].is_string(), "the Backup names its private data");
            let [record] = found.records.as_slice() else {
                check(false, "the private data is the only record");
                return wrong;
            };
            check(record.what == "private", "the record is private data");
            check(record.content["data"] == json!({"password": "hush"}), "the private data is unchanged");
        }
        Scenario::Undo => {
            check(found.backup_jobs.is_empty() && found.backups.is_empty(), "no run and no Backup is left");
            check(count("BackupJob") == (1, 1) && count("Backup") == (0, 0), "no Backup was made");
            check(count("ConfigMap").1 == 1, "the run deleted its ConfigMap");
            check(!snapshot.objects.contains_key("ConfigMap half"), "the ConfigMap of the run is deleted");
            check(found.records.is_empty(), "no checkpoint is left");
        }
        Scenario::Turns => {
            check(found.backup_jobs.is_empty() && found.backups.is_empty(), "no run and no Backup is left");
            check(
                count("BackupJob") == (2, 2) && count("Backup") == (0, 0),
                "both runs went, without a Backup",
            );
            check(count("ConfigMap").1 == 2, "each run deleted its ConfigMap");
            check(found.records.is_empty(), "no checkpoint is left");
        }
        Scenario::Inherited => {
            let run =
                |name: &str| snapshot.objects.get(&format!("RestoreJob {name}")).cloned().unwrap_or_default();
            let (first, second) = (run("back"), run("again"));
            check(first["status"]["phase"] == "Failed", "the first restore has failed");
            check(second["status"]["phase"] == "Succeeded", "the second restore has succeeded");
            let text = second["status"]["conditions"].as_array().into_iter().flatten();
            let seen = text
                .filter(|c| c["type"] == "Seen")
                .filter_map(|c| c["message"].as_str())
                .collect::<String>();
            let inherited = seen.contains("inherited") && seen.contains("<uid of RestoreJob back>");
            check(inherited, "the second restore got the handover of the first");
            check(found.records.is_empty(), "no handover and no checkpoint is left");
            check(count("Secret").0 == count("Secret").1, "all records were deleted");
            check(
                snapshot.objects.contains_key("ConfigMap half"),
                "the ConfigMap of the first restore still exists",
            );
        }
        Scenario::Private => {
            check(found.backups.is_empty(), "the Backup is gone");
            check(found.records.is_empty(), "no private data and no checkpoint is left");
            check(!snapshot.objects.contains_key("ConfigMap copy"), "the clean-up deleted the ConfigMap");
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
