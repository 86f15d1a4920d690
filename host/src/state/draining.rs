//! Runs that have ended, or whose object is gone, and whose pods may still run. They keep their locks until nothing of them
//! runs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use backstay_core::retry;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often a run is looked at without an event.
const RECHECK: Duration = Duration::from_secs(10);
/// The pause between two looks that see nothing: a Job that was deleted a moment ago may have started one more pod.
const AGAIN: Duration = Duration::from_secs(1);
/// Looks in a row that have to see nothing.
const LOOKS: u32 = 2;

/// What a look at a run has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing runs.
    Nothing,
    /// This may run.
    Runs(String),
    /// The look was not answered, for this cause.
    Unknown(String),
}

/// What comes of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The run's turn is over.
    Over,
    /// The run is looked at again, and runs that wait for it have something new to say.
    News,
    /// The run is looked at again.
    GoesOn,
}

/// The runs, by uid.
#[derive(Default)]
pub struct Draining {
    runs: Mutex<HashMap<String, Entry>>,
    /// Runs that have not ended and of which a Job was stopped.
    suspects: Mutex<HashSet<String>>,
    changed: Notify,
}

struct Entry {
    namespace: String,
    due: Instant,
    /// Looks in a row that saw nothing.
    nothing: u32,
    failures: u32,
    waits_for: Option<String>,
}

impl Draining {
    /// Keeps the lock of a run until nothing of it runs.
    pub fn add(&self, run_uid: &str, namespace: &str) {
        self.runs.lock().entry(run_uid.to_owned()).or_insert_with(|| Entry {
            namespace: namespace.to_owned(),
            due: Instant::now(),
            nothing: 0,
            failures: 0,
            waits_for: None,
        });
        self.changed.notify_one();
    }

    /// Notes that a Job of a run was stopped: its pods may go on for a while, whatever the watches show.
    pub fn suspect(&self, run_uid: &str) {
        self.suspects.lock().insert(run_uid.to_owned());
    }

    /// Returns whether a Job of a run was stopped, and nobody has looked at its pods since.
    #[must_use]
    pub fn is_suspect(&self, run_uid: &str) -> bool {
        self.suspects.lock().contains(run_uid)
    }

    /// Forgets a run whose lock is not kept.
    pub fn forget(&self, run_uid: &str) {
        self.suspects.lock().remove(run_uid);
    }

    /// Returns whether the lock of a run is kept.
    #[must_use]
    pub fn contains(&self, run_uid: &str) -> bool {
        self.runs.lock().contains_key(run_uid)
    }

    /// Returns what of a run may still run; `None` if its lock is not kept for that.
    #[must_use]
    pub fn waits_for(&self, run_uid: &str) -> Option<String> {
        let runs = self.runs.lock();
        let entry = runs.get(run_uid)?;
        Some(entry.waits_for.clone().unwrap_or_else(|| "its pods are looked at".to_owned()))
    }

    /// A Job or a pod of a run has changed: the run is looked at now.
    pub fn wake(&self, run_uid: &str) {
        if let Some(entry) = self.runs.lock().get_mut(run_uid) {
            entry.due = Instant::now();
            self.changed.notify_one();
        }
    }

    /// Waits until runs are due, and returns them with their namespaces.
    pub async fn due(&self) -> Vec<(String, String)> {
        loop {
            let (due, next) = self.take(Instant::now());
            match next {
                _ if !due.is_empty() => return due,
                Some(next) => {
                    let _ = tokio::time::timeout_at(next, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Returns the runs that are due, and when the next one is.
    fn take(&self, now: Instant) -> (Vec<(String, String)>, Option<Instant>) {
        let mut runs = self.runs.lock();
        let mut due = Vec::new();
        for (uid, entry) in runs.iter_mut().filter(|(_, entry)| entry.due <= now) {
            entry.due = now + RECHECK;
            due.push((uid.clone(), entry.namespace.clone()));
        }
        (due, runs.values().map(|entry| entry.due).min())
    }

    /// Notes what a look at a run has seen, and returns what comes of it.
    pub fn looked(&self, run_uid: &str, seen: Seen) -> Turn {
        let mut runs = self.runs.lock();
        let Some(entry) = runs.get_mut(run_uid) else { return Turn::GoesOn };
        let now = Instant::now();
        let before = entry.waits_for.is_some();
        match seen {
            Seen::Nothing if entry.nothing + 1 >= LOOKS => {
                runs.remove(run_uid);
                self.forget(run_uid);
                return Turn::Over;
            }
            Seen::Nothing => {
                (entry.nothing, entry.failures, entry.due) = (entry.nothing + 1, 0, now + AGAIN);
                return Turn::GoesOn;
            }
            // A change since the look has the run looked at now.
            Seen::Runs(what) => (entry.nothing, entry.failures, entry.waits_for) = (0, 0, Some(what)),
            Seen::Unknown(cause) => {
                entry.failures = entry.failures.saturating_add(1);
                (entry.nothing, entry.waits_for) = (0, Some(cause));
                entry.due = now + retry::backoff(entry.failures);
            }
        }
        if before { Turn::GoesOn } else { Turn::News }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(what: &str) -> Seen {
        Seen::Runs(what.to_owned())
    }

    /// A run that is due now.
    fn given() -> Draining {
        let draining = Draining::default();
        draining.add("u", "n");
        assert_eq!(draining.take(Instant::now()).0, [("u".to_owned(), "n".to_owned())]);
        draining
    }

    /// Returns whether the run is due after some time, at the earliest.
    fn due_after(draining: &Draining, time: Duration) -> bool {
        let due = draining.runs.lock()["u"].due;
        let left = due.saturating_duration_since(Instant::now());
        left <= time && left + Duration::from_millis(500) > time
    }

    #[test]
    fn a_turn_is_over_after_two_looks_in_a_row_that_see_nothing() {
        let draining = given();
        assert_eq!(draining.waits_for("u").unwrap(), "its pods are looked at");
        assert_eq!(draining.looked("u", runs("pod \"n/p\"")), Turn::News);
        assert_eq!(draining.waits_for("u").unwrap(), "pod \"n/p\"");
        assert_eq!(draining.looked("u", Seen::Nothing), Turn::GoesOn);
        assert_eq!(draining.looked("u", runs("pod \"n/q\"")), Turn::GoesOn, "another pod was started");
        assert_eq!(draining.looked("u", Seen::Nothing), Turn::GoesOn);
        assert!(due_after(&draining, AGAIN));
        assert_eq!(draining.looked("u", Seen::Nothing), Turn::Over);
        assert!(!draining.contains("u"));
        assert_eq!(draining.waits_for("u"), None);
    }

    #[test]
    fn a_run_is_suspect_from_the_stop_of_a_job_to_the_end_of_its_turn() {
        let draining = given();
        draining.suspect("u");
        draining.looked("u", Seen::Nothing);
        assert!(draining.is_suspect("u"));
        draining.looked("u", Seen::Nothing);
        assert!(!draining.is_suspect("u"));
    }

    #[test]
    fn a_look_that_is_not_answered_is_no_answer_and_is_repeated() {
        let draining = given();
        draining.looked("u", Seen::Nothing);
        assert_eq!(draining.looked("u", Seen::Unknown("listing failed".to_owned())), Turn::News);
        assert_eq!(draining.waits_for("u").unwrap(), "listing failed");
        assert_eq!(draining.looked("u", Seen::Nothing), Turn::GoesOn, "it counts anew");
    }

    #[test]
    fn a_change_of_a_pod_has_its_run_looked_at_now() {
        let draining = given();
        draining.looked("u", runs("pod \"n/p\""));
        draining.add("u", "n");
        draining.wake("another");
        assert!(due_after(&draining, RECHECK), "adding a run again changes nothing");
        draining.wake("u");
        assert_eq!(draining.take(Instant::now()).0.len(), 1);
        draining.wake("u");
        draining.looked("u", runs("pod \"n/p\""));
        assert_eq!(draining.take(Instant::now()).0.len(), 1, "a change during a look is not lost");
    }
}
