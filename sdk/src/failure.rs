//! Why a run fails, and what is wrong in the fields that a user wrote.

/// A bad end, terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `[A-Za-z][A-Za-z0-9]*`, at most 64 bytes: reason of a condition, an Event and a metric alike.
    pub reason: String,
    /// At most 16 KiB: what failed, why and what to do; log lines that show it may follow.
    pub message: String,
    /// The fields to blame, all of them at once, at most 32.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// A failure that blames no field.
    #[must_use]
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), findings: Vec::new() }
    }

    /// The same with fields to blame.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }
}

/// A finding about what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// JSON pointer into `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    pub at: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    /// A finding that refuses the run.
    #[must_use]
    pub fn error(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at: at.into(), message: message.into() }
    }

    /// A finding that is shown; the run goes on.
    #[must_use]
    pub fn warning(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, at: at.into(), message: message.into() }
    }
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Refuses the run.
    Error,
    /// Is shown, and the run goes on.
    Warning,
}
