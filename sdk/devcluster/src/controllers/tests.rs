//! The controllers at work in simulated time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::api::ApiServer;
use crate::client::{Api, Over, Refused, items, text};

/// A cluster with controllers and a node whose pods do what the author says.
struct World {
    server: ApiServer,
    api: Api,
}

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const PODS: &str = "/api/v1/namespaces/default/pods";

impl World {
    async fn new(author: impl FnMut(&Value, &str, u32) -> Script + Send + 'static) -> Self {
        Self::without_node().await.with_node(author).await
    }

    async fn with_node(self, author: impl FnMut(&Value, &str, u32) -> Script + Send + 'static) -> Self {
        let node = ScriptedNode::new(self.server.clone(), None, "node", author);
        tokio::spawn(async { node.run().await.expect("the node is taken") });
        self.pass(1).await;
        self
    }

    async fn without_node() -> Self {
        Self::of(ApiServer::default()).await
    }

    async fn of(server: ApiServer) -> Self {
        tokio::spawn(Controllers::new(server.clone(), None).run());
        let api: Api = Arc::new(Over::new(server.clone(), "test"));
        let world = Self { server, api };
        world.pass(1).await;
        world
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    async fn job(&self, name: &str, mut spec: Value) -> Value {
        let own = spec["template"]["spec"].take();
        let mut pod = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]});
        for (field, value) in own.as_object().into_iter().flatten() {
            pod[field] = value.clone();
        }
        spec["template"] = json!({"spec": pod});
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec});
        self.api.create(JOBS, job).await.expect("a Job")
    }

    async fn get(&self, path: &str) -> Value {
        self.api.get(path).await.expect("it is there")
    }

    async fn is_gone(&self, path: &str) -> bool {
        self.api.get(path).await.is_err_and(|refused: Refused| refused.is_absent())
    }

    async fn pods(&self) -> Vec<Value> {
        items(&self.get(PODS).await, "/items").to_vec()
    }
}

fn conditions(job: &Value) -> Vec<(&str, &str)> {
    items(job, "/status/conditions").iter().map(|c| (text(c, "/type"), text(c, "/reason"))).collect()
}

fn ends(code: i32) -> Script {
    Script { code, message: format!("ended with {code}"), ..Script::default() }
}

#[tokio::test(start_paused = true)]
async fn a_job_makes_its_pod_and_is_complete() {
    let world = World::new(|_, _, _| ends(0)).await;
    let job = world.job("j", json!({})).await;
    world.pass(1).await;
    let pods = world.pods().await;
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["metadata"]["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
    assert_eq!(pods[0]["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"]);
    assert_eq!(pods[0]["spec"]["nodeName"], "node");
    world.pass(10).await;
    let job = world.get(&format!("{JOBS}/j")).await;
    let reason = "CompletionsReached";
    assert_eq!(conditions(&job), [("SuccessCriteriaMet", reason), ("Complete", reason)]);
    let status = &job["status"];
    assert_eq!(
        (&status["succeeded"], &status["ready"], &status["terminating"]),
        (&1.into(), &0.into(), &0.into())
    );
    assert_eq!((&status["active"], &status["uncountedTerminatedPods"]), (&Value::Null, &json!({})));
    assert!(status["completionTime"].is_string());
    let pod = &world.pods().await[0];
    assert_eq!(
        (&pod["status"]["phase"], &pod["metadata"]["finalizers"]),
        (&"Succeeded".into(), &Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_tries_again_later_each_time_until_its_limit() {
    let world = World::new(|_, _, _| Script { runs: Some(Duration::ZERO), ..ends(3) }).await;
    world.job("j", json!({"backoffLimit": 2})).await;
    for (second, pods) in [(1, 1), (8, 1), (3, 2), (17, 2), (5, 3)] {
        world.pass(second).await;
        assert_eq!(world.pods().await.len(), pods, "after {second} s more");
    }
    world.pass(60).await;
    let job = world.get(&format!("{JOBS}/j")).await;
    let reason = "BackoffLimitExceeded";
    assert_eq!(conditions(&job), [("FailureTarget", reason), ("Failed", reason)]);
    assert_eq!((&job["status"]["failed"], &job["status"]["completionTime"]), (&3.into(), &Value::Null));
    assert_eq!(
        world.pods().await[0]["status"]["containerStatuses"][0]["state"]["terminated"]["message"],
        "ended with 3"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_too_long_ends_its_pods_first() {
    let world =
        World::new(|_, _, _| Script { runs: None, stops_after: Some(Duration::from_secs(5)), ..ends(0) })
            .await;
    world.job("j", json!({"activeDeadlineSeconds": 60})).await;
    world.pass(62).await;
    let job = world.get(&format!("{JOBS}/j")).await;
    assert_eq!(conditions(&job), [("FailureTarget", "DeadlineExceeded")]);
    assert_eq!((&job["status"]["terminating"], &job["status"]["active"]), (&1.into(), &Value::Null));
    world.pass(10).await;
    let job = world.get(&format!("{JOBS}/j")).await;
    assert_eq!(conditions(&job), [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]);
    assert_eq!((&job["status"]["terminating"], &job["status"]["failed"]), (&0.into(), &1.into()));
    assert!(world.pods().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn as_many_pods_run_as_may_and_a_suspended_job_has_none() {
    let world = World::new(|_, _, _| Script { runs: Some(Duration::from_secs(100)), ..ends(0) }).await;
    world.job("j", json!({"completions": 5, "parallelism": 2})).await;
    world.pass(50).await;
    assert_eq!(world.pods().await.len(), 2);
    let path = format!("{JOBS}/j");
    world.api.merge(&path, json!({"spec": {"suspend": true}})).await.expect("a patch");
    world.pass(10).await;
    let job = world.get(&path).await;
    assert_eq!(conditions(&job), [("Suspended", "JobSuspended")]);
    assert_eq!((world.pods().await.len(), &job["status"]["failed"]), (0, &Value::Null));
    world.api.merge(&path, json!({"spec": {"suspend": false}})).await.expect("a patch");
    world.pass(400).await;
    let job = world.get(&path).await;
    let kinds: Vec<&str> = conditions(&job).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        (kinds, &job["status"]["succeeded"]),
        (vec!["Suspended", "SuccessCriteriaMet", "Complete"], &5.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_goes_when_its_time_has_come_with_its_pods() {
    let world = World::new(|_, _, _| ends(0)).await;
    world.job("j", json!({"ttlSecondsAfterFinished": 100})).await;
    world.pass(90).await;
    assert!(!world.is_gone(&format!("{JOBS}/j")).await);
    world.pass(30).await;
    assert!(world.is_gone(&format!("{JOBS}/j")).await);
    assert!(world.pods().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_the_job_decides_what_a_failure_is() {
    let world = World::new(|_, _, _| ends(42)).await;
    let policy = json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]});
    world.job("j", json!({"podFailurePolicy": policy, "podReplacementPolicy": "Failed"})).await;
    world.pass(30).await;
    let job = world.get(&format!("{JOBS}/j")).await;
    assert_eq!(conditions(&job), [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]);
    let message = text(&job, "/status/conditions/0/message");
    assert!(message.contains("failed with exit code 42 matching FailJob rule at index 0"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_job_that_is_deleted_go_with_it_or_stay_as_it_is_asked() {
    let world = World::new(|_, _, _| Script { runs: None, ..ends(0) }).await;
    for (name, policy, left) in [("a", "Background", 0), ("b", "Foreground", 0), ("c", "Orphan", 1)] {
        world.job(name, json!({})).await;
        world.pass(5).await;
        assert_eq!(world.pods().await.len(), 1);
        let options = json!({"propagationPolicy": policy});
        world.api.delete(&format!("{JOBS}/{name}"), options).await.expect("a delete");
        world.pass(20).await;
        assert!(world.is_gone(&format!("{JOBS}/{name}")).await, "{policy}");
        assert_eq!(world.pods().await.len(), left, "{policy}");
    }
    let pod = &world.pods().await[0];
    assert_eq!(pod["metadata"].get("ownerReferences"), None);
    assert_eq!(pod["metadata"].get("finalizers"), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_node_ran_goes_with_the_node() {
    let world = World::without_node().await;
    let node =
        ScriptedNode::new(world.server.clone(), None, "node", |_, _, _| Script { runs: None, ..ends(0) });
    let switch = node.switch(None);
    tokio::spawn(async { node.run().await.expect("the node is taken") });
    world.job("j", json!({})).await;
    world.pass(5).await;
    switch.lose().await.expect("the writes are taken");
    world.pass(100).await;
    let pods = world.pods().await;
    assert!(pods.iter().any(|pod| pod["metadata"]["deletionTimestamp"].is_string()));
    world.api.delete("/api/v1/nodes/node", json!({})).await.expect("a delete");
    world.pass(60).await;
    assert!(world.pods().await.iter().all(|pod| pod["spec"]["nodeName"].is_null()));
}

#[tokio::test(start_paused = true)]
async fn what_has_an_owner_that_is_not_there_goes_and_what_has_another_one_stays() {
    let world = World::without_node().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |name: &str, owners: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": owners}})
    };
    let owner = world.api.create(maps, map("owner", json!([]))).await.expect("a map");
    let reference =
        |name: &str, uid: &Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid});
    let (good, bad) = (reference("owner", &owner["metadata"]["uid"]), reference("owner", &"another".into()));
    world.api.create(maps, map("lost", json!([bad]))).await.expect("a map");
    world.api.create(maps, map("kept", json!([bad, good]))).await.expect("a map");
    let strange = json!([{"apiVersion": "v9", "kind": "Thing", "name": "t", "uid": "u"}]);
    world.api.create(maps, map("strange", strange)).await.expect("a map");
    world.pass(1).await;
    assert!(world.is_gone(&format!("{maps}/lost")).await);
    assert_eq!(world.get(&format!("{maps}/kept")).await["metadata"]["ownerReferences"], json!([good]));
    world.api.delete(&format!("{maps}/owner"), json!({})).await.expect("a delete");
    world.pass(1).await;
    assert!(world.is_gone(&format!("{maps}/kept")).await);
    assert!(!world.is_gone(&format!("{maps}/strange")).await);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_gets_what_all_have_and_ends_with_all_that_is_in_it() {
    let world = World::without_node().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    world.api.create("/api/v1/namespaces", namespace).await.expect("a namespace");
    world.pass(1).await;
    let account = "/api/v1/namespaces/n/serviceaccounts/default";
    assert_eq!(world.get(account).await["kind"], "ServiceAccount");
    assert_eq!(world.get("/api/v1/namespaces/n/configmaps/kube-root-ca.crt").await["kind"], "ConfigMap");
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    world.api.create("/api/v1/namespaces/n/configmaps", held).await.expect("a map");
    world.api.delete("/api/v1/namespaces/n", json!({})).await.expect("a delete");
    world.pass(20).await;
    let namespace = world.get("/api/v1/namespaces/n").await;
    let message = |kind: &str| {
        let found = items(&namespace, "/status/conditions")
            .iter()
            .find(|c| c["type"] == kind && c["status"] == "True");
        found.map(|found| text(found, "/message")).unwrap_or_default()
    };
    assert_eq!(
        message("NamespaceContentRemaining"),
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    let finalizers =
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances";
    assert_eq!(message("NamespaceFinalizersRemaining"), finalizers);
    let free = json!({"metadata": {"finalizers": null}});
    world.api.merge("/api/v1/namespaces/n/configmaps/held", free).await.expect("a patch");
    world.pass(1).await;
    assert!(world.is_gone("/api/v1/namespaces/n").await);
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_claim_which_stays_while_it_is_used() {
    let world = World::new(|_, _, _| Script { runs: Some(Duration::from_secs(8)), ..ends(0) }).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "i"}],
        "volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "data"}}]}});
    world.api.create(PODS, pod).await.expect("a pod");
    world.pass(1).await;
    let path = format!("{PODS}/p");
    let message = "0/1 nodes are available: persistentvolumeclaim \"data\" not found.";
    assert_eq!(text(&world.get(&path).await, "/status/conditions/0/message"), message);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    world.api.create(claims, claim).await.expect("a claim");
    world.pass(1).await;
    assert_eq!(world.get(&path).await["status"]["phase"], "Running");
    world.api.delete(&format!("{claims}/data"), json!({})).await.expect("a delete");
    world.pass(1).await;
    assert!(world.get(&format!("{claims}/data")).await["metadata"]["deletionTimestamp"].is_string());
    world.pass(10).await;
    assert_eq!(world.get(&path).await["status"]["phase"], "Succeeded");
    assert!(world.is_gone(&format!("{claims}/data")).await);
    assert_eq!(world.get("/api/v1/persistentvolumes").await["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_same_happens_each_time() {
    /// Every change from the first one on: what it was of, what was before and what came.
    async fn story() -> Vec<String> {
        let server = ApiServer::default();
        let first = server.revision();
        let world = World::of(server).await.with_node(|_, _, count| ends(i32::from(count == 0))).await;
        for name in ["a", "b", "c"] {
            let template = json!({"spec": {"restartPolicy": "OnFailure"}});
            world.job(name, json!({"completions": 3, "parallelism": 2, "template": template})).await;
        }
        world.pass(300).await;
        let state = world.server.state();
        let changes = state.store.since(first).expect("the history is whole");
        let object = |stored: &Option<crate::api::Stored>| {
            stored.as_ref().map(|stored| stored.value.to_string()).unwrap_or_default()
        };
        let tell = |change: &crate::api::StoredChange| {
            let (before, after) = (object(&change.before), object(&change.after));
            format!("{} {:?} {:?} {before} {after}", change.revision, change.family, change.key)
        };
        changes.map(tell).collect()
    }
    let (one, two) = (story().await, story().await);
    let of = |what: &str| one.iter().filter(|change| change.contains(what)).count();
    // Jobs, their pods and Events, and all of their updates.
    assert!(
        one.len() > 120 && of("\"jobs\"") > 9 && of("\"pods\"") > 40,
        "{} {} {}",
        one.len(),
        of("\"jobs\""),
        of("\"pods\"")
    );
    for (number, (one, two)) in one.iter().zip(&two).enumerate() {
        assert_eq!(one, two, "change {number}");
    }
    assert_eq!(one.len(), two.len());
}
