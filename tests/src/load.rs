//! What the benches on a cluster share: controllers as processes, and waves of objects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backstay_api::BackupJob;
use backstay_engine::{Engine, EngineConfig};
use futures::{TryStreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::config::Kubeconfig;
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{controller, node};

/// The result of a part of a bench.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The group of the strategies.
pub const STRATEGIES: &str = backstay_api::STRATEGY_GROUP;
/// Most requests of a bench itself at a time.
pub const AT_ONCE: usize = 32;
/// How long a wave may take.
const WAVE_TIMEOUT: Duration = Duration::from_secs(900);
/// How long a controller may take to be ready: one that is not optimised compiles components for a while.
const START_TIMEOUT: Duration = Duration::from_secs(180);
const CLOCK_TICKS: f64 = 100.0;

/// Writes a kubeconfig with a token of the controller's ServiceAccount, as in a pod. The API server would verify a client
/// certificate with each request.
///
/// # Errors
/// The files cannot be read or written.
pub async fn as_account(client: &Client, state: &Path, folder: &Path) -> Result<PathBuf> {
    let mut kubeconfig = Kubeconfig::read_from(state.join("kubeconfig"))?;
    let info = controller::of_service_account(client, "backstay").await.auth_info;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(info.clone());
    }
    let path = folder.join("kubeconfig");
    std::fs::write(&path, serde_saphyr::to_string(&kubeconfig)?)?;
    Ok(path)
}

/// What a bench on a cluster has: the cluster with everything installed and a simulated node, and what controllers are started with.
pub struct Ground {
    /// An administrator's.
    pub client: Client,
    /// Folder with the components of the tests.
    pub components: PathBuf,
    /// The audit log of the API server.
    pub audit: PathBuf,
    /// Kubeconfig of the controller.
    pub kubeconfig: PathBuf,
    /// Folder for compiled code.
    pub code: PathBuf,
}

/// Installs the controller's CRDs and rights in the cluster of KUBECONFIG, and runs a simulated node of this name.
///
/// # Errors
/// There is no cluster, or a file cannot be written.
pub async fn ground(node: &'static str) -> Result<Ground> {
    let kubeconfig = PathBuf::from(std::env::var_os("KUBECONFIG").ok_or("KUBECONFIG is not set")?);
    let state = kubeconfig.parent().ok_or("KUBECONFIG has no folder")?.to_owned();
    let client = crate::administrator().await?;
    let engine = Engine::new(EngineConfig::default())?;
    let components = controller::install(&client, &engine).await;
    drop(engine);
    let simulated = client.clone();
    tokio::spawn(async move { node::run(simulated, node).await });
    let code = tempdir()?;
    let kubeconfig = as_account(&client, &state, &code).await?;
    Ok(Ground { client, components, audit: state.join("audit.log"), kubeconfig, code })
}

impl Ground {
    /// Creates a namespace with applications of these names.
    ///
    /// # Errors
    /// The API server's.
    pub async fn namespace(&self, name: &str, applications: impl Iterator<Item = String>) -> Result<()> {
        let made: Namespace = object(json!({"metadata": {"name": name}}))?;
        Api::all(self.client.clone()).create(&PostParams::default(), &made).await?;
        let gvk = GroupVersionKind::gvk("apps.cozystack.io", "v1alpha1", "Redis");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "redises");
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), name, &resource);
        let application = |name: String| {
            json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis",
                "metadata": {"name": name}, "spec": {"size": "10Gi"}})
        };
        create(api, applications.map(application)).await
    }

    /// Applies a strategy of the kind Job and its class, both of this name, whose pods go to a node.
    pub async fn job_strategy(&self, name: &str, node: &str) {
        let strategy = json!({"apiVersion": format!("{STRATEGIES}/v1alpha1"), "kind": "Job",
            "metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template(node)}});
        let class = class(name, &json!({"apiGroup": STRATEGIES, "kind": "Job", "name": name}));
        for manifest in [strategy, class] {
            controller::apply(&self.client, &manifest.to_string()).await;
        }
    }
}

/// Returns a class that backs up the applications of [`Ground::namespace`] by a strategy.
#[must_use]
pub fn class(name: &str, strategy: &Value) -> Value {
    json!({"apiVersion": backstay_api::API_VERSION, "kind": "BackupClass", "metadata": {"name": name},
        "spec": {"strategies": [{"application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
            "strategyRef": strategy, "parameters": {"bucket": "b"}}]}})
}

/// Returns a pod template for a simulated node, with a report for the Backup.
#[must_use]
pub fn template(node: &str) -> Value {
    json!({"metadata": {"annotations": {node::MESSAGE: r#"{"artifact":{"uri":"s3://store/dump","sizeBytes":4096}}"#}},
        "spec": {"restartPolicy": "Never", "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"key": node::TAINT, "operator": "Exists"}],
            "containers": [{"name": "main", "image": "localhost/backstay-tools:1"}]}})
}

/// A running controller; dropping it stops it.
pub struct Program {
    process: Child,
    port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// CPU time and memory of a process.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Seconds of CPU time.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Most resident memory so far, in bytes.
    pub peak: u64,
}

impl Program {
    /// Starts a controller, and returns it with the time until it was ready.
    ///
    /// # Errors
    /// The controller is not ready in time.
    pub async fn start(
        program: &Path,
        components: &Path,
        code_cache: &Path,
        kubeconfig: &Path,
    ) -> Result<(Self, Duration)> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let began = Instant::now();
        let program = Command::new(program)
            .args(["run", "--http-bind", &format!("127.0.0.1:{port}"), "--log", "warn"])
            .args(controller::UNGUARDED.iter().flat_map(|name| ["--allow-unguarded", name]))
            .arg("--components")
            .arg(components)
            .arg("--code-cache")
            .arg(code_cache)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let program = Self { process: program, port };
        let mut every = tokio::time::interval(Duration::from_millis(2));
        loop {
            every.tick().await;
            if program.get("/readyz").await.is_ok() {
                return Ok((program, began.elapsed()));
            }
            if began.elapsed() > START_TIMEOUT {
                return Err("the controller is not ready in time".into());
            }
        }
    }

    /// Asks the controller's HTTP server for a path, and returns the body.
    ///
    /// # Errors
    /// There is no answer, or none of success.
    pub async fn get(&self, path: &str) -> Result<String> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.split_whitespace().nth(1) != Some("200") {
            return Err(format!("GET {path}: {answer}").into());
        }
        Ok(body.to_owned())
    }

    /// Returns what the process uses.
    ///
    /// # Errors
    /// The process has ended.
    pub fn usage(&self) -> Result<Usage> {
        let folder = Path::new("/proc").join(self.process.id().to_string());
        let status = std::fs::read_to_string(folder.join("status"))?;
        let kb = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key));
            line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
        };
        let stat = std::fs::read_to_string(folder.join("stat"))?;
        // utime and stime are the 12th and 13th field after the name in parentheses.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
        Ok(Usage { cpu: (ticks(11) + ticks(12)) / CLOCK_TICKS, resident: kb("VmRSS:"), peak: kb("VmHWM:") })
    }

    /// Returns the resident memory once it has not changed for two seconds.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn settled_memory(&self) -> Result<u64> {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        let (mut last, mut same) = (0, 0);
        while same < 2 {
            every.tick().await;
            let now = self.usage()?.resident;
            same = if now.abs_diff(last) < 200_000 { same + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }
}

/// When each object first satisfied the condition.
pub struct Seen(pub HashMap<String, Instant>);

/// Watches a kind in a namespace until `number` objects satisfy a condition.
///
/// # Errors
/// The watch ended.
pub async fn all<K>(api: Api<K>, number: usize, wanted: impl Fn(&K) -> bool) -> Result<Seen>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let mut seen = HashMap::new();
    let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    futures::pin_mut!(objects);
    while seen.len() < number {
        let Some(object) = objects.try_next().await? else { return Err("the watch ended".into()) };
        if wanted(&object) {
            seen.entry(object.name_any()).or_insert_with(Instant::now);
        }
    }
    Ok(Seen(seen))
}

/// Waits for work, for as long as a wave may take.
///
/// # Errors
/// That of the work; it is not done in time.
pub async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(WAVE_TIMEOUT, work).await.map_err(|_| "the wave did not end in time")?
}

/// Returns whether a run has succeeded.
#[must_use]
pub fn succeeded(job: &BackupJob) -> bool {
    job.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"))
}

/// Returns whether a Job is complete.
#[must_use]
pub fn complete(job: &Job) -> bool {
    backstay_core::job::end(job).is_some_and(|end| end.succeeded)
}

/// Makes a folder of this process for compiled code.
///
/// # Errors
/// The folder cannot be made.
pub fn tempdir() -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("backstay-bench-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    // The controller uses a cache directory only if no other user can write there.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(path)
}

/// Shows a duration in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Returns a percentile.
#[must_use]
pub fn at(durations: &[Duration], percent: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Decodes an object.
///
/// # Errors
/// The value does not decode.
pub fn object<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

/// Creates objects, many at a time.
///
/// # Errors
/// The API server's.
pub async fn create<K>(api: Api<K>, objects: impl Iterator<Item = Value>) -> Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    stream::iter(objects.map(Ok))
        .try_for_each_concurrent(AT_ONCE, |value| {
            let api = api.clone();
            async move {
                api.create(&PostParams::default(), &object(value)?).await?;
                Ok(())
            }
        })
        .await
}

/// Creates objects at these paths, many at a time. The answers are not decoded.
///
/// # Errors
/// The API server's.
pub async fn post(client: &Client, objects: impl Iterator<Item = (String, Value)>) -> Result<()> {
    stream::iter(objects.map(Ok))
        .try_for_each_concurrent(AT_ONCE, |(path, object)| async move {
            let request = http::Request::post(path).header("content-type", "application/json");
            client.request_text(request.body(serde_json::to_vec(&object)?)?).await?;
            Ok(())
        })
        .await
}
