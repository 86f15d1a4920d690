//! Objects of others that look like a run's own and that no controller may touch.

use backstay_api::{Backup, BackupJob};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Label of all bystanders, by which counts and comparisons leave them out.
pub(super) const LABEL: &str = "test.backstay.dev/bystander";
/// Their name, or the beginning of it.
const NAME: &str = "other";
/// Uid of the run that their labels name.
const RUN: &str = "00000000-0000-0000-0000-000000000009";

/// Kind, name, uid and resource version of each after its creation.
#[derive(Clone)]
pub(super) struct Bystanders(Vec<(&'static str, String, Version)>);

type Version = (Option<String>, Option<String>);

impl Bystanders {
    /// Creates the bystanders: a Job with its Secrets as of a run, a Backup of another controller's strategy, and the
    /// BackupJob that made it.
    pub(super) async fn plant(client: &Client, namespace: &str) -> Self {
        let mut planted = Vec::new();
        let job = json!({"spec": {"managedBy": "test.backstay.dev/nobody", "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "localhost/backstay-tools:1"}]}}}});
        planted.push(("Job", plant::<Job>(client, namespace, &format!("{NAME}-backup"), job, None).await));
        let secret = json!({"type": "backstay.dev/record", "stringData": {"record.json": "{}"}});
        planted.push((
            "Secret",
            plant::<Secret>(client, namespace, &format!("private-{RUN}"), secret, None).await,
        ));
        let config_map = json!({"data": {"a": "theirs"}});
        planted.push(("ConfigMap", plant::<ConfigMap>(client, namespace, NAME, config_map, None).await));
        let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"});
        let backup = json!({"spec": {"applicationRef": application,
            "strategyRef": {"apiGroup": "foreign.example.org", "kind": "Other", "name": "x"},
            "takenAt": "2026-01-01T00:00:00Z"}});
        let ready = json!({"phase": "Ready"});
        planted.push(("Backup", plant::<Backup>(client, namespace, NAME, backup, Some(ready)).await));
        let run = json!({"spec": {"applicationRef": application, "backupClassName": namespace}});
        let ended = json!({"phase": "Succeeded", "backupRef": {"name": NAME}});
        planted.push(("BackupJob", plant::<BackupJob>(client, namespace, NAME, run, Some(ended)).await));
        Self(planted.into_iter().map(|(kind, (name, version))| (kind, name, version)).collect())
    }

    /// Returns the bystanders that have changed.
    pub(super) async fn touched(&self, client: &Client, namespace: &str) -> Vec<String> {
        let mut touched = Vec::new();
        for (kind, name, planted) in &self.0 {
            let now = match *kind {
                "Job" => version::<Job>(client, namespace, name).await,
                "Secret" => version::<Secret>(client, namespace, name).await,
                "ConfigMap" => version::<ConfigMap>(client, namespace, name).await,
                "Backup" => version::<Backup>(client, namespace, name).await,
                _ => version::<BackupJob>(client, namespace, name).await,
            };
            if now.as_ref() != Some(planted) {
                touched.push(format!("the bystander {kind} {name} was changed"));
            }
        }
        touched
    }
}

/// Returns whether an object is a bystander.
pub(super) fn is_one<K: Resource>(object: &K) -> bool {
    object.labels().contains_key(LABEL)
}

async fn plant<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    mut value: Value,
    status: Option<Value>,
) -> (String, Version)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    value["metadata"] = json!({"name": name,
        "labels": {LABEL: "true", "backstay.dev/run-uid": RUN, "backstay.dev/record": "private"}});
    let object: K = serde_json::from_value(value).expect("a valid object");
    let mut made = api.create(&PostParams::default(), &object).await.expect("a bystander");
    if let Some(status) = status {
        let patch = Patch::Merge(json!({"status": status}));
        made = api.patch_status(name, &PatchParams::default(), &patch).await.expect("a status");
    }
    (name.to_owned(), (made.uid(), made.resource_version()))
}

/// Reads a bystander; none if it does not exist or cannot be read.
async fn version<K>(client: &Client, namespace: &str, name: &str) -> Option<Version>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let found = Api::<K>::namespaced(client.clone(), namespace).get_opt(name).await.ok().flatten()?;
    Some((found.uid(), found.resource_version()))
}
