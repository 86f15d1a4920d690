//! The interruptions of a watch: how long it pauses before it is tried again, and what is logged.
//!
//! A watch of a kind whose CRD is missing fails for as long as nobody installs it. It is told once, and tried at growing
//! intervals. `default_backoff` of kube does not grow there: each try begins with an event, which resets it.

use std::time::Duration;

use kube::runtime::watcher::{self, Event};

/// The first pause.
const FIRST: Duration = Duration::from_millis(800);
/// The longest pause: how late it is noticed that the cause is gone.
const LONGEST: Duration = Duration::from_mins(1);

/// What is known of the failures in a row.
#[derive(Debug, Default)]
pub struct Interruptions {
    failures: u32,
    told: Option<String>,
}

impl Interruptions {
    /// Counts a failure. Returns the pause before the next try, and whether to log the failure: the first one, and one with
    /// another cause.
    #[must_use]
    pub fn failed(&mut self, cause: &str) -> (Duration, bool) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let is_new = self.told.as_deref() != Some(cause);
        if is_new {
            self.told = Some(cause.to_owned());
        }
        (pause, is_new)
    }

    /// Notes an event of the watch, and returns whether it ends an interruption. A try begins with [`Event::Init`], whether or not
    /// it succeeds: only what the API server has sent ends one.
    pub fn went_on<O>(&mut self, event: &watcher::Result<Event<O>>) -> bool {
        let sent = !matches!(event, Ok(Event::Init) | Err(_));
        sent && std::mem::take(self).failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: watcher::Result<Event<()>> = Ok(Event::InitDone);

    #[test]
    fn a_watch_that_fails_without_end_is_tried_at_growing_intervals_and_told_once() {
        let mut interruptions = Interruptions::default();
        let failed: Vec<_> = (0..12).map(|_| interruptions.failed("no such kind")).collect();
        let pauses: Vec<_> = failed.iter().map(|(pause, _)| pause.as_millis()).collect();
        assert_eq!(pauses[..4], [800, 1600, 3200, 6400]);
        assert_eq!(pauses[8..], [60_000; 4]);
        assert_eq!(failed.iter().filter(|(_, told)| *told).count(), 1);
        assert!(interruptions.failed("another cause").1);
        assert!(!interruptions.failed("another cause").1);
    }

    #[test]
    fn a_try_that_has_only_begun_does_not_end_an_interruption() {
        let mut interruptions = Interruptions::default();
        let begun: watcher::Result<Event<()>> = Ok(Event::Init);
        let pauses: Vec<_> = (0..3)
            .map(|_| {
                assert!(!interruptions.went_on(&begun));
                interruptions.failed("no such kind").0
            })
            .collect();
        assert_eq!(pauses, [FIRST, 2 * FIRST, 4 * FIRST]);
    }

    #[test]
    fn a_watch_that_goes_on_begins_anew_with_its_next_interruption() {
        let mut interruptions = Interruptions::default();
        assert!(!interruptions.went_on(&SENT));
        for _ in 0..9 {
            assert!(interruptions.failed("cut").0 >= FIRST);
        }
        assert!(interruptions.went_on(&SENT));
        assert!(!interruptions.went_on(&SENT));
        assert_eq!(interruptions.failed("cut"), (FIRST, true));
    }
}
