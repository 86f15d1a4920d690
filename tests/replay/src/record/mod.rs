//! Recording: a proxy for clients, and watches on every kind.

mod kinds;
mod log;
mod proxy;
mod upstream;
mod who;

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::line::What;
use log::Log;
use upstream::Upstream;

/// For how long the watches are listened to after the command has ended.
const LINGER: Duration = Duration::from_secs(3);

/// Runs a command with a `KUBECONFIG` that leads through the proxy to the cluster of this process's `KUBECONFIG`, and writes all that
/// is asked and answered into a file. Returns how the command ended.
///
/// # Errors
/// The cluster cannot be reached, the file cannot be written, or the command cannot be started.
pub async fn record(file: &Path, command: &[String]) -> anyhow::Result<ExitStatus> {
    let (program, arguments) = command.split_first().context("no command is given")?;
    let upstream = Upstream::of_environment().await?;
    let log = Log::create(file)?;
    let administrator = upstream.administrator().await.context("who the administrator is")?;
    log.write(What::Begin { version: upstream.read("/version").await?, administrator });
    let watches = kinds::watch_all(&upstream, &log).await?;
    log.write(What::Ready {});

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let served = tokio::spawn(proxy::serve(listener, upstream, log.clone()));
    let kubeconfig = file.with_extension("kubeconfig");
    std::fs::write(&kubeconfig, devcluster::api::kubeconfig(&url, None))?;
    let ended = Command::new(program).args(arguments).env("KUBECONFIG", &kubeconfig).status().await;
    tokio::time::sleep(LINGER).await;
    served.abort();
    watches.abort_all();
    log.flush()?;
    Ok(ended?)
}
