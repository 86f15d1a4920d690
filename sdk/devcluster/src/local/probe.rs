//! Probes of containers: commands that are run in them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedSender;

use super::hidden::hidden;
use super::plan::Plan;
use super::run::first_process;
use crate::client::{items, number};

/// What a probe found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The container has started.
    Started,
    /// It is ready, or not any more.
    Ready(bool),
    /// It has to be ended; it has this many seconds.
    Failed(Option<u64>),
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    command: Vec<String>,
    delay: Duration,
    period: Duration,
    timeout: Duration,
    successes: u64,
    failures: u64,
    grace: Option<u64>,
}

fn probe(container: &Value, field: &str) -> Option<Probe> {
    let probe = container.get(field).filter(|probe| !probe.is_null())?;
    let count = |field: &str, usual: u64| {
        number(probe, &format!("/{field}")).and_then(|count| u64::try_from(count).ok()).unwrap_or(usual)
    };
    let seconds = |field: &str, usual: u64| Duration::from_secs(count(field, usual));
    let words = items(probe, "/exec/command").iter().filter_map(Value::as_str).map(str::to_owned);
    Some(Probe {
        command: words.collect(),
        delay: seconds("initialDelaySeconds", 0),
        period: seconds("periodSeconds", 10),
        timeout: seconds("timeoutSeconds", 1),
        successes: count("successThreshold", 1),
        failures: count("failureThreshold", 3),
        grace: number(probe, "/terminationGracePeriodSeconds").and_then(|grace| u64::try_from(grace).ok()),
    })
}

/// What is needed to run a command in a container.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    /// `nsenter` of util-linux.
    pub(super) nsenter: PathBuf,
    /// What was started for the container.
    pub(super) process: u32,
    /// How the container was started.
    pub(super) plan: Plan,
}

impl Inside {
    /// Runs a command to its end; says whether it succeeded.
    async fn succeeds(&self, command: &[String]) -> bool {
        let Some(first) = first_process(self.process) else { return false };
        let mut program = Command::new(&self.nsenter);
        program.arg(format!("--target={first}"));
        program.args([
            "--user",
            "--mount",
            "--uts",
            "--pid",
            "--root",
            "--wd",
            "--preserve-credentials",
            "--",
        ]);
        let (words, variables) = hidden(&self.plan, command);
        program.args(words).env_clear().envs(variables).kill_on_drop(true);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let Ok(mut child) = program.spawn() else { return false };
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let status = child.wait().await;
        group.0 = None;
        status.is_ok_and(|status| status.success())
    }

    /// Runs a probe once in its time.
    async fn holds(&self, probe: &Probe) -> bool {
        tokio::time::timeout(probe.timeout, self.succeeds(&probe.command)).await.unwrap_or_default()
    }

    /// Runs a probe until it has changed its mind; says what it found.
    async fn change(&self, probe: &Probe, before: Option<bool>) -> bool {
        let (mut successes, mut failures) = (0, 0);
        loop {
            if self.holds(probe).await {
                (successes, failures) = (successes + 1, 0);
            } else {
                (successes, failures) = (0, failures + 1);
            }
            if before != Some(true) && successes >= probe.successes {
                return true;
            }
            if before != Some(false) && failures >= probe.failures {
                return false;
            }
            tokio::time::sleep(probe.period).await;
        }
    }
}

/// The processes of a command that has not ended. Dropped, they are killed: that command is in the container, and nobody
/// else would end it before the container does.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Probes a container for as long as it is polled, and tells what it finds.
pub(super) async fn watch(
    inside: Inside,
    container: Value,
    place: usize,
    found: UnboundedSender<(usize, Found)>,
) {
    let tell = |what: Found| {
        let _ = found.send((place, what));
    };
    if let Some(startup) = probe(&container, "startupProbe") {
        tokio::time::sleep(startup.delay).await;
        if !inside.change(&startup, None).await {
            tell(Found::Failed(startup.grace));
            return std::future::pending().await;
        }
        tell(Found::Started);
    }
    let readiness = async {
        let Some(readiness) = probe(&container, "readinessProbe") else { return };
        tokio::time::sleep(readiness.delay).await;
        let mut ready = false;
        loop {
            ready = inside.change(&readiness, Some(ready)).await;
            tell(Found::Ready(ready));
            tokio::time::sleep(readiness.period).await;
        }
    };
    let liveness = async {
        let Some(liveness) = probe(&container, "livenessProbe") else { return };
        tokio::time::sleep(liveness.delay).await;
        inside.change(&liveness, Some(true)).await;
        tell(Found::Failed(liveness.grace));
    };
    tokio::join!(readiness, liveness);
    std::future::pending().await
}

/// Whether a container has a probe of this name.
pub(crate) fn has(container: &Value, field: &str) -> bool {
    container.get(field).is_some_and(|probe| !probe.is_null())
}
