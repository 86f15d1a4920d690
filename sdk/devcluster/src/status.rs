//! What the API server says when it refuses: the object `Status`.

use serde_json::{Map, Value, json};

/// One fault of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// `FieldValueInvalid` and its like; empty if the API server gives none.
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
    /// The field, as in `spec.ports[0].port`; `<nil>` where the API server says that.
    pub field: String,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// `NotFound` and its like; empty if the API server gives none.
    pub reason: &'static str,
    /// The text.
    pub message: String,
    /// The object `details`; absent if `None`.
    pub details: Option<Map<String, Value>>,
}

impl Status {
    /// Returns a refusal without details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// Returns it with these details: pairs of JSON.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = match details {
            Value::Object(details) => Some(details),
            _ => None,
        };
        self
    }

    /// Returns the body that a client gets.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code});
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            body["details"] = Value::Object(details.clone());
        }
        body
    }
}
