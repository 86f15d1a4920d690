//! Whose time counts: the machine's, or that of a Kubernetes in memory.

use devcluster::api::{Clock as _, TokioClock};
use jiff::Timestamp;

/// The clock by which an API server dates its objects.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's.
    Machine,
    /// Tokio's, which may stand still.
    Tokio(TokioClock),
}

impl Clock {
    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Machine => Timestamp::now(),
            Self::Tokio(clock) => clock.now(),
        }
    }
}
