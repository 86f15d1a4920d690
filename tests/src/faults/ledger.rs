//! What a plan leaves in its namespace, in a form that can be compared with what another one leaves, and the rules that
//! hold for every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use backstay_api::{Backup, BackupJob, Plan, RestoreJob};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::stage::Stage;

/// Objects of one namespace, and how many of each kind were ever made and deleted there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    /// By kind and name, without what differs from one run to the next.
    pub objects: BTreeMap<String, Value>,
    /// By kind: made, deleted.
    pub counts: BTreeMap<String, (usize, usize)>,
}

/// Counts what is made and deleted, in all namespaces, as the API server's watches tell it.
#[derive(Clone, Default)]
pub(super) struct Census(Arc<Mutex<BTreeMap<(String, String), Uids>>>);

#[derive(Default)]
struct Uids {
    made: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Census {
    /// Counts, for as long as it is polled.
    pub(super) async fn take(self, client: Client) {
        tokio::join!(
            self.of::<Job>(&client),
            self.of::<Backup>(&client),
            self.of::<BackupJob>(&client),
            self.of::<ControllerRevision>(&client),
            self.of::<ConfigMap>(&client),
        );
    }

    async fn of<K>(&self, client: &Client)
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + std::fmt::Debug + 'static,
    {
        let kind = K::kind(&()).to_string();
        let stream = watcher(Api::<PartialObjectMeta<K>>::all(client.clone()), Config::default());
        let note = |object: &PartialObjectMeta<K>, deleted: bool| {
            let key = (object.namespace().unwrap_or_default(), kind.clone());
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let uids = all.entry(key).or_default();
            let uid = object.uid().unwrap_or_default();
            if deleted {
                uids.deleted.insert(uid.clone());
            }
            uids.made.insert(uid);
        };
        stream
            .default_backoff()
            .map_err(|error| tracing::warn!(%error, "the census lost a watch"))
            .for_each(|event| {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => note(&object, false),
                    Ok(Event::Delete(object)) => note(&object, true),
                    Ok(Event::Init | Event::InitDone) | Err(()) => {}
                }
                futures::future::ready(())
            })
            .await;
    }

    fn counts(&self, namespace: &str) -> BTreeMap<String, (usize, usize)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = all.iter().filter(|((n, _), _)| n == namespace);
        here.map(|((_, kind), uids)| (kind.clone(), (uids.made.len(), uids.deleted.len()))).collect()
    }
}

/// The objects of a namespace as they are.
pub(super) struct Found {
    pub backup_jobs: Vec<BackupJob>,
    pub restore_jobs: Vec<RestoreJob>,
    pub backups: Vec<Backup>,
    pub jobs: Vec<Job>,
    plans: Vec<Plan>,
    config_maps: Vec<ConfigMap>,
    /// What strategies keep of Backups, of the runs of the namespace.
    pub private: Vec<Value>,
    revisions: Vec<ControllerRevision>,
    namespace: String,
}

impl Found {
    /// Lists them.
    pub(super) async fn list(stage: &Stage) -> Result<Self, kube::Error> {
        let (client, namespace) = (&stage.client, stage.namespace.as_str());
        let (backup_jobs, restore_jobs, backups, jobs, plans, mut config_maps, records, mut revisions) = tokio::try_join!(
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list(client, namespace),
            list::<Secret>(client, &stage.revisions),
            list::<ControllerRevision>(client, &stage.revisions),
        )?;
        let namespace = namespace.to_owned();
        // Their strategy has the name of the namespace.
        revisions.retain(|r| r.name_any().contains(&format!("-{namespace}-")));
        // Every namespace has this one.
        config_maps.retain(|c: &ConfigMap| c.name_any() != "kube-root-ca.crt");
        let private = records.iter().filter_map(|s: &Secret| private_data(s, &namespace)).collect();
        Ok(Self {
            backup_jobs,
            restore_jobs,
            backups,
            jobs,
            plans,
            config_maps,
            private,
            revisions,
            namespace,
        })
    }

    /// The form that can be compared.
    pub(super) fn snapshot(&self, census: &Census) -> Snapshot {
        let mut words = vec![(self.namespace.clone(), "<namespace>".to_owned())];
        for revision in &self.revisions {
            // Its name ends in a hash of its content, and the content names the namespace.
            words.push((revision.name_any(), "<revision>".to_owned()));
        }
        for job in &self.backup_jobs {
            // The one that a Plan made is named by the minute of its slot.
            if let Some(minute) = job.name_any().strip_prefix("hourly-") {
                words.push((minute.to_owned(), "<minute>".to_owned()));
            }
        }
        for plan in &self.plans {
            words.push((plan.spec.schedule.cron.clone().unwrap_or_default(), "<cron>".to_owned()));
        }
        // Longer words first: a revision's name holds the namespace.
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        let mut all = Vec::new();
        collect(&self.backup_jobs, &mut all, &mut words);
        collect(&self.restore_jobs, &mut all, &mut words);
        collect(&self.backups, &mut all, &mut words);
        collect(&self.jobs, &mut all, &mut words);
        collect(&self.plans, &mut all, &mut words);
        collect(&self.config_maps, &mut all, &mut words);
        collect(&self.revisions, &mut all, &mut words);
        let objects =
            all.into_iter().map(|(title, object)| (replaced(&title, &words), comparable(object, &words)));
        Snapshot { objects: objects.collect(), counts: census.counts(&self.namespace) }
    }

    /// The rules that hold whatever went wrong; what is broken of them.
    pub(super) fn broken_rules(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for run in &self.backup_jobs {
            let Some(status) = run.status.as_ref().filter(|s| s.phase.as_deref() == Some("Succeeded")) else {
                continue;
            };
            let uid = run.uid().unwrap_or_default();
            self.one_completed_job(&run.name_any(), &uid, &mut broken);
            let named = status.backup_ref.as_ref().map(|r| r.name.as_str()).unwrap_or_default();
            match self.backups.iter().find(|b| b.name_any() == named) {
                None => {
                    broken.push(format!("{} Succeeded and its Backup {named:?} is not there", run.name_any()))
                }
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
            if run.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded")) {
                self.one_completed_job(&run.name_any(), &run.uid().unwrap_or_default(), &mut broken);
            }
        }
        broken
    }

    fn one_completed_job(&self, run: &str, uid: &str, broken: &mut Vec<String>) {
        let own = |job: &&Job| job.labels().get("backstay.dev/run-uid").is_some_and(|u| u == uid);
        let jobs: Vec<_> = self.jobs.iter().filter(own).collect();
        let completed = |job: &Job| backstay_core::job::end(job).is_some_and(|end| end.succeeded);
        if jobs.len() != 1 || !completed(jobs[0]) {
            let names: Vec<_> = jobs.iter().map(|j| j.name_any()).collect();
            broken
                .push(format!("{run} Succeeded, and its Jobs are {names:?}, not exactly one that completed"));
        }
    }
}

fn private_data(secret: &Secret, namespace: &str) -> Option<Value> {
    if secret.labels().get("backstay.dev/record").map(String::as_str) != Some("private") {
        return None;
    }
    let text = &secret.data.as_ref()?.get("record.json")?.0;
    let record: Value = serde_json::from_slice(text).ok()?;
    (record["namespace"] == namespace).then(|| record["data"].clone())
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

fn replaced(text: &str, words: &[(String, String)]) -> String {
    words.iter().filter(|(word, _)| !word.is_empty()).fold(text.to_owned(), |text, (word, by)| {
        if text.contains(word.as_str()) { text.replace(word.as_str(), by) } else { text }
    })
}

/// Without what differs from one run to the next: names by chance, times, versions.
fn comparable(value: Value, words: &[(String, String)]) -> Value {
    match value {
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => json!("<time>"),
        Value::String(text) => Value::String(without_delay(replaced(&text, words))),
        Value::Array(list) => list.into_iter().map(|v| comparable(v, words)).collect(),
        Value::Object(fields) => {
            const VOLATILE: [&str; 6] = [
                "resourceVersion",
                "managedFields",
                "creationTimestamp",
                "generation",
                "observedGeneration",
                // How many seconds were left, and what the clock said, when the Job was made.
                "activeDeadlineSeconds",
            ];
            // Whether a slot was recorded at once or found to have fired is all that its reason says.
            let fired = fields.get("outcome").is_some_and(|o| o == "Fired");
            let kept = fields.into_iter().filter(|(key, _)| {
                !VOLATILE.contains(&key.as_str()) && !(fired && (key == "reason" || key == "message"))
            });
            kept.map(|(key, v)| (replaced(&key, words), comparable(v, words))).collect()
        }
        other => other,
    }
}

/// Without how late a slot of a Plan was looked at, which a message says in seconds.
fn without_delay(text: String) -> String {
    match text.split_once(" s after its time") {
        Some((before, after)) => {
            let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{before}<n> s after its time{after}")
        }
        None => text,
    }
}

/// What differs, a line each, most telling first.
pub(super) fn differences(expected: &Snapshot, found: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, counts) in &expected.counts {
        let now = found.counts.get(kind).copied().unwrap_or_default();
        if now != *counts {
            lines.push(format!("{kind}: (made, deleted) {now:?}, undisturbed {counts:?}"));
        }
    }
    for kind in found.counts.keys().filter(|k| !expected.counts.contains_key(*k)) {
        lines.push(format!("{kind}: {:?}, undisturbed none", found.counts[kind]));
    }
    for title in expected.objects.keys().filter(|t| !found.objects.contains_key(*t)) {
        lines.push(format!("{title} is missing"));
    }
    for (title, object) in &found.objects {
        match expected.objects.get(title) {
            None => lines.push(format!("{title} is there, undisturbed it is not")),
            Some(wanted) => differing(title, wanted, object, &mut lines),
        }
    }
    lines
}

fn differing(at: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                differing(&format!("{at}.{key}"), &wanted[key], &found[key], lines);
            }
        }
        _ if wanted == found => {}
        _ => lines.push(format!("{at} is {found}, undisturbed {wanted}")),
    }
}
