//! OpenAPI v3 schemas of CRDs, as JSON: completes the derived schemas and checks the API server's rules.
//!
//! - [`field`]: schemas of fields that several kinds have;
//! - [`core_types`]: the schemas of `core/v1` types that a strategy's schema may refer to;
//! - [`markers`]: their list types, map types and defaults, which the published schemas lack;
//! - [`pod`]: adapts a pod template to a strategy's spec;
//! - [`references`]: replaces each `$ref` by its schema;
//! - [`prose`]: descriptions, as `kubectl explain` shows them;
//! - [`structural`]: normalises a schema, and checks that it is structural.

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

/// Returns the schema of a strategy's `.spec` for a CRD, with its references expanded. `kind` is the strategy kind, for
/// messages.
///
/// # Errors
/// [`SchemaError`] names the first unknown reference, or the first place that is not structural.
pub(crate) fn of_strategy_spec(kind: &str, spec: &Value) -> Result<Value, SchemaError> {
    let mut schema = references::expand(spec, &core_types::definitions()).map_err(|fault| fault.of(kind))?;
    prose::unwrap(&mut schema);
    structural::normalise(&mut schema);
    structural::check(&schema).map_err(|fault| fault.of(kind))?;
    Ok(schema)
}
