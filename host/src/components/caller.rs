//! Calls of components: off the async threads, bounded in number, counted and logged.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::call_slots::Call;
use backstay_core::log_text::{LOG_TEXT, escaped};
use backstay_engine::{CallError, Called, Component};
use tokio::time::Instant;

use super::registry::Registry;
use super::slots::Slots;
use crate::cluster::error::chain;
use crate::metrics::Metrics;

/// The loaded components, and the bound on concurrent calls.
pub struct Components {
    /// The components that are loaded.
    pub registry: Registry,
    slots: Slots,
    calls: Calls,
    metrics: Arc<Metrics>,
}

/// Where components are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// On threads for blocking work, so that others go on meanwhile.
    OnThreads,
    /// In the task that calls. Nothing else happens meanwhile, and so the same happens each time: for tests in simulated time.
    InTask,
}

/// Niceness of a thread that calls a component.
const NICE: i32 = 10;
/// Two slots at least: a component has half of them.
const FEWEST_SLOTS: usize = 2;

/// For whom a component is called. Callers share the slots for calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Namespace of the run; empty for an object outside of namespaces.
    pub namespace: &'a str,
    /// Whether the run is a restore: somebody waits for it.
    pub restore: bool,
}

/// A call that failed, in words for the status of a run.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallFailed {
    /// No call was made: too many wait for this component. It is tried again soon, and no failure of the run.
    pub busy: bool,
    /// Reason of the condition, the Event and the metric.
    pub reason: &'static str,
    /// Names the component, the cause and the remedy.
    pub message: String,
}

impl Components {
    /// The components of `registry`, of which at most `concurrency` calls run at once, and no more than there are cores: they
    /// compute and wait for nothing. They run where `calls` says, and `metrics` counts them.
    #[must_use]
    pub fn new(registry: Registry, concurrency: u16, calls: Calls, metrics: Arc<Metrics>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let slots = usize::from(concurrency).min(cores.max(FEWEST_SLOTS));
        Self { registry, slots: Slots::new(slots, usize::from(concurrency) / 2), calls, metrics }
    }

    /// Calls `function` of a component for `caller`, when it is the caller's turn.
    ///
    /// # Errors
    /// See [`Components::timed_call`].
    pub async fn call<T, F>(
        &self,
        component: &Component,
        caller: Caller<'_>,
        function: &'static str,
        call: F,
    ) -> Result<T, CallFailed>
    where
        T: Send + 'static,
        F: FnOnce(&Component) -> Result<Called<T>, CallError> + Send + 'static,
    {
        self.timed_call(component, caller, function, call).await.0
    }

    /// As [`Components::call`]; returns also how long the call took, without the wait for its turn.
    ///
    /// # Errors
    /// The component trapped, exceeded a limit or broke the contract.
    pub async fn timed_call<T, F>(
        &self,
        component: &Component,
        caller: Caller<'_>,
        function: &'static str,
        call: F,
    ) -> (Result<T, CallFailed>, Duration)
    where
        T: Send + 'static,
        F: FnOnce(&Component) -> Result<Called<T>, CallError> + Send + 'static,
    {
        let name = component.descriptor().name.clone();
        let asked =
            Call { component: name.clone(), namespace: caller.namespace.to_owned(), restore: caller.restore };
        let Some(_slot) = self.slots.take(asked).await else {
            let message = format!("too many calls wait for component {name:?}");
            let busy = CallFailed { busy: true, reason: reasons::RUNNING, message };
            return (Err(busy), Duration::ZERO);
        };
        let began = Instant::now();
        let result = match self.calls {
            Calls::InTask => call(component),
            Calls::OnThreads => {
                let component = component.clone();
                match tokio::task::spawn_blocking(move || behind_others(|| call(&component))).await {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                }
            }
        };
        let outcome = result.as_ref().map_or_else(|e| e.reason(), |_| "ok");
        let took = began.elapsed();
        self.metrics.called(&name, function, outcome, took.as_secs_f64());
        let result = match result {
            Ok(called) => {
                for line in &called.log {
                    tracing::debug!(component = %name, function, level = ?line.level, line = %escaped(&line.message, LOG_TEXT), "component log");
                }
                Ok(called.value)
            }
            Err(error) => {
                // The author needs the lines that the component logged before it failed.
                for line in &error.log {
                    tracing::warn!(component = %name, function, level = ?line.level, line = %escaped(&line.message, LOG_TEXT), "component log");
                }
                Err(CallFailed { busy: false, reason: error.reason(), message: message(&name, &error) })
            }
        };
        (result, took)
    }
}

/// Calls a function on a thread that gets the processor after the others: the one that serves everybody comes first.
fn behind_others<T>(call: impl FnOnce() -> T) -> T {
    // On Linux this is the priority of the calling thread. A thread that has it already, or may not set it, goes on as it is.
    let _ = rustix::process::setpriority_process(None, NICE);
    call()
}

fn message(component: &str, error: &CallError) -> String {
    let remedy = match error.reason() {
        // These messages name the remedy themselves.
        "StrategyOutOfFuel"
        | "StrategyTimedOut"
        | "StrategyOutOfMemory"
        | "StrategyStackExhausted"
        | "StrategyInputTooLarge" => "",
        _ => "; report it to the component's author, with what it logged to the controller's log",
    };
    format!("component {component:?}: {}{remedy}", chain(error))
}
