//! What a run meets.

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_core::contract::Json;

use super::operator::{Operator, Reaction};
use super::pods::{PodEnd, Pods};
use crate::fixture;

/// Simulated time after which a run is taken for one that does not end.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a run meets: the strategy, the application and other objects; how pods end; what operators do. The namespace is
/// the application's.
///
/// The component may do all that it declares. Kinds that it declares and kinds of objects need no CRD: without one they
/// are made, with a status and without a schema. Containers without a script succeed after a second.
#[must_use]
pub struct Stage {
    pub(super) strategy: Json,
    pub(super) application: Json,
    pub(super) objects: Vec<Json>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) options: Option<Json>,
    pub(super) target: Option<Json>,
    pub(super) pods: Pods,
    pub(super) operators: Vec<Operator>,
    pub(super) within: Duration,
}

impl Stage {
    /// Begins with a strategy object and an application: YAML as a user writes it. A strategy without a name gets one.
    ///
    /// # Panics
    /// A fixture is no object, or the application has no name.
    #[track_caller]
    pub fn new(strategy: &str, application: &str) -> Self {
        let mut strategy: Json = fixture::yaml("strategy", strategy);
        if strategy["metadata"]["name"].is_null() {
            strategy["metadata"]["name"] = "strategy".into();
        }
        let mut application: Json = fixture::yaml("application", application);
        if fixture::reference("application", &application).namespace.is_none() {
            application["metadata"]["namespace"] = "default".into();
        }
        Self {
            strategy,
            application,
            objects: Vec::new(),
            parameters: BTreeMap::new(),
            options: None,
            target: None,
            pods: Pods::default(),
            operators: Vec::new(),
            within: PATIENCE,
        }
    }

    /// Adds objects: YAML documents. The API server takes them as from any client, with the status that they have. It
    /// gives them uids of its own; an owner reference may name the uid that an object above it has in the fixture. CRDs
    /// among them come first.
    ///
    /// # Panics
    /// A document is no object.
    #[track_caller]
    pub fn objects(mut self, yaml: &str) -> Self {
        self.objects.extend(fixture::documents("stage", yaml));
        self
    }

    /// Sets a parameter of the BackupClass.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets `spec.options` of the RestoreJob.
    #[track_caller]
    pub fn options(mut self, yaml: &str) -> Self {
        self.options = Some(fixture::yaml("options", yaml));
        self
    }

    /// Sets the application to restore into, of which the stage makes an object too. Without it, it is the one that was
    /// backed up.
    #[track_caller]
    pub fn target(mut self, yaml: &str) -> Self {
        let mut target: Json = fixture::yaml("target", yaml);
        target["metadata"]["namespace"] = self.application["metadata"]["namespace"].clone();
        self.target = Some(target);
        self
    }

    /// Sets how the containers of this name end, in whatever pod they are. Of several ends each start takes one, and
    /// later ones the last: `[PodEnd::code(1), PodEnd::ok()]`.
    pub fn pod(self, container: &str, ends: impl IntoIterator<Item = PodEnd>) -> Self {
        self.pods.set(container, ends);
        self
    }

    /// Sets what the operator of a kind does: `react` gets an object of the run's namespace each time that it has changed,
    /// also by its own writes, and returns the status to write, or another [`Reaction`]. A write that changes nothing is none, so it may
    /// simply say how the object should be. The kind is named as in `Backup.postgresql.cnpg.io`, or `ConfigMap`.
    pub fn operator<R: Into<Reaction>>(
        mut self,
        kind: &str,
        mut react: impl FnMut(&Json) -> R + Send + 'static,
    ) -> Self {
        let react = Box::new(move |object: &Json| react(object).into());
        self.operators.push(Operator { kind: kind.to_owned(), react });
        self
    }

    /// Sets for how long of simulated time a run may go on; without it for an hour. A run that has not ended then fails
    /// the test, and the message says what it waits for.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("strategy", &self.strategy)
            .field("application", &self.application)
            .finish_non_exhaustive()
    }
}
