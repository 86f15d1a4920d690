//! The time for retries of one wake. A wake may ask hundreds of questions; where the API server does not answer, each of them
//! would otherwise be retried for a minute, and the run could not be reconciled meanwhile.

use std::time::Duration;

use parking_lot::Mutex;

/// How long the calls of a wake are retried, together. After that each call is made once.
const WAKE: Duration = Duration::from_mins(2);
/// How long one call is retried at most.
const CALL: Duration = Duration::from_mins(1);

/// The time that is left in a wake for retries.
pub(crate) struct RetryBudget(Mutex<Duration>);

impl RetryBudget {
    /// The budget of a new wake.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(WAKE))
    }

    /// Returns how long a call that begins now may be retried.
    pub(crate) fn for_call(&self) -> Duration {
        (*self.0.lock()).min(CALL)
    }

    /// Takes the time of a retry from the budget.
    pub(crate) fn spend(&self, time: Duration) {
        let mut left = self.0.lock();
        *left = left.saturating_sub(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_wake_share_two_minutes_of_retries_and_one_call_has_a_minute_at_most() {
        let budget = RetryBudget::new();
        assert_eq!(budget.for_call(), Duration::from_mins(1));
        budget.spend(Duration::from_secs(90));
        assert_eq!(budget.for_call(), Duration::from_secs(30));
        budget.spend(Duration::from_mins(1));
        assert_eq!(budget.for_call(), Duration::ZERO);
    }
}
