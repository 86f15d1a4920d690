//! What is done once in a period, as a net under watches that tell of it sooner.

use std::time::Duration;

use tokio::time::Instant;

/// When something was last done, or first asked for.
#[derive(Debug, Default)]
pub struct Due(Option<Instant>);

impl Due {
    /// Whether it is time to do it, which then counts as done. The first time is one period after it was first asked.
    pub fn now(&mut self, every: Duration) -> bool {
        let now = Instant::now();
        let due = now.duration_since(*self.0.get_or_insert(now)) >= every;
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_a_period_is_over_it_is_not_time_and_after_it_it_is() {
        let mut due = Due::default();
        assert!(!due.now(Duration::MAX));
        assert!(due.now(Duration::ZERO));
        assert!(!due.now(Duration::MAX));
    }
}
