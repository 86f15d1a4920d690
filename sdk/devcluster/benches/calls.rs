//! What one call of the API server costs, by its kind, and a loop of calls as a controller makes them.
//!
//! The server serves the CRD of BackupJobs, with its schema, its rules and its status. Who asks is a ServiceAccount with the rights of
//! the controller and some more, so that each call is authenticated and authorized. Eight watches are open, three of them of
//! BackupJobs; what they tell after a write is read, and counts under `watches`, apart from the call.
//!
//! `cargo bench -p devcluster --bench calls`; with `-- 2000` it goes through the loop so many times, instead of 1000. To have it
//! optimized as the simulation is: `cargo bench --profile sim -p devcluster --bench calls`. Times are microseconds; compare those of two
//! builds only if they ran on the same machine, and more than once. The digest of all answers and events is the same in all builds that
//! answer the same, if the rounds are as many.

// It prints what it measures.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use devcluster::api::{ApiServer, Body, Options};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::Service as _;

const DEFINITION: &str = include_str!("../../../deploy/crds/backups.cozystack.io_backupjobs.yaml");
const RIGHTS: &str = include_str!("../../../deploy/rbac/rbac.yaml");

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const YAML: &str = "application/yaml";

const RUNS: &str = "/apis/backups.cozystack.io/v1alpha1/namespaces/tenant/backupjobs";
const LISTED: &str = "/apis/backups.cozystack.io/v1alpha1/namespaces/listed/backupjobs";
const JOBS: &str = "/apis/batch/v1/namespaces/tenant/jobs";

/// The server, who asks it, and what calls took.
struct Bench {
    server: ApiServer,
    now: Arc<AtomicI64>,
    token: Option<String>,
    told: Arc<AtomicUsize>,
    /// The sum of the hashes of all answers and events.
    digest: Arc<AtomicU64>,
    took: BTreeMap<&'static str, (Duration, u32)>,
}

impl Bench {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_767_225_600));
        let clock = Arc::clone(&now);
        let clock = move || {
            let second = clock.load(Ordering::Relaxed);
            jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        };
        let server = ApiServer::new(Options { clock: Box::new(clock), ..Options::default() });
        Self { server, now, token: None, told: Arc::default(), digest: Arc::default(), took: BTreeMap::new() }
    }

    /// Sends a request, and returns its answer with the time that it took.
    async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: String,
    ) -> (Response<Body>, Duration) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", media)
            .header("Accept", JSON)
            .header("User-Agent", "backstay/1");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let mut server = self.server.clone();
        let begun = Instant::now();
        let answer = server.call(request).await.expect("no error is possible");
        (answer, begun.elapsed())
    }

    /// Makes a call, which has to succeed; then who watches reads.
    async fn call(
        &mut self,
        name: &'static str,
        method: Method,
        path: &str,
        media: &str,
        body: &Value,
    ) -> Value {
        self.now.fetch_add(1, Ordering::Relaxed);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (answer, took) = self.send(method, path, media, body).await;
        self.add(name, took);
        let code = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(code.is_success(), "{name}: {code} {}", String::from_utf8_lossy(&body));
        self.digest.fetch_add(hash(&body), Ordering::Relaxed);
        let begun = Instant::now();
        tokio::task::yield_now().await;
        self.add("watches", begun.elapsed());
        serde_json::from_slice(&body).expect("JSON")
    }

    fn add(&mut self, name: &'static str, took: Duration) {
        let sum = self.took.entry(name).or_default();
        *sum = (sum.0 + took, sum.1 + 1);
    }

    /// Creates what is in a file of YAML, as the administrator.
    async fn load(&self, documents: &str) {
        for document in documents.split("\n---\n") {
            let word = |name: &str| {
                let line = document.lines().find(|line| line.trim_start().starts_with(name));
                line.and_then(|line| line.split_once(": ")).map_or("", |(_, word)| word.trim())
            };
            let path = match word("kind:") {
                "ServiceAccount" => "/api/v1/namespaces/backstay-system/serviceaccounts".to_owned(),
                "CustomResourceDefinition" => {
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned()
                }
                kind => {
                    let place = if kind.starts_with("Cluster") { "" } else { "/namespaces/backstay-system" };
                    format!("/apis/rbac.authorization.k8s.io/v1{place}/{}s", kind.to_lowercase())
                }
            };
            self.made(&path, YAML, document.to_owned()).await;
        }
    }

    async fn made(&self, path: &str, media: &str, body: String) -> Value {
        let (answer, _) = self.send(Method::POST, path, media, body).await;
        let code = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(code, StatusCode::CREATED, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Sets the cluster up, and asks as the ServiceAccount from now on.
    async fn begin(&mut self) {
        for namespace in ["backstay-system", "tenant", "listed"] {
            let namespace = json!({"metadata": {"name": namespace}});
            self.made("/api/v1/namespaces", JSON, namespace.to_string()).await;
        }
        self.load(DEFINITION).await;
        self.load(RIGHTS).await;
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let more = json!({"metadata": {"name": "more"}, "rules": [
            {"apiGroups": ["backups.cozystack.io"], "resources": ["backupjobs"], "verbs": ["update", "delete"]},
            {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["watch"]}]});
        self.made(&format!("{rbac}/clusterroles"), JSON, more.to_string()).await;
        let bound = json!({"metadata": {"name": "more"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "more"},
            "subjects": [{"kind": "ServiceAccount", "name": "backstay", "namespace": "backstay-system"}]});
        self.made(&format!("{rbac}/clusterrolebindings"), JSON, bound.to_string()).await;
        let token = "/api/v1/namespaces/backstay-system/serviceaccounts/backstay/token";
        let token =
            self.made(token, JSON, json!({"spec": {"expirationSeconds": 4_000_000}}).to_string()).await;
        self.token = token["status"]["token"].as_str().map(str::to_owned);
        for i in 0..20 {
            let name = format!("listed-{i}");
            self.made(LISTED, JSON, run(&name).to_string()).await;
            let path = format!("{LISTED}/{name}/status");
            self.call("setup", Method::PATCH, &path, MERGE, &status("Succeeded")).await;
        }
        for path in [
            "/apis/backups.cozystack.io/v1alpha1/backupjobs?watch=true",
            "/apis/backups.cozystack.io/v1alpha1/backupjobs?watch=true&labelSelector=tenant",
            "/apis/backups.cozystack.io/v1alpha1/namespaces/tenant/backupjobs?watch=true",
            "/apis/batch/v1/jobs?watch=true",
            "/api/v1/pods?watch=true",
            "/api/v1/secrets?watch=true",
            "/api/v1/configmaps?watch=true",
            "/api/v1/pods?watch=true&labelSelector=tenant",
        ] {
            let (answer, _) = self.send(Method::GET, path, JSON, String::new()).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let (mut body, told, digest) =
                (answer.into_body(), Arc::clone(&self.told), Arc::clone(&self.digest));
            tokio::spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    told.fetch_add(1, Ordering::Relaxed);
                    let event = frame.data_ref().map_or(0, |event| hash(event));
                    digest.fetch_add(event, Ordering::Relaxed);
                }
            });
        }
        tokio::task::yield_now().await;
        self.took.clear();
        self.told.store(0, Ordering::Relaxed);
    }

    /// The life of a run, as the controller's calls have it.
    async fn round(&mut self, i: usize) {
        let (name, job) = (format!("run-{i}"), format!("run-{i}-backup"));
        let (path, of_job) = (format!("{RUNS}/{name}"), format!("{JOBS}/{job}"));
        let (status_path, nothing) = (format!("{path}/status"), Value::Null);
        self.call("create", Method::POST, RUNS, JSON, &run(&name)).await;
        self.call("get", Method::GET, &path, JSON, &nothing).await;
        for phase in ["Pending", "Running"] {
            self.call("patch status", Method::PATCH, &status_path, MERGE, &status(phase)).await;
        }
        let finalizers = json!({"metadata": {"finalizers": ["backups.cozystack.io/run"]}});
        self.call("patch", Method::PATCH, &path, MERGE, &finalizers).await;
        self.call("create Job", Method::POST, JOBS, JSON, &pod_job(&job)).await;
        self.call("get Job", Method::GET, &of_job, JSON, &nothing).await;
        let applied = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
            "metadata": {"name": name, "annotations": {"seen": "yes"}}});
        let apply = format!("{path}?fieldManager=applier");
        self.call("apply", Method::PATCH, &apply, APPLY, &applied).await;
        self.call("list of 20", Method::GET, LISTED, JSON, &nothing).await;
        self.call("patch status", Method::PATCH, &status_path, MERGE, &status("Succeeded")).await;
        let mut whole = self.call("get", Method::GET, &path, JSON, &nothing).await;
        whole["metadata"]["finalizers"] = json!([]);
        self.call("put", Method::PUT, &path, JSON, &whole).await;
        let background = json!({"propagationPolicy": "Background"});
        self.call("delete Job", Method::DELETE, &of_job, JSON, &background).await;
        self.call("delete", Method::DELETE, &path, JSON, &background).await;
    }

    fn report(&self, rounds: usize) {
        let (mut all, mut calls) = (Duration::ZERO, 0_u32);
        for (name, (took, count)) in &self.took {
            println!("{name:14} {:9.1} µs", took.as_secs_f64() * 1e6 / f64::from(*count));
            all += *took;
            calls += if *name == "watches" { 0 } else { *count };
        }
        let each = all.as_secs_f64() / f64::from(calls);
        println!("all with watches {:7.1} µs a call, {:.0} calls/s", each * 1e6, 1.0 / each);
        let (told, digest) = (self.told.load(Ordering::Relaxed), self.digest.load(Ordering::Relaxed));
        println!("{rounds} rounds of {} calls, {told} events; digest {digest:016x}", calls as usize / rounds);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn run(name: &str) -> Value {
    json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": {"name": name, "labels": {"tenant": "a", "app.kubernetes.io/name": "redis"},
            "annotations": {"note": "a run of the bench"}},
        "spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "backupClassName": "daily", "planRef": {"name": "nightly"}}})
}

fn status(phase: &str) -> Value {
    let condition = |type_: &str, reason: &str| {
        json!({"type": type_, "status": if phase == "Succeeded" { "True" } else { "False" }, "reason": reason,
            "message": "the Job has been made and is waited for", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    json!({"status": {"phase": phase, "observedGeneration": 1, "startedAt": "2026-01-01T00:00:00Z",
        "message": "the Job has been made and is waited for",
        "run": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"},
            "strategyRevision": "job-redis-0123456789"},
        "conditions": [condition("Ready", "Waiting"), condition("ArtifactReported", "Unknown")]}})
}

fn pod_job(name: &str) -> Value {
    let env: Vec<Value> =
        (0..6).map(|i| json!({"name": format!("VARIABLE_{i}"), "value": "some text"})).collect();
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": {"backstay.dev/run": name}},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 3600, "template": {
            "metadata": {"labels": {"backstay.dev/run": name}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "backup", "image": "redis:8", "env": env,
                "command": ["sh", "-c", "redis-cli --rdb /data/dump.rdb"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "resources": {"limits": {"cpu": "1", "memory": "256Mi"}}}],
                "volumes": [{"name": "data", "emptyDir": {}}]}}}})
}

fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut bench = Bench::new();
        bench.begin().await;
        for i in 0..rounds / 10 + 1 {
            bench.round(i).await;
        }
        bench.took.clear();
        bench.told.store(0, Ordering::Relaxed);
        for i in 0..rounds {
            bench.round(i).await;
        }
        bench.report(rounds);
    });
}
