//! Why a run does not go further now, and what is then written and done.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::Mode;
use backstay_core::retry::{self, Class};
use kube::runtime::controller::Action;

use super::object::Run;
use super::{expire, resource};
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

    /// Whether a run that stopped for this is not to hold up those that come after it: it is not ours, or has not begun and
    /// waits for something else than its turn.
    fn gives_way(&self, run: &Run) -> bool {
        match self {
            Self::Leave => true,
            Self::Wait { reason, .. } => run.status.run.is_none() && *reason != reasons::TARGET_BUSY,
            _ => false,
        }
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
    if halt.gives_way(run) {
        ctx.gives_way(run);
    }
    match halt {
        Halt::Leave if run.status.run.is_none() && run.status.waiting_since.is_some() => {
            // It waited for its class before that said whose it is.
            run.status.withdraw();
            write_then(run, ctx, Action::await_change()).await
        }
        Halt::Leave => Action::await_change(),
        Halt::Running { message, recheck } => {
            run.status.running(&ctx.withheld(&message), now);
            let next = recheck.min(until_end(run, now, ctx));
            write_then(run, ctx, Action::requeue(next)).await
        }
        Halt::Paused { reason, message, recheck } => {
            let message = ctx.withheld(&message);
            if run.status.ready().is_none_or(|c| c.reason != reason) {
                ctx.note(run, &reason, &message);
            }
            run.status.paused(&reason, &message, now);
            let next = recheck.min(until_end(run, now, ctx));
            write_then(run, ctx, Action::requeue(next)).await
        }
        Halt::Wait { reason, message, bounded, give_up } => {
            let message = ctx.withheld(&message);
            let limit = ctx.settings.wait_deadline;
            if run.is_late(now) && must_end(run, now, ctx) {
                let message = format!("the run's deadline has passed: {message}");
                return fail(run, reasons::RUN_DEADLINE_EXCEEDED, &message, ctx).await;
            }
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
                ctx.note(run, reason, &message);
            }
            run.status.wait(reason, &message, now);
            let limit = Duration::try_from(limit).unwrap_or_default().max(Duration::from_secs(1));
            let next = RECHECK_WAIT.min(limit).min(until_end(run, now, ctx));
            write_then(run, ctx, Action::requeue(next)).await
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
    if run.is_late(now) && must_end(run, now, ctx) {
        let reason = error.past_deadline.unwrap_or(reasons::RUN_DEADLINE_EXCEEDED);
        let message = format!("the run's deadline has passed while waiting for the API server: {cause}");
        return fail(run, reason, &message, ctx).await;
    }
    if class == Class::RetryVisible || attempt >= VISIBLE {
        let reason = reasons::WAITING_FOR_API;
        // A run that has begun has its deadline.
        if run.status.run.is_none() && run.status.waited(reason, now) >= ctx.settings.wait_deadline {
            let message = format!("gave up waiting for the API server: {cause}");
            return fail(run, reasons::WAIT_DEADLINE_EXCEEDED, &message, ctx).await;
        }
        run.status.wait(reason, &ctx.withheld(&cause), now);
        return write_then(run, ctx, Action::requeue(delay)).await;
    }
    Action::requeue(delay)
}

/// Ends the run badly. A clean-up does not end: the Backup stays, and it begins anew after a while.
pub(super) async fn fail(run: &mut Run, reason: &str, message: &str, ctx: &Arc<Context>) -> Action {
    let now = ctx.clock.now();
    let message = &ctx.withheld(message);
    if run.mode == Mode::Cleanup {
        return super::record::cleanup_failed(run, reason, message, ctx).await;
    }
    if let Err(error) = resource::strand(run, ctx).await {
        return again(run, &error, "record for the next restore not kept, will try again", ctx);
    }
    if let Err(error) = expire::stop_unfinished(run, ctx).await {
        return again(run, &error, "jobs of the failed run not stopped, will try again", ctx);
    }
    run.status.fail(reason, message, now);
    if let Err(again) = write(run, ctx).await {
        return again;
    }
    ctx.warn(run, reason, message);
    tracing::info!(run = %run.title(), reason, message, "run failed");
    ctx.metrics.run_ended(&run.object.kind, "Failed", reason, run.seconds());
    super::over(run, ctx).await
}

/// What has to be done before a run ends could not be: it is read again and tried again.
fn again(run: &Run, error: &ApiError, what: &'static str, ctx: &Context) -> Action {
    let attempt = ctx.runs.failed(&run.uid);
    tracing::warn!(run = %run.title(), attempt, error = %api_error::chain(error), "{what}");
    ctx.runs.distrust(&run.uid);
    Action::requeue(retry::backoff(attempt))
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

/// A run that is being deleted: leaves to the next one what that has to know, gives back its turn and takes our finalizer
/// off, if it has one (the Go implementation puts it on every RestoreJob).
pub(super) async fn let_go(run: &Run, ctx: &Arc<Context>) -> Action {
    if !run.status.is_terminal() {
        if let Err(error) = resource::strand(run, ctx).await {
            return again(run, &error, "record for the next restore not kept, will try again", ctx);
        }
        // They go with the run too, by garbage collection, but not before somebody else's finalizer is off.
        if let Err(error) = expire::stop_unfinished(run, ctx).await {
            return again(run, &error, "jobs of the deleted run not stopped, will try again", ctx);
        }
    }
    ctx.finished(run);
    resource::over(run, ctx).await;
    if !run.finalized && !run.undoes {
        return Action::await_change();
    }
    match crate::finalizer::remove(run, &ctx.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => again(run, &error, "finalizer not removed, will try again", ctx),
    }
}

/// A duration, as a person says it.
pub(super) fn in_words(duration: jiff::SignedDuration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// Whether a run that is late has used up the time to undo what it has begun, too.
fn must_end(run: &Run, now: jiff::Timestamp, ctx: &Context) -> bool {
    resource::must_end(run, ctx).is_none_or(|end| now >= end)
}

/// How long until the run's deadline; past it, until the time to undo what it has begun is over.
fn until_end(run: &Run, now: jiff::Timestamp, ctx: &Context) -> Duration {
    let Some(deadline) = resource::must_end(run, ctx).or(run.deadline()) else { return Duration::MAX };
    // A second late rather than early: the Job itself ends at the deadline, and says so.
    Duration::try_from(deadline.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
}
