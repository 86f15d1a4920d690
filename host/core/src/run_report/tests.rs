//! Tests of reports: status and next reconcile of a run, by the reason why it stopped.

use backstay_api::RunRecord;

use super::*;

const LIMITS: Limits =
    Limits { wait_deadline: SignedDuration::from_mins(30), undo_deadline: SignedDuration::from_mins(15) };
/// Deadline of [`begun`].
const DEADLINE: i64 = 1_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A run that has begun, whose component undoes nothing.
fn begun() -> (RunFacts, RunStatus) {
    let mut status = RunStatus::default();
    let deadline = Some(crate::status::seconds(at(DEADLINE)));
    status.begin(RunRecord { deadline, ..RunRecord::default() }, at(0));
    (RunFacts::new(Mode::Backup, &status, &[], None, Some(false)), status)
}

/// A run that has not begun.
fn new() -> (RunFacts, RunStatus) {
    let status = RunStatus::default();
    (RunFacts::new(Mode::Backup, &status, &[], None, None), status)
}

fn requeue(report: &Report) -> u64 {
    match report.next {
        Next::Requeue(after) => after.as_secs(),
        ref other => panic!("{other:?}"),
    }
}

fn failed(report: &Report) -> (&str, &str) {
    match &report.next {
        Next::Fail { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

fn ready(status: &RunStatus) -> (&str, &str) {
    status.ready().map(|c| (c.reason.as_str(), c.message.as_str())).unwrap_or_default()
}

fn in_progress(recheck: u64) -> NotDone {
    NotDone::InProgress { message: "Job \"a\" is running".into(), recheck: Duration::from_secs(recheck) }
}

fn blocked(reason: &'static str) -> NotDone {
    NotDone::blocked(reason, "BackupClass \"c\" not found")
}

fn api(class: Class) -> NotDone {
    NotDone::Api(ApiFailure {
        class,
        cause: "reading x failed".into(),
        refusal: reasons::INVALID_OBJECT,
        past_deadline: None,
    })
}

#[test]
fn a_run_in_progress_is_reconciled_after_its_recheck_or_just_past_its_deadline() {
    for (now, recheck, next) in [(10, 120, 120), (950, 120, 51), (999, 1, 1)] {
        let (facts, mut status) = begun();
        let report = report(in_progress(recheck), &facts, &mut status, at(now), 0, &LIMITS);
        assert_eq!((requeue(&report), report.write, report.event), (next, true, None), "at {now}");
        assert_eq!(ready(&status), ("Running", "Job \"a\" is running"));
    }
}

#[test]
fn a_wait_of_the_strategy_emits_one_event() {
    let (facts, mut status) = begun();
    let waits = || NotDone::StrategyWaits {
        reason: "Recovering".into(),
        message: "m".into(),
        recheck: Duration::from_secs(30),
    };
    let first = report(waits(), &facts, &mut status, at(10), 0, &LIMITS);
    let second = report(waits(), &facts, &mut status, at(20), 0, &LIMITS);
    assert_eq!(first.event, Some(("Recovering".to_owned(), "m".to_owned())));
    assert_eq!((second.event, requeue(&first)), (None, 30));
}

#[test]
fn a_blocked_run_waits_until_its_wait_deadline_and_then_fails() {
    let (facts, mut status) = new();
    let first = report(blocked(reasons::BACKUP_CLASS_NOT_FOUND), &facts, &mut status, at(0), 0, &LIMITS);
    assert_eq!((requeue(&first), first.write), (60, true));
    assert_eq!((status.phase.as_deref(), ready(&status).0), (Some("Pending"), "BackupClassNotFound"));
    let last = report(blocked(reasons::BACKUP_CLASS_NOT_FOUND), &facts, &mut status, at(1800), 0, &LIMITS);
    let (reason, message) = failed(&last);
    assert_eq!(reason, "WaitDeadlineExceeded");
    assert!(message.ends_with("; gave up after 30 minutes (BackupClassNotFound)"), "{message}");
    assert!(!last.write, "the controller writes the end");
}

#[test]
fn a_blocked_run_gives_up_with_its_own_words_or_never() {
    let wait =
        |bounded, give_up| NotDone::Blocked { reason: "TargetBusy", message: "m".into(), bounded, give_up };
    let (facts, mut status) = new();
    status.wait("TargetBusy", "m", at(0));
    let own =
        report(wait(true, Some(("StrategyNotReady", "n".into()))), &facts, &mut status, at(9999), 0, &LIMITS);
    assert_eq!(failed(&own), ("StrategyNotReady", "n"));
    let unbounded = report(wait(false, None), &facts, &mut status, at(9999), 0, &LIMITS);
    assert_eq!(requeue(&unbounded), 300);
}

#[test]
fn a_begun_run_that_is_blocked_past_its_deadline_fails() {
    let (facts, mut status) = begun();
    let report = report(blocked(reasons::COMPONENT_MISSING), &facts, &mut status, at(DEADLINE), 0, &LIMITS);
    assert_eq!(failed(&report).0, "RunDeadlineExceeded");
}

#[test]
fn runs_that_are_gone_or_blocked_before_they_begin_release_the_lock() {
    for (what, (facts, mut status), not_done, releases) in [
        ("a run of another controller", new(), NotDone::NotOurs, true),
        ("a run that is gone", begun(), NotDone::Gone, true),
        ("a new run without its class", new(), blocked(reasons::BACKUP_CLASS_NOT_FOUND), true),
        ("a new run that waits for the lock itself", new(), blocked(reasons::TARGET_BUSY), false),
        ("a begun run without its component", begun(), blocked(reasons::COMPONENT_MISSING), false),
        ("a begun run in progress", begun(), in_progress(1), false),
        ("a run whose call failed", new(), api(Class::RetryVisible), false),
    ] {
        let report = report(not_done, &facts, &mut status, at(1), 1, &LIMITS);
        assert_eq!(report.release_lock, releases, "{what}");
    }
}

#[test]
fn a_run_of_another_controller_loses_the_conditions_of_its_wait() {
    let (facts, mut status) = new();
    let silent = report(NotDone::NotOurs, &facts, &mut status, at(1), 0, &LIMITS);
    assert_eq!((silent.next, silent.write), (Next::AwaitChange, false));
    status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(0));
    let waited = report(NotDone::NotOurs, &facts, &mut status, at(1), 0, &LIMITS);
    assert_eq!((waited.write, status), (true, RunStatus::default()));
}

#[test]
fn a_failed_call_is_retried_by_its_class() {
    let retry = Class::Retry { after: None };
    let slow = Class::Retry { after: Some(Duration::from_secs(77)) };
    for (what, class, attempt, write, read_again, at_least) in [
        ("a transient error", retry, 1, false, false, 0),
        ("the fourth in a row shows on the run", retry, 4, true, false, 1),
        ("the server asks for a pause", slow, 1, false, false, 77),
        ("a missing right shows at once", Class::RetryVisible, 1, true, false, 0),
        ("a conflict has the run read again", Class::Conflict, 1, false, true, 0),
    ] {
        let (facts, mut status) = begun();
        let report = report(api(class), &facts, &mut status, at(1), attempt, &LIMITS);
        assert_eq!((report.write, report.read_again), (write, read_again), "{what}");
        assert!(requeue(&report) >= at_least, "{what}: {report:?}");
        assert_eq!(ready(&status).0, if write { "WaitingForAPI" } else { "Running" }, "{what}");
    }
}

#[test]
fn a_refusal_fails_the_run_with_its_reason() {
    let (facts, mut status) = begun();
    let report = report(api(Class::Refused), &facts, &mut status, at(1), 1, &LIMITS);
    assert_eq!(failed(&report), ("InvalidObject", "reading x failed"));
}

#[test]
fn a_failed_call_past_the_deadline_fails_the_run_with_the_reason_of_the_call() {
    let (facts, mut status) = begun();
    let past = |past_deadline| {
        NotDone::Api(ApiFailure {
            class: Class::Retry { after: None },
            cause: "c".into(),
            refusal: "x",
            past_deadline,
        })
    };
    let plain = report(past(None), &facts, &mut status, at(DEADLINE), 1, &LIMITS);
    assert_eq!(failed(&plain).0, "RunDeadlineExceeded");
    let own = report(past(Some("ArtifactNotRecorded")), &facts, &mut status, at(DEADLINE), 1, &LIMITS);
    assert_eq!(failed(&own).0, "ArtifactNotRecorded");
    let undoing = RunFacts { held: true, component_cancels: Some(true), ..facts };
    let undoes = report(past(None), &undoing, &mut status, at(DEADLINE), 1, &LIMITS);
    assert!(matches!(undoes.next, Next::Requeue(_)), "its component may still undo: {undoes:?}");
}

#[test]
fn a_run_that_cannot_begin_gives_up_on_the_api_server_after_the_wait_deadline() {
    let (facts, mut status) = new();
    report(api(Class::RetryVisible), &facts, &mut status, at(0), 1, &LIMITS);
    let last = report(api(Class::RetryVisible), &facts, &mut status, at(1800), 9, &LIMITS);
    assert_eq!(failed(&last).0, "WaitDeadlineExceeded");
}

#[test]
fn the_message_of_a_clean_up_names_the_finalizer_to_remove() {
    let (facts, mut status) = begun();
    let facts = RunFacts { mode: Mode::Cleanup, ..facts };
    let report = report(api(Class::Refused), &facts, &mut status, at(1), 1, &LIMITS);
    assert!(failed(&report).1.contains("remove the finalizer"), "{report:?}");
}

#[test]
fn redaction_reaches_every_text() {
    let redact = |text: &str| text.replace("hush", "***");
    let give_up = Some(("r", "hush".to_owned()));
    for not_done in [
        NotDone::InProgress { message: "hush".into(), recheck: Duration::ZERO },
        NotDone::StrategyWaits { reason: "r".into(), message: "hush".into(), recheck: Duration::ZERO },
        NotDone::Blocked { reason: "r", message: "hush".into(), bounded: true, give_up },
        NotDone::failed("r", "hush"),
        NotDone::Api(ApiFailure {
            class: Class::Conflict,
            cause: "hush".into(),
            refusal: "r",
            past_deadline: None,
        }),
    ] {
        let text = format!("{:?}", not_done.redacted(redact));
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn whole_minutes_are_formatted_as_minutes() {
    for (seconds, words) in [(1800, "30 minutes"), (90, "90 seconds"), (60, "1 minute"), (0, "0 seconds")] {
        assert_eq!(in_words(SignedDuration::from_secs(seconds)), words);
    }
}
