//! Why a run does not go further now, and what is then written and done.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::Mode;
use backstay_core::retry::{self, Class};
use kube::runtime::controller::Action;

use super::object::Run;
use super::resource;
use crate::api_error::{self, ApiError};
use crate::context::Context;

/// Why a run does not go further now.
#[derive(Debug)]
pub enum Halt {
    /// It goes its ordinary way and wakes on an event, or after this time.
    Running {
        /// Shown as the message of `Ready`.
        message: String,
        /// The net under the watches.
        recheck: Duration,
    },
    /// Its strategy waits for something, and says itself for how long.
    Paused {
        /// Reason of `Ready=False`.
        reason: String,
        /// What it waits for.
        message: String,
        /// When it is looked at without any event.
        recheck: Duration,
    },
    /// It lacks something that may appear, and gives up after the wait deadline if `bounded`.
    Wait {
        /// Reason of `Ready=False`.
        reason: &'static str,
        /// What it waits for.
        message: String,
        /// Whether the wait deadline counts.
        bounded: bool,
        /// Reason and message when the wait is over; `None` for the ones that name the wait.
        give_up: Option<(&'static str, String)>,
    },
    /// It has failed, for good.
    Fail {
        /// Reason of `Ready=False`.
        reason: String,
        /// What failed, why and what to do.
        message: String,
    },
    /// It is not ours to touch.
    Leave,
    /// The API server did not answer as hoped; tried again by the table of [`retry`].
    Api(ApiError),
}

impl Halt {
    pub(super) fn fail(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Fail { reason: reason.into(), message: message.into() }
    }

    pub(super) fn wait(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Wait { reason, message: message.into(), bounded: true, give_up: None }
    }
}

impl From<ApiError> for Halt {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Writes down why the run stopped here, and says when it is looked at again.
pub(super) async fn settle(run: &mut Run, halt: Halt, ctx: &Arc<Context>) -> Action {
    let now = ctx.clock.now();
    match halt {
        Halt::Leave if run.status.run.is_none() && run.status.waiting_since.is_some() => {
            // It waited for its class before that said whose it is.
            run.status.withdraw();
            write_then(run, ctx, Action::await_change()).await
        }
        Halt::Leave => Action::await_change(),
        Halt::Running { message, recheck } => {
            run.status.running(&message, now);
            let next = recheck.min(until_end(run, now, ctx));
            write_then(run, ctx, Action::requeue(next)).await
        }
        Halt::Paused { reason, message, recheck } => {
            if run.status.ready().is_none_or(|c| c.reason != reason) {
                ctx.events.normal(run.reference(), &reason, &message);
            }
            run.status.wait(&reason, &message, now);
            let next = recheck.min(until_end(run, now, ctx));
            write_then(run, ctx, Action::requeue(next)).await
        }
        Halt::Wait { reason, message, bounded, give_up } => {
            let limit = ctx.settings.wait_deadline;
            if bounded && run.status.waited(reason, now) >= limit {
                let (reason, message) = give_up.unwrap_or_else(|| {
                    (
                        reasons::WAIT_DEADLINE_EXCEEDED,
                        format!("{message}; gave up after {} ({reason})", in_words(limit)),
                    )
                });
                return fail(run, reason, &message, ctx).await;
            }
            if run.status.ready().is_none_or(|c| c.reason != reason) {
                ctx.events.normal(run.reference(), reason, &message);
            }
            run.status.wait(reason, &message, now);
            let limit = Duration::try_from(limit).unwrap_or_default().max(Duration::from_secs(1));
            write_then(run, ctx, Action::requeue(RECHECK_WAIT.min(limit))).await
        }
        Halt::Fail { reason, message } => fail(run, &reason, &message, ctx).await,
        Halt::Api(error) => retry_later(run, &error, ctx).await,
    }
}

/// How often a wait is looked at without any event.
const RECHECK_WAIT: Duration = Duration::from_secs(60);
/// From this many failures in a row on, a transient error is shown on the run.
const VISIBLE: u32 = 4;

async fn retry_later(run: &mut Run, error: &ApiError, ctx: &Arc<Context>) -> Action {
    let now = ctx.clock.now();
    let attempt = ctx.runs.failed(&run.uid);
    let class = error.class();
    let mut cause = error.told();
    if run.mode == Mode::Cleanup {
        cause.push_str(&crate::finalizer::way_out());
    }
    let delay = match class {
        Class::Refused => return fail(run, error.refusal(), &cause, ctx).await,
        Class::Conflict => {
            ctx.runs.distrust(&run.uid);
            Duration::from_millis(50).max(retry::backoff(attempt.saturating_sub(3)))
        }
        Class::Retry { after } => retry::backoff(attempt).max(after.unwrap_or_default()),
        Class::RetryVisible | Class::NotFound | Class::AlreadyExists => retry::backoff(attempt),
    };
    tracing::warn!(run = %run.title(), attempt, delay_ms = delay.as_millis(), error = %cause, "call failed, will try again");
    if run.is_late(now) && resource::must_end(run, ctx).is_none_or(|end| now >= end) {
        let reason = error.past_deadline.unwrap_or(reasons::RUN_DEADLINE_EXCEEDED);
        let message = format!("the run's deadline has passed while waiting for the API server: {cause}");
        return fail(run, reason, &message, ctx).await;
    }
    if class == Class::RetryVisible || attempt >= VISIBLE {
        let reason = reasons::WAITING_FOR_API;
        if run.status.waited(reason, now) >= ctx.settings.wait_deadline {
            let message = format!("gave up waiting for the API server: {cause}");
            return fail(run, reasons::WAIT_DEADLINE_EXCEEDED, &message, ctx).await;
        }
        run.status.wait(reason, &cause, now);
        return write_then(run, ctx, Action::requeue(delay)).await;
    }
    Action::requeue(delay)
}

/// Ends the run badly. A clean-up does not end: the Backup stays, and it begins anew after a while.
pub(super) async fn fail(run: &mut Run, reason: &str, message: &str, ctx: &Arc<Context>) -> Action {
    let now = ctx.clock.now();
    if run.mode == Mode::Cleanup {
        return super::record::cleanup_failed(run, reason, message, ctx).await;
    }
    if let Err(error) = resource::strand(run, ctx).await {
        let attempt = ctx.runs.failed(&run.uid);
        tracing::warn!(run = %run.title(), attempt, error = %api_error::chain(&error), "record for the next restore not kept, will try again");
        ctx.runs.distrust(&run.uid);
        return Action::requeue(retry::backoff(attempt));
    }
    let mut message = message.to_owned();
    if let Some(credentials) = ctx.projected.last() {
        credentials.redact(&mut message);
    }
    let message = message.as_str();
    run.status.fail(reason, message, now);
    if let Err(again) = write(run, ctx).await {
        return again;
    }
    ctx.events.warning(run.reference(), reason, message);
    tracing::info!(run = %run.title(), reason, message, "run failed");
    ctx.metrics.run_ended(&run.object.kind, "Failed", reason, run.seconds());
    super::over(run, ctx).await
}

/// Writes the status, then does as `then` says; if that fails the run is looked at again soon, and nothing else is done
/// for it meanwhile.
async fn write_then(run: &mut Run, ctx: &Arc<Context>, then: Action) -> Action {
    match write(run, ctx).await {
        Ok(()) => then,
        Err(again) => again,
    }
}

async fn write(run: &mut Run, ctx: &Arc<Context>) -> Result<(), Action> {
    let Err(error) = ctx.runs.write(run, &ctx.client).await else { return Ok(()) };
    let error = ApiError::new(format!("writing the status of {}", run.title()), error);
    let attempt = ctx.runs.failed(&run.uid);
    match error.class() {
        Class::NotFound => return Err(Action::await_change()),
        Class::Conflict => ctx.runs.distrust(&run.uid),
        _ => {}
    }
    tracing::warn!(run = %run.title(), attempt, error = %api_error::chain(&error), "status not written, will try again");
    Err(Action::requeue(retry::backoff(attempt)))
}

/// A run that has ended has nothing left to undo: its object may go whenever somebody deletes it.
pub(super) async fn nothing_to_undo(run: &Run, ctx: &Arc<Context>) -> Result<(), Action> {
    let Err(error) = crate::finalizer::remove_undo(run, &ctx.client).await else { return Ok(()) };
    let attempt = ctx.runs.failed(&run.uid);
    tracing::warn!(run = %run.title(), attempt, error = %api_error::chain(&error), "finalizer not removed, will try again");
    Err(Action::requeue(retry::backoff(attempt)))
}

/// A run that is being deleted: gives back its turn and takes our finalizer off, if it has one (the Go implementation
/// puts it on every RestoreJob).
pub(super) async fn let_go(run: &Run, ctx: &Arc<Context>) -> Action {
    ctx.finished(run);
    resource::over(run, ctx).await;
    if !run.finalized && !run.undoes {
        return Action::await_change();
    }
    match crate::finalizer::remove(run, &ctx.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => {
            let attempt = ctx.runs.failed(&run.uid);
            tracing::warn!(run = %run.title(), attempt, error = %api_error::chain(&error), "finalizer not removed, will try again");
            ctx.runs.distrust(&run.uid);
            Action::requeue(retry::backoff(attempt))
        }
    }
}

/// A duration, as a person says it.
pub(super) fn in_words(duration: jiff::SignedDuration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// How long until the run's deadline; past it, until the time to undo what it has begun is over.
fn until_end(run: &Run, now: jiff::Timestamp, ctx: &Context) -> Duration {
    let Some(deadline) = resource::must_end(run, ctx).or(run.deadline()) else { return Duration::MAX };
    // A second late rather than early: the Job itself ends at the deadline, and says so.
    Duration::try_from(deadline.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
}
