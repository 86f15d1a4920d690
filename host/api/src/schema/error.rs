//! Why a schema is refused.

/// Why a schema cannot be that of a CRD. The message names the place as a JSON pointer into the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A `$ref` to something that is not a type of `core/v1` that pods are made of.
    #[error(
        "schema of {kind} at {at:?}: unknown reference {reference:?}; write io.k8s.api.core.v1.<Kind> of a type that \
         pod templates use, or spell the schema out"
    )]
    UnknownReference {
        /// The strategy kind, `<Kind>.<group>`.
        kind: String,
        /// Where.
        at: String,
        /// The reference.
        reference: String,
    },
    /// The API server would refuse the schema.
    #[error("schema of {kind} at {at:?}: {rule}")]
    NotStructural {
        /// The strategy kind, `<Kind>.<group>`.
        kind: String,
        /// Where.
        at: String,
        /// What is wrong and what to do about it.
        rule: String,
    },
}

impl SchemaError {
    /// The reason, for conditions, Events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownReference { .. } => crate::conditions::reasons::UNKNOWN_SCHEMA_REFERENCE,
            Self::NotStructural { .. } => crate::conditions::reasons::SCHEMA_NOT_STRUCTURAL,
        }
    }
}

/// What is wrong with a schema, and where, before it is known whose schema it is.
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
