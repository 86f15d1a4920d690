//! Calls of components: off the async threads, bounded in number, counted and logged.

use std::sync::Arc;

use backstay_engine::{CallError, Called, Component};
use tokio::sync::Semaphore;

use super::registry::Registry;
use crate::cluster::error::chain;
use crate::metrics::Metrics;

/// The loaded components, and the bound on concurrent calls.
pub struct Components {
    /// The components that are loaded.
    pub registry: Registry,
    permits: Semaphore,
    metrics: Arc<Metrics>,
}

/// A call that failed, in words for the status of a run.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallFailed {
    /// Reason of the condition, the Event and the metric.
    pub reason: &'static str,
    /// Names the component, the cause and the remedy.
    pub message: String,
}

impl Components {
    /// The components of `registry`, of which at most `concurrency` calls run at once; `metrics` counts them.
    #[must_use]
    pub fn new(registry: Registry, concurrency: u16, metrics: Arc<Metrics>) -> Self {
        Self { registry, permits: Semaphore::new(usize::from(concurrency)), metrics }
    }

    /// Calls `function` of a component on a thread for blocking work.
    ///
    /// # Errors
    /// The component trapped, exceeded a limit or broke the contract.
    pub async fn call<T, F>(
        &self,
        component: &Component,
        function: &'static str,
        call: F,
    ) -> Result<T, CallFailed>
    where
        T: Send + 'static,
        F: FnOnce(&Component) -> Result<Called<T>, CallError> + Send + 'static,
    {
        // Acquiring fails only after close(), which nobody calls.
        let _permit = self.permits.acquire().await;
        let name = component.descriptor().name.clone();
        let began = std::time::Instant::now();
        let component = component.clone();
        let result = match tokio::task::spawn_blocking(move || call(&component)).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let outcome = result.as_ref().map_or_else(|e| e.reason(), |_| "ok");
        self.metrics.called(&name, function, outcome, began.elapsed().as_secs_f64());
        match result {
            Ok(called) => {
                for line in &called.log {
                    tracing::debug!(component = %name, function, level = ?line.level, line = %line.message, "component log");
                }
                Ok(called.value)
            }
            Err(error) => {
                // The author needs the lines that the component logged before it failed.
                for line in &error.log {
                    tracing::warn!(component = %name, function, level = ?line.level, line = %line.message, "component log");
                }
                Err(CallFailed { reason: error.reason(), message: message(&name, &error) })
            }
        }
    }
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
