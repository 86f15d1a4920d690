//! An allowance a minute: what is spent comes back over time.

use std::time::Duration;

const MINUTE_MS: i128 = 60_000;

/// An allowance of whole units. Times are those since any fixed moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    burst: i128,
    a_minute: i128,
    /// What is left, times [`MINUTE_MS`]; negative once more was spent than there was.
    left: i128,
    at: Duration,
}

fn whole(milliseconds: Duration) -> i128 {
    i128::try_from(milliseconds.as_millis()).unwrap_or(i128::MAX / 2)
}

impl Allowance {
    /// An allowance of `burst` units at once, of which `a_minute` come back in a minute.
    #[must_use]
    pub fn new(burst: u64, a_minute: u64) -> Self {
        let burst = i128::from(burst) * MINUTE_MS;
        Self { burst, a_minute: i128::from(a_minute), left: burst, at: Duration::ZERO }
    }

    fn refill(&mut self, now: Duration) {
        let back = whole(now.saturating_sub(self.at)).saturating_mul(self.a_minute);
        self.left = self.left.saturating_add(back).min(self.burst);
        self.at = self.at.max(now);
    }

    /// Spends units, also more than there are.
    pub fn spend(&mut self, units: u64, now: Duration) {
        self.refill(now);
        self.left = self.left.saturating_sub(i128::from(units) * MINUTE_MS);
    }

    /// Spends a unit if there is one, and returns whether there was.
    pub fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        let there = self.left >= MINUTE_MS;
        if there {
            self.left -= MINUTE_MS;
        }
        there
    }

    /// Returns how long it takes until more than nothing is left; zero if it is.
    pub fn wait(&mut self, now: Duration) -> Duration {
        self.refill(now);
        if self.left > 0 {
            return Duration::ZERO;
        }
        if self.a_minute == 0 {
            return Duration::MAX;
        }
        let ms = (-self.left) / self.a_minute + 1;
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Returns whether nothing is spent.
    pub fn is_whole(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.left == self.burst
    }

    /// Returns whether at least half of the burst is left.
    pub fn has_recovered(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.left * 2 >= self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_spent_comes_back_over_a_minute_and_never_more_than_the_burst() {
        let mut allowance = Allowance::new(60, 60);
        allowance.spend(60, at(0));
        assert!(!allowance.take(at(0)));
        assert!(allowance.take(at(1)));
        assert!(!allowance.take(at(1)));
        assert!((0..60).all(|_| allowance.take(at(3600))));
        assert!(!allowance.take(at(3600)));
    }

    #[test]
    fn more_than_there_is_can_be_spent_and_takes_its_time_to_come_back() {
        let mut allowance = Allowance::new(60, 60);
        assert_eq!(allowance.wait(at(0)), Duration::ZERO);
        allowance.spend(90, at(0));
        let wait = allowance.wait(at(0));
        assert!(wait > at(30) && wait < at(31), "{wait:?}");
        assert_eq!(allowance.wait(wait), Duration::ZERO);
        assert!(!allowance.has_recovered(at(59)));
        assert!(allowance.has_recovered(at(60)));
    }

    #[test]
    fn a_time_that_goes_backwards_gives_nothing_back_and_takes_nothing() {
        let mut allowance = Allowance::new(2, 60);
        assert!(allowance.take(at(100)));
        assert!(allowance.take(at(50)));
        assert!(!allowance.take(at(50)));
        assert!(!allowance.take(at(100)));
    }

    #[test]
    fn an_allowance_of_nothing_never_comes_back() {
        let mut allowance = Allowance::new(0, 0);
        assert!(!allowance.take(at(9)));
        assert_eq!(allowance.wait(at(9)), Duration::MAX);
    }
}
