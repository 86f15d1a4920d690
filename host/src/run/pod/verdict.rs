//! The verdict on a Job that has ended: its component says what the end means.

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome, Pod, PodResult, Request};
use backstay_core::job::End;
use backstay_engine::Component;

use super::job;
use crate::components::Components;
use crate::run::not_done::{NotDone, failure_text, guest_failed};
use crate::run::pinned::Pinned;
use crate::state::run::Run;

/// A Job counts its deadline in whole seconds from its own start, and so ends up to two seconds before the run's. The time of
/// the request is in whole seconds, too.
const SLACK: i64 = 3;

/// Has the component judge the result. A Job that failed is never a success, whatever the component answers.
///
/// # Errors
/// The run fails: the Job failed, or the component says so or cannot be called.
pub(crate) async fn verdict(
    run: &Run,
    pinned: &Pinned,
    end: &End,
    result: PodResult,
    request: Request,
    components: &Components,
) -> Result<Outcome, NotDone> {
    let now = request.now;
    // Of pods that never ran anything, the last trouble on the run tells most.
    let before = if result.pods.iter().all(ran_nothing) { job::last_trouble(run) } else { None };
    let parse = move |component: &Component| component.parse(&request, &result);
    let verdict = match components.call(&pinned.component, run.caller(), "parse", parse).await {
        Ok(verdict) => verdict,
        Err(error) if error.busy => return Err(error.into()),
        Err(error) => {
            let mut message = error.message;
            if end.succeeded {
                message.push_str("; its Job succeeded, so ");
                message.push_str(job::effect(run.mode));
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
                && run.deadline().is_some_and(|deadline| now + SLACK >= deadline.as_second());
            let reason = if late { reasons::RUN_DEADLINE_EXCEEDED } else { plain_failure(run.mode) };
            Err(NotDone::failed(reason, cause(failure_text(&failure), before, late, end)))
        }
    }
}

/// Returns whether a pod shows neither a cause nor a container that has ended.
fn ran_nothing(pod: &Pod) -> bool {
    pod.reason.is_empty() && pod.containers.iter().all(|container| container.exit_code.is_none())
}

/// Returns why the Job failed: the component's message, and the trouble that was seen before the pod was deleted.
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

/// Returns the reason of a failed Job. It is the Go implementation's: scripts rely on it.
fn plain_failure(mode: Mode) -> &'static str {
    match mode {
        Mode::Backup => reasons::BACKUP_FAILED,
        Mode::Restore => reasons::RESTORE_FAILED,
        Mode::Cleanup => reasons::CLEANUP_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Container;

    use super::*;

    fn end(reason: &str) -> End {
        End { succeeded: false, reason: reason.to_owned(), message: "m".to_owned(), at: None }
    }

    #[test]
    fn a_failed_job_is_told_by_its_component_unless_only_the_trouble_before_it_is_known() {
        let stuck = Some("pod \"p\" cannot be scheduled".to_owned());
        for (before, late, reason, says) in [
            (None, false, "BackoffLimitExceeded", "exit code 1"),
            (None, true, "DeadlineExceeded", "the run's deadline has passed: exit code 1"),
            (
                stuck.clone(),
                false,
                "BackoffLimitExceeded",
                "exit code 1; before that: pod \"p\" cannot be scheduled",
            ),
            (
                stuck.clone(),
                true,
                "DeadlineExceeded",
                "pod \"p\" cannot be scheduled; the run's deadline has passed and its Job was stopped",
            ),
            (
                stuck,
                false,
                "DeadlineExceeded",
                "pod \"p\" cannot be scheduled; the Job was stopped when the strategy's activeDeadlineSeconds were over",
            ),
        ] {
            assert_eq!(cause("exit code 1".to_owned(), before, late, &end(reason)), says);
        }
    }

    #[test]
    fn a_pod_that_ended_or_says_why_it_did_not_tells_more_than_the_last_trouble() {
        let pod = |reason: &str, exit_code: Option<i32>| Pod {
            name: "p".to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            started_at: None,
            finished_at: None,
            containers: vec![Container {
                name: "c".to_owned(),
                exit_code,
                reason: String::new(),
                message: String::new(),
                log: String::new(),
            }],
        };
        assert!(ran_nothing(&pod("", None)));
        assert!(!ran_nothing(&pod("Deleted", None)) && !ran_nothing(&pod("", Some(0))));
    }

    #[test]
    fn a_failed_job_has_the_reason_of_its_mode() {
        let reasons = [Mode::Backup, Mode::Restore, Mode::Cleanup].map(plain_failure);
        assert_eq!(reasons, ["BackupFailed", "RestoreFailed", "CleanupFailed"]);
    }
}
