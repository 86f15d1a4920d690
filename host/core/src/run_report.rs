//! Decides a run's status, and its next reconcile, when a reconcile stops before the run's end.
//!
//! [`report`] is pure: the controller collects the facts, calls it, writes the status and obeys the [`Report`].

use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_api::finalizers;
use jiff::{SignedDuration, Timestamp};

use crate::cancel::RunFacts;
use crate::contract::Mode;
use crate::inputs::BeyondBounds;
use crate::retry::{self, Class};
use crate::status::RunStatus;
use crate::steps::ContractViolation;

/// How often a blocked run is reconciled without an event.
const BLOCKED_RECHECK: Duration = Duration::from_secs(60);
/// How often a run that waits for its turn is reconciled without an event: the end of another run is one, and ten thousand may
/// wait.
const TURN_RECHECK: Duration = Duration::from_mins(5);
/// Number of failures in a row from which on the run's status shows a transient error of the API server.
const VISIBLE: u32 = 4;
/// The shortest pause after a conflict.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// Why a run is not done yet.
#[derive(Clone, Debug, PartialEq)]
pub enum NotDone {
    /// The run makes progress; an event or `recheck` continues it.
    InProgress {
        /// Message of `Ready`.
        message: String,
        /// When the run is reconciled without an event.
        recheck: Duration,
    },
    /// The run's strategy waits; the strategy itself bounds the time.
    StrategyWaits {
        /// Reason of `Ready=False`.
        reason: String,
        /// The awaited change.
        message: String,
        /// When the run is reconciled without an event.
        recheck: Duration,
    },
    /// The run goes on after this time: it spends more than its budget, and its status says so already; or too many wait for its
    /// component.
    Slowed(Duration),
    /// The run lacks something that may appear.
    Blocked {
        /// Reason of `Ready=False`.
        reason: &'static str,
        /// The missing thing.
        message: String,
        /// Whether the run fails after the wait deadline.
        bounded: bool,
        /// Reason and message of that failure; `None` for a message about the wait.
        give_up: Option<(&'static str, String)>,
    },
    /// The run has failed, for good.
    Failed {
        /// Reason of `Ready=False`.
        reason: String,
        /// The failure, its cause and its remedy.
        message: String,
    },
    /// The run is not touched now, not even its status.
    Untouched {
        /// When the run is reconciled again.
        recheck: Duration,
    },
    /// The run belongs to another controller.
    NotOurs,
    /// The run's object no longer exists.
    Gone,
    /// A call of the API server failed; it is retried by the table of [`retry`].
    Api(ApiFailure),
}

/// A failed call of the API server, as far as it matters to a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiFailure {
    /// Class of the answer.
    pub class: Class,
    /// The failure, its cause and its remedy.
    pub cause: String,
    /// Reason of the run if the answer is final.
    pub refusal: &'static str,
    /// Reason of the run if its deadline passes meanwhile; `None` for the ordinary one.
    pub past_deadline: Option<&'static str>,
}

impl NotDone {
    /// Returns that the run has failed.
    #[must_use]
    pub fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), message: message.into() }
    }

    /// Returns that the run is blocked, and fails after the wait deadline.
    #[must_use]
    pub fn blocked(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Blocked { reason, message: message.into(), bounded: true, give_up: None }
    }

    /// Applies `redact` to every text for the status or an Event.
    #[must_use]
    pub fn redacted(mut self, redact: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::InProgress { message, .. }
            | Self::StrategyWaits { message, .. }
            | Self::Failed { message, .. }
            | Self::Api(ApiFailure { cause: message, .. }) => *message = redact(message),
            Self::Blocked { message, give_up, .. } => {
                *message = redact(message);
                if let Some((_, message)) = give_up {
                    *message = redact(message);
                }
            }
            Self::Untouched { .. } | Self::NotOurs | Self::Gone | Self::Slowed(_) => {}
        }
        self
    }

    /// Returns whether later runs on the application need not wait for this run: it is gone or not ours, or it has not
    /// begun and something other than the lock blocks it.
    fn releases_lock(&self, begun: bool) -> bool {
        match self {
            Self::NotOurs | Self::Gone => true,
            Self::Blocked { reason, .. } => !begun && *reason != reasons::TARGET_BUSY,
            _ => false,
        }
    }
}

impl From<BeyondBounds> for NotDone {
    fn from(beyond: BeyondBounds) -> Self {
        Self::failed(reasons::INPUT_TOO_LARGE, beyond.to_string())
    }
}

impl From<ContractViolation> for NotDone {
    fn from(violation: ContractViolation) -> Self {
        Self::failed(violation.reason, violation.message)
    }
}

/// How long runs may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a run may be blocked.
    pub wait_deadline: SignedDuration,
    /// How long a component may take to undo what a run began.
    pub undo_deadline: SignedDuration,
}

/// The decision about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The next reconcile, or the failure.
    pub next: Next,
    /// Whether to write the status.
    pub write: bool,
    /// Reason and message of a normal Event, if the wait is new.
    pub event: Option<(String, String)>,
    /// Whether to release the run's lock on its application.
    pub release_lock: bool,
    /// Whether to read the run from the API server before the next step.
    pub read_again: bool,
}

/// The next reconcile of a run, or its failure.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// An event enqueues the run.
    AwaitChange,
    /// The run is reconciled after this time, or on an event.
    Requeue(Duration),
    /// The run has failed.
    Fail {
        /// Reason of `Ready=False`.
        reason: String,
        /// The failure, its cause and its remedy.
        message: String,
    },
}

impl Report {
    fn new(next: Next) -> Self {
        Self { next, write: true, event: None, release_lock: false, read_again: false }
    }

    fn fail(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { write: false, ..Self::new(Next::Fail { reason: reason.into(), message: message.into() }) }
    }
}

/// Changes the `status` of a run that stopped because of `not_done`, and returns the next steps. `attempt` counts the
/// failures in a row, this one included.
///
/// The status of a failed run does not change here: the controller has work to do before it writes the failure.
pub fn report(
    not_done: NotDone,
    facts: &RunFacts,
    status: &mut RunStatus,
    now: Timestamp,
    attempt: u32,
    limits: &Limits,
) -> Report {
    let release_lock = not_done.releases_lock(facts.begun);
    let until_deadline = || facts.until_deadline(now, limits.undo_deadline);
    let must_end = facts.is_late(now) && facts.ending(now, limits.undo_deadline).is_final();
    let report = match not_done {
        NotDone::NotOurs => {
            let waited = !facts.begun && status.waiting_since.is_some();
            if waited {
                // The run waited for its class, which names another controller's strategy.
                status.withdraw();
            }
            Report { write: waited, ..Report::new(Next::AwaitChange) }
        }
        NotDone::Untouched { recheck } => Report { write: false, ..Report::new(Next::Requeue(recheck)) },
        NotDone::Gone => Report { write: false, ..Report::new(Next::AwaitChange) },
        NotDone::InProgress { message, recheck } => {
            status.running(&message, now);
            Report::new(Next::Requeue(recheck.min(until_deadline())))
        }
        NotDone::StrategyWaits { reason, message, recheck } => {
            let event = is_new(status, &reason).then(|| (reason.clone(), message.clone()));
            status.paused(&reason, &message, now);
            Report { event, ..Report::new(Next::Requeue(recheck.min(until_deadline()))) }
        }
        NotDone::Slowed(pause) => Report::new(Next::Requeue(pause.min(until_deadline()))),
        NotDone::Blocked { message, .. } if must_end => {
            Report::fail(reasons::RUN_DEADLINE_EXCEEDED, format!("the run's deadline has passed: {message}"))
        }
        NotDone::Blocked { reason, message, bounded, give_up } => {
            let limit = limits.wait_deadline;
            if bounded && status.waited(reason, now) >= limit {
                let (reason, message) = give_up.unwrap_or_else(|| {
                    let message = format!("{message}; gave up after {} ({reason})", in_words(limit));
                    (reasons::WAIT_DEADLINE_EXCEEDED, message)
                });
                Report::fail(reason, message)
            } else {
                let event = is_new(status, reason).then(|| (reason.to_owned(), message.clone()));
                status.wait(reason, &message, now);
                let limit = Duration::try_from(limit).unwrap_or_default().max(Duration::from_secs(1));
                let recheck =
                    if reason == reasons::TARGET_BUSY { TURN_RECHECK } else { BLOCKED_RECHECK.min(limit) };
                Report { event, ..Report::new(Next::Requeue(recheck.min(until_deadline()))) }
            }
        }
        NotDone::Failed { reason, message } => Report::fail(reason, message),
        NotDone::Api(failure) => api_failed(failure, facts, status, now, attempt, must_end, limits),
    };
    Report { release_lock, ..report }
}

fn api_failed(
    failure: ApiFailure,
    facts: &RunFacts,
    status: &mut RunStatus,
    now: Timestamp,
    attempt: u32,
    must_end: bool,
    limits: &Limits,
) -> Report {
    let ApiFailure { class, mut cause, refusal, past_deadline } = failure;
    if facts.mode == Mode::Cleanup {
        cause.push_str(&force_delete_hint());
    }
    let read_again = class == Class::Conflict;
    let delay = match class {
        Class::Refused => return Report::fail(refusal, cause),
        Class::Conflict => CONFLICT_PAUSE.max(retry::backoff(attempt.saturating_sub(3))),
        Class::Retry { after } => retry::backoff(attempt).max(after.unwrap_or_default()),
        Class::RetryVisible | Class::NotFound | Class::AlreadyExists => retry::backoff(attempt),
    };
    let report = if must_end {
        let reason = past_deadline.unwrap_or(reasons::RUN_DEADLINE_EXCEEDED);
        Report::fail(
            reason,
            format!("the run's deadline has passed while waiting for the API server: {cause}"),
        )
    } else if class == Class::RetryVisible || attempt >= VISIBLE {
        let reason = reasons::WAITING_FOR_API;
        // A run that has begun has its own deadline.
        if !facts.begun && status.waited(reason, now) >= limits.wait_deadline {
            Report::fail(
                reasons::WAIT_DEADLINE_EXCEEDED,
                format!("gave up waiting for the API server: {cause}"),
            )
        } else {
            status.wait(reason, &cause, now);
            Report::new(Next::Requeue(delay))
        }
    } else {
        Report { write: false, ..Report::new(Next::Requeue(delay)) }
    };
    Report { read_again, ..report }
}

/// Returns whether a run has not waited for this reason so far, so that an Event tells of it.
#[must_use]
pub fn is_new(status: &RunStatus, reason: &str) -> bool {
    status.ready().is_none_or(|c| c.reason != reason)
}

/// Returns the end of a message: how to delete a Backup whose clean-up does not succeed.
#[must_use]
pub fn force_delete_hint() -> String {
    format!(
        "; to delete the Backup without cleaning up, remove the finalizer {:?}, which leaves its data where it is",
        finalizers::CLEANUP
    )
}

/// Formats a duration for a message: in minutes if they are whole, else in seconds.
#[must_use]
pub fn in_words(duration: SignedDuration) -> String {
    match duration.as_secs() {
        60 => "1 minute".to_owned(),
        seconds if seconds > 60 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests;
