//! One backup from files, and what happens, line by line: for authors of strategies.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use backstay_api::{API_VERSION, phase};
use backstay_core::contract::Json;
use tokio::time::Instant;

use crate::cli::objects::Objects;
use crate::cli::output::print;
use crate::trial::{Admin, Kind, State, Story, backup_job, class, is_custom, restore_job};
use crate::yaml::kind as kind_of;

/// Where what a run needs is made.
const NAMESPACE: &str = "default";
/// Name of the class; names of runs and of Backups begin with it.
const NAME: &str = "dev";

/// Backs the application up with the strategy, and restores it if that is asked for.
///
/// # Errors
/// A file cannot be used, or a run fails; the message says why.
pub(super) async fn one(
    admin: &Admin,
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
    if admin.served(&target)?.is_none() {
        admin.make_kind(&Kind::of(&target)?).await?;
    }
    let served = admin.served(&target)?.context("its kind is not served")?;
    admin.may_read(&kind_of(&target).group, &served.plural).await?;
    for object in strategies.iter().chain(&application) {
        admin.apply(object, NAMESPACE).await?;
        say(began, &format!("{} {} applied", object["kind"], object["metadata"]["name"]).replace('"', ""))?;
    }
    let class = class_of(admin, &strategies, &target).await?;
    let name = free(admin, "backupjobs").await?;
    let mut story = Story::of(admin, NAMESPACE);
    // Those of earlier starts.
    story.tell_rest(&mut |_| Ok(()))?;
    follow(admin, &mut story, &backup_job(&name, &target, &class), began).await?;
    let backup = format!("{}/{name}", runs("backups"));
    let backup = admin.read(&backup).await?.context("the run made no Backup")?;
    print(&format!("\nBackup {name}: {:#}\n\n", backup["status"]["artifact"]))?;
    if restores {
        restore(admin, &mut story, &name, began).await?;
    }
    Ok(())
}

/// Restores the newest Backup that is there.
///
/// # Errors
/// There is none, or the run fails; the message says why.
pub(super) async fn newest(admin: &Admin) -> anyhow::Result<()> {
    let (began, mut story) = (Instant::now(), Story::of(admin, NAMESPACE));
    story.tell_rest(&mut |_| Ok(()))?;
    let backups = admin.read(&runs("backups")).await?.unwrap_or_default();
    let made = |backup: &&Json| backup["metadata"]["creationTimestamp"].as_str().map(ToOwned::to_owned);
    let newest = backups["items"].as_array().into_iter().flatten().max_by_key(made);
    let newest =
        newest.context("--restore: no Backup was kept in the namespace default; make one with --backup")?;
    let name = newest["metadata"]["name"].as_str().unwrap_or_default();
    say(began, &format!("Backup {name} of {}", made(&newest).unwrap_or_default()))?;
    restore(admin, &mut story, name, began).await
}

/// Restores a Backup, and tells what happens.
async fn restore(admin: &Admin, story: &mut Story, backup: &str, began: Instant) -> anyhow::Result<()> {
    let name = free(admin, "restorejobs").await?;
    follow(admin, story, &restore_job(&name, backup, None, None), began).await
}

/// Returns a name that no run has: those of earlier starts may be there.
async fn free(admin: &Admin, plural: &str) -> anyhow::Result<String> {
    let there = admin.read(&runs(plural)).await?.unwrap_or_default();
    let there: Vec<&Json> = there["items"].as_array().into_iter().flatten().collect();
    let names = std::iter::once(NAME.to_owned()).chain((2..).map(|number| format!("{NAME}-{number}")));
    let mut free = names.filter(|name| there.iter().all(|run| run["metadata"]["name"] != name.as_str()));
    free.next().context("all names are taken")
}

/// Where the objects of a kind of Backstay's are.
fn runs(plural: &str) -> String {
    format!("/apis/{API_VERSION}/namespaces/{NAMESPACE}/{plural}")
}

/// Returns the class of the strategy: the one in its file, or one that is made.
async fn class_of(admin: &Admin, strategies: &[Json], application: &Json) -> anyhow::Result<String> {
    let is_class = |object: &&Json| object["kind"] == "BackupClass";
    if let Some(class) = strategies.iter().find(is_class) {
        return Ok(class["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    }
    let strategy =
        strategies.iter().find(|object| is_custom(object)).context("--strategy has no strategy object")?;
    admin.apply(&class(NAME, strategy, application, &BTreeMap::new()), "").await?;
    Ok(NAME.to_owned())
}

fn say(began: Instant, text: &str) -> anyhow::Result<()> {
    print(&format!("[{:5.1} s] {text}\n", began.elapsed().as_secs_f32()))
}

/// Creates a run and tells what happens until it has ended.
///
/// # Errors
/// The run fails.
async fn follow(admin: &Admin, story: &mut Story, run: &Json, began: Instant) -> anyhow::Result<()> {
    let run = admin.apply(run, NAMESPACE).await?;
    let ended = story.follow(admin, &run, &mut |line| say(began, line)).await?;
    let State { phase, reason, message } = State::of(&ended);
    if phase == phase::FAILED {
        bail!("the {} failed: {reason}: {message}", run["kind"].as_str().unwrap_or_default());
    }
    Ok(())
}
