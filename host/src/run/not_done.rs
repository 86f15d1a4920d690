//! [`NotDone`], made from the errors of the floors below.

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

impl From<CallFailed> for NotDone {
    fn from(error: CallFailed) -> Self {
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
