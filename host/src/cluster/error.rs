//! Errors of the API server: which call failed, and what to do about it.

use std::error::Error as StdError;

use backstay_api::conditions::reasons;
use backstay_core::retry::{ApiFault, Class, classify, denied_by_admission, too_large};
use http::StatusCode;
use kube::core::Status;

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

    /// The conflict that a write would have met, found before it was sent. `why` says what is in the way.
    #[must_use]
    pub fn conflict(doing: impl Into<String>, why: &str) -> Self {
        let conflict = Status::failure(why, "Conflict").with_code(409);
        Self::new(doing, kube::Error::Api(conflict.boxed()))
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
        if is_undecodable(&self.source) {
            return reasons::UNREADABLE_OBJECT;
        }
        if self.is_too_large() {
            return reasons::OBJECT_TOO_LARGE;
        }
        if let Some(reason) = self.refused {
            return reason;
        }
        if is_unbuilt(&self.source) {
            return reasons::INVALID_REFERENCE;
        }
        match code(&self.source) {
            Some(405) => reasons::METHOD_NOT_ALLOWED,
            _ => reasons::INVALID_OBJECT,
        }
    }

    /// Returns whether the object that was sent is too large to be stored.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        code(&self.source) == Some(413) || code(&self.source) == Some(500) && too_large(self.answer())
    }

    /// Returns whether the API server showed an object that does not decode.
    #[must_use]
    pub fn is_undecodable(&self) -> bool {
        is_undecodable(&self.source)
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
        } else if self.is_undecodable() {
            "; correct it, or delete it and create it anew"
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

/// An object that the API server showed, and that does not decode. It will not decode until somebody changes it.
#[derive(Debug, thiserror::Error)]
#[error("the object cannot be read: {0}")]
pub struct Undecodable(pub String);

impl From<Undecodable> for kube::Error {
    fn from(undecodable: Undecodable) -> Self {
        Self::Service(Box::new(undecodable))
    }
}

/// Returns whether the answer came, and its object does not decode.
#[must_use]
pub fn is_undecodable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(cause) if cause.is::<Undecodable>())
        || matches!(error, kube::Error::SerdeError(_))
}

/// Classifies an error of the client. A request that cannot be built, and an answer that does not decode, are final: the same
/// call ends the same way.
#[must_use]
pub fn class(error: &kube::Error) -> Class {
    if is_unbuilt(error) || is_undecodable(error) {
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

/// Returns whether the API server does not understand the request: it does not know a field that is selected by.
#[must_use]
pub fn is_bad_request(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == StatusCode::BAD_REQUEST.as_u16())
}

/// Returns an error with its causes, each of them once: first the call that failed, then why.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let answered = answered(error);
        let is_answer = answered.is_some();
        let said = answered.unwrap_or_else(|| own_words(error));
        if !said.is_empty() && !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        // The cause of an answer is the same answer once more, in the words of a program.
        next = if is_answer { None } else { error.source() };
    }
    text
}

/// Returns message and code, if the error is an answer of the API server.
fn answered(error: &(dyn StdError + 'static)) -> Option<String> {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => Some(format!("{} ({})", status.message, status.code)),
        Some(error @ kube::Error::Service(cause)) if is_undecodable(error) => Some(cause.to_string()),
        _ => None,
    }
}

/// Returns what an error says itself: some repeat their cause.
fn own_words(error: &(dyn StdError + 'static)) -> String {
    let text = error.to_string();
    let own = error.source().and_then(|cause| text.strip_suffix(&cause.to_string()));
    own.map(|own| own.trim_end_matches([':', ' ']).to_owned()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn t10_no_error_is_shown_as_a_program_prints_its_structs() {
        let answer = |code| {
            kube::Error::Api(
                Status::failure("plans.example.org not found", "NotFound").with_code(code).boxed(),
            )
        };
        let watch = kube::runtime::watcher::Error::InitialListFailed(answer(404));
        assert_eq!(chain(&watch), "failed to perform initial object list: plans.example.org not found (404)");
        assert_eq!(chain(&answer(404)), "plans.example.org not found (404)");
        let cut = ApiError::new("reading x", kube::Error::Service("connection reset".into()));
        assert_eq!(chain(&cut), "reading x failed: ServiceError: connection reset");
    }

    #[test]
    fn t2_an_answer_that_does_not_decode_is_final_and_says_what_to_do() {
        let error = ApiError::new(
            "reading Backup \"a/b\"",
            Undecodable("spec: missing field `takenAt`".into()).into(),
        );
        assert_eq!((error.class(), error.refusal()), (Class::Refused, "UnreadableObject"));
        assert_eq!(
            error.user_message(),
            "reading Backup \"a/b\" failed: the object cannot be read: spec: missing field `takenAt`; correct it, or delete it and create it anew"
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
