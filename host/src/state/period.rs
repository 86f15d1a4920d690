//! Work that is done once in a period, as a net under watches that ask for it sooner.

use std::time::Duration;

use tokio::time::Instant;

/// When the work was last done, or first asked for.
#[derive(Debug, Default)]
pub struct Period(Option<Instant>);

impl Period {
    /// Returns whether the period is over, and begins the next one if it is. The first one begins with the first call.
    pub fn elapsed(&mut self, period: Duration) -> bool {
        let now = Instant::now();
        let elapsed = now.duration_since(*self.0.get_or_insert(now)) >= period;
        if elapsed {
            self.0 = Some(now);
        }
        elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_with_the_first_call_and_begins_anew_once_it_is_over() {
        let mut period = Period::default();
        assert!(!period.elapsed(Duration::MAX));
        assert!(period.elapsed(Duration::ZERO));
        assert!(!period.elapsed(Duration::MAX));
    }
}
