//! Classifies errors of the API server: one table, docs/rules.md R4.
//!
//! A transient error ends a run only when a deadline of the run passes; a final one is never retried.

use std::time::Duration;

/// A failed call of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiFault<'a> {
    /// HTTP status; `None` if no answer came (network, TLS, timeout, cut connection).
    pub code: Option<u16>,
    /// `Status.reason`, such as `AlreadyExists`.
    pub reason: &'a str,
    /// `Status.message`.
    pub message: &'a str,
    /// `Status.details.retryAfterSeconds`.
    pub retry_after: Option<u32>,
}

/// The reaction to a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again, after the server's delay if it names one.
    Retry {
        /// `retryAfterSeconds` of the answer.
        after: Option<Duration>,
    },
    /// Try again, and show the error at once: a person may have to act (rights, quota).
    RetryVisible,
    /// The object does not exist.
    NotFound,
    /// An object of that name exists.
    AlreadyExists,
    /// The object has changed since it was read: read it again.
    Conflict,
    /// The request is refused, and would be refused again.
    Refused,
}

/// Classifies an error of the API server.
///
/// Refused are 400, 405, 413, 422, the 500 of an object that is too large, and the 403 of an admission webhook or policy. 404
/// and both kinds of 409 have classes of their own; any other error is retried. A patch that names the uid of an object which
/// was made anew under its name is answered with 422, and is a conflict.
#[must_use]
pub fn classify(fault: &ApiFault<'_>) -> Class {
    match fault.code {
        Some(404) => Class::NotFound,
        Some(409) if fault.reason == "AlreadyExists" => Class::AlreadyExists,
        Some(409) => Class::Conflict,
        Some(422) if fault.message.contains(OTHER_UID) => Class::Conflict,
        Some(400 | 405 | 413 | 422) => Class::Refused,
        Some(500) if too_large(fault.message) => Class::Refused,
        Some(403) if denied_by_admission(fault.message) => Class::Refused,
        Some(401 | 403) => Class::RetryVisible,
        _ => Class::Retry { after: fault.retry_after.map(|s| Duration::from_secs(u64::from(s))) },
    }
}

/// Returns whether an answer with code 500 says that the object is too large to be stored, which shows only in its text: the
/// limits of etcd (1.5 MiB) and of its client (2 MiB) are below that of the API server (3 MiB), whose answer is a 413.
#[must_use]
pub fn too_large(message: &str) -> bool {
    message.contains("request is too large") || message.contains("trying to send message larger than max")
}

/// Part of the answer to a patch whose uid is not that of the object.
const OTHER_UID: &str = "metadata.uid: Invalid value";

/// Returns whether an admission webhook or policy gave this answer, which shows only in its text.
/// A quota is admission as well, but changes with time, so it is retried.
#[must_use]
pub fn denied_by_admission(message: &str) -> bool {
    !message.contains("exceeded quota")
        && (message.contains("admission webhook") && message.contains("denied the request")
            || message.contains("ValidatingAdmissionPolicy")
            || message.contains("violates PodSecurity"))
}

/// Returns the delay before a retry (1 is the first): 250 ms, doubling to one minute.
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    let exponent = attempt.saturating_sub(1).min(8);
    Duration::from_millis(250 << exponent).min(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u16, reason: &str, message: &str) -> Class {
        classify(&ApiFault { code: Some(code), reason, message, retry_after: None })
    }

    #[test]
    fn r4_network_errors_timeouts_429_and_5xx_are_tried_again() {
        let none = ApiFault { code: None, reason: "", message: "connection reset", retry_after: None };
        assert_eq!(classify(&none), Class::Retry { after: None });
        for code in [408, 429, 500, 502, 503, 504] {
            assert_eq!(class(code, "", ""), Class::Retry { after: None }, "{code}");
        }
    }

    #[test]
    fn r4_retry_after_is_honoured() {
        let slow = ApiFault { code: Some(429), reason: "", message: "", retry_after: Some(7) };
        assert_eq!(classify(&slow), Class::Retry { after: Some(Duration::from_secs(7)) });
    }

    #[test]
    fn r4_a_patch_of_an_object_that_was_made_anew_under_its_name_is_a_conflict() {
        let message = "Job.batch \"j\" is invalid: metadata.uid: Invalid value: \"1\": field is immutable";
        assert_eq!(class(422, "Invalid", message), Class::Conflict);
        let other = "Job.batch \"j\" is invalid: spec.template.metadata.uid: Required value";
        assert_eq!(class(422, "Invalid", other), Class::Refused);
    }

    #[test]
    fn r4_invalid_requests_are_final() {
        for code in [400, 405, 413, 422] {
            assert_eq!(class(code, "Invalid", ""), Class::Refused, "{code}");
        }
    }

    #[test]
    fn r4_plain_forbidden_and_quota_are_tried_again_in_sight() {
        assert_eq!(class(403, "Forbidden", "user x cannot create jobs"), Class::RetryVisible);
        assert_eq!(
            class(403, "Forbidden", "exceeded quota: compute, requested: pods=1"),
            Class::RetryVisible
        );
    }

    #[test]
    fn t12_a_write_that_is_refused_for_its_size_is_final() {
        for message in [
            "etcdserver: request is too large",
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2119064 vs. 2097152)",
        ] {
            assert_eq!(class(500, "", message), Class::Refused, "{message}");
        }
    }

    #[test]
    fn a_webhooks_denial_is_final() {
        assert_eq!(
            class(403, "Forbidden", "admission webhook \"x.example.org\" denied the request: no"),
            Class::Refused
        );
        assert_eq!(
            class(403, "Forbidden", "pods \"x\" is forbidden: violates PodSecurity \"restricted\""),
            Class::Refused
        );
    }

    #[test]
    fn an_admission_denial_is_recognised_by_its_text() {
        assert!(denied_by_admission(
            "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
        ));
        assert!(!denied_by_admission("Job.batch \"x\" is invalid: spec.template: Required value"));
    }

    #[test]
    fn an_unreachable_webhook_is_tried_again() {
        assert_eq!(
            class(500, "InternalError", "failed calling webhook \"x\": connection refused"),
            Class::Retry { after: None }
        );
    }

    #[test]
    fn the_two_kinds_of_409_differ() {
        assert_eq!(class(409, "AlreadyExists", ""), Class::AlreadyExists);
        assert_eq!(class(409, "Conflict", ""), Class::Conflict);
    }

    #[test]
    fn backoff_doubles_to_a_minute() {
        assert_eq!(backoff(1), Duration::from_millis(250));
        assert_eq!(backoff(3), Duration::from_secs(1));
        assert_eq!(backoff(40), Duration::from_mins(1));
    }
}
