//! The verdict on a Job that has ended: its component says what the end means.

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome, PodResult};
use backstay_core::job::End;
use backstay_engine::Component;
use jiff::SignedDuration;

use super::job;
use crate::context::Context;
use crate::run::not_done::{NotDone, failure_text, guest_failed};
use crate::run::pinned::Pinned;
use crate::run::pod::build_request;
use crate::state::run::Run;

/// A Job counts its deadline in whole seconds from its own beginning, and so ends up to two before the run's.
const SLACK: SignedDuration = SignedDuration::from_secs(3);

/// Asks the component. A Job that failed never means a success, whatever is answered.
pub(crate) async fn verdict(
    run: &Run,
    pinned: &Pinned,
    end: &End,
    result: PodResult,
    ctx: &Context,
) -> Result<Outcome, NotDone> {
    let request = build_request(run, pinned, ctx).await?;
    // A pod that is gone is known only by its last trouble on the run.
    let before = if result.pods.is_empty() { job::last_trouble(run) } else { None };
    let parse = move |component: &Component| component.parse(&request, &result);
    let verdict = match ctx.components.call(&pinned.component, "parse", parse).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let mut message = error.message;
            if end.succeeded {
                message.push_str(match run.mode {
                    Mode::Backup => "; its Job succeeded, so data may have been written",
                    Mode::Restore => "; its Job succeeded, so the application may have been restored",
                    Mode::Cleanup => "; its Job succeeded, so the data may be gone",
                });
            }
            return Err(NotDone::failed(error.reason, message));
        }
    };
    match verdict {
        Ok(outcome) if end.succeeded => Ok(outcome),
        Ok(_) => Err(NotDone::failed(plain_failure(run.mode), format!("the Job failed: {}", end.message))),
        Err(failure) if end.succeeded => Err(guest_failed(failure)),
        Err(failure) => {
            let late = end.reason == "DeadlineExceeded"
                && ctx.clock.now().saturating_add(SLACK).is_ok_and(|soon| run.is_late(soon));
            let reason = if late { reasons::RUN_DEADLINE_EXCEEDED } else { plain_failure(run.mode) };
            Err(NotDone::failed(reason, cause(failure_text(&failure), before, late, end)))
        }
    }
}

/// Why the Job failed: what the component says, and what was seen before the pod was gone.
fn cause(message: String, before: Option<String>, late: bool, end: &End) -> String {
    match (before, end.reason.as_str()) {
        (Some(before), _) if late => {
            format!("{before}; the run's deadline has passed and its Job was stopped")
        }
        (Some(before), "DeadlineExceeded") => {
            format!("{before}; the Job was stopped when the strategy's activeDeadlineSeconds were over")
        }
        (Some(before), _) => format!("{message}; before that: {before}"),
        (None, _) if late => format!("the run's deadline has passed: {message}"),
        (None, _) => message,
    }
}

/// The reason of a Job that failed: scripts rely on it (lifecycle.md 6, 7).
fn plain_failure(mode: Mode) -> &'static str {
    match mode {
        Mode::Backup => reasons::BACKUP_FAILED,
        Mode::Restore => reasons::RESTORE_FAILED,
        Mode::Cleanup => reasons::CLEANUP_FAILED,
    }
}
