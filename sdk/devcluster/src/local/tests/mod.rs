//! Pods on a local node, through the API.

mod restart;
mod said;

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::api::{ApiServer, Options};
use crate::client::{Api, Over, Refused, items, text};

/// An API server with a node, and the folder of its files.
struct Cluster {
    api: Api,
    state: PathBuf,
    node: tokio::task::JoinHandle<()>,
}

/// Runs a node that has these files.
fn node(api: &Api, state: &std::path::Path) -> tokio::task::JoinHandle<()> {
    let images = Images::new().with("busybox*", Image::of(Root::Host));
    let node = Node::new(api.clone(), "local", images, state).expect("the machine's programs");
    tokio::spawn(async move {
        node.run().await.expect("the node is taken");
    })
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.node.abort();
        drop(std::fs::remove_dir_all(&self.state));
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

impl Cluster {
    async fn new(name: &str) -> Self {
        let state = std::env::temp_dir().join(format!("devcluster-node-{}-{name}", std::process::id()));
        let files = Files::new(&state).expect("a folder");
        let logs: Option<Arc<dyn crate::api::Logs>> = Some(Arc::new(files));
        let options = Options { clock: Box::new(jiff::Timestamp::now), logs, ..Options::default() };
        let server = ApiServer::new(options);
        let api: Api = Arc::new(Over::new(server, "test"));
        let node = node(&api, &state);
        Self { api, state, node }
    }

    /// Ends the node, and what it runs.
    async fn stop(&mut self) {
        self.node.abort();
        let _ = (&mut self.node).await;
    }

    /// Starts another node with the files of the first one.
    fn start(&mut self) {
        self.node = node(&self.api, &self.state);
    }

    /// Creates a pod on the node from its spec.
    async fn create(&self, name: &str, mut spec: Value) -> Value {
        spec["nodeName"] = "local".into();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        self.api.create(PODS, pod).await.expect("a pod")
    }

    /// Waits until a pod is as wanted, or gone; returns its last state.
    async fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("{PODS}?watch=true&fieldSelector=metadata.name%3D{name}");
        let mut events = self.api.watch(path).await.expect("a watch");
        let waiting = async {
            while let Some(event) = events.next().await {
                if event["type"] == "DELETED" || wanted(&event["object"]) {
                    return event["object"].clone();
                }
            }
            Value::Null
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("in time")
    }

    async fn ended(&self, name: &str) -> Value {
        self.until(name, |pod| ["Failed", "Succeeded"].contains(&text(pod, "/status/phase"))).await
    }

    async fn log(&self, name: &str, query: &str) -> Result<Value, Refused> {
        self.api.get(&format!("{PODS}/{name}/log?{query}")).await
    }
}

fn script(text: &str) -> Value {
    json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1", "command": ["sh", "-c", text]}]})
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    items(pod, "/status/conditions").iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_pod_runs_with_its_volumes_and_says_how_it_ended() {
    let cluster = Cluster::new("runs").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aHVudGVyMg=="}});
    cluster.api.create("/api/v1/namespaces/default/secrets", secret).await.expect("a secret");
    let container = |name: &str, text: &str| {
        json!({"name": name, "image": "busybox:1", "command": ["sh", "-c", text],
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "volumeMounts": [{"name": "w", "mountPath": "/work"}, {"name": "s", "mountPath": "/secret"}]})
    };
    cluster
        .create(
            "p",
            json!({"restartPolicy": "Never",
                "initContainers": [container("first", "echo $P > /work/f")],
                "containers": [container("main", "cat /work/f /secret/k; echo; echo oh >&2; echo why > /dev/termination-log; exit 3")],
                "volumes": [{"name": "w", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s"}}]}),
        )
        .await;
    let pod = cluster.ended("p").await;
    let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&pod["status"]["phase"], &terminated["exitCode"]), (&"Failed".into(), &3.into()), "{pod}");
    assert_eq!((&terminated["reason"], &terminated["message"]), (&"Error".into(), &"why\n".into()));
    assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true);
    assert_eq!(condition(&pod, "Ready")["reason"], "PodFailed");
    assert_eq!(cluster.log("p", "container=main").await, Ok("hunter2\nhunter2\noh\n".into()));
    assert_eq!(cluster.log("p", "container=main&tailLines=1").await, Ok("oh\n".into()));
    assert!(!cluster.state.join("pods").join(text(&pod, "/metadata/uid")).join("volumes").exists());
    cluster.api.delete(&format!("{PODS}/p"), json!({})).await.expect("a delete");
    let gone = cluster.api.get(&format!("{PODS}/p")).await;
    assert!(gone.is_err_and(|refused| refused.is_absent()));
}

#[tokio::test]
async fn a_pod_that_is_deleted_gets_its_signal_and_goes() {
    let cluster = Cluster::new("deleted").await;
    let mut spec = script("trap 'echo bye; exit 143' TERM; echo up > /claim/up; sleep 1000 & wait");
    spec["containers"][0]["volumeMounts"] = json!([{"name": "c", "mountPath": "/claim"}]);
    spec["volumes"] = json!([{"name": "c", "persistentVolumeClaim": {"claimName": "data"}}]);
    cluster.create("p", spec).await;
    // The claim comes late.
    let late = async || {
        let events = cluster.api.get("/api/v1/namespaces/default/events").await.expect("a list");
        let why = "MountVolume.SetUp failed for volume \"c\" : persistentvolumeclaim \"data\" not found";
        items(&events, "/items").iter().any(|event| event["message"] == why)
    };
    while !late().await {
        tokio::task::yield_now().await;
    }
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = cluster.api.create(claims, claim).await.expect("a claim");
    let bound = json!({"status": {"phase": "Bound"}});
    cluster.api.merge(&format!("{claims}/data/status"), bound).await.expect("a status");
    let pod = cluster.until("p", |pod| pod["status"]["phase"] == "Running").await;
    assert_eq!(condition(&pod, "Ready")["status"], "True", "{pod}");
    let waiting = cluster.log("p", "previous=true").await.expect_err("none");
    assert_eq!(
        text(&waiting.body, "/message"),
        "previous terminated container \"main\" in pod \"p\" not found"
    );
    while !cluster.state.join("claims").join(text(&claim, "/metadata/uid")).join("up").exists() {
        tokio::task::yield_now().await;
    }
    let delete = async { cluster.api.delete(&format!("{PODS}/p"), json!({})).await.expect("a delete") };
    let last = cluster.until("p", |_| false);
    let follow = cluster.log("p", "follow=true");
    let (last, followed, _) = tokio::join!(last, follow, delete);
    assert_eq!(followed, Ok("bye\n".into()));
    let terminated = &last["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&last["status"]["phase"], &terminated["exitCode"]),
        (&"Failed".into(), &143.into()),
        "{last}"
    );
}

#[tokio::test]
async fn a_pod_that_takes_too_long_is_ended() {
    let cluster = Cluster::new("deadline").await;
    let mut spec = script("sleep 1000");
    spec["activeDeadlineSeconds"] = 1.into();
    spec["terminationGracePeriodSeconds"] = 0.into();
    cluster.create("p", spec).await;
    let pod = cluster.ended("p").await;
    assert_eq!(
        (&pod["status"]["phase"], &pod["status"]["reason"]),
        (&"Failed".into(), &"DeadlineExceeded".into())
    );
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
}

#[tokio::test]
async fn a_container_that_fails_is_started_again_and_a_sidecar_ends_with_the_pod() {
    let cluster = Cluster::new("again").await;
    let mut spec = script("[ -e /w/tried ] && exit 0; echo first; touch /w/tried; exit 1");
    spec["restartPolicy"] = "OnFailure".into();
    spec["containers"][0]["volumeMounts"] = json!([{"name": "w", "mountPath": "/w"}]);
    spec["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
    spec["volumes"] = json!([{"name": "w", "emptyDir": {}}]);
    spec["initContainers"] = json!([{"name": "side", "image": "busybox:1", "restartPolicy": "Always",
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]}]);
    cluster.create("p", spec).await;
    let words = "/status/containerStatuses/0/state/terminated/message";
    let first = cluster.until("p", |pod| text(pod, words) == "first\n").await;
    assert_eq!(first["status"]["phase"], "Running");
    let pod = cluster.ended("p").await;
    let main = &pod["status"]["containerStatuses"][0];
    assert_eq!((&pod["status"]["phase"], &main["restartCount"]), (&"Succeeded".into(), &1.into()), "{pod}");
    // A kubelet forgets the containers before the last one at the pod's end.
    assert_eq!(main["lastState"], json!({}));
    assert_eq!(cluster.log("p", "container=main&previous=true").await, Ok("first\n".into()));
}

#[tokio::test]
async fn what_a_pod_may_not_have_is_named() {
    let cluster = Cluster::new("refused").await;
    let mut spec = script("true");
    spec["hostNetwork"] = true.into();
    cluster.create("p", spec).await;
    let pod = cluster.ended("p").await;
    assert_eq!(pod["status"]["reason"], UNSUPPORTED);
    let message = "Pod was rejected: the local node does not support spec.hostNetwork: true";
    assert_eq!(pod["status"]["message"], message);
}

#[tokio::test]
async fn a_container_waits_for_its_image_or_fails_without_its_command() {
    let cluster = Cluster::new("hindered").await;
    let mut spec = script("true");
    spec["containers"][0]["image"] = "other".into();
    cluster.create("image", spec).await;
    let waiting = "/status/containerStatuses/0/state/waiting/reason";
    let pod = cluster.until("image", |pod| text(pod, waiting) == "ErrImagePull").await;
    assert_eq!(pod["status"]["phase"], "Pending");
    let mut spec = script("true");
    spec["containers"][0]["command"] = json!(["no-such-command"]);
    cluster.create("command", spec).await;
    let pod = cluster.ended("command").await;
    let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&128.into(), &"StartError".into()),
        "{pod}"
    );
}

#[tokio::test]
async fn probes_say_whether_a_container_has_started_is_ready_and_lives() {
    let cluster = Cluster::new("probes").await;
    let mut spec = script("touch /tmp/up; sleep 1000");
    let exec = |command: &str| json!({"exec": {"command": ["sh", "-c", command]}, "periodSeconds": 1, "failureThreshold": 1});
    let mut life = exec("test ! -e /tmp/up");
    life["initialDelaySeconds"] = 1.into();
    life["terminationGracePeriodSeconds"] = 0.into();
    spec["containers"][0]["startupProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1});
    spec["containers"][0]["readinessProbe"] = exec("[ $(cat /proc/1/comm) = sh ]");
    spec["containers"][0]["livenessProbe"] = life;
    cluster.create("p", spec).await;
    let ready = cluster.until("p", |pod| condition(pod, "Ready")["status"] == "True").await;
    assert_eq!(ready["status"]["containerStatuses"][0]["started"], true);
    let pod = cluster.ended("p").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137, "{pod}");
}

#[tokio::test]
async fn a_pod_gets_a_token_of_its_service_account() {
    let cluster = Cluster::new("token").await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    cluster.api.create("/api/v1/namespaces/default/serviceaccounts", account).await.expect("an account");
    let mut spec = script("wc -c < /token/token");
    spec["containers"][0]["volumeMounts"] = json!([{"name": "t", "mountPath": "/token"}]);
    spec["volumes"] =
        json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    cluster.create("p", spec).await;
    let pod = cluster.ended("p").await;
    assert_eq!(pod["status"]["phase"], "Succeeded", "{pod}");
    let bytes = cluster.log("p", "").await.expect("a log").to_string();
    assert!(
        bytes.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().is_ok_and(|n| n > 20),
        "{bytes}"
    );
}
