//! One backup from files, and what happens, line by line: for authors of strategies.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use backstay_api::{API_VERSION, GROUP};
use backstay_core::contract::{GroupKind, Json};
use kube::Client;
use serde_json::json;
use tokio::time::Instant;

use super::objects::{NAMESPACE, apply, make_kind, may_read, path, read};
use crate::cli::objects::{Objects, kind as kind_of};
use crate::cli::output::print;

/// Name of the class; names of runs and of Backups begin with it.
const NAME: &str = "dev";
/// How often what happens is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Backs the application up with the strategy, and restores it if that is asked for.
///
/// # Errors
/// A file cannot be used, or a run fails; the message says why.
pub(super) async fn one(
    client: &Client,
    strategy: &Path,
    application: &Path,
    restores: bool,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let application = Objects::read(application)?.all();
    let strategies = Objects::read(strategy)?.all();
    let found = application.iter().find(|object| is_custom(object));
    let target = found.context("--application has no object of a custom kind")?.clone();
    for object in strategies.iter().chain(&application) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE);
        if namespace != NAMESPACE {
            bail!(
                "{} {}: the run is in the namespace {NAMESPACE}, leave metadata.namespace out",
                object["kind"],
                object["metadata"]["name"]
            );
        }
    }
    if path(client, &target, NAMESPACE).await?.is_none() {
        make_kind(client, &target).await?;
    }
    allow(client, &target).await?;
    for object in strategies.iter().chain(&application) {
        apply(client, object, NAMESPACE).await?;
        say(began, &format!("{} {} applied", object["kind"], object["metadata"]["name"]).replace('"', ""))?;
    }
    let class = class(client, &strategies, &target).await?;
    let GroupKind { group, kind } = kind_of(&target);
    let name = free(client, "backupjobs").await?;
    let backup_job = json!({"apiVersion": API_VERSION, "kind": "BackupJob", "metadata": {"name": name},
        "spec": {"applicationRef": {"apiGroup": group, "kind": kind, "name": target["metadata"]["name"]},
            "backupClassName": class}});
    let mut events = BTreeSet::new();
    news(client, &mut events).await?;
    follow(client, &backup_job, &mut events, began).await?;
    let backup =
        read(client, &format!("{}/{name}", runs("backups"))).await?.context("the run made no Backup")?;
    print(&format!("\nBackup {name}: {:#}\n\n", backup["status"]["artifact"]))?;
    if restores {
        restore(client, &name, &mut events, began).await?;
    }
    Ok(())
}

/// Restores the newest Backup that is there.
///
/// # Errors
/// There is none, or the run fails; the message says why.
pub(super) async fn newest(client: &Client) -> anyhow::Result<()> {
    let (began, mut events) = (Instant::now(), BTreeSet::new());
    news(client, &mut events).await?;
    let backups = read(client, &runs("backups")).await?.unwrap_or_default();
    let made = |backup: &&Json| backup["metadata"]["creationTimestamp"].as_str().map(ToOwned::to_owned);
    let newest = backups["items"].as_array().into_iter().flatten().max_by_key(made);
    let newest =
        newest.context("--restore: no Backup was kept in the namespace default; make one with --backup")?;
    let name = newest["metadata"]["name"].as_str().unwrap_or_default();
    say(began, &format!("Backup {name} of {}", made(&newest).unwrap_or_default()))?;
    restore(client, name, &mut events, began).await
}

/// Restores a Backup, and tells what happens.
async fn restore(
    client: &Client,
    backup: &str,
    events: &mut BTreeSet<String>,
    began: Instant,
) -> anyhow::Result<()> {
    let name = free(client, "restorejobs").await?;
    let restore = json!({"apiVersion": API_VERSION, "kind": "RestoreJob", "metadata": {"name": name},
        "spec": {"backupRef": {"name": backup}}});
    follow(client, &restore, events, began).await
}

/// Returns a name that no run has: those of earlier starts may be there.
async fn free(client: &Client, plural: &str) -> anyhow::Result<String> {
    let there = read(client, &runs(plural)).await?.unwrap_or_default();
    let there: Vec<&Json> = there["items"].as_array().into_iter().flatten().collect();
    let names = std::iter::once(NAME.to_owned()).chain((2..).map(|number| format!("{NAME}-{number}")));
    let mut free = names.filter(|name| there.iter().all(|run| run["metadata"]["name"] != name.as_str()));
    free.next().context("all names are taken")
}

/// Where the objects of a kind of Backstay's are.
fn runs(plural: &str) -> String {
    format!("/apis/{API_VERSION}/namespaces/{NAMESPACE}/{plural}")
}

/// Whether an object is of a custom kind that is neither Kubernetes' nor of the runs themselves: a strategy or an application rather
/// than something that it needs.
fn is_custom(object: &Json) -> bool {
    let GroupKind { group, .. } = kind_of(object);
    group.contains('.') && !group.ends_with(".k8s.io") && group != GROUP
}

/// Lets the controller read the application.
async fn allow(client: &Client, application: &Json) -> anyhow::Result<()> {
    let path = path(client, application, NAMESPACE).await?.context("its kind is not served")?;
    let plural = path.rsplit('/').nth(1).unwrap_or_default();
    may_read(client, &kind_of(application).group, plural).await
}

/// Returns the class of the strategy: the one in its file, or one that is made.
async fn class(client: &Client, strategies: &[Json], application: &Json) -> anyhow::Result<String> {
    let is_class = |object: &&Json| object["kind"] == "BackupClass";
    if let Some(class) = strategies.iter().find(is_class) {
        return Ok(class["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    }
    let strategy =
        strategies.iter().find(|object| is_custom(object)).context("--strategy has no strategy object")?;
    let (of, by) = (kind_of(application), kind_of(strategy));
    let class = json!({"apiVersion": API_VERSION, "kind": "BackupClass", "metadata": {"name": NAME},
        "spec": {"strategies": [{"application": {"apiGroup": of.group, "kind": of.kind},
            "strategyRef": {"apiGroup": by.group, "kind": by.kind, "name": strategy["metadata"]["name"]}}]}});
    apply(client, &class, "").await?;
    Ok(NAME.to_owned())
}

fn say(began: Instant, text: &str) -> anyhow::Result<()> {
    print(&format!("[{:5.1} s] {text}\n", began.elapsed().as_secs_f32()))
}

/// Creates a run and tells what happens until it has ended.
///
/// # Errors
/// The run fails.
async fn follow(
    client: &Client,
    run: &Json,
    events: &mut BTreeSet<String>,
    began: Instant,
) -> anyhow::Result<()> {
    let [kind, name] = [&run["kind"], &run["metadata"]["name"]].map(|text| text.as_str().unwrap_or_default());
    apply(client, run, NAMESPACE).await?;
    let path = path(client, run, NAMESPACE).await?.context("runs are not served")?;
    let mut told = String::new();
    loop {
        let now = read(client, &path).await?.context("the run was deleted")?;
        for event in news(client, events).await? {
            say(began, &event)?;
        }
        let ready =
            now["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == "Ready"));
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let phase = text(&now["status"]["phase"]);
        let (reason, message) =
            ready.map_or_else(Default::default, |c| (text(&c["reason"]), text(&c["message"])));
        let line = format!("{kind} {name}: {phase} {reason}: {}", first(&message));
        if line != told && !phase.is_empty() {
            say(began, &line)?;
            told = line;
        }
        match phase.as_str() {
            "Succeeded" => return Ok(()),
            "Failed" => bail!("the {kind} failed: {reason}: {message}"),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Returns the first line of a message; the last word on a run is printed whole.
fn first(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Returns the Events that are new.
async fn news(client: &Client, seen: &mut BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    let list = read(client, &path).await?.unwrap_or_default();
    let mut lines = Vec::new();
    for event in list["items"].as_array().into_iter().flatten() {
        if seen.insert(event["metadata"]["uid"].to_string()) {
            let text = |key: &str| event.get(key).and_then(Json::as_str).unwrap_or_default();
            let of = &event["regarding"];
            let (kind, name) = (of["kind"].as_str(), of["name"].as_str());
            lines.push(format!(
                "  {} {}: {} {}",
                kind.unwrap_or_default(),
                name.unwrap_or_default(),
                text("reason"),
                first(text("note"))
            ));
        }
    }
    Ok(lines)
}
