//! Errors of the API server: what was being done, and which class the answer is of.

use std::error::Error as StdError;
use std::fmt::Write as _;

use backstay_api::conditions::reasons;
use backstay_core::retry::{ApiFault, Class, classify};

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed")]
pub struct ApiError {
    doing: String,
    source: kube::Error,
    /// The reason to give if the run's deadline passes while this is tried again.
    pub past_deadline: Option<&'static str>,
    refused: Option<&'static str>,
}

impl ApiError {
    /// `doing` completes the sentence "… failed".
    #[must_use]
    pub fn new(doing: impl Into<String>, source: kube::Error) -> Self {
        Self { doing: doing.into(), source, past_deadline: None, refused: None }
    }

    /// Gives a refusal (400, 405, 413, 422, denied by admission) a reason of its own.
    #[must_use]
    pub fn refused_as(mut self, reason: &'static str) -> Self {
        self.refused = Some(reason);
        self
    }

    /// Gives the passing of the run's deadline a reason of its own.
    #[must_use]
    pub fn late_as(mut self, reason: &'static str) -> Self {
        self.past_deadline = Some(reason);
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        class(&self.source)
    }

    /// The reason of a refusal.
    #[must_use]
    pub fn refusal(&self) -> &'static str {
        if let Some(reason) = self.refused {
            return reason;
        }
        match code(&self.source) {
            Some(403) => reasons::ADMISSION_DENIED,
            Some(405) => reasons::METHOD_NOT_ALLOWED,
            Some(413) => reasons::OBJECT_TOO_LARGE,
            _ => reasons::INVALID_OBJECT,
        }
    }
}

/// Which class an error of the client is of.
#[must_use]
pub fn class(error: &kube::Error) -> Class {
    let fault = match error {
        kube::Error::Api(status) => ApiFault {
            code: Some(status.code),
            reason: &status.reason,
            message: &status.message,
            retry_after: status.details.as_ref().map(|d| d.retry_after_seconds).filter(|s| *s > 0),
        },
        _ => ApiFault { code: None, reason: "", message: "", retry_after: None },
    };
    classify(&fault)
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Whether the object asked for is not there.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    class(error) == Class::NotFound
}

/// An error with its causes, each said once: what failed, then why.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let answered = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => Some(format!("{} ({})", status.message, status.code)),
            _ => None,
        };
        let said = answered.clone().unwrap_or_else(|| error.to_string());
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        if answered.is_some() {
            break;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, reason: &str, message: &str) -> ApiError {
        let status = Status::failure(message, reason).with_code(code);
        ApiError::new("creating Job \"a/b\"", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn an_error_says_what_failed_and_why_once() {
        assert_eq!(
            chain(&api(403, "Forbidden", "jobs is forbidden")),
            "creating Job \"a/b\" failed: jobs is forbidden (403)"
        );
    }

    #[test]
    fn r4_a_refusal_has_the_reason_of_its_kind() {
        assert_eq!(api(422, "Invalid", "x").refusal(), "InvalidObject");
        assert_eq!(api(413, "", "x").refusal(), "ObjectTooLarge");
        assert_eq!(api(422, "Invalid", "x").refused_as("InvalidJob").refusal(), "InvalidJob");
    }

    #[test]
    fn r4_a_cut_connection_is_tried_again() {
        let error = ApiError::new("x", kube::Error::Service("connection reset".into()));
        assert_eq!(error.class(), Class::Retry { after: None });
    }
}
