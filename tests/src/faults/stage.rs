//! The stage of one plan: a namespace with the scenario's objects, its cue, and its end.

use backstay_api::{Backup, BackupJob, Plan, RestoreJob, finalizers};
use backstay_core::contract::GroupKind;
use backstay_core::revision::Revision;
use backstay_core::steps::PrivateData;
use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, NamespaceResourceScope};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bystanders::Bystanders;
use super::plan::{Scenario, Trouble};
use super::programs;
use super::tap::Meddling;
use crate::clock::Clock;

/// The simulated node of all plans.
pub(super) const NODE: &str = "simulated";
/// The runs that take turns.
pub(super) const TURNS: [&str; 2] = ["nightly", "later"];
const GROUP: &str = "strategy.backups.cozystack.io";
const TEST_GROUP: &str = "test.backstay.dev";

fn job_kind() -> GroupKind {
    GroupKind { group: GROUP.into(), kind: "Job".into() }
}

fn test_kind(kind: &str) -> GroupKind {
    GroupKind { group: TEST_GROUP.into(), kind: kind.into() }
}

/// The namespace of one plan.
#[derive(Clone)]
pub(super) struct Stage {
    pub client: Client,
    pub namespace: String,
    pub scenario: Scenario,
    /// API of the controller's strategy revisions.
    pub revisions: String,
    /// Uid of the run that made the initial Backup.
    pub run_of_then: String,
    /// Resource versions of class and application, which only an administrator may change.
    inputs: Vec<(&'static str, Option<String>)>,
    bystanders: Bystanders,
}

pub(super) fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid object")
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

impl Stage {
    /// Creates the namespace and the scenario's objects.
    pub(super) async fn set(
        client: Client,
        clock: Clock,
        namespace: &str,
        revisions: &str,
        scenario: Scenario,
        component: &Value,
    ) -> Self {
        let made: Namespace = object(json!({"metadata": {"name": namespace}}));
        let made = Api::all(client.clone()).create(&PostParams::default(), &made).await.expect("a namespace");
        let bystanders = Bystanders::plant(&client, namespace).await;
        let mut stage = Self {
            client,
            namespace: namespace.to_owned(),
            scenario,
            revisions: revisions.to_owned(),
            // A uid of no object.
            run_of_then: made.uid().unwrap_or_default(),
            inputs: Vec::new(),
            bystanders,
        };
        let redis = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis",
            "metadata": {"name": "cache"}, "spec": {"size": "10Gi"}});
        let redis = stage.applications().create(&PostParams::default(), &object(redis)).await;
        stage.inputs.push(("application", redis.expect("an application").resource_version()));
        stage.strategy().await;
        let strategy = match scenario {
            Scenario::Plan => json!({"apiGroup": "foreign.example.org", "kind": "Other", "name": "x"}),
            _ if stage.takes_steps() => json!({"apiGroup": TEST_GROUP, "kind": "Steps", "name": namespace}),
            _ => json!({"apiGroup": GROUP, "kind": "Job", "name": namespace}),
        };
        let class = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": {"name": namespace}, "spec": {"strategies": [{
                "application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
                "strategyRef": strategy, "parameters": {"bucket": "then"}}]}});
        let class = stage.classes().create(&PostParams::default(), &object(class)).await;
        stage.inputs.push(("class", class.expect("a class").resource_version()));
        if stage.takes_steps() {
            stage.rights_for_steps().await;
        }
        match scenario {
            Scenario::Backup | Scenario::Failed | Scenario::Undo | Scenario::Turns => {}
            Scenario::Steps => stage.room_for_steps().await,
            Scenario::Restore => stage.backup("nightly", job_kind(), programs::job("then"), component).await,
            Scenario::Deletion => {
                stage.backup("nightly", test_kind("Scrub"), programs::scrub(), component).await
            }
            Scenario::Inherited => {
                stage.backup("nightly", test_kind("Steps"), programs::half_way(), component).await;
                stage.backup("older", test_kind("Steps"), programs::idle(), component).await;
            }
            Scenario::Private => stage.backup_with_private_data(component).await,
            Scenario::Plan => stage.plan_not_looked_at(clock).await,
        }
        stage
    }

    /// Returns the same stage in a copy of its cluster, which is reached by this client.
    pub(super) fn by(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// Returns whether the scenario's strategy works in steps.
    fn takes_steps(&self) -> bool {
        matches!(
            self.scenario,
            Scenario::Steps | Scenario::Undo | Scenario::Turns | Scenario::Inherited | Scenario::Private
        )
    }

    async fn strategy(&self) {
        let (group, version, kind, plural, spec) = match self.scenario {
            Scenario::Deletion => (TEST_GROUP, "v1", "Scrub", "scrubs", programs::scrub()),
            Scenario::Steps => (TEST_GROUP, "v1", "Steps", "steps", programs::steps()),
            Scenario::Undo | Scenario::Turns => (TEST_GROUP, "v1", "Steps", "steps", programs::endless()),
            // The Backups of these scenarios pin other strategies.
            Scenario::Inherited | Scenario::Private => (TEST_GROUP, "v1", "Steps", "steps", programs::idle()),
            Scenario::Failed => (GROUP, "v1alpha1", "Job", "jobs", programs::failing_job()),
            Scenario::Backup | Scenario::Restore | Scenario::Plan => {
                (GROUP, "v1alpha1", "Job", "jobs", programs::job("now"))
            }
        };
        let resource = resource(group, version, kind, plural);
        let object_ = json!({"apiVersion": resource.api_version, "kind": kind,
            "metadata": {"name": self.namespace}, "spec": spec});
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

    pub(super) fn api<K>(&self) -> Api<K>
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

    /// Creates a Backup in phase Ready, with its strategy revision.
    async fn backup(&self, name: &str, kind: GroupKind, spec: Value, component: &Value) {
        let revision = Revision {
            kind: kind.clone(),
            name: self.namespace.clone(),
            spec,
            parameters: [("bucket".to_owned(), "then".to_owned())].into(),
        };
        let kept = revision.to_object(&self.revisions);
        let api = Api::namespaced(self.client.clone(), &self.revisions);
        api.create(&PostParams::default(), &kept).await.expect("a revision");
        // The strategy Job cleans nothing up.
        let held = (kind.group == TEST_GROUP).then_some([finalizers::CLEANUP]);
        self.create::<Backup>(json!({
            "metadata": {"name": name, "finalizers": held,
                "labels": {"backstay.dev/run-uid": self.run_of_then}},
            "spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
                "strategyRef": {"apiGroup": kind.group, "kind": kind.kind, "name": self.namespace},
                "takenAt": "2026-01-01T00:00:00Z"}}))
            .await;
        let status = json!({"status": {"phase": "Ready", "strategyRevision": revision.object_name(),
            "component": component[&kind.kind], "artifact": {"uri": "s3://store/cache"}}});
        let api = self.api::<Backup>();
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    }

    /// Creates a Backup with private data, and a ConfigMap of its run.
    async fn backup_with_private_data(&self, component: &Value) {
        let private = PrivateData {
            namespace: self.namespace.clone(),
            run_uid: self.run_of_then.clone(),
            data: json!({"password": "hush"}),
        };
        let secret = private.to_secret(&self.revisions);
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.revisions);
        api.create(&PostParams::default(), &secret).await.expect("private data");
        self.create::<ConfigMap>(json!({"metadata": {"name": "copy",
            "labels": {"backstay.dev/run-uid": self.run_of_then}}}))
            .await;
        self.backup("nightly", test_kind("Steps"), programs::cleanup(), component).await;
        let status = Patch::Merge(json!({"status": {"privateData": secret.name_any()}}));
        let api = self.api::<Backup>();
        api.patch_status("nightly", &PatchParams::default(), &status).await.expect("a status");
    }

    /// Creates the objects that exist before a run in steps.
    async fn room_for_steps(&self) {
        for name in ["theirs", "old", "flag"] {
            self.create::<ConfigMap>(json!({"metadata": {"name": name}})).await;
        }
    }

    /// Grants the rights of the component in this namespace.
    async fn rights_for_steps(&self) {
        for role in ["backstay-strategy-steps", "backstay-strategy-steps-purge"] {
            self.create::<RoleBinding>(json!({"metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": "backstay-steps", "namespace": self.revisions}]}))
                .await;
        }
    }

    /// Creates an hourly Plan whose last slot but one is a little over an hour ago. Its last slot is due for longer than any tier
    /// takes to come back to it.
    async fn plan_not_looked_at(&self, clock: Clock) {
        let minute = clock.now().as_second() / 60;
        let slot = minute - 1;
        let cron = format!("{} * * * *", slot % 60);
        let at = |minutes: i64| {
            jiff::Timestamp::from_second(minutes * 60).map(|t| t.to_string()).unwrap_or_default()
        };
        let status =
            json!({"status": {"anchor": at(slot - 100), "schedule": cron, "lastSlot": at(slot - 120)}});
        // No controller runs yet, so none sees it incomplete.
        self.create::<Plan>(json!({"metadata": {"name": "hourly"}, "spec": {
            "applicationRef": {"kind": "Redis", "name": "cache"}, "backupClassName": self.namespace,
            "startingDeadlineSeconds": 1800, "schedule": {"type": "cron", "cron": cron}}}))
            .await;
        let api = self.api::<Plan>();
        api.patch_status("hourly", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    }

    async fn backup_job(&self, name: &str) {
        self.create::<BackupJob>(json!({"metadata": {"name": name}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "backupClassName": self.namespace}}))
            .await;
    }

    /// Gives the cue.
    pub(super) async fn cue(&self) {
        match self.scenario {
            Scenario::Backup | Scenario::Failed | Scenario::Steps | Scenario::Undo => {
                self.backup_job("nightly").await;
            }
            Scenario::Turns => {
                for name in TURNS {
                    self.backup_job(name).await;
                }
            }
            Scenario::Restore | Scenario::Inherited => {
                let spec = json!({"backupRef": {"name": "nightly"}});
                self.create::<RestoreJob>(json!({"metadata": {"name": "back"}, "spec": spec})).await;
            }
            Scenario::Deletion | Scenario::Private => {
                let api = self.api::<Backup>();
                api.delete("nightly", &DeleteParams::background()).await.expect("deletion is accepted");
            }
            // The slot is overdue already.
            Scenario::Plan => {}
        }
    }

    /// Edits strategy and class and deletes the application, as an administrator.
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

    /// Returns the changed objects that only an administrator may change.
    pub(super) async fn touched(&self, trouble: &Trouble) -> Vec<String> {
        let mut touched = self.bystanders.touched(&self.client, &self.namespace).await;
        if matches!(trouble, Trouble::Meddle { .. }) {
            return touched;
        }
        let class = self.classes().get_opt(&self.namespace).await;
        let application = self.applications().get_opt("cache").await;
        for (what, found) in [("class", class), ("application", application)] {
            let version = found.ok().flatten().and_then(|o| o.resource_version());
            if !self.inputs.contains(&(what, version)) {
                touched.push(format!("the {what} was touched"));
            }
        }
        touched
    }
}
