//! `backstay dev`: the controller on a Kubernetes of its own, in one process, for trying and for authors.

mod chance;
mod cluster;
mod place;
mod run;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use tokio::signal::unix::{SignalKind, signal};

use super::output::print;
use super::telemetry::{self, LogFormat};
use super::trust::TrustArgs;
use crate::panics;
use cluster::{DevCluster, Setup};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("a_backup").args(["backup", "keep"]).multiple(true)))]
pub(crate) struct DevArgs {
    /// Folder with the strategy components, one .wasm file each
    #[arg(long, env = "BACKSTAY_COMPONENTS")]
    components: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Address of the Kubernetes API, plain HTTP
    #[arg(long, default_value = "127.0.0.1:0")]
    api_bind: SocketAddr,
    /// Address of the controller's /livez, /readyz and /metrics; without it there is none
    #[arg(long)]
    http_bind: Option<SocketAddr>,
    /// Folder for compiled code, readable by this user only; without it components are compiled at every start
    #[arg(long, env = "BACKSTAY_CODE_CACHE")]
    code_cache: Option<PathBuf>,
    /// Folder for all that the cluster holds, readable by this user only; another start with it goes on from there
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Run one backup, print what happens, and end: with --strategy and --application
    #[arg(long, requires_all = ["strategy", "application"])]
    backup: bool,
    /// Restore that backup too; without --backup the newest one that was kept
    #[arg(long, requires = "a_backup")]
    restore: bool,
    /// File with the strategy object; a BackupClass in it is used, otherwise one is made
    #[arg(long, requires = "backup")]
    strategy: Option<PathBuf>,
    /// File with the application object and what it needs; a CRD is made of a kind that is not known
    #[arg(long, requires = "backup")]
    application: Option<PathBuf>,
    /// What the controller logs, in the syntax of RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "warn")]
    log: String,
    /// How log lines look
    #[arg(long, env = "BACKSTAY_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

impl DevArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        telemetry::start(&self.log, self.log_format).context("--log cannot be read")?;
        panics::log();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let (mut interrupt, mut hangup) = (signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
            let told_to_stop = async move {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, _ = hangup.recv() => {} }
            };
            self.serve(told_to_stop).await
        })
    }

    fn setup(&self) -> Setup {
        Setup {
            components: self.components.clone(),
            trust: self.trust.trust(),
            api_bind: self.api_bind,
            http_bind: self.http_bind,
            code_cache: self.code_cache.clone(),
            keep: self.keep.clone(),
        }
    }

    /// Starts all parts. Returns when the one run that was asked for has ended, or a part has, or when told to stop.
    async fn serve(&self, told_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        futures::pin_mut!(told_to_stop);
        let mut cluster = tokio::select! {
            cluster = DevCluster::start(self.setup()) => cluster?,
            () = &mut told_to_stop => return Ok(()),
        };
        let admin = cluster.admin();
        let work = async {
            match (&self.strategy, &self.application) {
                (Some(strategy), Some(application)) => {
                    run::one(&admin, strategy, application, self.restore).await
                }
                _ if self.restore => run::newest(&admin).await,
                _ => std::future::pending().await,
            }
        };
        if !self.backup && !self.restore {
            print(&cluster.welcome(begun.elapsed()))?;
            std::io::stdout().flush()?;
        }
        let ended = tokio::select! {
            ended = work => ended,
            error = cluster.ended() => Err(error),
            () = told_to_stop => Ok(()),
        };
        let kept = cluster.stop().await;
        ended.and(kept)
    }
}
