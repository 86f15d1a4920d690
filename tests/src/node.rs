//! A simulated node: a Node object that stays ready, and pods on it that run and end without containers.
//!
//! The node replaces a kubelet for hundreds of pods whose work does not matter; Kubernetes' own handling of Jobs and pods
//! is real. A pod's annotations decide how it ends, see [`MESSAGE`] and [`EXIT_CODE`].

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::clock::Clock;

/// Annotation of a pod: the termination message of its containers; none if absent.
pub const MESSAGE: &str = "sim.example.org/message";
/// Annotation of a pod: the exit code of its containers; 0 if absent.
pub const EXIT_CODE: &str = "sim.example.org/exit-code";
/// Taint of the node: only pods that tolerate it, or name the node, run there.
pub const TAINT: &str = "sim.example.org/node";

/// How often the node renews its lease, which expires after 40 s.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Most status writes at a time.
const AT_ONCE: usize = 16;

/// Runs a node of this name for as long as it is polled, by the machine's clock.
///
/// # Panics
/// The API server refuses the node.
pub async fn run(client: Client, name: &str) {
    run_by(Clock::Machine, client, name).await;
}

/// As [`run`], by another clock.
///
/// # Panics
/// The API server refuses the node.
pub async fn run_by(clock: Clock, client: Client, name: &str) {
    register(clock, &client, name).await;
    tokio::join!(heartbeat(clock, &client, name), kubelet(clock, &client, name));
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid object")
}

async fn register(clock: Clock, client: &Client, name: &str) {
    let api = Api::<Node>::all(client.clone());
    let node: Node = object(json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}]}}));
    match api.create(&PostParams::default(), &node).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => panic!("the simulated node is refused: {error}"),
    }
    let resources =
        json!({"cpu": "100000", "memory": "100Ti", "pods": "100000", "ephemeral-storage": "100Ti"});
    let now = clock.now();
    let status = json!({"status": {"capacity": resources, "allocatable": resources, "conditions": [
        {"type": "Ready", "status": "True", "reason": "Simulated", "message": "simulated",
         "lastHeartbeatTime": now, "lastTransitionTime": now}]}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("a node has a status");
}

async fn heartbeat(clock: Clock, client: &Client, name: &str) {
    let api = Api::<Lease>::namespaced(client.clone(), "kube-node-lease");
    let mut every = tokio::time::interval(HEARTBEAT);
    loop {
        every.tick().await;
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40,
                "renewTime": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()}});
        let params = PatchParams::apply("backstay-simulated-node").force();
        if let Err(error) = api.patch(name, &params, &Patch::Apply(lease)).await {
            tracing::warn!(%error, "the simulated node could not renew its lease");
        }
    }
}

async fn kubelet(clock: Clock, client: &Client, name: &str) {
    let pods = Api::<Pod>::all(client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={name}"));
    watcher(pods, config)
        .default_backoff()
        .applied_objects()
        .map_err(|error| tracing::warn!(%error, "the simulated node lost its watch"))
        .filter_map(|pod| async { pod.ok() })
        .for_each_concurrent(AT_ONCE, |pod| live(clock, client.clone(), pod))
        .await;
}

/// Does the next step in the life of a pod: starts it, ends it, or removes it at once if it is being deleted.
async fn live(clock: Clock, client: Client, pod: Pod) {
    let api = Api::<Pod>::namespaced(client, &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    let done = if pod.metadata.deletion_timestamp.is_some() {
        api.delete(&name, &DeleteParams::default().grace_period(0)).await.map(|_| ())
    } else {
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending");
        let status = match phase {
            "Pending" => running(&pod, clock.now()),
            "Running" => ended(&pod, clock.now()),
            _ => return,
        };
        let uid = json!({"uid": pod.metadata.uid});
        let patch = Patch::Merge(json!({"metadata": uid, "status": status}));
        api.patch_status(&name, &PatchParams::default(), &patch).await.map(|_| ())
    };
    match done {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
        Err(error) => tracing::warn!(pod = name, %error, "the simulated node could not write a pod"),
        Ok(()) => {}
    }
}

fn containers(pod: &Pod, state: &Value, ready: bool) -> Value {
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    containers
        .map(|c| {
            json!({"name": c.name, "image": c.image, "imageID": "", "ready": ready, "started": ready,
                "restartCount": 0, "state": state})
        })
        .collect()
}

fn running(pod: &Pod, now: Timestamp) -> Value {
    let state = json!({"running": {"startedAt": now}});
    json!({"phase": "Running", "startTime": now, "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": containers(pod, &state, true)})
}

fn ended(pod: &Pod, now: Timestamp) -> Value {
    let annotation = |key: &str| pod.annotations().get(key).cloned();
    let code: i32 = annotation(EXIT_CODE).and_then(|c| c.parse().ok()).unwrap_or_default();
    let state = json!({"running": null, "terminated": {"exitCode": code, "finishedAt": now, "startedAt": now,
        "reason": if code == 0 { "Completed" } else { "Error" }, "message": annotation(MESSAGE)}});
    json!({"phase": if code == 0 { "Succeeded" } else { "Failed" },
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": containers(pod, &state, false)})
}
