//! A run that does not go further now: its status says why, and it is looked at again.

use std::borrow::Cow;
use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_core::contract::Mode;
use backstay_core::retry::Class;
use backstay_core::run_report::{self, ApiFailure, Limits, Next, force_delete_hint};

use super::cancel;
use super::finish::{NotKept, finish, not_kept, retry, retry_read};
use super::jobs;
use super::not_done::NotDone;
use super::save::{SaveError, save};
use super::steps::handover;
use crate::cluster::error::chain;
use crate::context::Context;
use crate::state::finalizers::Known;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::work_queue::Action;

/// How often the words of a strategy's wait change in the status, as long as its reason is the same.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How long a clean-up that failed pauses before it begins anew.
const CLEANUP_PAUSE: Duration = Duration::from_secs(60);

/// Writes down why the run stopped, and returns when it is looked at again. [`backstay_core::run_report`] decides both.
pub(crate) async fn report(run: &mut Run, not_done: NotDone, ctx: &Context) -> Action {
    let now = ctx.clock.now();
    let not_done = not_done.redacted(|text| ctx.notices.redact(text));
    let (attempt, cause) = match &not_done {
        NotDone::Api(ApiFailure { cause, .. }) => (ctx.state.runs.failed(&run.uid), Some(cause.clone())),
        _ => (0, None),
    };
    if not_done == NotDone::Gone {
        ctx.gone(&run.uid);
        return Action::await_change();
    }
    let progress = matches!(not_done, NotDone::StrategyWaits { .. }) && !run.is_changed();
    let limits =
        Limits { wait_deadline: ctx.settings.wait_deadline, undo_deadline: ctx.settings.undo_deadline };
    let facts = cancel::facts(run, &ctx.components.registry);
    let report = run_report::report(not_done, &facts, &mut run.status, now, attempt, &limits);
    if report.release_lock {
        ctx.end_turn(run);
    }
    if report.read_again {
        ctx.state.runs.invalidate(&run.uid);
    }
    if let Some((reason, message)) = &report.event {
        ctx.notices.note(run, reason, message);
    } else if let Next::Requeue(after) = report.next
        && progress
        && run.is_changed()
        && let Some(left) = ctx.state.runs.left_since_told(&run.uid, PROGRESS_EVERY)
    {
        // The same wait in other words.
        run.revert();
        ctx.state.runs.went_well(&run.uid);
        return Action::requeue(after.min(left));
    }
    let then = match report.next {
        Next::Fail { reason, message } => return fail(run, &reason, &message, ctx).await,
        Next::Requeue(after) => Action::requeue(after),
        Next::AwaitChange => Action::await_change(),
    };
    let failed = cause.is_some();
    if let Some(cause) = cause {
        tracing::warn!(run = %run.title(), attempt, next = ?then, error = %cause, "call failed, will try again");
    }
    if report.write
        && let Err(again) = write(run, ctx).await
    {
        return again;
    }
    if !failed {
        ctx.state.runs.went_well(&run.uid);
    }
    then
}

/// Fails the run. A clean-up does not fail for good: the Backup stays, and the clean-up begins anew after a pause.
async fn fail(run: &mut Run, reason: &str, message: &str, ctx: &Context) -> Action {
    if run.mode == Mode::Cleanup {
        return cleanup_failed(run, reason, message, ctx).await;
    }
    let (registry, runs) = (&ctx.components.registry, &ctx.state.runs);
    let mut message = Cow::from(message);
    if let Err(error) = handover::hand_over(run, registry, &ctx.records.checkpoints, &ctx.state).await {
        let until = run.deadline().and_then(|at| at.checked_add(ctx.settings.undo_deadline).ok());
        let (state, now) = (&ctx.state, ctx.clock.now());
        match not_kept(run, &error, until, &message, state, &ctx.notices, now).await {
            NotKept::Again(action) => return action,
            NotKept::GivenUp(why) => message = Cow::from(format!("{message}; {why}")),
        }
    }
    let message = message.as_ref();
    if let Err(error) = jobs::stop_unfinished(run, registry, &ctx.state).await {
        return retry_read(run, &error, "jobs of the failed run not stopped, will try again", runs);
    }
    run.status.fail(reason, message, ctx.clock.now());
    if let Err(again) = write(run, ctx).await {
        return again;
    }
    ctx.notices.warn(run, reason, message);
    tracing::info!(run = %run.title(), reason, message, "run failed");
    ctx.metrics.run_ended(&run.object.kind, "Failed", reason, run.seconds());
    finish(run, Known::Fresh, ctx).await
}

/// Prepares the next attempt of a clean-up, which gets a Job of its own. Until then the clean-up holds no lock: it may fail
/// for as long as nobody removes the cause.
async fn cleanup_failed(run: &mut Run, reason: &str, message: &str, ctx: &Context) -> Action {
    debug_assert_eq!(run.mode, Mode::Cleanup);
    let stopped = ctx.has_stopped(run);
    let text = format!("cleanup failed ({reason}), and is tried again{}: {message}", force_delete_hint());
    ctx.notices.warn(run, reasons::CLEANUP_FAILED, &text);
    tracing::warn!(run = %run.title(), reason, message, "cleanup failed, will try again");
    if let Some(record) = run.status.run.as_ref().and_then(|r| r.job.clone())
        && let Some(found) = ctx.stores.job(run.namespace(), &record.name)
        && found.metadata.uid.as_deref() == Some(&record.uid)
        && let Err(error) = jobs::stop(run, &found, &ctx.cluster.client).await
    {
        tracing::warn!(run = %run.title(), error = %chain(&error), "job of the failed cleanup not removed");
        return Action::requeue(CLEANUP_PAUSE);
    }
    if let Err(error) = jobs::clear_failed(run, &ctx.components.registry, &ctx.state).await {
        tracing::warn!(run = %run.title(), error = %chain(&error), "jobs of the failed cleanup not removed");
        return Action::requeue(CLEANUP_PAUSE);
    }
    run.status.run = None;
    run.status.set(types::READY, Some(false), reasons::CLEANUP_FAILED, &text, ctx.clock.now());
    if let Err(error) = ctx.state.runs.write(run).await {
        // The stored status says that the clean-up goes on, so it does.
        tracing::warn!(run = %run.title(), error = %chain(&error), "status not written");
        ctx.state.runs.invalidate(&run.uid);
        return Action::requeue(CLEANUP_PAUSE);
    }
    ctx.state.watch_pool.forget(&run.uid);
    ctx.state.runs.pause(&run.uid, CLEANUP_PAUSE);
    if !stopped || ctx.state.draining.is_suspect(&run.uid) {
        ctx.drain(&run.uid);
    }
    ctx.release_lock(&run.uid);
    Action::requeue(CLEANUP_PAUSE)
}

/// Writes the status; of one that is too large for the API server, only phase, reason and message.
async fn save_or_reduce(run: &mut Run, runs: &RunCache) -> Result<(), SaveError> {
    match save(run, "writing the status", runs).await {
        Err(SaveError::Api(error)) if error.is_too_large() => {
            run.reduce_status();
            save(run, "writing the status", runs).await.map(drop)
        }
        saved => saved.map(drop),
    }
}

/// Writes the status.
///
/// # Errors
/// When to reconcile the run again; nothing else is done for it until then.
async fn write(run: &mut Run, ctx: &Context) -> Result<(), Action> {
    let runs = &ctx.state.runs;
    let error = match save_or_reduce(run, runs).await {
        Ok(()) => return Ok(()),
        Err(SaveError::Gone) => {
            ctx.gone(&run.uid);
            return Err(Action::await_change());
        }
        Err(SaveError::Api(error)) if error.is_too_large() => {
            // Nothing has room in the object; the Events say what the status cannot.
            tracing::warn!(run = %run.title(), error = %chain(&error), "status not written, the object has no room for it");
            ctx.notices.warn(run, reasons::OBJECT_TOO_LARGE, &error.user_message());
            return Ok(());
        }
        Err(SaveError::Api(error)) => error,
    };
    let retry = if error.class() == Class::Conflict { retry_read } else { retry };
    Err(retry(run, &error, "status not written, will try again", runs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{BACKUP_JOB, begun, stored_run};

    #[tokio::test(start_paused = true)]
    async fn the_words_of_a_wait_change_every_ten_seconds_at_most_and_its_reason_and_conditions_at_once() {
        let server = StandIn::default();
        let ctx = crate::context::tests::empty(server.client());
        let mut run = stored_run(Mode::Backup, begun(i64::from(u32::MAX)), &server);
        let waits = |reason: &str, message: &str| NotDone::StrategyWaits {
            reason: reason.to_owned(),
            message: message.to_owned(),
            recheck: Duration::from_secs(30),
        };
        let told = || server.get(BACKUP_JOB).expect("it is there")["status"]["conditions"].to_string();
        let _ = report(&mut run, waits("Copying", "a tenth is done"), &ctx).await;
        assert!(told().contains("a tenth is done"));

        tokio::time::advance(Duration::from_secs(4)).await;
        let then = report(&mut run, waits("Copying", "half is done"), &ctx).await;
        assert!(told().contains("a tenth is done"), "only the words are others");
        assert_eq!(then, Action::requeue(Duration::from_secs(6)), "they are told then");
        tokio::time::advance(Duration::from_secs(6)).await;
        let _ = report(&mut run, waits("Copying", "half is done"), &ctx).await;
        assert!(told().contains("half is done"));

        let _ = report(&mut run, waits("Draining", "two are left"), &ctx).await;
        assert!(told().contains("two are left"), "the reason is another");
        run.status.set("Purged", Some(true), "Gone", "all is gone", ctx.clock.now());
        let _ = report(&mut run, waits("Draining", "one is left"), &ctx).await;
        assert!(
            told().contains("all is gone") && told().contains("one is left"),
            "a condition comes with it"
        );
    }

    #[tokio::test]
    async fn t12_a_status_that_is_too_large_is_written_without_what_is_not_stored_yet() {
        for refusal in [
            Fault::Answer(413, "RequestEntityTooLarge"),
            Fault::Answer(500, "etcdserver: request is too large"),
        ] {
            let server = StandIn::default();
            let mut run = stored_run(Mode::Backup, json!({}), &server);
            let runs = RunCache::new(server.client());
            run.status.begin(backstay_api::RunRecord::default(), jiff::Timestamp::UNIX_EPOCH);
            run.status.fail("ObjectTooLarge", "too large", jiff::Timestamp::UNIX_EPOCH);
            server.fault(0, refusal);
            assert!(save_or_reduce(&mut run, &runs).await.is_ok());
            let status = server.get(BACKUP_JOB).unwrap()["status"].clone();
            assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!("too large")));
            assert_eq!(status["run"], json!(null));
        }
    }
}
