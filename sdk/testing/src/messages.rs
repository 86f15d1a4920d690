//! Errors and failures as text, for the panics of tests.

use std::fmt::Write as _;

use backstay_core::contract::Failure;
use backstay_engine::CallError;

/// Joins an error and its causes on one line.
pub(crate) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Formats a failed call with its causes and the component's log lines.
pub(crate) fn call_error_text(error: &CallError) -> String {
    let mut text = format!("{}: {}", error.reason(), error_text(error));
    for line in &error.log {
        let _ = write!(text, "\nlog: {}", line.message);
    }
    text
}

/// Formats a failure with its findings.
pub(crate) fn failure_text(failure: &Failure) -> String {
    let mut text = format!("{}: {}", failure.reason, failure.message);
    for finding in &failure.findings {
        let _ = write!(text, "\n  {}: {}", finding.at, finding.message);
    }
    text
}
