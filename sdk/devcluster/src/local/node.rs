//! The node: it registers itself and runs the pods that are bound to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::files::Files;
use super::image::Images;
use super::pod;
use super::setup::Tools;
use super::status::seconds;
use crate::client::{Api, Change, Informer, Refused, items, text};

/// A node whose containers are processes of the user.
pub struct Node {
    name: String,
    shared: Arc<pod::Node>,
}

/// A pod that is taken care of. Dropped, its processes end.
struct Kept {
    pod: watch::Sender<Arc<Value>>,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Makes a node of this name. Its files are kept under the folder `state`.
    ///
    /// # Errors
    /// The folder cannot be made, or a program of the machine that it needs is not there.
    pub fn new(api: Api, name: &str, images: Images, state: &Path) -> std::io::Result<Self> {
        let shared = pod::Node { api, images, files: Files::new(state)?, tools: Tools::find()? };
        Ok(Self { name: name.to_owned(), shared: Arc::new(shared) })
    }

    /// Returns the files of its pods, for whoever answers requests for logs.
    #[must_use]
    pub fn files(&self) -> Files {
        self.shared.files.clone()
    }

    /// Registers the node and runs its pods, for as long as it is polled. Dropped, all of their processes end.
    ///
    /// What an earlier node left in its folder of pods and claims that are gone is removed. Pods that were running before begin
    /// again or have failed, as their restart policy says.
    ///
    /// # Errors
    /// The API server refuses the node.
    pub async fn run(&self) -> Result<std::convert::Infallible, Refused> {
        self.register().await?;
        self.tidy().await?;
        let query = format!("fieldSelector=spec.nodeName%3D{}", self.name);
        let mut pods = Informer::new(self.shared.api.clone(), "/api/v1/pods", &query);
        let mut claims = Informer::new(self.shared.api.clone(), "/api/v1/persistentvolumeclaims", "");
        let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                change = pods.next() => match change {
                    Change::Applied(pod) => self.seen(&mut kept, pod),
                    Change::Deleted(pod) => {
                        kept.remove(text(&pod, "/metadata/uid"));
                        self.shared.files.forget(&pod);
                    }
                    Change::Synced => {}
                },
                change = claims.next() => if let Change::Deleted(claim) = change {
                    self.shared.files.forget_claim(text(&claim, "/metadata/uid"));
                }
            }
        }
    }

    fn seen(&self, kept: &mut BTreeMap<String, Kept>, pod: Arc<Value>) {
        let uid = text(&pod, "/metadata/uid").to_owned();
        if let Some(kept) = kept.get(&uid) {
            kept.pod.send_replace(pod);
            return;
        }
        let (sender, receiver) = watch::channel(pod);
        let task = tokio::spawn(pod::run(self.shared.clone(), receiver));
        kept.insert(uid, Kept { pod: sender, task });
    }

    /// Removes what an earlier node left of pods and claims that are gone by now.
    async fn tidy(&self) -> Result<(), Refused> {
        for (path, of) in [
            (format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", self.name), "pods"),
            ("/api/v1/persistentvolumeclaims".to_owned(), "claims"),
        ] {
            let list = self.shared.api.get(&path).await?;
            let there = items(&list, "/items").iter().map(|one| text(one, "/metadata/uid").to_owned());
            self.shared.files.forget_others(of, &there.collect());
        }
        Ok(())
    }

    async fn register(&self) -> Result<(), Refused> {
        let api = &self.shared.api;
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": {
            "kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}}});
        match api.create("/api/v1/nodes", node).await {
            Err(refused) if !refused.is_conflict() => return Err(refused),
            _ => {}
        }
        let now = seconds(Timestamp::now());
        let resources = json!({"cpu": "1000", "memory": "1Ti", "pods": "1000", "ephemeral-storage": "1Ti"});
        let status = json!({"status": {"capacity": resources, "allocatable": resources, "conditions": [
            {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "pods run as processes of the user",
             "lastHeartbeatTime": now, "lastTransitionTime": now}]}});
        api.merge(&format!("/api/v1/nodes/{}/status", self.name), status).await.map(|_| ())
    }
}
