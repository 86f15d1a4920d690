//! Errors of the API server: which call failed, and what to do about it.

use std::error::Error as StdError;
use std::fmt::Write as _;

use backstay_api::conditions::reasons;
use backstay_core::retry::{ApiFault, Class, classify, denied_by_admission};

use super::checked_names::NotAName;

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed")]
pub struct ApiError {
    doing: String,
    source: kube::Error,
    /// Reason of the run's failure if its deadline passes while the call is retried.
    pub past_deadline: Option<&'static str>,
    refused: Option<&'static str>,
}

impl ApiError {
    /// `doing` completes the sentence "… failed".
    #[must_use]
    pub fn new(doing: impl Into<String>, source: kube::Error) -> Self {
        Self { doing: doing.into(), source, past_deadline: None, refused: None }
    }

    /// Sets the reason of a refusal (400, 405, 413, 422). A denial by admission keeps its own reason: another person has to
    /// change the policy.
    #[must_use]
    pub fn refused_as(mut self, reason: &'static str) -> Self {
        self.refused = Some(reason);
        self
    }

    /// Sets the reason of the run's failure if its deadline passes meanwhile.
    #[must_use]
    pub fn late_as(mut self, reason: &'static str) -> Self {
        self.past_deadline = Some(reason);
        self
    }

    /// Puts before what was being done what that was a part of: `whole` completes the sentence "… failed", too.
    #[must_use]
    pub fn part_of(mut self, whole: &str) -> Self {
        self.doing = format!("{whole}: {}", self.doing);
        self
    }

    /// Returns what to do about the error.
    #[must_use]
    pub fn class(&self) -> Class {
        class(&self.source)
    }

    /// Returns the reason of a refusal.
    #[must_use]
    pub fn refusal(&self) -> &'static str {
        if self.by_admission() {
            return reasons::ADMISSION_DENIED;
        }
        if let Some(reason) = self.refused {
            return reason;
        }
        match &self.source {
            kube::Error::SerdeError(_) => return reasons::UNREADABLE_OBJECT,
            error if is_unbuilt(error) => return reasons::INVALID_REFERENCE,
            _ => {}
        }
        match code(&self.source) {
            Some(405) => reasons::METHOD_NOT_ALLOWED,
            Some(413) => reasons::OBJECT_TOO_LARGE,
            _ => reasons::INVALID_OBJECT,
        }
    }

    fn by_admission(&self) -> bool {
        denied_by_admission(self.answer())
    }

    fn answer(&self) -> &str {
        match &self.source {
            kube::Error::Api(status) => &status.message,
            _ => "",
        }
    }

    /// Returns the error with its causes and, where it is known, the remedy.
    #[must_use]
    pub fn user_message(&self) -> String {
        let answer = self.answer();
        let remedy = if answer.contains("exceeded quota") {
            "; raise the quota, or delete what uses it up"
        } else if answer.contains("it is being terminated") {
            ""
        } else if answer.contains("failed calling webhook") {
            "; mend or remove the webhook"
        } else if self.by_admission() {
            "; change the strategy or the policy, then create the run anew"
        } else if self.class() == Class::RetryVisible {
            "; grant the controller this right"
        } else if self.class() == Class::Refused && self.refused == Some(reasons::INVALID_JOB) {
            "; correct the strategy, then create the run anew"
        } else {
            ""
        };
        format!("{}{remedy}", chain(self))
    }
}

/// Returns whether the client could not build the request, because of a name in it.
fn is_unbuilt(error: &kube::Error) -> bool {
    match error {
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => true,
        kube::Error::Service(error) => error.is::<NotAName>(),
        _ => false,
    }
}

/// Classifies an error of the client. A request that cannot be built, and an answer that does not decode, are final: the same
/// call ends the same way.
#[must_use]
pub fn class(error: &kube::Error) -> Class {
    if is_unbuilt(error) || matches!(error, kube::Error::SerdeError(_)) {
        return Class::Refused;
    }
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

/// Returns whether the object does not exist.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    class(error) == Class::NotFound
}

/// Returns an error with its causes, each of them once: first the call that failed, then why.
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
    fn a_denial_by_admission_is_told_from_an_invalid_job_whatever_its_code() {
        let denial = "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
        for code in [403, 422] {
            assert_eq!(api(code, "Invalid", denial).refused_as("InvalidJob").refusal(), "AdmissionDenied");
        }
    }

    #[test]
    fn an_error_says_what_to_do() {
        for (code, message, remedy) in [
            (403, "exceeded quota: none", "raise the quota"),
            (403, "cannot get resource \"redises\"", "grant the controller this right"),
            (500, "failed calling webhook \"x\": connection refused", "mend or remove the webhook"),
            (403, "admission webhook \"x\" denied the request: no", "change the strategy or the policy"),
        ] {
            let message = api(code, "", message).user_message();
            assert!(message.contains(remedy), "{message}");
        }
        let invalid = api(422, "Invalid", "x").refused_as(reasons::INVALID_JOB).user_message();
        assert!(invalid.ends_with("correct the strategy, then create the run anew"), "{invalid}");
    }

    #[tokio::test]
    async fn r4_a_request_that_cannot_be_built_and_an_answer_that_does_not_decode_are_final() {
        use k8s_openapi::api::core::v1::Namespace;

        use crate::cluster::stand_in::StandIn;

        let server = StandIn::default();
        server.put("/api/v1/namespaces/x", serde_json::json!({"metadata": {"name": "x", "labels": 7}}));
        let api = kube::Api::<Namespace>::all(server.client());
        for (name, reason) in
            [("", "InvalidReference"), ("a b", "InvalidReference"), ("x", "UnreadableObject")]
        {
            let error = api.get_opt(name).await.expect_err("it cannot be read");
            let error = ApiError::new("reading Namespace", error);
            assert_eq!((error.class(), error.refusal()), (Class::Refused, reason), "{name:?}: {error:?}");
        }
    }

    #[test]
    fn r4_a_cut_connection_is_tried_again() {
        let error = ApiError::new("x", kube::Error::Service("connection reset".into()));
        assert_eq!(error.class(), Class::Retry { after: None });
    }
}
