//! A node that is started anew: what was running is gone.

use super::*;

/// A pod whose init container and container note in a volume that they were started; the container runs on.
fn noting() -> Value {
    let mut spec = script("echo main >> /w/log; cat /w/log; trap 'exit 0' TERM; sleep 1000 & wait");
    let mounts = json!([{"name": "w", "mountPath": "/w"}, {"name": "s", "mountPath": "/secret"}]);
    spec["containers"][0]["volumeMounts"] = mounts.clone();
    spec["volumes"] = json!([{"name": "w", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}]);
    spec["initContainers"] = json!([{"name": "first", "image": "busybox:1",
        "command": ["sh", "-c", "echo first >> /w/log"], "volumeMounts": mounts}]);
    spec
}

fn runs(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && pod.pointer("/status/containerStatuses/0/state/running").is_some()
}

#[tokio::test]
async fn pods_that_were_running_fail_or_begin_again_as_their_policy_says() {
    let mut cluster = Cluster::new("restart").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aHVudGVyMg=="}});
    cluster.api.create("/api/v1/namespaces/default/secrets", secret).await.expect("a secret");
    for (name, policy) in [("never", "Never"), ("always", "Always"), ("deleted", "Always")] {
        let mut spec = noting();
        spec["restartPolicy"] = policy.into();
        cluster.create(name, spec).await;
        cluster.until(name, runs).await;
    }
    cluster.create("done", script("echo done")).await;
    let done = cluster.ended("done").await;
    cluster.stop().await;
    cluster.api.delete(&format!("{PODS}/deleted"), json!({})).await.expect("a delete");
    cluster.start();

    let pod = cluster.ended("never").await;
    let status = &pod["status"];
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&status["phase"], &ended["exitCode"]), (&"Failed".into(), &255.into()), "{pod}");
    assert_eq!(
        (&ended["reason"], &status["containerStatuses"][0]["restartCount"]),
        (&"Unknown".into(), &0.into())
    );
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(cluster.log("never", "container=main").await, Ok("first\nmain\n".into()));
    // Nobody writes it any more.
    assert_eq!(cluster.log("never", "container=main&follow=true").await, Ok("first\nmain\n".into()));

    let again = |pod: &Value| runs(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let pod = cluster.until("always", again).await;
    let status = &pod["status"];
    let last = &status["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&255.into(), &"Unknown".into()), "{pod}");
    assert_eq!(status["initContainerStatuses"][0]["restartCount"], 1, "it ran again");
    let said = async || cluster.log("always", "container=main").await.expect("a log");
    while said().await != "first\nmain\nfirst\nmain\n" {
        tokio::task::yield_now().await;
    }
    assert_eq!(cluster.log("always", "container=main&previous=true").await, Ok("first\nmain\n".into()));

    while cluster.api.get(&format!("{PODS}/deleted")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let after = cluster.api.get(&format!("{PODS}/done")).await.expect("it is there");
    assert_eq!((&after["status"], cluster.log("done", "").await), (&done["status"], Ok("done\n".into())));
}

#[tokio::test]
async fn what_is_left_of_pods_and_claims_that_are_gone_is_removed() {
    let mut cluster = Cluster::new("tidy").await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = cluster.api.create(claims, claim).await.expect("a claim");
    cluster.create("p", script("true")).await;
    let pod = cluster.ended("p").await;
    cluster.stop().await;
    let folders = [
        ("claims", text(&claim, "/metadata/uid"), true),
        ("pods", text(&pod, "/metadata/uid"), true),
        ("claims", "gone", false),
        ("pods", "gone", false),
    ];
    for (of, uid, _) in folders {
        std::fs::create_dir_all(cluster.state.join(of).join(uid)).expect("a folder");
    }
    cluster.start();
    cluster.create("q", script("true")).await;
    cluster.ended("q").await;
    for (of, uid, stays) in folders {
        assert_eq!(cluster.state.join(of).join(uid).exists(), stays, "{of} {uid}");
    }
}
