//! Logs through the API, and what probes leave.

use super::*;

async fn refused(cluster: &Cluster, name: &str, query: &str) -> String {
    let refused = cluster.log(name, query).await.expect_err("no log");
    assert_eq!(refused.code, 400, "{refused}");
    text(&refused.body, "/message").to_owned()
}

#[tokio::test]
async fn the_log_of_a_container_that_never_ran_ends_or_is_refused() {
    let cluster = Cluster::new("never-ran").await;
    let mut spec = script("true");
    spec["containers"][0]["command"] = json!(["no-such-command"]);
    cluster.create("command", spec).await;
    cluster.ended("command").await;
    assert_eq!(cluster.log("command", "follow=true").await, Ok("".into()));

    let mut spec = script("true");
    spec["containers"][0]["image"] = "other".into();
    cluster.create("image", spec).await;
    let waiting = "/status/containerStatuses/0/state/waiting/reason";
    cluster.until("image", |pod| text(pod, waiting) == "ErrImagePull").await;
    let named = "container \"main\" in pod \"image\"";
    assert_eq!(
        refused(&cluster, "image", "follow=true").await,
        format!("{named} is waiting to start: image can't be pulled")
    );
    cluster.until("image", |pod| text(pod, waiting) == "ImagePullBackOff").await;
    assert_eq!(
        refused(&cluster, "image", "follow=true").await,
        format!("{named} is waiting to start: trying and failing to pull image")
    );

    let mut spec = script("true");
    spec["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]);
    cluster.create("secret", spec).await;
    cluster.until("secret", |pod| text(pod, waiting) == "CreateContainerConfigError").await;
    let why = refused(&cluster, "secret", "follow=true").await;
    assert!(why.ends_with("is waiting to start: CreateContainerConfigError"), "{why}");
}

#[tokio::test]
async fn who_follows_with_a_limit_gets_what_comes_up_to_it() {
    let cluster = Cluster::new("limit").await;
    let mut spec = script("echo one; read go < /w/go; echo two; echo three");
    spec["containers"][0]["volumeMounts"] = json!([{"name": "w", "mountPath": "/w"}]);
    spec["volumes"] = json!([{"name": "w", "emptyDir": {}}]);
    spec["initContainers"] = json!([{"name": "first", "image": "busybox:1", "command": ["mkfifo", "/w/go"],
        "volumeMounts": [{"name": "w", "mountPath": "/w"}]}]);
    let pod = cluster.create("p", spec).await;
    cluster.until("p", |pod| pod["status"]["phase"] == "Running").await;
    let go = cluster.state.join("pods").join(text(&pod, "/metadata/uid")).join("volumes/w/go");
    let (said, _) = tokio::join!(cluster.log("p", "container=main&follow=true&limitBytes=6"), async {
        tokio::fs::write(go, "go\n").await.expect("somebody reads it");
    });
    assert_eq!(said, Ok("one\ntw".into()));
}

#[tokio::test]
async fn a_log_is_not_read_while_the_server_is_locked() {
    let cluster = Cluster::new("unread").await;
    cluster.create("p", script("true")).await;
    let pod = cluster.ended("p").await;
    let files = Files::new(&cluster.state).expect("a folder");
    let log = files.start(&pod, "main", 0).log;
    // Whoever opens it waits until somebody writes.
    std::fs::remove_file(&log).expect("it is there");
    assert!(std::process::Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    let options = crate::api::LogOptions { container: "main".into(), ..Default::default() };
    let opened = crate::api::Logs::open(&files, &pod, &options);
    assert!(opened.is_ok());
}

/// How many processes of this machine have this word in their command line.
fn running(word: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.split('\0').any(|one| one == word)).count()
}

#[tokio::test]
async fn a_probe_that_takes_too_long_is_ended() {
    let cluster = Cluster::new("slow-probe").await;
    let mark = format!("3000.{}", std::process::id());
    let mut spec = script("sleep 1000");
    spec["containers"][0]["volumeMounts"] = json!([{"name": "w", "mountPath": "/w"}]);
    spec["volumes"] = json!([{"name": "w", "emptyDir": {}}]);
    spec["containers"][0]["readinessProbe"] = json!({"periodSeconds": 1, "timeoutSeconds": 1,
        "exec": {"command": ["sh", "-c", format!("echo begun >> /w/begun; sleep {mark}; true")]}});
    let pod = cluster.create("p", spec).await;
    let begun = cluster.state.join("pods").join(text(&pod, "/metadata/uid")).join("volumes/w/begun");
    let enough = async {
        while std::fs::read_to_string(&begun).unwrap_or_default().lines().count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), enough).await.expect("in time");
    assert!(running(&mark) <= 1, "those that took too long are gone: {}", running(&mark));
}
