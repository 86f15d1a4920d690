//! Creates the objects of a row, carries out its actions, and cleans up.

use std::collections::HashMap;

use backstay_tests::bad_inputs::{Action, Given, PodOf, Target};
use backstay_tests::{World, script_spec, webhook};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Seen;
use super::objects::{find, merge, object, placed, title};

/// A row in progress.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    /// Deadline of the row.
    pub(super) deadline: Instant,
    /// Phase, reason and message of the last checked object.
    pub(super) seen: Seen,
    /// Resource versions of the initial objects.
    pub(super) given: HashMap<String, String>,
    made: Vec<Target>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(world: &'a World, deadline: Instant) -> Self {
        Self { world, deadline, seen: Seen::default(), given: HashMap::new(), made: Vec::new() }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.world.namespace
    }

    pub(super) async fn given(&mut self, given: &Given) -> Result<(), String> {
        let namespace = self.namespace().to_owned();
        let mut strategy =
            json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Job", "name": namespace});
        let odd =
            |kind: &str, spec: Value| json!({"kind": kind, "metadata": {"name": namespace}, "spec": spec});
        if let Some(spec) = &given.broken {
            strategy = json!({"apiGroup": "test.backstay.dev", "kind": "Broken", "name": namespace});
            self.create(&odd("Broken", spec.clone())).await?;
        } else if let Some(command) = &given.scrub {
            strategy = json!({"apiGroup": "test.backstay.dev", "kind": "Scrub", "name": namespace});
            self.create(&odd("Scrub", json!({"image": "localhost/backstay-tools:1", "command": command})))
                .await?;
        } else if let Some(program) = &given.steps {
            strategy = json!({"apiGroup": "test.backstay.dev", "kind": "Steps", "name": namespace});
            self.create(&odd("Steps", json!({ "backup": program }))).await?;
        } else if !given.no_strategy {
            self.create(&odd("JobStrategy", spec_of(given))).await?;
        }
        if !given.no_class {
            let mut entry = json!({"application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"}, "strategyRef": strategy});
            merge(&mut entry, given.class.as_ref().unwrap_or(&json!({})));
            let class = json!({"kind": "BackupClass", "metadata": {"name": namespace}, "spec": {"strategies": [entry]}});
            self.create(&class).await?;
        }
        if let Some(says) = &given.denies_jobs {
            let client = webhook::denying(says.clone()).await.map_err(|e| e.to_string())?;
            self.create(&json!({"kind": "ValidatingWebhookConfiguration", "metadata": {"name": namespace}, "webhooks": [{
                "name": "deny.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": client,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}]}]}))
                .await?;
        }
        for object in &given.objects {
            self.create(object).await?;
        }
        Ok(())
    }

    pub(super) async fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Backup(name) => self.backup(name).await,
            Action::BackedUp(name) => {
                self.backup(name).await?;
                self.world.backup_succeeds(name).await;
                Ok(())
            }
            Action::Restore(name) => {
                self.create(&json!({"kind": "RestoreJob", "metadata": {"name": name},
                    "spec": {"backupRef": {"name": "nightly"}}}))
                    .await
            }
            Action::Create(object) => self.create(object).await,
            Action::Merge { to, patch } => {
                let (api, name) = self.reach(to)?;
                let patch = Patch::Merge(placed(patch, self.namespace()));
                api.patch(&name, &PatchParams::default(), &patch).await.map_err(|e| e.to_string())?;
                Ok(())
            }
            Action::Delete { the, foreground } => {
                let (api, name) = self.reach(the)?;
                let params =
                    if *foreground { DeleteParams::foreground() } else { DeleteParams::background() };
                api.delete(&name, &params).await.map_err(|e| e.to_string())?;
                Ok(())
            }
            Action::Evict(of) => {
                let pod = self.pod(of).await?;
                let pods = self.world.api::<Pod>();
                pods.evict(&pod, &EvictParams::default()).await.map_err(|e| e.to_string())?;
                Ok(())
            }
            Action::DeletePod(of) => {
                let pod = self.pod(of).await?;
                let pods = self.world.api::<Pod>();
                pods.delete(&pod, &DeleteParams::default()).await.map_err(|e| e.to_string())?;
                Ok(())
            }
            Action::PodStatus { of, status } => {
                let pod = self.pod(of).await?;
                let patch = Patch::Merge(json!({ "status": status }));
                let pods = self.world.api::<Pod>();
                pods.patch_status(&pod, &PatchParams::default(), &patch).await.map_err(|e| e.to_string())?;
                Ok(())
            }
            Action::Until(check) => self.check(check).await,
        }
    }

    async fn backup(&mut self, name: &str) -> Result<(), String> {
        let job = json!({"kind": "BackupJob", "metadata": {"name": name}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "backupClassName": "$NS"}});
        self.create(&job).await
    }

    pub(super) async fn create(&mut self, value: &Value) -> Result<(), String> {
        let mut value = placed(value, self.namespace());
        let status = value.get("status").cloned();
        if let Some(owner) = value.as_object_mut().and_then(|o| o.remove("owner")) {
            value["metadata"]["ownerReferences"] = self.owned_by(&owner).await?;
        }
        let word = value["kind"].as_str().unwrap_or_default().to_owned();
        let (kind, object) = object(value)?;
        let name = object.name_any();
        let target = Target { kind: word, name: name.clone() };
        let api = kind.api(&self.world.client, self.namespace());
        let mut made = api
            .create(&PostParams::default(), &object)
            .await
            .map_err(|e| format!("{} is not accepted: {e}", title(&target)))?;
        if let Some(status) = status {
            let patch = Patch::Merge(json!({ "status": status }));
            made = api
                .patch_status(&name, &PatchParams::default(), &patch)
                .await
                .map_err(|e| format!("the status of {} is not accepted: {e}", title(&target)))?;
        }
        self.given.insert(title(&target), made.meta().resource_version.clone().unwrap_or_default());
        self.made.push(target);
        Ok(())
    }

    /// Returns the owner references of an object with this controller.
    async fn owned_by(&self, owner: &Value) -> Result<Value, String> {
        let owner = Target::try_from(owner.as_str().unwrap_or_default().to_owned())?;
        let (api, name) = self.reach(&owner)?;
        let found = api.get(&name).await.map_err(|e| e.to_string())?;
        let types = found.types.clone().unwrap_or_default();
        Ok(
            json!([{"apiVersion": types.api_version, "kind": types.kind, "name": name, "uid": found.uid(), "controller": true}]),
        )
    }

    /// Waits until a pod of a Job is in the phase; returns its name.
    async fn pod(&self, of: &PodOf) -> Result<String, String> {
        let api: Api<Pod> = self.world.api();
        let selector = format!("batch.kubernetes.io/job-name={}", of.job);
        let seen = async {
            let mut watch = api.watch(&WatchParams::default().labels(&selector), "0").await?.boxed();
            while let Some(event) = watch.next().await {
                if let WatchEvent::Added(pod) | WatchEvent::Modified(pod) = event?
                    && pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(of.phase.as_str())
                {
                    return Ok(Some(pod.name_any()));
                }
            }
            Ok::<_, kube::Error>(None)
        };
        match tokio::time::timeout_at(self.deadline, seen).await {
            Ok(Ok(Some(name))) => Ok(name),
            Ok(Ok(None)) => Err("the watch ended".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                let pods = api.list(&ListParams::default().labels(&selector)).await.map(|l| l.items);
                Err(format!("no pod of Job {} is {} in time: {pods:?}", of.job, of.phase))
            }
        }
    }

    pub(super) fn reach(&self, target: &Target) -> Result<(Api<kube::api::DynamicObject>, String), String> {
        let kind = find(&target.kind)?;
        let name = target.name.replace("$NS", self.namespace());
        Ok((kind.api(&self.world.client, self.namespace()), name))
    }

    /// Removes what could disturb other rows: cluster-scoped objects, and objects that block others.
    pub(super) async fn clear(&mut self, after: &[Action]) {
        for action in after {
            // An action may have been carried out already.
            let _ = self.act(action).await;
        }
        for target in std::mem::take(&mut self.made) {
            let Ok(kind) = find(&target.kind) else { continue };
            let disturbs = kind.cluster
                && !matches!(
                    target.kind.as_str(),
                    "BackupClass" | "Altinity" | "JobStrategy" | "Broken" | "Scrub" | "Steps"
                );
            if disturbs {
                let api = kind.api(&self.world.client, self.namespace());
                let _ = api.delete(&target.name, &DeleteParams::background()).await;
            }
        }
    }
}

fn spec_of(given: &Given) -> Value {
    let mut spec = script_spec(given.script.as_deref().unwrap_or("true"));
    let none = json!({});
    merge(&mut spec["template"]["spec"]["containers"][0], given.container.as_ref().unwrap_or(&none));
    merge(&mut spec["template"]["spec"], given.pod.as_ref().unwrap_or(&none));
    merge(&mut spec, given.strategy.as_ref().unwrap_or(&none));
    spec
}
