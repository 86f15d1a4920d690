//! Errors of schemas.

/// Why a CRD cannot have a schema. The message names the place as a JSON pointer into the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A `$ref` to anything but a type of `core/v1` that a pod template contains.
    #[error(
        "schema of {kind} at {at:?}: unknown reference {reference:?}; write io.k8s.api.core.v1.<Kind> of a type that \
         pod templates use, or spell the schema out"
    )]
    UnknownReference {
        /// The strategy kind, `<Kind>.<group>`.
        kind: String,
        /// Place in the schema.
        at: String,
        /// The reference.
        reference: String,
    },
    /// The API server would refuse the schema.
    #[error("schema of {kind} at {at:?}: {rule}")]
    NotStructural {
        /// The strategy kind, `<Kind>.<group>`.
        kind: String,
        /// Place in the schema.
        at: String,
        /// The violated rule and the remedy.
        rule: String,
    },
}

impl SchemaError {
    /// Returns the reason for conditions, Events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownReference { .. } => crate::conditions::reasons::UNKNOWN_SCHEMA_REFERENCE,
            Self::NotStructural { .. } => crate::conditions::reasons::SCHEMA_NOT_STRUCTURAL,
        }
    }
}

/// A [`SchemaError`] that does not know the strategy kind yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Reference { at: String, name: String },
    Structure { at: String, rule: String },
}

impl Fault {
    pub(super) fn of(self, kind: &str) -> SchemaError {
        let kind = kind.to_owned();
        match self {
            Self::Reference { at, name } => SchemaError::UnknownReference { kind, at, reference: name },
            Self::Structure { at, rule } => SchemaError::NotStructural { kind, at, rule },
        }
    }
}
