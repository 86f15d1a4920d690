//! [`NotDone`], made from the errors of the floors below.

use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Diagnostic, Failure};

pub use backstay_core::run_report::{ApiFailure, NotDone};

use crate::cluster::error::ApiError;
use crate::components::CallFailed;
use crate::records::checkpoints::RecordsError;
use crate::records::credentials::ProjectionError;
use crate::records::revisions::RevisionsError;

impl From<ApiError> for NotDone {
    fn from(error: ApiError) -> Self {
        Self::Api(ApiFailure {
            class: error.class(),
            cause: error.user_message(),
            refusal: error.refusal(),
            past_deadline: error.past_deadline,
        })
    }
}

/// How soon a run comes again whose component too many others wait for.
const BUSY: Duration = Duration::from_millis(250);

impl From<CallFailed> for NotDone {
    fn from(error: CallFailed) -> Self {
        if error.busy {
            return Self::Slowed(BUSY);
        }
        Self::failed(error.reason, error.message)
    }
}

impl From<RecordsError> for NotDone {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Api(error) => error.into(),
            error => Self::failed(error.reason(), error.to_string()),
        }
    }
}

impl From<RevisionsError> for NotDone {
    fn from(error: RevisionsError) -> Self {
        match error {
            RevisionsError::Api(error) => error.into(),
            error => Self::failed(error.reason(), error.to_string()),
        }
    }
}

/// The run is blocked while the source is missing or the API server does not answer, and fails where only a person can help.
impl From<ProjectionError> for NotDone {
    fn from(error: ProjectionError) -> Self {
        let message = match &error {
            ProjectionError::Content(content) if !content.is_transient() => {
                let message = format!("failed to project backup credentials: {content}");
                return Self::failed(error.reason(), message);
            }
            ProjectionError::Content(error) => error.to_string(),
            ProjectionError::Api(error) => error.user_message(),
        };
        Self::blocked(reasons::CREDENTIALS_PROJECTION_PENDING, message)
    }
}

/// The guest stated a failure.
pub(crate) fn guest_failed(failure: Failure) -> NotDone {
    let message = failure_text(&failure);
    NotDone::failed(failure.reason, message)
}

/// Returns the message of a failure with those of its findings that the message does not contain.
pub(crate) fn failure_text(failure: &Failure) -> String {
    let more = failure.findings.iter().filter(|f| !failure.message.contains(&f.message));
    match findings_text(more).as_str() {
        "" => failure.message.clone(),
        findings => format!("{}: {findings}", failure.message),
    }
}

/// Returns findings as one line.
pub(crate) fn findings_text<'a>(findings: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    findings.into_iter().map(|f| format!("{}: {}", f.at, f.message)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Severity;
    use backstay_core::credentials::CredentialsError;
    use backstay_core::retry::Class;
    use kube::core::Status;

    use super::*;

    fn api_error(code: u16) -> ApiError {
        let status = Status::failure("no", "r").with_code(code);
        ApiError::new("reading x", kube::Error::Api(status.boxed()))
    }

    fn finding(at: &str, message: &str) -> Diagnostic {
        Diagnostic { severity: Severity::Error, at: at.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn an_error_of_the_api_server_keeps_its_class_its_reasons_and_its_words() {
        let error = api_error(403).refused_as(reasons::INVALID_JOB).late_as(reasons::RUN_DEADLINE_EXCEEDED);
        let expected = NotDone::Api(ApiFailure {
            class: Class::RetryVisible,
            cause: "reading x failed: no (403); grant the controller this right".to_owned(),
            refusal: "InvalidJob",
            past_deadline: Some("RunDeadlineExceeded"),
        });
        assert_eq!(NotDone::from(error), expected);
    }

    #[test]
    fn records_and_revisions_that_the_api_server_does_not_give_are_tried_again_and_corrupt_ones_fail_the_run()
    {
        let api = NotDone::from(api_error(503));
        assert_eq!(NotDone::from(RecordsError::Api(api_error(503))), api);
        assert_eq!(NotDone::from(RevisionsError::Api(api_error(503))), api);
        let failed = |error: NotDone| match error {
            NotDone::Failed { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(RecordsError::NotARecord("x".into()).into()), "CheckpointCorrupt");
        assert_eq!(failed(RevisionsError::Missing("x".into()).into()), "StrategySnapshotCorrupt");
    }

    #[test]
    fn a_run_waits_for_credentials_unless_only_a_person_can_help() {
        let missing = CredentialsError::SourceMissing { namespace: "a".into(), name: "b".into() };
        let says = [
            (ProjectionError::Content(missing), "source credentials Secret a/b not found"),
            (ProjectionError::Api(api_error(503)), "reading x failed: no (503)"),
        ];
        for (error, message) in says {
            assert_eq!(NotDone::from(error), NotDone::blocked("CredentialsProjectionPending", message));
        }
        let malformed = ProjectionError::Content(CredentialsError::SourceMalformed("m".into()));
        let failed = NotDone::failed("SourceSecretMalformed", "failed to project backup credentials: m");
        assert_eq!(NotDone::from(malformed), failed);
    }

    #[test]
    fn a_failure_is_shown_with_the_findings_that_its_message_does_not_contain() {
        let failure = |message: &str, findings| Failure {
            reason: "Bad".to_owned(),
            message: message.to_owned(),
            findings,
        };
        let both =
            failure("the image is missing", vec![finding("/a", "is missing"), finding("/b", "is too long")]);
        let says = "the image is missing: /b: is too long";
        assert_eq!(guest_failed(both), NotDone::failed("Bad", says));
        let repeated = failure("the image is missing", vec![finding("/a", "is missing")]);
        assert_eq!(failure_text(&repeated), "the image is missing");
        assert_eq!(findings_text(&[finding("/a", "x"), finding("/b", "y")]), "/a: x; /b: y");
    }
}
