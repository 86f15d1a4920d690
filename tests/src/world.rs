//! The world of one test: its own namespace, application, class and strategies.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, NamespaceResourceScope};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::controller;

/// Default limit of a wait.
const TIMEOUT: Duration = Duration::from_secs(60);
const STRATEGY_GROUP: &str = "strategy.backups.cozystack.io";

/// The namespace of one test, with its objects.
pub struct World {
    /// An administrator's client.
    pub client: Client,
    /// The namespace; class and strategy have its name.
    pub namespace: String,
}

impl World {
    /// Makes a world with an application `cache` of kind Redis. `None` if there is no cluster to test on.
    pub async fn new(test: &str) -> Option<Self> {
        if !controller::available(test) {
            return None;
        }
        let client = controller::client().await;
        // The cluster may have namespaces of an earlier run of the tests.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("t-{}-{:05}", test.replace('_', "-"), now % 100_000);
        let world = Self {
            client,
            namespace: name[name.len().saturating_sub(50)..].trim_start_matches('-').to_owned(),
        };
        let namespace: Namespace = object(json!({"metadata": {"name": world.namespace}}));
        Api::all(world.client.clone()).create(&PostParams::default(), &namespace).await.expect("a namespace");
        world.application("apps.cozystack.io", "cache").await;
        Some(world)
    }

    /// Returns the API of a kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an application of kind Redis in a group.
    pub async fn application(&self, group: &str, name: &str) {
        let redis = json!({"apiVersion": format!("{group}/v1alpha1"), "kind": "Redis",
            "metadata": {"name": name}, "spec": {"size": "10Gi"}});
        self.applications(group)
            .create(&PostParams::default(), &object(redis))
            .await
            .expect("an application");
    }

    /// Returns the API of the applications of kind Redis in a group.
    #[must_use]
    pub fn applications(&self, group: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, "v1alpha1", "Redis");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "redises");
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Returns the API of the strategies of kind Job.
    #[must_use]
    pub fn strategies(&self) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(STRATEGY_GROUP, "v1alpha1", "Job");
        Api::all_with(self.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, "jobs"))
    }

    /// Applies the strategy of this world, of kind Job.
    pub async fn strategy(&self, spec: Value) {
        let strategy = json!({"apiVersion": format!("{STRATEGY_GROUP}/v1alpha1"), "kind": "Job",
            "metadata": {"name": self.namespace}, "spec": spec});
        let params = PatchParams::apply("test").force();
        self.strategies()
            .patch(&self.namespace, &params, &Patch::Apply(&strategy))
            .await
            .expect("a strategy");
    }

    /// Applies the class of this world, with one entry for kind Redis.
    pub async fn class(&self, strategy_ref: Value, parameters: Value) {
        self.class_for("apps.cozystack.io", strategy_ref, parameters).await;
    }

    /// Applies the class of this world, with one entry for kind Redis of a group.
    pub async fn class_for(&self, group: &str, strategy_ref: Value, parameters: Value) {
        let class = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": {"name": self.namespace},
            "spec": {"strategies": [{"application": {"apiGroup": group, "kind": "Redis"}, "strategyRef": strategy_ref,
                "parameters": parameters}]}});
        let api: Api<BackupClass> = Api::all(self.client.clone());
        let params = PatchParams::apply("test").force();
        api.patch(&self.namespace, &params, &Patch::Apply(&class)).await.expect("a class");
    }

    /// Returns the reference to the strategy of this world.
    #[must_use]
    pub fn strategy_ref(&self) -> Value {
        json!({"apiGroup": STRATEGY_GROUP, "kind": "Job", "name": self.namespace})
    }

    /// Applies a strategy and a class whose pods run `script`.
    pub async fn script(&self, script: &str) {
        self.strategy(script_spec(script)).await;
        self.class(self.strategy_ref(), json!({})).await;
    }

    /// Creates a BackupJob of the application `cache`.
    pub async fn backup(&self, name: &str) -> BackupJob {
        self.backup_of("apps.cozystack.io", name).await
    }

    /// Creates a BackupJob of the application `cache` of a group.
    pub async fn backup_of(&self, group: &str, name: &str) -> BackupJob {
        self.create(json!({"metadata": {"name": name}, "spec": {
            "applicationRef": {"apiGroup": group, "kind": "Redis", "name": "cache"},
            "backupClassName": self.namespace}}))
            .await
    }

    /// Creates a RestoreJob of a Backup.
    pub async fn restore(&self, name: &str, backup: &str) -> RestoreJob {
        self.create(json!({"metadata": {"name": name}, "spec": {"backupRef": {"name": backup}}})).await
    }

    /// Creates a Plan with a schedule.
    pub async fn plan(&self, name: &str, cron: &str, extra: Value) -> Plan {
        let mut spec = json!({"applicationRef": {"kind": "Redis", "name": "cache"},
            "backupClassName": self.namespace, "schedule": {"type": "cron", "cron": cron}});
        if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
            spec.extend(extra);
        }
        self.create(json!({"metadata": {"name": name}, "spec": spec})).await
    }

    /// Creates an object from JSON.
    pub async fn create<K>(&self, value: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let created = self.api::<K>().create(&PostParams::default(), &object(value)).await;
        created.unwrap_or_else(|e| panic!("{} is not accepted: {e}", K::kind(&())))
    }

    /// Deletes an object in the background.
    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().delete(name, &DeleteParams::background()).await.expect("deletion is accepted");
    }

    /// Waits until an object satisfies a condition, and returns it. Panics with the object after a minute.
    pub async fn until<K>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> bool + Send + Sync) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Send
            + Sync
            + DeserializeOwned
            + serde::Serialize
            + 'static,
    {
        self.until_within(TIMEOUT, name, what, wanted).await
    }

    /// Like [`World::until`], with a limit.
    pub async fn until_within<K>(
        &self,
        limit: Duration,
        name: &str,
        what: &str,
        wanted: impl Fn(&K) -> bool + Send + Sync,
    ) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Send
            + Sync
            + DeserializeOwned
            + serde::Serialize
            + 'static,
    {
        let api = self.api::<K>();
        let reached = await_condition(api.clone(), name, |found: Option<&K>| found.is_some_and(&wanted));
        match tokio::time::timeout(limit, reached).await {
            Ok(found) => found.expect("the object can be watched").expect("the object is there"),
            Err(_) => {
                let last = api.get_opt(name).await.ok().flatten().map(|o| serde_json::to_string_pretty(&o));
                panic!(
                    "{} {name}: not {what} in time; it is: {}",
                    K::kind(&()),
                    last.and_then(Result::ok).unwrap_or_default()
                );
            }
        }
    }

    /// Waits until an object no longer exists.
    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Send
            + Sync
            + DeserializeOwned
            + 'static,
    {
        let gone = await_condition(self.api::<K>(), name, |found: Option<&K>| found.is_none());
        let outcome = tokio::time::timeout(TIMEOUT, gone).await;
        outcome.unwrap_or_else(|_| panic!("{} {name} is not gone in time", K::kind(&()))).expect("a watch");
    }

    /// Waits until a BackupJob has succeeded.
    pub async fn backup_succeeds(&self, name: &str) -> BackupJob {
        let job: BackupJob = self.until(name, "ended", |j| ended(phase(j))).await;
        assert_eq!(phase(&job), "Succeeded", "{:?}", job.status);
        job
    }

    /// Waits until a BackupJob has failed; returns reason and message.
    pub async fn backup_fails(&self, name: &str) -> (String, String) {
        self.backup_fails_within(TIMEOUT, name).await
    }

    /// Like [`World::failed`], with a limit.
    pub async fn backup_fails_within(&self, limit: Duration, name: &str) -> (String, String) {
        let job: BackupJob = self.until_within(limit, name, "ended", |j| ended(phase(j))).await;
        assert_eq!(phase(&job), "Failed", "{:?}", job.status);
        let status = job.status.expect("a status");
        (ready(&status.conditions).1, status.message.expect("a message"))
    }

    /// Waits until a BackupJob is blocked for a reason; returns the message.
    pub async fn backup_waits(&self, name: &str, reason: &str) -> String {
        let job: BackupJob = self
            .until(name, &format!("waiting with {reason}"), |j: &BackupJob| {
                j.status.as_ref().is_some_and(|s| ready(&s.conditions).1 == reason)
            })
            .await;
        let status = job.status.expect("a status");
        status.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.message.clone()).expect("a message")
    }

    /// Waits for the end of a RestoreJob; returns phase, reason and message.
    pub async fn restore_ends(&self, name: &str) -> (String, String, String) {
        let job: RestoreJob = self
            .until(name, "ended", |j: &RestoreJob| {
                j.status.as_ref().is_some_and(|s| ended(s.phase.as_deref().unwrap_or_default()))
            })
            .await;
        let status = job.status.expect("a status");
        (
            status.phase.clone().unwrap_or_default(),
            ready(&status.conditions).1,
            status.message.unwrap_or_default(),
        )
    }

    /// Returns the Backup of a name.
    pub async fn get_backup(&self, name: &str) -> Backup {
        self.api::<Backup>().get(name).await.expect("the Backup is there")
    }

    /// Returns the Jobs of the namespace, by name.
    pub async fn jobs(&self) -> Vec<String> {
        let list = self.api::<Job>().list(&ListParams::default()).await.expect("a list");
        list.items.iter().map(ResourceExt::name_any).collect()
    }

    /// Returns the pods of a Job.
    pub async fn pods(&self, job: &str) -> Vec<Pod> {
        let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        self.api::<Pod>().list(&params).await.expect("a list").items
    }

    /// Waits until a Job has a pod that satisfies a condition.
    pub async fn a_pod(&self, job: &str, what: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        let mut every = tokio::time::interval(Duration::from_millis(100));
        loop {
            every.tick().await;
            if let Some(pod) = self.pods(job).await.into_iter().find(&wanted) {
                return pod;
            }
            assert!(tokio::time::Instant::now() < deadline, "Job {job} has no pod that is {what} in time");
        }
    }

    /// Waits for an Event with a reason about an object of this namespace.
    pub async fn event(&self, about: &str, reason: &str) -> String {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        let mut every = tokio::time::interval(Duration::from_millis(200));
        loop {
            every.tick().await;
            let events = self.api::<Event>().list(&ListParams::default()).await.expect("a list");
            let found = events.items.into_iter().find(|e| {
                e.reason.as_deref() == Some(reason)
                    && e.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(about))
            });
            if let Some(event) = found {
                return event.note.unwrap_or_default();
            }
            assert!(tokio::time::Instant::now() < deadline, "no Event {reason} about {about} in time");
        }
    }
}

/// Returns the spec of a strategy whose pod runs a shell script, once.
#[must_use]
pub fn script_spec(script: &str) -> Value {
    json!({"backoffLimit": 0, "template": {"spec": {"terminationGracePeriodSeconds": 0, "containers": [{
        "name": "main", "image": "localhost/backstay-tools:1", "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-euc", script]}]}}})
}

/// Returns status and reason of condition `Ready`.
#[must_use]
pub fn ready(conditions: &[backstay_api::Condition]) -> (String, String) {
    let ready = conditions.iter().find(|c| c.type_ == "Ready");
    ready.map(|c| (c.status.clone(), c.reason.clone())).unwrap_or_default()
}

fn phase(job: &BackupJob) -> &str {
    job.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

fn ended(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid object")
}
