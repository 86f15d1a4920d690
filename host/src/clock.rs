//! The clock of the process. It follows tokio's clock, so a test that pauses tokio's time pauses this one too.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    epoch: Timestamp,
}

impl Clock {
    /// Starts the clock at the machine's time.
    #[must_use]
    pub fn start() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// Starts the clock at `epoch`.
    #[must_use]
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { origin: Instant::now(), epoch }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}
