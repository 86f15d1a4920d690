//! One run of a strategy, as a test sets it up.

use backstay_core::contract::{Backup, Failure, Json, Mode, Outcome, PodRun, Request, StepResult, View};
use backstay_engine::{CallError, Called, Component};

use crate::drive::Drive;
use crate::fixture;
use crate::messages::{call_error_text, failure_text};
use crate::world::World;

/// One run: the request that the strategy receives. [`crate::Built::backup`] and similar methods begin it, fixtures
/// fill it in, and [`Case::rendered`], [`Case::parsed`] and similar methods call the strategy. Every call gets a fresh
/// instance.
#[derive(Clone, Debug)]
#[must_use]
pub struct Case<'a> {
    component: &'a Component,
    request: Request,
    application: Option<Json>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(component: &'a Component, mode: Mode) -> Self {
        let mut request = fixture::request(mode);
        if let Some(kind) = component.descriptor().kinds.first() {
            request.strategy_kind.group.clone_from(&kind.group);
            request.strategy_kind.kind.clone_from(&kind.kind);
        }
        request.namespaces.clone_from(&component.descriptor().namespaces);
        Self { component, request, application: None }
    }

    pub(crate) fn of_backup(mut self, backup: Backup) -> Self {
        self.request.parameters = fixture::parameters(&backup, &self.request.strategy_kind);
        self.request.backup = Some(backup);
        self
    }

    /// Sets the strategy object.
    #[track_caller]
    pub fn strategy(mut self, yaml: &str) -> Self {
        let (kind, spec) = fixture::strategy(yaml);
        self.request.strategy_kind = kind;
        self.request.strategy = Some(spec);
        if let Some(backup) = &self.request.backup {
            self.request.parameters.extend(fixture::parameters(backup, &self.request.strategy_kind));
        }
        self
    }

    /// Sets the application; on restore the target. Its namespace becomes the run's.
    #[track_caller]
    pub fn application(mut self, yaml: &str) -> Self {
        let object: Json = fixture::yaml("application", yaml);
        self.request.application = fixture::reference("application", &object);
        self.request.run.namespace.clone_from(&self.request.application.namespace);
        self.application = Some(object);
        self
    }

    /// Sets a parameter of the BackupClass.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.request.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets `RestoreJob.spec.options`.
    #[track_caller]
    pub fn options(mut self, yaml: &str) -> Self {
        self.request.options = Some(fixture::yaml("options", yaml));
        self
    }

    /// Changes any part of the request.
    pub fn with(mut self, change: impl FnOnce(&mut Request)) -> Self {
        change(&mut self.request);
        self
    }

    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Calls `render`, and returns its answer and cost.
    ///
    /// # Errors
    /// The call failed: a trap, a limit, a broken rule.
    pub fn call_render(&self) -> Result<Called<Result<PodRun, Failure>>, CallError> {
        self.component.render(&self.request, self.application.as_ref())
    }

    /// Calls `render`, and returns the pod run.
    ///
    /// # Panics
    /// It answers a failure, or the call fails.
    #[must_use]
    #[track_caller]
    pub fn rendered(&self) -> PodRun {
        match answered(self.call_render()) {
            Ok(run) => run,
            Err(failure) => panic!("render refused the run\n{}", failure_text(&failure)),
        }
    }

    /// Calls `render`, and returns the failure.
    ///
    /// # Panics
    /// It answers a pod run, or the call fails.
    #[must_use]
    #[track_caller]
    pub fn refused(&self) -> Failure {
        match answered(self.call_render()) {
            Ok(run) => panic!("render did not refuse the run; the pod is\n{:#}", run.template),
            Err(failure) => failure,
        }
    }

    /// Calls `parse` with the result of a Job, and returns its answer and cost.
    ///
    /// # Errors
    /// The call failed: a trap, a limit, a broken rule.
    ///
    /// # Panics
    /// The fixture is no pod result.
    #[track_caller]
    pub fn call_parse(&self, ended: &str) -> Result<Called<Result<Outcome, Failure>>, CallError> {
        self.component.parse(&self.request, &fixture::ended(ended))
    }

    /// Calls `parse` with the result of a Job, and returns the outcome.
    ///
    /// # Panics
    /// It answers a failure, or the call fails.
    #[must_use]
    #[track_caller]
    pub fn parsed(&self, ended: &str) -> Outcome {
        match answered(self.call_parse(ended)) {
            Ok(outcome) => outcome,
            Err(failure) => panic!("parse says that the run failed\n{}", failure_text(&failure)),
        }
    }

    /// Calls `parse` with the result of a Job, and returns the failure.
    ///
    /// # Panics
    /// It answers an outcome, or the call fails.
    #[must_use]
    #[track_caller]
    pub fn failed(&self, ended: &str) -> Failure {
        match answered(self.call_parse(ended)) {
            Ok(outcome) => panic!("parse says that the run went well\n{outcome:#?}"),
            Err(failure) => failure,
        }
    }

    /// Runs the case in a cluster of objects, with the host's loop around `step`. Adds the application if it is
    /// missing.
    #[must_use]
    pub fn world(self, mut world: World) -> Drive<'a> {
        if let Some(object) = self.application
            && world.get(&self.request.application).is_none()
        {
            world.put(object);
        }
        let component = self.component;
        let step = move |request: &Request, view: &View| match component.step(request, view) {
            Ok(called) => Ok(called.value),
            Err(e) => Err(call_error_text(&e)),
        };
        Drive::new(component.descriptor(), self.request, world, Box::new(step))
    }

    /// Calls `step`, and returns its answer.
    ///
    /// # Panics
    /// The call fails.
    #[must_use]
    #[track_caller]
    pub fn stepped(&self, view: &View) -> StepResult {
        answered(self.component.step(&self.request, view))
    }
}

#[track_caller]
fn answered<T>(called: Result<Called<T>, CallError>) -> T {
    match called {
        Ok(called) => called.value,
        Err(e) => panic!("{}", call_error_text(&e)),
    }
}
