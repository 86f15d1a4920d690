//! What one run may spend in a minute: time in its component, writes of the API server, and bytes of checkpoints.
//!
//! A run that spends more is slowed: it goes on when enough has come back. One that is slowed again and again fails.

use std::fmt;
use std::time::Duration;

use crate::allowance::Allowance;

/// The budget of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Time in the component in a minute.
    pub guest_time: Duration,
    /// Writes of the API server in a minute: of objects, statuses, checkpoints and Events.
    pub writes: u32,
    /// Bytes of checkpoints in a minute.
    pub checkpoint_bytes: u64,
    /// How long a run may stay over its budget before it fails.
    pub patience: Duration,
}

impl Default for BudgetLimits {
    fn default() -> Self {
        Self {
            guest_time: Duration::from_secs(20),
            writes: 240,
            checkpoint_bytes: 8 << 20,
            patience: Duration::from_mins(10),
        }
    }
}

/// What a run spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Time in the component.
    GuestTime,
    /// Writes of the API server.
    Writes,
    /// Bytes of checkpoints.
    CheckpointBytes,
}

/// The budget of a run, with what it has spent. Times are those since any fixed moment.
#[derive(Clone, Debug)]
pub struct RunBudget {
    limits: BudgetLimits,
    guest_ms: Allowance,
    writes: Allowance,
    checkpoint_bytes: Allowance,
    over_since: Option<Duration>,
}

/// Whether a run may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The run goes on.
    Within,
    /// The run goes on after this time.
    Slowed(Spent, Duration),
    /// The run has been slowed for too long.
    Exceeded(Spent),
}

impl RunBudget {
    /// The budget of a run that has spent nothing.
    #[must_use]
    pub fn new(limits: BudgetLimits) -> Self {
        let a_minute = |units: u64| Allowance::new(units, units);
        Self {
            guest_ms: a_minute(u64::try_from(limits.guest_time.as_millis()).unwrap_or(u64::MAX)),
            writes: a_minute(limits.writes.into()),
            checkpoint_bytes: a_minute(limits.checkpoint_bytes),
            over_since: None,
            limits,
        }
    }

    /// Counts the time of a call of the component.
    pub fn called(&mut self, time: Duration, now: Duration) {
        self.guest_ms.spend(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), now);
    }

    /// Counts writes of the API server.
    pub fn wrote(&mut self, writes: usize, now: Duration) {
        self.writes.spend(writes as u64, now);
    }

    /// Counts the write of a checkpoint.
    pub fn wrote_checkpoint(&mut self, bytes: usize, now: Duration) {
        self.wrote(1, now);
        self.checkpoint_bytes.spend(bytes as u64, now);
    }

    /// Decides whether the run may go on. It is over its budget from the first time that it is slowed until half of everything
    /// has come back.
    pub fn verdict(&mut self, now: Duration) -> Verdict {
        let waits = [
            (Spent::GuestTime, self.guest_ms.wait(now)),
            (Spent::Writes, self.writes.wait(now)),
            (Spent::CheckpointBytes, self.checkpoint_bytes.wait(now)),
        ];
        let longest = waits.into_iter().filter(|(_, wait)| !wait.is_zero()).max_by_key(|(_, wait)| *wait);
        let Some((spent, wait)) = longest else {
            if [&mut self.guest_ms, &mut self.writes, &mut self.checkpoint_bytes]
                .into_iter()
                .all(|allowance| allowance.has_recovered(now))
            {
                self.over_since = None;
            }
            return Verdict::Within;
        };
        let since = *self.over_since.get_or_insert(now);
        if now.saturating_sub(since) >= self.limits.patience {
            return Verdict::Exceeded(spent);
        }
        Verdict::Slowed(spent, wait)
    }

    /// Returns whether the run is over its budget: it was slowed, and has not recovered since.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over_since.is_some()
    }

    /// Returns what the run has spent too much of, with the limit, as a sentence without its end.
    #[must_use]
    pub fn text(&self, spent: Spent) -> String {
        struct Limit<'a>(&'a BudgetLimits, Spent);
        impl fmt::Display for Limit<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.1 {
                    Spent::GuestTime => {
                        write!(f, "{} s in its component", self.0.guest_time.as_secs_f64())
                    }
                    Spent::Writes => write!(f, "{} writes of the API server", self.0.writes),
                    Spent::CheckpointBytes => {
                        write!(f, "{} bytes of checkpoints", self.0.checkpoint_bytes)
                    }
                }
            }
        }
        format!("the run spends more than its budget of {} a minute", Limit(&self.limits, spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BudgetLimits = BudgetLimits {
        guest_time: Duration::from_secs(20),
        writes: 240,
        checkpoint_bytes: 8 << 20,
        patience: Duration::from_mins(10),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn t6_a_run_that_spends_a_budget_at_once_is_slowed_until_some_of_it_has_come_back() {
        type Spend = fn(&mut RunBudget);
        let spends: [(Spent, Spend); 3] = [
            (Spent::GuestTime, |budget| budget.called(at(21), at(0))),
            (Spent::Writes, |budget| budget.wrote(241, at(0))),
            (Spent::CheckpointBytes, |budget| {
                (0..33).for_each(|_| budget.wrote_checkpoint(256 << 10, at(0)));
            }),
        ];
        for (spent, spend) in spends {
            let mut budget = RunBudget::new(LIMITS);
            assert_eq!(budget.verdict(at(0)), Verdict::Within);
            spend(&mut budget);
            let Verdict::Slowed(what, wait) = budget.verdict(at(0)) else {
                panic!("{spent:?} is not slowed")
            };
            assert_eq!(what, spent);
            assert!(wait <= at(4), "{wait:?}");
            assert_eq!(budget.verdict(wait), Verdict::Within);
            assert!(budget.is_over(), "little has come back");
            assert_eq!(budget.verdict(at(60)), Verdict::Within);
            assert!(!budget.is_over());
        }
    }

    /// Plays a run that writes so much every second for as long as it may; returns the second in which it fails, and the
    /// writes until then.
    fn played(writes_a_second: usize, seconds: u64) -> (Option<u64>, usize) {
        let (mut budget, mut writes) = (RunBudget::new(LIMITS), 0);
        for second in 0..seconds {
            match budget.verdict(at(second)) {
                Verdict::Within => {
                    budget.wrote(writes_a_second, at(second));
                    writes += writes_a_second;
                }
                Verdict::Slowed(..) => {}
                Verdict::Exceeded(_) => return (Some(second), writes),
            }
        }
        (None, writes)
    }

    #[test]
    fn t6_a_run_that_never_stops_spending_is_slowed_to_its_budget_and_then_fails() {
        let (failed, writes) = played(100, 3600);
        let failed = failed.expect("it fails");
        assert!((600..620).contains(&failed), "{failed}");
        assert!(writes <= 11 * 240 + 200, "{writes}");
    }

    #[test]
    fn t6_a_run_within_its_budget_never_fails() {
        assert_eq!(played(4, 7200), (None, 4 * 7200));
    }

    #[test]
    fn t6_a_run_with_a_burst_now_and_then_does_not_fail() {
        let mut budget = RunBudget::new(LIMITS);
        for hour in 0..100 {
            let now = at(hour * 3600);
            budget.wrote(300, now);
            assert!(matches!(budget.verdict(now), Verdict::Slowed(Spent::Writes, _)));
            assert_eq!(budget.verdict(now + at(60)), Verdict::Within);
        }
    }

    #[test]
    fn a_message_says_what_and_how_much_and_does_not_change_with_what_was_spent() {
        let budget = RunBudget::new(LIMITS);
        for (spent, limit) in [
            (Spent::GuestTime, "20 s in its component"),
            (Spent::Writes, "240 writes of the API server"),
            (Spent::CheckpointBytes, "8388608 bytes of checkpoints"),
        ] {
            let says = format!("the run spends more than its budget of {limit} a minute");
            assert_eq!(budget.text(spent), says);
        }
    }
}
