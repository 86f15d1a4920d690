//! How long a Job waits after failures before it makes another pod.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::pods::finished;

/// The first pause, in seconds; it doubles with each failure.
const FIRST: i64 = 10;
/// The longest pause.
const LONGEST: i64 = 600;

/// The failures of a Job since its last success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Timestamp>,
}

impl Backoff {
    /// Returns the failures after some more pods have ended.
    pub(super) fn with(&self, succeeded: &[Arc<Value>], failed: &[Arc<Value>]) -> Self {
        let latest = |pods: &[Arc<Value>]| pods.iter().map(|pod| finished(pod)).max();
        let success = latest(succeeded);
        let failed: Vec<Timestamp> = failed
            .iter()
            .map(|pod| finished(pod))
            .filter(|at| success.is_none_or(|success| *at > success))
            .collect();
        let before = if success.is_some() { Self::default() } else { self.clone() };
        let count = u32::try_from(failed.len()).unwrap_or(u32::MAX);
        Self {
            failures: before.failures.saturating_add(count),
            last: failed.into_iter().max().or(before.last),
        }
    }

    /// Returns from when on another pod may be made, if that is later than now.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.last.filter(|_| self.failures > 0)?;
        let pause = (FIRST << (self.failures - 1).min(6)).min(LONGEST);
        last.checked_add(SignedDuration::from_secs(pause)).ok().filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(second: i64) -> Arc<Value> {
        let at = Timestamp::from_second(second).expect("a time").to_string();
        Arc::new(json!({"metadata": {"creationTimestamp": at}}))
    }

    #[test]
    fn the_pause_doubles_with_each_failure_and_a_success_ends_it() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let one = Backoff::default().with(&[], &[pod(100)]);
        assert_eq!(one.until(at(100)), Some(at(110)));
        assert_eq!(one.until(at(110)), None);
        let three = one.with(&[], &[pod(110), pod(120)]);
        assert_eq!(three.until(at(120)), Some(at(160)));
        assert_eq!(three.with(&[pod(130)], &[pod(125)]).until(at(130)), None);
        assert_eq!(three.with(&[pod(130)], &[pod(135)]).until(at(135)), Some(at(145)));
        let many = (0..20).fold(one, |all, second| all.with(&[], &[pod(200 + second)]));
        assert_eq!(many.until(at(219)), Some(at(819)));
        let more = (20..70).fold(many, |all, second| all.with(&[], &[pod(200 + second)]));
        assert_eq!(more.until(at(269)), Some(at(869)), "however many there are");
    }
}
