//! What every step of the controller shares.

use std::sync::Arc;

use backstay_core::contract::Mode;
use backstay_engine::{CallError, Called};
use kube::{Client, ResourceExt};
use tokio::sync::Semaphore;

use crate::accounts::Accounts;
use crate::api_error::chain;
use crate::caches::Caches;
use crate::clock::Clock;
use crate::credentials::Projected;
use crate::departed::Departed;
use crate::discovery::Discovery;
use crate::events::Events;
use crate::interests::Interests;
use crate::metrics::Metrics;
use crate::precedence::Precedence;
use crate::queues::Queues;
use crate::registry::Registry;
use crate::revisions::Revisions;
use crate::run::{Memories, Run};
use crate::runs::Runs;
use crate::settings::Settings;
use crate::turns::SharedTurns;

/// What every step shares. One in a process.
pub struct Context {
    /// The one way to the API server.
    pub client: Client,
    /// The components.
    pub registry: Registry,
    /// What the watches show.
    pub caches: Caches,
    /// Where work is put.
    pub queues: Queues,
    /// What we wrote ourselves.
    pub runs: Runs,
    /// Recording goes before beginning.
    pub precedence: Precedence,
    /// Who may act on which application.
    pub turns: SharedTurns,
    /// Strategy revisions.
    pub revisions: Revisions,
    /// Kinds of applications.
    pub discovery: Discovery,
    /// This process, among those that may write the same checkpoint.
    pub writer: String,
    /// Who asks the API server for what components want.
    pub accounts: Accounts,
    /// What waiting runs watch.
    pub interests: Interests,
    /// What is known of runs whose strategy takes steps.
    pub memories: Memories,
    /// Backups that are gone.
    pub departed: Departed,
    /// The platform's credentials.
    pub projected: Projected,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// Settings.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
    /// How many components may be called at once.
    pub calls: Semaphore,
}

impl Context {
    /// A run has ended or is going away: its turn passes on, and whoever waited for it is looked at.
    pub fn finished(&self, run: &Run) {
        self.runs.ended(&run.uid);
        self.gives_way(run);
    }

    /// A run has no use for its turn now, or does not wait for it any more: it passes on, and whoever waited for it is
    /// looked at.
    pub fn gives_way(&self, run: &Run) {
        self.passes_on(&run.uid);
    }

    /// The same for a run by its uid.
    pub fn passes_on(&self, run_uid: &str) {
        for claim in self.turns.release(run_uid) {
            let is = |meta: &kube::core::ObjectMeta| meta.uid.as_deref() == Some(&claim.run_uid);
            match claim.mode {
                Mode::Backup | Mode::Restore => self.queues.wake(&self.caches, &claim.run_uid),
                Mode::Cleanup => {
                    if let Some(backup) = self.caches.backups.find(|b| is(&b.metadata)) {
                        self.queues.backup(&backup.namespace().unwrap_or_default(), &backup.name_any());
                    }
                }
            }
        }
    }

    /// A text as tenants may read it: without the platform's secret key, which pods may have got and can print.
    #[must_use]
    pub fn withheld(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(credentials) = self.projected.last() {
            credentials.redact(&mut text);
        }
        text
    }

    /// Posts an Event on a run: something went its way.
    pub fn note(&self, run: &Run, reason: &str, note: &str) {
        self.events.normal(run.reference(), reason, &self.withheld(note));
    }

    /// Posts an Event on a run: something a person may have to act on.
    pub fn warn(&self, run: &Run, reason: &str, note: &str) {
        self.events.warning(run.reference(), reason, &self.withheld(note));
    }

    /// Calls a component off the async threads, and counts the call.
    ///
    /// # Errors
    /// The component's.
    pub async fn call<T, F>(
        self: &Arc<Self>,
        component: &str,
        function: &'static str,
        call: F,
    ) -> Result<Called<T>, CallError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<Called<T>, CallError> + Send + 'static,
    {
        // Never closed: closing is the only way that acquiring fails.
        let _permit = self.calls.acquire().await;
        let began = std::time::Instant::now();
        let result = match tokio::task::spawn_blocking(call).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let word = result.as_ref().map_or_else(|e| e.reason(), |_| "ok");
        self.metrics.called(component, function, word, began.elapsed().as_secs_f64());
        let log = match &result {
            Ok(called) => &called.log,
            Err(error) => &error.log,
        };
        for line in log {
            match result {
                Ok(_) => {
                    tracing::debug!(component, function, level = ?line.level, line = %line.message, "component log");
                }
                // What it said before it fell is what its author needs.
                Err(_) => {
                    tracing::warn!(component, function, level = ?line.level, line = %line.message, "component log");
                }
            }
        }
        result
    }
}

/// A call that failed, as a person reads it: which component, why, and what to do.
#[must_use]
pub fn fault(component: &str, error: &CallError) -> String {
    let remedy = match error.reason() {
        // These messages say it themselves.
        "StrategyOutOfFuel"
        | "StrategyTimedOut"
        | "StrategyOutOfMemory"
        | "StrategyStackExhausted"
        | "StrategyInputTooLarge" => "",
        _ => "; report it to the component's author, with what it logged to the controller's log",
    };
    format!("component {component:?}: {}{remedy}", chain(error))
}
