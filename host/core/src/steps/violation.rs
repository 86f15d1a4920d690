//! Violations of the contract.

use backstay_api::conditions::reasons;

/// A component broke a rule of the contract, which ends the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContractViolation {
    /// Reason of the condition, the Event and the metric.
    pub reason: &'static str,
    /// The offence and the rule.
    pub message: String,
}

impl ContractViolation {
    pub(super) fn undeclared(message: String) -> Self {
        Self { reason: reasons::STRATEGY_UNDECLARED_ACCESS, message }
    }

    pub(super) fn rule(message: impl Into<String>) -> Self {
        Self { reason: reasons::STRATEGY_BAD_ANSWER, message: message.into() }
    }
}
