//! OpenAPI v3 schemas of CRDs, as JSON: what the derives cannot say, and what the API server insists on.
//!
//! - [`field`]: schemas of fields that several kinds have;
//! - [`core_types`]: the schemas of `core/v1` types that a strategy's schema may refer to;
//! - [`markers`]: their list types, map types and defaults, which the published schemas leave out;
//! - [`pod`]: what a pod template inside a strategy needs that a pod does not;
//! - [`references`]: puts them in place of `$ref`;
//! - [`prose`]: descriptions, as `kubectl explain` shows them;
//! - [`structural`]: makes a schema one that the API server accepts, or says where it is not.

mod core_types;
pub(crate) mod field;
mod markers;
mod pod;
pub(crate) mod prose;
mod references;
pub(crate) mod structural;

use serde_json::Value;

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
pub(crate) enum Fault {
    Reference { at: String, name: String },
    Structure { at: String, rule: String },
}

impl Fault {
    fn of(self, kind: &str) -> SchemaError {
        let kind = kind.to_owned();
        match self {
            Self::Reference { at, name } => SchemaError::UnknownReference { kind, at, reference: name },
            Self::Structure { at, rule } => SchemaError::NotStructural { kind, at, rule },
        }
    }
}

/// The schema of a strategy's `.spec`, ready for a CRD: references expanded, structural.
///
/// # Errors
/// [`SchemaError`] names the first place that cannot be made so. `kind` is the strategy kind, for its message.
pub(crate) fn of_strategy_spec(kind: &str, spec: &Value) -> Result<Value, SchemaError> {
    let mut schema = references::expand(spec, &core_types::definitions()).map_err(|fault| fault.of(kind))?;
    prose::unwrap(&mut schema);
    structural::normalise(&mut schema);
    structural::check(&schema).map_err(|fault| fault.of(kind))?;
    Ok(schema)
}

/// Calls `visit` on `schema` and on every schema inside it, the inner ones first.
pub(crate) fn for_each(schema: &mut Value, visit: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    for (keyword, value) in object.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|property| for_each(property, visit));
            }
            ("items" | "additionalProperties" | "not", inner) => for_each(inner, visit),
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                inner.iter_mut().for_each(|schema| for_each(schema, visit));
            }
            _ => {}
        }
    }
    visit(object);
}
