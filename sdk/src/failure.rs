//! Failures of runs, and findings about fields that a user wrote.

/// The failure of a run. The run is not retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason of the condition, the Event and the metric: `[A-Za-z][A-Za-z0-9]*`, at most 64 bytes.
    pub reason: String,
    /// The failure, its cause and the remedy, at most 16 KiB. Log lines that show the cause may follow.
    pub message: String,
    /// All fields that caused it, at most 32.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// A failure without findings.
    #[must_use]
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), findings: Vec::new() }
    }

    /// Replaces the findings.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }
}

/// A finding about a field that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it refuses the run.
    pub severity: Severity,
    /// JSON pointer into `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    pub at: String,
    /// The problem and the remedy.
    pub message: String,
}

impl Finding {
    /// A finding that refuses the run.
    #[must_use]
    pub fn error(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at: at.into(), message: message.into() }
    }

    /// A finding that is reported while the run goes on.
    #[must_use]
    pub fn warning(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, at: at.into(), message: message.into() }
    }
}

/// The severity of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Refuses the run.
    Error,
    /// Reported while the run goes on.
    Warning,
}
