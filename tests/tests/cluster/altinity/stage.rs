//! The world of a test of the Altinity strategy: a ClickHouse application with the stand-in of the sidecar, and the
//! strategy of `examples/altinity` with its real script.

use std::path::Path;
use std::time::Duration;

use backstay_api::{BackupClass, BackupJob};
use backstay_tests::World;
use backstay_tests::controller::{CREDENTIALS, apply};
use backstay_tests::sidecar::{HOST, PASSWORD, Sidecar, USER};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Limit of the waits for a pod.
const PATIENCE: Duration = Duration::from_secs(90);
const GROUP: &str = "apps.cozystack.io";
const STRATEGY_GROUP: &str = "strategy.backups.cozystack.io";

/// The world of one test.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) sidecar: Sidecar,
}

impl Stage {
    /// Makes a world with application `events`, the example's strategy and a class. `None` if there is no cluster.
    pub(super) async fn new(test: &str) -> Option<Self> {
        Self::with(test, |_| ()).await
    }

    /// Makes a world with a changed spec of the strategy.
    pub(super) async fn with(test: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let world = World::new(test).await?;
        let sidecar = Sidecar::start(&host("events", &world.namespace));
        let stage = Self { world, sidecar };
        stage.application("events", json!({})).await;
        let mut spec = example(&stage.world.namespace);
        change(&mut spec);
        stage.strategy(spec).await;
        stage.class(json!({"kind": "ClickHouse"})).await;
        Some(stage)
    }

    /// Creates another application, with its own sidecar.
    pub(super) async fn beside(&self, name: &str) -> Sidecar {
        self.application(name, json!({})).await;
        self.sidecar.another(&host(name, &self.world.namespace))
    }

    /// Creates an application, with the Secret that its chart would make for its sidecar.
    pub(super) async fn application(&self, name: &str, spec: Value) {
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(GROUP, "v1alpha1", "ClickHouse"),
            "clickhouses",
        );
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.world.client.clone(), &self.world.namespace, &resource);
        let object = json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "ClickHouse",
            "metadata": {"name": name}, "spec": spec});
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        api.create(&PostParams::default(), &object).await.expect("an application");
        let secret = json!({"metadata": {"name": format!("clickhouse-{name}-backup-api-auth")},
            "stringData": {"username": USER, "password": PASSWORD}});
        self.world.create::<Secret>(secret).await;
    }

    fn strategies(&self) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(STRATEGY_GROUP, "v1alpha1", "Altinity");
        Api::all_with(self.world.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, "altinities"))
    }

    /// Deletes the strategy of this world, and waits until it no longer exists.
    pub(super) async fn remove_strategy(&self) {
        let name = &self.world.namespace;
        self.strategies().delete(name, &DeleteParams::background()).await.expect("deletion is accepted");
        let gone = await_condition(self.strategies(), name, |found: Option<&DynamicObject>| found.is_none());
        tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("it can be watched");
    }

    /// Applies the strategy of this world.
    pub(super) async fn strategy(&self, spec: Value) {
        let api = self.strategies();
        let name = &self.world.namespace;
        let object = json!({"apiVersion": format!("{STRATEGY_GROUP}/v1alpha1"), "kind": "Altinity",
            "metadata": {"name": name}, "spec": spec});
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&object)).await.expect("a strategy");
    }

    /// Applies the class of this world: the strategy for this application, with the port of the sidecars.
    pub(super) async fn class(&self, application: Value) {
        let name = &self.world.namespace;
        let class = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": {"name": name}, "spec": {"strategies": [{
                "application": application, "strategyRef": self.strategy_ref(),
                "parameters": {"port": self.sidecar.port().to_string(), "tick": "1", "looks": "25"}}]}});
        let api: Api<BackupClass> = Api::all(self.world.client.clone());
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&class)).await.expect("a class");
    }

    pub(super) fn strategy_ref(&self) -> Value {
        json!({"apiGroup": STRATEGY_GROUP, "kind": "Altinity", "name": self.world.namespace})
    }

    /// Restores the platform's credentials.
    pub(super) async fn restore_credentials(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CREDENTIALS);
        let text = std::fs::read_to_string(path).expect("the file is there");
        apply(&self.world.client, &text).await;
    }

    /// Creates a BackupJob of `events`.
    pub(super) async fn backup(&self, name: &str) -> BackupJob {
        self.backup_of(name, json!({"kind": "ClickHouse", "name": "events"})).await
    }

    /// Creates a BackupJob of an application.
    pub(super) async fn backup_of(&self, name: &str, application: Value) -> BackupJob {
        self.world
            .create(json!({"metadata": {"name": name},
                "spec": {"applicationRef": application, "backupClassName": self.world.namespace}}))
            .await
    }

    /// Makes a backup of the database; returns its archive.
    pub(super) async fn saved(&self, name: &str) -> String {
        self.backup(name).await;
        self.world.backup_succeeds(name).await;
        self.archive(name).await
    }

    /// Returns the archive that a Backup records.
    pub(super) async fn archive(&self, backup: &str) -> String {
        let metadata = self.world.get_backup(backup).await.spec.driver_metadata.unwrap_or_default();
        let archive = metadata.get("altinity.strategy.backups.cozystack.io/archive");
        archive.cloned().unwrap_or_else(|| panic!("no archive in {metadata:?}"))
    }

    /// Kills the pod of a Job, without a grace period, and waits until it is gone.
    pub(super) async fn kill_pod(&self, job: &str) {
        let pod = self.world.pods(job).await.remove(0).name_any();
        let at_once = DeleteParams::default().grace_period(0);
        self.world.api::<Pod>().delete(&pod, &at_once).await.expect("deletion is accepted");
        self.world.until_gone::<Pod>(&pod).await;
    }

    /// Waits until the sidecar satisfies a condition.
    pub(super) async fn sidecar_until(&self, what: &str, wanted: impl Fn(&Sidecar) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut every = tokio::time::interval(Duration::from_millis(100));
        while !wanted(&self.sidecar) {
            every.tick().await;
            assert!(Instant::now() < deadline, "the sidecar is not {what} in time: {:?}", self.sidecar);
        }
    }
}

/// Returns the name of the Service that ClickHouse's operator makes for the first pod of an application.
fn host(application: &str, namespace: &str) -> String {
    format!("chi-clickhouse-{application}-clickhouse-0-0.{namespace}.svc")
}

/// Returns the spec of the example's strategy, with the test cluster's image, and with host names of sidecars that lead
/// to this process.
fn example(namespace: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/altinity/strategy.yaml");
    let text = std::fs::read_to_string(path).expect("the example is there");
    let strategy: Value = serde_saphyr::from_str(&text).expect("the example is YAML");
    let mut spec = strategy["spec"].clone();
    let pod = &mut spec["template"]["spec"];
    pod["containers"][0]["image"] = json!("localhost/backstay-tools:1");
    pod["terminationGracePeriodSeconds"] = json!(0);
    let hosts = ["events", "copy", "wide"].map(|application| host(application, namespace));
    pod["hostAliases"] = json!([{"ip": HOST, "hostnames": hosts}]);
    spec
}

/// Changes a spec so that a failure ends the run at once.
pub(super) fn no_retry(spec: &mut Value) {
    spec["backoffLimit"] = json!(0);
}
