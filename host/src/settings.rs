//! Settings of a controller.

use std::net::SocketAddr;
use std::time::Duration;

use backstay_core::credentials::Projection;
use backstay_core::run_budget::BudgetLimits;
use jiff::SignedDuration;

/// Settings of a controller. [`Settings::default`] is what the command line has as defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's own namespace, which holds strategy revisions and checkpoints.
    pub namespace: String,
    /// Address of `/livez`, `/readyz` and `/metrics`; `None` serves none of them.
    pub http: Option<SocketAddr>,
    /// How long a run waits for something missing (a class, a strategy, a component, a previous Job).
    pub wait_deadline: SignedDuration,
    /// How long a run may take, unless its component or strategy says less.
    pub run_deadline: SignedDuration,
    /// How long a component may take to undo what a deleted or late run began.
    pub undo_deadline: SignedDuration,
    /// Time to live of a finished Job, once its result is recorded; `None` keeps it until its run is deleted.
    pub job_ttl: Option<SignedDuration>,
    /// Projection of the platform's credentials into the namespaces of runs; `None` projects nothing.
    pub credentials: Option<Projection>,
    /// How often a running run is reconciled without any event, as a net under the watches (docs/rules.md R8).
    pub recheck: Duration,
    /// How many objects of a kind are reconciled, and how many components called, at once.
    pub concurrency: u16,
    /// What one run may spend in a minute.
    pub budget: BudgetLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "backstay-system".to_owned(),
            http: None,
            wait_deadline: SignedDuration::from_mins(30),
            run_deadline: SignedDuration::from_hours(6),
            undo_deadline: SignedDuration::from_mins(15),
            job_ttl: None,
            credentials: None,
            recheck: Duration::from_mins(2),
            concurrency: 16,
            budget: BudgetLimits::default(),
        }
    }
}
