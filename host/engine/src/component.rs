//! A loaded component and its calls.

use std::sync::Arc;

use backstay_core::contract::{
    Descriptor, Diagnostic, Failure, GroupKind, Json, Outcome, Pairs, PodResult, PodRun, Request, StepResult,
    View,
};

use crate::call::{Called, InstanceCost};
use crate::call_error::CallError;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::rules;
use crate::v0_1;
use crate::world::{CodeOrigin, World};

/// A loaded component: compiled, checked and described. Cloning is cheap.
///
/// Calls are synchronous and bounded by the component's [`Limits`]; each has its own instance. When all instances of
/// the engine are in use, a call waits for one. Any number of threads may call at a time, but never a thread that must
/// not block, such as one of an async runtime.
#[derive(Clone)]
pub struct Component {
    loaded: Arc<Loaded>,
    limits: Limits,
}

pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) driver: v0_1::Driver,
    pub(crate) world: World,
    pub(crate) descriptor: Descriptor,
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) wit_version: String,
    pub(crate) origin: CodeOrigin,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("name", &self.loaded.descriptor.name)
            .field("version", &self.loaded.descriptor.version)
            .field("world", &self.loaded.world)
            .field("digest", &self.loaded.digest)
            .finish_non_exhaustive()
    }
}

impl Component {
    pub(crate) fn new(loaded: Loaded, limits: Limits) -> Self {
        Self { loaded: Arc::new(loaded), limits }
    }

    /// Returns this component with other limits, each capped at the host's maximum.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { loaded: Arc::clone(&self.loaded), limits: limits.at_most(self.loaded.engine.limits()) }
    }

    /// The limits of its calls.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The descriptor, which obeys every rule of the contract.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.loaded.descriptor
    }

    /// The world that it implements.
    #[must_use]
    pub fn world(&self) -> World {
        self.loaded.world
    }

    /// Digest of the file, `sha256:<hex>`.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.loaded.digest
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.loaded.size
    }

    /// The names of the interfaces it imports, such as `backstay:strategy/log@0.1.0`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.loaded.imports
    }

    /// The version of the contract it speaks, such as `0.1.0`.
    #[must_use]
    pub fn wit_version(&self) -> &str {
        &self.loaded.wit_version
    }

    /// The origin of its machine code at load.
    #[must_use]
    pub fn code_origin(&self) -> CodeOrigin {
        self.loaded.origin
    }

    /// Makes an instance as every call does and drops it without calling it, for benchmarks of the cost of a call.
    ///
    /// # Errors
    /// Instantiation itself exceeds a limit.
    pub fn measure_instance(&self) -> Result<InstanceCost, CallError> {
        self.loaded.driver.measure_instance(&self.call())
    }

    /// Asks the component for findings on a strategy's `.spec` of `kind` and, if given, parameters and options.
    ///
    /// # Errors
    /// [`CallError`]: the call exceeded a limit, the arguments are too large, or the answer breaks the contract.
    pub fn validate(
        &self,
        kind: &GroupKind,
        strategy: &Json,
        parameters: Option<&Pairs>,
        options: Option<&Json>,
    ) -> Result<Called<Vec<Diagnostic>>, CallError> {
        self.loaded.driver.validate(&self.call(), kind, strategy, parameters, options)
    }

    /// Asks the component for the pod of `request`. `application` is the live object, and `None` only on cleanup.
    ///
    /// The rendered template has the shape of a PodTemplateSpec wherever the host looks into it.
    ///
    /// # Errors
    /// As [`Component::validate`], and `StrategyWrongWorld` for a `resource-strategy`.
    pub fn render(
        &self,
        request: &Request,
        application: Option<&Json>,
    ) -> Result<Called<Result<PodRun, Failure>>, CallError> {
        self.loaded.driver.render(&self.call(), request, application, rules::render)
    }

    /// Asks the component for the result of an ended pod run. An outcome is returned only for a run that succeeded.
    ///
    /// # Errors
    /// As [`Component::validate`], and `StrategyWrongWorld` for a `resource-strategy`.
    pub fn parse(
        &self,
        request: &Request,
        ended: &PodResult,
    ) -> Result<Called<Result<Outcome, Failure>>, CallError> {
        self.loaded.driver.parse(&self.call(), request, ended, |answer| rules::parse(ended, answer))
    }

    /// Asks the component for its next step. A stage in the answer is in the descriptor, a deadline is later than now,
    /// and `done` has an outcome exactly in mode backup.
    ///
    /// The caller checks the rules that depend on earlier steps: grants, and how often a wake may observe and act.
    ///
    /// # Errors
    /// As [`Component::validate`], and `StrategyWrongWorld` for a `pod-strategy`.
    pub fn step(&self, request: &Request, view: &View) -> Result<Called<StepResult>, CallError> {
        let descriptor = &self.loaded.descriptor;
        self.loaded
            .driver
            .step(&self.call(), request, view, |answer| rules::step(descriptor, request, answer))
    }

    fn call(&self) -> v0_1::Call<'_> {
        self.loaded.engine.call(self.limits)
    }
}
