//! A run that has ended, and the cluster that it ended in.

use std::fmt;
use std::time::Duration;

use backstay::trial::{State, backup_job, restore_job};
use backstay_api::{labels, phase};
use backstay_core::contract::{Descriptor, Json};
use backstay_engine::Component;

use super::cluster::{CLASS, Cluster};
use super::pods::{PodEnd, Pods};
use super::stage::Stage;
use crate::fixture;

/// A run that has ended, well or not, and the cluster as it is then. It prints as its story: show that where an assertion
/// fails (`assert!(run.succeeded(), "{run}")`).
///
/// The cluster goes on with [`Run::restore`]. In between a test may change it, with [`Run::apply`] and [`Run::delete`].
pub struct Run {
    cluster: Cluster,
    stage: Setting,
    object: Json,
    backup: Option<Json>,
    events: Vec<Json>,
    requests: Vec<String>,
}

/// What of a stage later runs need.
struct Setting {
    application: Json,
    options: Option<Json>,
    target: Option<Json>,
    pods: Pods,
    within: Duration,
    runs: u32,
}

impl Run {
    /// Plays a BackupJob.
    #[track_caller]
    pub(crate) fn backup_of(component: &Component, mut stage: Stage) -> Self {
        if !serves(component.descriptor(), &stage.strategy) {
            panic!("the strategy fixture is of no kind that the component serves: {}", stage.strategy);
        }
        let cluster = match Cluster::start(component, &mut stage) {
            Ok(cluster) => cluster,
            Err(error) => panic!("the stage cannot be set up: {error:#}"),
        };
        let stage = Setting {
            application: stage.application,
            options: stage.options,
            target: stage.target,
            pods: stage.pods,
            within: stage.within,
            runs: 0,
        };
        let job = backup_job("nightly", &stage.application, CLASS);
        Self { cluster, stage, object: Json::Null, backup: None, events: Vec::new(), requests: Vec::new() }
            .played(&job)
    }

    /// Restores the Backup of this run in the same cluster, with options in YAML (empty for none), into the target of the
    /// stage if it has one.
    ///
    /// # Panics
    /// There is no Backup, or the run does not end.
    #[must_use]
    #[track_caller]
    pub fn restore(mut self, options: &str) -> Self {
        if !options.trim().is_empty() {
            self.stage.options = Some(fixture::yaml("options", options));
        }
        let Some(backup) = self.backup.as_ref().and_then(|backup| backup["metadata"]["name"].as_str()) else {
            panic!("there is no Backup to restore\n{self}");
        };
        self.stage.runs += 1;
        let name = match self.stage.runs {
            1 => "restore".to_owned(),
            more => format!("restore-{more}"),
        };
        let job = restore_job(&name, backup, self.stage.target.as_ref(), self.stage.options.as_ref());
        self.played(&job)
    }

    #[track_caller]
    fn played(mut self, job: &Json) -> Self {
        self.cluster.journal.take_requests();
        let made = self.cluster.play(job, self.stage.within).and_then(|object| {
            self.requests = self.cluster.journal.take_requests();
            let uid = text(&object["metadata"]["uid"]);
            let backups = self.cluster.labelled(labels::RUN_UID, &uid)?;
            self.backup = backups
                .into_iter()
                .find(|made| made["kind"] == "Backup" && is_ours(made))
                .or(self.backup.take());
            self.events = self.cluster.events()?;
            Ok(object)
        });
        match made {
            Ok(object) => self.object = object,
            Err(error) => panic!("{error:#}\n{self}"),
        }
        self
    }

    /// Changes how the containers of this name end in later runs, as [`Stage::pod`] does.
    pub fn pod(&mut self, container: &str, ends: impl IntoIterator<Item = PodEnd>) {
        self.stage.pods.set(container, ends);
    }

    /// Makes or changes objects: YAML documents.
    ///
    /// # Panics
    /// The API server refuses one.
    #[track_caller]
    pub fn apply(&mut self, yaml: &str) {
        let objects = fixture::documents("applied", yaml);
        if let Err(error) = self.cluster.apply(&objects) {
            panic!("{error:#}");
        }
    }

    /// Deletes an object of the run's namespace. The kind is named as in `Backup.postgresql.cnpg.io`.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn delete(&mut self, kind: &str, name: &str) {
        if let Err(error) = self.cluster.delete(kind, name) {
            panic!("{kind} {name}: {error:#}");
        }
    }

    /// Returns the BackupJob or RestoreJob as the cluster has it.
    #[must_use]
    pub fn object(&self) -> &Json {
        &self.object
    }

    /// Returns whether the run has succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        State::of(&self.object).phase == phase::SUCCEEDED
    }

    /// Returns the reason of its condition `Ready`: of a failed run, that of the failure.
    #[must_use]
    pub fn reason(&self) -> String {
        State::of(&self.object).reason
    }

    /// Returns the message of its condition `Ready`.
    #[must_use]
    pub fn message(&self) -> String {
        State::of(&self.object).message
    }

    /// Returns the Backup that the run has made, or that a restore restored.
    ///
    /// # Panics
    /// There is none; the message has the story.
    #[must_use]
    #[track_caller]
    pub fn backup(&self) -> &Json {
        match &self.backup {
            Some(backup) => backup,
            None => panic!("the run made no Backup\n{self}"),
        }
    }

    /// Returns all Events of the namespace, of this run and of others.
    #[must_use]
    pub fn events(&self) -> &[Json] {
        &self.events
    }

    /// Returns whether an Event of this reason is about the run.
    #[must_use]
    pub fn told(&self, reason: &str) -> bool {
        let own = |event: &Json| event["regarding"]["uid"] == self.object["metadata"]["uid"];
        self.events.iter().any(|event| event["reason"] == reason && own(event))
    }

    /// Returns the objects in the run's namespace that the run made and that are still there: Jobs, pods, objects of its
    /// component, the Backup.
    ///
    /// # Panics
    /// The API server refuses.
    #[must_use]
    #[track_caller]
    pub fn made(&self) -> Vec<Json> {
        let uid = text(&self.object["metadata"]["uid"]);
        match self.cluster.labelled(labels::RUN_UID, &uid) {
            Ok(made) => made,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Returns all objects of a kind in the run's namespace. The kind is named as in `Backup.postgresql.cnpg.io`.
    ///
    /// # Panics
    /// It is not served.
    #[must_use]
    #[track_caller]
    pub fn all(&self, kind: &str) -> Vec<Json> {
        match self.cluster.all(kind) {
            Ok(all) => all,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Returns an object of the run's namespace; `None` if there is none. The kind is named as in
    /// `Backup.postgresql.cnpg.io`.
    ///
    /// # Panics
    /// It is not served.
    #[must_use]
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Option<Json> {
        self.all(kind).into_iter().find(|object| object["metadata"]["name"] == name)
    }

    /// Returns what the controller asked the API server for in the last run, for itself and as the component, in the order of the
    /// requests: `GET GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME as NAME-OF-ACCOUNT`. Watches, discovery and Events are not
    /// among them. A run of many reads and writes costs every user of the cluster.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// Returns what happened since the stage was set up, one line each with its simulated time: changes of the status,
    /// Events, writes of the controller and of operators.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.cluster.journal.lines()
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether an object is of Backstay's own group, and not of an operator that has such a kind too.
fn is_ours(object: &Json) -> bool {
    object["apiVersion"] == backstay_api::API_VERSION
}

fn serves(descriptor: &Descriptor, strategy: &Json) -> bool {
    descriptor.kinds.iter().any(|kind| {
        strategy["kind"] == kind.kind.as_str()
            && strategy["apiVersion"] == format!("{}/{}", kind.group, kind.version)
    })
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_null() {
            let State { phase, reason, message } = State::of(&self.object);
            writeln!(f, "{phase} {reason}: {message}")?;
        }
        self.story().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("object", &self.object)
            .field("story", &self.story())
            .finish_non_exhaustive()
    }
}
