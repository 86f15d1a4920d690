//! How a controller is set up.

use std::net::SocketAddr;
use std::time::Duration;

use backstay_core::credentials::Projection;
use jiff::SignedDuration;

/// Settings of a controller. [`Settings::default`] is what the command line has as defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's own namespace, where strategy revisions are kept.
    pub namespace: String,
    /// Address of `/livez`, `/readyz` and `/metrics`; none: not served.
    pub http: Option<SocketAddr>,
    /// How long a run waits for something missing (a class, a strategy, a component, a previous Job).
    pub wait_deadline: SignedDuration,
    /// How long a run may take, unless its component or strategy says less.
    pub run_deadline: SignedDuration,
    /// How long a component has to undo what a run has begun that is deleted or out of time.
    pub undo_deadline: SignedDuration,
    /// How long a finished Job stays once its result is recorded; none: until its run is deleted.
    pub job_ttl: Option<SignedDuration>,
    /// How the platform's credentials get into the namespaces of runs that need them; none: they do not.
    pub credentials: Option<Projection>,
    /// How often a running run is looked at without any event, as a net under the watches (lifecycle.md R8).
    pub recheck: Duration,
    /// How many runs are looked at, and how many components called, at once.
    pub concurrency: u16,
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
        }
    }
}
