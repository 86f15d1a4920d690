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
mod error;
pub(crate) mod field;
mod markers;
mod pod;
pub(crate) mod prose;
mod references;
pub(crate) mod structural;
mod walk;

pub use error::SchemaError;
use serde_json::Value;

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
