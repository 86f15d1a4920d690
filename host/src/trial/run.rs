//! One run, and what happens in it, line by line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use backstay_api::{API_VERSION, GROUP, phase};
use backstay_core::contract::{GroupKind, Json};
use devcluster::client::{Change, Informer};
use futures::FutureExt as _;
use serde_json::json;

use super::admin::Admin;
use crate::yaml::kind;

/// Whether an object is of a custom kind that is neither Kubernetes' nor of the runs themselves: a strategy or an application
/// rather than something that it needs.
#[must_use]
pub fn is_custom(object: &Json) -> bool {
    let GroupKind { group, .. } = kind(object);
    group.contains('.') && !group.ends_with(".k8s.io") && group != GROUP
}

/// Returns a class with one strategy for one kind of application.
#[must_use]
pub fn class(name: &str, strategy: &Json, application: &Json, parameters: &BTreeMap<String, String>) -> Json {
    let (of, by) = (kind(application), kind(strategy));
    json!({"apiVersion": API_VERSION, "kind": "BackupClass", "metadata": {"name": name},
        "spec": {"strategies": [{"application": {"apiGroup": of.group, "kind": of.kind},
            "strategyRef": {"apiGroup": by.group, "kind": by.kind, "name": strategy["metadata"]["name"]},
            "parameters": parameters}]}})
}

/// Returns a BackupJob of an application.
#[must_use]
pub fn backup_job(name: &str, application: &Json, class: &str) -> Json {
    json!({"apiVersion": API_VERSION, "kind": "BackupJob", "metadata": {"name": name},
        "spec": {"applicationRef": reference(application), "backupClassName": class}})
}

/// Returns a RestoreJob of a Backup, into another application than that of the Backup if `target` is one.
#[must_use]
pub fn restore_job(name: &str, backup: &str, target: Option<&Json>, options: Option<&Json>) -> Json {
    let mut spec = serde_json::Map::new();
    spec.insert("backupRef".to_owned(), json!({"name": backup}));
    spec.extend(target.map(|target| ("targetApplicationRef".to_owned(), reference(target))));
    spec.extend(options.map(|options| ("options".to_owned(), options.clone())));
    json!({"apiVersion": API_VERSION, "kind": "RestoreJob", "metadata": {"name": name}, "spec": spec})
}

fn reference(application: &Json) -> Json {
    let GroupKind { group, kind } = kind(application);
    json!({"apiGroup": group, "kind": kind, "name": application["metadata"]["name"]})
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The phase of its status; empty until the controller has seen it.
    pub phase: String,
    /// The reason of its condition `Ready`.
    pub reason: String,
    /// The message of its condition `Ready`.
    pub message: String,
}

impl State {
    /// Reads the status of a BackupJob or RestoreJob.
    #[must_use]
    pub fn of(run: &Json) -> Self {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let conditions = run["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
        let (reason, message) =
            ready.map_or_else(Default::default, |ready| (text(&ready["reason"]), text(&ready["message"])));
        Self { phase: text(&run["status"]["phase"]), reason, message }
    }

    /// Returns whether the run has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        [phase::SUCCEEDED, phase::FAILED].contains(&self.phase.as_str())
    }
}

/// What happens in a namespace: Events, and changes of the status of a run.
pub struct Story {
    events: Informer,
    seen: BTreeSet<String>,
}

impl Story {
    /// Begins with the Events that there are.
    #[must_use]
    pub fn of(admin: &Admin, namespace: &str) -> Self {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        Self { events: Informer::new(admin.api().clone(), &path, ""), seen: BTreeSet::new() }
    }

    /// Tells each change of the status of a run and each Event, until the run has ended. Returns the run at its end. `run` is
    /// the applied object.
    ///
    /// # Errors
    /// The run is deleted, or `tell` fails.
    pub async fn follow(
        &mut self,
        admin: &Admin,
        run: &Json,
        tell: &mut dyn FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Json> {
        let name = run["metadata"]["name"].as_str().context("a run has no name")?;
        let served = admin.served(run)?.context("runs are not served")?;
        let place = served.path(run["metadata"]["namespace"].as_str().unwrap_or_default());
        let mut runs =
            Informer::new(admin.api().clone(), &place, &format!("fieldSelector=metadata.name%3D{name}"));
        let mut told = String::new();
        let ended = loop {
            let now = tokio::select! {
                biased;
                event = self.events.next() => {
                    self.tell(&event, tell)?;
                    continue;
                }
                change = runs.next() => match change {
                    Change::Applied(now) => now,
                    Change::Deleted(_) => bail!("the run was deleted"),
                    Change::Synced => continue,
                },
            };
            let state = State::of(&now);
            let kind = run["kind"].as_str().unwrap_or_default();
            let line = format!("{kind} {name}: {} {}: {}", state.phase, state.reason, first(&state.message));
            if line != told && !state.phase.is_empty() {
                tell(&line)?;
                told = line;
            }
            if state.has_ended() {
                break now;
            }
        };
        self.tell_rest(tell)?;
        Ok(Json::clone(&ended))
    }

    /// Tells the Events that are there and have not been told.
    ///
    /// # Errors
    /// `tell` fails.
    pub fn tell_rest(&mut self, tell: &mut dyn FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
        while let Some(event) = self.events.next().now_or_never() {
            self.tell(&event, tell)?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        change: &Change,
        tell: &mut dyn FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Change::Applied(event) = change else { return Ok(()) };
        if !self.seen.insert(event["metadata"]["uid"].to_string()) {
            return Ok(());
        }
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let (of, note) = (&event["regarding"], text(&event["note"]));
        let (kind, name, reason) = (text(&of["kind"]), text(&of["name"]), text(&event["reason"]));
        tell(&format!("  {kind} {name}: {reason} {}", first(&note)))
    }
}

/// Returns the first line of a message; the last word on a run is told whole elsewhere.
fn first(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
