//! `backstay run`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use backstay_core::credentials::Projection;
use backstay_core::run_budget::BudgetLimits;
use backstay_engine::{Engine, EngineConfig};
use clap::Args;
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};

use super::telemetry::{self, LogFormat};
use super::trust::TrustArgs;
use crate::cluster::client::{REQUEST_TIMEOUT, client};
use crate::components::registry::Registry;
use crate::controller;
use crate::panics;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Folder with the strategy components, one .wasm file each
    #[arg(long, env = "BACKSTAY_COMPONENTS", default_value = "/components")]
    components: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Folder for compiled code, readable by this user only; without it components are compiled at every start
    #[arg(long, env = "BACKSTAY_CODE_CACHE")]
    code_cache: Option<PathBuf>,
    /// The controller's own namespace, which holds strategy revisions and checkpoints
    #[arg(long, env = "BACKSTAY_NAMESPACE", default_value = "backstay-system")]
    namespace: String,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "BACKSTAY_HTTP_BIND", default_value = "0.0.0.0:8080")]
    http_bind: SocketAddr,
    /// How long a run waits for something missing, such as 30m
    #[arg(long, env = "BACKSTAY_WAIT_DEADLINE", default_value = "30m")]
    wait_deadline: SignedDuration,
    /// How long a run may take at most, such as 6h
    #[arg(long, env = "BACKSTAY_RUN_DEADLINE", default_value = "6h")]
    run_deadline: SignedDuration,
    /// How long a strategy may take to undo what a deleted or late run began, such as 15m
    #[arg(long, env = "BACKSTAY_UNDO_DEADLINE", default_value = "15m")]
    undo_deadline: SignedDuration,
    /// How long a finished Job stays once its result is recorded; without it, until its run is deleted
    #[arg(long, env = "BACKSTAY_JOB_TTL")]
    job_ttl: Option<SignedDuration>,
    /// How often a running run is reconciled without any event, as a net under the watches, such as 2m
    #[arg(long, env = "BACKSTAY_RECHECK", default_value = "2m")]
    recheck: SignedDuration,
    /// How many objects of one kind are reconciled, and how many components called, at once
    #[arg(long, env = "BACKSTAY_CONCURRENCY", default_value_t = 16)]
    concurrency: u16,
    #[command(flatten)]
    budget: BudgetArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    log: String,
    /// How log lines look
    #[arg(long, env = "BACKSTAY_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// What one run in steps may spend. A run that spends more is slowed, and then fails.
#[derive(Debug, Args)]
struct BudgetArgs {
    /// How long the component of one run may compute in a minute, such as 20s
    #[arg(long, env = "BACKSTAY_RUN_GUEST_TIME", default_value = "20s")]
    run_guest_time: SignedDuration,
    /// How many writes of the API server one run may cause in a minute
    #[arg(long, env = "BACKSTAY_RUN_WRITES", default_value_t = 240)]
    run_writes: u32,
    /// How many bytes of checkpoints one run may write in a minute
    #[arg(long, env = "BACKSTAY_RUN_CHECKPOINT_BYTES", default_value_t = 8_388_608)]
    run_checkpoint_bytes: u64,
    /// How long a run may spend more than that before it fails, such as 10m
    #[arg(long, env = "BACKSTAY_RUN_OVER_BUDGET", default_value = "10m")]
    run_over_budget: SignedDuration,
}

impl BudgetArgs {
    fn limits(&self) -> BudgetLimits {
        BudgetLimits {
            guest_time: self.run_guest_time.unsigned_abs(),
            writes: self.run_writes,
            checkpoint_bytes: self.run_checkpoint_bytes,
            patience: self.run_over_budget.unsigned_abs(),
        }
    }
}

/// How the platform's object-store credentials get into the namespaces of runs.
#[derive(Debug, Args)]
struct CredentialsArgs {
    /// Secret with the platform's object-store credentials, namespace/name; without it none are projected
    #[arg(long, env = "BACKSTAY_CREDENTIALS_SOURCE", value_parser = namespaced)]
    credentials_source: Option<(String, String)>,
    /// Name of the Secret made of it in the namespaces of runs that need it
    #[arg(long, env = "BACKSTAY_CREDENTIALS_TARGET", default_value = "cozy-backups-creds")]
    credentials_target: String,
    /// Endpoint where the source Secret names none
    #[arg(long, env = "BACKSTAY_CREDENTIALS_ENDPOINT")]
    credentials_endpoint: Option<String>,
    /// Region where the source Secret names none
    #[arg(long, env = "BACKSTAY_CREDENTIALS_REGION")]
    credentials_region: Option<String>,
    /// Whether clients put the bucket into the path, true or false
    #[arg(long, env = "BACKSTAY_CREDENTIALS_FORCE_PATH_STYLE")]
    credentials_force_path_style: Option<bool>,
    /// Namespaces that have the Secret at all times, separated by commas
    #[arg(long, env = "BACKSTAY_CREDENTIALS_NAMESPACES", value_delimiter = ',')]
    credentials_namespaces: Vec<String>,
}

impl CredentialsArgs {
    fn projection(self) -> Option<Projection> {
        let (source_namespace, source_name) = self.credentials_source?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let namespaces = self.credentials_namespaces.iter().map(|name| name.trim().to_owned());
        Some(Projection {
            source_namespace,
            source_name,
            target: self.credentials_target,
            endpoint: filled(self.credentials_endpoint),
            region: filled(self.credentials_region),
            force_path_style: self.credentials_force_path_style,
            namespaces: namespaces.filter(|name| !name.is_empty()).collect(),
        })
    }
}

fn namespaced(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(format!("{text:?} is not of the form namespace/name")),
    }
}

impl RunArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        telemetry::start(&self.log, self.log_format).context("--log cannot be read")?;
        panics::log();
        let settings = Settings {
            namespace: self.namespace,
            http: Some(self.http_bind),
            wait_deadline: self.wait_deadline,
            run_deadline: self.run_deadline,
            undo_deadline: self.undo_deadline,
            job_ttl: self.job_ttl,
            credentials: self.credentials.projection(),
            recheck: self.recheck.unsigned_abs().max(Duration::from_secs(1)),
            concurrency: self.concurrency.max(1),
            budget: self.budget.limits(),
        };
        // One thread: all that it does is to pass on; what computes, the components, has threads of its own. With more of them
        // a fifth of the time went to waking one another.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let engine = Engine::new(EngineConfig {
                code_cache: self.code_cache,
                concurrent_calls: u32::from(settings.concurrency),
                ..EngineConfig::default()
            })
            .context("the component engine cannot be started")?;
            let registry = Registry::load(&engine, &self.components, &self.trust.trust())
                .context("the components cannot be loaded")?;
            let no_way =
                "no way to a Kubernetes cluster: set KUBECONFIG, or run in a pod with a ServiceAccount";
            let config = kube::Config::infer().await.context(no_way)?;
            let client = client(config, REQUEST_TIMEOUT).context(no_way)?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let shutdown = async move {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                tracing::info!("stopping, finishing reconciles that have begun");
            };
            Ok(controller::run(client, registry, settings, shutdown).await?)
        })
    }
}
