//! What the end of the Job means, by the component's word.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome, PodResult};
use backstay_core::job::End;
use jiff::SignedDuration;

use super::halt::Halt;
use super::object::Run;
use super::pinned::Pinned;
use super::{job, request};
use crate::context::{Context, fault};

/// A Job counts its deadline in whole seconds from its own beginning, and so ends up to two before the run's.
const SLACK: SignedDuration = SignedDuration::from_secs(3);

/// Asks the component. A Job that failed never means a success, whatever is answered.
pub(super) async fn judge(
    run: &Run,
    pinned: &Pinned,
    end: &End,
    result: PodResult,
    ctx: &Arc<Context>,
) -> Result<Outcome, Halt> {
    let request = request::request(run, pinned, &mut request::Known::default(), ctx).await?;
    let component = pinned.component.clone();
    let name = component.descriptor().name.clone();
    // Of a pod that is gone there is only what was said of it while it was there.
    let before = if result.pods.is_empty() { job::last_trouble(run) } else { None };
    let called = ctx.call(&name, "parse", move || component.parse(&request, &result)).await;
    let verdict = match called {
        Ok(called) => called.value,
        Err(error) => {
            let mut message = fault(&name, &error);
            if end.succeeded {
                message.push_str(match run.mode {
                    Mode::Backup => "; its Job succeeded, so data may have been written",
                    Mode::Restore => "; its Job succeeded, so the application may have been restored",
                    Mode::Cleanup => "; its Job succeeded, so the data may be gone",
                });
            }
            return Err(Halt::fail(error.reason(), message));
        }
    };
    match verdict {
        Ok(outcome) if end.succeeded => Ok(outcome),
        Ok(_) => Err(Halt::fail(plain_failure(run.mode), format!("the Job failed: {}", end.message))),
        Err(failure) if end.succeeded => Err(job::refused(failure)),
        Err(failure) => {
            let late = end.reason == "DeadlineExceeded"
                && ctx.clock.now().saturating_add(SLACK).is_ok_and(|soon| run.is_late(soon));
            let reason = if late { reasons::RUN_DEADLINE_EXCEEDED } else { plain_failure(run.mode) };
            Err(Halt::fail(reason, cause(job::words(&failure), before, late, end)))
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
