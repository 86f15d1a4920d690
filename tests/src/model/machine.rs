//! The machine of a controller in simulated time.

use std::time::Duration;

use backstay::clock::Machine;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;

/// A machine whose clock is that of its API server, and which is never suspended.
pub(super) struct InTime {
    clock: Clock,
    begun: Instant,
}

impl InTime {
    /// A machine that starts now.
    pub(super) fn by(clock: Clock) -> Self {
        Self { clock, begun: Instant::now() }
    }
}

impl Machine for InTime {
    fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    fn running(&self) -> Duration {
        self.begun.elapsed()
    }

    fn since_boot(&self) -> Option<Duration> {
        None
    }
}
