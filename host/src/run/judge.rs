//! What the end of the Job means, by the component's word.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome, PodResult};
use backstay_core::job::End;

use super::halt::Halt;
use super::object::Run;
use super::pinned::Pinned;
use super::{job, request};
use crate::api_error::chain;
use crate::context::Context;

/// Asks the component. A Job that failed never means a success, whatever is answered.
pub(super) async fn judge(
    run: &Run,
    pinned: &Pinned,
    end: &End,
    result: PodResult,
    ctx: &Arc<Context>,
) -> Result<Outcome, Halt> {
    let request = request::request(run, pinned, ctx).await?;
    let component = pinned.component.clone();
    let name = component.descriptor().name.clone();
    let called = ctx.call(&name, "parse", move || component.parse(&request, &result)).await;
    let verdict = match called {
        Ok(called) => called.value,
        Err(error) => {
            return Err(Halt::fail(error.reason(), format!("component {name:?}: {}", chain(&error))));
        }
    };
    match verdict {
        Ok(outcome) if end.succeeded => Ok(outcome),
        Ok(_) => Err(Halt::fail(plain_failure(run.mode), format!("the Job failed: {}", end.message))),
        Err(failure) if end.succeeded => Err(job::refused(failure)),
        Err(failure) => {
            let late =
                end.reason == "DeadlineExceeded" && run.deadline().is_some_and(|d| ctx.clock.now() >= d);
            let reason = if late { reasons::RUN_DEADLINE_EXCEEDED } else { plain_failure(run.mode) };
            match job::refused(failure) {
                Halt::Fail { message, .. } => Err(Halt::fail(reason, message)),
                other => Err(other),
            }
        }
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
