//! `backstay dev`, as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long it may take to be up.
const UP: Duration = Duration::from_secs(180);

/// The process, and a client of its API.
pub(crate) struct Dev {
    child: Child,
    pub(crate) client: Client,
}

impl Dev {
    /// Starts it and waits until it is up.
    ///
    /// # Errors
    /// It does not start, or is not up in time.
    pub(crate) async fn start(program: &Path, components: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["dev", "--log", "warn", "--components"])
            .arg(components)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let lines = BufReader::new(child.stdout.take().context("it has an output")?).lines();
        let path =
            tokio::time::timeout(UP, kubeconfig(lines)).await.context("backstay dev is not up in time")??;
        let kubeconfig = Kubeconfig::read_from(path)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { child, client: Client::try_from(config)? })
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn gone(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await?;
        bail!("it ended with {status}")
    }

    /// Ends the process.
    pub(crate) async fn stop(mut self) {
        // SIGINT lets it remove its folder; `kill_on_drop` ends it in any case.
        if let Some(pid) = self.child.id() {
            let _ = Command::new("kill").args(["-INT", &pid.to_string()]).status().await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
    }
}

/// Prints what the program says of itself, and returns the path of its kubeconfig.
async fn kubeconfig<R: tokio::io::AsyncBufRead + Unpin>(
    mut lines: tokio::io::Lines<R>,
) -> anyhow::Result<String> {
    let mut path = None;
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("Up after") {
            println!("  up {}", line.trim_start_matches("Up ").split(". ").next().unwrap_or_default());
            return path.context("backstay dev names no kubeconfig");
        }
        if let Some(found) = line.trim().strip_prefix("kubeconfig ") {
            path = Some(found.trim().to_owned());
        }
        println!("{line}");
    }
    bail!("backstay dev ended at its start")
}
