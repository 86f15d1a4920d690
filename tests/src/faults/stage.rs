//! The stage of one plan: a namespace with what the scenario needs, the cue that starts it, and its end.

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_api::{Backup, BackupJob, Plan, RestoreJob, finalizers};
use backstay_core::contract::GroupKind;
use backstay_core::revision::Revision;
use futures::FutureExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, NamespaceResourceScope};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::plan::{Scenario, Trouble};
use super::tap::Meddling;
use crate::node;

/// The simulated node of all plans.
pub(super) const NODE: &str = "simulated";
const GROUP: &str = "strategy.backups.cozystack.io";

/// See the module.
pub(super) struct Stage {
    pub client: Client,
    pub namespace: String,
    pub scenario: Scenario,
    /// Where the controller keeps strategy revisions.
    pub revisions: String,
    /// Resource versions of what nobody of ours may touch, by a word for it.
    bystanders: BTreeMap<&'static str, String>,
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid object")
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// The spec of a strategy of kind Job. `version` tells a render of now from one of then.
fn job_spec(version: &str) -> Value {
    json!({"backoffLimit": 0, "template": {
        "metadata": {"annotations": {
            node::MESSAGE: r#"{"artifact":{"uri":"s3://store/{{ .Application.metadata.name }}","sizeBytes":4096}}"#,
            "example.org/version": version}},
        "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "localhost/backstay-tools:1",
            "args": ["{{ .Mode }}", "{{ .Parameters.bucket }}"]}]}}})
}

impl Stage {
    /// Sets it up.
    pub(super) async fn set(
        client: Client,
        namespace: &str,
        revisions: &str,
        scenario: Scenario,
        component: &Value,
    ) -> Self {
        let (namespace, revisions) = (namespace.to_owned(), revisions.to_owned());
        let mut stage = Self { client, namespace, scenario, revisions, bystanders: BTreeMap::new() };
        let namespace = &stage.namespace.clone();
        let made: Namespace = object(json!({"metadata": {"name": namespace}}));
        Api::all(stage.client.clone()).create(&PostParams::default(), &made).await.expect("a namespace");
        let redis = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis",
            "metadata": {"name": "cache"}, "spec": {"size": "10Gi"}});
        let redis = stage.applications().create(&PostParams::default(), &object(redis)).await;
        let version = redis.expect("an application").resource_version();
        stage.bystanders.insert("application", version.unwrap_or_default());
        stage.strategy().await;
        let strategy = match scenario {
            Scenario::Plan => json!({"apiGroup": "foreign.example.org", "kind": "Other", "name": "x"}),
            Scenario::Steps => json!({"apiGroup": "test.backstay.dev", "kind": "Steps", "name": namespace}),
            _ => json!({"apiGroup": GROUP, "kind": "Job", "name": namespace}),
        };
        let class = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": {"name": namespace}, "spec": {"strategies": [{
                "application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
                "strategyRef": strategy, "parameters": {"bucket": "then"}}]}});
        let class = stage.classes().create(&PostParams::default(), &object(class)).await;
        let version = class.expect("a class").resource_version();
        stage.bystanders.insert("class", version.unwrap_or_default());
        match scenario {
            Scenario::Backup => {}
            Scenario::Steps => stage.room_for_steps().await,
            Scenario::Restore => stage.backup_of_then(component).await,
            Scenario::Deletion => stage.backup_to_scrub(component).await,
            Scenario::Plan => stage.plan_not_looked_at().await,
        }
        stage
    }

    async fn strategy(&self) {
        let (resource, object_) = match self.scenario {
            Scenario::Deletion => (
                resource("test.backstay.dev", "v1", "Scrub", "scrubs"),
                json!({"apiVersion": "test.backstay.dev/v1", "kind": "Scrub",
                    "metadata": {"name": self.namespace}, "spec": scrub_spec()}),
            ),
            Scenario::Steps => (
                resource("test.backstay.dev", "v1", "Steps", "steps"),
                json!({"apiVersion": "test.backstay.dev/v1", "kind": "Steps",
                    "metadata": {"name": self.namespace}, "spec": steps_spec()}),
            ),
            _ => (
                resource(GROUP, "v1alpha1", "Job", "jobs"),
                json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Job",
                    "metadata": {"name": self.namespace}, "spec": job_spec("now")}),
            ),
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        api.create(&PostParams::default(), &object(object_)).await.expect("a strategy");
    }

    fn classes(&self) -> Api<DynamicObject> {
        let classes = resource("backups.cozystack.io", "v1alpha1", "BackupClass", "backupclasses");
        Api::all_with(self.client.clone(), &classes)
    }

    fn applications(&self) -> Api<DynamicObject> {
        let redises = resource("apps.cozystack.io", "v1alpha1", "Redis", "redises");
        Api::namespaced_with(self.client.clone(), &self.namespace, &redises)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create<K>(&self, value: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        self.api::<K>().create(&PostParams::default(), &object(value)).await.expect("an object")
    }

    /// A Backup in phase Ready, and the strategy as it was when it was made.
    async fn backup(&self, kind: GroupKind, spec: Value, component: &Value) {
        let revision = Revision {
            kind: kind.clone(),
            name: self.namespace.clone(),
            spec,
            parameters: [("bucket".to_owned(), "then".to_owned())].into(),
        };
        let kept = revision.to_object(&self.revisions);
        let api = Api::namespaced(self.client.clone(), &self.revisions);
        api.create(&PostParams::default(), &kept).await.expect("a revision");
        let name = revision.object_name();
        self.create::<Backup>(json!({
            "metadata": {"name": "nightly", "finalizers": [finalizers::CLEANUP], "labels": {
                "backstay.dev/run-uid": "00000000-0000-0000-0000-000000000001"}},
            "spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
                "strategyRef": {"apiGroup": kind.group, "kind": kind.kind, "name": self.namespace},
                "takenAt": "2026-01-01T00:00:00Z"}}))
            .await;
        let status = json!({"status": {"phase": "Ready", "strategyRevision": name, "component": component,
            "artifact": {"uri": "s3://store/cache"}}});
        let api = self.api::<Backup>();
        api.patch_status("nightly", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    }

    async fn backup_of_then(&self, component: &Value) {
        let kind = GroupKind { group: GROUP.into(), kind: "Job".into() };
        self.backup(kind, job_spec("then"), &component["job"]).await;
    }

    async fn backup_to_scrub(&self, component: &Value) {
        let kind = GroupKind { group: "test.backstay.dev".into(), kind: "Scrub".into() };
        self.backup(kind, scrub_spec(), &component["scrubber"]).await;
    }

    /// What is there before a strategy takes its steps, and the rights of its component in this namespace.
    async fn room_for_steps(&self) {
        for name in ["theirs", "old"] {
            self.create::<ConfigMap>(json!({"metadata": {"name": name}})).await;
        }
        for role in ["backstay-strategy-steps", "backstay-strategy-steps-purge"] {
            self.create::<RoleBinding>(json!({"metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": "backstay-steps", "namespace": self.revisions}]}))
                .await;
        }
    }

    /// An hourly Plan whose last slot but one is an hour and a bit ago.
    async fn plan_not_looked_at(&self) {
        let now = jiff::Timestamp::now();
        let minute = now.as_second() / 60;
        let slot = minute - 1;
        let cron = format!("{} * * * *", slot % 60);
        let at = |minutes: i64| {
            jiff::Timestamp::from_second(minutes * 60).map(|t| t.to_string()).unwrap_or_default()
        };
        let status =
            json!({"status": {"anchor": at(slot - 100), "schedule": cron, "lastSlot": at(slot - 120)}});
        // Nobody looks at it before it is complete: no controller runs yet.
        self.create::<Plan>(json!({"metadata": {"name": "hourly"}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "cache"}, "backupClassName": self.namespace,
            "schedule": {"type": "cron", "cron": cron}}}))
            .await;
        let api = self.api::<Plan>();
        api.patch_status("hourly", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    }

    /// Starts what the controller is to do.
    pub(super) async fn cue(&self) {
        match self.scenario {
            Scenario::Backup | Scenario::Steps => {
                self.create::<BackupJob>(json!({"metadata": {"name": "nightly"}, "spec": {
                    "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
                    "backupClassName": self.namespace}}))
                    .await;
            }
            Scenario::Restore => {
                let spec = json!({"backupRef": {"name": "nightly"}});
                self.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": spec})).await;
            }
            Scenario::Deletion => {
                let api = self.api::<Backup>();
                api.delete("nightly", &DeleteParams::background()).await.expect("deletion is accepted");
            }
            // It has been due for a while.
            Scenario::Plan => {}
        }
    }

    /// Waits for the end; an error says what there is instead. Where `stated` is enough, a Backup that stays and says
    /// why has come to its end.
    pub(super) async fn ends(&self, stated: bool, within: Duration) -> Result<(), String> {
        let ended = |phase: Option<&String>| phase.is_some_and(|p| p == "Succeeded" || p == "Failed");
        match self.scenario {
            Scenario::Backup | Scenario::Steps => {
                let done = move |job: Option<&BackupJob>| {
                    job.is_some_and(|j| ended(j.status.as_ref().and_then(|s| s.phase.as_ref())))
                };
                self.until("nightly", done, within).await
            }
            Scenario::Restore => {
                let done = move |job: Option<&RestoreJob>| {
                    job.is_some_and(|j| ended(j.status.as_ref().and_then(|s| s.phase.as_ref())))
                };
                self.until("back", done, within).await
            }
            Scenario::Deletion => {
                let done = move |backup: Option<&Backup>| {
                    backup.is_none_or(|b| {
                        let conditions = b.status.iter().flat_map(|s| &s.conditions);
                        stated
                            && conditions
                                .into_iter()
                                .any(|c| c.type_ == "Ready" && c.reason == "CleanupFailed")
                    })
                };
                self.until("nightly", done, within).await
            }
            Scenario::Plan => {
                let done = |plan: Option<&Plan>| {
                    let counts = plan.and_then(|p| p.status.as_ref()).and_then(|s| s.counts);
                    counts.is_some_and(|c| c.fired + c.missed >= 2)
                };
                self.until("hourly", done, within).await
            }
        }
    }

    async fn until<K>(
        &self,
        name: &str,
        done: impl Fn(Option<&K>) -> bool + Send + 'static,
        within: Duration,
    ) -> Result<(), String>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize
            + Send
            + Sync
            + 'static,
    {
        let wait = await_condition(self.api::<K>(), name, done);
        match tokio::time::timeout(within, wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("its end could not be watched: {error}")),
            Err(_) => {
                let found = self.api::<K>().get_opt(name).await;
                let found = found.map(|f| serde_json::to_value(f).unwrap_or_default());
                Err(format!("no end after {within:?}: {} {name} is {found:?}", K::kind(&())))
            }
        }
    }

    /// Waits until no Job of the namespace is under way.
    pub(super) async fn jobs_ended(&self, within: Duration) {
        let over = |job: &Job| backstay_core::job::end(job).is_some();
        let all = async {
            for job in self.api::<Job>().list(&Default::default()).await.map(|l| l.items).unwrap_or_default()
            {
                let done = move |found: Option<&Job>| found.is_none_or(over);
                let _ = await_condition(self.api::<Job>(), &job.name_any(), done).await;
            }
        };
        let _ = tokio::time::timeout(within, all).await;
    }

    /// What an administrator does midway: strategy and class say something else, the application is gone.
    pub(super) fn meddling(&self) -> Meddling {
        let (classes, applications, namespace) =
            (self.classes(), self.applications(), self.namespace.clone());
        let strategies: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &resource(GROUP, "v1alpha1", "Job", "jobs"));
        Box::new(move || {
            let (classes, applications) = (classes.clone(), applications.clone());
            let (strategies, namespace) = (strategies.clone(), namespace.clone());
            async move {
                let foreign = json!({"apiGroup": "foreign.example.org", "kind": "Other", "name": "x"});
                let class = json!({"spec": {"strategies": [{
                    "application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
                    "strategyRef": foreign, "parameters": {"bucket": "changed"}}]}});
                let params = PatchParams::default();
                classes.patch(&namespace, &params, &Patch::Merge(class)).await.expect("the class is edited");
                let spec = json!({"spec": {"template": {"spec": {"containers": [{"name": "main",
                    "image": "localhost/backstay-tools:1", "args": ["{{ .Broken"]}]}}}});
                let edited = strategies.patch(&namespace, &params, &Patch::Merge(spec)).await;
                edited.expect("the strategy is edited");
                let gone = applications.delete("cache", &DeleteParams::background()).await;
                gone.expect("the application is deleted");
            }
            .boxed()
        })
    }

    /// What was touched that nobody of ours may touch.
    pub(super) async fn touched(&self, trouble: &Trouble) -> Vec<String> {
        let mut touched = Vec::new();
        if matches!(trouble, Trouble::Meddle { .. }) {
            return touched;
        }
        let class = self.classes().get_opt(&self.namespace).await;
        let application = self.applications().get_opt("cache").await;
        for (what, found) in [("class", class), ("application", application)] {
            let version = found.ok().flatten().and_then(|o| o.resource_version());
            if version.as_ref() != self.bystanders.get(what) {
                touched.push(format!("the {what} was touched"));
            }
        }
        touched
    }
}

/// Makes two ConfigMaps, deletes one of them and one of somebody else's, changes another, runs a pod meanwhile, and keeps
/// something to itself.
fn steps_spec() -> Value {
    let config_map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name});
    json!({"private": {"password": "hush"}, "backup": [
        {"get": {"object": {"kind": "$application"}}},
        {"create": {"object": config_map("copy"), "with": {"data": {"a": "1"}}}},
        {"create": {"object": config_map("passing")}},
        {"condition": {"type": "Copied", "status": true, "message": "copied"}},
        {"stage": "later"},
        {"runPod": {"name": "move", "script": "true", "node": NODE}},
        {"patch": {"object": config_map("theirs"), "with": {"data": {"a": "2"}}}},
        {"pod": {"name": "move"}},
        {"list": {"object": config_map(""), "labels": "backstay.dev/run-uid", "limit": 10, "live": true}},
        {"delete": {"object": config_map("passing"), "own": true}},
        {"delete": {"object": config_map("old")}},
    ]})
}

fn scrub_spec() -> Value {
    json!({"image": "localhost/backstay-tools:1", "command": "true", "nodeName": NODE})
}
