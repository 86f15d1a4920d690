//! The objects that a plan leaves, and the rules that hold for every plan.

use backstay::records::proof_key::NAME as PROOF_KEY;
use backstay_api::{Backup, BackupJob, Plan, RestoreJob};
use backstay_core::job::PROOF_ANNOTATION;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bystanders;
use super::census::Census;
use super::compare::{Snapshot, comparable, replaced};
use super::plan::Scenario;
use super::stage::Stage;

/// The objects of a namespace.
pub(super) struct Found {
    pub backup_jobs: Vec<BackupJob>,
    pub restore_jobs: Vec<RestoreJob>,
    pub backups: Vec<Backup>,
    pub jobs: Vec<Job>,
    /// Their names, which are partly random.
    pods: Vec<String>,
    plans: Vec<Plan>,
    config_maps: Vec<ConfigMap>,
    /// Records of the namespace's runs, in the controller's namespace.
    pub records: Vec<Record>,
    secrets: Vec<Secret>,
    revisions: Vec<ControllerRevision>,
    namespace: String,
    /// Uid of the run that made the initial Backup.
    run_of_then: String,
}

/// A checkpoint, private data, or a handover.
pub(super) struct Record {
    /// `checkpoint`, `private` or `kept`.
    pub what: String,
    /// Uid of the run.
    run_uid: String,
    /// Name of the Secret.
    name: String,
    /// Content of the record.
    pub content: Value,
}

impl Found {
    /// Lists the objects.
    pub(super) async fn list(stage: &Stage) -> Result<Self, kube::Error> {
        let (client, namespace) = (&stage.client, stage.namespace.as_str());
        let (backup_jobs, restore_jobs, backups, jobs, pods, plans, config_maps, secrets, mut revisions) = tokio::try_join!(
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list::<Pod>(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list::<Secret>(client, &stage.revisions),
            list::<ControllerRevision>(client, &stage.revisions),
        )?;
        let namespace = namespace.to_owned();
        // The strategy has the name of the namespace.
        revisions.retain(|r| r.name_any().contains(&format!("-{namespace}-")));
        let (records, secrets): (Vec<_>, Vec<_>) =
            theirs(secrets).into_iter().partition(|s| s.labels().contains_key("backstay.dev/record"));
        Ok(Self {
            backup_jobs: theirs(backup_jobs),
            restore_jobs,
            backups: theirs(backups),
            jobs: theirs(jobs),
            pods: pods.iter().map(ResourceExt::name_any).collect(),
            plans,
            // Every namespace has a ConfigMap with certificates.
            config_maps: theirs(config_maps)
                .into_iter()
                .filter(|c: &ConfigMap| c.name_any() != "kube-root-ca.crt")
                .collect(),
            records: records.iter().filter_map(|s| Record::of(s, &namespace)).collect(),
            // The controller's key is another one in each plan.
            secrets: secrets
                .into_iter()
                .filter(|s| s.namespace().as_ref() == Some(&namespace) && s.name_any() != PROOF_KEY)
                .collect(),
            revisions,
            run_of_then: stage.run_of_then.clone(),
            namespace,
        })
    }

    /// Returns the comparable form.
    pub(super) fn snapshot(&self, census: &Census) -> Snapshot {
        let mut words = vec![(self.namespace.clone(), "<namespace>".to_owned())];
        words.push((self.run_of_then.clone(), "<uid of the run of then>".to_owned()));
        let mut revisions: Vec<_> = self.revisions.iter().collect();
        revisions.sort_by_cached_key(|r| replaced(&json!(r.data).to_string(), &words));
        for (number, revision) in revisions.iter().enumerate() {
            // The name ends in a hash of the content, which names the namespace.
            words.push((revision.name_any(), format!("<revision {number}>")));
        }
        for record in self.records.iter().filter(|r| r.what == "kept") {
            // The name is a hash of the target.
            words.push((record.name.clone(), "<kept>".to_owned()));
        }
        words.extend(self.pods.iter().map(|pod| (pod.clone(), "<pod>".to_owned())));
        let proof = |job: &Job| job.annotations().get(PROOF_ANNOTATION).cloned();
        words.extend(self.jobs.iter().filter_map(proof).map(|proof| (proof, "<proof>".to_owned())));
        for job in &self.backup_jobs {
            // The name of a Plan's BackupJob has the minute of its slot.
            if let Some(minute) = job.name_any().strip_prefix("hourly-") {
                words.push((minute.to_owned(), "<minute>".to_owned()));
            }
        }
        for plan in &self.plans {
            words.push((plan.spec.schedule.cron.clone().unwrap_or_default(), "<cron>".to_owned()));
        }
        // Longer words first, since a revision's name contains the namespace.
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        let mut all = Vec::new();
        collect(&self.backup_jobs, &mut all, &mut words);
        collect(&self.restore_jobs, &mut all, &mut words);
        collect(&self.backups, &mut all, &mut words);
        collect(&self.jobs, &mut all, &mut words);
        collect(&self.plans, &mut all, &mut words);
        collect(&self.config_maps, &mut all, &mut words);
        collect(&self.revisions, &mut all, &mut words);
        collect(&self.secrets, &mut all, &mut words);
        let mut left_over = Vec::new();
        for record in &self.records {
            let title = format!("Record {} {}", record.what, record.name);
            let over = match record.what.as_str() {
                "checkpoint" => self.is_over(&record.run_uid),
                "private" => self.is_over(&record.run_uid) && !self.has_backup_of(&record.run_uid),
                _ => false,
            };
            if over {
                left_over.push(replaced(&title, &words));
            }
            all.push((title, record.content.clone()));
        }
        let objects =
            all.into_iter().map(|(title, object)| (replaced(&title, &words), comparable(object, &words)));
        Snapshot {
            objects: objects.collect(),
            counts: census.counts(&self.namespace),
            left_over,
            ends: self.ends().map(|end| (end.phase, end.reason)).collect(),
        }
    }

    /// Returns whether a run has ended or no longer exists.
    fn is_over(&self, uid: &str) -> bool {
        let backups = self.backups.iter().map(|b| (b.uid(), None));
        let mut runs = self.ends().map(|end| (end.uid, end.phase)).chain(backups);
        runs.all(|(run, phase)| run.as_deref() != Some(uid) || is_terminal(phase.as_deref()))
    }

    fn has_backup_of(&self, run_uid: &str) -> bool {
        self.backups.iter().any(|b| b.labels().get("backstay.dev/run-uid").is_some_and(|uid| uid == run_uid))
    }

    /// Returns phase and condition Ready of the namespace's runs.
    pub(super) fn ends(&self) -> impl Iterator<Item = End> {
        let backups = self.backup_jobs.iter().map(|run| {
            let status = run.status.clone().unwrap_or_default();
            (run.name_any(), run.uid(), status.phase, status.conditions)
        });
        let restores = self.restore_jobs.iter().map(|run| {
            let status = run.status.clone().unwrap_or_default();
            (run.name_any(), run.uid(), status.phase, status.conditions)
        });
        let cleanups =
            self.backups.iter().filter(|b| b.metadata.deletion_timestamp.is_some()).map(|backup| {
                let status = backup.status.clone().unwrap_or_default();
                (backup.name_any(), backup.uid(), None, status.conditions)
            });
        backups.chain(restores).chain(cleanups).map(|(name, uid, phase, conditions)| {
            let ready = conditions.iter().find(|c| c.type_ == "Ready");
            let (reason, message) = ready.map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default();
            End { name, uid, phase, reason, message }
        })
    }

    /// Returns the violations of the rules that hold in every plan.
    pub(super) fn broken_rules(&self, scenario: Scenario) -> Vec<String> {
        let mut broken = Vec::new();
        for run in &self.backup_jobs {
            let Some(status) = run.status.as_ref().filter(|s| s.phase.as_deref() == Some("Succeeded")) else {
                continue;
            };
            let uid = run.uid().unwrap_or_default();
            self.one_completed_job(&run.name_any(), &uid, &mut broken);
            let named = status.backup_ref.as_ref().map(|r| r.name.as_str()).unwrap_or_default();
            match self.backups.iter().find(|b| b.name_any() == named) {
                None => broken
                    .push(format!("{} Succeeded and its Backup {named:?} does not exist", run.name_any())),
                Some(backup) => {
                    if backup.labels().get("backstay.dev/run-uid") != Some(&uid) {
                        broken.push(format!("{} Succeeded with a Backup of another run", run.name_any()));
                    }
                    if backup.status.as_ref().and_then(|s| s.phase.as_deref()) != Some("Ready") {
                        broken.push(format!("{} Succeeded and its Backup is not Ready", run.name_any()));
                    }
                }
            }
        }
        for run in &self.restore_jobs {
            let succeeded = run.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"));
            // The strategy of that run runs no pod.
            if succeeded && scenario != Scenario::Inherited {
                self.one_completed_job(&run.name_any(), &run.uid().unwrap_or_default(), &mut broken);
            }
        }
        broken
    }

    /// Returns the Jobs in progress whose runs have ended.
    pub(super) fn unfinished_jobs(&self) -> Vec<String> {
        let over: Vec<_> = self.ends().filter(|end| is_terminal(end.phase.as_deref())).collect();
        let mut unfinished = Vec::new();
        for job in self.jobs.iter().filter(|job| backstay_core::job::end(job).is_none()) {
            let uid = job.labels().get("backstay.dev/run-uid");
            if let Some(run) = over.iter().find(|end| end.uid.as_ref() == uid) {
                unfinished.push(format!("{} has ended, and its Job {} has not", run.name, job.name_any()));
            }
        }
        unfinished
    }

    fn one_completed_job(&self, run: &str, uid: &str, broken: &mut Vec<String>) {
        let own = |job: &&Job| job.labels().get("backstay.dev/run-uid").is_some_and(|u| u == uid);
        let jobs: Vec<_> = self.jobs.iter().filter(own).collect();
        let completed = |job: &Job| backstay_core::job::end(job).is_some_and(|end| end.succeeded);
        if jobs.len() != 1 || !completed(jobs[0]) {
            let names: Vec<_> = jobs.iter().map(|j| j.name_any()).collect();
            broken.push(format!("{run} Succeeded with the Jobs {names:?} instead of one complete Job"));
        }
    }
}

/// Phase and condition Ready of a run.
pub(super) struct End {
    pub name: String,
    pub uid: Option<String>,
    /// Phase; none for a clean-up.
    pub phase: Option<String>,
    /// Reason of the condition Ready.
    pub reason: String,
    /// Message of the condition Ready.
    pub message: String,
}

pub(super) fn is_terminal(phase: Option<&str>) -> bool {
    matches!(phase, Some("Succeeded" | "Failed"))
}

impl Record {
    fn of(secret: &Secret, namespace: &str) -> Option<Self> {
        let label = |key: &str| secret.labels().get(key).cloned();
        let text = &secret.data.as_ref()?.get("record.json")?.0;
        let content: Value = serde_json::from_slice(text).ok()?;
        let what = label("backstay.dev/record")?;
        let of = match what.as_str() {
            "private" => &content["namespace"],
            "kept" => &content["left"]["run"]["namespace"],
            _ => &content["run"]["namespace"],
        };
        let run_uid = label("backstay.dev/run-uid")?;
        (of == namespace).then(|| Self { what, run_uid, name: secret.name_any(), content })
    }
}

/// Removes the bystanders.
fn theirs<K: Resource>(found: Vec<K>) -> Vec<K> {
    found.into_iter().filter(|object| !bystanders::is_one(object)).collect()
}

async fn list<K>(client: &Client, namespace: &str) -> Result<Vec<K>, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    Ok(Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?.items)
}

fn collect<K>(found: &[K], all: &mut Vec<(String, Value)>, words: &mut Vec<(String, String)>)
where
    K: Resource<DynamicType = ()> + Serialize,
{
    for object in found {
        let title = format!("{} {}", K::kind(&()), object.name_any());
        words.push((object.uid().unwrap_or_default(), format!("<uid of {}>", replaced(&title, words))));
        all.push((title, serde_json::to_value(object).unwrap_or_default()));
    }
}
